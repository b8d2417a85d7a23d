"""Errors: two lines, the right exit code, the same as JSON; a mistake of ours keeps its traceback."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "code", "kind", "text"),
    [
        (["train", "consingn", "a.png"], 2, "usage", "Did you mean consingan?"),
        (["train", "a.png"], 2, "usage", "a.png stands where the family should."),
        (["train", "zzz", "a.png"], 2, "usage", "`gantool families` lists them."),
        (["train", "consingan", "gone.png"], 1, "data", "There is no file gone.png."),
        (["train", "consingan", "a.png", "--stages", "99"], 2, "config", "`stages` = 99 (from flag)"),
        (["train", "consingan", "a.png", "--stages", "many"], 2, "usage", "Invalid value for '--stages'"),
        (["train", "consingan", "a.png", "--mode", "x"], 2, "usage", "Invalid value for '--mode'"),
        (["train", "consingan", "a.png", "--itrations", "3"], 2, "usage", "No such option: --itrations"),
        (["train", "consingan", "a.png", "--set", "x"], 2, "config", "--set takes NAME=VALUE"),
        (["train", "consingan", "a.png", "--preset", "x"], 2, "config", "Its presets: paper, fast, harmonize,"),
        (["train", "consingan", "a.png", "--config", "no.toml"], 2, "config", "Cannot read no.toml"),
        (["train", "consingan", "a.png", "--device", "cuda:77"], 2, "usage", ""),
        (["train", "consingan", "a.png", "--background", "mud"], 2, "config", "mud"),
        (["train", "consingan"], 2, "usage", "Missing argument"),
        (["sample", "latest"], 1, "run", "There are no runs in runs."),
        (["sample", "latest", "-n", "x"], 2, "usage", "Invalid value for"),
        (["resume", "nothing"], 1, "run", "There are no runs in runs."),
        (["info", "consingn"], 2, "usage", "Did you mean consingan?"),
        (["config", "init", "consingan", "--preset", "x"], 2, "config", "no preset `x`"),
        (["nonsense"], 2, "usage", "No such command"),
    ],
)
def test_what_users_do_wrong(cli, here, words, code, kind, text):
    said = cli(*words)
    assert (said.code, said.out) == (code, "")
    first, *second = said.err.splitlines()
    assert first.startswith("Error: ")
    assert second[0].startswith("Hint: ")
    assert len(second) == 1
    assert text in said.err
    said = cli(*words, "--json")
    assert said.code == code
    assert said.reply["ok"] is False
    assert said.reply["error"]["code"] == kind
    assert text in said.reply["error"]["message"] + said.reply["error"]["hint"]


def test_a_mistake_of_ours_keeps_its_traceback(cli, monkeypatch):
    def families(*args):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("gantool.registry.entries", families)
    said = cli("families", "--json")
    assert said.code == 1
    assert "Traceback" in said.err
    assert "gantool doctor" in said.err
    assert said.reply["error"]["code"] == "internal"
    assert "ZeroDivisionError: oh" in said.reply["error"]["message"]


def test_debug_shows_the_traceback_of_a_users_error(cli, here, monkeypatch):
    monkeypatch.setenv("GANTOOL_DEBUG", "1")
    assert "Traceback" in cli("train", "consingan", "gone.png").err


def test_a_reader_that_goes_away_is_no_error(here):
    process = subprocess.Popen(
        [sys.executable, "-m", "gantool", "info", "consingan"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(timeout=30)
