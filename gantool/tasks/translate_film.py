"""Animations and videos, translated frame by frame with the same noise, so that nothing flickers."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from gantool.data.animation import KINDS, Animation, animation_bytes, open_animation
from gantool.data.archives import printable
from gantool.data.decode import Pixels, silence_pillow
from gantool.data.faithful import Extras, Faithful
from gantool.data.faithful_write import Form, encode
from gantool.data.movie import check_ffmpeg, encode_video, temporary_video
from gantool.data.sides import eight_bits
from gantool.data.video import SUFFIXES, Video, open_video, with_sound
from gantool.errors import DataError, UsageError
from gantool.files import atomic_write, write_error
from gantool.tasks.picture_levels import Levels
from gantool.tasks.picture_line import Outcome, Watch
from gantool.tasks.picture_names import Item, Naming, Plan, beside, check_apart, is_folder, of_each_seed
from gantool.tasks.sample import check_folder
from gantool.tasks.translate_work import Manner, Prepared, Translating

MOST_BYTES = 1 << 29  # of the frames of an animation, all of which are held at once
LEAST_STEP = 10  # milliseconds: as fast as videos become of animations whose frames are shown unequally long
WORDS = {"gif": ".gif", "webp": ".webp", "png": ".png", "apng": ".png", "mp4": ".mp4"}

Say = Callable[[str], None]
Film = Animation | Video


class _Stopped(Exception):
    """A stop was asked for."""


@dataclass(frozen=True)
class Shown:
    """A translated frame: (H, W, C), a profile of its colours, and how long it is shown."""

    pixels: Levels
    icc: bytes | None
    milliseconds: float


def open_film(path: Path) -> Film | None:
    """What a file holds if that moves; None where it is a picture, or neither.

    Raises:
        DataError, RunError: a video or an animation that cannot be read.
    """
    return open_video(path) if path.suffix.lower() in SUFFIXES else open_animation(path)


def plan_film(film: Film, to: Path | None, naming: Naming, form: str | None, quality: int | None) -> Plan:
    """Where the translated film goes.

    Args:
        to: the file, or a folder; None: NAME-translated beside the film.
        form: "gif", "webp", "png" or "mp4"; None: what the film is, and MP4 of videos.

    Raises:
        UsageError: an unknown format, one without quality, or the film's own name.
        RunError: a video, where the program ffmpeg is not installed.
    """
    own = ".mp4" if isinstance(film, Video) else WORDS[film.kind]
    suffix = own if form is None else WORDS.get(form.lower().removeprefix("."))
    if suffix is None:
        raise UsageError(f"{form!r} is no format that moves.", f"Use {', '.join(WORDS)}.")
    result = beside(film.path.with_suffix(""), f"{naming.ending}{suffix}")
    if to is not None:
        result = to / result.name if is_folder(to) else to
    ending = result.suffix.lower()
    if ending not in (*KINDS, ".mp4"):
        raise UsageError(f"{result} has no extension of a format that moves.", f"Use {', '.join(WORDS)}.")
    if form is not None and KINDS.get(ending) != KINDS.get(suffix):
        raise UsageError(f"{result} is not called like {form}.", f"Call it {result.with_suffix(suffix)}.")
    if ending == ".mp4":
        check_ffmpeg(result)
    if quality is not None and ending != ".webp":
        raise UsageError("Of films WebP alone has a quality.", "Leave out --quality, or write a .webp.")
    items = tuple(of_each_seed(Item(printable(str(film.path)), film.path, result, "png"), naming))
    check_apart(items, naming)
    return Plan(naming, items, None)


def frames_folder(item: Item) -> Path:
    """Where the frames of a film are written one by one."""
    return item.result.with_name(f"{item.result.stem}-frames")


def translate_film(
    film: Film,
    work: Translating,
    outcome: Outcome,
    *,
    frames: bool,
    overwrite: bool,
    say: Say,
    watch: Watch,
    stop: Callable[[], bool],
) -> None:
    """Translate a film as `outcome.plan` has it, once for each seed, and tell the outcome.

    How long each frame is shown, and how often an animation, stay; of a video, the sound. A stop leaves nothing but
    the frames written so far.

    Args:
        frames: also write each frame as a PNG, 00001.png and on, into a new or empty folder beside the result.

    Raises:
        DataError: it cannot be decoded, or becomes too large for an animation.
        RunError: it cannot be written.
    """
    silence_pillow()
    watch.piece = "frame"
    total = len(outcome.plan.items)
    if frames and not overwrite:
        for item in outcome.plan.items:
            check_folder(frames_folder(item))
    for number, item in enumerate(outcome.plan.items, 1):
        if stop():
            break
        watch.begin(item, number, total)
        try:
            told = say if number == 1 else lambda _: None
            with closing(_results(film, work, item, told, watch, stop)) as shown:
                made: Iterator[Shown] = _kept(shown, frames_folder(item)) if frames else shown
                _write(film, made, item, work.quality, overwrite, say)
        except _Stopped:
            break
        watch.end(item, number, total)
        outcome.made.append(item)
    outcome.left = [item for item in outcome.plan.items if item not in outcome.made]


def _results(
    film: Film, work: Translating, item: Item, say: Say, watch: Watch, stop: Callable[[], bool]
) -> Generator[Shown]:
    """The translated frames; a thread reads while this one runs the network."""
    manner, seed, done = work.manner, work.seed_of(item), 0
    source = _prepared(film, manner)
    with closing(source), ThreadPoolExecutor(1, thread_name_prefix="film") as pool:

        def batch() -> list[tuple[Prepared, float]]:
            return list(islice(source, work.passes.batch))

        waiting = pool.submit(batch)
        watch.tile(0, film.count or 1)
        while given := waiting.result():
            if stop():
                raise _Stopped
            waiting = pool.submit(batch)
            pictures = [picture for picture, _ in given]
            if not done:
                manner.check(pictures[0], item.name, Form("png"))
                for note in pictures[0].notes:
                    say(f"{note[0].upper()}{note[1:]}.")
            results = work.passes.translate(
                [p.pixels for p in pictures], [seed] * len(pictures), manner.translation.bits
            )
            for (picture, milliseconds), result in zip(given, results, strict=True):
                pixels = manner.finish(picture, result)
                yield Shown(pixels, manner.extras(picture, pixels).icc, milliseconds)
            done += len(given)
            watch.tile(done, max(done, film.count or 0))
        if not done:
            raise DataError(f"{film.path} holds no frames.", "Copy or download it again.")


def _prepared(film: Film, manner: Manner) -> Generator[tuple[Prepared, float]]:
    """Each frame ready for the network, and how long it is shown, in milliseconds."""
    if isinstance(film, Video):
        upper, lower = map(int, film.rate.split("/"))
        for pixels in film.frames():
            yield manner.prepare(Faithful(pixels)), 1000 * lower / upper
        return
    extras = Extras(icc=film.icc)
    for frame in film.frames():
        pixels = frame.pixels if (frame.pixels[..., 3] < 255).any() else frame.pixels[..., :3]
        yield manner.prepare(Faithful(pixels, extras)), frame.milliseconds


def _kept(shown: Iterator[Shown], folder: Path) -> Iterator[Shown]:
    """The same frames, each written as a PNG on the way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    for number, one in enumerate(shown, 1):
        data, _ = encode(one.pixels, Extras(icc=one.icc), Form("png"))
        atomic_write(folder / f"{number:05}.png", data, sync=False)
        yield one


def _write(film: Film, shown: Iterator[Shown], item: Item, quality: int | None, overwrite: bool, say: Say) -> None:
    kind = KINDS.get(item.result.suffix.lower())
    if kind is None:
        _write_video(film, shown, item.result, overwrite, say)
        return
    pixels: list[Pixels] = []
    times: list[float] = []
    icc = None
    for one in shown:
        pixels.append(eight_bits(one.pixels))
        times.append(one.milliseconds)
        icc = one.icc
        if len(pixels) * pixels[0].nbytes > MOST_BYTES:
            raise DataError(
                f"{item.name} becomes too large for an animation: more than {MOST_BYTES / 1e9:.1f} GB of pixels.",
                "Write a video (--format mp4), or name a smaller --size.",
            )
    plays = film.plays if isinstance(film, Animation) else 0
    data = animation_bytes(pixels, times, kind, plays=plays, quality=quality, icc=icc)
    atomic_write(item.result, data, overwrite=overwrite, sync=False)


def _write_video(film: Film, shown: Iterator[Shown], path: Path, overwrite: bool, say: Say) -> None:
    with temporary_video(path) as video:
        if isinstance(film, Video):
            encode_video((_rgb(one.pixels) for one in shown), film.rate, video, path)
            whole = video.with_name("whole.mp4")
            if with_sound(video, film.path, whole):
                video = whole
            else:
                say(f"The sound of {film.path} could not be kept.")
        else:
            times = [frame.milliseconds for frame in film.frames()]  # read twice, so that no frames are held
            step = max(LEAST_STEP, math.gcd(*map(round, times)))
            counts = [max(1, round(time / step)) for time in times]
            repeated = (_rgb(one.pixels) for one, n in zip(shown, counts, strict=True) for _ in range(n))
            encode_video(repeated, f"1000/{step}", video, path)
        with open(video, "rb") as file:
            atomic_write(path, lambda to: shutil.copyfileobj(file, to), overwrite=overwrite, sync=False)


def _rgb(pixels: Levels) -> Pixels:
    """(H, W, 3) of 8 bits, without alpha."""
    colours = eight_bits(pixels)
    colours = colours[..., :-1] if colours.shape[2] in (2, 4) else colours
    return np.broadcast_to(colours, (*colours.shape[:2], 3))
