"""Drawing pictures from a run."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gantool.data.image import Pixels, save_png, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.engine.devices import enough_memory
from gantool.errors import RunError, UsageError
from gantool.family import SampleRequest
from gantool.files import write_error
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run

LARGEST = 64_000_000  # pixels a sample may have
SHEET = 64  # samples on the contact sheet; the others are not kept in memory
MOST = 100_000  # samples at once


@dataclass(frozen=True)
class Drawn:
    """Files that were drawn."""

    folder: Path
    files: tuple[Path, ...]
    sheet: Path | None = None


def parse_seeds(text: str) -> list[int]:
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
    return check_seeds(seeds)


def check_seeds(seeds: Sequence[int]) -> list[int]:
    """The seeds, each once. Raises UsageError when there are none or too many, or one is negative or too large."""
    _check_number(len(seeds))
    once = list(dict.fromkeys(seeds))
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
        to: the folder; None makes a new one under the run's samples/.
        progress: wraps the seeds, to show how far it is.

    Raises:
        UsageError, RunError: see the sentences.
    """
    found = open_run(run, out)
    if seeds is None:
        if n < 1:
            raise UsageError(f"{n} samples are none.", "Ask for at least one.")
        _check_number(n)
    wanted = parse_seeds(seeds) if isinstance(seeds, str) else check_seeds(range(n) if seeds is None else seeds)
    pixels = settle_size(size)
    check_stage(start_scale)
    model = found.load(device, say)

    def draw(seed: int) -> Pixels:
        with enough_memory("Ask for a smaller --size."):
            picture: Pixels = to_uint8(model.sample(SampleRequest([seed], pixels, start_scale)))[0]
        return picture

    first = draw(wanted[0])  # before there is a folder: what is refused leaves nothing behind
    folder = new_folder(found, "samples", to)
    files: list[Path] = []
    pictures: list[Pixels] = []  # of the contact sheet
    for seed in progress(wanted):
        picture = first if seed == wanted[0] else draw(seed)
        file = folder / f"seed-{seed:04d}.png"
        save_png(picture, file)
        files.append(file)
        if len(pictures) < SHEET:
            pictures.append(picture)
    sheet = folder / "sheet.png"
    save_png(contact_sheet(pictures, labels=[f"seed {s}" for s in wanted[:SHEET]]), sheet)
    return Drawn(folder, tuple(files), sheet)


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
