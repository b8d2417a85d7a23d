"""Pictures of the user's, one or a folder of them, enlarged by a trained network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gantool.data.listing import file_mode
from gantool.data.pictures import cores
from gantool.engine.devices import keep_freed_memory
from gantool.errors import ConfigError
from gantool.family import Enlarges
from gantool.tasks.enlarger import fingerprint, open_enlarger
from gantool.tasks.opening import device_of
from gantool.tasks.picture_folder import DEFAULT_WORKERS, check_values, make_ready, without_done
from gantool.tasks.picture_journal import Journal
from gantool.tasks.picture_line import Job, Line, Outcome, Unwatched, Watch
from gantool.tasks.picture_names import Naming, Plan, plan_pictures
from gantool.tasks.runs import DEFAULT_OUT, Run
from gantool.tasks.superres_compare import write_page
from gantool.tasks.superres_picture import explain_scale, settle_scale
from gantool.tasks.superres_tiles import Tiler
from gantool.tasks.superres_work import Enlarging

JOURNAL = "superres.jsonl"


@dataclass(kw_only=True)
class Enlarged(Outcome):
    """What became of the pictures.

    Attributes:
        model: what enlarged them.
        scale: how many times.
    """

    model: Enlarges = field(repr=False)
    scale: float


def plan_files(
    source: str | Path, to: str | Path | None, scale: float, form: str | None = None, quality: int | None = None
) -> Plan:
    """See `gantool.tasks.picture_names.plan_pictures`; a result that is given no name is NAME-xSCALE."""
    return plan_pictures(source, to, Naming(f"-x{scale:g}", JOURNAL, "enlarged"), form, quality)


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
    _check_tiles(tile, overlap)
    check_values(quality, workers)
    settle_scale(scale, 1)
    file_mode(Path(source))  # before a model is loaded
    network = model if isinstance(model, Enlarges) else open_enlarger(model, out, device, say)
    factor = int(network.factor)
    size = settle_scale(scale, factor)
    plan = plan_files(source, to, size, format, quality)
    make_ready(plan, overwrite)
    if plan.ignored:
        say(f"Not entered, since they hold results: {', '.join(plan.ignored)}.")
    explain_scale(size, factor, say)
    tiler = Tiler(network, device_of(network, device), tile=tile, overlap=overlap, say=say)
    journal = Journal(plan.folder, JOURNAL) if plan.folder is not None else None
    work = Enlarging(tiler, size, quality, fingerprint(network))
    job = Job(work, overwrite, workers or min(DEFAULT_WORKERS, cores()), journal)
    enlarged = Enlarged(plan, model=network, scale=size)
    todo = without_done(job, enlarged, "model, factor or quality", say)
    keep_freed_memory()  # tiles are of few sizes: a fifth less time on a CPU
    try:
        Line(job, enlarged, say, watch or Unwatched(), stop).run(todo)
    finally:
        keep_freed_memory(False)
    if compare and not enlarged.left:
        enlarged.page = write_page(enlarged, size, say)
    return enlarged


def _check_tiles(tile: int | None, overlap: int | None) -> None:
    if tile is not None and tile < 1:
        raise ConfigError(f"Tiles of {tile} pixels hold nothing.", "Use 1 or more.")
    if overlap is not None and overlap < 0:
        raise ConfigError(f"Tiles cannot overlap by {overlap} pixels.", "Use 0 or more.")
