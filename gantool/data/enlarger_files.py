"""Networks that enlarge pictures in files: those of other programs, recognised by their weights, and our own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gantool.data.enlarger_layouts import LAYOUTS, SUPPORTED, Layout, Options, Unfit, kind_of, options_of
from gantool.data.imported import read_pth
from gantool.data.state_dicts import COUNTER, checked
from gantool.errors import DataError
from gantool.files import atomic_write
from gantool.nn.enlarger import Enlarger
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.rrdb import RRDBNet
from gantool.nn.srresnet import SRResNet

NETWORKS: dict[str, type[Enlarger]] = {kind.__name__: kind for kind in (SRResNet, MSRResNet, RRDBNet)}
METADATA = "gantool"
# What programs keep a network's weights under, averaged ones first.
WRAPPERS = ("params_ema", "params-ema", "ema_state_dict", "params", "state_dict", "model_state_dict", "model", "net")
PREFIXES = r"(module\.|_orig_mod\.)+"  # of DataParallel and torch.compile
PLAYERS = ("generator_ema.", "average.", "generator.", "netG.")  # of files that hold both; checkpoints of ours as well
AVERAGED = "n_averaged"  # torch.optim.swa_utils.AveragedModel's count
# How files begin that are given by mistake.
OTHERS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"RIFF": "a WebP picture or a film",
    b"<": "a web page, not what was to be downloaded",
    b"version https://git-lfs": "a note of Git LFS in place of the weights",
    b"\x1f\x8b": "an archive (gzip)",
}
EXPORTED = (".onnx", ".pt2")
SHOWN = 4  # names of weights in an error


def read_enlarger(path: Path) -> Enlarger:
    """The network whose weights a file holds, in evaluation mode, float32 on the CPU.

    Recognised by names and shapes of the weights, whatever the file is called: see `enlarger_layouts.LAYOUTS`; and
    files of `save_enlarger`. Nothing in the file is executed.

    Raises:
        DataError: missing, unreadable or damaged; weights that are not finite; weights of another network, which
            the sentence describes; or only some of the weights of a known one.
    """
    _check_is_weights(path)
    with path.open("rb") as file:
        begin = file.read(9)
    if begin[8:] == b"{":  # the length of a header in JSON comes first
        content, description = _safetensors(path)
        if description:
            return _described(path, content, description)
    else:
        content = _unwrapped(path, read_pth(path))
    weights = checked(path, _bare(content))
    names = list(weights)
    layout = next((layout for layout in LAYOUTS if layout.fits(names)), None)
    if layout is None:
        raise _unknown(path, weights)
    return _of_layout(path, weights, layout)


def save_enlarger(network: Enlarger, path: Path, *, overwrite: bool = False) -> None:
    """Write weights and what `read_enlarger` needs to build the network, as one .safetensors file, whole or not at all.

    Raises:
        RunError: `path` exists and may not be overwritten, or cannot be written.
        ValueError: a weight is not finite, or the network was changed since it was built.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    for name, value in weights.items():
        if not bool(value.isfinite().all()):
            raise ValueError(f"{name} is not finite")
    kind = type(network)
    try:
        _filled(kind, network.options, weights, {name: name for name in weights})
    except Unfit as error:
        raise ValueError(f"the network is not as it was built: {error}") from error
    description = {"network": kind.__name__, "options": network.options}
    atomic_write(path, save(weights, {METADATA: json.dumps(description)}), overwrite=overwrite)


def _check_is_weights(path: Path) -> None:
    """Name what is no file of weights at all."""
    if path.is_dir():
        files = sorted(p.name for p in path.iterdir() if p.suffix in (".pth", ".pt", ".safetensors", ".tar"))
        which = f"Give one of the files in it, such as {files[0]}." if files else "Give a file of weights."
        raise DataError(f"{path} is a folder.", which)
    if not path.is_file():
        raise DataError(f"There is no file {path}.", "Check the path.")
    try:
        with path.open("rb") as file:
            begin = file.read(32)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
    if not begin:
        raise DataError(f"{path} is empty.", "Copy or download it again.")
    if path.suffix.lower() in EXPORTED:
        raise DataError(
            f"{path} is a network for other programs, which is not read back.",
            "Give the run that it was exported from, its weights, or an export with --format safetensors.",
        )
    for mark, kind in OTHERS.items():
        if begin.startswith(mark) and begin[8:9] != b"{":
            raise DataError(f"{path} is {kind}.", "Give the file of a network's weights.")


def _safetensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Tensors, and this program's description of them or ""."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {}).get(METADATA, "")  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path} is damaged, or no file of weights.", "Copy or download it again.") from error


def _described(path: Path, content: Mapping[str, Tensor], description: str) -> Enlarger:
    """The network of a file that this program wrote."""
    weights = checked(path, content)
    try:
        told = json.loads(description)
        if "network" not in told:
            raise DataError(f"{path} holds a network that does not enlarge pictures.", SUPPORTED)
        kind, options = NETWORKS[told["network"]], dict(told["options"])
        if any(type(value) not in (int, str, bool) for value in options.values()) or options["blocks"] > len(weights):
            raise ValueError  # building as many blocks as it claims could take for ever
        return _filled(kind, options, weights, {name: name for name in weights})
    except Unfit as error:
        raise DataError(f"{path} is incomplete or altered: {error}.", "Save or copy it again.") from error
    except (ValueError, TypeError, KeyError, RuntimeError, RecursionError, OverflowError) as error:
        raise DataError(
            f"{path} has a description that this version does not know.", "Save it again, or update this program."
        ) from error


def _unwrapped(path: Path, content: Any) -> dict[str, Any]:
    """Name to tensor, out of what training programs save them in."""
    for _ in range(4):
        if not isinstance(content, Mapping):
            break
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping) and content[key]), None)
        if inner is None and len(content) == 1 and isinstance(next(iter(content.values())), Mapping):
            inner = next(iter(content.values()))
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds {_article(type(content).__name__)}, no network's weights.", SUPPORTED)
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        keys = ", ".join(str(key) for key in list(content)[:SHOWN]) or "nothing"
        raise DataError(f"{path} holds no weights, only {keys}.", SUPPORTED)
    return tensors


def _bare(content: Mapping[str, Any]) -> dict[str, Any]:
    """Without the prefixes that wrappers add, and without the other player."""
    weights = {re.sub(rf"^{PREFIXES}", "", name): value for name, value in content.items() if name != AVERAGED}
    for player in PLAYERS:
        own = {name.removeprefix(player): value for name, value in weights.items() if name.startswith(player)}
        if own:
            return {re.sub(rf"^{PREFIXES}", "", name): value for name, value in own.items()}
    return weights


def _of_layout(path: Path, weights: Mapping[str, Tensor], layout: Layout) -> Enlarger:
    """The network of a file of that layout."""
    try:
        theirs = {ours: name for name, ours in layout.ours(list(weights)).items()}
        ours = {name: weights[original] for name, original in theirs.items()}
        try:
            options: Options = {**options_of(layout.network, ours), **layout.fixed}
        except KeyError as error:
            raise Unfit(f"it lacks {error.args[0]} (as this program calls it)") from error
        except (IndexError, ZeroDivisionError, RuntimeError) as error:
            raise Unfit("the shapes of its weights do not fit together") from error
        return _filled(layout.network, options, ours, theirs)
    except Unfit as error:
        raise DataError(f"{path} looks like {layout.title}, but {error}.", SUPPORTED) from error


def _filled(
    kind: type[Enlarger], options: Options, weights: Mapping[str, Tensor], theirs: Mapping[str, str]
) -> Enlarger:
    """Build it around these weights. `theirs`: what the file calls them, for the errors (Unfit)."""
    with torch.device("meta"):  # no memory, no random numbers
        network = kind(**options)  # type: ignore[arg-type]
    expected = network.state_dict()
    given = dict(weights)
    for name, slot in expected.items():
        if name.endswith(COUNTER):
            given.setdefault(name, torch.tensor(0, device="cpu"))
        if name not in given:
            raise Unfit(f"it lacks {name} (as this program calls it)")
        if given[name].shape != slot.shape:
            raise Unfit(f"its {theirs[name]} is {_of(given[name])}, not {_of(slot)}")
    surplus = sorted(given.keys() - expected.keys())
    if surplus:
        raise Unfit(f"it also has {theirs[surplus[0]]}, which a network of its shapes has not")
    network.load_state_dict({name: given[name].contiguous() for name in expected}, assign=True)
    return network.eval()


def _unknown(path: Path, weights: Mapping[str, Tensor]) -> DataError:
    """Weights of another network, described."""
    if {"head.0.weight", "blocks.0.conv1.weight"} <= weights.keys():  # how it ends, for one, they do not tell
        return DataError(
            f"{path} holds an SRResNet of this program without its description.",
            "Give the run that trained it, or the file that `gantool export` makes of that.",
        )
    some = ", ".join(f"{name} {_of(value)}" for name, value in list(weights.items())[:SHOWN])
    more = ", ..." if len(weights) > SHOWN else ""
    number = "1 tensor" if len(weights) == 1 else f"{len(weights)} tensors"
    kind = kind_of(list(weights))
    what = f"seems to be {kind}, not a" if kind else "holds no known"
    return DataError(f"{path} {what} network that enlarges pictures: {number} ({some}{more}).", SUPPORTED)


def _of(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "one number"


def _article(word: str) -> str:
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"
