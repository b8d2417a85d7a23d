"""`gantool train dcgan DATA --devices 2`, in processes as they are: numbers, messages, signals."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from gantool.cli import main as program
from gantool.cli.ranks import SAID_ELSEWHERE, end_when_told
from gantool.errors import DataError, PeerLost

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX only")

TRAIN = ("train", "dcgan", "pictures", "--preset", "tiny", "--seed", 3, "--device", "cpu", "--workers", 1)


@pytest.fixture
def long_training(pictures, start):
    """A training by two processes that is under way: the launcher, the run, and the processes by rank."""
    process = start(*TRAIN, "--devices", 2, "--steps", 120, "--save-every", 0, cwd=pictures)
    until = time.monotonic() + 60
    while not list(pictures.glob("runs/dcgan/*/checkpoints/latest.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    [run] = pictures.glob("runs/dcgan/*")
    return process, run


def test_two_processes_give_the_run_that_one_gives(pictures, start_anew, cli, weights):
    process = start_anew(*TRAIN, "--devices", 2, "--json", "--out", "two", cwd=pictures)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    [row] = json.loads(out)["data"]["runs"]
    assert (row["status"], row["steps"]) == ("finished", 12)
    assert err.count("12 steps at 16 × 16 px") == err.count("Finished: 12 steps") == 1
    assert cli(*TRAIN, "--out", "one", "-q").code == 0
    [one], [two] = (pictures.glob(f"{out}/dcgan/*") for out in ("one", "two"))
    expected, found = weights(one), weights(two)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        # Rounding in float32 after 12 steps of Adam, found: 1.2e-6.
        assert (found[name] - value).abs().max() <= 1e-5 * value.abs().max(), name


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_all_with_one_message(long_training, rank, weights):
    process, run = long_training
    family = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(family) == 2
    began = time.monotonic()
    os.kill(int(family[rank]), signal.SIGKILL)  # in the order in which they were started
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 15
    assert (process.returncode, out) == (1, "")
    assert err.count("Error: ") == 1
    assert f"Error: Process {rank + 1} of 2 was ended by SIGKILL.\n" in err
    assert "Traceback" not in err
    assert weights(run)


def test_ctrl_c_saves_once_and_one_process_can_go_on(long_training, cli):
    process, run = long_training
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.count("Stopping after this step") == 1
    assert err.count("Stopped and saved. Resume with: gantool resume runs/dcgan/") == 1
    assert "Traceback" not in err
    before = json.loads((run / "run.json").read_text())["status"]
    said = cli("resume", run, "--devices", 1, "--json", "-q")
    assert before == "interrupted"
    assert (said.data["run"]["status"], said.data["run"]["steps"]) == ("finished", 120)


def test_what_another_process_says_is_not_said_again(cli, monkeypatch):
    spoken = DataError("Broken.", "Mend it.")

    def build(words):
        def command(**_):
            raise error

        return command

    monkeypatch.setattr(program, "build", build)
    for launched, code in ((False, 1), (True, SAID_ELSEWHERE)):
        monkeypatch.setenv("GANTOOL_LAUNCHED", "1") if launched else monkeypatch.delenv("GANTOOL_LAUNCHED", False)
        error = PeerLost()
        assert (said := cli("train", "--json")).code == code
        assert (said.out, said.err) == ("", "")
        error = spoken
        assert (said := cli("train", "--json")).code == 1
        assert said.err == "Error: Broken.\nHint: Mend it.\n"


def test_a_process_is_told_that_another_has_ended(monkeypatch):
    before = signal.getsignal(signal.SIGUSR1)
    try:
        monkeypatch.delenv("GANTOOL_LAUNCHED", False)
        end_when_told()
        assert signal.getsignal(signal.SIGUSR1) is before
        monkeypatch.setenv("GANTOOL_LAUNCHED", "1")
        end_when_told()
        with pytest.raises(PeerLost):
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
