"""The pictures on a run's report, and what they measure."""

from __future__ import annotations

import io
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as PillowImage

from gantool.data.decode import Pixels
from gantool.data.image import to_uint8
from gantool.errors import GantoolError
from gantool.family import Reconstructs, SampleRequest
from gantool.tasks import report_page as html

if TYPE_CHECKING:
    from torch import Tensor

    from gantool.engine.model import GanModel

LARGEST_PNG = 200_000  # bytes; a larger picture goes in as JPEG, so that the page stays small
LARGEST_PREVIEW = 120_000  # the same of a preview
DIRECTIONS = 256  # of the patch distance; drawn from seed 0 in every report, so that reports compare
MEASURED = ("Figure", "Mean", "Range", "What it says")


def pictures(model: GanModel, seeds: Sequence[int]) -> list[str]:
    """Picture and reconstruction where the model has them, samples, other sizes, and figures, as HTML."""
    try:
        drawn = model.sample(SampleRequest(seeds)).detach().float().cpu()
        samples = [
            image(pixels, f"Sample of seed {seed}", f"seed {seed}")
            for pixels, seed in zip(to_uint8(drawn), seeds, strict=True)
        ]
    except (GantoolError, ValueError) as error:  # a request the family refuses; NaN in the pictures
        return [html.paragraph(f"No samples could be drawn: {error}", "warn")]
    factor = html.enlargement(*drawn.shape[-2:])
    parts = ["<h3>Samples</h3>", html.figures(samples, factor)]
    if not isinstance(model, Reconstructs):
        return parts
    real, back = (tensor.detach().float().cpu() for tensor in (model.picture(), model.reconstruct()))
    pair = [
        image(to_uint8(real)[0], "The picture that was trained on", "the picture as trained on"),
        image(to_uint8(back)[0], "The reconstruction", "its reconstruction, from the fixed noise"),
    ]
    return [
        html.figures(pair, factor),
        *parts,
        *_other_sizes(model, seeds[0]),
        *_measured(real, back, drawn, seeds),
    ]


def image(pixels: Pixels, alt: str, caption: str, largest: int = LARGEST_PNG) -> html.Image:
    """(H, W, 3) uint8 as PNG, or as JPEG where that takes more than `largest` bytes; the caption says so."""
    picture = PillowImage.fromarray(np.ascontiguousarray(pixels))
    height, width = pixels.shape[:2]
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    kind = "png"
    if buffer.tell() > largest:
        buffer, kind, caption = io.BytesIO(), "jpeg", f"{caption} (compressed as JPEG)"
        picture.save(buffer, "JPEG", quality=90, optimize=True)
    return html.Image(buffer.getvalue(), kind, width, height, f"{alt}, {width} by {height} pixels", caption)


def short(value: float) -> str:
    """A number with three digits."""
    return f"{value:#.3g}".rstrip(".") if value else "0"


def _other_sizes(model: GanModel, seed: int) -> list[str]:
    """One picture wider and one taller than trained; a family may refuse."""
    height, width = model.sample(SampleRequest([seed])).shape[-2:]
    images = []
    for size, word in (((height, round(1.5 * width)), "wider"), ((round(1.5 * height), width), "taller")):
        try:
            pixels = to_uint8(model.sample(SampleRequest([seed], size)))[0]
        except (GantoolError, ValueError):
            continue
        caption = f"seed {seed}, half again {word}: {size[1]} × {size[0]} pixels"
        images.append(image(pixels, f"A sample {word} than the picture", caption))
    return (
        ["<h3>Other sizes than the one trained on</h3>", html.figures(images, html.enlargement(height, width))]
        if images
        else []
    )


def _measured(real: Tensor, back: Tensor, drawn: Tensor, seeds: Sequence[int]) -> list[str]:
    """Patch distance, diversity and the error of the reconstruction, each with a sentence."""
    height, width = real.shape[-2:]
    error = 127.5 * float((back - real).double().square().mean().sqrt())
    rows = [
        *_patch_rows(real, drawn),
        *_diversity_row(real, drawn),
        _row("Reconstruction error", [error], "Root mean square, in grey levels of 0 to 255; 0 is exact."),
    ]
    which = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    protocol = (
        f"Protocol: {len(seeds)} sample{'s' * (len(seeds) > 1)} of {which}, {width} × {height} pixels; 7×7 "
        f"patches, {DIRECTIONS} directions from seed 0, × 1000; mean, least and most over the samples. "
        "Diversity reads low with few samples: by about 10 % with 8."
    )
    yardstick = (
        "For orientation: published samples of SinGAN measure 31 and of GPNN 19 in patch SWD (one sample of "
        "each of 16 pictures about 250 pixels wide, mean over pictures and the three sizes). The figure "
        f"depends on the size and the content of the picture: the ones above, at {width} × {height}, compare "
        "with runs on the same picture at the same size, and only roughly with those. A low distance together "
        "with a diversity near 0 means that the picture is copied."
    )
    table = html.table(MEASURED, rows, numbers=(1, 2))
    return ["<h3>Measured</h3>", table, html.paragraph(protocol, "soft"), html.paragraph(yardstick, "soft")]


def _row(name: str, values: Sequence[float], meaning: str) -> html.Row:
    spread = f"{short(min(values))} to {short(max(values))}" if len(values) > 1 else ""
    return html.Row([name, short(fmean(values)), spread, meaning])


def _patch_rows(real: Tensor, drawn: Tensor) -> list[html.Row]:
    """Three sizes; the full one alone where a quarter of the picture holds no patch; none for tiny ones."""
    from gantool.metrics.single_image import patch_swd, patch_swd_pyramid

    near = "Distance of the samples' patches from the picture's; lower is closer, 0 is a copy"
    samples = [drawn[i : i + 1] for i in range(len(drawn))]
    try:
        sizes = list(zip(*(patch_swd_pyramid(real, one, directions=DIRECTIONS) for one in samples), strict=True))
    except ValueError:
        try:
            full = [patch_swd(real, one, directions=DIRECTIONS) for one in samples]
        except ValueError:
            return []
        return [_row("Patch SWD, full size", full, f"{near}. The picture is too small for reduced sizes.")]
    meanings = (
        ("full", f"{near}: texture."),
        ("half", "The same of both reduced by 2: objects."),
        ("quarter", "The same of both reduced by 4: layout."),
    )
    return [_row(f"Patch SWD, {s} size", v, says) for (s, says), v in zip(meanings, sizes, strict=True)]


def _diversity_row(real: Tensor, drawn: Tensor) -> list[html.Row]:
    from gantool.metrics.single_image import diversity

    says = "Spread of a pixel over the samples, relative to the spread inside the picture; 0: all are the same."
    try:
        return [_row("Diversity", [diversity(drawn, real)], says)]
    except ValueError:  # one sample only, or a picture of one grey
        return []
