"""What a trained ConSinGAN is used for beside samples: pictures repainted, enlarged, and tuned to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from gantool.data.image import Picture, to_tensor
from gantool.data.single_image import FineTuning, SingleImage
from gantool.errors import ConfigError, DataError, UsageError
from gantool.family import InjectRequest, SuperResolveRequest
from gantool.nn.norm import untracked
from gantool.nn.resize import resize_single_image
from gantool.nn.single_image import as_grey_as, check_start

if TYPE_CHECKING:
    from gantool.families.consingan.model import ConSinGAN

GUIDE = "guide"  # the buffer that only fine-tuning has


@torch.no_grad()
def repaint(model: ConSinGAN, request: InjectRequest, noise: float = 0.0) -> Tensor:
    """The request's picture as the generator paints it, (1, 3, H, W) in [-1, 1].

    It goes in at the coarsest stage, shrunk to that size; the stages above keep the reconstruction's noise. So what
    it shows below the coarsest stage's resolution is lost (the official evaluation; `--min-size` decides).

    Args:
        noise: standard deviation of what is added to the shrunk picture, drawn from the request's seed.

    Raises:
        UsageError: the request names another stage.
        ValueError: the picture has another size than `model.picture()`.
    """
    check_start(request.start_scale, model.injection_scales)
    if request.image.shape != model.picture().shape:
        raise ValueError(f"expected {tuple(model.picture().shape)}, got {tuple(request.image.shape)}")
    sizes = model.sizes[: model.depth]
    coarse = resize_single_image(request.image.to(model.real), size=sizes[0])
    if noise:
        coarse = coarse + noise * model.seeded(0, sizes[0], torch.Generator().manual_seed(request.seed))
    above = [model.fixed_noise(k) for k in range(1, model.depth)]
    return as_grey_as(model.real, model._generate([coarse, *above], sizes))


@torch.no_grad()
def super_resolve(model: ConSinGAN, request: SuperResolveRequest) -> Tensor:
    """The reconstruction enlarged, (1, 3, int(factor H), int(factor W)) in [-1, 1].

    The last stage is applied again to its own features, each time about 1.26 times larger and with new noise of its
    amplitude; then the tail paints (the author's suggestion in issue 6 of the official repository, untried there).
    By itself that drifts: contrast and colour grow with every step. So after each the features get back what they
    showed at the size trained on, by back-projection (Irani and Peleg 1991): they differ in detail only.

    Needs memory for some five feature maps of the result: measured on a CPU, 1.4 GB for a megapixel with 64 channels;
    with batch norm, which must see the whole map at once, 2.3 GB.

    Raises:
        UsageError: the factor is not above 1, or the model has one stage, which does not enlarge.
    """
    if not 1 < request.factor < math.inf:
        raise UsageError(f"Enlarging by {request.factor:g} is none.", "Use a factor above 1.")
    if model.depth < 2:
        raise UsageError("A model of one stage does not enlarge.", "Train with --stages 2 or more.")
    g, sizes, last = model.generator, model.sizes[: model.depth], model.depth - 1
    noises = [model.fixed_noise(k) for k in range(model.depth)]
    choices = torch.Generator().manual_seed(request.seed)
    with untracked(g):
        x = trained = g.features(noises, model.noise_amps, sizes, g.feature_boxes(sizes, None))
        size = sizes[-1]
        for target in enlarged_sizes(size, request.factor):
            x, size = g.enlarge(x, size, model.seeded(last, target, choices), model.noise_amps[last], target), target
            lost = trained - F.interpolate(x, sizes[-1], mode="bicubic", antialias=True)
            x += F.interpolate(lost, size, mode="bicubic")
        picture = g.paint(x, size, ((0, size[0]), (0, size[1])))
    return as_grey_as(model.real, picture)


def enlarged_sizes(size: tuple[int, int], factor: float) -> list[tuple[int, int]]:
    """The sizes on the way to `factor` times `size`: equal steps, as near to the cube root of 2 as they can be.

    The number of steps is SinGAN's (Shaham et al. 2019, super-resolution): six for a factor of 4.
    """
    steps = max(1, round(3 * math.log2(factor)))
    height, width = size
    middle = [(int(height * factor ** (i / steps)), int(width * factor ** (i / steps))) for i in range(1, steps)]
    return [*middle, (int(height * factor), int(width * factor))]


def begin_fine_tuning(model: ConSinGAN, data: SingleImage) -> None:
    """Load the trained model, and keep the second picture at the size of the coarsest stage.

    Raises:
        ConfigError: `data` is no FineTuning with a second picture, or the model was trained with other options.
        DataError: the second picture has another size than the picture.
    """
    if not isinstance(data, FineTuning) or data.guide is None:
        raise ConfigError(
            "Fine-tuning needs a trained model and a second picture.",
            "Train without --fine-tune first; fine-tuning begins with that run.",
        )
    weights = {name: value for name, value in data.weights.items() if name != GUIDE}
    try:
        missing, unknown = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # another shape
        raise _does_not_fit(str(error).splitlines()[-1].strip()) from error
    if set(missing) != {GUIDE} or unknown:
        raise _does_not_fit(f"{[*unknown, *(name for name in missing if name != GUIDE)][0]} is in one of them only.")
    model.reals.clear()
    finest = _as_the_picture(model, data.guide, data.source).to(model.real)
    model.get_buffer(GUIDE).copy_(resize_single_image(finest, size=model.sizes[0]))


def _does_not_fit(reason: str) -> ConfigError:
    return ConfigError(
        f"The model to tune does not fit these options: {reason}",
        "Use the options that it was trained with, and a run that is finished.",
    )


def _as_the_picture(model: ConSinGAN, guide: Picture, source: Picture) -> Tensor:
    """The guide at the finest stage, (1, 3, H, W): shrunk as the picture was, or of that size already."""
    size = (guide.height, guide.width)
    if size == (source.height, source.width):
        return resize_single_image(to_tensor(guide.pixels), scale=model.pyramid.first_scale)
    if size == model.sizes[-1]:
        return to_tensor(guide.pixels)
    raise DataError(
        f"{guide.path} is {guide.width}x{guide.height} pixels; the picture is {source.width}x{source.height}.",
        "Make both the same size.",
    )
