"""Totals of answers: against SciPy, against figures counted by hand, and the browser's against ours."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from importlib.resources import files

import pytest
from scipy.stats import binomtest

from gantool.errors import DataError, UsageError
from gantool.tasks.evaluate.answers import FORMAT, sentences, total_answers, totals, wilson

TOTALS = (files("gantool.tasks.evaluate") / "page" / "totals.js").read_text(encoding="utf-8")
SOURCES = [{"name": "cifar", "real": True}, {"name": "lapgan", "real": False}, {"name": "gan", "real": False}]


def answer(source=1, judged=True, time=None, ms=500.0):
    about = {"source": SOURCES[source]["name"], "real": SOURCES[source]["real"], "judged_real": judged}
    return {"trial": 0, "picture": "a.png", "against": None, "time_ms": time, "shown_ms": ms, "answer_ms": ms} | about


def saved(path, *sessions, mode="single", sources=SOURCES):
    """A file with one session for each (id, answers)."""
    made = [{"id": name, "page": "abc", "started": "", "ended": None, "answers": list(a)} for name, a in sessions]
    path.write_text(json.dumps({"format": FORMAT, "version": 1, "mode": mode, "sources": sources, "sessions": made}))
    return path


def in_node(expression: str) -> object:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = f'"use strict";{TOTALS}\nconsole.log(JSON.stringify({expression}));'
    done = subprocess.run([node, "-"], input=script, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


CASES = [(0, 1), (1, 1), (0, 15), (15, 15), (6, 15), (1, 1000), (999, 1000), (412, 1000), (5000, 10000)]


@pytest.mark.parametrize(("k", "n"), CASES)
def test_the_interval_is_wilsons(k, n):
    wanted = binomtest(k, n).proportion_ci(confidence_level=0.95, method="wilson")
    found = wilson(k, n)
    assert found["share"] == k / n
    assert found["low"] == pytest.approx(wanted.low, abs=1e-12)
    assert found["high"] == pytest.approx(wanted.high, abs=1e-12)
    assert 0 <= found["low"] <= found["share"] <= found["high"] <= 1


def test_no_answers_have_no_share():
    assert wilson(0, 0) == {"share": None, "low": None, "high": None}
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


def test_the_browsers_interval_is_scipys_too():
    for (k, n), found in zip(CASES, in_node(f"{json.dumps(CASES)}.map(([k, n]) => wilson(k, n))"), strict=True):
        wanted = binomtest(k, n).proportion_ci(confidence_level=0.95, method="wilson")
        assert [found["low"], found["high"]] == pytest.approx([wanted.low, wanted.high], abs=1e-12)


def test_figures_counted_by_hand(tmp_path):
    first = [(0, True, 50, 300.0), (0, False, 200, 700.0), (1, True, 50, None), (2, False, 50, 900.0)]
    second = [(0, True, 200, 400.0), (1, False, 200, 100.0), (1, False, 50, 200.0), (2, True, 50, 8.0)]
    one = saved(tmp_path / "one.json", ("p1", [answer(*values) for values in first]))
    two = saved(tmp_path / "two.json", ("p2", [answer(*values) for values in second]))
    found = total_answers([one, two])
    rows = {
        (r["source"], r["time_ms"], r["all"]): (r["shown"], r["judged_real"], r["median_ms"]) for r in found["rows"]
    }
    assert rows == {
        ("cifar", None, True): (3, 2, 400.0),
        ("cifar", 50, False): (1, 1, 300.0),
        ("cifar", 200, False): (2, 1, 550.0),
        ("lapgan", None, True): (3, 1, 150.0),  # an interrupted answer has no time
        ("lapgan", 50, False): (2, 1, 200.0),
        ("lapgan", 200, False): (1, 0, 100.0),
        ("gan", None, True): (2, 1, 454.0),
        ("gan", 50, False): (2, 1, 454.0),
        ("gan", 200, False): (0, 0, None),
    }
    assert (found["sessions"], found["pages"], found["warnings"]) == (2, ["abc"], [])
    # Right: real 300 and 400, generated 900, 100 and 200.
    assert (found["accuracy"]["right"], found["accuracy"]["answers"]) == (5, 8)
    assert found["sentences"][:3] == [
        "Real pictures were taken for real in 67 % of 3 showings.",
        "Pictures of lapgan were taken for real in 33 % of 3 showings.",
        "Pictures of gan were taken for real in 50 % of 2 showings.",
    ]
    low, high = binomtest(5, 8).proportion_ci(method="wilson")
    assert found["sentences"][4] == (
        f"63 % of 8 answers were right (95 % interval {100 * low:.0f} % to {100 * high:.0f} %); "
        'always answering "generated" would be right in 63 %.'
    )


def test_of_pairs_the_models_are_totalled(tmp_path):
    file = saved(tmp_path / "a.json", ("p", [answer(1, True), answer(1, False), answer(1, False), answer(2, False)]),
                 mode="pairs")  # fmt: skip
    found = total_answers([file])
    assert [(row["source"], row["shown"], row["judged_real"]) for row in found["rows"]] == [
        ("lapgan", 3, 1),
        ("gan", 1, 0),
    ]
    assert found["accuracy"]["share"] == 0.75
    assert found["sentences"][0] == "Pictures of lapgan were taken for the real one in 33 % of 3 pairs."
    assert "Denton" not in " ".join(found["sentences"])  # the paper showed one picture at a time


def test_a_session_that_is_there_twice_counts_once_and_the_fuller_one(tmp_path):
    half = saved(tmp_path / "half.json", ("p", [answer()]))
    full = saved(tmp_path / "full.json", ("p", [answer(), answer(0, True)]), ("q", [answer(judged=False)]))
    for order in ([half, full], [full, half], [full, full]):
        found = total_answers(order)
        assert (found["sessions"], found["accuracy"]["answers"]) == (2, 3)
        assert "more than once, and count once: " in found["warnings"][0]


def sessions_at_random(seed, mode):
    draw = random.Random(seed)
    sources = [1, 2] if mode == "pairs" else [0, 1, 2]
    return [
        {"id": str(i), "answers": [
            answer(draw.choice(sources), draw.random() < 0.4, draw.choice([50, 200, None]),
                   draw.choice([None, round(draw.uniform(0, 5000), 1)]))
            for _ in range(draw.randrange(40))
        ]}
        for i in range(draw.randrange(5))
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["single", "pairs"])
def test_the_browser_totals_as_we_do(mode):
    many = [sessions_at_random(seed, mode) for seed in range(30)]
    call = f"[{json.dumps(mode)}, {json.dumps(SOURCES)}]"
    theirs = in_node(f"{json.dumps(many)}.map((s) => {{ const t = totals(...{call}, s); return [t, sentences(t)]; }})")
    for sessions, (figures, words) in zip(many, theirs, strict=True):
        ours = totals(mode, SOURCES, sessions)
        assert words == sentences(ours)
        assert figures["accuracy"] == pytest.approx(ours["accuracy"], abs=1e-12)
        assert (figures["mode"], figures["sessions"]) == (ours["mode"], ours["sessions"])
        for row, own in zip(figures["rows"], ours["rows"], strict=True):
            assert row == pytest.approx(own, abs=1e-12)


def test_the_browser_refuses_what_we_refuse(tmp_path):
    good = json.loads(saved(tmp_path / "good.json", ("p", [answer()])).read_text())
    broken = [None, [], {}, {**good, "format": "x"}, {**good, "sources": None}, {**good, "sessions": [{"id": 1}]}]
    broken.append({**good, "sources": [SOURCES[0]]})  # an answer about something that is no source
    for key, value in (("judged_real", 1), ("answer_ms", -1), ("time_ms", "50"), ("source", None), ("real", None)):
        broken.append({**good, "sessions": [{"id": "p", "answers": [{**answer(), key: value}]}]})
    check = "((f) => { try { return sessionsOf(f, 'single').length; } catch { return null; } })"
    assert in_node(f"{json.dumps([good, *broken])}.map({check})") == [1] + [None] * len(broken)
    for content in broken:
        file = tmp_path / "broken.json"
        file.write_text(json.dumps(content))
        with pytest.raises(DataError, match=r"broken.json (holds no answers|is damaged)"):
            total_answers([file])


def test_csv_quotes_what_needs_it():
    odd = {**answer(), "source": 'a "b", c', "picture": "x\ny"}
    found = in_node(f"csv([{{id: 'p', answers: [{json.dumps(odd)}]}}])")
    assert found == (
        "session,trial,source,real,picture,against,time_ms,shown_ms,judged_real,answer_ms\r\n"
        'p,0,"a ""b"", c",false,"x\ny",,,500,true,500\r\n'
    )


def test_files_that_hold_no_answers(tmp_path):
    (tmp_path / "torn.json").write_text("[")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "binary.json").write_bytes(b"\xff\x00")
    for name in ("torn.json", "deep.json", "binary.json"):
        with pytest.raises(DataError, match=f"{name} is no JSON file"):
            total_answers([tmp_path / name])
    with pytest.raises(DataError, match="There is no file"):
        total_answers([tmp_path / "gone.json"])
    with pytest.raises(DataError, match="is no file"):
        total_answers([tmp_path])
    with pytest.raises(UsageError, match="nothing to total"):
        total_answers([])
    single, pairs = saved(tmp_path / "s.json", ("p", [answer()])), saved(tmp_path / "p.json", mode="pairs")
    with pytest.raises(UsageError, match="other trials"):
        total_answers([single, pairs])
