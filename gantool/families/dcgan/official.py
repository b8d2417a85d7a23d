"""Generators that pytorch/examples' or WGAN's code trained, read as models of ours.

netG_epoch_24.pth   the generator's state_dict; netD_epoch_24.pth next to it, if it is there, the discriminator's
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gantool.data.imported import Imported
from gantool.data.state_dicts import OTHER, Layers, is_norm, layers_of, read_state_dict, renamed, two_players
from gantool.errors import DataError
from gantool.families.dcgan.config import DCGANConfig
from gantool.families.dcgan.networks import Discriminator, Generator
from gantool.family import DataShape
from gantool.nn.sides import doublings

PAIR = {"netG": "netD"}
WGAN = re.compile(r"main\.initial[.:]")  # how the WGAN code names its first layer
WIDEST_NETWORK = 65536  # channels


def read_official(path: Path) -> Imported:
    """Read a generator's file, and the discriminator's next to it.

    Nothing in the files is executed. Size, channels and widths are found from the shapes of the weights; what the
    files do not tell (learning rates, batch) is taken to be as published.

    Raises:
        DataError: a file is missing, damaged, no plain weights, or of another architecture.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder.", _hint(path))
    weights = read_state_dict(path)
    wgan = any(WGAN.match(name) for name in weights)
    values, shape = _architecture(path, layers_of(weights))
    with torch.device("meta"):
        network = Generator(DCGANConfig(**values), shape)
    found, tensors, missing = two_players(
        path, PAIR, renamed(path, weights, network), lambda file: _critic(file, values, shape, wgan)
    )
    notes = [f"A generator of {shape.width}x{shape.height} pixels from {values['nz']} numbers of noise.", *missing]
    if wgan and not missing:
        notes.append("The sign of the critic was turned: in WGAN's code it is low on real pictures.")
    notes.append("What the files do not tell, such as learning rates, is taken to be as published.")
    return Imported(
        path.stem,
        {**values, **found},
        None,
        tensors,
        ("discriminator.",),
        tuple(notes),
        preset="wgan" if wgan else "examples",
        of_set=shape,
    )


def _hint(folder: Path) -> str:
    """Names the generator of the last epoch, if the folder has any."""
    epochs = [(int(n[1]), file) for file in folder.glob("netG*.pth") if (n := re.search(r"(\d+)\.pth$", file.name))]
    return f"Did you mean {max(epochs)[1]}?" if epochs else "Name the generator's file, netG_epoch_N.pth."


def _architecture(path: Path, layers: Layers) -> tuple[dict[str, Any], DataShape]:
    """The options that the generator's weights tell, and what it draws."""
    kernels = [layer["weight"] for layer in layers if not is_norm(layer) and "weight" in layer]
    if len(kernels) < 3 or any(kernel.ndim != 4 for kernel in kernels):
        raise DataError(f"{path} is no DCGAN: it has no row of convolutions.", OTHER)
    if len(kernels[-1]) == 1 and kernels[-1].shape[2] == kernels[-1].shape[3] and _is_discriminator(kernels):
        raise DataError(f"{path} is a discriminator.", "Name the generator's file, netG_epoch_N.pth.")
    ups = [kernel for kernel in kernels[1:] if kernel.shape[2] == 4]
    nz, base = kernels[0].shape[0], kernels[0].shape[2]
    widths = [kernel.shape[0] for kernel in ups]
    ngf, channels = ups[-1].shape[:2] if ups else (0, 0)
    side = base << len(ups)
    if doublings(side) != (base, len(ups)) or channels not in (1, 3) or not 0 < max(widths) <= WIDEST_NETWORK:
        raise DataError(
            f"{path} is of another architecture: {len(ups)} layers of 4x4 kernels from {base}x{base} pixels "
            f"to {channels} channels.",
            OTHER,
        )
    values = {
        "arch": "examples",
        "size": side,
        "colour": "grey" if channels == 1 else "rgb",
        "nz": nz,
        "ngf": ngf,
        "widest": max(1, max(widths) // ngf),
        "norm_g": "batch" if any(map(is_norm, layers)) else "none",
        "extra_layers": sum(kernel.shape[2] == 3 for kernel in kernels),
    }
    return values, DataShape(side, side, channels)


def _is_discriminator(kernels: list[Tensor]) -> bool:
    """Whether each layer takes in (dimension 1 of a convolution) what the one before it puts out (dimension 0)."""
    return all(before.shape[0] == after.shape[1] for before, after in pairwise(kernels))


def _critic(
    path: Path, values: Mapping[str, Any], shape: DataShape, wgan: bool
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The options that the discriminator's weights tell, and these, by our names."""
    weights = read_state_dict(path)
    layers = layers_of(weights)
    first = layers[0].get("weight")
    if first is None or first.ndim != 4 or len(first) > WIDEST_NETWORK:
        raise DataError(f"{path} is no DCGAN: it has no row of convolutions.", OTHER)
    found = {"ndf": len(first), "norm_d": "batch" if any(map(is_norm, layers)) else "none"}
    with torch.device("meta"):
        network = Discriminator(DCGANConfig(**{**values, **found}), shape)
    tensors = renamed(path, weights, network)
    if wgan:
        last = f"main.{len(network.main) - 1}.weight"
        tensors[last] = -tensors[last]
    return found, tensors
