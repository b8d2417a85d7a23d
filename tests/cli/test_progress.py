"""The live display and the plain lines, fed with a progress by hand."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from gantool.cli import progress as shown
from gantool.cli.progress import Block, Lines, Watcher, watching
from gantool.cli.talk import Talk
from gantool.engine.checkpoint import State
from gantool.engine.model import Stage
from gantool.engine.trainer import Progress


@pytest.fixture
def half_way():
    stages = [Stage(0, "stage 1/2", 100, (20, 30), cost=1.0), Stage(1, "stage 2/2", 100, (40, 60), cost=3.0)]
    state = State(stage=1, step=50, schedule=[100, 100])
    return Progress(stages, state, {"loss": 0.125}, fresh=True, session_steps=150, session_seconds=25.0)


def terminal(width=100):
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


def test_the_live_display(half_way, tmp_path):
    talk = Talk()
    talk.__dict__["console"] = terminal()
    run = SimpleNamespace(path=tmp_path)
    (tmp_path / "previews").mkdir()
    (tmp_path / "previews" / "stage-02.png").touch()
    with watching(talk) as watcher:
        assert isinstance(watcher, Block)
        watcher.created(run)
        watcher.step(half_way)
        watcher.stage_end(half_way, None)
    text = talk.console.file.getvalue()
    # 100 steps of cost 1 and 50 of cost 3 are 250 of 400; they took 25 s, so 150 more take 15 s.
    for part in (
        "62 %",
        "about 15 s left",
        "50/100 steps",
        "6.0 it/s",
        "60 × 40 px",
        "loss 0.125",
        "stage-02.png",
    ):
        assert part in text


def test_the_display_is_not_drawn_at_every_step(half_way, monkeypatch):
    talk = Talk()
    talk.__dict__["console"] = terminal()
    monkeypatch.setattr(shown.time, "monotonic", lambda: 100.0)
    with watching(talk) as watcher:
        drawn = []
        monkeypatch.setattr(watcher._live, "update", lambda *_, **__: drawn.append(1))
        for _ in range(1000):
            watcher.step(half_way)
        assert len(drawn) == 1


def test_plain_lines_are_not_more_than_one_in_five_seconds(half_way, capfd, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(shown.time, "monotonic", lambda: next(clock))
    watcher = Lines(Talk())
    for _ in range(20):
        watcher.step(half_way)
    lines = capfd.readouterr().err.splitlines()
    assert 3 <= len(lines) <= 4
    assert lines[0] == "stage 2/2  step 50/100  6.0 it/s  about 15 s left  loss 0.125"
    half_way.fresh = False
    for _ in range(20):
        watcher.step(half_way)
    assert capfd.readouterr().err == ""


def test_every_stage_has_a_speed_of_its_own(half_way):
    watcher = Watcher(Talk())
    assert watcher.speed(half_way) == pytest.approx(150 / 25)
    half_way.session_steps, half_way.session_seconds = 160, 30.0
    assert watcher.speed(half_way) == pytest.approx(0.7 * 6 + 0.3 * 2)  # smoothed
    watcher.stage_end(half_way, None)
    half_way.session_steps, half_way.session_seconds = 170, 40.0
    assert watcher.speed(half_way) == pytest.approx(1)


@pytest.mark.parametrize(("talk", "kind"), [(Talk(quiet=True), Watcher), (Talk(), Lines)])
def test_who_watches(talk, kind):
    with watching(talk) as watcher:
        assert type(watcher) is kind


def test_no_escapes_where_they_are_not_wanted(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for name, value, plain in (
        ("NO_COLOR", "1", True),
        ("TERM", "dumb", True),
        ("TERM", "xterm-256color", False),
    ):
        with monkeypatch.context() as patch:
            patch.delenv("NO_COLOR", raising=False)
            patch.setenv("TERM", "xterm-256color")
            patch.setenv(name, value)
            stream = Terminal()
            patch.setattr("sys.stderr", stream)
            from gantool.cli.talk import print_error
            from gantool.errors import DataError

            print_error(DataError("What.", "Next."))
            assert ("\x1b" not in stream.getvalue()) is plain
