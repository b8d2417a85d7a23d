"""The trainer against a loop written by hand, and everything that may stop it."""

from __future__ import annotations

import json
import math

import pytest
import torch

from gantool.engine.checkpoint import find_checkpoint
from gantool.engine.model import Context
from gantool.engine.rundir import RunDir
from gantool.engine.world import World
from gantool.errors import Diverged, Interrupted, RunError


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_the_trainer_is_the_loop_by_hand(toy, tmp_path) -> None:
    trainer = toy.trainer(tmp_path / "run", log_every=1)
    trainer.fit()
    model, generator, losses = toy.by_hand()
    assert same(trainer.model, model)
    assert torch.equal(trainer.generator.get_state(), generator.get_state())
    for name, optimizer in model.optimizers.items():
        for p, q in zip(
            trainer.model.optimizers[name].param_groups[0]["params"],
            optimizer.param_groups[0]["params"],
            strict=True,
        ):
            mine, theirs = trainer.model.optimizers[name].state[p], optimizer.state[q]
            assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    logged = RunDir(tmp_path / "run").metrics()
    assert [{k: entry[k] for k in ("first", "second")} for entry in logged] == losses
    assert [entry["total"] for entry in logged] == list(range(1, sum(toy.STEPS) + 1))
    assert [(e["stage"], e["step"]) for e in logged] == [(k, i + 1) for k, n in enumerate(toy.STEPS) for i in range(n)]


def test_seeds_decide(toy, tmp_path) -> None:
    trainers = [toy.trainer(tmp_path / str(i), seed=seed) for i, seed in enumerate((5, 5, 6))]
    for trainer in trainers:
        trainer.fit()
    assert same(trainers[0].model, trainers[1].model)
    assert not same(trainers[0].model, trainers[2].model)


def test_saving_and_logging_change_nothing(toy, tmp_path, never_stopped) -> None:
    toy.trainer(tmp_path / "run", save_every=1e9, log_every=4).fit()
    assert toy.newest(tmp_path / "run") == never_stopped
    entries = RunDir(tmp_path / "run").metrics()
    # Every fourth step and the last one of each stage.
    assert [(e["stage"], e["step"]) for e in entries] == [(0, 4), (0, 7), (1, 4), (1, 5), (2, 4), (2, 6)]
    names = sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["latest.json", "step-0000007-end", "step-0000012-end", "step-0000018-end"]


def test_stopped_after_any_step_and_resumed(toy, tmp_path, never_stopped) -> None:
    for when in range(1, sum(toy.STEPS) + 1):
        path = tmp_path / f"run{when}"
        first = toy.trainer(path, save_every=1e9)
        first.stop = lambda t=first, n=when: t.progress.state.total == n
        with pytest.raises(Interrupted, match="gantool resume"):
            first.fit()
        assert first.progress.state.total == when
        second = toy.trainer(path, save_every=1e9)
        second.fit()
        assert second.progress.session_steps == sum(toy.STEPS) - when
        assert toy.newest(path) == never_stopped


def test_stopped_after_every_step_in_turn(toy, tmp_path, never_stopped) -> None:
    path = tmp_path / "run"
    for _ in range(sum(toy.STEPS)):
        with pytest.raises(Interrupted):
            toy.trainer(path, stop=lambda: True).fit()
    toy.trainer(path, stop=lambda: True).fit()
    assert toy.newest(path) == never_stopped


def test_a_finished_run_has_nothing_left_to_do(toy, tmp_path, never_stopped) -> None:
    toy.trainer(tmp_path / "run").fit()
    again = toy.trainer(tmp_path / "run")
    again.fit()
    assert again.progress.session_steps == 0
    assert toy.newest(tmp_path / "run") == never_stopped


class Watcher:
    def __init__(self) -> None:
        self.events: list[object] = []

    def step(self, progress) -> None:
        self.events.append((progress.state.stage, progress.state.step, progress.fresh))

    def stage_end(self, progress, model) -> None:
        self.events.append(f"end of {progress.stage.name}")

    def run_end(self, progress, model) -> None:
        self.events.append("end")


def test_callbacks_see_every_step_and_every_end(toy, tmp_path) -> None:
    watcher = Watcher()
    toy.trainer(tmp_path / "run", toy.Toy((2, 3)), log_every=2, callbacks=[watcher]).fit()
    assert watcher.events == [
        (0, 1, False), (0, 2, True), "end of stage 1", (1, 1, False), (1, 2, True), (1, 3, True),
        "end of stage 2", "end",
    ]  # fmt: skip


def test_the_time_left_follows_from_the_cost_of_the_steps(toy, tmp_path) -> None:
    """Two stages of 10 steps, the second four times as dear. After 5 of the first: 5 + 40 of 5 units are left."""
    trainer = toy.trainer(tmp_path / "run", toy.Toy((10, 10), (1.0, 4.0)))
    progress = trainer.progress
    progress.state.step, progress.session_steps, progress.session_seconds = 5, 5, 2.0
    assert progress.seconds_left == pytest.approx(2.0 / 5 * 45)
    progress.state.stage, progress.state.step, progress.session_steps, progress.session_seconds = 1, 5, 15, 6.0
    assert progress.seconds_left == pytest.approx(6.0 / 30 * 20)
    progress.session_steps = 5  # a session that began in the second stage
    assert progress.seconds_left == pytest.approx(6.0 / 20 * 20)
    progress.session_steps = 1
    assert progress.seconds_left is None


# ---- numbers that are not ----------------------------------------------------------------------------------


def spoil_loss(model, stage: int, step: int, factor: float):
    def on_step(k: int, n: int) -> None:
        if (k, n) == (stage, step):
            model.loss_factor = factor

    model.on_step = on_step
    return model


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run(toy, tmp_path, factor: float) -> None:
    path = tmp_path / "run"
    trainer = toy.trainer(path, spoil_loss(toy.Toy(), 1, 2, factor), log_every=1)
    with pytest.raises(Diverged, match="second is not finite at step 3 of stage 2") as caught:
        trainer.fit()
    assert caught.value.exit_code == 3
    found = find_checkpoint(path / "checkpoints")
    assert found is not None
    assert (found[1].stage, found[1].step) == (1, 2)  # the last step before it
    assert all(math.isfinite(value) for e in RunDir(path).metrics() for value in e.values())
    assert max(e["total"] for e in RunDir(path).metrics()) == 9


def test_after_divergence_the_run_goes_on_from_the_last_good_checkpoint(toy, tmp_path, never_stopped) -> None:
    path = tmp_path / "run"
    with pytest.raises(Diverged):
        toy.trainer(path, spoil_loss(toy.Toy(), 1, 2, math.nan), log_every=1).fit()
    toy.trainer(path, log_every=1).fit()
    assert toy.newest(path) == never_stopped


def test_weights_that_are_not_finite_are_never_saved(toy, tmp_path) -> None:
    """The losses are logged seldom and look well: the weights themselves are looked at."""
    path = tmp_path / "run"
    model = toy.Toy()

    def on_step(k: int, n: int) -> None:
        if (k, n) == (0, 4):
            with torch.no_grad():
                model.layers[0].bias[1] = math.inf

    model.on_step = on_step
    with pytest.raises(Diverged, match=r"layers\.0\.\w+ are not finite any more \(step 5 of stage 1\)"):
        toy.trainer(path, model, log_every=1000).fit()
    found = find_checkpoint(path / "checkpoints")
    assert found is not None
    assert found[1].step == 4
    assert not list((path / "checkpoints").glob("*.tmp"))


def test_a_stop_does_not_save_weights_that_are_not_finite(toy, tmp_path) -> None:
    model = toy.Toy()
    with torch.no_grad():
        model.critic.weight.fill_(math.nan)
    with pytest.raises(Diverged):
        toy.trainer(tmp_path / "run", model, log_every=1000, stop=lambda: True).fit()
    assert find_checkpoint(tmp_path / "run" / "checkpoints") is None


def test_other_options_than_those_of_the_checkpoint(toy, tmp_path) -> None:
    path = tmp_path / "run"
    toy.trainer(path).fit()
    with pytest.raises(RunError, match=r"has 3 stages, but config\.toml makes 2"):
        toy.trainer(path, toy.Toy((7, 5))).fit()
    wider = toy.Toy()
    wider.critic = torch.nn.Conv2d(4, 5, 3)
    with pytest.raises(RunError, match=r"do not fit this model"):
        toy.trainer(path, wider).fit()


# ---- a schedule fitted to a time limit ---------------------------------------------------------------------


class Clock:
    """Time that passes only in train_step: `cost` seconds a step of each stage."""

    def __init__(self, seconds) -> None:
        self.now, self.seconds = 1000.0, seconds

    def monotonic(self) -> float:
        return self.now

    def step(self, stage: int, step: int) -> None:
        self.now += self.seconds[stage]


class SlowStart(Clock):
    """The first step of a stage takes 20 seconds more: kernels are chosen, memory is taken."""

    def step(self, stage: int, step: int) -> None:
        super().step(stage, step)
        self.now += 20 if step == 0 else 0


def test_the_first_steps_of_a_stage_do_not_count_for_its_speed(toy, tmp_path, monkeypatch) -> None:
    """After 6 steps and 26 s, at 1 s a step, 94 + 300 s are wanted and 194 - 26 are there: 6 + 40 steps."""
    clock = SlowStart([1.0, 3.0])
    monkeypatch.setattr("gantool.engine.trainer.time", clock)
    model = toy.Toy((100, 100), (1.0, 3.0), clock.step)
    trainer = toy.trainer(tmp_path / "run", model, max_time=200.0, save_every=1e9)
    trainer.fit()
    assert trainer.progress.state.schedule[0] == 46


def test_the_schedule_fits_the_time(toy, tmp_path, monkeypatch) -> None:
    """Two stages of 100 steps, 1 s and 3 s each, in 200 s; the model believes in costs of 1 and 3.

    Planned: 194 s. After 5 steps and 5 s, 95 + 300 s are wanted and 189 s are there, a share of 0.4784:
    5 + 45 and 47 steps. In the second stage, after 50 + 15 s: 95 steps of 3 s wanted, 129 s there: 5 + 43.
    """
    clock = Clock([1.0, 3.0])
    monkeypatch.setattr("gantool.engine.trainer.time", clock)
    trainer = toy.trainer(tmp_path / "run", toy.Toy((100, 100), (1.0, 3.0), clock.step), max_time=200.0, save_every=1e9)
    trainer.fit()
    state = trainer.progress.state
    assert state.schedule == [50, 48]
    assert state.seconds == pytest.approx(50 + 3 * 48)
    assert 190 < state.seconds <= 200
    assert clock.now - 1000 <= 200


def test_a_wrong_belief_in_the_costs_is_mended_stage_by_stage(toy, tmp_path, monkeypatch) -> None:
    clock = Clock([1.0, 9.0, 1.0])  # the second stage is thrice as slow as it says
    monkeypatch.setattr("gantool.engine.trainer.time", clock)
    model = toy.Toy((100, 100, 100), (1.0, 3.0, 1.0), clock.step)
    trainer = toy.trainer(tmp_path / "run", model, max_time=250.0, save_every=1e9)
    trainer.fit()
    assert trainer.progress.state.seconds <= 250
    assert all(5 <= n < 100 for n in trainer.progress.state.schedule)
    assert trainer.progress.state.seconds > 200


def test_a_stage_that_becomes_slow_does_not_starve_the_next(toy, tmp_path, monkeypatch) -> None:
    """Pictures that are at hand make 12 steps four times as fast as all others; then fitting once misleads."""

    class Queue(Clock):
        def step(self, stage: int, step: int) -> None:
            self.now += self.seconds[stage] * (0.25 if step < 12 else 1)

    clock = Queue([1.0, 1.0])
    monkeypatch.setattr("gantool.engine.trainer.time", clock)
    model = toy.Toy((2000, 2000), (1.0, 1.0), clock.step)
    trainer = toy.trainer(tmp_path / "run", model, max_time=600.0, save_every=1e9)
    trainer.fit()
    first, second = trainer.progress.state.schedule
    assert first + second > 560
    assert 0.8 < first / second < 1.25
    assert trainer.progress.state.seconds <= 600


def test_a_fitted_schedule_survives_a_stop(toy, tmp_path, monkeypatch) -> None:
    results = []
    for stops in ((), (3,), (20, 60), (51, 52, 53)):
        path = tmp_path / f"run{len(stops)}{sum(stops)}"
        for stop in (*stops, None):
            clock = Clock([1.0, 3.0])
            monkeypatch.setattr("gantool.engine.trainer.time", clock)
            trainer = toy.trainer(path, toy.Toy((100, 100), (1.0, 3.0), clock.step), max_time=200.0, save_every=1e9)
            trainer.stop = lambda t=trainer, n=stop: t.progress.state.total == n
            if stop:
                with pytest.raises(Interrupted):
                    trainer.fit()
            else:
                trainer.fit()
        _, parts, state = toy.newest(path)
        assert state == [1, 48, [50, 48], True]
        results.append(parts)
    assert all(parts == results[0] for parts in results)


def test_without_a_limit_the_schedule_stays(toy, tmp_path) -> None:
    trainer = toy.trainer(tmp_path / "run")
    trainer.fit()
    assert tuple(trainer.progress.state.schedule) == toy.STEPS
    record = json.loads((tmp_path / "run/checkpoints/step-0000018-end/state.json").read_text())
    assert record["schedule"] == list(toy.STEPS)


def test_layers_draw_differently_in_each_process_and_step(toy, tmp_path) -> None:
    """Dropout of one process is not that of another one some steps before."""
    drawn = set()
    for rank in range(3):
        trainer = toy.trainer(tmp_path / f"run{rank}")
        trainer.world = World(rank, 3)
        ctx = Context(torch.device("cpu"), trainer.generator, trainer.progress.stage)
        for ctx.step in range(5):
            with torch.random.fork_rng():
                trainer._seed_layers(ctx)
                drawn.add(float(torch.rand(())))
    assert len(drawn) == 15
