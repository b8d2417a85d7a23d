"""Ctrl-C and SIGTERM: the first saves and stops, the second stops, and the run can be resumed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from gantool.cli import signals
from gantool.cli.signals import Stopper

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent to processes on POSIX only")


def wait_for(process, text):
    """Read stderr until a line has `text`."""
    seen = []
    for line in process.stderr:
        seen.append(line)
        if text in line:
            return
    raise AssertionError("".join(seen))


def run_of(here):
    [folder] = (here / "runs" / "slow").iterdir()
    return folder


@pytest.fixture
def training(start, here):
    """A training whose 40 steps take 50 ms each, after its first step."""
    words = ["train", "slow", "a.png", "--steps", 40, "--pause", 0.05, "--log-every", 1, "--save-every", 0]
    process = start(*words, cwd=here)
    wait_for(process, "  run ")
    while not (run_of(here) / "checkpoints" / "latest.json").exists():
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_saves_and_the_run_can_be_resumed(training, start, here, number):
    training.send_signal(number)
    out, err = training.communicate(timeout=30)
    run = run_of(here)
    assert training.returncode == 130
    assert out == ""
    assert f"Stopped and saved. Resume with: gantool resume runs/slow/{run.name}" in err
    assert "Traceback" not in err
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    process = start("resume", "latest", "--json", cwd=here)
    out, err = process.communicate(timeout=60)
    row = json.loads(out)["data"]["run"]
    assert process.returncode == 0, err
    assert (row["status"], row["steps"]) == ("finished", 40)


def test_the_second_signal_stops_at_once(start, here):
    process = start("train", "slow", "a.png", "--pause", 60, "--preset", "fast", "-v", "--json", "-q", cwd=here)
    while not list(here.glob("runs/slow/*/run.json")):
        time.sleep(0.02)
    time.sleep(0.5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(signals.TOGETHER + 0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 15
    assert process.returncode == 130
    assert err.startswith("Stopped at once. Go on from the last save with: gantool resume ")
    reply = json.loads(out)
    assert (reply["ok"], reply["error"]["code"]) == (False, "interrupted")
    assert json.loads((run_of(here) / "run.json").read_text())["status"] == "interrupted"


def test_pictures_not_begun_are_named(start_anew, here):
    (here / "b.png").write_bytes((here / "a.png").read_bytes())
    process = start_anew("train", "slow", "a.png", "b.png", "--pause", 0.1, "--steps", 50, "--json", cwd=here)
    wait_for(process, "  run ")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert "Not begun: b.png" in err
    assert json.loads(out)["data"]["not_begun"] == ["b.png"]


CTRL_C_BEFORE_TRAINING = (
    "import gantool.cli.train as t\n"
    "def expand(data): raise KeyboardInterrupt\n"
    "t._expand = expand\n"
    "from gantool.cli.main import main\n"
    "main(['train', 'consingan', 'a.png', '--json'])\n"
)
SIGTERM_WHILE_MEASURING = (
    "import signal\n"
    "import gantool.tasks.evaluate.measure as m\n"
    "def evaluate(*args, **kwargs): signal.raise_signal(signal.SIGTERM)\n"
    "m.evaluate = evaluate\n"
    "from gantool.cli.main import main\n"
    "main(['eval', 'psnr', 'a.png', 'a.png', '--json'])\n"
)


@pytest.mark.parametrize("code", [CTRL_C_BEFORE_TRAINING, SIGTERM_WHILE_MEASURING], ids=["Ctrl-C", "SIGTERM"])
def test_an_interruption_outside_training_is_no_traceback(here, code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr == "Interrupted.\n"
    assert json.loads(done.stdout)["error"]["code"] == "interrupted"


def test_signals_that_come_together_count_once(monkeypatch, capfd):
    before = signal.getsignal(signal.SIGINT)
    with Stopper() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()
        signal.raise_signal(signal.SIGTERM)  # as torchrun sends after a Ctrl-C
        monkeypatch.setattr(signals, "TOGETHER", -1.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert capfd.readouterr().err.count("Stopping after this step") == 1
