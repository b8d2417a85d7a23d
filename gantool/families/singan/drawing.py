"""What a trained SinGAN draws: samples, films, repainted pictures, enlargements (section 4 of the paper)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from gantool.engine.model import GanModel
from gantool.errors import DataError
from gantool.families.singan.chain import climb, enlarge
from gantool.families.singan.config import SinGANConfig
from gantool.families.singan.networks import Generator, crop_margin
from gantool.families.singan.pyramid import Size, enlarging_steps, make_pyramid, pyramid_of_sizes
from gantool.family import AnimateRequest, DataShape, InjectRequest, SampleRequest, SuperResolveRequest
from gantool.nn.norm import evaluating
from gantool.nn.resize import resize_single_image
from gantool.nn.single_image import as_grey_as, check_start, noise_walk

LEAST_STEP = 1.15  # of an enlargement that sets the scales
FIRST_STEP = 0.05  # share of fresh noise in the first step of a film's walk, as published


class SinGANDrawing(GanModel):
    """A pyramid of generators and what comes out of it.

    Buffers: `real`, the picture of the finest scale's size (1, 3, H, W) in [-1, 1]; `noise_amps` (scales,); `z_opt`,
    the noise at the coarsest scale that gives the picture back, with its margin (1, 3, h + 10, w + 10); above, that
    noise is zero; `centers`, the colours (quantize, 3) that a retrained scale is given.
    """

    def __init__(self, config: SinGANConfig, shape: DataShape) -> None:
        super().__init__(config, shape)
        c = self.config = config
        self.margin = c.layers
        size = (shape.height, shape.width)
        if c.sizes is not None:
            self.pyramid = pyramid_of_sizes(c.sizes)
            if c.scale_factor is not None:
                self.pyramid = replace(self.pyramid, factor=c.scale_factor)
        else:
            asked = c.scale_factor
            if asked is None:
                step = enlarging_steps(c.factor)[1] if c.mode == "superres" else 1.0
                asked = 1 / step if step > LEAST_STEP else 0.75  # a factor just above 1 would make hundreds of scales
            self.pyramid = make_pyramid(size, c.coarsest, c.max_size, asked, enlarging=c.mode == "superres")
        self.sizes: list[Size] = list(self.pyramid.sizes)
        if min(map(min, self.sizes)) < c.field:
            h, w = self.sizes[0]
            raise DataError(
                f"The picture is {w}x{h} pixels at its coarsest scale; the discriminator needs {c.field} a side.",
                "Use a larger picture, or raise --max-size if the picture is long and thin.",
            )
        if c.only_scale is not None and c.only_scale >= len(self.sizes):
            raise DataError(
                f"There is no scale {c.only_scale}: this picture has {len(self.sizes)}, counted from 0.",
                f"Use 0 to {len(self.sizes) - 1}.",
            )
        self.generators = nn.ModuleList()
        self.register_buffer("real", torch.zeros(1, 3, *self.sizes[-1]))
        self.register_buffer("noise_amps", torch.ones(len(self.sizes)))
        self.register_buffer("z_opt", torch.zeros(1, 3, *(side + 2 * self.margin for side in self.sizes[0])))
        self.register_buffer("centers", torch.zeros(c.quantize, 3))
        self.real: Tensor
        self.noise_amps: Tensor
        self.z_opt: Tensor
        self.centers: Tensor
        self.initial_seed = int(torch.randint(2**48, ()))
        self.reals: dict[int, Tensor] = {}
        self._reconstructed: Tensor | None = None  # of the scale below the newest, enlarged

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.real.device

    @property
    def depth(self) -> int:
        """Scales built so far."""
        return len(self.generators)

    # --- the picture and its noise ----------------------------------------------------------------------

    def take_picture(self, picture: Tensor) -> None:
        """Keep a picture (1, 3, H, W), as read, as what all scales are resized from."""
        scale = self.pyramid.first_scale
        self.real.copy_(resize_single_image(picture.to(self.real), scale=scale))

    def real_at(self, k: int) -> Tensor:
        """The picture at scale k, (1, 3, h, w).

        As published the finest one is resized, too, by 1: its levels are truncated once more. A picture that came
        with its sizes has that behind it.
        """
        if k not in self.reals:
            finest = len(self.sizes) - 1
            scale = self.pyramid.factor ** (finest - k)
            if self.config.sizes is None:
                self.reals[k] = resize_single_image(self.real, scale=scale)
            elif k == finest:
                self.reals[k] = self.real
            else:
                levels = self.real + 1 / 255  # half a level more, so that truncating leaves them as they are
                smaller = resize_single_image(levels, scale=scale)
                fits = smaller.shape[2:] == self.sizes[k]
                self.reals[k] = smaller if fits else resize_single_image(levels, size=self.sizes[k])
        return self.reals[k]

    def picture(self) -> Tensor:
        """The picture at the newest scale."""
        return self.real_at(self.depth - 1)

    def _noise_size(self, size: Size) -> Size:
        """Films have noise on the margin, too, which else is zero."""
        extra = 2 * self.margin if self.config.mode == "animation" else 0
        return (size[0] + extra, size[1] + extra)

    def _padded(self, noise: Tensor) -> Tensor:
        """Noise of `_noise_size` with 1 or 3 channels to (N, 3, h + 2 margin, w + 2 margin)."""
        if self.config.mode != "animation":
            noise = nn.functional.pad(noise, (self.margin,) * 4)
        return noise.expand(-1, 3, -1, -1)

    def _seeded(self, channels: int, size: Size, generator: torch.Generator) -> Tensor:
        # Drawn on the CPU, so that a seed means the same picture on every device.
        noise = torch.randn((1, channels, *self._noise_size(size)), generator=generator)
        return self._padded(noise.to(self.real))

    def _fixed_noises(self, count: int, sizes: Sequence[Size] | None = None) -> list[Tensor]:
        """The reconstruction's noise of the `count` coarsest scales; at other sizes that of scale 0 is repeated."""
        sizes = self.sizes if sizes is None else sizes
        shapes = [[side + 2 * self.margin for side in size] for size in sizes[:count]]
        noises = [self.real.new_zeros(1, 3, *shape) for shape in shapes]
        noises[0] = self.z_opt
        if sizes[0] != self.sizes[0]:
            inner = self.z_opt if self.config.mode == "animation" else crop_margin(self.z_opt, self.margin)
            height, width = self._noise_size(sizes[0])
            rows = torch.arange(height, device=self.device) % inner.shape[2]
            columns = torch.arange(width, device=self.device) % inner.shape[3]
            noises[0] = self._padded(inner[:, :, rows][:, :, :, columns])
        return noises

    # --- samples and films ------------------------------------------------------------------------------

    def sizes_for(self, size: Size | None) -> list[Size]:
        """Sizes of the scales that end in `size`; all scale along, rounded, as published."""
        own = self.sizes[: self.depth]
        if size is None or size == own[-1]:
            return own
        down, across = size[0] / own[-1][0], size[1] / own[-1][1]
        return [*((max(1, round(h * down)), max(1, round(w * across))) for h, w in own[:-1]), size]

    @torch.no_grad()
    def _draw(self, noises: Sequence[Tensor], sizes: Sequence[Size], below: Tensor | None = None) -> Tensor:
        """A picture from the noises of the finest len(noises) scales, in [-1, 1]."""
        first, factor = self.depth - len(noises), self.pyramid.factor
        if below is None:
            below = self.real.new_zeros(1, 3, *sizes[0])
        generators, amps = self._scales(first, self.depth), self.noise_amps[first : self.depth].unbind()
        with evaluating(self.generators):
            out = climb(generators, amps, noises, factor, below, sizes)
        return as_grey_as(self.real, out.clamp(-1, 1))

    def _scales(self, first: int, stop: int) -> list[Generator]:
        return cast("list[Generator]", list(self.generators)[first:stop])

    def reconstruct(self) -> Tensor:
        """The picture as the generators give it back, (1, 3, h, w), at the newest scale."""
        return self._draw(self._fixed_noises(self.depth), self.sizes[: self.depth])

    def sample(self, request: SampleRequest) -> Tensor:
        """Pictures (N, 3, H, W); scales below `start_scale` keep the reconstruction's noise."""
        sizes, start = self.sizes_for(request.size), request.start_scale
        check_start(start, self.animation_scales)
        pictures = []
        for seed in request.seeds:
            generator = torch.Generator().manual_seed(seed)
            noises = [self._seeded(3 if k else 1, size, generator) for k, size in enumerate(sizes)]
            if start:
                noises[:start] = self._fixed_noises(start, sizes)
            pictures.append(self._draw(noises, sizes))
        return torch.cat(pictures)

    @property
    def animation_scales(self) -> range:
        """Where a walk, or randomness, may begin."""
        return range(self.depth)

    def animate(self, request: AnimateRequest) -> Iterator[Tensor]:
        """Frames (1, 3, H, W) along a random walk with momentum around the reconstruction's noise."""
        sizes = self.sizes_for(request.size)
        check_start(request.start_scale, self.animation_scales)
        generator = torch.Generator().manual_seed(request.seed)

        def draws() -> Iterator[list[Tensor]]:
            while True:
                yield [self._seeded(3 if k else 1, size, generator) for k, size in enumerate(sizes)]

        fixed = self._fixed_noises(self.depth, sizes)
        walk = noise_walk(fixed, draws(), request.alpha, request.beta, request.start_scale, FIRST_STEP)
        for _, noises in zip(range(request.frames), walk, strict=False):
            yield self._draw(noises, sizes)

    # --- pictures of the user's -------------------------------------------------------------------------

    @property
    def injection_scales(self) -> range:
        """The coarsest one has nothing below it that a picture could stand for."""
        return range(1, self.depth)

    def inject(self, request: InjectRequest) -> Tensor:
        """Repaint a picture from scale n on: shrunk to scale n - 1, enlarged to n, and handed up with fresh noise.

        Raises:
            UsageError: a scale that there is not.
            ValueError: the picture has another size than `picture()`.
        """
        n = request.start_scale
        check_start(n, self.injection_scales)
        if request.image.shape != self.picture().shape:
            raise ValueError(f"expected {tuple(self.picture().shape)}, got {tuple(request.image.shape)}")
        image = request.image.to(self.real)
        if n == self.config.only_scale and self.config.quantize:  # as published: its colours first, then straight to n
            below = resize_single_image(self._reduced(image), size=self.sizes[n])
        else:
            below = self.injected(image, n)
        generator = torch.Generator().manual_seed(request.seed)
        sizes = self.sizes[n : self.depth]
        noises = [self._seeded(3, size, generator) for size in sizes]
        return self._draw(noises, sizes, below)

    def injected(self, image: Tensor, n: int) -> Tensor:
        """What scale n is given of a picture of full size: (1, 3, h, w), without detail finer than scale n - 1."""
        (h, w), factor = self.sizes[n - 1], self.pyramid.factor
        down = resize_single_image(image, scale=factor ** (self.depth - n))[:, :, :h, :w]
        return enlarge(down, factor, self.sizes[n])

    harmonize = edit = paint = inject

    def super_resolve(self, request: SuperResolveRequest) -> Tensor:
        """The picture enlarged by applying the finest generator again and again, about 1.26 times larger each time."""
        steps, scale = enlarging_steps(request.factor)
        below = resize_single_image(self.picture(), scale=scale)
        shapes: list[Size] = [(below.shape[2], below.shape[3])]
        factor = 1 / scale
        for _ in range(steps - 1):
            height, width = shapes[-1]
            shapes.append((math.ceil(height * (1 / factor)), math.ceil(width * (1 / factor))))
        generator = torch.Generator().manual_seed(request.seed)
        noises = [self._seeded(3 if i else 1, shape, generator) for i, shape in enumerate(shapes)]
        finest, amp = self._scales(self.depth - 1, self.depth), self.noise_amps[self.depth - 1]
        with evaluating(self.generators), torch.no_grad():
            out = climb(finest * steps, [amp] * steps, noises, factor, below, [None] * steps)
        height, width = (int(request.factor * side) for side in self.picture().shape[2:])
        return as_grey_as(self.real, out[:, :, :height, :width].clamp(-1, 1))

    def _reduced(self, pictures: Tensor) -> Tensor:
        """With the few colours of a painting, when that is what the scale is trained for."""
        if not self.config.quantize:
            return pictures
        from gantool.data.quantize import to_palette

        rows = self.config.quantize_rows
        return torch.cat(
            [to_palette(picture, self.centers.cpu().double().numpy(), rows) for picture in pictures[:, None]]
        )
