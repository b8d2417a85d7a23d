"""LAPGAN from the outside: levels alone, from other runs, in processes of their own, and draws on one start."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import gantool
from gantool.engine.rundir import RunDir
from gantool.engine.world import World
from gantool.errors import DataError, Diverged, Interrupted, RunError, UsageError
from gantool.family import SampleRequest
from gantool.tasks import apart
from gantool.tasks.apart import shares, trains_apart
from gantool.tasks.runs import Run


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two classes of seven pictures."""
    folder, random = tmp_path_factory.mktemp("levels") / "pictures", np.random.default_rng(0)
    for i in range(14):
        file = folder / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((20, 20), Image.Resampling.BICUBIC).save(file)
    return folder


def train(data, family="lapgan", name=None, **options) -> Run:
    options = {"preset": "tiny", "seed": 3, "device": "cpu", **options}
    return gantool.train(family, data, out=data.parent / "runs", name=name, workers=1, **options)


@pytest.fixture(scope="module")
def whole(data) -> Run:
    torch.set_num_threads(1)
    return train(data, name="whole")


@pytest.fixture(scope="module")
def single(data) -> list[Run]:
    torch.set_num_threads(1)
    return [train(data, name=f"level{k}", level=str(k)) for k in range(3)]


def weights(run: Run) -> dict[str, torch.Tensor]:
    return load_file(next(run.dir.checkpoints.glob("*-end")) / "model.safetensors")


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as opened:
        return np.asarray(opened)


# --- levels alone, and put together ---------------------------------------------------------------------


def test_a_run_of_one_level_trains_that_alone(single, whole):
    for k, run in enumerate(single):
        assert [stage.name.split()[1] for stage in run.load("cpu").stages()] == [str(k)]
        assert run.summary()["steps"] == 4
        assert (run.path / "previews" / "stage-01.png").is_file()
    # Level 0 comes first in a run of all, too: from the same seed it sees and draws the same.
    ours, theirs = weights(single[0]), weights(whole)
    for name in theirs:
        if name.startswith("pyramid.0."):
            assert torch.equal(ours[name], theirs[name]), name


def test_trained_levels_make_a_run_that_needs_them_no_more(data, single):
    references = ",".join(f"{k}=lapgan:{run.path}" for k, run in enumerate(single))
    moved = [Run(type(run.dir)(run.path.with_name(run.path.name + "-moved"))) for run in single]
    made = train(data, level="none", level_model=references, name="together")
    for run, away in zip(single, moved, strict=True):
        run.path.rename(away.path)
    try:
        model = made.load("cpu")
        found = dict(model.state_dict())
        for k, away in enumerate(moved):
            for name, value in weights(away).items():
                if name.startswith(f"pyramid.{k}."):
                    assert torch.equal(found[name], value), name
        assert made.summary()["status"] == "finished"
        assert made.summary()["steps"] == 0
        assert gantool.sample(made, n=2).files
        shutil.rmtree(made.path / "parts" / "1")
        with pytest.raises(RunError, match="has lost parts/1"):
            Run(made.dir).load("cpu")
    finally:
        for run, away in zip(single, moved, strict=True):
            away.path.rename(run.path)


def test_another_family_is_the_coarsest_level(data):
    theirs = train(data, "acgan", size=16)
    ours = train(data, size=32, levels="16,32", level_model=f"0=acgan:{theirs.path}")
    model, labels = ours.load("cpu"), [0, 1]
    expected = theirs.load("cpu").sample(SampleRequest([5, 6], labels=labels))
    assert torch.equal(model.start([5, 6], 0, labels), expected)
    assert (ours.path / "parts" / "0" / "config.toml").is_file()
    resumed = gantool.resume(ours)
    assert resumed.summary()["status"] == "finished"


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"level_model": "0=lapgan:{one}"}, UsageError, "level of 4 pixels. It has one from 4 to 8 pixels.$"),
        ({"level_model": "0=acgan:nowhere"}, RunError, "nowhere"),
        ({"level_model": "0=acgan:{whole}"}, UsageError, "is a run of lapgan, not of acgan"),
        ({"level_model": "0=lapgan:{whole}", "levels": "2,8,16"}, UsageError, "no trained level of 2 pixels"),
        ({"level": "1", "eval": "swd@2"}, UsageError, "lacks the coarsest level"),
    ],
)
def test_what_cannot_be_put_together_is_refused_before_there_is_a_run(data, whole, single, options, error, said):
    before = sorted((data.parent / "runs" / "lapgan").iterdir())
    with pytest.raises(error, match=said):
        train(data, **{k: v.format(whole=whole.path, one=single[1].path) for k, v in options.items()})
    assert sorted((data.parent / "runs" / "lapgan").iterdir()) == before


def test_a_part_that_is_not_finished_is_said(data, single):
    single[0].dir.update(status="interrupted")
    try:
        said: list[str] = []
        train(data, level="1", level_model=f"0=lapgan:{single[0].path}", say=said.append)
        assert f"{single[0].id} is taken as it is now: interrupted." in said
    finally:
        single[0].dir.update(status="finished")


def test_classes_of_other_names_are_refused(data, whole, tmp_path):
    other = tmp_path / "pictures"
    shutil.copytree(data, other)
    (other / "b").rename(other / "c")
    with pytest.raises(UsageError, match=r"trained on other classes: a, b"):
        gantool.train("lapgan", other, preset="tiny", out=tmp_path, level_model=f"0=lapgan:{whole.path}")


# --- levels in processes of their own -------------------------------------------------------------------


def test_costly_pieces_are_spread():
    assert shares([1, 1, 8], 2) == [[2], [0, 1]]
    assert shares([5, 4, 3, 3], 2) == [[0, 3], [1, 2]]
    assert shares([1, 2], 3) == [[1], [0], []]
    assert shares([2, 1, 3], 1) == [[2, 0, 1]]


def apart_in_one_process(patch):
    """One process trains the pieces of a run, one after the other."""
    patch.setattr("gantool.tasks.train.trains_apart", lambda run: run.path.parent.name == "lapgan")


@pytest.fixture
def by_pieces(data, monkeypatch):
    """Trains a run by pieces."""

    def by_pieces(**options) -> Run:
        apart_in_one_process(monkeypatch)
        return train(data, name="pieces", **options)

    return by_pieces


@pytest.fixture(scope="module")
def in_pieces(data) -> Run:
    """A finished run that was trained by pieces."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        apart_in_one_process(patch)
        return train(data, name="in-pieces")


@pytest.fixture
def copy(in_pieces, tmp_path) -> Run:
    shutil.copytree(in_pieces.path, tmp_path / "copy")
    return Run(RunDir(tmp_path / "copy"))


def test_pieces_are_runs_of_one_level_put_together(in_pieces, single):
    run = in_pieces
    found = weights(run)
    for k, alone in enumerate(single):
        for name, value in weights(alone).items():
            if name.startswith(f"pyramid.{k}."):
                assert torch.equal(found[name], value), name
    assert run.summary()["status"] == "finished"
    assert (run.summary()["steps"], run.summary()["steps_planned"]) == (12, 12)
    entries = run.dir.metrics()
    assert [entry["stage"] for entry in entries] == [0, 1, 2]
    assert [entry["total"] for entry in entries] == [4, 8, 12]
    assert run.load("cpu").sample(SampleRequest([0])).shape == (1, 3, 16, 16)


def test_logs_of_pieces_follow_each_other(by_pieces):
    """Steps, time and pictures go on from level to level; what is measured is measured of the whole."""
    said = []
    run = by_pieces(log_every=2, eval="ms-ssim@5", eval_samples=4, say=said.append)
    pieces = [Run(type(run.dir)(run.path / "pieces" / str(k))) for k in range(3)]
    logs, merged = [piece.dir.metrics() for piece in pieces], run.dir.metrics()
    assert [entry["total"] for entry in merged] == [2, 4, 6, 8, 10, 12]
    assert [entry["step"] for entry in merged] == [2, 4] * 3
    for name in ("seconds", "images"):
        ends = [piece.dir.metrics()[-1][name] if name == "images" else piece.state().seconds for piece in pieces]
        for k, log in enumerate(logs):
            for before, after in zip(log, merged[2 * k : 2 * k + 2], strict=True):
                assert after[name] == pytest.approx(before[name] + sum(ends[:k]), abs=2e-3)
                assert after["d_loss"] == before["d_loss"]
    # Level 0 alone draws from noise and is watched; the whole is looked at once, in the end.
    watched = run.dir.watched()
    assert [(entry["total"], entry["stage"]) for entry in watched] == [(1, 0), (2, 0), (3, 0), (4, 0), (12, 2)]
    assert [entry["total"] for entry in run.dir.scores()] == [12]
    assert not any(piece.dir.scores() for piece in pieces)
    assert not [sentence for sentence in said if "not measured" in sentence]
    assert [path.name for path in sorted((run.path / "previews").iterdir())] == ["stage-03.png", "step-0000012.png"]


def test_a_time_limit_is_shared_by_the_pieces_of_a_process(data, monkeypatch):
    run = train(data, max_time=60.0, name="limited")
    monkeypatch.setattr(apart, "FOLDER", "shared")
    stages = run.new_model(torch.device("cpu")).stages()
    costs = [stage.cost * stage.steps for stage in stages]
    found = apart._pieces(run, stages, [[2], [1, 0]], make=True)
    limits = [piece.settings.max_time for piece in found]
    assert limits == pytest.approx([60 * costs[0] / (costs[0] + costs[1]), 60 * costs[1] / (costs[0] + costs[1]), 60])
    assert [piece.info["stages"] for piece in found] == [[stage.name] for stage in stages]
    assert run.info["stages"] == [stage.name for stage in stages]


def test_interrupted_pieces_go_on(by_pieces, in_pieces, data, monkeypatch):
    whole = weights(in_pieces)
    asked = []
    with pytest.raises(Interrupted) as caught:
        by_pieces(stop=lambda: asked.append(1) or len(asked) == 6)
    run = gantool.runs(data.parent / "runs")[-1]
    assert run.path.name in caught.value.hint
    assert "pieces/" not in caught.value.hint.replace("-pieces", "")
    assert run.summary()["status"] == "interrupted"
    monkeypatch.undo()
    torch.set_num_threads(1)
    assert trains_apart(run)
    found = weights(gantool.resume(run))
    assert all(torch.equal(found[name], value) for name, value in whole.items())


@pytest.mark.parametrize(
    ("status", "kind"),
    [("failed", RunError), ("diverged", Diverged), ("interrupted", Interrupted), ("killed", RunError)],
)
def test_a_piece_of_another_process_that_ended_badly_is_told(copy, monkeypatch, status, kind):
    piece = copy.path / "pieces" / "1" / "run.json"
    info = json.loads(piece.read_text())
    piece.write_text(json.dumps({**info, "status": "running" if status == "killed" else status}))
    monkeypatch.setattr(apart, "LOOK", 0.01)
    with pytest.raises(kind, match=f"Piece 1 of the training has ended: {status}"):
        apart._wait([Run(RunDir(piece.parent))], lambda: False, print)


def test_who_waits_can_be_stopped(copy):
    piece = copy.path / "pieces" / "1" / "run.json"
    piece.write_text(json.dumps({**json.loads(piece.read_text()), "status": "waiting"}))
    said = []
    with pytest.raises(Interrupted):
        apart._wait([Run(RunDir(piece.parent))], lambda: True, said.append)
    assert said == ["Other processes are still at level 1."]


def test_batches_are_shared_where_that_is_asked_for(whole, data, monkeypatch):
    batches = train(data, share="batches")
    begun = Run(RunDir.create(data.parent / "runs", "lapgan", "begun", {**whole.info, "status": "running"}))
    shutil.copyfile(whole.dir.config_file, begun.dir.config_file)
    monkeypatch.setattr(apart, "current_world", lambda: World(0, 2))
    assert trains_apart(begun)
    assert not trains_apart(batches)
    with pytest.raises(UsageError, match="begun in one process"):
        trains_apart(whole)


def test_several_processes_for_no_level_are_refused(data, whole):
    with pytest.raises(UsageError, match="no level to train"):
        train(data, level="none", level_model=f"0=lapgan:{whole.path}", devices=2)


def test_pieces_that_wait_for_their_turn_are_waited_for(copy, monkeypatch):
    """The first process is done; another one has trained one of its two pieces, and then trains the other."""
    first, second = (Run(RunDir(copy.path / "pieces" / str(k))) for k in (0, 1))
    looks = [("waiting", "running"), ("waiting", "finished"), ("running", "finished"), ("finished", "finished")]
    monkeypatch.setattr(RunDir, "status", lambda self: self.info()["status"])

    def sleep(_):
        for piece, status in zip((first, second), looks.pop(0), strict=True):
            piece.dir.update(status=status)

    sleep(0)
    monkeypatch.setattr(apart.time, "sleep", sleep)
    apart._wait([first, second], lambda: False, lambda _: None)
    assert not looks


def test_what_ended_an_earlier_session_is_forgotten(copy):
    """Another process has not taken its piece up yet, when the first one looks at it."""
    piece = Run(RunDir(copy.path / "pieces" / "1"))
    piece.dir.update(status="interrupted")
    stages = copy.load("cpu").stages()
    apart._pieces(copy, stages, [[0], [1], [2]], make=True)
    assert [Run(RunDir(copy.path / "pieces" / str(k))).dir.status() for k in range(3)] == [
        "finished", "waiting", "finished",
    ]  # fmt: skip


# --- draws on one start ---------------------------------------------------------------------------------


def test_draws_from_a_seed_share_their_start(whole, tmp_path):
    drawn = gantool.sample(whole, coarse=5, seeds="0-2", to=tmp_path / "a")
    model = whole.load("cpu")
    start = model.start([5], 0, [5 % 2])
    assert np.array_equal(pixels(tmp_path / "a" / "coarse.png"), gantool_uint8(start)[0])
    files = [pixels(file) for file in drawn.files]
    assert len(files) == 3
    assert not np.array_equal(files[0], files[1])
    again = gantool.sample(whole, coarse="5", seeds="2", classes="b", to=tmp_path / "b")
    assert np.array_equal(pixels(again.files[0]), files[2])  # of the start's class, unless another one is named
    sheet = pixels(drawn.sheet)
    assert sheet.shape[1] == 3 * (96 + 4) + 4
    assert np.array_equal(sheet[4:100, 204:300], files[0].repeat(6, 0).repeat(6, 1))


def test_rows_of_several_classes_say_which(whole, tmp_path, monkeypatch):
    from gantool.tasks import refine

    asked = []
    sheet = refine.contact_sheet
    monkeypatch.setattr(refine, "contact_sheet", lambda *a, **more: asked.append(more["labels"]) or sheet(*a, **more))
    drawn = gantool.sample(whole, coarse=2**63 - 1, seeds="3,4", classes="all", to=tmp_path / "new")
    assert [label for labels in asked for label in labels] == [
        text for row in ("a: 3", "a: 4", "b: 3", "b: 4") for text in (row, "8 px", "16 px")
    ]
    files, rows = [pixels(file) for file in drawn.files], pixels(drawn.sheet)
    pitch = (len(rows) - 4) // 4
    for index, file in enumerate(files):
        top = 4 + index * pitch
        assert np.array_equal(rows[top : top + 96, 204:300], file.repeat(6, 0).repeat(6, 1))
    many = gantool.sample(whole, coarse=1, n=20, classes="all", to=tmp_path / "many")
    assert len(many.files) == 40
    assert [label for label in asked[1] if ":" in label] == [f"{c}: {s}" for c in "ab" for s in range(12)]


def test_the_seed_of_the_start_above_it_too_is_the_plain_sample(whole, tmp_path):
    plain = gantool.sample(whole, seeds="4", to=tmp_path / "plain")
    level = gantool.sample(whole, coarse=4, from_level=1, seeds="4", to=tmp_path / "levels")
    assert np.abs(pixels(plain.files[0]).astype(int) - pixels(level.files[0])).max() <= 1


def test_draws_on_a_picture(whole, data, tmp_path):
    """Reduced by the pyramid: a picture of 20 px by area to 16, 8 and 4; one of a level's side begins there."""
    drawn = gantool.sample(whole, coarse=data / "a" / "0.png", n=2, classes="a", to=tmp_path / "a")
    real = torch.from_numpy(pixels(data / "a" / "0.png").copy()).permute(2, 0, 1)[None].float()
    for side in (16, 8, 4):
        real = torch.nn.functional.interpolate(real, size=(side, side), mode="area") if side < 16 else by_area(real, 16)
    difference = pixels(tmp_path / "a" / "coarse.png") - real[0].permute(1, 2, 0).numpy()
    assert np.abs(difference).max() <= 0.51
    assert len(drawn.files) == 2
    said: list[str] = []
    gantool.sample(whole, coarse=data / "a" / "0.png", n=2, to=tmp_path / "c", say=said.append)
    assert "class of the picture is not known" in said[-1]
    small = tmp_path / "small.png"
    Image.fromarray(pixels(data / "a" / "0.png")[:8, :8]).save(small)
    gantool.sample(whole, coarse=small, n=2, to=tmp_path / "b")
    assert np.array_equal(pixels(tmp_path / "b" / "coarse.png"), pixels(small))


def by_area(x: torch.Tensor, side: int) -> torch.Tensor:
    """Means over the areas of larger pixels, taken on a grid that both sizes divide."""
    fine = x.repeat_interleave(side, 2).repeat_interleave(side, 3)
    return torch.nn.functional.avg_pool2d(fine, x.shape[-1])


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"coarse": "none.png"}, DataError, "There is no file none.png"),
        ({"coarse": 3, "from_level": 2}, UsageError, "Level 2 is the finest"),
        ({"coarse": 3, "from_level": 3}, UsageError, "There is no level 3"),
        ({"coarse": 3, "from_level": -1}, UsageError, "There is no level -1"),
        ({"coarse": -3}, UsageError, "-3 is no seed"),
        (
            {"coarse": 2**63},
            UsageError,
            r"^9223372036854775808 is no seed. Seeds are whole numbers from 0 to below 2\^63",
        ),
        ({"coarse": "-5"}, UsageError, r"^-5 is no seed. Seeds are whole numbers from 0 to below 2\^63"),
        ({"coarse": "9" * 5000}, UsageError, r"^9{40}\.\.\. is no seed"),
        ({"coarse": 3, "size": "20x20"}, UsageError, "do not go with --coarse"),
        ({"coarse": "tiny.png"}, UsageError, r"has 3 x 3 pixels; level 0 begins with 4"),
        ({"coarse": "five.png", "from_level": 1}, UsageError, r"Take --from-level 0"),
    ],
)
def test_starts_that_are_none_leave_nothing_behind(whole, tmp_path, monkeypatch, options, error, said):
    monkeypatch.chdir(tmp_path)
    for name, side in (("tiny", 3), ("five", 5)):
        Image.new("RGB", (side, side)).save(f"{name}.png")
    with pytest.raises(error) as caught:
        gantool.sample(whole, n=2, to="new", **options)
    import re

    assert re.search(said, f"{caught.value.what} {caught.value.hint}")
    assert not Path("new").exists()


def test_other_families_have_no_levels(data, tmp_path):
    run = train(data, "dcgan")
    with pytest.raises(UsageError, match="no pictures level by level"):
        gantool.sample(run, coarse=1)


def gantool_uint8(images: torch.Tensor) -> np.ndarray:
    return ((images.permute(0, 2, 3, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
