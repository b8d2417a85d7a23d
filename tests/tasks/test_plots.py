"""Curves as PNG files: where lines lie, what is left outside, which files there are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantool.engine.rundir import RunDir
from gantool.errors import RunError
from gantool.tasks import plots
from gantool.tasks.curves import GROUPS, Panel, boundaries, measured_names, panels, whole
from gantool.tasks.plots import COLOURS, HEIGHT, RIGHT, TOP, WIDTH, draw_panel, write_plots
from gantool.tasks.report_plot import Curve, axes_of
from gantool.tasks.runs import Run

BASE = HEIGHT - plots.BOTTOM


def entry(total: int, stage: int = 0, start: int = 0, **values: float) -> dict[str, float]:
    return {"total": total, "stage": stage, "step": total - start, "seconds": total / 10, **values}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run.json").write_text(json.dumps({"family": "dcgan", "id": tmp_path.name}))
    return Run(RunDir(tmp_path))


def log(run: Run, entries: list[dict[str, float]], file: str = "metrics.jsonl") -> None:
    (run.path / file).write_text("".join(json.dumps(e) + "\n" for e in entries))


def near(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Where a picture has (nearly) that colour: (N, 2) rows and columns."""
    return np.argwhere(np.abs(pixels.astype(int) - colour).max(axis=2) < 40)


# ---- what is drawn -----------------------------------------------------------------------------------------


def test_lines_lie_where_the_values_are() -> None:
    """A straight line is its own moving average but at the ends: from (0, 0) to (100, 1) in a plot of -0.05 to 1.05."""
    steps = list(range(0, 101))
    line = Curve("rising", steps, [0] * 101, [step / 100 for step in steps])
    flat = Curve("flat", steps, [0] * 101, [0.5] * 101)
    picture = draw_panel(Panel("x", "X", [line, flat], (0, 1)), [(0, "1")])
    assert picture.size == (WIDTH, HEIGHT)
    pixels = np.array(picture)[TOP:BASE]
    left = int(near(pixels, COLOURS[1])[:, 1].min())
    assert 30 < left < 70
    level = {value: BASE - (value + 0.05) / 1.1 * (BASE - TOP) - TOP for value in (0.25, 0.5, 0.75)}
    flat_rows = near(pixels[:, left : WIDTH - RIGHT], COLOURS[1])[:, 0]
    assert np.abs(flat_rows - level[0.5]).max() < 2.5
    for value in (0.25, 0.75):
        column = left + round(value * (WIDTH - RIGHT - left))
        rows = near(pixels[:, column : column + 1], COLOURS[0])[:, 0]
        assert len(rows)
        assert np.abs(rows - level[value]).max() < 3


def test_nothing_is_drawn_outside_the_plotting_area() -> None:
    values = [0.0, 1.0] * 50
    values[50] = 1e30
    picture = np.array(draw_panel(Panel("x", "x", [Curve("x", range(100), [0] * 100, values)]), [(0, "1")]))
    blue = near(picture, COLOURS[0])
    assert blue[:, 0].min() >= TOP - 1
    assert blue[:, 0].max() <= BASE
    assert blue[:, 1].max() <= WIDTH - RIGHT
    assert picture[:, WIDTH - RIGHT + 2 :].min() > 200  # but for half a letter of a tick
    # One value is outside: told below, to the right.
    with_note, without = (
        np.array(draw_panel(Panel("x", "x", [Curve("x", [0, 1, 2, 3], [0] * 4, list(v))]), [(0, "1")]))
        for v in ((0, 1, 0, 1), (0.5, 0, 1, 0))
    )
    corner = (slice(BASE + 26, HEIGHT), slice(WIDTH - 110, WIDTH - RIGHT))
    assert with_note[corner].min() == without[corner].min() == 255
    assert picture[corner].min() < 200


def test_stages_are_parted_by_dashes() -> None:
    curve = Curve("x", [10, 20, 30, 40], [0, 0, 1, 1], [0.5] * 4)
    one = np.array(draw_panel(Panel("x", "x", [curve], (0, 1)), [(0, "1")]))
    two = np.array(draw_panel(Panel("x", "x", [curve], (0, 1)), [(0, "1"), (20, "2")]))
    changed = np.argwhere((one != two).any(axis=2))
    left = int(near(one[TOP:BASE], COLOURS[0])[:, 1].min())  # step 10
    middle = WIDTH - RIGHT - (WIDTH - RIGHT - left) * 2 / 3  # step 20
    dashes = changed[changed[:, 0] > TOP + 2]
    assert np.abs(dashes[:, 1] - middle).max() < 2.5
    assert 0.3 < len(set(dashes[:, 0])) / (BASE - TOP) < 0.7
    assert (changed[:, 0] < TOP - 3).any()  # and numbers above


def test_a_single_value_is_a_dot() -> None:
    picture = np.array(draw_panel(Panel("x", "x", [Curve("x", [7], [0], [3.0])]), [(0, "1")]))
    assert 4 < len(near(picture, COLOURS[0])) < 60


def test_strange_names_and_values_are_drawn() -> None:
    curves = [Curve(name, [1, 2], [0, 0], [1e300, -1e300]) for name in ("−∞\n\x00<b>" * 40, "", "日本", "d", "e", "f")]
    assert draw_panel(Panel("x", "", curves), [(0, "1")]).size == (WIDTH, HEIGHT)


def test_limits_and_robust_ranges() -> None:
    curve = Curve("x", [0, 10], [0, 0], [0.2, 0.4])
    _, y = axes_of([curve], (0, 1))
    assert (y.low, y.high) == pytest.approx((-0.05, 1.05))
    _, y = axes_of([curve, Curve("y", [0, 20], [0, 0], [0.6, 1.2])])
    assert (y.low, y.high) == pytest.approx((0.15, 1.25))


# ---- which files -------------------------------------------------------------------------------------------


def test_files_of_a_game(tmp_path: Path) -> None:
    info = {"family": "dcgan", "id": tmp_path.name, "data": {"kind": "set"}}
    (tmp_path / "run.json").write_text(json.dumps(info))
    run = Run(RunDir(tmp_path))
    values = dict.fromkeys([*(name for group in GROUPS for name in group.curves), "penalty"], 0.5)
    log(run, [entry(i, images=64.0 * i, **values) for i in range(1, 30)])
    checks = [
        {"total": i, "stage": 0, "step": i, "ms_ssim": 0.4, "ms_ssim_real": 0.3, "warnings": []} for i in (10, 20)
    ]
    log(run, checks, "watch.jsonl")
    files = write_plots(run)
    assert [file.name for file in files] == [
        "losses.png", "adversarial.png", "l1.png", "content.png", "scores.png", "accuracy.png", "classes.png",
        "apart.png", "gradients.png", "penalty.png", "similarity.png",
    ]  # fmt: skip
    for file in files:
        assert file.parent == run.path / "plots"
        with Image.open(file) as picture:
            assert (picture.size, picture.format) == ((WIDTH, HEIGHT), "PNG")
    again = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in write_plots(run)] == again
    losses = np.array(Image.open(files[0]))
    assert len(near(losses[TOP:BASE], COLOURS[1]))  # both are 0.5; the second lies on top
    assert all(len(near(losses[:TOP], colour)) > 20 for colour in COLOURS[:2])  # the legend


def test_files_of_a_single_picture(run: Run) -> None:
    names = ("critic_real", "critic_fake", "penalty", "adversarial", "reconstruction")
    log(run, [entry(i, (i - 1) // 10, (i - 1) // 10 * 10, **dict.fromkeys(names, i)) for i in range(1, 31)])
    assert [file.name for file in write_plots(run)] == ["losses.png", "penalty.png", "reconstruction.png"]


def test_nothing_logged_nothing_drawn(run: Run) -> None:
    assert write_plots(run) == []
    assert not (run.path / "plots").exists()
    log(run, [{"total": 5, "stage": 0, "step": 5, "warnings": []}], "watch.jsonl")
    assert write_plots(run) == []


def test_names_become_names_of_files(run: Run) -> None:
    log(run, [entry(1, **{"a/../b": 1.0, "a b": 2.0, "a&b": 3.0, "losses": 4.0, "d_loss": 5.0})])
    names = [file.name for file in write_plots(run)]
    assert names == ["losses.png", "a-b.png", "a-b_.png", "a-b__.png", "losses_.png"]
    assert {file.name for file in (run.path / "plots").iterdir()} == set(names)


def test_a_place_that_cannot_be_written(run: Run) -> None:
    log(run, [entry(1, d_loss=1.0)])
    (run.path / "plots").write_text("in the way")
    with pytest.raises(RunError, match="plots"):
        write_plots(run)


# ---- from the log to curves --------------------------------------------------------------------------------


def test_groups_of_curves() -> None:
    entries = [entry(5, d_loss=1.0, other=3.0), entry(10, 1, 5, d_loss=2.0, g_loss=7.0)]
    first, second = panels(entries, GROUPS)
    assert (first.name, first.title, first.limits) == ("losses", "Losses", None)
    assert [(c.name, c.steps, c.stages, c.values) for c in first.curves] == [
        ("discriminator", [5, 10], [0, 1], [1.0, 2.0]),
        ("generator", [10], [1], [7.0]),
    ]
    assert (second.name, second.title, second.curves[0].name) == ("other", "other", "other")
    assert boundaries(entries) == [(0, "1"), (5, "2")]


def test_what_counts_is_not_measured() -> None:
    entries = whole([entry(5, images=320.0, d_loss=1.0, odd=float("nan")), {"total": 3}, entry(6, g_loss=float("inf"))])
    assert measured_names(entries) == ["d_loss"]
    assert entries[0]["images"] == 320
    assert len(entries) == 2
