"""The official code's folder of a trained model (tamarott/SinGAN, TrainedModels/...), read as a model of ours.

0/netG.pth  1/netG.pth  ...   each scale's generator, coarsest first (netD.pth: its discriminator)
Zs.pth  reals.pth  NoiseAmp.pth   lists over the scales: reconstruction noise, pictures, noise amplitudes
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gantool.data.image import to_uint8
from gantool.data.imported import Imported, read_pth
from gantool.errors import DataError
from gantool.families.singan.config import SinGANConfig
from gantool.families.singan.networks import Discriminator, Generator, crop_margin
from gantool.families.singan.pyramid import Size, pyramid_of_sizes
from gantool.nn.resize import resize_single_image

T = TypeVar("T")
LISTS = ("Zs.pth", "reals.pth", "NoiseAmp.pth")
WHOLE = "Copy the whole folder again, as the official code wrote it."
ALIKE = 0.02  # of the 255 levels, on average: pictures that differ less are the same but for rounding
HUGE = 1e30
LARGEST = 1 << 28  # numbers in one tensor; a file of a few bytes can claim any number
PASSES = 6 + 1 / 500  # of a generator per iteration: three updates of each network; a preview every 500 iterations


def read_official(folder: Path) -> Imported:
    """Read the folder of a model that the official code trained to its end.

    Nothing in it is executed. What the files do not tell (learning rates, slope) is taken to be as published.

    Raises:
        DataError: files are missing, damaged, no plain weights, of another architecture, or do not fit together.
    """
    _check_folder(folder)
    reals, noises, amps = _lists(folder)
    weights = [_weights(folder / str(k) / "netG.pth") for k in range(len(reals))]
    layers = 2 + sum(name.startswith("body.") and name.endswith(".conv.weight") for name in weights[0])
    slope = SinGANConfig().slope
    for k, tensors in enumerate(weights):
        _check_network(folder / str(k) / "netG.pth", tensors, lambda c: Generator(c, layers, slope))
    sizes = _sizes(folder, reals)
    z_opt = _noise(folder, noises, sizes[0], layers)
    iterations = max(1, round(float(weights[0]["head.norm.num_batches_tracked"]) / PASSES))
    factor = _factor(reals)
    values = {
        "mode": "animation" if _on_margin(z_opt, layers) else "generation",
        "sizes": sizes,
        "min_size": min(sizes[0]),
        "max_size": max(sizes[-1]),
        "layers": layers,
        "iterations": iterations,
        **_channels(folder, [len(w["head.conv.weight"]) for w in weights]),
        **({"scale_factor": factor} if factor else {}),
    }
    tensors = {"real": reals[-1], "noise_amps": torch.tensor(amps), "z_opt": z_opt}
    for k, network in enumerate(weights):
        tensors |= {f"generators.{k}.{name}": value for name, value in network.items()}
    critic, problem = _critic(folder / str(len(reals) - 1) / "netD.pth", layers, slope)
    tensors |= {f"discriminator.{name}": value for name, value in critic.items()}
    notes = [
        f"{len(sizes)} scales, {sizes[0][1]}x{sizes[0][0]} to {sizes[-1][1]}x{sizes[-1][0]} pixels.",
        f"{iterations} iterations a scale, to judge by what batch norm counted; what the files do not tell, such as "
        "learning rates, is taken to be as published.",
    ]
    if factor is None:
        notes.append("The factor between scales could only be estimated: edges may shift by part of a pixel.")
    if any(bool(z.any()) for z in noises[1:]):
        notes.append("Noise of the reconstruction above the coarsest scale is left out: it should be zero.")
    notes += [problem] if problem else []
    picture = to_uint8(reals[-1])[0]
    return Imported(_name(folder), values, picture, tensors, ("discriminator.", "centers"), tuple(notes))


def _name(folder: Path) -> str:
    """The official code names folders TrainedModels/PICTURE/scale_factor=0.750000,alpha=10."""
    whole = folder.resolve()
    return whole.parent.name if whole.name.startswith("scale_factor=") else whole.name


# --- the folder ---------------------------------------------------------------------------------------------


def _check_folder(folder: Path) -> None:
    """Raises DataError that names what is missing, or the folder that may have been meant."""
    if not folder.is_dir():
        what = f"{folder} is a file, not a folder." if folder.exists() else f"There is no folder {folder}."
        raise DataError(what, _meant(folder.parent))
    names = ("0/netG.pth", *LISTS)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:  # all of them: most likely it is another folder
        raise DataError(f"{folder} lacks {_listed(missing)}.", WHOLE if len(missing) < len(names) else _meant(folder))


def _meant(folder: Path) -> str:
    """The hint that names the folder of a trained model next to `folder`, above or below, if there is one."""
    above = [place for place in (folder, folder.parent) if (place / "0" / "netG.pth").is_file()]
    below = {file.parents[1] for depth in ("*", "*/*") for file in folder.glob(f"{depth}/0/netG.pth")}
    found = [str(place) for place in above or sorted(below)]
    if len(found) == 1:
        return f"Did you mean {found[0]}?"
    if found:
        return f"Name one of its models: {', '.join(found[:5])}{', ...' if len(found) > 5 else ''}."
    return f"Name the folder that holds 0/netG.pth, 1/netG.pth and so on, {_listed(LISTS)}."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]


def _lists(folder: Path) -> tuple[list[Tensor], list[Tensor], list[float]]:
    """reals, Zs and NoiseAmp, each with one entry a scale, and a network for each."""
    noises, reals = (_list(folder / name, _pictures) for name in LISTS[:2])
    amps = _list(folder / LISTS[2], _number)
    networks = {int(file.parent.name) for file in folder.glob("*/netG.pth") if file.parent.name.isdecimal()}
    if len(reals) > len(noises) == len(amps) and set(range(len(noises))) <= networks:
        raise DataError(
            f"{folder} is not trained to its end: {len(noises)} of {len(reals)} scales.",
            "Finish the training with the official code first.",
        )
    missing = [f"{k}/netG.pth" for k in range(len(reals)) if k not in networks]
    if missing:
        raise DataError(f"{folder} lacks {_listed(missing)}, but reals.pth has {len(reals)} scales.", WHOLE)
    counts = {"Zs.pth": len(noises), "NoiseAmp.pth": len(amps), "networks": len(networks)}
    wrong = [f"{count} ({name})" for name, count in counts.items() if count != len(reals)]
    if wrong:
        raise DataError(f"{folder} does not fit together: {len(reals)} scales (reals.pth), but {wrong[0]}.", WHOLE)
    return reals, noises, amps


def _list(file: Path, read: Callable[[Path, Any], T]) -> list[T]:
    values = read_pth(file)
    if not isinstance(values, list | tuple) or not values:
        raise DataError(f"{file} is no list with an entry for each scale.", WHOLE)
    return [read(file, value) for value in values]


def _pictures(file: Path, value: Any) -> Tensor:
    """(1, 3, h, w), finite, float32."""
    if not _is_plain(value) or value.ndim != 4 or value.shape[:2] != (1, 3) or not 0 < value.numel() < LARGEST:
        what = f"{tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise DataError(f"{file} holds {what} in place of (1, 3, height, width).", "Only models of colour are read.")
    return _finite(file, "a picture", value)


def _number(file: Path, value: Any) -> float:
    single = _is_plain(value) and value.numel() == 1 and not value.is_complex()
    if not single and not isinstance(value, int | float):
        raise DataError(f"{file} is no list of numbers.", WHOLE)
    if not abs(value) < HUGE:  # nor is NaN
        raise DataError(f"{file} holds numbers that are not finite.", "Its training diverged: take another model.")
    return float(value)


def _finite(file: Path, what: str, value: Tensor) -> Tensor:
    if not value.is_floating_point():
        raise DataError(f"{file} holds {value.dtype} where weights should be.", WHOLE)
    value = value.detach().float()
    if not bool(value.isfinite().all()):
        raise DataError(f"In {file}, {what} is not finite.", "Its training diverged: take another model.")
    return value


def _is_plain(value: Any) -> bool:
    """Whether it is a tensor whose numbers are there, one by one."""
    return isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"


def _sizes(folder: Path, reals: Sequence[Tensor]) -> tuple[Size, ...]:
    sizes = tuple((real.shape[2], real.shape[3]) for real in reals)
    if any(small[0] > large[0] or small[1] > large[1] for small, large in pairwise(sizes)):
        raise DataError(f"The pictures in {folder / 'reals.pth'} do not grow from scale to scale.", WHOLE)
    return sizes


def _noise(folder: Path, noises: Sequence[Tensor], size: Size, margin: int) -> Tensor:
    expected = (1, 3, size[0] + 2 * margin, size[1] + 2 * margin)
    if noises[0].shape != expected:
        raise DataError(
            f"{folder / 'Zs.pth'} begins with {tuple(noises[0].shape)}; {expected} would fit the picture.",
            "Only models with the official margin are read.",
        )
    return noises[0]


def _on_margin(z_opt: Tensor, margin: int) -> bool:
    """Whether there is noise on the margin, too: so it is in models that were trained for films."""
    return bool(z_opt.any()) and int(z_opt.count_nonzero()) > int(crop_margin(z_opt, margin).count_nonzero())


# --- networks -----------------------------------------------------------------------------------------------


def _weights(file: Path) -> dict[str, Tensor]:
    """A network's state_dict."""
    values = read_pth(file)
    pairs = values.items() if isinstance(values, Mapping) else [("", None)]
    if not all(isinstance(name, str) and _is_plain(value) for name, value in pairs):
        raise DataError(f"{file} is no state_dict.", "Save the state_dict() of the network with the code that made it.")
    return dict(pairs)


def _check_network(file: Path, tensors: dict[str, Tensor], network: Callable[[int], nn.Module]) -> None:
    """Raises DataError unless `tensors` are the finite weights of `network(channels)`."""
    head = tensors.get("head.conv.weight")
    if head is None or head.ndim != 4 or not 0 < len(head) <= 4096:
        raise DataError(f"{file} is no network of SinGAN's: it has no head.conv.weight that fits.", WHOLE)
    with torch.device("meta"):
        expected = network(len(head)).state_dict()
    odd = [*(name for name in expected if name not in tensors), *(name for name in tensors if name not in expected)]
    if odd:
        word = "lacks" if odd[0] in expected else "has"
        raise DataError(f"{file} is of another architecture: it {word} {odd[0]}.", "Only official models are read.")
    for name, value in tensors.items():
        if value.shape != expected[name].shape:
            raise DataError(
                f"{file} is of another architecture: {name} is {_of(value)}, not {_of(expected[name])}.",
                "Only official models are read, of colour, with --nfc equal to --min_nfc.",
            )
        if expected[name].is_floating_point():
            tensors[name] = _finite(file, name, value)
        if name.endswith("running_var") and bool((tensors[name] < 0).any()):
            raise DataError(f"In {file}, {name} is negative, which no variance is.", WHOLE)


def _of(value: Tensor) -> str:
    return " x ".join(map(str, value.shape)) or "one number"


def _critic(file: Path, layers: int, slope: float) -> tuple[dict[str, Tensor], str]:
    """The last scale's discriminator and "", or nothing and a note: no picture hangs on it."""
    if not file.is_file():
        return {}, ""
    try:
        tensors = _weights(file)
        _check_network(file, tensors, lambda c: Discriminator(c, layers, slope))
    except DataError as error:
        return {}, f"The discriminator is left out: {error.what}"
    return tensors, ""


def _channels(folder: Path, widths: list[int]) -> dict[str, int]:
    """The options that give these channels, those of the official code where they do."""
    usual = SinGANConfig()
    for most in (usual.max_channels, max(widths)):
        for step in (usual.channels_step, *range(1, len(widths) + 1)):
            options = {"channels": widths[0], "channels_step": step, "max_channels": most}
            config = SinGANConfig(**options)
            if [config.width(k) for k in range(len(widths))] == widths:
                return options
    raise DataError(
        f"The channels of the scales in {folder} ({', '.join(map(str, widths))}) do not double now and then.",
        "Only official models are read.",
    )


def _factor(reals: Sequence[Tensor]) -> float | None:
    """The factor between scales, found again to the last bit; None where no candidate gives the pictures.

    The official code takes (min_size / side) ** (1 / steps) in whole numbers, where there may be steps below the
    coarsest scale. Sizes alone, being rounded up, leave an interval of which that picks out a few values.
    """
    last = len(reals) - 1
    sizes = tuple((real.shape[2], real.shape[3]) for real in reals)
    finest = reals[-1] + 1 / 255  # half a level more, so that truncating leaves the levels as they are
    found: list[tuple[float, float]] = []
    near = pyramid_of_sizes(sizes).factor
    for steps in range(last, last + 9) if last else ():
        for side in sorted(set(sizes[-1])):
            around = side * near**steps
            for min_size in range(max(1, int(0.9 * around)), int(1.1 * around) + 2):
                factor = math.pow(min_size / side, 1 / steps)
                if _gives(factor, sizes):
                    ours = [resize_single_image(finest, scale=factor ** (last - k)) for k in range(last)]
                    apart = [float((a - b).abs().mean()) * 127.5 for a, b in zip(ours, reals, strict=False)]
                    found.append((max(apart), factor))
    apart_least, best = min(found, default=(math.inf, 0.0))
    return best if apart_least < ALIKE else None


def _gives(factor: float, sizes: Sequence[Size]) -> bool:
    scales = [factor ** (len(sizes) - 1 - k) for k in range(len(sizes))]
    return sizes == tuple((math.ceil(sizes[-1][0] * s), math.ceil(sizes[-1][1] * s)) for s in scales)
