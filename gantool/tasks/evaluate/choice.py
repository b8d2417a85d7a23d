"""A page on which people say whether pictures are real or generated: LAPGAN's user study (Denton 2015, section 5.3).

One HTML file that asks nothing of the network. page/ holds what it is made of; answers are totalled there, and by
`gantool.tasks.evaluate.answers`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from gantool.data.archives import printable
from gantool.data.image import png_bytes
from gantool.errors import DataError, UsageError
from gantool.files import atomic_write
from gantool.tasks.evaluate.choice_options import ChoiceOptions
from gantool.tasks.evaluate.choice_plan import (
    Shown,
    Trial,
    common_size,
    display,
    fitted,
    names_of,
    order_of,
    plan,
    showings,
)
from gantool.tasks.evaluate.measure import writable
from gantool.tasks.evaluate.operands import Count, Drawn, Opener, Operand, Say, quiet, silent
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.runs import Run

MOST_BYTES = 200 * 10**6  # of a page
_ID = 12  # hex digits


@dataclass
class ChoicePage:
    """A page that was written.

    Attributes:
        file: the page.
        id: the same for equal pictures and options; saved answers carry it.
        mode: "single" or "pairs".
        trials: how many there are.
        times: ms that pictures are shown; empty: until the answer.
        picture: [width, height] of each picture.
        display: the same in CSS pixels on a wide screen.
        bytes: of the file.
        sources: `name`, `real`, `from`, `shown` (how often) and `pictures` (how many different ones) of each.
        notes: what was done to pictures, as sentences.
        warnings: what may mislead, as sentences.
    """

    file: str
    id: str
    mode: str
    trials: int
    times: list[int]
    picture: list[int]
    display: list[int]
    bytes: int = 0
    sources: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def data(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)


@dataclass
class _Source:
    """One source: the operand, its name, and the pictures chosen from it."""

    side: Operand
    name: str = ""
    chosen: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    left_out: int = 0


def choice_page(
    real: str | Path | Run,
    fakes: Sequence[str | Path | Run],
    to: str | Path,
    options: ChoiceOptions | None = None,
    *,
    say: Say = quiet,
    count: Count = silent,
) -> ChoicePage:
    """Write a page for a two-alternative forced choice between real and generated pictures.

    Args:
        real: the real pictures: a file, folder, zip or array; a run draws.
        fakes: the generated ones, likewise; several are several models, which share the trials.
        to: the .html file to write; nothing is overwritten.
        options: see `ChoiceOptions`.
        say, count: take sentences and progress, for people.

    Raises:
        UsageError: no fakes, fewer trials than sources, or one source twice.
        DataError: pictures are missing, cannot be read, or are too many for one page.
        RunError: a run has no checkpoint, or the file is there already or cannot be written.
    """
    options, to = options or ChoiceOptions(), Path(to)
    references = [real, *fakes]
    least = len(fakes) if options.pairs else len(references)
    if not fakes:
        raise UsageError("There is nothing to tell from the real pictures.", "Give generated pictures, or a run, too.")
    if options.trials < least:
        raise UsageError(f"{options.trials} trials cannot show {least} sources.", f"Ask for {least} or more.")
    writable(to)
    shown = showings(options.trials, len(references), options.pairs)
    sources = _opened(references, shown, options, say)
    for i, source in enumerate(sources):
        _choose(source, order_of(options.seed, i, len(source.side.pictures)), shown[i], options.skip_bad, count)
    sizes = {size for source in sources for size in source.sizes}
    size = common_size(sizes)
    trials = plan(shown, [len(source.chosen) for source in sources], options.times, options.pairs, options.seed)
    pictures = _embedded(sources, trials, size, count)
    study = _study(sources, trials, pictures, size, options)
    content = _html(study, options.title)
    if len(content) > MOST_BYTES:
        raise _too_large(len(pictures), len(pictures))
    atomic_write(to, content, overwrite=False, sync=False)
    page = ChoicePage(
        file=str(to),
        id=study["id"],
        mode=study["mode"],
        trials=len(trials),
        times=list(options.times),
        picture=[size[1], size[0]],
        display=study["size"],
        bytes=len(content),
    )
    for i, source in enumerate(sources):
        about = {"name": source.name, "real": i == 0, "from": source.side.label}
        page.sources.append({**about, "shown": shown[i], "pictures": len(source.chosen)})
    page.notes = _notes(sizes, size)
    page.warnings = _warnings(sources, shown)
    return page


def _opened(
    references: Sequence[str | Path | Run], shown: Sequence[int], options: ChoiceOptions, say: Say
) -> list[_Source]:
    common = EvalOptions(
        skip_bad=options.skip_bad, background=options.background, device=options.device, out=options.out
    )
    sources = [_Source(Opener(common, say, n).open(one)) for one, n in zip(references, shown, strict=True)]
    paths = [Path(source.side.label).resolve() for source in sources]
    for i, path in enumerate(paths):
        if path in paths[:i]:
            raise UsageError(f"{sources[i].side.label} is given twice.", "Name each source once.")
    for source, name in zip(sources, names_of(paths), strict=True):
        source.name = printable(name)
    return sources


def _choose(source: _Source, order: Sequence[int], wanted: int, skip_bad: bool, count: Count) -> None:
    """As many pictures as are wanted, or all there are, in `order`; those that cannot be read are not among them."""
    pictures, label = source.side.pictures, source.side.label
    wanted = min(wanted, len(order))
    if isinstance(pictures, Drawn):
        for done, _ in enumerate(pictures, 1):  # many at once, and kept
            count(f"drawing {label}", done, wanted)
    for index in order:
        if len(source.chosen) == wanted:
            return
        try:
            item = pictures.read(index)
        except DataError as error:
            if not skip_bad:
                hint = (
                    error.hint if len(order) == 1 else "Replace it, or leave out what cannot be read with --skip-bad."
                )
                raise DataError(error.what, hint) from error
            source.left_out += 1
            continue
        source.chosen.append(index)
        source.sizes.append((item.pixels.shape[0], item.pixels.shape[1]))
        count(f"looking at {label}", len(source.chosen), wanted)
    if not source.chosen:
        raise DataError(f"None of the {len(order)} pictures of {label} can be read.", "Give other pictures.")


def _embedded(
    sources: Sequence[_Source], trials: Sequence[Trial], size: tuple[int, int], count: Count
) -> dict[Shown, str]:
    """Every picture that is shown as PNG in base64, in the order in which they first come: that tells no source."""
    wanted = list(dict.fromkeys(shown for trial in trials for shown in trial.shown))
    found: dict[Shown, str] = {}
    total = 0
    for source, i in wanted:
        pixels = sources[source].side.pictures.read(sources[source].chosen[i]).pixels
        found[source, i] = base64.b64encode(png_bytes(fitted(pixels, size))).decode()
        total += len(found[source, i])
        if total > MOST_BYTES:
            raise _too_large(len(found), len(wanted))
        count("embedding pictures", len(found), len(wanted))
    return found


def _too_large(done: int, total: int) -> DataError:
    return DataError(
        f"The page would be larger than {MOST_BYTES // 10**6} MB: {done} of {total} pictures fill that.",
        "Ask for fewer --trials, or make the pictures smaller first, for instance with `gantool data pack`.",
    )


def _study(
    sources: Sequence[_Source],
    trials: Sequence[Trial],
    pictures: dict[Shown, str],
    size: tuple[int, int],
    options: ChoiceOptions,
) -> dict[str, Any]:
    """What the page's script reads. The key, which says what is what, is in base64: nobody reads it by accident."""
    place = {shown: i for i, shown in enumerate(pictures)}
    key = {
        "sources": [{"name": source.name, "real": i == 0} for i, source in enumerate(sources)],
        "trials": [[source for source, _ in trial.shown] for trial in trials],
        "pictures": [printable(sources[s].side.pictures.names[sources[s].chosen[i]]) for s, i in pictures],
    }
    shown = display(size, options.size)
    study = {
        "mode": "pairs" if options.pairs else "single",
        "size": list(shown),
        "pixelated": shown[0] > size[1],
        "trials": [{"pictures": [place[one] for one in trial.shown], "time": trial.time} for trial in trials],
        "key": base64.b64encode(json.dumps(key).encode()).decode(),
        "pictures": list(pictures.values()),
    }
    digest = hashlib.sha256(json.dumps(study).encode()).hexdigest()
    return {"id": digest[:_ID], **study}


def _html(study: dict[str, Any], title: str) -> bytes:
    """The page. Its policy allows this script, this style and pictures inside the page, and nothing else."""
    folder = files("gantool.tasks.evaluate") / "page"
    template, style, script, totals = (
        (folder / name).read_text(encoding="utf-8") for name in ("choice.html", "choice.css", "choice.js", "totals.js")
    )
    script = f'"use strict";\n{totals}\n{script}'
    parts = {
        "title": escape(title),
        "style": style,
        "script": script,
        "study": json.dumps(study).replace("<", "\\u003c"),
        "policy": f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template).encode("utf-8", "replace")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _notes(sizes: set[tuple[int, int]], size: tuple[int, int]) -> list[str]:
    height, width = size
    if len(sizes) == 1:
        return []
    if len({tall * width == wide * height for tall, wide in sizes} | {True}) == 1:
        how = "reduced"
    else:
        how = "cut to their middle and reduced"
    return [f"Pictures of {len(sizes)} sizes were {how} to {width}x{height}, so that size does not give them away."]


def _warnings(sources: Sequence[_Source], shown: Sequence[int]) -> list[str]:
    found = []
    jpegs = [source for source in sources if source.side.pictures.jpeg]
    for source, n in zip(sources, shown, strict=True):
        if source.left_out:
            found.append(f"Left out of {source.side.label}, for they cannot be read: {source.left_out}.")
        there = len(source.chosen)
        if there < n:
            often = f"{there} pictures are" if there > 1 else "One picture is"
            found.append(
                f"{often} all there is of {source.side.label}, to be shown {n} times: what comes again is recognised. "
                "Give more, or ask for fewer --trials."
            )
    if jpegs and len(jpegs) < len(sources):
        labels = ", ".join(source.side.label for source in jpegs)
        found.append(f"Pictures of {labels} come from JPEG, others do not: its traces may give them away, also as PNG.")
    return found
