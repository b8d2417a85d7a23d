"""Times and sizes as people write and read them."""

from __future__ import annotations

import re

from gantool.errors import UsageError

_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m(?:in)?)?(?:{_NUMBER}s?)?")


def parse_duration(text: str) -> float:
    """ "20m", "1h30m", "90s", "1.5h" or "45" (seconds) to seconds. Raises UsageError for anything else."""
    match = _DURATION.fullmatch(re.sub(r"\s+", "", text.lower()))
    seconds = 0.0
    if match is not None:
        days, hours, minutes, rest = (float(part or 0) for part in match.groups())
        seconds = 86400 * days + 3600 * hours + 60 * minutes + rest
    if seconds <= 0:
        raise UsageError(f"{text!r} is no length of time.", "Write for instance 90s, 20m or 1h30m.")
    return seconds


def size(count: float) -> str:
    """Bytes as 812 B, 12 kB, 1.5 MB or 3.2 GB (powers of 1000)."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit != "MB" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def plain(value: object) -> str:
    """A value of an option as people read it."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def pixels(height: int, width: int) -> str:
    """ "640 × 427 px", width first, as people say it."""
    return f"{width} × {height} px"


def rate(steps_a_second: float) -> str:
    """ "12.3 it/s", or "4.1 s/it" for slow steps."""
    if steps_a_second >= 1:
        return f"{steps_a_second:.1f} it/s" if steps_a_second < 100 else f"{steps_a_second:.0f} it/s"
    return f"{1 / steps_a_second:.1f} s/it" if steps_a_second > 0 else "- it/s"
