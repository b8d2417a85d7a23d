"""Fitting a schedule to a time limit, and what the steps of stages that were not timed take."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from gantool.engine.model import Stage

WARM_UP = 2  # steps of a stage that are not measured
PROBE = 6  # steps of a stage after which the rest is fitted, by those measured since WARM_UP,
AGAIN = 4  # and again after 4 times as many: the first may be slower than all others, or faster, with pictures at hand
MARGIN = 0.97  # of the time that is planned with; the rest is for checkpoints and previews


class Budget:
    """Shortens the stages of a schedule so that a run ends in time.

    At step PROBE of each stage the measured speed says what the rest would take, with later stages as `speeds` has
    it; if that is too long, this stage and all later ones lose the same share of their steps. This is done again at
    4, 16, 64, ... times as many steps, so that a stage which proves slower takes no time from those after it.

    Args:
        limit: seconds for the whole run.
        stages: as the model wants them.
    """

    def __init__(self, limit: float, stages: Sequence[Stage]) -> None:
        self.limit = limit
        self.wanted = [stage.steps for stage in stages]
        self.costs = [stage.cost for stage in stages]
        self.uneven = [stage.uneven for stage in stages]
        self.measured = dict[int, float]()  # seconds a step by stage, of this session

    def is_due(self, stage: int, step: int) -> bool:
        """Whether the schedule is fitted after so many steps of a stage."""
        times, rest = divmod(step - self.uneven[stage], PROBE)
        while not rest and times and times % AGAIN == 0:
            times //= AGAIN
        return times == 1 and not rest

    def begins(self, stage: int, step: int) -> bool:
        """Whether speed is measured from this step on."""
        return step == WARM_UP + self.uneven[stage]

    def fit(self, stage: int, step: int, seconds_a_step: float, spent: float) -> list[int]:
        """The steps of `stage` and of each later one, after `step` steps of it and `spent` seconds in all."""
        self.measured[stage] = seconds_a_step
        left = max(0.0, self.limit * MARGIN - spent)
        probed = min(step, PROBE + self.uneven[stage])  # shares are of the steps since then, and so stay the same
        wanted = [self.wanted[stage] - probed, *self.wanted[stage + 1 :]]
        times = [n * s for n, s in zip(wanted, speeds(self.costs, self.measured)[stage:], strict=True)]
        share = _share(left + (step - probed) * seconds_a_step, sum(times))
        if share * wanted[0] < step - probed:  # what this stage has done is more than its share
            share = _share(left, sum(times[1:]))
        least = [min(PROBE, n) for n in wanted[1:]]
        return [max(step, probed + int(wanted[0] * share)), *map(max, (int(n * share) for n in wanted[1:]), least)]


def _share(there: float, needed: float) -> float:
    return min(1.0, there / needed) if needed > 0 else 1.0


def speeds(costs: Sequence[float], measured: Mapping[int, float]) -> list[float]:
    """Seconds a step of every stage, where those of some were measured.

    A step takes some time of its own, whatever it computes, and time in proportion to its cost. So the others lie on
    lines through two measured neighbours; beyond them, between the time of the next one and that time in proportion
    to cost, which is all that one measured stage tells.

    Args:
        costs: of a step of every stage.
        measured: seconds a step by index; one at least.
    """
    by_cost = {costs[index]: (costs[index], seconds) for index, seconds in measured.items()}
    points = [by_cost[cost] for cost in sorted(by_cost)]
    return [measured[index] if index in measured else _on_lines(cost, points) for index, cost in enumerate(costs)]


def _on_lines(cost: float, points: Sequence[tuple[float, float]]) -> float:
    """Through points of ascending cost."""
    if len(points) == 1:
        return points[0][1] * cost / points[0][0]
    above = min(max(1, bisect_left(points, (cost, 0.0))), len(points) - 1)
    (c0, t0), (c1, t1) = points[above - 1 : above + 1]
    slope = (t1 - t0) / (c1 - c0)
    if c0 <= cost <= c1:
        return t0 + slope * (cost - c0)
    near, seconds = (c0, t0) if cost < c0 else (c1, t1)
    return seconds + min(max(slope, 0.0), seconds / near) * (cost - near)
