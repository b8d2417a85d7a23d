"""`gantool train lapgan --devices 2`: a process for each level, as they are; signals; going on."""

import json
import os
import signal
import time

import pytest
import torch

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX only")

TRAIN = ("train", "lapgan", "pictures", "--preset", "tiny", "--seed", 3, "--device", "cpu", "--workers", 1)


def test_a_plan_says_what_each_level_takes(cli, pictures, monkeypatch):
    from gantool.tasks import plan

    monkeypatch.setattr(plan, "time_steps", lambda plan: [5.0, 10.0, 20.0][-len(plan.stages) :])
    said = cli(*TRAIN, "--dry-run")
    assert "  stages    3, from 4 × 4 px to 16 × 16 px, 12 steps\n" in said.out
    each = "level 0 (4 px) 20 s, level 1 (8 px) 40 s, level 2 (16 px) 1 min 20 s"
    assert f"  time      about 2 min 20 s: {each}\n" in said.out
    # Two processes: one takes level 2, the other one the rest; so the time is that of level 2.
    said = cli(*TRAIN, "--dry-run", "--devices", 2)
    assert f"  time      about 1 min 20 s: {each}, shared by 2 processes\n" in said.out
    said = cli(*TRAIN, "--dry-run", "--devices", 2, "--share", "batches")
    assert f"  time      about 2 min 20 s: {each}\n" in said.out
    said = cli(*TRAIN, "--dry-run", "--level", 1, "--level-options", "1.d_steps=3", "--max-time", "5m")
    count = len(list(pictures.glob("pictures/**/*.*")))
    passes = f"{4 * 4 * 3 / count:,.1f} passes through {count} pictures"
    assert f"  training  level 1 (8 px), 4 steps at 8 × 8 px, 4 pictures a batch, {passes}\n" in said.out
    assert "  time      about 1 min 20 s, within the limit of 5 min\n" in said.out


@pytest.mark.parametrize(("level", "next_one"), [("0", ""), ("1", " --coarse PICTURE")])
def test_what_to_do_next_with_a_single_level(cli, pictures, level, next_one):
    said = cli(*TRAIN, "--level", level, "--out", f"next{level}")
    [run] = pictures.glob(f"next{level}/lapgan/*")
    assert f"Next: gantool sample {run.relative_to(pictures)}{next_one}\n" in said.err


def test_two_processes_share_three_levels(pictures, start, cli, weights):
    process = start(*TRAIN, "--devices", 2, "--json", "--out", "two", cwd=pictures)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    [row] = json.loads(out)["data"]["runs"]
    assert (row["status"], row["steps"]) == ("finished", 12)
    assert "This process trains level 2 (16 px); it is 1 of 2." in err
    [two] = pictures.glob("two/lapgan/*")
    found = weights(two)
    for k in range(3):
        assert cli(*TRAIN, "--level", k, "--out", f"level{k}", "-q").code == 0
        [alone] = pictures.glob(f"level{k}/lapgan/*")
        for name, value in weights(alone).items():
            if name.startswith(f"pyramid.{k}."):
                assert torch.equal(found[name], value), name
    assert cli("sample", two, "-n", 2).code == 0


def test_ctrl_c_saves_every_level_and_one_process_can_go_on(pictures, start, cli):
    process = start(*TRAIN, "--devices", 2, "--steps", 100, "--save-every", 0, cwd=pictures)
    until = time.monotonic() + 60
    while len(list(pictures.glob("runs/lapgan/*/pieces/*/checkpoints/latest.json"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    [run] = pictures.glob("runs/lapgan/*")
    assert (process.returncode, out) == (130, "")
    assert err.count(f"Resume with: gantool resume {run.relative_to(pictures)}\n") == 1
    assert "pieces" not in err
    assert "Traceback" not in err
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    said = cli("resume", run, "--devices", 1, "--json", "-q")
    assert (said.data["run"]["status"], said.data["run"]["steps"]) == ("finished", 300)


def test_a_level_that_diverges_ends_all_with_one_message(pictures, start):
    process = start(*TRAIN, "--devices", 2, "--steps", 400, "--level-options", "1.lr_g=1e30", cwd=pictures)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (3, "")
    assert err.count("Error: ") == 1
    assert "Traceback" not in err
