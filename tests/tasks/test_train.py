"""Training for real: killed and resumed to the same bits, alone in its directory, within its time."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from PIL import Image

import gantool
from gantool.engine import callbacks
from gantool.errors import ConfigError, DataError, Diverged, Interrupted, RunError
from gantool.families.consingan.model import ConSinGAN
from gantool.tasks import train as train_task
from gantool.tasks.plan import plan_training
from gantool.tasks.runs import Run


def newest(run: Path) -> tuple[dict[str, bytes], list[object]]:
    """The tensors of the newest checkpoint, byte for byte, and its state without the time."""
    folder = run / "checkpoints"
    last = folder / json.loads((folder / "latest.json").read_text())["name"]
    state = json.loads((last / "state.json").read_text())
    parts = {part: (last / f"{part}.safetensors").read_bytes() for part in ("model", "optim", "rng")}
    return parts, [state[key] for key in ("stage", "step", "schedule", "stage_end")]


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.load("cpu").state_dict()


def same(a: Run, b: Run) -> bool:
    one, two = weights(a), weights(b)
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


VARIANTS: dict[str, dict[str, object]] = {
    "generation": {"iterations": 10},
    "cropped": {"iterations": 12, "crop": 14, "crop_from": 2, "train_depth": 2, "max_size": 40, "critic_steps": 2},
    "batch norm": {"iterations": 8, "batch_norm": True},
    "batch norm, frozen stages": {"iterations": 8, "batch_norm": True, "train_depth": 1},
    "animation": {"iterations": 8, "mode": "animation", "train_depth": 2, "activation": "prelu"},
    "retarget": {"iterations": 8, "mode": "retarget", "activation": "elu", "penalty_every": 3},
}


def spawn(work) -> int:
    """A forked child that does `work` and ends; its process id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def kill_after(child: int, seconds: float) -> bool:
    """Wait that long, then kill -9; whether it was still alive."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def only_run(out: Path) -> Path:
    (path,) = (file.parent for file in out.glob("*/*/run.json"))
    return path


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("variant", VARIANTS)
def test_killed_and_resumed_to_the_same_bits(picture, tmp_path, variant: str) -> None:
    more = {"preset": "tiny", "seed": 1, "save_every": 0.0, "log_every": 1, **VARIANTS[variant]}
    whole = gantool.train("consingan", picture, out=tmp_path / "whole", **more)
    expected = newest(whole.path)

    mine = tmp_path / "mine.png"
    shutil.copy(picture, mine)
    out, rng, kills = tmp_path / "out", random.Random(variant), 0
    child = spawn(lambda: gantool.train("consingan", mine, out=out, **more))
    wait_for(lambda: list(out.glob("*/*/metrics.jsonl")))
    kills += kill_after(child, rng.uniform(0, 0.3))
    run = only_run(out)
    assert Run(gantool.open_run(run).dir).dir.status() == "killed"
    mine.unlink()  # the run keeps its own copy

    for _ in range(3):
        before = len((run / "metrics.jsonl").read_bytes())
        child = spawn(lambda: gantool.resume(run))
        wait_for(
            lambda b=before: (
                len((run / "metrics.jsonl").read_bytes()) > b or gantool.open_run(run).dir.status() == "finished"
            )
        )
        kills += kill_after(child, rng.uniform(0, 0.5))
    finished = gantool.resume(run)
    assert kills >= 2
    assert finished.dir.status() == "finished"
    assert newest(run) == expected
    entries = gantool.open_run(run).dir.metrics()
    plain = [{k: v for k, v in e.items() if k != "seconds"} for e in entries]
    assert plain == [{k: v for k, v in e.items() if k != "seconds"} for e in whole.dir.metrics()]
    assert sorted(p.name for p in (run / "previews").iterdir()) == [f"stage-0{k}.png" for k in (1, 2, 3)]
    for name in ("stage-01.png", "stage-03.png"):
        assert (run / "previews" / name).read_bytes() == (whole.path / "previews" / name).read_bytes()


SLOW_SAVES = """
import os, sys, time
import gantool
for name in ("fsync", "replace"):
    def slow(*args, original=getattr(os, name)):
        time.sleep(0.02)
        return original(*args)
    setattr(os, name, slow)
gantool.train("consingan", sys.argv[1], preset="tiny", seed=1, save_every=0, iterations=5, out=sys.argv[2])
"""


def test_killed_in_the_middle_of_a_save_as_a_program_of_its_own(picture, tmp_path) -> None:
    """Saving takes nearly all the time here, so that nearly every kill hits a save."""
    more = {"preset": "tiny", "seed": 1, "iterations": 5}
    whole = gantool.train("consingan", picture, out=tmp_path / "whole", **more)
    out = tmp_path / "out"
    child = subprocess.Popen([sys.executable, "-c", SLOW_SAVES, picture, out], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(list(out.glob("*/*/checkpoints/step-*"))) >= 2)
        wait_for(lambda: list(out.glob("*/*/checkpoints/*.tmp/optim.safetensors")))
    finally:
        child.kill()
        child.wait()
    run = only_run(out)
    assert list((run / "checkpoints").glob("*.tmp"))
    assert gantool.open_run(run).dir.status() == "killed"
    gantool.resume(run)
    assert newest(run) == newest(whole.path)
    assert not list((run / "checkpoints").glob("*.tmp"))


# ---- one process a run, one run a directory ----------------------------------------------------------------


def test_a_second_process_is_refused_until_the_first_is_gone(picture, tmp_path) -> None:
    out = tmp_path / "out"
    child = spawn(
        lambda: gantool.train("consingan", picture, preset="tiny", seed=1, iterations=100000, save_every=0.0, out=out)
    )
    try:
        wait_for(lambda: list(out.glob("*/*/checkpoints/latest.json")))
        run = only_run(out)
        assert gantool.open_run(run).dir.status() == "running"
        with pytest.raises(RunError, match="Another process is writing"):
            gantool.resume(run)
        assert gantool.open_run(run).info["status"] == "running"
        said: list[str] = []
        gantool.sample(run, 1, say=said.append)  # readers are welcome
        assert len(said) == 1
        assert said[0].endswith("stage 1/3.")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with pytest.raises(Interrupted):
        gantool.resume(run, stop=lambda: True)
    assert gantool.open_run(run).dir.status() == "interrupted"


def test_runs_of_one_second_do_not_touch_each_other(picture, tmp_path) -> None:
    more = {"preset": "tiny", "iterations": 1, "stages": 1, "out": tmp_path}
    made = [gantool.train("consingan", picture, seed=seed, **more) for seed in (1, 2, 3)]
    assert len({run.path for run in made}) == 3
    assert [run.info["seed"] for run in made] == [1, 2, 3]
    assert [run.settings.seed for run in made] == [1, 2, 3]


# ---- the same again ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(picture, tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp("small")
    return gantool.train("consingan", picture, preset="tiny", seed=7, iterations=3, out=out)


def test_the_same_seed_gives_the_same_weights_and_another_others(picture, tmp_path, small) -> None:
    more = {"preset": "tiny", "iterations": 3, "out": tmp_path}
    torch.manual_seed(123)  # the state of the program around does not matter, and is left alone
    state = torch.random.get_rng_state()
    again = gantool.train("consingan", picture, seed=7, **more)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert newest(again.path) == newest(small.path)
    assert not same(gantool.train("consingan", picture, seed=8, **more), small)


def test_a_drawn_seed_is_written_down_and_repeats_the_run(picture, tmp_path) -> None:
    more = {"preset": "tiny", "iterations": 2, "stages": 2, "out": tmp_path}
    first, other = (gantool.train("consingan", picture, **more) for _ in range(2))
    assert first.info["seed"] != other.info["seed"]
    assert first.info["origins"]["seed"] == "drawn"
    assert same(gantool.train("consingan", picture, seed=first.info["seed"], **more), first)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"channels": 5, "lr_g": 1e-3, "batch_norm": True},
        {"min_size": None, "max_size": 36},  # none, although the preset says 16
    ],
)
def test_config_toml_trains_the_same_again(picture, tmp_path, changes) -> None:
    first = gantool.train("consingan", picture, preset="tiny", seed=4, iterations=2, out=tmp_path, **changes)
    again = gantool.train("consingan", picture, config=first.dir.config_file, out=tmp_path)
    assert again.config == first.config
    assert again.settings == first.settings
    assert newest(again.path) == newest(first.path)


def test_a_run_holds_all_that_is_needed_to_repeat_it(picture, small) -> None:
    import hashlib

    kept = (small.path / "input.png").read_bytes()
    assert kept == picture.read_bytes()
    assert small.info["data"]["sha256"] == hashlib.sha256(kept).hexdigest()
    assert small.info["versions"]["torch"] == torch.__version__
    assert small.info["shape"] == {"height": 30, "width": 40}
    assert small.info["status"] == "finished"
    assert small.info["ended"] >= small.info["started"]


def test_resuming_a_finished_run_does_nothing(small) -> None:
    before = {p: p.stat().st_mtime_ns for p in small.path.rglob("*")}
    said: list[str] = []
    assert gantool.resume(small.path, say=said.append).path == small.path
    assert said == [f"{small.id} is finished already."]
    assert {p: p.stat().st_mtime_ns for p in small.path.rglob("*")} == before


def test_another_picture_in_the_run_directory_is_noticed(picture, tmp_path) -> None:
    with pytest.raises(Interrupted):
        gantool.train("consingan", picture, preset="tiny", out=tmp_path, stop=lambda: True)
    run = only_run(tmp_path)
    Image.new("RGB", (40, 30)).save(run / "input.png")
    with pytest.raises(DataError, match="is not the picture that this run began with"):
        gantool.resume(run)
    (run / "input.png").unlink()
    with pytest.raises(RunError, match="has lost its copy of the picture"):
        gantool.resume(run)


def test_a_run_that_ended_before_its_options_were_written(picture, tmp_path, monkeypatch) -> None:
    def killed(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_task, "atomic_write", killed)
        with pytest.raises(KeyboardInterrupt):
            gantool.train("consingan", picture, preset="tiny", out=tmp_path)
    run = gantool.open_run(only_run(tmp_path))
    assert run.dir.status() == "killed"
    for look in (lambda: run.config, lambda: run.settings, lambda: run.new_model(torch.device("cpu"))):
        with pytest.raises(RunError, match=r"is incomplete: it has no config\.toml") as caught:
            look()
        assert caught.value.hint == "Train anew."
    with pytest.raises(RunError, match="rain") as caught:  # no picture either
        gantool.resume(run)
    assert "rain anew" in caught.value.hint


def test_the_device_that_was_named_is_the_one_that_trains(picture, tmp_path, monkeypatch) -> None:
    """`--device cuda:1` must not end on cuda:0."""
    plan = plan_training("consingan", picture, preset="tiny", estimate=False, out=tmp_path)
    asked: list[str] = []

    def refuse(name: str) -> torch.device:
        asked.append(name)
        raise RunError("no such device here")

    monkeypatch.setattr(train_task, "pick_device", refuse)
    from dataclasses import replace

    with pytest.raises(RunError):
        train_task.start(replace(plan, device=torch.device("cuda:1")))
    assert asked == ["cuda:1"]
    with pytest.raises(RunError):
        gantool.resume(only_run(tmp_path))
    assert asked == ["cuda:1", "cuda:1"]


# ---- what goes wrong ---------------------------------------------------------------------------------------


def test_rates_far_too_high_diverge_and_keep_the_last_good_checkpoint(picture, tmp_path) -> None:
    with pytest.raises(Diverged) as caught:
        gantool.train(
            "consingan", picture, preset="tiny", seed=1, lr_g=1e30, lr_d=1e30, save_every=0.0, log_every=1, out=tmp_path
        )
    assert caught.value.exit_code == 3
    run = gantool.open_run(only_run(tmp_path))
    assert run.dir.status() == "diverged"
    found = run.state()
    if found is not None:  # whatever was saved is finite
        assert all(v.isfinite().all() for v in weights(run).values() if v.is_floating_point())


def test_a_loss_that_becomes_nan_at_a_step(picture, tmp_path, monkeypatch, small) -> None:
    original = ConSinGAN.train_step

    def spoilt(self, batch, ctx):
        losses = original(self, batch, ctx)
        return (
            {**losses, "penalty": losses["penalty"] * float("nan")} if (ctx.stage.index, ctx.step) == (1, 1) else losses
        )

    with monkeypatch.context() as patch:
        patch.setattr(ConSinGAN, "train_step", spoilt)
        with pytest.raises(Diverged, match="penalty is not finite at step 2 of stage 2/3"):
            gantool.train(
                "consingan", picture, preset="tiny", seed=7, iterations=3, save_every=0.0, log_every=1, out=tmp_path
            )
    run = gantool.open_run(only_run(tmp_path))
    assert run.dir.status() == "diverged"
    state = run.state()
    assert state is not None
    assert (state.stage, state.step) == (1, 1)
    said: list[str] = []
    gantool.sample(run, 1, say=said.append)  # loadable, as it was before
    assert "stage 2/3" in said[0]
    gantool.resume(run)
    assert newest(run.path)[0] == newest(small.path)[0]


def test_a_preview_that_cannot_be_written_costs_nothing_else(picture, tmp_path, monkeypatch, small) -> None:
    def full(*_args, **_kwargs):
        raise RunError(f"Cannot write it: {os.strerror(errno.ENOSPC)}.")

    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "save_png", full)
        run = gantool.train("consingan", picture, preset="tiny", seed=7, iterations=3, out=tmp_path, say=said.append)
    assert run.dir.status() == "finished"
    assert newest(run.path) == newest(small.path)
    assert [line[:38] for line in said] == [f"There is no preview of stage {k}/3: Canno"[:38] for k in (1, 2, 3)]


def test_a_preview_that_takes_too_much_memory_costs_nothing_else(picture, tmp_path, monkeypatch) -> None:
    def large(self, seeds=()):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(ConSinGAN, "preview", large)
        run = gantool.train(
            "consingan", picture, preset="tiny", seed=7, stages=1, iterations=1, out=tmp_path, say=said.append
        )
    assert run.dir.status() == "finished"
    assert len(said) == 1


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_afterwards(picture, tmp_path, monkeypatch, small) -> None:
    from gantool.engine import checkpoint

    original, written = checkpoint.atomic_write, []

    def full(path, data, **more):
        written.append(path)
        if len(written) > 10:
            raise RunError(f"Cannot write {path}: {os.strerror(errno.ENOSPC)}.")
        original(path, data, **more)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "atomic_write", full)
        with pytest.raises(RunError, match=r"The checkpoint could not be written: .*No space left") as caught:
            gantool.train("consingan", picture, preset="tiny", seed=7, iterations=3, save_every=0.0, out=tmp_path)
    assert "gantool resume" in caught.value.hint
    run = only_run(tmp_path)
    assert gantool.open_run(run).dir.status() == "failed"
    gantool.resume(run)
    assert newest(run) == newest(small.path)


def test_wrong_options_leave_no_run_directory(picture, tmp_path) -> None:
    for more in ({"chanels": 3}, {"channels": 0}, {"preset": "huge"}, {"sets": ["lr_g"]}, {"crop": 5}):
        with pytest.raises(ConfigError):
            gantool.train("consingan", picture, out=tmp_path, **more)
    with pytest.raises(DataError):
        gantool.train("consingan", tmp_path / "none.png", out=tmp_path)
    for text in ('family = "other"', "colour = 1", "options = 3", "preset = [1]", "[run]\nseed = true"):
        (tmp_path / "c.toml").write_text(text)
        with pytest.raises(ConfigError):
            gantool.train("consingan", picture, config=tmp_path / "c.toml", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "consingan").exists()


# ---- a limit on the time -----------------------------------------------------------------------------------


def test_max_time_shortens_every_stage_and_is_kept(picture, tmp_path) -> None:
    """Some 40 s of steps, in 3 s: interrupted once on the way, it goes on with the schedule that it had fitted.

    That is fitted again where its speed changes; `test_a_fitted_schedule_survives_a_stop` has a steady one.
    """
    began = time.monotonic()
    more = {"preset": "tiny", "seed": 1, "iterations": 3000, "max_time": 3.0, "log_every": 1, "out": tmp_path}
    seen: list[int] = []

    def stop() -> bool:
        seen.append(1)
        return len(seen) == 20

    with pytest.raises(Interrupted):
        gantool.train("consingan", picture, stop=stop, **more)
    run = gantool.open_run(only_run(tmp_path))
    fitted = run.state().schedule
    assert 20 < fitted[0] < 3000
    run = gantool.resume(run)
    took = time.monotonic() - began
    state = run.state()
    assert 20 < state.schedule[0] < 3000
    assert state.stage == 2
    assert state.stage_end
    assert all(5 <= n < 3000 for n in state.schedule)
    assert state.seconds <= 3.6
    assert took < 6
    entries = run.dir.metrics()
    assert [max(e["step"] for e in entries if e["stage"] == k) for k in range(3)] == state.schedule
