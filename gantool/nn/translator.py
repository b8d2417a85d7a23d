"""What the networks that turn one picture into another have in common: any size, noise by dropout, two ways to use."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gantool.family import TestMode
from gantool.nn.inference import fold_norms

Noise = Sequence[Tensor]
Options = dict[str, int | float | str | bool]


class Translator(nn.Module, ABC):
    """A network from pictures (N, inputs, H, W) to pictures (N, outputs, H, W), both in [-1, 1].

    The noise of pix2pix is dropout (Isola et al. 2017, section 2.1). Here it is an input: `forward` takes the numbers
    that decide what is dropped, so that whoever calls also seeds them, and without them nothing is dropped.

    Attributes:
        inputs, outputs: channels.
        multiple: sides are mirrored up to a multiple of this, and what comes out is cut back.
        least: the shortest side that they are mirrored up to.
        dropout: the share of values that is dropped where there is noise.
        options: what to give the class to build the same network again.
    """

    def __init__(
        self, inputs: int, outputs: int, multiple: int, dropout: float, **options: int | float | str | bool
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.multiple, self.dropout = inputs, outputs, multiple, dropout
        self.least = multiple
        self.options: Options = {"inputs": inputs, "outputs": outputs, "dropout": dropout, **options}

    def noise_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """(C, h, w) of the numbers that a picture of that size takes, in the order of their use; [] without dropout."""
        if not self.dropout:
            return []
        return self.places(*(grown(side, self.multiple, self.least) for side in (height, width)))

    @abstractmethod
    def places(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """(C, h, w) of what dropout is applied to, in order, for sides that are multiples."""

    @abstractmethod
    def body(self, x: Tensor, noise: Noise | None) -> Tensor:
        """The network itself, on sides that are multiples."""

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W), in [-1, 1].

        Args:
            x: pictures of any size.
            noise: numbers from U[0, 1) of the shapes `noise_shapes`, (N, C, h, w) each; None drops nothing.
        """
        height, width = x.shape[-2:]
        return self.body(mirrored(x, self.multiple, self.least), noise if self.dropout else None)[..., :height, :width]

    def tested(self, mode: TestMode) -> Tested:
        """A copy of the network to be used in that way; this one stays as it is, and so does its mode."""
        return Tested(self, mode)


class Tested(nn.Module):
    """A trained translator, ready to be used on one picture or many, each as if it were alone.

    "paper": batch norm takes the statistics of the picture, as the authors' code does that tests one picture at a time
    in training mode, and dropout is at work. "eval": batch norm takes what was gathered in training (and is then part
    of the convolution before it), and nothing is dropped.
    """

    def __init__(self, network: Translator, mode: TestMode) -> None:
        super().__init__()
        self.network, self.mode = copy.deepcopy(network).eval().requires_grad_(False), mode
        if mode == "eval":
            fold_norms(self.network)
        else:
            picture_norms(self.network)
        if all(weight.device.type == "cpu" for weight in self.network.parameters()):
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """As `Translator.forward`, without noise."""
        result: Tensor = self.network(x)
        return result

    def translate(self, images: Tensor, seeds: Sequence[int] = ()) -> Tensor:
        """See `gantool.family.Translates.translate`."""
        noise = None
        if self.mode == "paper":
            noise = seeded(self.network.noise_shapes(*images.shape[-2:]), seeds or [0] * len(images), images)
        result: Tensor = self.network(images, noise)
        return result


def seeded(shapes: Sequence[tuple[int, int, int]], seeds: Sequence[int], like: Tensor) -> list[Tensor]:
    """Numbers from U[0, 1) of these shapes for each seed, (len(seeds), *shape); the same on every device."""
    rows: list[list[Tensor]] = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        rows.append([torch.rand(shape, generator=generator) for shape in shapes])
    return [torch.stack(parts).to(like) for parts in zip(*rows, strict=True)]


def drawn(shapes: Sequence[tuple[int, int, int]], count: int, draw: Callable[..., Tensor]) -> list[Tensor]:
    """Numbers of these shapes for `count` pictures, from `draw(count, C, h, w)`."""
    return [draw(count, *shape) for shape in shapes]


def drop(x: Tensor, noise: Tensor, share: float) -> Tensor:
    """Dropout (Srivastava et al. 2014) by given numbers from U[0, 1): what is kept is divided by the share kept."""
    return x * (noise >= share).to(x.dtype).div_(1 - share)


def grown(side: int, multiple: int, least: int = 1) -> int:
    """The next multiple that is not below `least`, itself a multiple."""
    return max(least, side + -side % multiple)


def mirrored(x: Tensor, multiple: int, least: int = 1) -> Tensor:
    """(N, C, H, W) with sides `grown` at the right and the bottom, by mirroring as often as it takes."""
    for axis in (-2, -1):
        length = x.shape[axis]
        if (wanted := grown(length, multiple, least)) != length:
            places = torch.arange(wanted, device=x.device) % (2 * length)
            x = x.index_select(axis, torch.where(places < length, places, 2 * length - 1 - places))
    return x


def picture_norms(network: nn.Module) -> None:
    """Make each batch norm take the statistics of the picture alone, in place, with the same gain and shift.

    That is what batch norm in training mode does with a batch of one.
    """
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                alone = nn.InstanceNorm2d(child.num_features, child.eps, affine=child.affine, device="meta")
                alone.weight, alone.bias = child.weight, child.bias
                setattr(module, name, alone)


def norm(kind: str, channels: int) -> nn.Module:
    """A normalisation by its name: "batch"; "instance", without gain and shift; or "none"."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels) if kind == "instance" else nn.Identity()
