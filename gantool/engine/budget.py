"""Fitting a schedule to a time limit."""

from __future__ import annotations

from collections.abc import Sequence

from gantool.engine.model import Stage

WARM_UP = 2  # steps of a stage that are not measured
PROBE = 6  # steps of a stage after which the rest is fitted, by those measured since WARM_UP,
AGAIN = 4  # and in the last stage again after 4 times as many: its first steps may be slower than all others
MARGIN = 0.97  # of the time that is planned with; the rest is for checkpoints and previews


class Budget:
    """Shortens the stages of a schedule so that a run ends in time.

    At step PROBE of each stage the measured speed says what the rest would take, with later stages in proportion
    to their cost; if that is too long, this stage and all later ones lose the same share of their steps. In the last
    stage, which may be the only one, this is done again at 4, 16, 64, ... times as many steps.

    Args:
        limit: seconds for the whole run.
        stages: as the model wants them.
    """

    def __init__(self, limit: float, stages: Sequence[Stage]) -> None:
        self.limit = limit
        self.wanted = [stage.steps for stage in stages]
        self.costs = [stage.cost for stage in stages]
        self.uneven = [stage.uneven for stage in stages]

    def is_due(self, stage: int, step: int) -> bool:
        """Whether the schedule is fitted after so many steps of a stage."""
        times, rest = divmod(step - self.uneven[stage], PROBE)
        while stage == len(self.wanted) - 1 and not rest and times and times % AGAIN == 0:
            times //= AGAIN
        return times == 1 and not rest

    def begins(self, stage: int, step: int) -> bool:
        """Whether speed is measured from this step on."""
        return step == WARM_UP + self.uneven[stage]

    def fit(self, stage: int, step: int, seconds_a_step: float, spent: float) -> list[int]:
        """The steps of `stage` and of each later one, after `step` steps of it and `spent` seconds in all."""
        rest = [self.wanted[stage] - step, *self.wanted[stage + 1 :]]
        speeds = [seconds_a_step * cost / self.costs[stage] for cost in self.costs[stage:]]
        needed = sum(n * s for n, s in zip(rest, speeds, strict=True))
        share = min(1.0, max(0.0, self.limit * MARGIN - spent) / needed) if needed > 0 else 1.0
        shorter = [int(n * share) for n in rest]
        least = [min(PROBE, n) for n in rest[1:]]
        return [step + shorter[0], *map(max, shorter[1:], least)]
