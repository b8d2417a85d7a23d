"""A model that enlarges any picture: of a run, or from a file of weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gantool.data.enlarger_files import read_enlarger
from gantool.engine.devices import pick_device
from gantool.family import Enlarges
from gantool.nn.enlarger import Enlarger
from gantool.nn.inference import prepare_for_inference
from gantool.tasks import opening
from gantool.tasks.runs import DEFAULT_OUT, Run


def open_enlarger(
    reference: str | Path | Run,
    out: str | Path = DEFAULT_OUT,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> Enlarges:
    """The model of a run (path, beginning of its id, `latest`) or of a file of weights, in evaluation mode.

    Raises:
        UsageError: a run of a family that cannot, with those that can; an unknown device.
        RunError: there is no such run, or it has no checkpoint yet.
        DataError: a file that is no weights, or not of a network that is known.
    """
    if not isinstance(reference, Run) and opening.names_file(reference):
        network = read_enlarger(Path(reference)).to(pick_device(device)).eval()
        say(f"{reference}: {type(network).__name__}, which enlarges {network.factor} times.")
        return network
    model = opening.load_able(opening.find_able(reference, "enlarge", out), device, say)
    if not isinstance(model, Enlarges):
        raise TypeError("the model has no method enlarge")
    return model


def made_ready(model: Enlarges) -> Enlarges:
    """The same in less time, for pictures to come: its network as `prepare_for_inference` has it."""
    network = getattr(model, "drawing", model)
    return prepare_for_inference(network) if isinstance(network, Enlarger) else model


def fingerprint(model: Enlarges) -> str:
    """What tells this model's results from another's: sha256 of its weights, wherever they are kept."""
    return opening.fingerprint(model, model.factor)
