"""Content losses: how far pictures are from others in the features of a fixed classifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantool.data.state_dicts import read_by_name
from gantool.nn.vgg import VggFeatures, blank_vgg
from gantool.weights.catalogue import get
from gantool.weights.store import Found, MissingWeights, describe, find

VGG = "vgg19"  # its name in the catalogue
LAYERS = {"vgg22": (2, 2), "vgg54": (5, 4)}  # i and j of phi_{i,j}; the paper's SRGAN-VGG22 and SRGAN-VGG54
SCALE = 1 / 12.75  # of the features, which "is equivalent to" about 0.006 on their MSE


def find_vgg(weights: str | Path | None = None) -> Found:
    """The file of VGG19's weights, hashed.

    Args:
        weights: a file of one's own; None takes the one in the store (`gantool weights`).

    Raises:
        MissingWeights: there is none; the message says what to do.
        DataError: the file cannot be read, is damaged, or is another network's.
    """
    if weights is not None:
        return find(Path(weights), wanted=VGG)
    try:
        return find(VGG)
    except MissingWeights as error:
        published = get(VGG)
        raise MissingWeights(
            "The content loss compares features of VGG19, whose weights are not on this machine:"
            f" {describe(published)}, published at {published.url}.",
            f"`gantool weights fetch {VGG}` downloads them, `gantool weights import FILE` takes in a file that you"
            " bring, and `--content mse` does without (the paper's SRGAN-MSE).",
        ) from error


def vgg_features(layer: str, weights: str | Path | None = None, *, device: torch.device | str = "cpu") -> VggFeatures:
    """The network of a content loss.

    Args:
        layer: a key of `LAYERS`.
        weights: as of `find_vgg`.
        device: where it works.

    Raises:
        DataError: as of `find_vgg`, or weights that do not fit.
    """
    path = find_vgg(weights).path
    return VggFeatures(read_by_name(path), *LAYERS[layer], source=str(path)).to(device)


def blank_features(layer: str) -> nn.Module:
    """The same network without values, to count what it costs."""
    return blank_vgg(*LAYERS[layer])


def content_loss(features: Callable[[Tensor], Tensor], fake: Tensor, real: Tensor, *, scale: float = SCALE) -> Tensor:
    """Mean squared difference of features that are multiplied by `scale` (Ledig et al. 2017, eq. 5 and sec. 3.2).

    Args:
        features: pictures to features (N, C, h, w), such as `VggFeatures`.
        fake: (N, 3, H, W) in [-1, 1]; gradients go here only.
        real: (N, 3, H, W) in [-1, 1], what they should be.
        scale: 1/12.75 for VGG19, so that the loss is about as large as the MSE of pixels.
    """
    with torch.no_grad():
        wanted = features(real)
    return F.mse_loss(features(fake), wanted) * scale**2  # the one number, not the features: they are many
