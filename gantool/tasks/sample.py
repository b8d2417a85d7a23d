"""Drawing pictures from a run."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gantool import registry
from gantool.data.image import Pixels, save_png, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.engine.devices import enough_memory
from gantool.errors import RunError, UsageError
from gantool.family import SampleRequest
from gantool.files import write_error
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run

LARGEST = 64_000_000  # pixels a sample may have
SHEET = 128  # samples on the contact sheet; the others are not kept in memory
ROW = 8  # samples of a class on it
READABLE = 48  # pixels across: labels below narrower pictures would be cut off
MOST = 100_000  # samples at once


@dataclass(frozen=True)
class Drawn:
    """Files that were drawn."""

    folder: Path
    files: tuple[Path, ...]
    sheet: Path | None = None


def parse_seeds(text: str, *, repeats: bool = False) -> list[int]:
    """ "0-15,42" to the seeds it lists. Raises UsageError for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not _is_number(low) or (dash and not _is_number(high)):
            raise UsageError(f"{text!r} lists no seeds.", "Write for instance 0-15,42.")
        first, last = int(low), int(high) if dash else int(low)
        if last < first:
            raise UsageError(f"{part.strip()!r} is no range of seeds.", "Write for instance 0-15.")
        _check_number(len(seeds) + last - first + 1)
        seeds += range(first, last + 1)
    return check_seeds(seeds, repeats=repeats)


def check_seeds(seeds: Sequence[int], *, repeats: bool = False) -> list[int]:
    """The seeds, each once unless with `repeats`.

    Raises:
        UsageError: there are none or too many, or one is negative or too large.
    """
    _check_number(len(seeds))
    once = list(seeds if repeats else dict.fromkeys(seeds))
    if not once:
        raise UsageError("No seeds are no samples.", "Give at least one seed.")
    if min(once) < 0 or max(once) >= 2**63:
        wrong = min(once) if min(once) < 0 else max(once)
        raise UsageError(f"{wrong} is no seed.", "Use whole numbers from 0 to below 2^63.")
    return once


def _check_number(n: int) -> None:
    if n > MOST:
        raise UsageError(f"{n} samples are too many.", f"Ask for up to {MOST:,} at a time.")


def parse_size(text: str) -> tuple[int, int]:
    """ "500x250" (width x height) to (height, width). Raises UsageError for anything else."""
    width, _, height = text.lower().replace("×", "x").partition("x")
    if not (_is_number(width) and _is_number(height)):
        raise UsageError(f"{text!r} is no size.", "Write WIDTHxHEIGHT in pixels, for instance 500x250.")
    return check_size((int(height), int(width)))


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) as it is. Raises UsageError when a side is below 1 or the picture is too large."""
    height, width = size
    if height < 1 or width < 1:
        raise UsageError(f"{width}x{height} is no size.", "Write WIDTHxHEIGHT in pixels, for instance 500x250.")
    if height * width > LARGEST:
        raise UsageError(
            f"{width}x{height} is more than {LARGEST // 1_000_000} megapixels.", "Ask for a smaller picture."
        )
    return size


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= 20


def settle_size(size: str | tuple[int, int] | None) -> tuple[int, int] | None:
    """ "500x250" or (height, width) to (height, width), checked; None stays None."""
    return parse_size(size) if isinstance(size, str) else check_size(size) if size else None


def check_stage(start: int) -> None:
    """Refuse a negative stage; the model refuses those that it does not have."""
    if start < 0:
        raise UsageError(f"There is no scale {start}.", "Scales count from 0.")


def sample(
    run: str | Path | Run,
    n: int = 16,
    *,
    seeds: str | Sequence[int] | None = None,
    size: str | tuple[int, int] | None = None,
    start_scale: int = 0,
    classes: str | int | Sequence[int | str] | None = None,
    coarse: str | int | Path | None = None,
    from_level: int | None = None,
    to: str | Path | None = None,
    out: str | Path = DEFAULT_OUT,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Drawn:
    """Draw samples as PNG files and one contact sheet.

    Args:
        run: path, id prefix, `latest` or a Run.
        n: how many, up to 100,000, when no seeds are given: seeds 0 .. n-1.
        seeds: "0-15,42" or integers; one picture each, the same one every time.
        size: "500x250" (width x height) or (height, width).
        start_scale: stages below keep the reconstruction's noise.
        classes: "all", or names and numbers as in "cat,3,5-7" or ["cat", 3]: every seed is drawn for each, a row of
            the sheet.
        coarse: for models that draw level by level: a picture's file, or a seed; all draws begin with it, and the
            sheet shows every level.
        from_level: the level of `coarse`, 0 the coarsest; None takes the one whose side a picture has, else 0.
        to: the folder; None makes a new one under the run's samples/.
        progress: wraps the seeds, to show how far it is.

    Raises:
        UsageError, RunError: see the sentences.
    """
    found = open_run(run, out)
    if "sample" not in found.spec.tasks:
        raise UsageError(
            f"{found.spec.title} draws nothing from noise alone.",
            f"Use it with: {found.spec.next.format(run=found.path)}",
        )
    if seeds is None:
        if n < 1:
            raise UsageError(f"{n} samples are none.", "Ask for at least one.")
        _check_number(n)
    wanted = parse_seeds(seeds) if isinstance(seeds, str) else check_seeds(range(n) if seeds is None else seeds)
    pixels = settle_size(size)
    check_stage(start_scale)
    model = found.load(device, say)
    labels: list[int | None] = [None] if classes is None else list(dict.fromkeys(chosen_classes(found, classes)))
    jobs = [(seed, label) for label in labels for seed in wanted]
    _check_number(len(jobs))
    if coarse is not None or from_level is not None:
        from gantool.tasks.refine import draw_on_top

        if pixels or start_scale:
            raise UsageError("--size and --start-scale do not go with --coarse and --from-level.", "Leave them out.")
        return draw_on_top(
            found, model, wanted, coarse=coarse, from_level=from_level, labels=labels, to=to, say=say, progress=progress
        )

    def draw(part: Sequence[tuple[int, int | None]]) -> list[Pixels]:
        given = None if classes is None else [label for _, label in part if label is not None]
        request = SampleRequest([seed for seed, _ in part], pixels, start_scale, given)
        with enough_memory("Ask for a smaller --size."):
            return list(to_uint8(model.sample(request)))

    first = draw(jobs[: model.at_once])  # before there is a folder: what is refused leaves nothing behind
    folder = new_folder(found, "samples", to)
    files: list[Path] = []
    sheet = _Sheet(len(wanted), len(labels))
    for index in progress(range(len(jobs))):
        place = index % model.at_once
        if index and not place:
            first = draw(jobs[index : index + model.at_once])
        seed, label = jobs[index]
        name = f"seed-{seed:04d}" if label is None else f"class-{label}-seed-{seed:04d}"
        save_png(first[place], folder / f"{name}.png")
        files.append(folder / f"{name}.png")
        sheet.add(first[place], index, f"seed {seed}" if label is None else f"{label}: {seed}")
    save_png(sheet.draw(), folder / "sheet.png")
    return Drawn(folder, tuple(files), folder / "sheet.png")


class _Sheet:
    """The contact sheet: the first samples, or a row of them for each class."""

    def __init__(self, seeds: int, classes: int) -> None:
        self.seeds, self.columns = seeds, min(seeds, ROW) if classes > 1 else None
        self.pictures: list[Pixels] = []
        self.labels: list[str] = []

    def add(self, picture: Pixels, index: int, label: str) -> None:
        """Keep sample `index` if there is room for it."""
        if len(self.pictures) < SHEET and (self.columns is None or index % self.seeds < self.columns):
            self.pictures.append(picture)
            self.labels.append(label)

    def draw(self) -> Pixels:
        """All that was kept; labels only where they can be read."""
        labels = self.labels if self.pictures[0].shape[1] >= READABLE else None
        return contact_sheet(self.pictures, labels=labels, columns=self.columns)


def chosen_classes(run: Run, classes: str | int | Sequence[int | str]) -> list[int]:
    """The classes meant by "all", by names and numbers as in "cat,3,5-7", or by a list of them; repeats stay.

    Raises:
        UsageError: the model has no classes, or not these.
    """
    count = int(run.info["shape"].get("classes", 0))
    if not count:
        able = [name for name, spec in registry.families().items() if spec.classes != "unused"]
        raise UsageError(f"{run.id} has no classes: it was trained without.", f"These learn them: {', '.join(able)}.")
    if isinstance(classes, str):
        if classes.strip() == "all":
            return list(range(count))
        classes = classes.split(",")
    names = {str(name): i for i, name in enumerate(run.info["data"].get("classes") or range(count))}
    found: list[int] = []
    for part in [classes] if isinstance(classes, int) else classes:
        found += _classes_of(part.strip() if isinstance(part, str) else part, names, count)
    if not found:
        raise UsageError("No classes are no samples.", "Give at least one class.")
    return found


def _classes_of(part: str | int, names: Mapping[str, int], count: int) -> Iterable[int]:
    """The class of that name or number, or those of a range of numbers."""
    if isinstance(part, int):
        if 0 <= part < count:
            return [part]
        raise UsageError(f"There is no class {part}.", f"Classes count from 0 to {count - 1}.")
    low, dash, high = part.partition("-")
    if part in names:
        return [names[part]]
    if _is_number(low) and (not dash or _is_number(high)) and int(low) <= int(high or low) < count:
        return range(int(low), int(high or low) + 1)
    near = difflib.get_close_matches(part, names, n=1)
    known = ", ".join(list(names)[:12]) + (", ..." if count > 12 else "")
    raise UsageError(f"There is no class {part!r}.", f"Did you mean {near[0]!r}?" if near else f"There are: {known}.")


def check_fps(fps: float) -> None:
    """Raises UsageError for a film that is too fast for a GIF, or does not move."""
    if not 0 < fps <= 50:
        raise UsageError(f"{fps} frames a second are out of range.", "Use up to 50.")


def new_folder(run: Run, kind: str, to: str | Path | None) -> Path:
    """`to`, or a new run/kind/YYYYMMDD-HHMMSS. Raises RunError when `to` holds files or cannot be made."""
    folder = Path(to) if to else run.path / kind / time.strftime("%Y%m%d-%H%M%S")
    try:
        if to:
            check_folder(folder)
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        return _make_new(folder)
    except FileExistsError:
        raise RunError(f"{folder if to else folder.parent} is a file.", "Name a folder.") from None
    except OSError as error:
        raise write_error(folder, error) from error


def check_folder(to: str | Path | None) -> None:
    """Raises RunError when files cannot go there: it holds some, or it is a file."""
    if to is not None and Path(to).is_file():
        raise RunError(f"{to} is a file.", "Name a folder.")
    if to is not None and Path(to).is_dir() and any(Path(to).iterdir()):
        raise RunError(f"{to} is not empty.", "Name a new folder; nothing is overwritten.")


def _make_new(folder: Path) -> Path:
    """Make `folder`, or the first of folder_2, folder_3, ... that nobody has made."""
    for extra in itertools.count(2):
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            break
        folder = folder.with_name(f"{folder.name.split('_')[0]}_{extra}")
    return folder
