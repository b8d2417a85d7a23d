"""Harmonising, editing and painting: a picture of the user's repainted in the manner of the picture trained on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gantool.data.image import Picture, Pixels, load_picture, save_png, to_tensor, to_uint8
from gantool.data.mask import (
    EDIT_RADIUS,
    HARMONIZE_RADIUS,
    Mask,
    binary_mask,
    blend,
    difference_mask,
    empty_mask,
    fit_mask,
    fit_picture,
    soft_mask,
)
from gantool.data.sheet import contact_sheet
from gantool.engine.devices import enough_memory
from gantool.errors import DataError, UsageError
from gantool.family import Edits, Harmonizes, InjectRequest, Injects, Paints
from gantool.metrics.region import PatchDistance, colour_gap, surroundings
from gantool.nn.resize import resize_single_image
from gantool.nn.single_image import check_start
from gantool.tasks.fitting import check_can
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run
from gantool.tasks.sample import check_folder, check_seeds, new_folder
from gantool.tasks.train import kept_picture

if TYPE_CHECKING:
    from torch import Tensor

    from gantool.engine.model import GanModel

Task = Literal["harmonize", "edit", "paint"]
Keep = Literal["picture", "exact"]
FOLDERS: dict[Task, str] = {"harmonize": "harmonized", "edit": "edited", "paint": "painted"}
RADIUS = {"harmonize": HARMONIZE_RADIUS, "edit": EDIT_RADIUS}
AROUND = 24  # pixels around a region that its colours are compared with
READABLE = 240  # pixels across: smaller pictures are enlarged on the sheet


@dataclass(frozen=True)
class Repainted:
    """What was drawn.

    Attributes:
        results: by start scale, the file.
        sheet: all start scales at a glance; None when one was asked for.
        numbers: one row for what went in ("before") and for each start scale: `colour_gap` of the region to its
            surroundings, `distance` of its patches to the picture's (see gantool.metrics.region).
    """

    folder: Path
    results: dict[int, Path]
    files: tuple[Path, ...]
    sheet: Path | None
    numbers: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Inputs:
    """The user's pictures, all of the size of the picture trained on, as in its file."""

    image: Pixels
    mask: Mask | None


def repaint(
    task: Task,
    run: str | Path | Run,
    picture: str | Path,
    *,
    mask: str | Path | None = None,
    mask_threshold: int = 0,
    start_scale: int | None = None,
    keep_background: Keep = "picture",
    fit: bool = False,
    seed: int = 0,
    background: str = "white",
    to: str | Path | None = None,
    out: str | Path = DEFAULT_OUT,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
    prepared: Callable[[Inputs, Run], Run] = lambda _, run: run,
) -> Repainted:
    """Repaint `picture` with the model of a run.

    Args:
        task: what for; it decides the mask's margin, and "paint" has no mask.
        picture: a composite, an edit or a painting of the run's picture.
        mask: white where something was changed; None derives it from the difference to the run's picture.
        mask_threshold: levels of the mask up to this one are black; 0 as published.
        start_scale: the scale that takes the picture in; None draws all of them and a contact sheet.
        keep_background: what surrounds the region: "picture", the picture as trained on, as published; "exact",
            the composite at its own size, untouched to the bit where the feathered mask is zero.
        fit: resize pictures of another size instead of refusing them.
        prepared: may tune the run further, once the inputs are known to be right.

    Raises:
        UsageError: a family that cannot, sizes that differ, a scale that there is not.
        DataError: pictures that cannot be used; a mask that is empty.
    """
    found = open_run(run, out)
    check_can(found.spec, task)
    check_request(mask_threshold, seed, to)
    for name, value in found.spec.task_options.get(task, {}).items():
        own = getattr(found.config, name)
        if own != value:
            say(f"{found.id} was trained with {name} {own}; `gantool {task}` is best with {value}.")
    trained = kept_picture(found, "input", found.info["data"])
    inputs = read_inputs(task, trained, Path(picture), mask, mask_threshold, fit, background, say)
    model = _injecting(found.load(device, say), found, start_scale)
    tuned = prepared(inputs, found)
    if tuned is not found:
        found, model = tuned, _injecting(tuned.load(device, say), tuned, start_scale)
    scales = list(model.injection_scales) if start_scale is None else [start_scale]
    painter = _painter(task, model)

    shown = model.picture()
    height, width = shown.shape[2], shown.shape[3]
    image = resize_single_image(to_tensor(inputs.image), size=(height, width)).to(shown)
    soft = None
    if inputs.mask is not None:
        soft = soft_mask(fit_mask(inputs.mask, (height, width)), RADIUS[task])

    def draw(scale: int) -> tuple[Pixels, Pixels]:
        """The result, and the whole repainted picture."""
        with enough_memory("Use a run with a smaller --max-size."):
            whole = painter(InjectRequest(image, scale, seed))
        if soft is None:
            result = to_uint8(whole)[0]
            return result, result
        if keep_background == "exact":
            return blend_exactly(to_uint8(whole)[0], inputs.image, soft), to_uint8(whole)[0]
        return to_uint8(blend(whole.cpu(), shown.cpu(), soft))[0], to_uint8(whole)[0]

    first = draw(scales[0])  # before there is a folder: what is refused leaves nothing behind
    folder = new_folder(found, FOLDERS[task], to)
    files: list[Path] = []
    results: dict[int, Path] = {}

    def keep(pixels: Pixels, name: str) -> Path:
        save_png(pixels, folder / f"{name}.png")
        files.append(folder / f"{name}.png")
        return files[-1]

    before = to_uint8(image)[0]
    region = inputs.mask if inputs.mask is None else fit_mask(inputs.mask, (height, width))
    distance = PatchDistance(to_uint8(shown)[0])
    numbers = [{"start_scale": None, **measure(before, region, distance)}]
    shown_first = inputs.image if soft is not None and keep_background == "exact" else before
    pictures, labels = [shown_first], [{"harmonize": "composite", "edit": "edit", "paint": "painting"}[task]]
    for scale in progress(scales):
        result, whole = first if scale == scales[0] else draw(scale)
        results[scale] = keep(result, f"scale-{scale}")
        if task == "edit":
            keep(whole, f"scale-{scale}-whole")
        pictures.append(result)
        labels.append(f"scale {scale}")
        small = result if result.shape == before.shape else fit_picture(result, (height, width))
        numbers.append({"start_scale": scale, **measure(small, region, distance)})
    if soft is not None:
        keep((soft * 255).round().astype(np.uint8), "mask")
    sheet = None
    if start_scale is None:
        sheet = keep(_sheet(pictures, labels), "sheet")
    return Repainted(folder, results, tuple(files), sheet, numbers)


def harmonize(run: str | Path | Run, composite: str | Path, **how: Any) -> Repainted:
    """Give an object pasted into a picture its colours and strokes. See `repaint`."""
    return repaint("harmonize", run, composite, **how)


def edit(run: str | Path | Run, edited: str | Path, **how: Any) -> Repainted:
    """Make a clumsy edit look natural. See `repaint`."""
    return repaint("edit", run, edited, **how)


def paint(run: str | Path | Run, painting: str | Path, **how: Any) -> Repainted:
    """Turn a coarse painting into a picture. See `repaint`."""
    return repaint("paint", run, painting, **how)


def check_request(mask_threshold: int, seed: int, to: str | Path | None) -> None:
    """Raises UsageError or RunError for values that no model can serve."""
    check_seeds([seed])
    check_folder(to)
    if not 0 <= mask_threshold <= 254:
        raise UsageError(f"--mask-threshold {mask_threshold} is out of range.", "Use 0 to 254.")


def _injecting(model: GanModel, run: Run, start_scale: int | None) -> Injects:
    """The model as one that takes pictures in, at that scale."""
    if not isinstance(model, Injects):
        raise TypeError("the model has no injection_scales")
    if not model.injection_scales:
        raise UsageError(
            f"{run.id} is trained too little yet to take a picture in.", f"Go on with it: gantool resume {run.path}"
        )
    if start_scale is not None:
        check_start(start_scale, model.injection_scales)
    return model


def in_words(numbers: Sequence[dict[str, Any]]) -> list[str]:
    """What `Repainted.numbers` says, a line for each start scale."""
    lines = []
    before = numbers[0]
    for row in numbers[1:]:
        parts = [
            f"{what} {before[name]:g} -> {row[name]:g}"
            for name, what in (
                ("colour_gap", "colours from the surroundings"),
                ("distance", "patches from the picture"),
            )
            if row.get(name) is not None and before.get(name) is not None
        ]
        if parts:
            lines.append(f"scale {row['start_scale']}: {', '.join(parts)} (lower is closer)")
    return lines


def _painter(task: Task, model: Injects) -> Callable[[InjectRequest], Tensor]:
    if task == "harmonize" and isinstance(model, Harmonizes):
        return model.harmonize
    if task == "edit" and isinstance(model, Edits):
        return model.edit
    if task == "paint" and isinstance(model, Paints):
        return model.paint
    raise TypeError(f"the model has no method {task}")


def _sheet(pictures: Sequence[Pixels], labels: Sequence[str]) -> Pixels:
    smallest = min(picture.shape[1] for picture in pictures)
    times = max(1, READABLE // smallest)
    enlarged = [p.repeat(times, 0).repeat(times, 1) if p.shape[1] == smallest else p for p in pictures]
    return contact_sheet(enlarged, labels=labels)


def measure(image: Pixels, region: Mask | None, distance: PatchDistance) -> dict[str, float | None]:
    """How far a region's colours are from its surroundings', and its patches from the picture's; None if too small."""
    if region is None:
        return {}
    values: dict[str, float | None] = {"colour_gap": None, "distance": None}
    with contextlib.suppress(DataError):
        values["colour_gap"] = round(colour_gap(image, region, surroundings(region, AROUND)), 2)
    with contextlib.suppress(DataError):
        values["distance"] = round(distance(image, region), 2)
    return values


def blend_exactly(whole: Pixels, image: Pixels, soft: np.ndarray) -> Pixels:
    """`whole`, enlarged, put into `image` by the mask, enlarged: where that is zero every byte is `image`'s own."""
    size = image.shape[:2]
    large = fit_picture(whole, size) if whole.shape[:2] != size else whole
    weight = fit_soft(soft, size)[..., None]
    mixed = np.rint(large * weight + image * (1 - weight)).clip(0, 255).astype(np.uint8)
    result: Pixels = np.where(weight > 0, mixed, image)
    return result


def fit_soft(soft: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A soft mask at another size, bilinear: what is zero all around stays zero."""
    if soft.shape == size:
        return soft
    import torch

    enlarged = torch.nn.functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(soft))[None, None].double(), size, mode="bilinear", align_corners=False
    )
    out: np.ndarray = enlarged[0, 0].numpy()
    return out


def read_inputs(
    task: Task,
    trained: Picture,
    path: Path,
    mask: str | Path | None,
    threshold: int,
    fit: bool,
    background: str,
    say: Callable[[str], None],
) -> Inputs:
    """The user's pictures, read, compared in size with the picture trained on, and fitted where that is wanted."""
    size = (trained.height, trained.width)
    picture = load_picture(path, background=background)
    for note in picture.notes:
        say(f"{path}: {note}.")
    image = _fitted(picture, size, fit, f"the picture trained on ({trained.path})", fit_picture, say)
    if task == "paint":
        return Inputs(image, None)
    if mask is None:
        region = difference_mask(image, trained.pixels)
    else:
        drawn = load_picture(mask, background="black")
        pixels = drawn.pixels
        if (drawn.height, drawn.width) != (picture.height, picture.width):  # else both were drawn at that size
            pixels = _fitted(drawn, size, fit, str(path), None, say)
        region = fit_mask(binary_mask(pixels, threshold), size)
    if not region.any():
        raise empty_mask()
    return Inputs(image, region)


def _fitted(
    picture: Picture,
    size: tuple[int, int],
    fit: bool,
    other: str,
    resize: Callable[[Pixels, tuple[int, int]], Pixels] | None,
    say: Callable[[str], None],
) -> Pixels:
    """The picture's pixels at `size` (height, width). Raises UsageError when it has another and `fit` is off."""
    own = (picture.height, picture.width)
    if own == size:
        return picture.pixels
    if not fit:
        raise UsageError(
            f"{picture.path} is {own[1]}x{own[0]} pixels, {other} is {size[1]}x{size[0]}.",
            f"Add --fit to resize it to {size[1]}x{size[0]}, or make it that size yourself.",
        )
    stretched = own[1] * size[0] / (own[0] * size[1])
    note = "" if abs(stretched - 1) < 0.02 else ", which changes its proportions"
    say(f"{picture.path}: resized from {own[1]}x{own[0]} to {size[1]}x{size[0]}{note}.")
    return picture.pixels if resize is None else resize(picture.pixels, size)
