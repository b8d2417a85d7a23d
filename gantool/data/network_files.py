"""Files of networks: what is in them, out of what other programs wrap it in; and how ours are written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gantool.data.imported import read_pth
from gantool.data.state_dicts import COUNTER, checked
from gantool.errors import DataError
from gantool.files import atomic_write

METADATA = "gantool"
# What programs keep a network's weights under, averaged ones first.
WRAPPERS = (
    "params_ema", "params-ema", "ema_state_dict", "params", "state_dict", "model_state_dict", "model", "net",
    "netG", "generator", "G",
)  # fmt: skip
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
LUA = ".t7"
SHOWN = 4  # names of weights in an error


class Unfit(Exception):
    """The weights are not what their layout has; the message goes on after "PATH looks like TITLE, but"."""


Network = TypeVar("Network", bound=nn.Module)


def content_of(path: Path, supported: str) -> tuple[dict[str, Any], str]:
    """Name to tensor, and this program's description of them or "". Nothing in the file is executed.

    Args:
        path: the file.
        supported: a sentence of what is read, for the errors.

    Raises:
        DataError: no file of weights, unreadable or damaged.
    """
    _check_is_weights(path, supported)
    with path.open("rb") as file:
        begin = file.read(9)
    if begin[8:] == b"{":  # the length of a header in JSON comes first
        return _safetensors(path)
    return _unwrapped(path, read_pth(path), supported), ""


def bare(content: Mapping[str, Any]) -> dict[str, Any]:
    """Without the prefixes that wrappers add, and without the other player."""
    weights = {re.sub(rf"^{PREFIXES}", "", name): value for name, value in content.items() if name != AVERAGED}
    for player in PLAYERS:
        own = {name.removeprefix(player): value for name, value in weights.items() if name.startswith(player)}
        if own:
            return {re.sub(rf"^{PREFIXES}", "", name): value for name, value in own.items()}
    return weights


def described(
    path: Path,
    content: Mapping[str, Tensor],
    description: str,
    networks: Mapping[str, type[Network]],
    purpose: str,
    sane: Callable[[Mapping[str, Any], int], bool],
) -> Network:
    """The network of a file that this program wrote.

    Args:
        path, content, description: as `content_of` has them.
        networks: by name, those that are known.
        purpose: what they do: "enlarge pictures".
        sane: whether a network of these options is one, and can be built from that many tensors: building as many
            blocks as a file claims could take for ever.

    Raises:
        DataError: another network, or one that the file's weights do not fill.
    """
    weights = checked(path, content)
    another = "Give another file, or update this program."
    try:
        told = json.loads(description)
        if "network" not in told:
            raise DataError(f"{path} holds a network that does not {purpose}.", another)
        name, options = told["network"], dict(told["options"])
        if name not in networks:
            raise DataError(f"{path} holds a network that this version does not know to {purpose}: {name}.", another)
        if not sane(options, len(weights)):
            raise ValueError
        kind = networks[name]
        return filled(lambda: kind(**options), weights, {name: name for name in weights})
    except Unfit as error:
        raise DataError(f"{path} is incomplete or altered: {error}.", "Save or copy it again.") from error
    except (ValueError, TypeError, KeyError, RuntimeError, RecursionError, OverflowError) as error:
        raise DataError(
            f"{path} has a description that this version does not know.", "Save it again, or update this program."
        ) from error


def save_network(
    network: nn.Module, options: Mapping[str, Any], path: Path, told: Mapping[str, Any], *, overwrite: bool = False
) -> None:
    """Write weights and what `described` needs to build the network, as one .safetensors file, whole or not at all.

    Args:
        network, options: the network, and what its class is given to build it again.
        path: the file.
        told: what is said of it beside that.
        overwrite: whether a file that exists may be replaced.

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
        filled(lambda: kind(**options), weights, {name: name for name in weights})
    except Unfit as error:
        raise ValueError(f"the network is not as it was built: {error}") from error
    description = {"network": kind.__name__, "options": options, **told}
    atomic_write(path, save(weights, {METADATA: json.dumps(description)}), overwrite=overwrite)


def filled(make: Callable[[], Network], weights: Mapping[str, Tensor], theirs: Mapping[str, str]) -> Network:
    """What `make` builds, around these weights, in evaluation mode. Raises Unfit.

    Args:
        make: builds the network.
        weights: by our names; counters of batch norm may be missing.
        theirs: what the file calls them, for the errors; and what it would call others.
    """
    with torch.device("meta"):  # no memory, no random numbers
        network = make()
    expected = network.state_dict()
    given = dict(weights)
    for name, slot in expected.items():
        if name.endswith(COUNTER):
            given.setdefault(name, torch.tensor(0, device="cpu"))
        if name not in given:
            raise Unfit(f"it lacks {theirs.get(name, f'{name} (as this program calls it)')}")
        if given[name].shape != slot.shape:
            raise Unfit(f"its {theirs[name]} is {shape_of(given[name])}, not {shape_of(slot)}")
    surplus = sorted(given.keys() - expected.keys())
    if surplus:
        raise Unfit(f"it also has {theirs[surplus[0]]}, which a network of its shapes has not")
    network.load_state_dict({name: given[name].contiguous() for name in expected}, assign=True)
    return network.eval()


def listed(weights: Mapping[str, Tensor]) -> str:
    """How many there are, and the first of them, for errors about weights of another network."""
    some = ", ".join(f"{name} {shape_of(value)}" for name, value in list(weights.items())[:SHOWN])
    more = ", ..." if len(weights) > SHOWN else ""
    number = "1 tensor" if len(weights) == 1 else f"{len(weights)} tensors"
    return f"{number} ({some}{more})"


def shape_of(value: Tensor) -> str:
    """ "64x3x4x4", for the errors."""
    return "x".join(map(str, value.shape)) or "one number"


def kind_among(kinds: Iterable[tuple[str, str]], names: Iterable[str]) -> str:
    """What a file with these names seems to hold: of the first of (pattern, kind) that fits one; "" without any."""
    names = list(names)
    return next((kind for mark, kind in kinds if any(re.fullmatch(mark, name) for name in names)), "")


def _check_is_weights(path: Path, supported: str) -> None:
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
    if path.suffix.lower() == LUA:
        raise DataError(f"{path} is a file of Lua Torch, which is not read.", supported)
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


def _unwrapped(path: Path, content: Any, supported: str) -> dict[str, Any]:
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
        raise DataError(f"{path} holds {_article(type(content).__name__)}, no network's weights.", supported)
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        keys = ", ".join(str(key) for key in list(content)[:SHOWN]) or "nothing"
        raise DataError(f"{path} holds no weights, only {keys}.", supported)
    return tensors


def _article(word: str) -> str:
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"
