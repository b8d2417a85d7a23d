"""Importing: a model in the official layout becomes a run that does all that a trained one does."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import gantool
from gantool import registry
from gantool.data.image import to_uint8
from gantool.engine.trainer import build
from gantool.errors import DataError, GantoolError, RunError, UsageError
from gantool.families.singan import SPEC
from gantool.families.singan.config import SinGANConfig
from gantool.families.singan.model import SinGAN
from gantool.family import AnimateRequest, DataShape, InjectRequest, SampleRequest, SuperResolveRequest
from gantool.tasks import import_run as task
from gantool.tasks.import_run import import_run
from gantool.tasks.runs import new_model

Made = tuple[SinGAN, Path]


def make(folder: Path, **options: Any) -> Made:
    """A model with all that training leaves, and its folder as the official code writes it."""
    values = {"max_size": 32, "min_size": 16, "channels": 8, "max_channels": 16, "channels_step": 2, **options}
    model = new_model(SPEC, SinGANConfig(**values), DataShape(30, 40), 3, torch.device("cpu"))
    assert isinstance(model, SinGAN)
    build(model, len(model.stages()) - 1)
    rng = torch.Generator().manual_seed(5)
    scales, margin = range(len(model.sizes)), model.margin
    with torch.no_grad():
        model.take_picture(torch.rand(1, 3, 30, 40, generator=rng) * 2 - 1)
        model.noise_amps[1:] = torch.rand(len(scales) - 1, generator=rng) / 10 + 0.05
        model.z_opt.copy_(model._padded(torch.randn(1, 1, *model._noise_size(model.sizes[0]), generator=rng)))
        for k in scales:
            noise = torch.randn(1, 3, 40, 40, generator=rng)
            model.generators[k].train()(noise, noise)  # so that batch norm has statistics
            (folder / str(k)).mkdir(parents=True)
            torch.save(model.generators[k].state_dict(), folder / str(k) / "netG.pth")
    zeros = [torch.zeros(1, 3, h + 2 * margin, w + 2 * margin) for h, w in model.sizes[1:]]
    torch.save([model.z_opt.clone(), *zeros], folder / "Zs.pth")
    torch.save([model.real_at(k) for k in scales], folder / "reals.pth")
    torch.save([1, *(amp.clone() for amp in model.noise_amps[1:])], folder / "NoiseAmp.pth")
    return model, folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("official") / "balloons")


@pytest.fixture(scope="module")
def run(made: Made, tmp_path_factory: pytest.TempPathFactory) -> gantool.Run:
    return gantool.import_run("singan", made[1], out=tmp_path_factory.mktemp("runs"))


# --- it draws what the original draws -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [None, (45, 70), (20, 20)])
@pytest.mark.parametrize("start", [0, 2])
def test_samples_are_the_originals_bit_for_bit(
    made: Made, run: gantool.Run, size: tuple[int, int] | None, start: int
) -> None:
    request = SampleRequest([0, 7], size, start)
    assert torch.equal(run.load("cpu").sample(request), made[0].sample(request))


def test_whatever_else_it_draws_is_the_originals_too(made: Made, run: gantool.Run) -> None:
    ours, theirs = run.load("cpu"), made[0]
    assert isinstance(ours, SinGAN)
    assert torch.equal(ours.reconstruct(), theirs.reconstruct())
    assert torch.equal(ours.picture(), theirs.picture())
    for a, b in zip(ours.animate(AnimateRequest(3)), theirs.animate(AnimateRequest(3)), strict=True):
        assert torch.equal(a, b)
    edited = InjectRequest(theirs.picture().flip(3), 2)
    assert torch.equal(ours.harmonize(edited), theirs.harmonize(edited))
    assert torch.equal(ours.super_resolve(SuperResolveRequest(2.0)), theirs.super_resolve(SuperResolveRequest(2.0)))


def test_a_model_for_films(tmp_path: Path) -> None:
    theirs, folder = make(tmp_path / "films", mode="animation", layers=4)
    ours = import_run("singan", folder, out=tmp_path / "runs").load("cpu")
    assert torch.equal(ours.sample(SampleRequest([1])), theirs.sample(SampleRequest([1])))
    assert ours.config.mode == "animation"


# --- it is a run like any other -------------------------------------------------------------------------------


def test_the_run_directory(made: Made, run: gantool.Run) -> None:
    model, folder = made
    info, sizes = run.info, model.sizes
    assert (info["status"], info["family"], info["name"], info["preset"]) == ("finished", "singan", "balloons", "paper")
    assert info["started"] <= info["ended"]
    assert info["data"]["kind"] == "imported"
    assert info["data"]["path"] == str(folder)
    assert (info["data"]["height"], info["data"]["width"]) == sizes[-1]
    assert info["shape"] == {"height": sizes[-1][0], "width": sizes[-1][1]}
    assert info["origins"]["sizes"] == "the files"
    assert "lr_g" not in info["origins"]
    picture = run.path / "input.png"
    assert info["data"]["sha256"] == hashlib.sha256(picture.read_bytes()).hexdigest()
    assert np.array_equal(np.asarray(Image.open(picture)), to_uint8(model.picture())[0])
    assert (run.path / "previews" / f"stage-{len(sizes):02d}.png").is_file()
    assert run.config.sizes == tuple(sizes)
    assert run.config.scale_factor == model.pyramid.factor
    assert run.settings.seed == 0


def test_it_counts_as_trained_to_its_end(run: gantool.Run) -> None:
    state, row = run.state(), run.summary()
    assert state is not None
    stages = run.load("cpu").stages()
    assert (state.stage, state.step, state.stage_end) == (len(stages) - 1, stages[-1].steps, True)
    assert row["steps"] == row["steps_planned"] == state.total == sum(stage.steps for stage in stages)
    assert [r.id for r in gantool.runs(run.path.parents[1])] == [run.id]
    said: list[str] = []
    assert gantool.resume(run, say=said.append).path == run.path
    assert said == [f"{run.id} is finished already."]


def test_the_commands_take_it(run: gantool.Run, tmp_path: Path) -> None:
    drawn = gantool.sample(run, 2, size="50x40", to=tmp_path / "drawn", device="cpu")
    assert [Image.open(file).size for file in drawn.files] == [(50, 40)] * 2
    page = gantool.report(run, to=tmp_path / "page.html", samples=1).read_text()
    assert "balloons" in page
    assert "iterations a scale" in page  # what was assumed stands there
    film = gantool.animate(run, frames=2, to=tmp_path / "film", start_scale=1, device="cpu")
    assert any(file.suffix == ".gif" for file in film.files)


def test_it_can_be_trained_anew_from_its_own_files(run: gantool.Run, tmp_path: Path) -> None:
    again = gantool.train(
        "singan", run.path / "input.png", config=run.dir.config_file, iterations=1, out=tmp_path, device="cpu"
    )
    assert again.summary()["status"] == "finished"
    assert again.config.sizes == run.config.sizes


def test_name_and_place(made: Made, tmp_path: Path) -> None:
    found = import_run("singan", str(made[1]), name="my model", out=str(tmp_path / "elsewhere"))
    assert found.path.parent == tmp_path / "elsewhere" / "singan"
    assert found.id.endswith("-my-model")
    assert found.info["name"] == "my model"


def test_the_discriminator_is_the_files_or_new(made: Made, run: gantool.Run, tmp_path: Path) -> None:
    def critic(found: gantool.Run) -> dict[str, torch.Tensor]:
        tensors = load_file(next(found.dir.checkpoints.glob("step-*-end")) / "model.safetensors")
        return {name: value for name, value in tensors.items() if name.startswith("discriminator.")}

    fresh = critic(run)
    assert fresh.keys() == {f"discriminator.{name}" for name in made[0].discriminator.state_dict()}
    trained = {name.removeprefix("discriminator."): value + 1 for name, value in fresh.items()}
    _, folder = make(tmp_path / "with")
    torch.save(trained, folder / str(len(made[0].sizes) - 1) / "netD.pth")
    kept = critic(import_run("singan", folder, out=tmp_path / "runs"))
    assert all(torch.equal(kept[f"discriminator.{name}"], value) for name, value in trained.items())


def test_it_says_what_it_found(made: Made, tmp_path: Path) -> None:
    said: list[str] = []
    found = import_run("singan", made[1], out=tmp_path, say=said.append)
    assert said == found.info["data"]["notes"]
    h, w = made[0].sizes[-1]
    assert any(f"to {w}x{h} pixels" in sentence for sentence in said)


# --- errors leave nothing -------------------------------------------------------------------------------------


def refused(folder: Path, out: Path, family: str = "singan") -> GantoolError:
    with pytest.raises(GantoolError) as caught:
        import_run(family, folder, out=out)
    assert not list(out.glob("*/*"))
    return caught.value


def test_a_family_without_an_importer_names_those_with_one(made: Made, tmp_path: Path) -> None:
    error = refused(made[1], tmp_path, "consingan")
    assert isinstance(error, UsageError)
    assert error.what == "ConSinGAN reads no models from elsewhere."
    assert error.hint == "These do: singan, gan, dcgan, pix2pix."
    assert "singan" in refused(made[1], tmp_path, "singann").hint


def test_damaged_files(tmp_path: Path) -> None:
    _, folder = make(tmp_path / "model")
    (folder / "1" / "netG.pth").write_bytes(b"PK\x03\x04 not much")
    error = refused(folder, tmp_path / "runs")
    assert isinstance(error, DataError)
    assert "netG.pth is damaged" in error.what
    assert isinstance(refused(tmp_path / "gone", tmp_path / "runs"), DataError)


def test_a_model_that_the_options_do_not_allow(tmp_path: Path) -> None:
    _, folder = make(tmp_path / "model")
    for k in range(4):  # no body: two layers
        weights = torch.load(folder / str(k) / "netG.pth", weights_only=True)
        torch.save({n: v for n, v in weights.items() if not n.startswith("body.")}, folder / str(k) / "netG.pth")
    noises = torch.load(folder / "Zs.pth", weights_only=True)
    torch.save([z[:, :, 3:-3, 3:-3] for z in noises], folder / "Zs.pth")
    error = refused(folder, tmp_path / "runs")
    assert isinstance(error, DataError)
    assert "`layers` = 2" in error.what


def test_a_picture_smaller_than_its_networks_see(tmp_path: Path) -> None:
    _, folder = make(tmp_path / "model")
    reals = torch.load(folder / "reals.pth", weights_only=True)
    reals[0] = reals[0][:, :, :9, :9]
    torch.save(reals, folder / "reals.pth")
    noises = torch.load(folder / "Zs.pth", weights_only=True)
    torch.save([noises[0][:, :, :19, :19], *noises[1:]], folder / "Zs.pth")
    assert isinstance(refused(folder, tmp_path / "runs"), DataError)


def test_weights_that_draw_no_numbers(tmp_path: Path) -> None:
    _, folder = make(tmp_path / "model")
    file = folder / "0" / "netG.pth"
    weights = torch.load(file, weights_only=True)
    weights["body.block1.conv.weight"].fill_(3e38)  # finite, but their sums are not
    torch.save(weights, file)
    error = refused(folder, tmp_path / "runs")
    assert isinstance(error, DataError)
    assert "not finite" in error.what


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_when_writing_fails(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    def fail(*_: Any) -> None:
        raise RunError("The disk is full.", "Free some space.") if isinstance(fault, OSError) else fault

    monkeypatch.setattr(task, "save_checkpoint", fail)
    with pytest.raises((RunError, KeyboardInterrupt)):
        import_run("singan", made[1], out=tmp_path)
    assert not list(tmp_path.glob("*/*"))


def test_a_place_that_is_a_file(made: Made, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError):
        import_run("singan", made[1], out=tmp_path / "runs")
    assert (tmp_path / "runs").read_text() == ""


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(folder: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("gantool.families.singan.official.read_official", forbidden)
    error = refused(tmp_path, tmp_path / "runs")
    assert isinstance(error, DataError)
    assert "Permission denied" in error.what


def test_a_reader_of_a_plug_in_is_found_by_its_path(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere.py").write_text(
        "from gantool.errors import DataError\ndef read(folder):\n    raise DataError(f'{folder} was asked for.', '')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "get", lambda name: replace(SPEC, importer="elsewhere:read"))
    assert refused(made[1], tmp_path / "runs").what == f"{made[1]} was asked for."
