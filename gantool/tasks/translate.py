"""Pictures, folders of them, animations and videos, translated by a trained network."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gantool.data.decode import parse_colour
from gantool.data.listing import file_mode
from gantool.data.pair_files import LEFT, RIGHT
from gantool.data.pictures import cores
from gantool.engine.devices import keep_freed_memory
from gantool.errors import ConfigError, UsageError
from gantool.family import TestMode, Translates
from gantool.tasks.opening import device_of
from gantool.tasks.picture_folder import DEFAULT_WORKERS, check_values, make_ready, without_done
from gantool.tasks.picture_journal import Journal
from gantool.tasks.picture_line import Job, Line, Outcome, Unwatched, Watch
from gantool.tasks.picture_names import Naming, plan_pictures
from gantool.tasks.runs import DEFAULT_OUT, Run
from gantool.tasks.sample import check_seeds, check_size, parse_size
from gantool.tasks.translate_compare import find_truths, write_page
from gantool.tasks.translate_film import frames_folder, open_film, plan_film, translate_film
from gantool.tasks.translate_passes import Passes
from gantool.tasks.translate_work import Manner, Size, Translating
from gantool.tasks.translator import fingerprint, habits_of, open_translator

JOURNAL = "translate.jsonl"
MODES = ("paper", "eval")
DIRECTIONS = {"AtoB": LEFT, "BtoA": RIGHT}  # the half that goes in
MOST_SAMPLES, MOST_BATCH = 1000, 1024
LEAST_TILE = 16  # pixels
BATCH = {"cpu": 4, "cuda": 16}


@dataclass(kw_only=True)
class Translated(Outcome):
    """What became of the pictures.

    Attributes:
        model: what translated them.
        size: at which: "trained", "own" or (height, width).
        test_mode: how the network was used.
        seeds: of the results of each picture.
        frames: folders of single frames of a film, where they were asked for.
    """

    model: Translates = field(repr=False)
    size: Size
    test_mode: TestMode
    seeds: tuple[int, ...]
    frames: tuple[Path, ...] = ()


def translate(
    model: str | Path | Run | Translates,
    source: str | Path,
    to: str | Path | None = None,
    *,
    size: str | tuple[int, int] | None = None,
    restore: bool = False,
    tile: int | None = None,
    overlap: int | None = None,
    test_mode: TestMode = "paper",
    seed: int = 0,
    samples: int = 1,
    snap: bool = False,
    matte: str | None = None,
    pairs: bool = False,
    direction: str | None = None,
    truth: str | Path | None = None,
    compare: bool = False,
    frames: bool = False,
    format: str | None = None,
    quality: int | None = None,
    batch: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    out: str | Path = DEFAULT_OUT,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
    watch: Watch | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Translated:
    """Translate a picture, a film, or all pictures of a folder and of the folders in it, and keep what files hold.

    Alpha, 16 bits, EXIF, XMP, resolution and, between pictures that are seen, colour profile stay; see
    `gantool.data.faithful`. Of a folder, one picture that cannot be translated is told of in the result and the others
    go on; results that are there already, from the same file by the same model in the same way, are skipped. Of a
    single picture the error is raised. All frames of an animation or a video (which takes ffmpeg) get the same noise;
    of animations in a folder the first frame is taken.

    Args:
        model: a run (path, beginning of its id, `latest`, a Run), a file of weights, or a model itself.
        source: a picture, a folder, an animated GIF, WebP or PNG, or a video.
        to: the result's file, or a folder; None: NAME-translated beside `source`.
        size: "trained" (also None): as in training; "own": pictures at their own size; or (height, width), also as
            "500x250", width first.
        restore: bring each result to the size of its picture.
        tile, overlap: pixels; pictures are translated in tiles, at their own size unless `size` says another: see
            `Passes`.
        test_mode: see `gantool.family.TestMode`.
        seed, samples: results of each picture, of the seeds from `seed` on; more than one are called NAME-sSEED.
        snap: bring labels that are given back to the nearest of the colours trained on.
        matte: put transparent pixels on this colour ("white", "black", "#rrggbb"); results are then opaque. None puts
            them on the colour of the training, and gives results the alpha of their pictures.
        pairs: `source` holds pairs side by side, of which one half goes in and the other is the truth.
        direction: which half goes in: "AtoB", the left one; None: as in training.
        truth: a folder of what should come out, named alike, or for one picture a file; for `compare`.
        compare: write a page that shows inputs, outputs and truths.
        frames: of a film, write each frame as a PNG, too, into the folder NAME-frames beside the result.
        format: "png", "tif", "webp" or "jpg"; None keeps PNG, TIFF and WebP, and makes PNG of all others. Of a film
            "gif", "webp", "png" or "mp4"; None keeps it, and makes MP4 of videos.
        quality: 1 to 100: of WebP, which else is without loss, and JPEG, which is then kept.
        batch: pictures that go through the network together.
        workers: threads that read and write.
        overwrite: make results anew that are there already.
        out: where runs are looked for.
        stop: asked before each batch; when it says True, the others are left.

    Raises:
        UsageError: values that cannot be, a run that cannot translate.
        DataError: nothing there; a single picture that cannot be read or would become too large; truths that miss.
        RunError: no such run; results that cannot be written, exist already, or are of another model.
        MemoryShort: a single picture does not fit.
    """
    check_values(quality, workers)
    settled = settle_size(size, tile is not None)
    _check(tile, overlap, test_mode, batch)
    seeds = _settle_seeds(seed, samples, test_mode)
    background = None if matte is None else parse_colour(matte)
    if truth is not None and not compare:
        raise UsageError("--truth is for the page that compares.", "Add --compare.")
    if direction is not None and not pairs:
        raise UsageError("--direction says which half of a pair goes in.", "Add --pairs.")
    _half(direction or "AtoB")
    if truth is not None and pairs:
        raise UsageError("With --pairs the other half is the truth.", "Leave out --truth.")
    source = Path(source)
    film = open_film(source) if stat.S_ISREG(file_mode(source)) else None  # before a model is loaded
    if frames and film is None:
        raise UsageError("--frames is for animations and videos.", "Leave it out.")
    if compare and film is not None:
        raise UsageError("The page that compares is for pictures.", "Leave out --compare, or give a folder of frames.")
    if film is None:
        plan = plan_pictures(source, to, _naming(seeds), format, quality)
    else:
        plan = plan_film(film, None if to is None else Path(to), _naming(seeds), format, quality)
    truths = {} if truth is None else find_truths(plan, source, Path(truth))
    habits = habits_of(model, out)
    network = model if isinstance(model, Translates) else open_translator(model, out, device, say)
    if snap and not (network.translation.gives == "labels" and network.translation.palette):
        raise UsageError("--snap is for models that give labels of known colours.", "Leave it out.")
    half = _half(direction or habits.direction) if pairs else None
    manner = Manner(network.translation, habits, settled, restore, snap, background, half)
    make_ready(plan, overwrite)
    if plan.ignored:
        say(f"Not entered, since they hold results: {', '.join(plan.ignored)}.")
    place = device_of(network, device)
    passes = Passes(
        network, place, mode=test_mode, batch=batch or BATCH.get(place.type, 4), tile=tile, overlap=overlap, say=say
    )
    work = Translating(manner, passes, fingerprint(network), seeds[0], quality)
    journal = Journal(plan.folder, JOURNAL) if plan.folder is not None else None
    job = Job(work, overwrite, workers or min(DEFAULT_WORKERS, cores()), journal)
    outcome = Translated(plan, model=network, size=settled, test_mode=test_mode, seeds=seeds)
    keep_freed_memory()  # pictures are of few sizes
    try:
        if film is None:
            todo = without_done(job, outcome, "model, or made in another way", say)
            Line(job, outcome, say, watch or Unwatched(), stop).run(todo)
        else:
            shown = watch or Unwatched()
            outcome.frames = tuple(frames_folder(item) for item in plan.items if frames)
            translate_film(film, work, outcome, frames=frames, overwrite=overwrite, say=say, watch=shown, stop=stop)
    finally:
        keep_freed_memory(False)
    if compare and not outcome.left:
        outcome.page = write_page(outcome, half, truths, say)
    return outcome


def settle_size(size: str | tuple[int, int] | None, tiled: bool = False) -> Size:
    """The size at which pictures are translated. Raises UsageError for one that cannot be."""
    if size is None:
        return "own" if tiled else "trained"
    if size in ("trained", "own"):
        return "own" if size == "own" else "trained"
    try:
        return parse_size(size) if isinstance(size, str) else check_size(size)
    except UsageError as error:
        raise UsageError(error.what, "Use trained, own, or width x height as in 500x250.") from error


def _check(tile: int | None, overlap: int | None, mode: str, batch: int | None) -> None:
    if mode not in MODES:
        raise ConfigError(f"There is no way {mode!r} to use the network.", f"Use {' or '.join(MODES)}.")
    if tile is not None and tile < LEAST_TILE:
        raise ConfigError(f"Tiles of {tile} pixels show the network too little.", f"Use {LEAST_TILE} or more.")
    if overlap is not None and tile is None:
        raise UsageError("--overlap without --tile.", "Add --tile, or leave it out.")
    if overlap is not None and tile is not None and not 0 <= overlap <= tile // 2:
        raise ConfigError(f"Tiles of {tile} pixels cannot overlap by {overlap}.", f"Use 0 to {tile // 2}.")
    if batch is not None and not 1 <= batch <= MOST_BATCH:
        raise ConfigError(f"{batch} pictures at a time cannot be.", f"Use 1 to {MOST_BATCH}.")


def _settle_seeds(seed: int, samples: int, mode: TestMode) -> tuple[int, ...]:
    if not 1 <= samples <= MOST_SAMPLES:
        raise UsageError(f"{samples} results of each picture cannot be.", f"Use 1 to {MOST_SAMPLES}.")
    if samples > 1 and mode == "eval":
        raise UsageError("With --test-mode eval nothing is random: all samples are the same.", "Leave out --samples.")
    return tuple(check_seeds(range(seed, seed + samples)))


def _naming(seeds: tuple[int, ...]) -> Naming:
    return Naming("-translated", JOURNAL, "translated", seeds if len(seeds) > 1 else ())


def _half(direction: str) -> int:
    if direction not in DIRECTIONS:
        raise UsageError(f"There is no direction {direction}.", f"Use {' or '.join(DIRECTIONS)}.")
    return DIRECTIONS[direction]
