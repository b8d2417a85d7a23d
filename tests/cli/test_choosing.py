"""`gantool eval choice` and `gantool eval answers` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

from gantool.tasks.evaluate.answers import FORMAT


@pytest.fixture
def sets(here):
    for seed, name in enumerate(("real", "fake", "other")):
        Path(name).mkdir()
        for i in range(8):
            pixels = np.random.default_rng([seed, i]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(f"{name}/{i}.png")


def test_a_page_is_written_and_named(cli, sets):
    said = cli("eval", "choice", "real", "fake", "other", "--to", "page.html", "--trials", "9", "--time", "50,200")
    assert (said.code, said.out) == (0, "page.html\n")
    assert "9 trials (real 3, fake 3, other 3), up to 256x256 on the screen" in said.err
    quiet = cli("eval", "choice", "real", "fake", "-q", "--trials", "4", "--size", "64")
    assert (quiet.code, quiet.out, quiet.err) == (0, "choice.html\n", "")


def test_json_tells_all_of_the_page(cli, sets):
    data = cli("eval", "choice", "real", "fake", "--trials", "16", "--pairs", "--time", "100", "--json").data
    assert data["warnings"] == ["8 pictures are all there is of real, to be shown 16 times: what comes again is "
                                "recognised. Give more, or ask for fewer --trials.",
                                "8 pictures are all there is of fake, to be shown 16 times: what comes again is "
                                "recognised. Give more, or ask for fewer --trials."]  # fmt: skip
    assert (data["mode"], data["trials"], data["times"], data["picture"]) == ("pairs", 16, [100], [8, 8])
    assert data["bytes"] == Path(data["file"]).stat().st_size


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["real", "fake", "--to", "a.png"], 1, "a.png exists already."),
        (["real", "fake", "--to", "real"], 1, "it is a folder"),
        (["real", "fake", "--to", "gone/page.html"], 1, "There is no folder gone."),
        (["real"], 2, "Missing argument"),
        (["real", "fakes"], 1, "There is no file or folder fakes."),
        (["real", "real"], 2, "real is given twice."),
        (["real", "fake", "other", "--trials", "2"], 2, "2 trials cannot show 3 sources."),
        (["real", "fake", "--time", "fast"], 2, "'fast' is no time."),
        (["real", "fake", "--time", "99999999"], 2, "cannot be shown for 99999999 milliseconds."),
        (["real", "a.txt"], 1, "a.txt"),
        (["real", "a.npz"], 2, "a.npz holds statistics"),
    ],
)
def test_what_cannot_be_is_refused_in_two_lines(cli, sets, words, code, what):
    Path("a.txt").write_text("no picture")
    np.savez("a.npz", mu=np.zeros(4), sigma=np.eye(4))
    said = cli("eval", "choice", *words)
    assert said.code == code
    assert said.out == ""
    error, hint = said.err.splitlines()
    assert error.startswith("Error: ")
    assert what in error
    assert hint.startswith("Hint: ")
    assert not Path("choice.html").exists()


def saved(name, session, judged):
    sources = [{"name": "photos", "real": True}, {"name": "run-1", "real": False}]
    answers = [
        {"source": source["name"], "real": source["real"], "judged_real": value, "time_ms": None, "shown_ms": 900,
         "answer_ms": 1200 + i}
        for source, values in zip(sources, judged, strict=True) for i, value in enumerate(values)
    ]  # fmt: skip
    sessions = [{"id": session, "page": "p", "answers": answers}]
    content = {"format": FORMAT, "version": 1, "mode": "single", "sources": sources, "sessions": sessions}
    Path(name).write_text(json.dumps(content))


def test_answers_are_totalled_as_a_table_and_as_json(cli, here):
    saved("a.json", "a", ([True] * 9 + [False], [True] * 4 + [False] * 6))
    saved("b.json", "b", ([True] * 10, [True] * 3 + [False] * 7))
    said = cli("eval", "answers", "a.json", "b.json")
    assert (said.code, said.err) == (0, "")
    low, high = binomtest(7, 20).proportion_ci(method="wilson")
    assert [line.split() for line in said.out.splitlines()][2] == (
        f"run-1 all 20 7 35.0 % {100 * low:.1f} to {100 * high:.1f} % 1.20 s".split()
    )
    assert "Real pictures were taken for real in 95 % of 20 showings." in said.out
    data = cli("eval", "answers", "a.json", "b.json", "b.json", "--json").data
    assert data["rows"][1]["low"] == pytest.approx(low)
    assert data["accuracy"]["right"] == 19 + 13
    assert data["warnings"] == ["Sessions that were there more than once, and count once: 1."]


def test_files_without_answers_are_refused(cli, here):
    said = cli("eval", "answers", "a.png")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines()[0] == "Error: a.png is no JSON file."
