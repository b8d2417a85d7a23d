"""The processes that --devices starts, with a stand-in for the program."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gantool.cli import launch as module
from gantool.cli.launch import launch
from gantool.errors import GantoolError, Interrupted

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX only")

# What each process does is given by rank: "rank 0's words | rank 1's words | ...", each some of
#   say TEXT, err TEXT, exit N, die (SIGKILL), sleep N, deaf (to SIGTERM and SIGUSR1), note (write down signals).
STAND_IN = """
import json, os, signal, sys, time
from pathlib import Path
rank = int(os.environ["RANK"])
Path(f"env{rank}").write_text(json.dumps({**os.environ, "argv": sys.argv[1:], "session": os.getsid(0)}))
script = sys.argv[1].split("|")
words = script[min(rank, len(script) - 1)].split()
signals = []
def note(number, frame):
    signals.append(signal.Signals(number).name)
    Path(f"signals{rank}").write_text(" ".join(signals))
    if len(signals) == wanted:
        time.sleep(0.3)
        sys.exit(130)
while words:
    match words.pop(0):
        case "say": print(words.pop(0), flush=True)
        case "err": print(words.pop(0), file=sys.stderr, flush=True)
        case "exit": sys.exit(int(words.pop(0)))
        case "die": os.kill(os.getpid(), signal.SIGKILL)
        case "sleep": 
            until = time.monotonic() + float(words.pop(0))
            while time.monotonic() < until: time.sleep(0.05)
        case "deaf": signal.signal(signal.SIGTERM, signal.SIG_IGN), signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        case "note":
            wanted = int(words.pop(0))
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(number, note)
        case "ready": Path(f"ready{rank}").touch()
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "ALONE", 1.0)
    monkeypatch.setattr(module, "TIDY", 1.0)
    (tmp_path / "standin.py").write_text(STAND_IN)
    return tmp_path


def run(script, devices=2):
    return launch(devices, [script], program=[sys.executable, "standin.py"])


def environment(rank):
    return json.loads(Path(f"env{rank}").read_text())


def wait_for(*files):
    until = time.monotonic() + 30
    while not all(Path(file).exists() for file in files):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_what_the_processes_are_told(monkeypatch, capfd):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(module, "cores", lambda: 7)
    assert run("say first err talk | say other err murmur | say third", 3) == 0
    assert capfd.readouterr() == ("first\n", "talk\n")
    told = [environment(rank) for rank in range(3)]
    assert [(e["RANK"], e["LOCAL_RANK"]) for e in told] == [("0", "0"), ("1", "1"), ("2", "2")]
    for e in told:
        assert (e["WORLD_SIZE"], e["LOCAL_WORLD_SIZE"], e["GANTOOL_LAUNCHED"]) == ("3", "3", "1")
        assert (e["MASTER_ADDR"], e["OMP_NUM_THREADS"]) == ("127.0.0.1", "2")
        assert 1024 <= int(e["MASTER_PORT"]) < 65536
        assert e["argv"] == ["say first err talk | say other err murmur | say third"]
    assert len({e["MASTER_PORT"] for e in told}) == 1
    assert len({e["session"] for e in told} | {os.getsid(0)}) == 4  # a terminal's Ctrl-C reaches none of them


def test_threads_that_were_chosen_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert run("exit 0") == 0
    assert environment(1)["OMP_NUM_THREADS"] == "5"


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("err mine exit 3 | err same exit 3", 3, "mine\n"),  # all fail alike
        ("exit 76 | err reason exit 3", 3, "reason\n"),  # the first only lost its peer
        ("err mine exit 2 | exit 76", 2, "mine\n"),
        ("sleep 60 | err reason exit 4", 4, "reason\n"),  # the first does not notice
        ("deaf sleep 60 | err reason exit 4", 4, "reason\n"),  # not even when told
        ("exit 0 | sleep 0.5 err late exit 5", 5, "late\n"),
        ("err slow sleep 0.5 exit 3 | exit 76", 3, "slow\n"),
        ("sleep 60 | err warning sleep 60 | err reason exit 4", 4, "reason\n"),
    ],
)
def test_one_message_and_its_exit_code(capfd, script, code, said):
    began = time.monotonic()
    assert run(script, script.count("|") + 1) == code
    assert time.monotonic() - began < 10
    assert capfd.readouterr() == ("", said)


def test_the_result_of_the_one_that_speaks_is_shown_too(capfd):
    assert run("exit 76 | say {} err reason exit 3") == 3
    assert capfd.readouterr() == ("{}\n", "reason\n")


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("exit 76 | die", "Process 2 of 2 was ended by SIGKILL."),
        ("die | exit 76", "Process 1 of 2 was ended by SIGKILL."),
        ("sleep 60 | die", "Process 2 of 2 was ended by SIGKILL."),
        ("exit 76 | exit 9", "Process 2 of 2 ended with exit code 9, and did not say why."),
        ("exit 76", "The processes of this training lost each other."),
    ],
)
def test_who_cannot_say_why_is_spoken_for(capfd, script, what):
    began = time.monotonic()
    with pytest.raises(GantoolError) as caught:
        run(script)
    assert (caught.value.what, caught.value.exit_code) == (what, 1)
    assert "gantool resume" in caught.value.hint
    assert time.monotonic() - began < 10
    assert capfd.readouterr() == ("", "")


LAUNCH = (
    "import sys\n"
    "from gantool.cli.launch import launch\n"
    "sys.exit(launch(2, sys.argv[1:], [sys.executable, 'standin.py']))\n"
)


@pytest.fixture
def parent():
    """A process that launches, in a session of its own as a terminal would give it."""
    started = []

    def start(script):
        process = subprocess.Popen([sys.executable, "-c", LAUNCH, script], start_new_session=True)
        started.append(process)
        wait_for("ready0", "ready1")
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_request_reaches_each_process_once(parent, number):
    process = parent("note 1 ready sleep 60")
    os.killpg(process.pid, number)  # as a terminal does: to all that it holds
    assert process.wait(timeout=20) == 130
    assert [Path(f"signals{rank}").read_text() for rank in range(2)] == ["SIGTERM", "SIGTERM"]


def test_the_first_may_take_its_time_to_save(parent):
    process = parent("note 5 ready sleep 5 exit 130 | note 1 ready sleep 60")
    process.send_signal(signal.SIGINT)
    wait_for("signals0", "signals1")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert Path("signals0").read_text() == "SIGTERM SIGTERM"  # a second request, and nothing else


def test_the_third_request_kills(parent):
    process = parent("note 9 ready sleep 60")
    for count in range(1, 4):
        process.send_signal(signal.SIGINT)
        if count < 3:
            while not Path("signals1").exists() or len(Path("signals1").read_text().split()) < count:
                time.sleep(0.02)
    assert process.wait(timeout=20) == 1  # here nobody catches Interrupted
    assert Path("signals0").read_text() == "SIGTERM SIGTERM"


def test_interrupted_before_anybody_can_say_so(monkeypatch):
    monkeypatch.setattr(module._Requests, "__enter__", lambda self: setattr(self, "count", 1) or self)
    with pytest.raises(Interrupted, match=r"Interrupted\."):
        run("sleep 60")


@pytest.mark.skipif(sys.platform != "linux", reason="by a service of Linux")
def test_no_process_outlives_the_launcher(parent):
    process = parent("ready deaf sleep 60")
    family = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(family) == 2
    process.kill()
    process.wait()
    until = time.monotonic() + 5
    while any(alive(pid) for pid in family):
        assert time.monotonic() < until
        time.sleep(0.02)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
