"""Totals of the answers that pages of `gantool eval choice` saved. page/totals.js computes the same in the browser."""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from gantool.data.archives import printable
from gantool.data.listing import file_mode, read_error
from gantool.errors import DataError, UsageError

FORMAT = "gantool-choice-answers"
MODES = ("single", "pairs")
Z = 1.959963984540054  # 97.5 % of a normal distribution lie below it

Answer = Mapping[str, Any]


def wilson(k: int, n: int) -> dict[str, float | None]:
    """Wilson's score interval, 95 %, of the share k / n (Wilson 1927, "Probable inference").

    Returns:
        `share`, `low` and `high`, 0 to 1; all None where n is 0.

    Raises:
        ValueError: k is not between 0 and n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    if n == 0:
        return {"share": None, "low": None, "high": None}
    p, z2 = k / n, Z * Z / n
    middle = (p + z2 / 2) / (1 + z2)
    half = Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2)
    # At the ends rounding would leave 1e-17 in place of 0.
    return {"share": p, "low": 0.0 if k == 0 else middle - half, "high": 1.0 if k == n else middle + half}


def total_answers(files: Sequence[str | Path]) -> dict[str, Any]:
    """Total the answers that were saved as JSON; a session that is in several files counts once.

    Returns:
        mode: "single" (one picture at a time) or "pairs".
        pages: ids of the pages that were answered.
        sessions: how many.
        accuracy: `answers`, `right`, and their `share` with its 95 % interval, `low` and `high`.
        rows: for each source `source`, `real`, `shown`, `judged_real`, `share`, `low`, `high` and `median_ms`, the
            median time of answering; `all` is True in the row over all display times, False in those of one, which
            follow where there were several (`time_ms`; None: until the answer). Of pairs only the models have rows.
        sentences: what it means.
        warnings: what may mislead.

    Raises:
        DataError: a file is missing, or no such file, or damaged.
        UsageError: no file, or single pictures and pairs.
    """
    if not files:
        raise UsageError("There is nothing to total.", "Name files that a page of `gantool eval choice` saved as JSON.")
    read = [(path, _read(Path(path))) for path in files]
    mode = str(read[0][1]["mode"])
    for path, content in read:
        if content["mode"] != mode:
            raise UsageError(
                f"{printable(str(path))} has other trials (one picture, or pairs) than {printable(str(files[0]))}.",
                "Total the two kinds apart.",
            )
    sources = {(s["name"], s["real"]): s for _, content in read for s in content["sources"]}
    sessions: dict[str, Mapping[str, Any]] = {}
    for _, content in read:
        for session in content["sessions"]:
            earlier = sessions.get(session["id"])
            if earlier is None or len(earlier["answers"]) < len(session["answers"]):
                sessions[session["id"]] = session
    found = totals(mode, list(sources.values()), list(sessions.values()))
    pages = sorted({str(session.get("page")) for session in sessions.values()})
    warnings = []
    if len(pages) > 1:
        warnings.append(f"The answers are of {len(pages)} pages; sources of the same name are totalled as one.")
    again = sum(len(content["sessions"]) for _, content in read) - len(sessions)
    if again:
        warnings.append(f"Sessions that were there more than once, and count once: {again}.")
    return {**found, "pages": pages, "sentences": sentences(found), "warnings": warnings}


def totals(mode: str, sources: Iterable[Mapping[str, Any]], sessions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of answers: see `total_answers`."""
    answers = [answer for session in sessions for answer in session["answers"]]
    times = sorted({answer["time_ms"] for answer in answers}, key=lambda ms: math.inf if ms is None else ms)
    rows = []
    for source in sources:
        if mode == "pairs" and source["real"]:
            continue
        own = [a for a in answers if (a["source"], a["real"]) == (source["name"], source["real"])]
        rows.append(_row(source, None, own, whole=True))
        if len(times) > 1:
            rows += [_row(source, ms, [a for a in own if a["time_ms"] == ms], whole=False) for ms in times]
    right = sum(answer["judged_real"] == answer["real"] for answer in answers)
    accuracy = {"answers": len(answers), "right": right, **wilson(right, len(answers))}
    return {"mode": mode, "sessions": len(sessions), "accuracy": accuracy, "rows": rows}


def _row(source: Mapping[str, Any], time: float | None, answers: Sequence[Answer], *, whole: bool) -> dict[str, Any]:
    judged = sum(answer["judged_real"] for answer in answers)
    times = [answer["answer_ms"] for answer in answers if answer["answer_ms"] is not None]
    return {
        "source": source["name"],
        "real": source["real"],
        "time_ms": time,
        "shown": len(answers),
        "judged_real": judged,
        **wilson(judged, len(answers)),
        "median_ms": median(times) if times else None,
        "all": whole,
    }


def percent(share: float) -> str:
    """A share as people read it, rounded as browsers do."""
    return f"{math.floor(100 * share + 0.5)} %"


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What totals mean, in words."""
    accuracy, pairs = found["accuracy"], found["mode"] == "pairs"
    rows = [row for row in found["rows"] if row["all"] and row["shown"]]
    if not rows:
        return ["There are no answers yet."]
    said = []
    for row in rows:
        who = "Real pictures" if row["real"] else f"Pictures of {row['source']}"
        how = "taken for the real one" if pairs else "taken for real"
        said.append(
            f"{who} were {how} in {percent(row['share'])} of {row['shown']} {'pairs' if pairs else 'showings'}."
        )
    between = f"95 % interval {percent(accuracy['low'])} to {percent(accuracy['high'])}"
    right = f"{percent(accuracy['share'])} of {accuracy['answers']} answers were right ({between})"
    if pairs:
        return [*said, "At 50 %, which guessing gives, they cannot be told from real ones.", f"{right}."]
    generated = sum(row["shown"] for row in rows if not row["real"]) / accuracy["answers"]
    return [
        *said,
        "Generated pictures that are taken for real as often as real ones cannot be told from them.",
        f'{right}; always answering "generated" would be right in {percent(generated)}.',
        "For comparison, one picture at a time on CIFAR-10 (Denton et al. 2015): about 40 % of a class-conditional "
        "LAPGAN's pictures were taken for real, about 10 % of a plain GAN's, and over 90 % of real ones.",
    ]


def _read(path: Path) -> Mapping[str, Any]:
    """The content of a file, checked as far as totals need it."""
    label = printable(str(path))
    wanted = "Give files that a page of `gantool eval choice` saved as JSON."
    try:
        if not stat.S_ISREG(file_mode(path)):  # opening a pipe would wait for ever
            raise DataError(f"{label} is no file.", wanted)
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise read_error(path, error) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{label} is no JSON file.", wanted) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{label} holds no answers.", wanted)
    sources, sessions = content.get("sources"), content.get("sessions")
    names = {_key(s.get("name"), s.get("real")) for s in _dicts(sources)}
    sound = (
        content.get("mode") in MODES
        and isinstance(sources, list)
        and isinstance(sessions, list)
        and None not in names
        and len(_dicts(sources)) == len(sources)
        and len(_dicts(sessions)) == len(sessions)
        and all(isinstance(s.get("id"), str) and isinstance(s.get("answers"), list) for s in sessions)
        and all(_sound(answer, names) for session in sessions for answer in session["answers"])
    )
    if not sound:
        raise DataError(f"{label} is damaged: answers in it are not whole.", "Save it again from the page.")
    return content


def _dicts(values: object) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _key(name: object, real: object) -> tuple[str, bool] | None:
    return (name, real) if isinstance(name, str) and isinstance(real, bool) else None


def _sound(answer: object, names: set[tuple[str, bool] | None]) -> bool:
    if not isinstance(answer, dict):
        return False
    times = (answer.get(name, "missing") for name in ("time_ms", "shown_ms", "answer_ms"))
    return (
        isinstance(answer.get("judged_real"), bool)
        and (key := _key(answer.get("source"), answer.get("real"))) is not None
        and key in names
        and all(ms is None or (type(ms) in (int, float) and 0 <= ms < 1e12) for ms in times)
    )
