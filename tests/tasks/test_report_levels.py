"""Reports and plots of trainings in stages that are games of their own: LAPGAN's levels."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gantool
from gantool.data.image import load_picture, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.engine.rundir import RunDir
from gantool.errors import Interrupted
from gantool.family import RefineRequest
from gantool.tasks.curves import games, logged, stage_name, step_of
from gantool.tasks.plots import write_plots
from gantool.tasks.refine import level_sheet
from gantool.tasks.report import report
from gantool.tasks.report_plot import HEIGHT, LEFT, RIGHT, WIDTH
from gantool.tasks.runs import Run, open_run

LEVELS = ["level 0 (4 px)", "level 1 (8 px)", "level 2 (16 px)"]
OPTIONS: dict[str, Any] = {
    "preset": "tiny", "steps": 40, "log_every": 1, "seed": 5, "device": "cpu", "level_options": "0.loss=wasserstein",
}  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("report-levels")


@pytest.fixture(scope="module")
def whole(out: Path) -> Run:
    return gantool.train("lapgan", "builtin:digits", out=out, eval="ms-ssim@60", eval_samples=4, **OPTIONS)


@pytest.fixture(scope="module")
def single(out: Path) -> Run:
    return gantool.train("lapgan", "builtin:digits", out=out, level="1", **OPTIONS)


@pytest.fixture
def copy(whole: Run, tmp_path: Path) -> Run:
    shutil.copytree(whole.path, tmp_path / "copy")
    return open_run(tmp_path / "copy")


def page(run: Run, **options: Any) -> str:
    return report(run, **options).read_text(encoding="utf-8")


def words(text: str) -> str:
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.S)).split())


def part(text: str, title: str) -> str:
    """A section of the page."""
    return text.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]


def pictures(text: str, alt: str) -> list[np.ndarray]:
    """Those whose alternative text begins so."""
    found = re.findall(r'src="data:image/png;base64,([^"]*)"[^>]*alt="([^"]*)"', text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data, says in found if says.startswith(alt)]


def captions(text: str) -> list[str]:
    return re.findall(r"<figcaption>(.*?)</figcaption>", text)


# --- curves ---------------------------------------------------------------------------------------------


def test_every_level_has_curves_of_its_own(whole: Run) -> None:
    text = part(page(whole), "How the losses went")
    assert re.findall(r"<h3>(.*?)</h3>", text) == LEVELS
    assert "Each stage is a game of its own" in text
    assert 'class="stage"' not in text  # nothing to part
    groups = text.split("<h3>")[1:]
    # Level 0 plays for Wasserstein's distance: nothing is judged rightly or wrongly there.
    assert ["Share judged rightly" in group for group in groups] == [False, True, True]
    for index, group in enumerate(groups):
        losses = group.split("</figure>")[0]
        values = [entry["d_loss"] for entry in whole.dir.metrics() if entry["stage"] == index]
        assert f"discriminator: 40 values, the last one {values[-1]:.4g}" in losses
        lines = [
            [tuple(map(float, point.split(","))) for point in points.split()]
            for points in re.findall(r'<polyline[^>]*points="([^"]*)"', losses)
        ]
        assert len(lines) == 2
        for line in lines:  # steps 1 to 40 over the whole width
            assert len(line) == 40
            assert line[0][0] == pytest.approx(LEFT + (WIDTH - RIGHT - LEFT) / 40, abs=0.1)
            assert line[-1][0] == pytest.approx(WIDTH - RIGHT, abs=0.1)
            assert all(0 <= y <= HEIGHT for _, y in line)


def test_entries_of_a_game_count_from_its_beginning(whole: Run) -> None:
    found = games(whole, logged(whole.dir))
    assert [name for name, _ in found] == LEVELS
    for index, (_, entries) in enumerate(found):
        assert [(entry["stage"], entry["total"]) for entry in entries] == [(index, step) for step in range(1, 41)]


def test_plots_are_files_of_each_level(copy: Run) -> None:
    files = write_plots(copy)
    names = [file.name for file in files]
    for level in ("level-0-4-px", "level-1-8-px", "level-2-16-px"):
        assert f"losses-{level}.png" in names
        assert (f"accuracy-{level}.png" in names) is (level != "level-0-4-px")
    assert "losses.png" not in names
    assert names[-2:] == ["similarity.png", "coverage.png"]  # of the samples of all levels so far
    assert len(set(names)) == len(names)
    assert write_plots(copy) == files


def test_other_runs_have_one_plot_of_all(single: Run, tmp_path: Path) -> None:
    assert [name for name, _ in games(single, logged(single.dir))] == [""]
    y, x = np.mgrid[:30, :30]
    Image.fromarray(np.stack([x * 8, y * 8, x + y], axis=-1).astype(np.uint8)).save(tmp_path / "a.png")
    picture = gantool.train("consingan", tmp_path / "a.png", preset="tiny", seed=0, out=tmp_path, log_every=1)
    entries = logged(picture.dir)
    assert len({entry["stage"] for entry in entries}) > 1
    assert games(picture, entries) == [("", entries)]
    assert step_of(picture, {"total": 9, "stage": 1, "step": 2}) == "9"
    assert "Dashed lines part the stages" in page(picture)


# --- tables ---------------------------------------------------------------------------------------------


def test_tables_name_the_level(copy: Run) -> None:
    warning = {"total": 55, "stage": 1, "step": 15, "warnings": [{"kind": "x", "text": "Something <odd>."}]}
    with open(copy.path / "watch.jsonl", "a") as log:
        log.write(json.dumps(warning) + "\n")
    text = page(copy)
    assert "level 1 (8 px), step 15 Something <odd>." in words(part(text, "Watched while it trained"))
    assert [label in part(text, "Watched while it trained") for label in LEVELS] == [True] * 3  # over the plots
    measured = words(part(text, "Measured while it trained"))
    assert "level 1 (8 px), step 20 ms-ssim" in measured
    assert "level 2 (16 px), step 40 ms-ssim" in measured
    rows = re.findall(r'<th scope="row">(.*?)</th>', part(text, "Stage by stage"))
    assert rows == [*LEVELS, "all"]
    assert [entry["stage"] for entry in copy.dir.scores()] == [1, 2]


@pytest.mark.parametrize("stages", [None, "level 0", [], [1, None], {"a": 1}])
def test_names_that_are_not_there_are_numbers(copy: Run, stages: object) -> None:
    info = json.loads((copy.path / "run.json").read_text())
    (copy.path / "run.json").write_text(json.dumps({**info, "stages": stages}))
    run = open_run(copy.path)
    expected = ["1", "None"] if stages == [1, None] else ["stage 1", "stage 2"]
    assert [stage_name(run, 0), stage_name(run, 1), stage_name(run, 7)] == [*expected, "stage 8"]
    assert re.findall(r"<h3>(.*?)</h3>", part(page(run), "How the losses went")) == [*expected, "stage 3"]


# --- pictures -------------------------------------------------------------------------------------------


def test_every_level_of_a_few_draws_is_shown(whole: Run) -> None:
    text = part(page(whole, samples=4, seed=7), "Pictures")
    found = pictures(text, "From coarse to fine")
    assert len(found) == 2
    model = whole.load("cpu")
    for seed, sheet in zip((7, 8), found, strict=True):
        start = model.start([seed], 0, [seed])  # type: ignore[operator]
        levels = model.refine(RefineRequest(start, 0, range(3), [seed] * 3))  # type: ignore[operator]
        rows = [[to_uint8(level)[draw] for level in levels] for draw in range(3)]
        np.testing.assert_array_equal(sheet, level_sheet(rows, [4, 8, 16]))
        assert not np.array_equal(rows[0][2], rows[1][2])
    assert "3 draws on the start of seed 7" in captions(text)


def test_previews_of_every_level(whole: Run) -> None:
    text = part(page(whole), "Stage by stage")
    groups = text.split("<h4>")[1:]
    assert [group.partition("</h4>")[0] for group in groups] == LEVELS
    for index, group in enumerate(groups):
        assert captions(group) == ["step 2", "step 22", "step 40"]
        for picture, step in zip(pictures(group, "Preview of"), (2, 22, 40), strict=True):
            kept = whole.path / "previews" / f"step-{40 * index + step:07d}.png"
            np.testing.assert_array_equal(picture, load_picture(kept).pixels)


def test_a_level_alone_is_shown_on_real_pictures(single: Run) -> None:
    text = page(single)
    assert "No samples could be drawn" not in text
    (sheet,) = pictures(text, "Draws on real pictures")
    preview = single.load("cpu").preview()
    np.testing.assert_array_equal(sheet, contact_sheet(list(to_uint8(preview)), columns=8, gap=1))
    assert "cannot draw from noise alone. The first row is real" in words(text)
    assert "The first row is real" in words(part(text, "Stage by stage"))
    assert f"gantool sample {single.path} -n 16 --coarse picture.png" in words(text)
    assert "Watched" not in text  # there is nothing to draw


def test_the_coarsest_level_alone_draws(out: Path) -> None:
    run = gantool.train("lapgan", "builtin:digits", out=out, level="0", **OPTIONS)
    text = page(run, samples=4)
    assert "From coarse to fine" not in text  # without finer levels all draws on a start are the same
    assert "--coarse picture.png" not in text
    (row,) = pictures(text, "Samples of class 3")
    factor = int(re.findall(r'width="(\d+)" height="\d+" alt="Samples of class 3', text)[0]) / row.shape[1]
    assert factor == 3  # pictures of 16 pixels, though the level has 4


def test_levels_trained_apart(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Previews are those of the pieces; the rest is in the logs of the whole."""
    monkeypatch.setattr("gantool.tasks.train.trains_apart", lambda run: run.path.parent.name == "lapgan")
    run = gantool.train("lapgan", "builtin:digits", out=out, name="apart", **OPTIONS)
    text = page(run)
    groups = part(text, "Stage by stage").split("<h4>")[1:]
    assert [group.partition("</h4>")[0] for group in groups] == LEVELS
    for index, group in enumerate(groups):
        (last,) = pictures(group, f"Preview of {LEVELS[index]}, step 40")
        kept = run.path / "pieces" / str(index) / "previews" / "step-0000040.png"
        np.testing.assert_array_equal(last, load_picture(kept).pixels)
    assert "Where coarser levels were lacking: The first row is real" in words(text)
    assert re.findall(r"<h3>(.*?)</h3>", part(text, "How the losses went")) == LEVELS
    piece = page(open_run(run.path / "pieces" / "1"))
    assert "On real pictures" in piece
    rows = re.findall(r'<th scope="row">(.*?)</th>', part(piece, "Stage by stage"))
    assert rows == [LEVELS[1], "all"]


def test_levels_that_are_not_put_together_yet(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their steps count; each has a report of its own."""
    monkeypatch.setattr("gantool.tasks.train.trains_apart", lambda run: run.path.parent.name == "lapgan")
    asked: list[int] = []

    def stop() -> bool:  # in the 11th step of the second piece
        asked.append(1)
        return len(asked) == 51

    with pytest.raises(Interrupted):
        gantool.train("lapgan", "builtin:digits", out=out, name="half", stop=stop, **OPTIONS)
    run = gantool.open_run("half", out)
    row = run.summary()
    assert (row["status"], row["steps"], row["steps_planned"]) == ("interrupted", 51, None)
    assert row["seconds"] == pytest.approx(sum(Run(p).summary()["seconds"] for p in _pieces(run)), abs=0.05)
    text = page(run)
    for piece in _pieces(run):
        assert f"gantool report {piece.path}" in words(text)
    assert "Preview of level 2 (16 px), step 40" in text  # the costliest came first
    assert re.findall(r'<th scope="row">(.*?)</th>', part(text, "Stage by stage")) == [*LEVELS, "all"]


def _pieces(run: Run) -> list[RunDir]:
    return [RunDir(path.parent) for path in sorted(run.path.glob("pieces/*/run.json"))]
