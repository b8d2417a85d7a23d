"""A model that translates pictures: of a run, or from a file of weights; and what its training did to pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from gantool.data.decode import Colour, parse_colour
from gantool.data.set_options import PairOptions
from gantool.engine.devices import pick_device
from gantool.family import TestMode, Translates, Translation
from gantool.nn.translator import Tested, Translator
from gantool.tasks import opening
from gantool.tasks.runs import DEFAULT_OUT, Run

TASK = "translate"


class FileTranslator(nn.Module):
    """A bare network as a model that `Translates`; it keeps a copy made ready for each way to be used."""

    def __init__(self, network: Translator, translation: Translation) -> None:
        super().__init__()
        self.network, self._translation = network, translation
        self._tested: dict[TestMode, Tested] = {}

    @property
    def translation(self) -> Translation:
        """What is taken and given."""
        return self._translation

    @torch.no_grad()
    def translate(self, images: Tensor, seeds: Sequence[int] = (), mode: TestMode = "paper") -> Tensor:
        """See `gantool.family.Translates`."""
        if mode not in self._tested:
            self._tested[mode] = self.network.tested(mode)
        return self._tested[mode].translate(images, seeds)


@dataclass(frozen=True)
class Habits:
    """What the training did to files before the network saw them, as far as its `Translation` does not say it.

    Attributes:
        direction: which half of side-by-side pairs goes in: "AtoB", the left one; or "BtoA".
        palette: by its name or file, of the colours that stand for ids of labels; empty: the generic one.
        background: the colour under transparent pixels.
        side_by_side: whether files held both pictures of a pair, or may have.
    """

    direction: Literal["AtoB", "BtoA"] = "AtoB"
    palette: str = ""
    background: Colour = (255, 255, 255)
    side_by_side: bool = True


def open_translator(
    reference: str | Path | Run,
    out: str | Path = DEFAULT_OUT,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> Translates:
    """The model of a run (path, beginning of its id, `latest`) or of a file of weights, in evaluation mode.

    Raises:
        UsageError: a run of a family that cannot, with those that can; an unknown device.
        RunError: there is no such run, or it has no checkpoint yet.
        DataError: a file that is no weights, or not of a network that is known.
    """
    if not isinstance(reference, Run) and opening.names_file(reference):
        return _of_file(Path(reference), device, say)
    model = opening.load_able(opening.find_able(reference, TASK, out), device, say)
    if not isinstance(model, Translates):
        raise TypeError("the model has no method translate")
    return model


def _of_file(path: Path, device: str, say: Callable[[str], None]) -> FileTranslator:
    from gantool.data.translator_files import pictures_of, read_translator

    network = read_translator(path, say)
    found = pictures_of(path, network)
    height, width = found.size
    say(f"{path}: {type(network).__name__}, from {found.takes} to {found.gives}, for pictures of {width} × {height}.")
    return FileTranslator(network.to(pick_device(device)).eval(), found)


def habits_of(reference: str | Path | Run | Translates, out: str | Path = DEFAULT_OUT) -> Habits:
    """What the training of a run did; of a file of weights or of a model itself, nothing is known. Raises RunError."""
    if isinstance(reference, Translates) or (not isinstance(reference, Run) and opening.names_file(reference)):
        return Habits()
    run = opening.find_able(reference, TASK, out)
    config, data = run.config, run.info.get("data") or {}
    background, beside = parse_colour(str(data.get("background", "white"))), bool(data.get("side_by_side", True))
    if not isinstance(config, PairOptions):
        return Habits(background=background, side_by_side=beside)
    return Habits(config.direction, config.palette, background, beside)


def fingerprint(model: Translates) -> str:
    """What tells this model's results from another's: sha256 of its weights, wherever they are kept."""
    network = getattr(model, "drawing", getattr(model, "network", model))
    return opening.fingerprint(network, model.translation)
