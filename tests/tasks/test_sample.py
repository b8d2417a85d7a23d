"""Sampling: a seed is a picture, a size is a size, and nothing is overwritten."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image

import gantool
from gantool.data.image import to_uint8
from gantool.errors import Interrupted, MemoryShort, RunError, UsageError
from gantool.family import SampleRequest
from gantool.tasks import sample as sample_task
from gantool.tasks.runs import Run
from gantool.tasks.sample import check_size, new_folder, parse_seeds, parse_size


@pytest.fixture(scope="module")
def run(picture, tmp_path_factory) -> Run:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs")
    return gantool.train("consingan", picture, preset="tiny", seed=7, out=out, save_every=1e9)


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as opened:
        assert opened.mode == "RGB"
        return np.asarray(opened)


# ---- words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0", [0]),
        ("0-3", [0, 1, 2, 3]),
        ("4-5, 42,0-1", [4, 5, 42, 0, 1]),
        ("7-7", [7]),
        ("007", [7]),
        ("3,1,3,0-2", [3, 1, 0, 2]),
        (str(2**63 - 1), [2**63 - 1]),
        ("٣", [3]),
    ],
)
def test_seeds(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "1,",
        "-1",
        "1-",
        "5-3",
        "1.5",
        "a",
        "1-2-3",
        "0x10",
        "²",
        "0-100000",
        "0-59999,0-59999",
        str(2**63),
        "9" * 5000,
    ],
)
def test_no_seeds(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_seeds(text)
    assert caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "size"),
    [("500x250", (250, 500)), ("1X1", (1, 1)), ("33×77", (77, 33)), ("8000x8000", (8000, 8000))],
)
def test_sizes_are_width_by_height(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "500",
        "500x",
        "x250",
        "0x5",
        "5x0",
        "-5x5",
        "5x5x5",
        "5 x",
        "1.5x2",
        "²x2",
        "8001x8000",
        "9" * 5000 + "x1",
    ],
)
def test_no_sizes(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size(text)
    assert caught.value.hint


def test_sizes_from_python() -> None:
    assert check_size((3, 4)) == (3, 4)
    for size in ((0, 4), (4, -1), (8001, 8000)):
        with pytest.raises(UsageError):
            check_size(size)


# ---- a seed is a picture -----------------------------------------------------------------------------------


def test_a_seed_gives_the_same_picture_alone_and_among_others(run, tmp_path) -> None:
    many = gantool.sample(run, seeds="0-3,11", to=tmp_path / "many")
    assert [f.name for f in many.files] == [f"seed-{s:04d}.png" for s in (0, 1, 2, 3, 11)]
    alone = gantool.sample(run, seeds=[11], to=tmp_path / "alone")
    swapped = gantool.sample(run, seeds=(11, 2), to=tmp_path / "swapped")
    assert alone.files[0].read_bytes() == many.files[4].read_bytes()
    assert [f.read_bytes() for f in swapped.files] == [many.files[4].read_bytes(), many.files[2].read_bytes()]
    assert len({f.read_bytes() for f in many.files}) == 5
    counted = gantool.sample(run, 2, to=tmp_path / "counted")
    assert [f.read_bytes() for f in counted.files] == [f.read_bytes() for f in many.files[:2]]


def test_files_are_what_the_model_draws(run, tmp_path) -> None:
    drawn = gantool.sample(run, seeds=[5], to=tmp_path / "x")
    model = run.load("cpu")
    assert np.array_equal(pixels(drawn.files[0]), to_uint8(model.sample(SampleRequest([5])))[0])
    batch = model.sample(SampleRequest([4, 5]))
    assert torch.equal(batch[1:], model.sample(SampleRequest([5])))
    assert drawn.sheet is not None
    assert pixels(drawn.sheet).shape[1] >= pixels(drawn.files[0]).shape[1]


def test_sampling_leaves_no_trace_in_the_model(picture, tmp_path) -> None:
    trained = gantool.train("consingan", picture, preset="tiny", batch_norm=True, iterations=2, seed=1, out=tmp_path)
    model = trained.load("cpu")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.random.get_rng_state()
    first = model.sample(SampleRequest([1], (20, 31)))
    model.preview()
    assert torch.equal(model.sample(SampleRequest([1], (20, 31))), first)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


# ---- sizes and stages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(24, 32), (25, 33), (61, 47), (1, 1), (2, 3), (5, 90), (12, 12)])
def test_the_size_is_exact(run, tmp_path, size: tuple[int, int]) -> None:
    drawn = gantool.sample(run, seeds=[0], size=f"{size[1]}x{size[0]}", to=tmp_path / "x")
    assert pixels(drawn.files[0]).shape == (*size, 3)
    again = gantool.sample(run, seeds=[0], size=size, to=tmp_path / "y")
    assert again.files[0].read_bytes() == drawn.files[0].read_bytes()


@pytest.mark.parametrize("mode", ["retarget", "animation"])
def test_the_size_is_exact_in_other_modes(picture, tmp_path, mode: str) -> None:
    trained = gantool.train("consingan", picture, preset="tiny", mode=mode, iterations=1, seed=1, out=tmp_path)
    for k, size in enumerate([(25, 33), (1, 1), (70, 9)]):
        for start in (0, 2):
            drawn = gantool.sample(trained, 1, size=size, start_scale=start, to=tmp_path / f"{mode}{k}{start}")
            assert pixels(drawn.files[0]).shape == (*size, 3)


def test_the_size_trained_on_is_the_size_without_asking(run, tmp_path) -> None:
    own = run.load("cpu").sizes[-1]
    assert own == (24, 32)  # 30x40 brought to 32 pixels
    one = gantool.sample(run, 1, to=tmp_path / "a")
    two = gantool.sample(run, 1, size=own, to=tmp_path / "b")
    assert pixels(one.files[0]).shape == (24, 32, 3)
    assert one.files[0].read_bytes() == two.files[0].read_bytes()


def test_the_higher_the_first_random_stage_the_nearer_to_the_reconstruction(run) -> None:
    model = run.load("cpu")
    target = model.reconstruct()
    seeds = list(range(8))
    errors = [
        float((model.sample(SampleRequest(seeds, None, start)) - target).square().mean().sqrt()) for start in range(3)
    ]
    assert errors[0] > 1.5 * errors[1] > 0
    assert errors[1] >= errors[2] > 0
    # With only the finest stage random, the coarse picture is the reconstruction's: compare means over 4x4.
    coarse = [torch.nn.functional.avg_pool2d(x, 4) for x in (model.sample(SampleRequest(seeds, None, 2)), target)]
    fully = torch.nn.functional.avg_pool2d(model.sample(SampleRequest(seeds)), 4)
    near, far = (float((x - coarse[1]).abs().mean()) for x in (coarse[0], fully))
    assert near < 0.5 * far


def test_stages_that_do_not_exist(run, tmp_path) -> None:
    for start in (3, 99, -1):
        with pytest.raises(UsageError, match="scale"):
            gantool.sample(run, 1, start_scale=start, to=tmp_path / "x")
    for wrong in (
        {"n": 0},
        {"n": 100_001},
        {"n": 10**30},
        {"seeds": []},
        {"seeds": range(100_001)},
        {"seeds": [-1]},
        {"seeds": [2**63]},
        {"size": (0, 3)},
        {"seeds": ""},
    ):
        with pytest.raises(UsageError):
            gantool.sample(run, to=tmp_path / "x", **wrong)


def test_a_refused_request_leaves_nothing_behind(run, tmp_path, monkeypatch) -> None:
    def folders() -> list[Path]:
        return sorted(p for kind in ("samples", "animations") for p in (run.path / kind).glob("*"))

    def large(self, noises, sizes):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    before = folders()
    for draw in (gantool.sample, gantool.animate):
        for to in (None, tmp_path / "x" / "y"):
            with pytest.raises(UsageError, match="scale"):
                draw(run, start_scale=9, to=to)
            with monkeypatch.context() as patch:
                patch.setattr(type(run.load("cpu")), "_generate", large)
                with pytest.raises(MemoryShort):
                    draw(run, to=to)
    assert folders() == before
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_a_sentence(run, tmp_path, monkeypatch) -> None:
    def large(self, request):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(type(run.load("cpu")), "sample", large)
    with pytest.raises(MemoryShort) as caught:
        gantool.sample(run, 1, to=tmp_path / "x")
    assert "--size" in caught.value.hint


# ---- folders -----------------------------------------------------------------------------------------------


def test_every_call_gets_a_folder_of_its_own(run, monkeypatch) -> None:
    monkeypatch.setattr(sample_task.time, "strftime", lambda _: "20260102-030405")
    folders = [gantool.sample(run, 1).folder for _ in range(3)]
    assert [f.name for f in folders] == ["20260102-030405", "20260102-030405_2", "20260102-030405_3"]
    assert {f.parent for f in folders} == {run.path / "samples"}


def test_two_processes_never_share_a_folder(run, monkeypatch) -> None:
    """Between looking and making another process may make it: that is noticed."""
    monkeypatch.setattr(sample_task.time, "strftime", lambda _: "20270102-030405")
    original = Path.mkdir
    stolen: list[Path] = []

    def mkdir(self, *args, **kwargs):
        if self.name == "20270102-030405" and not stolen:
            stolen.append(self)
            original(self)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    folder = new_folder(run, "other", None)
    assert stolen
    assert folder.name == "20270102-030405_2"


def test_a_folder_with_files_is_refused_and_left_alone(run, tmp_path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    assert gantool.sample(run, 1, to=mine).folder == mine  # empty: welcome
    before = {p.name: p.read_bytes() for p in mine.iterdir()}
    with pytest.raises(RunError, match="is not empty"):
        gantool.sample(run, 1, to=mine)
    assert {p.name: p.read_bytes() for p in mine.iterdir()} == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is a file"):
        gantool.sample(run, 1, to=tmp_path / "file")
    with pytest.raises(RunError, match="Cannot write"):
        gantool.sample(run, 1, to=tmp_path / "file" / "below")
    assert gantool.sample(run, 1, to=tmp_path / "a" / "b" / "c").folder.is_dir()


# ---- runs that are not whole -------------------------------------------------------------------------------


def test_half_trained_runs_are_used_as_they_are_and_it_is_said(picture, tmp_path) -> None:
    steps: list[int] = []
    with pytest.raises(Interrupted):
        gantool.train(
            "consingan",
            picture,
            preset="tiny",
            seed=1,
            out=tmp_path,
            stop=lambda: bool(steps.append(1)) or len(steps) == 14,
        )
    half = gantool.open_run("latest", tmp_path)
    said: list[str] = []
    drawn = gantool.sample(half, 2, say=said.append)
    assert said == [f"{half.id} is not finished: using it as it was at stage 2/3."]
    assert pixels(drawn.files[0]).shape == (*half.load("cpu").sizes[1], 3)
    film = gantool.animate(half, frames=2, say=lambda _: None)
    assert film.files[0].stat().st_size > 0
    # A size may be asked for just as well.
    assert pixels(gantool.sample(half, 1, size="50x41").files[0]).shape == (41, 50, 3)


def test_a_model_of_one_stage_has_films_without_asking(picture, tmp_path) -> None:
    small = {"preset": "tiny", "seed": 1, "iterations": 3, "out": tmp_path}
    whole = gantool.train("consingan", picture, stages=1, **small)
    steps: list[int] = []
    with pytest.raises(Interrupted):
        gantool.train("consingan", picture, stop=lambda: bool(steps.append(1)) or len(steps) == 2, **small)
    for run in (whole, gantool.open_run("latest", tmp_path)):
        assert run.state().stage == 0
        film = gantool.animate(run, frames=2, to=tmp_path / run.id / "default")
        same = gantool.animate(run, frames=2, start_scale=0, to=tmp_path / run.id / "zero")
        assert film.files[0].read_bytes() == same.files[0].read_bytes()
        with pytest.raises(UsageError):
            gantool.animate(run, frames=2, start_scale=1)


def test_films_keep_the_coarsest_stage_without_asking(run, tmp_path) -> None:
    film = gantool.animate(run, frames=2, to=tmp_path / "default")
    same = gantool.animate(run, frames=2, start_scale=1, to=tmp_path / "one")
    assert film.files[0].read_bytes() == same.files[0].read_bytes()


def test_a_finished_run_says_nothing(run) -> None:
    said: list[str] = []
    gantool.sample(run, 1, say=said.append)
    assert said == []


def test_a_run_without_a_checkpoint_is_an_error(run, tmp_path) -> None:
    bare = tmp_path / "consingan" / run.id
    shutil.copytree(run.path, bare)
    shutil.rmtree(bare / "checkpoints")
    with pytest.raises(RunError, match="has no checkpoint yet") as caught:
        gantool.sample(bare, 1)
    assert "gantool resume" in caught.value.hint
    assert sorted(p.name for p in (bare / "samples").iterdir()) == sorted(
        p.name for p in (run.path / "samples").iterdir()
    )


def test_a_damaged_newest_checkpoint_gives_the_one_before(run, tmp_path) -> None:
    torn = tmp_path / run.id
    shutil.copytree(run.path, torn)
    file = sorted((torn / "checkpoints").glob("step-*-end"))[-1] / "model.safetensors"
    content = bytearray(file.read_bytes())
    place = random.Random(0).randrange(len(content))
    content[place] ^= 1
    file.write_bytes(bytes(content))
    said: list[str] = []
    drawn = gantool.sample(torn, 1, say=said.append)
    assert "is passed over: model.safetensors is damaged." in said[0]
    assert said[1].endswith("using it as it was at stage 2/3.")
    assert drawn.files[0].exists()


def test_a_seed_of_a_film_is_checked_too(run) -> None:
    for wrong in (
        {"seed": -1},
        {"size": (0, 1)},
        {"alpha": 1.1},
        {"beta": -0.1},
        {"frames": 0},
        {"fps": 51},
        {"start_scale": 9},
    ):
        with pytest.raises(UsageError):
            next(iter(gantool.animate(run, **{"frames": 1, **wrong}).files))
