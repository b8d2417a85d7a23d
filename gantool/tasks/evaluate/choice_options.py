"""Options of a page for a forced choice. Imports no torch: the command line reads this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gantool.errors import UsageError
from gantool.tasks.evaluate.options import LAST_SEED

MOST_TRIALS = 10_000
SMALLEST, LARGEST = 16, 4096  # pixels of a display
SHORTEST, LONGEST = 10, 60_000  # ms that a picture is shown


@dataclass(frozen=True, kw_only=True)
class ChoiceOptions:
    """How people are asked.

    Attributes:
        trials: pictures, or pairs, that one person sees.
        size: CSS pixels of the longer side on the screen; None: a whole multiple near 256, larger pictures as they are.
        times: milliseconds that a picture is shown, several in equal parts; empty: until the answer.
        pairs: a real and a generated picture side by side, in place of one picture at a time.
        title: of the page.
        seed: of the choice of pictures and of their order.
        skip_bad: leave out pictures that cannot be read.
        background: colour behind transparent pixels.
        device: that draws where an operand is a run.
        out: folder in which runs are looked for.
    """

    trials: int = 50
    size: int | None = None
    times: tuple[int, ...] = ()
    pairs: bool = False
    title: str = "Real or generated?"
    seed: int = 0
    skip_bad: bool = False
    background: str = "white"
    device: str = "auto"
    out: Path = Path("runs")

    def __post_init__(self) -> None:
        """Refuse what cannot be shown. Raises UsageError."""
        if not 1 <= self.trials <= MOST_TRIALS:
            raise UsageError(f"Nobody answers {self.trials:,} trials.", f"Ask for 1 to {MOST_TRIALS:,}.")
        if self.size is not None and not SMALLEST <= self.size <= LARGEST:
            raise UsageError(f"No screen shows {self.size} pixels well.", f"Use {SMALLEST} to {LARGEST:,}.")
        for time in self.times:
            if not SHORTEST <= time <= LONGEST:
                hint = f"Use {SHORTEST} to {LONGEST:,}, or leave --time out: pictures then stay until the answer."
                raise UsageError(f"A picture cannot be shown for {time} milliseconds.", hint)
        if not 0 <= self.seed <= LAST_SEED:
            raise UsageError(f"{self.seed} is no seed.", f"Give a number from 0 to {LAST_SEED}.")


def parse_times(text: str) -> tuple[int, ...]:
    """ "50,200,1000" to milliseconds, each once, shortest first; "" to none. Raises UsageError."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    for part in parts:
        if not (part.isascii() and part.isdecimal() and len(part) < 10):
            raise UsageError(f"{part!r} is no time.", "Give whole milliseconds, for instance 50,200,1000.")
    return tuple(sorted({int(part) for part in parts}))
