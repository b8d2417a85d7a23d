"""Harmonising, editing, painting, enlarging: sizes, masks, scales, and what stays untouched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image

import gantool
from gantool.errors import DataError, GantoolError, UsageError
from gantool.family import InjectRequest
from gantool.nn.resize import resize_single_image
from gantool.tasks.fitting import check_can, fitting_run, plan_for
from gantool.tasks.repaint import blend_exactly, repaint
from gantool.tasks.runs import Run
from gantool.tasks.superres import superres
from gantool.tasks.tune import tune

SIZE = (60, 80)  # (height, width) of the picture; `tiny` trains on 24x32 of it


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    noise = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(noise).resize(SIZE[::-1], Image.Resampling.BICUBIC))
    return save(tmp_path_factory.mktemp("data") / "photo.png", pixels)


@pytest.fixture(scope="module")
def composite(photo) -> Path:
    pixels = np.asarray(Image.open(photo)).copy()
    pixels[20:36, 30:50] = (255, 0, 0)
    return save(photo.with_name("composite.png"), pixels)


@pytest.fixture(scope="module")
def mask(photo) -> Path:
    pixels = np.zeros(SIZE, np.uint8)
    pixels[20:36, 30:50] = 255
    return save(photo.with_name("mask.png"), pixels)


@pytest.fixture(scope="module")
def run(photo, tmp_path_factory) -> Run:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs")
    return gantool.train("singan", photo, preset="tiny", seed=7, out=out, save_every=1e9)


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


# --- the contact sheet and one scale --------------------------------------------------------------------


@pytest.mark.parametrize("task", ["harmonize", "edit", "paint"])
def test_without_a_scale_there_is_one_result_for_each_and_a_sheet(task, run, composite, tmp_path) -> None:
    drawn = repaint(task, run, composite, to=tmp_path / "x")
    scales = list(run.load("cpu").injection_scales)
    assert list(drawn.results) == scales
    assert len(scales) >= 2
    assert drawn.sheet is not None
    assert drawn.sheet.is_file()
    assert {path.name for path in (tmp_path / "x").iterdir()} == {path.name for path in drawn.files}
    one = repaint(task, run, composite, start_scale=scales[1], to=tmp_path / "y")
    assert one.sheet is None
    assert one.results[scales[1]].read_bytes() == drawn.results[scales[1]].read_bytes()
    other = repaint(task, run, composite, start_scale=scales[1], seed=1, to=tmp_path / "z")
    assert other.results[scales[1]].read_bytes() != one.results[scales[1]].read_bytes()


def test_painting_is_what_the_model_paints(run, composite, tmp_path) -> None:
    drawn = repaint("paint", run, composite, start_scale=1, seed=5, to=tmp_path / "x")
    model = run.load("cpu")
    image = torch.from_numpy(read(composite).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    small = resize_single_image(image, size=tuple(model.picture().shape[2:]))
    expected = (model.paint(InjectRequest(small, 1, 5))[0].permute(1, 2, 0) + 1) * 127.5
    assert np.abs(read(drawn.results[1]).astype(float) - expected.numpy()).max() <= 1.01


def test_outside_the_feathered_mask_stands_the_picture_as_trained_on(run, composite, mask, tmp_path) -> None:
    drawn = repaint("harmonize", run, composite, mask=mask, start_scale=1, to=tmp_path / "x")
    soft = np.asarray(Image.open(tmp_path / "x" / "mask.png"))
    trained = ((run.load("cpu").picture()[0].permute(1, 2, 0) + 1) * 127.5).numpy()
    result = read(drawn.results[1]).astype(float)
    assert result.shape == trained.shape
    corner = soft < 2
    assert corner.any()
    assert np.abs(result - trained)[corner].max() < 4
    assert np.abs(result - trained)[soft > 250].mean() > 10


def test_exactly_kept_background_has_the_composites_size_and_bytes() -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    whole = random.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    soft = np.zeros((30, 40))
    soft[10:14, 20:26] = 1
    soft[14:16, 20:26] = 0.3
    result = blend_exactly(whole, image, soft)
    assert result.shape == image.shape
    far = np.ones((90, 120), bool)
    far[27:51, 57:81] = False  # the region at this size, and the pixels that bilinear weights reach
    assert np.array_equal(result[far], image[far])
    assert not np.array_equal(result[33:39, 66:75], image[33:39, 66:75])
    assert np.array_equal(blend_exactly(whole, image, np.zeros((30, 40))), image)


def test_exactly_kept_background_from_a_run(run, composite, mask, tmp_path) -> None:
    narrow = np.zeros(SIZE, np.uint8)
    narrow[28:30, 2:4] = 255
    spot = save(tmp_path / "spot.png", narrow)
    drawn = repaint("harmonize", run, composite, mask=spot, start_scale=1, keep_background="exact", to=tmp_path / "x")
    result = read(drawn.results[1])
    assert result.shape == (*SIZE, 3)
    assert np.array_equal(result[:, -4:], read(composite)[:, -4:])


def test_numbers_say_what_happened(run, composite, mask, tmp_path) -> None:
    drawn = repaint("harmonize", run, composite, mask=mask, to=tmp_path / "x")
    assert [row["start_scale"] for row in drawn.numbers] == [None, *drawn.results]
    assert all(set(row) == {"start_scale", "colour_gap", "distance"} for row in drawn.numbers)


# --- bad input ------------------------------------------------------------------------------------------


def test_sizes_that_differ_are_named_with_the_flag_that_helps(run, composite, mask, tmp_path) -> None:
    small = tmp_path / "small.png"
    Image.open(composite).resize((40, 45)).save(small)
    with pytest.raises(UsageError, match=r"40x45.*80x60.*--fit"):
        repaint("harmonize", run, small, mask=mask, start_scale=1)
    wrong = tmp_path / "wrong.png"
    Image.open(mask).resize((20, 20)).save(wrong)
    with pytest.raises(UsageError, match=r"20x20.*80x60.*--fit"):
        repaint("harmonize", run, composite, mask=wrong, start_scale=1)
    said: list[str] = []
    drawn = repaint("harmonize", run, small, mask=wrong, start_scale=1, fit=True, to=tmp_path / "x", say=said.append)
    assert drawn.results[1].is_file()
    assert any("40x45 to 80x60, which changes its proportions" in sentence for sentence in said)


def test_a_refused_request_leaves_nothing_behind(run, photo, composite, tmp_path) -> None:
    black = save(tmp_path / "black.png", np.zeros(SIZE, np.uint8))
    text = tmp_path / "text.png"
    text.write_text("no picture")
    before = sorted(run.path.rglob("*"))
    for wrong in (
        {"picture": photo},  # nothing differs
        {"picture": composite, "mask": black},
        {"picture": tmp_path / "missing.png"},
        {"picture": text},
        {"picture": composite, "mask": text},
        {"picture": composite, "start_scale": 0},
        {"picture": composite, "start_scale": 99},
        {"picture": composite, "start_scale": -1},
        {"picture": composite, "seed": -1},
        {"picture": composite, "mask_threshold": 255},
    ):
        with pytest.raises(GantoolError) as error:
            repaint("harmonize", run, **wrong)
        assert error.value.hint, wrong
    assert sorted(run.path.rglob("*")) == before


def test_a_family_that_cannot_is_answered_with_those_that_can(photo, tmp_path) -> None:
    other = gantool.train("consingan", photo, preset="tiny", seed=1, iterations=1, out=tmp_path)
    with pytest.raises(UsageError, match=r"ConSinGAN cannot.*singan"):
        repaint("paint", other, photo)
    with pytest.raises(UsageError):
        check_can(other.spec, "nothing")


# --- runs that fit, and runs that are tuned -------------------------------------------------------------


def test_a_fitting_run_is_found_again(run, photo, tmp_path) -> None:
    def fits(**changed) -> Run | None:
        how = {"preset": "tiny", "out": run.path.parents[1], "estimate": False} | changed
        return fitting_run(plan_for("harmonize", "singan", how.pop("picture", photo), **how))

    assert fits().path == run.path
    assert fits(options={"seed": 7}).path == run.path
    assert fits(options={"seed": 8}) is None
    assert fits(options={"iterations": 11}) is None
    assert fits(options={"max_time": 3.0}) is None
    assert fits(sets=["slope=0.3"]) is None
    assert fits(background="black") is None
    assert fits(preset="fast", sets=["max_size=40"]) is None
    renamed = shutil.copy(photo, tmp_path / "other-name.png")
    assert fits(picture=renamed).path == run.path
    assert fits(picture=save(tmp_path / "p.png", read(photo)[::-1].copy())) is None


def test_few_colours_train_one_scale_anew_and_only_that(run, composite, tmp_path) -> None:
    options = {"only_scale": 1, "quantize": 4, "iterations": 6}
    said: list[str] = []
    tuned = tune(run, "paint-1", options, say=said.append)
    assert tuned.path.is_relative_to(run.path)
    assert tuned.dir.status() == "finished"
    ours, theirs = tuned.load("cpu"), run.load("cpu")
    for k, (a, b) in enumerate(zip(ours.generators, theirs.generators, strict=True)):
        same = all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
        assert same == (k != 1), k
    assert torch.equal(ours.noise_amps[[0, 2]], theirs.noise_amps[[0, 2]])
    assert len(np.unique(ours.centers.numpy(), axis=0)) == 4
    assert tune(run, "paint-1", options, say=said.append).path == tuned.path
    assert "Using what was tuned before" in said[-1]
    assert tune(run, "paint-1", {**options, "quantize": 3}).path != tuned.path
    assert gantool.runs(run.path.parents[1]) == gantool.runs(run.path.parents[1])
    assert all("tuned" not in str(found.path) for found in gantool.runs(run.path.parents[1]))
    drawn = repaint("paint", tuned, composite, start_scale=1, to=tmp_path / "x")
    assert drawn.results[1].is_file()


def test_a_tuned_run_that_was_stopped_goes_on_to_the_same_end(run, tmp_path) -> None:
    options = {"only_scale": 2, "iterations": 8}
    whole = tune(run, "whole", options)
    copied = tmp_path / "runs" / "singan" / run.id
    shutil.copytree(run.path, copied, ignore=shutil.ignore_patterns("tuned"))
    parent = Run(type(run.dir)(copied))
    calls = iter(range(100))
    with pytest.raises(GantoolError):
        tune(parent, "whole", options, stop=lambda: next(calls) == 4)
    resumed = tune(parent, "whole", options)
    ours, theirs = resumed.load("cpu").state_dict(), whole.load("cpu").state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


# --- enlarging ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_enlarging_any_factor_either_way_up(turned, photo, tmp_path) -> None:
    pixels = read(photo).transpose(1, 0, 2) if turned else read(photo)
    picture = save(tmp_path / "photo.png", np.ascontiguousarray(pixels))
    plan = plan_for(
        "superres", "singan", picture, preset="tiny", options={"max_size": 80, "factor": 2.5, "seed": 0}, out=tmp_path
    )
    assert plan.options.config.mode == "superres"
    assert plan.options.config.alpha == 100
    small = gantool.train("singan", picture, preset="tiny", mode="superres", max_size=80, iterations=1, out=tmp_path)
    for factor in (1.5, 2.5, 4):
        drawn = superres(small, factor, to=tmp_path / f"x{factor}")
        height, width = pixels.shape[:2]
        assert read(drawn.files[0]).shape == (int(factor * height), int(factor * width), 3)
    for factor in (1, 0.5, 65, -2, float("nan")):
        with pytest.raises(UsageError):
            superres(small, factor)


def test_large_pictures_are_painted_in_bands_without_a_difference(run, monkeypatch) -> None:
    from gantool.families.singan import chain
    from gantool.family import SampleRequest

    model = run.load("cpu")
    whole = model.sample(SampleRequest([0], (90, 70)))
    monkeypatch.setattr(chain, "BAND", 1000)
    assert torch.allclose(model.sample(SampleRequest([0], (90, 70))), whole, atol=1 / 100)
    assert float((model.sample(SampleRequest([0], (90, 70))) - whole).abs().median()) < 1e-5


def test_an_empty_mask_says_so(run, composite, tmp_path) -> None:
    black = save(tmp_path / "black.png", np.zeros(SIZE, np.uint8))
    with pytest.raises(DataError, match="mask"):
        repaint("harmonize", run, composite, mask=black, start_scale=1)
