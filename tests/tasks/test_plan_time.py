"""How long a training is said to take, by a clock that only training steps move."""

from dataclasses import replace

import pytest

from gantool.families.lapgan.model import LAPGAN
from gantool.tasks import plan as planning
from gantool.tasks.plan import plan_training, time_steps


class Clock:
    """A step of stage k takes `seconds[k]`, and the first of a model's stage `slow` more."""

    def __init__(self, seconds, slow=0.0):
        self.now, self.seconds, self.slow, self.steps = 100.0, seconds, slow, []

    def perf_counter(self):
        return self.now

    def train_step(self, ctx):
        self.steps.append(ctx.stage.index)
        self.now += self.seconds[ctx.stage.index] + (self.slow if ctx.step == 0 else 0.0)
        return {}


@pytest.fixture
def timed(monkeypatch):
    def call(clock, patience=2.0, costs=(1.0, 3.0, 4.0), **options):
        planned = plan_training("lapgan", "builtin:digits", preset="tiny", estimate=False, options=options)
        stages = [replace(stage, cost=cost) for stage, cost in zip(planned.stages, costs, strict=True)]
        monkeypatch.setattr(planning, "time", clock)
        monkeypatch.setattr(LAPGAN, "train_step", lambda model, batch, ctx: clock.train_step(ctx))
        return time_steps(replace(planned, stages=stages), patience)

    return call


def test_quick_stages_are_all_timed_after_a_slow_first_step(timed):
    clock = Clock([0.01, 0.02, 0.03], slow=0.1)
    assert timed(clock, steps=50) == pytest.approx([0.01, 0.02, 0.03])
    assert clock.steps == [0] * 5 + [2] * 5 + [1] * 5  # coarsest, finest, then what lies between


def test_what_there_is_no_time_for_lies_between_those_timed(timed):
    """The middle one would take some 0.6 s a step, and nothing is left after 5 * 0.1 + 2 * 0.8 s."""
    clock = Clock([0.1, 0.5, 0.8])
    assert timed(clock, steps=50, patience=2.1) == pytest.approx([0.1, 0.1 + 0.7 * 2 / 3, 0.8])
    assert clock.steps == [0] * 5 + [2] * 2


def test_slow_ones_are_timed_by_the_first_alone_and_the_rest_by_cost(timed):
    clock = Clock([30.0, 1.0, 1.0])
    assert timed(clock, steps=50) == pytest.approx([30.0, 90.0, 120.0])
    assert clock.steps == [0]
    clock = Clock([0.9, 1.0, 1.0])
    assert timed(clock, steps=50) == pytest.approx([0.9, 2.7, 3.6])
    assert clock.steps == [0, 0]


def test_a_schedule_of_one_step_is_timed_by_it(timed):
    clock = Clock([0.01, 0.02, 0.03])
    assert timed(clock, steps=1) == pytest.approx([0.01, 0.02, 0.03])
    assert clock.steps == [0, 2, 1]
