"""Pictures of the user's, one or a folder of them, enlarged by a trained network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from gantool.data.listing import file_mode
from gantool.data.pictures import cores
from gantool.engine.devices import keep_freed_memory, pick_device
from gantool.errors import ConfigError, DataError, RunError
from gantool.family import Enlarges
from gantool.files import check_target, write_error
from gantool.tasks.enlarger import fingerprint, open_enlarger
from gantool.tasks.runs import DEFAULT_OUT, Run
from gantool.tasks.superres_compare import write_page
from gantool.tasks.superres_journal import Journal
from gantool.tasks.superres_line import Enlarged, Job, Line, Unwatched, Watch
from gantool.tasks.superres_names import Item, Plan, plan_files
from gantool.tasks.superres_picture import explain_scale, settle_scale
from gantool.tasks.superres_tiles import Tiler

MOST_WORKERS = 64
DEFAULT_WORKERS = 4


def superres_files(
    source: str | Path,
    to: str | Path | None = None,
    *,
    model: str | Path | Run | Enlarges,
    scale: float | None = None,
    tile: int | None = None,
    overlap: int | None = None,
    format: str | None = None,
    quality: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    compare: bool = False,
    out: str | Path = DEFAULT_OUT,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
    watch: Watch | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Enlarged:
    """Enlarge a picture, or all pictures of a folder and of the folders in it, and keep what their files hold.

    Alpha, grey, 16 bits, colour profile, EXIF, XMP and resolution stay; see `gantool.data.faithful`. Of a folder, one
    picture that cannot be enlarged is told of in the result and the others go on; results that are there already, from
    the same file by the same model, are skipped. Of a single picture the error is raised.

    Args:
        source: a picture or a folder.
        to: the result's file, or a folder; None: NAME-xSCALE beside `source`.
        model: a run (path, beginning of its id, `latest`, a Run), a file of weights, or a model itself.
        scale: how many times larger; None is the model's own factor. Others are reached by the model, as often as it
            takes, and MATLAB's bicubic.
        tile, overlap: pixels of the small picture; see `Tiler`.
        format: "png", "tif", "webp" or "jpg"; None keeps PNG, TIFF and WebP, and makes PNG of all others.
        quality: 1 to 100: of WebP, which else is without loss, and JPEG, which is then kept.
        workers: threads that read and write.
        overwrite: make results anew that are there already.
        compare: write a page that shows each result beside bicubic enlargement.
        out: where runs are looked for.
        stop: asked before each picture; when it says True, the others are left.

    Raises:
        UsageError: values that cannot be, a run that cannot enlarge.
        DataError: nothing there; a single picture that cannot be read or would become too large.
        RunError: no such run; results that cannot be written, exist already, or are of another model.
        MemoryShort: a single picture does not fit.
    """
    _check_values(tile, overlap, quality, workers)
    settle_scale(scale, 1)
    file_mode(Path(source))  # before a model is loaded
    network = model if isinstance(model, Enlarges) else open_enlarger(model, out, device, say)
    factor = int(network.factor)
    size = settle_scale(scale, factor)
    plan = plan_files(source, to, size, format, quality)
    _make_ready(plan, overwrite)
    if plan.ignored:
        say(f"Not entered, since they hold results: {', '.join(plan.ignored)}.")
    explain_scale(size, factor, say)
    tiler = Tiler(network, _device_of(network, device), tile=tile, overlap=overlap, say=say)
    journal = Journal(plan.folder) if plan.folder is not None else None
    job = Job(tiler, size, quality, overwrite, workers or min(DEFAULT_WORKERS, cores()), fingerprint(network), journal)
    enlarged = Enlarged(plan, network, size)
    todo = _without_done(job, enlarged, say)
    keep_freed_memory()  # tiles are of few sizes: a fifth less time on a CPU
    try:
        Line(job, enlarged, say, watch or Unwatched(), stop).run(todo)
    finally:
        keep_freed_memory(False)
    if compare and not enlarged.left:
        enlarged.page = write_page(enlarged, say)
    return enlarged


def _check_values(tile: int | None, overlap: int | None, quality: int | None, workers: int | None) -> None:
    if tile is not None and tile < 1:
        raise ConfigError(f"Tiles of {tile} pixels hold nothing.", "Use 1 or more.")
    if overlap is not None and overlap < 0:
        raise ConfigError(f"Tiles cannot overlap by {overlap} pixels.", "Use 0 or more.")
    if quality is not None and not 1 <= quality <= 100:
        raise ConfigError(f"There is no quality {quality}.", "Use 1 to 100.")
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise ConfigError(f"{workers} workers cannot be.", f"Use 1 to {MOST_WORKERS}.")


def _device_of(model: Enlarges, device: str) -> torch.device:
    """Where a model's weights are; of one without any, the device of that name."""
    if isinstance(model, torch.nn.Module):
        for parameter in model.parameters():
            return parameter.device
    return pick_device(device)


def _make_ready(plan: Plan, overwrite: bool) -> None:
    """Create the folder of the results, and see that it can be written to, before anything is computed."""
    result = plan.items[0].result
    if plan.folder is None and not overwrite and os.path.exists(result):  # False where the name is too long
        raise RunError(f"{result} exists already.", "Give another name with --to, or add --overwrite.")
    try:
        plan.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=plan.root):
            pass
    except FileExistsError as error:
        raise RunError(f"{plan.root} is a file, not a folder.", "Name another folder with --to.") from error
    except OSError as error:
        raise write_error(plan.root if plan.folder is not None else result, error) from error
    if plan.folder is None:
        check_target(result, overwrite=True)


def _without_done(job: Job, enlarged: Enlarged, say: Callable[[str], None]) -> list[Item]:
    """The pictures that are still to be enlarged; the others are put where they belong.

    Raises:
        RunError: there are results of another model, or of another size.
    """
    plan, journal = enlarged.plan, job.journal
    if journal is None or job.overwrite:
        return list(plan.items)
    todo, others = [], 0
    for item in plan.items:
        try:
            if not item.result.exists():
                todo.append(item)
                continue
            wanted = job.made_of(item, plan.root)
            found = journal.find(item.result, wanted.result)
        except OSError:  # it cannot be looked at: reading it will say why
            todo.append(item)
            continue
        if found is None:
            what = f"{item.result} exists already, and not as it was made here."
            enlarged.failed.append((item, DataError(what, "Move it away, or add --overwrite.")))
        elif not found.same_job(wanted):
            others += 1
        elif not found.same_source(wanted):
            what = f"{item.name} has changed since {item.result} was made."
            enlarged.failed.append((item, DataError(what, "Add --overwrite to make it anew.")))
        else:
            enlarged.skipped.append(item)
    if others:
        which = "one result" if others == 1 else f"{others} results"
        raise RunError(
            f"{plan.folder} holds {which} of another model, factor or quality.",
            "Name another folder with --to, or add --overwrite to make them anew.",
        )
    if enlarged.skipped:
        say(f"{len(enlarged.skipped)} of {len(plan.items)} are done already.")
    return todo
