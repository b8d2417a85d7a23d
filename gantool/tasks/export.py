"""Networks as files for other programs: ONNX, PyTorch's .pt2, or weights alone."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save

from gantool import registry
from gantool._version import __version__
from gantool.data.enlarger_files import read_enlarger, save_enlarger
from gantool.data.enlarger_layouts import SUPPORTED as ENLARGERS
from gantool.data.translator_files import holds_translator, read_translator, save_translator, translation_in
from gantool.data.translator_layouts import SUPPORTED as TRANSLATORS
from gantool.engine.devices import enough_memory
from gantool.errors import DataError, RunError, UsageError
from gantool.family import TestMode, Translates, Translation
from gantool.files import atomic_write, check_target, write_error
from gantool.game.sampling import Sampling
from gantool.nn.enlarger import Enlarger
from gantool.nn.translator import Translator
from gantool.tasks.exporters import (
    METADATA,
    Traced,
    difference,
    drawing_alone,
    draws,
    enlarges,
    onnx_bytes,
    pt2_bytes,
    translates,
)
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run
from gantool.tasks.sample import parse_size

if TYPE_CHECKING:
    from gantool.engine.model import GanModel

FORMATS = ("onnx", "pt2", "safetensors")
NEEDED = ("onnx", "onnxscript")  # the packages of the extra `export`
FOLDER = "exports"  # in a run
MANY = 300  # modules; RRDBNet has 448
Network = Enlarger | Translator | Sampling


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: the file.
        format: one of `FORMATS`.
        about: what is in it, as it says itself.
        difference: the greatest between what the file's network and the original gave for one input; None where it
            was not run (weights alone, or no onnxruntime here).
    """

    path: Path
    format: str
    about: dict[str, Any]
    difference: float | None


def export(
    reference: str | Path | Run,
    format: str | None = None,
    to: str | Path | None = None,
    *,
    size: str | tuple[int, int] | None = None,
    test_mode: TestMode | None = None,
    overwrite: bool = False,
    out: str | Path = DEFAULT_OUT,
    say: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write the network of a run, or of a file of weights, for other programs.

    What enlarges takes `image` (N, 3, H, W) in [0, 1] and gives `enlarged` (N, 3, factor H, factor W), about in
    [0, 1]. What translates takes `image` (N, C, H, W) and gives `translated` (N, C', H, W), both in [-1, 1]; H and W
    must be multiples of a number unless `size` is given, and nothing is dropped. What draws takes `noise` (N, nz) and,
    if it knows classes, `label` (N,) int64, and gives `image` (N, C, H, W) in [-1, 1]. Any N will do, and any H and W
    unless `size` is given. Batch norm evaluates, but for `test_mode`.

    Args:
        reference: path of a run, id prefix or `latest`; or a file of weights of a network that enlarges or translates.
        format: "onnx" (needs the extra `export`), "pt2" (`torch.export.load`), or "safetensors": weights alone.
            None goes by the end of `to`, and is ONNX without one.
        to: the file; None is NAME.FORMAT: in the run's folder exports, or here for a file of weights.
        size: "320x240" (width x height) or (height, width): the only one that will do, where sizes must be fixed.
        test_mode: of what translates: what its batch norm does; see `gantool.family.TestMode`. None is "paper".
        overwrite: whether a file that exists may be replaced.

    Raises:
        UsageError: another format, a size where none can be chosen, a model that is no single network.
        RunError: no such run, packages that are not installed, a file that exists or cannot be written.
        DataError: a file of weights that cannot be read.
    """
    format = _settled(format, to)
    if format == "onnx":
        check_packages()
    if to is not None:
        check_target(to, overwrite=overwrite)
    pixels = parse_size(size) if isinstance(size, str) else size
    network, about, default = _opened(reference, out, say)
    if pixels and isinstance(network, Sampling):
        raise UsageError("Only networks that enlarge or translate pictures take a --size.", "Leave it out.")
    if test_mode and (not isinstance(network, Translator) or format == "safetensors"):
        raise UsageError("Only networks that translate, as onnx or pt2, have a --test-mode.", "Leave it out.")
    path = Path(to) if to is not None else default.with_name(f"{default.name}.{format}")
    check_target(path, overwrite=overwrite)
    if to is None and default.parent.name == FOLDER:
        _make(default.parent)
    with enough_memory("Close other programs."):
        if format == "safetensors":
            return _weights(network, about, path, overwrite)
        traced = _traced(network, pixels, test_mode or "paper", about)
        if sum(1 for _ in traced.module.modules()) > MANY:
            say("Tracing a network of many layers takes a minute or two.")
        about |= traced.described()
        content = onnx_bytes(traced, about) if format == "onnx" else pt2_bytes(traced, about)
        found = difference(traced, format, content)
    atomic_write(path, content, overwrite=overwrite)
    return Exported(path, format, about, found)


def check_packages() -> None:
    """Raises RunError where the packages that ONNX files need are not installed."""
    lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if lacking:
        raise RunError(
            f"ONNX files need packages that are not installed: {', '.join(lacking)}.",
            'Run: pip install "gantool[export]"; or choose --format pt2, which needs none.',
        )


def _settled(format: str | None, to: str | Path | None) -> str:
    """The format that is meant."""
    if format is None:
        end = Path(to).suffix.removeprefix(".").lower() if to is not None else ""
        if end and end not in FORMATS:
            raise UsageError(f"What format {to} is to have cannot be told.", f"Add --format: {', '.join(FORMATS)}.")
        format = end or FORMATS[0]
    if format not in FORMATS:
        raise UsageError(f"There is no format {format!r}.", f"There are: {', '.join(FORMATS)}.")
    end = Path(to).suffix.removeprefix(".").lower() if to is not None else ""
    if end in FORMATS and end != format:
        raise UsageError(f"{to} is called {end}, and --format is {format}.", "Make the two agree.")
    return format


def _traced(network: Network, size: tuple[int, int] | None, mode: TestMode, about: dict[str, Any]) -> Traced:
    """Ready to be written; what is done to translators goes into `about`."""
    if isinstance(network, Enlarger):
        return enlarges(network, size)
    if isinstance(network, Translator):
        about |= {"test_mode": mode, "dropout": 0.0}
        return translates(network, mode, size)
    return draws(network)


def _opened(
    reference: str | Path | Run, out: str | Path, say: Callable[[str], None]
) -> tuple[Network, dict[str, Any], Path]:
    """The network, what can be said of it, and where its file goes, without the end of its name."""
    if not isinstance(reference, Run) and Path(reference).is_file():
        file = Path(reference)
        about = _about(source=file.name)
        if not holds_translator(file):
            try:
                return read_enlarger(file), about, Path(file.stem)
            except DataError as error:  # it may have been meant for either
                hint = f"{error.hint} {TRANSLATORS}" if error.hint == ENLARGERS else error.hint
                raise DataError(error.what, hint) from error
        translator, translation = read_translator(file, say), translation_in(file)
        return translator, about | ({"translation": asdict(translation)} if translation else {}), Path(file.stem)
    run = open_run(reference, out)
    model = run.load("cpu", say)
    network = _network(run, model)
    about = _about(family=run.spec.name, title=run.spec.title, run=run.id, source=str(run.info.get("name") or run.id))
    if isinstance(network, Sampling):
        about["classes"] = run.info["data"].get("classes") or network.shape.classes or None
    if isinstance(model, Translates):
        about["translation"] = asdict(model.translation)
    return network, about, run.path / FOLDER / run.spec.name


def _network(run: Run, model: GanModel) -> Network:
    """What a run's model draws, enlarges or translates with. Raises UsageError where that is no single network."""
    drawing = getattr(model, "drawing", None)
    if isinstance(drawing, Enlarger | Translator):
        return drawing
    if isinstance(model, Sampling):
        if not model.complete:
            raise UsageError(f"{run.id} lacks coarser levels, so it draws nothing.", "Export a run that has them all.")
        return model
    able = [name for name, spec in registry.families().items() if spec.data == "set"]
    raise UsageError(
        f"{run.spec.title} is no single network: it draws scale by scale, with resizing and noise in between that"
        " hang on the size asked for.",
        f"These can be exported: {', '.join(able)}. Use this run by `gantool sample`.",
    )


def _about(**known: Any) -> dict[str, Any]:
    return {"gantool": __version__, **known}


def _weights(network: Network, about: dict[str, Any], path: Path, overwrite: bool) -> Exported:
    """Weights alone: as `gantool superres` and `translate` read them; of what draws, with its options beside them."""
    if isinstance(network, Enlarger):
        save_enlarger(network, path, overwrite=overwrite)
        about |= {"network": type(network).__name__, "options": network.options}
        return Exported(path, "safetensors", about, None)
    if isinstance(network, Translator):
        told = about.get("translation")
        save_translator(network, path, Translation.of(told) if told else None, overwrite=overwrite)
        about |= {"network": type(network).__name__, "options": network.options}
        return Exported(path, "safetensors", about, None)
    state = drawing_alone(network).drawing.state_dict()
    weights = {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in state.items()}
    about |= {"options": asdict(network.config), "shape": network.shape.plain()}
    atomic_write(path, save(weights, {METADATA: json.dumps(about)}), overwrite=overwrite)
    return Exported(path, "safetensors", about, None)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
