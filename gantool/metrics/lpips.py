"""LPIPS v0.1: a learned perceptual distance between pictures, on the features of a published classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from gantool.data.state_dicts import read_by_name
from gantool.errors import DataError
from gantool.metrics.pairs import PairMean, random_pairs
from gantool.nn.backbone import convolutions, fits
from gantool.nn.inference import exact
from gantool.nn.vision import models


@dataclass(frozen=True)
class Backbone:
    """A network of torchvision and where LPIPS looks into it.

    Attributes:
        title: as its authors call it.
        build: makes it; its convolutional part is `features`.
        ends: the layers of `features` before which the compared ones end.
        channels: of the compared layers.
        least: side of the smallest picture that reaches the last of them, in pixels.
    """

    title: str
    build: Callable[..., nn.Module]
    ends: tuple[int, ...]
    channels: tuple[int, ...]
    least: int


BACKBONES = {
    "alex": Backbone("AlexNet", models.alexnet, (2, 5, 8, 10, 12), (64, 192, 384, 256, 256), 31),
    "vgg": Backbone("VGG16", models.vgg16, (4, 9, 16, 23, 30), (64, 128, 256, 512, 512), 16),
    "squeeze": Backbone(
        "SqueezeNet 1.1", models.squeezenet1_1, (2, 5, 8, 10, 11, 12, 13), (64, 128, 256, 384, 384, 512, 512), 17
    ),
}
EPS = 1e-10
# Of pictures in [-1, 1], so that the classifier sees what it was trained on: (x - shift) / scale.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    """The distance under one network, with fixed weights; gradients reach the pictures.

    "alex" is the one to report, "vgg" is common as a loss. Figures of different networks cannot be compared.

    Args:
        net: "alex", "vgg" or "squeeze".
        backbone: torchvision's state_dict of AlexNet, VGG16 or SqueezeNet 1.1, whole or of its `features.` only.
        heads: lin0.model.1.weight (1, C, 1, 1) and so on: the published weights of each layer's channels.
        names: what to call the two in errors.

    Raises:
        DataError: weights that do not fit the network.
        ValueError: another `net`.

    Source: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", Sec. 3,
    in version 0.1 of its code, which scales its input.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        net: str,
        backbone: Mapping[str, Tensor],
        heads: Mapping[str, Tensor],
        *,
        names: tuple[str, str] = ("The backbone's state_dict", "The heads' state_dict"),
    ) -> None:
        super().__init__()
        if net not in BACKBONES:
            raise ValueError(f"net is one of {', '.join(BACKBONES)}, got {net!r}")
        self.net = net
        self.backbone = BACKBONES[net]
        what = f"torchvision's {self.backbone.title}"
        self.features = convolutions(self.backbone.build, self.backbone.ends[-1], backbone, names[0], what)
        self.heads = nn.ParameterList(_heads(self.backbone, heads, names[1]))
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    @classmethod
    def from_files(cls, net: str, backbone: Path, heads: Path, *, device: torch.device | str = "cpu") -> Lpips:
        """Read torchvision's weights (such as alexnet-owt-7be5be79.pth) and the heads (alex.pth of LPIPS v0.1).

        Args:
            net: "alex", "vgg" or "squeeze".
            backbone, heads: files of PyTorch.
            device: where to compute.

        Raises:
            DataError: a file is missing, unreadable or of something else.
        """
        return cls(net, read_by_name(backbone), read_by_name(heads), names=(str(backbone), str(heads))).to(device)

    def layers(self, pictures: Tensor) -> list[Tensor]:
        """The features (N, C, h, w) of the compared layers, of pictures (N, 3, H, W) in [-1, 1]."""
        x = (pictures - self.shift) / self.scale
        found = []
        for start, end in pairwise((0, *self.backbone.ends)):
            x = self.features[start:end](x)
            found.append(x)
        return found

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (N,) of the pictures a to b, both (N, 3, H, W) in [-1, 1]; 0 for equal.

        Computed on the module's device and in its type, wherever the pictures are.

        Raises:
            DataError: sizes differ, or are below 31 pixels (AlexNet), 16 (VGG16) or 17 (SqueezeNet).
            ValueError: another shape or type.
        """
        for x in (a, b):
            if x.ndim != 4 or x.shape[1] != 3 or not x.is_floating_point():
                raise ValueError(f"pictures are (N, 3, H, W), floating, got {tuple(x.shape)} of {x.dtype}")
        if len(a) != len(b):
            raise ValueError(f"as many pictures of each, got {len(a)} and {len(b)}")
        _same_size(a, b)
        height, width = a.shape[2:]
        if min(height, width) < self.backbone.least:
            raise DataError(
                f"LPIPS on {self.backbone.title} takes pictures of {self.backbone.least} pixels or more,"
                f" these have {width}x{height}.",
                "Take another network (VGG16 takes 16 pixels), or compare larger pictures.",
            )
        return layer_distances(self.layers(a.to(self.shift)), self.layers(b.to(self.shift)), list(self.heads)).sum(0)

    forward = distance

    @exact()
    def pairwise_mean(
        self, pictures: Tensor | Sequence[Tensor], *, pairs: int, seed: int = 0, batch: int = 8
    ) -> PairMean:
        """Mean distance between samples of one generator: near 0, it makes the same picture again and again.

        Args:
            pictures: N of (3, H, W) in [-1, 1], of one size, read as they are needed; a tensor (N, 3, H, W) will do.
            pairs: so many different random pairs; all of them where there are no more.
            seed: of the pairs.
            batch: pairs at once.

        Raises:
            DataError: fewer than two pictures, or sizes that differ or are too small.
            ValueError: `pairs` below 1.
        """
        if len(pictures) < 2:
            raise DataError(
                f"Differences between samples take two or more, not {len(pictures)}.", "Give more pictures."
            )
        size = pictures[0]
        chosen = random_pairs(len(pictures), pairs, seed)
        distances = []
        for start in range(0, len(chosen), batch):
            a, b = ([pictures[i] for i in part] for part in chosen[start : start + batch].T.tolist())
            for picture in a + b:
                _same_size(size, picture)
            distances.append(self.distance(torch.stack(a), torch.stack(b)).double().cpu())
        return PairMean(torch.cat(distances).mean().item(), len(chosen))


def layer_distances(a: Sequence[Tensor], b: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """What each layer adds to the distance, (layers, N).

    Args:
        a, b: features (N, C, h, w) of each layer.
        heads: weights (1, C, 1, 1) of each layer's channels.

    Features are brought to length 1 over their channels at each position; squared differences are weighted, summed
    over channels and averaged over positions. Source: Zhang et al. 2018, eq. 1.
    """
    return torch.stack(
        [
            ((unit_length(x) - unit_length(y)).square() * head).sum(1).mean((1, 2))
            for x, y, head in zip(a, b, heads, strict=True)
        ]
    )


def unit_length(features: Tensor) -> Tensor:
    """Features (N, C, h, w) divided by their Euclidean norm over channels + 1e-10."""
    norm: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (norm + EPS)


def _heads(backbone: Backbone, state: Mapping[str, Tensor], name: str) -> list[nn.Parameter]:
    heads = []
    for layer, channels in enumerate(backbone.channels):
        key = f"lin{layer}.model.1.weight"
        found = fits(state.get(key), (1, channels, 1, 1), key, name, f"LPIPS's heads of {backbone.title}")
        heads.append(nn.Parameter(found.float()))
    return heads


def _same_size(a: Tensor, b: Tensor) -> None:
    if a.shape[-2:] != b.shape[-2:]:
        (height, width), (other_height, other_width) = a.shape[-2:], b.shape[-2:]
        raise DataError(
            f"The pictures have different sizes: {width}x{height} and {other_width}x{other_height} pixels.",
            "LPIPS compares position by position: bring them to one size first.",
        )
