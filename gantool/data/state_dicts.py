"""Weights of networks that other programs trained: read, checked, and given our names.

Names differ between programs, the order of the layers does not: a network's layers are matched one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantool.data.imported import read_pth
from gantool.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor, nn

WRAPPERS = ("state_dict", "model_state_dict")  # under which some programs keep what others save bare
PARALLEL = "module."  # DataParallel's prefix
COUNTER = "num_batches_tracked"  # of batch norm; PyTorch before 0.4.1 had none
LARGEST = 1 << 28  # numbers in one tensor; a file of a few bytes can claim any number
OTHER = "Only networks of the published layouts are read."

Layers = list[dict[str, "Tensor"]]


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The weights of one network, by name, without DataParallel's prefix, in the order they were saved.

    Raises:
        DataError: missing, unreadable, damaged, no plain weights, or weights that are not finite.
    """
    found: Any = read_pth(path)
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    return checked(path, found)


def read_by_name(path: Path) -> Mapping[str, Tensor]:
    """What a file of PyTorch holds by name. Raises DataError where there is no such file, or no names in it."""
    content = read_pth(path)
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds no weights by name.", "Give a state_dict saved by torch.save.")
    return content


def checked(path: Path, found: Any) -> dict[str, Tensor]:
    """`found` in `path` as `read_state_dict` gives it: float32, counters int64. Raises DataError if it is none."""
    import torch

    if not isinstance(found, Mapping) or not found or not all(map(_is_plain, found, found.values())):
        raise DataError(f"{path} is no state_dict.", "Save the state_dict() of the network with the code that made it.")
    weights = {name.removeprefix(PARALLEL): value.detach() for name, value in found.items()}
    for name, value in weights.items():
        if name.endswith(COUNTER):
            weights[name] = value.to(torch.int64)
        elif not value.is_floating_point():
            raise DataError(f"{path} holds {value.dtype} where weights should be ({name}).", OTHER)
        else:
            weights[name] = value.float()
            if not bool(weights[name].isfinite().all()):
                raise DataError(f"In {path}, {name} is not finite.", "Its training diverged: take another model.")
        if name.endswith("running_var") and bool((value < 0).any()):
            raise DataError(f"In {path}, {name} is negative, which no variance is.", "Copy the file again.")
    return weights


def _is_plain(name: Any, value: Any) -> bool:
    """Whether it is a tensor whose numbers are there, one by one."""
    import torch

    plain = isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type == "cpu"
    return isinstance(name, str) and plain and not value.is_complex() and 0 < value.numel() < LARGEST


def layers_of(weights: Mapping[str, Tensor]) -> Layers:
    """The weights layer by layer: for each, {"weight": ..., "bias": ..., ...}."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name, value in weights.items():
        layer, _, part = name.rpartition(".")
        layers.setdefault(layer, {})[part] = value
    return list(layers.values())


def is_norm(layer: Mapping[str, Tensor]) -> bool:
    """Whether it is a batch norm."""
    return "running_mean" in layer


def renamed(path: Path, weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """`weights` under the names of `network`, whose layers have the same order and shapes.

    Raises:
        DataError: they do not; the sentence names the first difference.
    """
    import torch

    expected = network.state_dict()
    slots: dict[str, list[str]] = {}
    for name in expected:
        slots.setdefault(name.rpartition(".")[0], []).append(name)
    layers = layers_of(weights)
    if len(layers) != len(slots):
        raise DataError(
            f"{path} is of another architecture: it has {len(layers)} layers with weights, not {len(slots)}.", OTHER
        )
    result = {}
    for names, layer in zip(slots.values(), layers, strict=True):
        parts = {name.rpartition(".")[2]: name for name in names}
        layer = {COUNTER: torch.tensor(0, device="cpu"), **layer} if COUNTER in parts else layer
        odd = sorted(parts.keys() ^ layer.keys())
        if odd:
            raise DataError(f"{path} is of another architecture: {odd[0]} of {names[0]} does not fit.", OTHER)
        for part, name in parts.items():
            if layer[part].shape != expected[name].shape:
                raise DataError(
                    f"{path} is of another architecture: {name} is {_of(layer[part])}, not {_of(expected[name])}.",
                    OTHER,
                )
            result[name] = layer[part]
    return result


def _of(value: Tensor) -> str:
    return " x ".join(map(str, value.shape)) or "one number"


def two_players(
    path: Path,
    names: Mapping[str, str],
    generator: Mapping[str, Tensor],
    read: Callable[[Path], tuple[dict[str, Any], dict[str, Tensor]]],
) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
    """The generator's weights, and the discriminator's from the file next to its own, as one model's.

    Args:
        path: the generator's file.
        names: see `beside`.
        generator: its weights, by our names.
        read: the discriminator's file to the options that it tells and its weights, by our names.

    Returns:
        These options, both players' weights, and a sentence where there is no discriminator, or none that fits.
    """
    weights = {f"generator.{name}": value for name, value in generator.items()}
    file = beside(path, names)
    if file is None:
        return {}, weights, ["No discriminator was found next to it: a new one takes its place."]
    try:
        values, discriminator = read(file)
    except DataError as error:
        return {}, weights, [f"The discriminator is left out, and a new one takes its place: {error.what}"]
    return values, weights | {f"discriminator.{name}": value for name, value in discriminator.items()}, []


def beside(path: Path, names: Mapping[str, str]) -> Path | None:
    """The discriminator's file next to the generator's, or None; `names` maps beginnings of theirs to those of its."""
    for generator, discriminator in names.items():
        if path.name.startswith(generator):
            other = path.with_name(discriminator + path.name.removeprefix(generator))
            return other if other.is_file() else None
    return None
