"""`Budget.fit` against numbers worked out by hand."""

from __future__ import annotations

import pytest

from gantool.engine.budget import PROBE, Budget, speeds
from gantool.engine.model import Stage


def budget(limit: float, steps: list[int], costs: list[float]) -> Budget:
    pairs = zip(steps, costs, strict=True)
    return Budget(limit, [Stage(k, str(k), n, (1, 1), cost) for k, (n, cost) in enumerate(pairs)])


def test_enough_time_changes_nothing() -> None:
    assert budget(1000, [100, 200], [1, 2]).fit(0, 5, 0.1, 0.5) == [100, 200]


def test_too_little_time_takes_the_same_share_of_every_stage() -> None:
    # 97 s to plan with, 1 s spent: 96 s. Wanted: 95 * 0.2 + 100 * 0.4 + 100 * 0.8 = 139 s.
    share = 96 / 139
    fitted = budget(100, [100, 100, 100], [1, 2, 4]).fit(0, 5, 0.2, 1.0)
    assert fitted == [5 + int(95 * share), int(100 * share), int(100 * share)] == [70, 69, 69]
    assert 5 * 0.2 + 65 * 0.2 + 69 * 0.4 + 69 * 0.8 <= 97


def test_later_stages_are_fitted_from_their_own_speed() -> None:
    # In stage 1 with 50 s spent: 47 s for 95 steps of 1 s and 100 of 2 s, 295 s.
    assert budget(100, [100, 100, 100], [1, 2, 4]).fit(1, 5, 1.0, 50.0) == [5 + 15, 15]


def test_no_time_left_still_trains_every_stage() -> None:
    assert budget(10, [100, 100, 100], [1, 1, 1]).fit(0, 5, 1.0, 11.0) == [5, PROBE, PROBE]


def test_no_stage_gets_more_than_it_wanted() -> None:
    assert budget(1000, [100, 2, 0], [1, 1, 1]).fit(0, 5, 0.1, 0.5) == [100, 2, 0]
    assert budget(1, [100, 2, 0], [1, 1, 1]).fit(0, 5, 1.0, 5.0) == [5, 2, 0]


def test_a_stage_that_is_over_and_the_last() -> None:
    assert budget(10, [5], [1]).fit(0, 5, 1.0, 5.0) == [5]
    assert budget(10, [5, 8], [1, 1]).fit(1, 5, 0.0, 5.0) == [8]


def test_every_stage_is_fitted_again_and_again() -> None:
    one = budget(10, [5000], [1])
    assert [step for step in range(5000) if one.is_due(0, step)] == [6, 24, 96, 384, 1536]
    two = budget(10, [5000, 100], [1, 1])
    assert [step for step in range(5000) if two.is_due(0, step)] == [6, 24, 96, 384, 1536]
    assert [step for step in range(100) if two.is_due(1, step)] == [6, 24, 96]


def test_steps_that_do_more_tell_nothing_of_the_speed() -> None:
    uneven = Budget(10, [Stage(0, "0", 5000, (1, 1), uneven=25)])
    assert [step for step in range(500) if uneven.is_due(0, step)] == [31, 49, 121, 409]
    assert [step for step in range(500) if uneven.begins(0, step)] == [27]


def test_at_a_steady_speed_nothing_changes() -> None:
    planned = budget(100, [500, 500], [1, 2])
    first = planned.fit(0, 6, 0.1, 0.6)  # 96.4 s; wanted 494 * 0.1 + 500 * 0.2 = 149.4 s
    assert first == [6 + int(494 * 96.4 / 149.4), int(500 * 96.4 / 149.4)] == [324, 322]
    assert planned.fit(0, 24, 0.1, 2.4) == planned.fit(0, 96, 0.1, 9.6) == first


def test_a_stage_that_turns_out_slower_leaves_the_next_its_share() -> None:
    """After 24 steps and 9.6 s it takes 0.5 s a step: 87.4 s, and 18 steps of these are done already."""
    share = (87.4 + 18 * 0.5) / (494 * 0.5 + 500 * 1.0)
    planned = budget(100, [500, 500], [1, 2])
    planned.fit(0, 6, 0.1, 0.6)
    assert planned.fit(0, 24, 0.5, 9.6) == [6 + int(494 * share), int(500 * share)] == [69, 64]
    # After 96 steps, more than its share would be, it ends; the rest is for the next one.
    assert planned.fit(0, 96, 0.5, 45.6) == [96, int((97 - 45.6) / 1.0)]


def test_later_stages_lie_on_the_line_through_two() -> None:
    """5 ms a step and 1 ms a unit of cost. In stage 1 with 10 s spent: 87 s; 94 * 0.007 + 1000 * 0.009 s are wanted."""
    costs = [1.0, 2.0, 4.0]
    assert speeds(costs, {0: 0.006, 1: 0.007}) == pytest.approx([0.006, 0.007, 0.009])
    assert speeds(costs, {0: 0.006, 2: 0.009}) == pytest.approx([0.006, 0.007, 0.009])
    assert speeds(costs, {1: 0.007, 2: 0.009}) == pytest.approx([0.006, 0.007, 0.009])
    planned = budget(8, [100, 100, 1000], costs)
    planned.fit(0, 6, 0.006, 0.1)
    share = (8 * 0.97 - 1.0) / (94 * 0.007 + 1000 * 0.009)
    assert planned.fit(1, 6, 0.007, 1.0) == [6 + int(94 * share), int(1000 * share)]


def test_times_grow_at_most_with_cost_and_never_fall() -> None:
    assert speeds([1.0, 2.0, 4.0], {0: 0.1}) == pytest.approx([0.1, 0.2, 0.4])
    assert speeds([1.0, 2.0, 4.0], {0: 0.1, 1: 0.5}) == pytest.approx([0.1, 0.5, 1.0])
    assert speeds([1.0, 2.0, 4.0], {0: 0.3, 1: 0.2}) == pytest.approx([0.3, 0.2, 0.2])
    assert speeds([1.0, 4.0, 2.0], {1: 0.4, 2: 0.4}) == pytest.approx([0.4, 0.4, 0.4])
    assert speeds([1.0, 1.0, 1.0], {0: 0.1, 1: 0.2}) == pytest.approx([0.1, 0.2, 0.2])  # the later one counts
    assert speeds([1.0, 1.0], {0: 0.0}) == [0.0, 0.0]


@pytest.mark.parametrize("limit", [20, 50, 137.0])
def test_the_planned_time_is_kept(limit: float) -> None:
    steps, costs, speed = [300, 500, 80], [1.0, 2.5, 9.0], 0.1
    fitted = budget(limit, steps, costs).fit(0, 5, speed, 0.5)
    planned = 0.5 + speed * (fitted[0] - 5) + speed * 2.5 * fitted[1] + speed * 9 * fitted[2]
    assert planned <= 0.97 * limit
    assert planned > 0.97 * limit - speed * (1 + 2.5 + 9)
