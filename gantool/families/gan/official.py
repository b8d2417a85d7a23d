"""Fully connected generators that other PyTorch code trained, read as models of ours.

G--300.ckpt   a state_dict of linear layers; D--300.ckpt next to it, if it is there, the discriminator's

The layers' widths are found from the weights; activations leave none, and are taken to be what such code has: ReLU,
tanh at the end and LeakyReLU in the discriminator; in files of the WGAN code ReLU throughout and a linear end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gantool.data.imported import Imported
from gantool.data.state_dicts import OTHER, Layers, layers_of, read_state_dict, renamed, two_players
from gantool.errors import DataError
from gantool.families.gan.config import MOST_UNITS, GANConfig
from gantool.families.gan.networks import Discriminator, Generator
from gantool.family import DataShape

PAIR = {"netG": "netD", "G": "D", "generator": "discriminator"}
WGAN = "main."  # how the names of the WGAN code begin


def read_official(path: Path) -> Imported:
    """Read a generator, and the discriminator next to it. Nothing in the files is executed.

    Raises:
        DataError: a file is missing, damaged, no plain weights, or of another architecture.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder.", "Name the generator's file.")
    weights = read_state_dict(path)
    wgan = all(name.startswith(WGAN) for name in weights)
    widths = _widths(path, layers_of(weights))
    shape = _shape(path, widths[-1])
    values: dict[str, Any] = {
        "size": shape.height,
        "colour": "grey" if shape.channels == 1 else "rgb",
        "nz": widths[0],
        "hidden_g": ",".join(map(str, widths[1:-1])),
        "norm_g": "none",
        "activation_g": "relu",
        "activation_d": "relu" if wgan else "lrelu",
        "output": "linear" if wgan else "tanh",
    }
    with torch.device("meta"):
        network = Generator(GANConfig(**values), shape)
    found, tensors, missing = two_players(
        path, PAIR, renamed(path, weights, network), lambda file: _critic(file, values, shape, wgan)
    )
    note = (
        f"A generator of {shape.width}x{shape.height} pixels from {widths[0]} numbers of noise; activations are "
        f"taken to be ReLU and, at the end, {values['output']}."
    )
    return Imported(
        path.stem,
        {**values, **found},
        None,
        tensors,
        ("discriminator.",),
        (note, *missing),
        preset="wgan" if wgan else "fast",
        of_set=shape,
    )


def _widths(path: Path, layers: Layers) -> list[int]:
    """Numbers that enter the first layer and leave each of them."""
    kernels = [layer.get("weight") for layer in layers]
    if len(kernels) < 2 or any(kernel is None or kernel.ndim != 2 for kernel in kernels):
        raise DataError(f"{path} is not made of linear layers alone.", OTHER)
    sizes = [kernel.shape for kernel in kernels if kernel is not None]
    widths = [sizes[0][1], *(size[0] for size in sizes)]
    if max(widths[1:-1]) > MOST_UNITS:
        raise DataError(f"{path} has layers of more than {MOST_UNITS} units.", OTHER)
    return widths


def _shape(path: Path, pixels: int) -> DataShape:
    for channels in (1, 3):
        side = math.isqrt(pixels // channels)
        if channels * side * side == pixels and side >= 4:
            return DataShape(side, side, channels)
    raise DataError(
        f"{path} ends in {pixels} numbers, which are no square picture, grey or in colour.",
        "Name the generator's file.",
    )


def _critic(
    path: Path, values: Mapping[str, Any], shape: DataShape, wgan: bool
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The options that the discriminator's weights tell, and these, by our names."""
    weights = read_state_dict(path)
    found = {"hidden_d": ",".join(map(str, _widths(path, layers_of(weights))[1:-1]))}
    with torch.device("meta"):
        network = Discriminator(GANConfig(**{**values, **found}), shape)
    tensors = renamed(path, weights, network)
    if wgan:  # whose critic is low on real pictures
        last = f"main.{len(network.main) - 1}"
        tensors |= {f"{last}.{part}": -tensors[f"{last}.{part}"] for part in ("weight", "bias")}
    return found, tensors
