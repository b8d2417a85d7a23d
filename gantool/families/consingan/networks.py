"""ConSinGAN's two networks (Hinz et al., WACV 2021, section 3 and the official code).

Parameter names are the official ones (`head.conv.weight`, `body.0.block0.conv.weight`, `tail.0.weight`), so
official weights load without renaming.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantool.nn.init import init_normal
from gantool.nn.resize import Box, bicubic_window, source_window

Activation = Literal["lrelu", "elu", "prelu", "selu"]
Size = tuple[int, int]
STRIP = 128  # rows at a time, of a picture that is enlarged


def make_activation(name: Activation, slope: float) -> nn.Module:
    """The activation by its option name; `slope` is LeakyReLU's (and ELU's alpha)."""
    if name == "lrelu":
        return nn.LeakyReLU(slope, inplace=True)
    if name == "elu":
        return nn.ELU(alpha=slope, inplace=True)
    if name == "prelu":
        return nn.PReLU(init=0.25)
    return nn.SELU(inplace=True)


class ConvBlock(nn.Module):
    """3x3 convolution without padding, batch norm if asked, activation: (N, C, H, W) to (N, C', H-2, W-2)."""

    def __init__(self, inputs: int, outputs: int, activation: nn.Module, batch_norm: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)
        self.norm = nn.BatchNorm2d(outputs) if batch_norm else None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        out: Tensor = self.activation(x)
        return out


class Critic(nn.Module):
    """The patch critic: no norm, no padding, so a map of (H - 10) x (W - 10) scores with 3 layers.

    Each score sees 11 x 11 pixels. 113,153 parameters at 64 channels.
    """

    def __init__(self, channels: int, layers: int, activation: Activation, slope: float) -> None:
        super().__init__()
        self.head = ConvBlock(3, channels, make_activation(activation, slope))
        self.body = nn.Sequential(
            OrderedDict(
                (f"block{i}", ConvBlock(channels, channels, make_activation(activation, slope))) for i in range(layers)
            )
        )
        self.tail = nn.Conv2d(channels, 1, 3)
        self.slope = slope if activation == "lrelu" else None
        init_normal(self)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to a map of scores (N, 1, H - 10, W - 10)."""
        scores: Tensor = self.tail(self.body(self.head(image)))
        return scores

    def input_gradient(self, image: Tensor) -> Tensor:
        """The gradient of the summed score map with respect to the image, (N, 3, H, W), differentiable.

        With LeakyReLU and no norm the critic is piecewise linear: its input gradient is a chain of transposed
        convolutions, masked by the signs of the activations. The signs are constant almost everywhere, so the
        chain has the same value and the same weight gradients as a double backward, as a first-order graph.
        """
        if self.slope is None:
            image = image.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self(image).sum(), image, create_graph=True)
            return gradient
        blocks = [self.head, *self.body]
        activated = []
        with torch.no_grad():
            for block in blocks:
                image = block(image)
                activated.append(image)
        n, _, h, w = image.shape
        ones = image.new_ones((n, 1, h - 2, w - 2))
        gradient = F.conv_transpose2d(ones, self.tail.weight)
        for block, output in zip(reversed(blocks), reversed(activated), strict=True):
            masked = torch.ops.aten.leaky_relu_backward(gradient, output, self.slope, True)
            gradient = F.conv_transpose2d(masked, block.conv.weight)
        return gradient


class Generator(nn.Module):
    """The growing generator: one head, a body stage per scale, one tail. Features, never images, go up.

    Stage 0 sees the head's features of the coarsest noise (or image). Stage k > 0 enlarges the features
    (bicubic, aligned corners), adds noise, and adds its three convolutions to them. What surrounds the picture
    is, with `noisy_border`, a border of enlarged features with noise on it (training modes generation and
    animation), else zeros (retarget, harmonization and editing).

    Args:
        channels: width of all stages.
        layers: convolution blocks a stage.
        noisy_border: see above.
    """

    def __init__(
        self,
        channels: int,
        layers: int,
        activation: Activation,
        slope: float,
        batch_norm: bool,
        noisy_border: bool,
    ) -> None:
        super().__init__()
        self.channels, self.layers, self.noisy_border = channels, layers, noisy_border
        self.batch_norm = batch_norm

        def block(inputs: int) -> ConvBlock:
            return ConvBlock(inputs, channels, make_activation(activation, slope), batch_norm)

        self.head = block(3)
        first = nn.Sequential(OrderedDict((f"block{i}", block(channels)) for i in range(layers)))
        self.body = nn.ModuleList([first])
        self.tail = nn.Sequential(nn.Conv2d(channels, 3, 3), nn.Tanh())
        init_normal(self)

    def grow(self) -> None:
        """Append a stage that starts as a copy of the last one."""
        self.body.append(copy.deepcopy(self.body[-1]))

    # --- geometry ---------------------------------------------------------------------------------------

    def noise_shape(self, stage: int, size: Size) -> tuple[int, int, int]:
        """(channels, height, width) of the noise that stage `stage` takes at picture size `size`."""
        if stage == 0:
            return (3, *size)
        margin = 2 * self.layers if self.noisy_border else 0
        return (self.channels, size[0] + margin, size[1] + margin)

    def feature_boxes(self, sizes: Sequence[Size], crop: Box | None) -> list[Box]:
        """The part of every stage's features that is needed to paint `crop` of the last (None: all of it)."""
        boxes: list[Box] = [((0, h), (0, w)) for h, w in sizes]
        if crop is None:
            return boxes
        rows, cols = (_widen(span, 1, length) for span, length in zip(crop, sizes[-1], strict=True))
        for k in range(len(sizes) - 1, 0, -1):
            boxes[k] = (rows, cols)
            rows, cols = (
                self._source_span(k, span, sizes[k - 1][axis], sizes[k][axis]) for axis, span in enumerate(boxes[k])
            )
        return boxes  # stage 0 is small and always whole

    def _source_span(self, stage: int, span: tuple[int, int], length: int, target: int) -> tuple[int, int]:
        if not self.noisy_border:
            return source_window(length, target, _widen(span, self.layers, target))
        plain = source_window(length, target, span)
        margin = 2 * self.layers
        bordered = source_window(length, target + margin, (span[0], span[1] + margin))
        return min(plain[0], bordered[0]), max(plain[1], bordered[1])

    def noise_box(self, stage: int, box: Box, size: Size) -> Box:
        """The part of stage `stage`'s noise that its feature box needs."""
        if stage == 0:
            return box
        if self.noisy_border:
            rows, cols = ((span[0], span[1] + 2 * self.layers) for span in box)
        else:
            rows, cols = (_widen(span, self.layers, length) for span, length in zip(box, size, strict=True))
        return rows, cols

    # --- forward ----------------------------------------------------------------------------------------

    def first_features(self, noise: Tensor) -> Tensor:
        """Head and stage 0: (N, 3, H, W) to features (N, C, H, W)."""
        x = self.head(F.pad(noise, (1, 1, 1, 1)))
        if self.noisy_border:
            (h, w), pad = x.shape[2:], self.layers - 1
            whole = ((0, h), (0, w))
            x = bicubic_window(x, (h, w), whole, (h + 2, w + 2), ((0, h + 2), (0, w + 2)))
        else:
            pad = self.layers
        out: Tensor = self.body[0](F.pad(x, (pad, pad, pad, pad)))
        return out

    def next_features(
        self, stage: int, x: Tensor, noise: Tensor, amp: Tensor, sizes: Sequence[Size], boxes: Sequence[Box]
    ) -> Tensor:
        """Stage k > 0: the features of stage k - 1 on their box, and noise times `amp`, to features on k's box."""
        low, high, src, out = sizes[stage - 1], sizes[stage], boxes[stage - 1], boxes[stage]
        body = self.body[stage]
        if self.noisy_border:
            margin = 2 * self.layers
            larger = (high[0] + margin, high[1] + margin)
            wide = bicubic_window(x, low, src, larger, self.noise_box(stage, out, high))
            bordered: Tensor = bicubic_window(x, low, src, high, out) + body(torch.addcmul(wide, noise, amp))
            return bordered
        near = self.noise_box(stage, out, high)
        wide = bicubic_window(x, low, src, high, near)
        padded = F.pad(torch.addcmul(wide, noise, amp), _missing(out, near, self.layers))
        top, left = out[0][0] - near[0][0], out[1][0] - near[1][0]
        inner = wide[:, :, top : top + out[0][1] - out[0][0], left : left + out[1][1] - out[1][0]]
        result: Tensor = inner + body(padded)
        return result

    def features(
        self,
        noises: Sequence[Tensor],
        amps: Tensor,
        sizes: Sequence[Size],
        boxes: Sequence[Box],
        start: int = 0,
        x: Tensor | None = None,
    ) -> Tensor:
        """Run stages start .. start + len(noises) - 1. `noises` are unscaled and cut to their noise boxes.

        `amps` (stages,) scales the noise. The scale of stage 0 is never used: its noise goes in as it is.
        """
        for k, noise in enumerate(noises, start):
            if k == 0:
                x = self.first_features(noise)
            elif x is not None:
                x = self.next_features(k, x, noise, amps[k], sizes, boxes)
        if x is None:
            raise ValueError("stages above 0 need the features of the stage below")
        return x

    def enlarge(self, x: Tensor, size: Size, noise: Tensor, amp: Tensor, target: Size) -> Tensor:
        """The last stage once more, at another size: features of `size` to features of `target`, both whole.

        Computed in strips of rows, exactly: beside input, noise and result only a strip is in memory. Batch norm,
        whose statistics are the whole map's, needs it in one piece.
        """
        k, (height, width) = len(self.body) - 1, target
        if k == 0:
            raise ValueError("the first stage does not enlarge")
        sizes, strip = [size] * k + [target], height if self.batch_norm else STRIP
        shape = (x.shape[0], self.channels, *target)
        result = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        for top in range(0, height, strip):
            box: Box = ((top, min(top + strip, height)), (0, width))
            rows, cols = (self._source_span(k, box[axis], size[axis], target[axis]) for axis in (0, 1))
            part = cut_box(noise, self.noise_box(k, box, target))
            boxes = [(rows, cols)] * k + [box]
            cut_box(result, box).copy_(self.next_features(k, cut_box(x, (rows, cols)), part, amp, sizes, boxes))
        return result

    def paint(self, x: Tensor, size: Size, box: Box, crop: Box | None = None) -> Tensor:
        """The tail: features on `box` of a map of `size` to pixels (N, 3, h, w) in [-1, 1] on `crop`."""
        crop = crop or ((0, size[0]), (0, size[1]))
        out: Tensor = self.tail(F.pad(x, _missing(crop, box, 1)))
        return out

    def forward(
        self,
        noises: Sequence[Tensor],
        amps: Tensor,
        sizes: Sequence[Size],
        crop: Box | None = None,
    ) -> Tensor:
        """Noises of all stages (whole, unscaled) to a picture (N, 3, H, W) in [-1, 1], or to a crop of it."""
        boxes = self.feature_boxes(sizes, crop)
        cut = [
            cut_box(noise, self.noise_box(k, box, size))
            for k, (noise, box, size) in enumerate(zip(noises, boxes, sizes, strict=True))
        ]
        return self.paint(self.features(cut, amps, sizes, boxes), sizes[-1], boxes[-1], crop)


def cut_box(x: Tensor, box: Box) -> Tensor:
    """The window `box` of (N, C, H, W)."""
    return x[:, :, box[0][0] : box[0][1], box[1][0] : box[1][1]]


def _widen(span: tuple[int, int], margin: int, length: int) -> tuple[int, int]:
    return max(span[0] - margin, 0), min(span[1] + margin, length)


def _missing(wanted: Box, have: Box, margin: int) -> tuple[int, int, int, int]:
    """Padding (left, right, top, bottom) that completes `have` to `wanted` plus `margin` on each side."""
    (y0, y1), (x0, x1) = wanted
    (v0, v1), (u0, u1) = have
    return u0 - x0 + margin, x1 + margin - u1, v0 - y0 + margin, y1 + margin - v1
