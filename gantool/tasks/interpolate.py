"""Ways through latent space, from the picture of one seed to that of the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from gantool.data.image import Pixels, save_png, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.engine.devices import enough_memory
from gantool.errors import UsageError
from gantool.family import InterpolateRequest, Interpolates
from gantool.tasks.animate import save_film
from gantool.tasks.fitting import check_can
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run
from gantool.tasks.sample import Drawn, check_fps, check_seeds, chosen_classes, new_folder, parse_seeds

MOST_STEPS = 1000
COLUMNS = 12  # of a row on the sheet at most


def interpolate(
    run: str | Path | Run,
    seeds: str | Sequence[int] = "0-5",
    *,
    steps: int = 8,
    classes: str | int | Sequence[int | str] | None = None,
    linear: bool = False,
    fps: float = 10.0,
    to: str | Path | None = None,
    out: str | Path = DEFAULT_OUT,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Drawn:
    """Draw the pictures on the way from seed to seed: a sheet with a row for each part of it, and a film.

    Args:
        seeds: "0-5" or integers, two or more, in the order they are passed; "0,1,2,0" comes back.
        steps: pictures from one to the next.
        classes: one for the whole way, or one for each seed: "7", "3,8,cat"; None is the class each seed has anyway.
        linear: along the chord, not along the arc.

    Raises:
        UsageError: the family has no latent space to walk through, or a value is out of range.
    """
    found = open_run(run, out)
    check_can(found.spec, "interpolate")
    wanted = parse_seeds(seeds, repeats=True) if isinstance(seeds, str) else check_seeds(seeds, repeats=True)
    if len(wanted) < 2:
        raise UsageError("A way leads from one seed to another.", "Give two seeds or more, for instance --seeds 0,1.")
    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"{steps} steps make no way.", f"Use 1 to {MOST_STEPS}.")
    check_fps(fps)
    labels = None if classes is None else chosen_classes(found, classes)
    if labels is not None and len(labels) == 1:
        labels *= len(wanted)
    if labels is not None and len(labels) != len(wanted):
        raise UsageError(
            f"{len(labels)} classes for {len(wanted)} seeds.", "Give one class for all, or one for each seed."
        )
    model = found.load(device, say)
    if not isinstance(model, Interpolates):
        raise TypeError("the model has no method interpolate")
    with enough_memory("Give fewer seeds or steps."):
        way = model.interpolate(InterpolateRequest(wanted, steps, labels, spherical=not linear))
        count = (len(wanted) - 1) * steps + 1
        first = to_uint8(next(way))[0]  # before there is a folder: what is refused leaves nothing behind
        folder = new_folder(found, "interpolations", to)
        pictures = [to_uint8(next(way))[0] if i else first for i in progress(range(count))]
    files = save_film(pictures, folder, "film", fps, say)
    save_png(_sheet(pictures, steps), folder / "sheet.png")
    return Drawn(folder, (*files, folder / "sheet.png"), folder / "sheet.png")


def _sheet(pictures: Sequence[Pixels], steps: int) -> Pixels:
    """A row for each part of the way, both of its ends on it; of many steps only some."""
    rows: list[Pixels] = []
    shown = min(steps + 1, COLUMNS)
    for start in range(0, len(pictures) - 1, steps):
        rows += [pictures[start + round(k * steps / (shown - 1))] for k in range(shown)]
    return contact_sheet(rows, columns=shown)
