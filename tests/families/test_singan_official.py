"""Models in the official SinGAN's layout: ours written that way and read back, a real one, and what is refused."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gantool.data.image import to_uint8
from gantool.engine.trainer import build
from gantool.errors import DataError
from gantool.families.singan import SPEC
from gantool.families.singan.chain import enlarge
from gantool.families.singan.config import SinGANConfig
from gantool.families.singan.model import SinGAN
from gantool.families.singan.networks import pad_margin
from gantool.families.singan.official import read_official
from gantool.family import DataShape
from gantool.tasks.runs import new_model

CPU = torch.device("cpu")
BALLOONS = Path(__file__).parents[3] / "shared" / "data" / "weights" / "singan-balloons"
SMALL: dict[str, Any] = {"max_size": 32, "min_size": 16, "channels": 8, "max_channels": 16, "channels_step": 2}


def untrained(height: int = 30, width: int = 40, **options: Any) -> SinGAN:
    """A model that nothing was trained in, but all that training leaves is there, and is no default."""
    config = SinGANConfig(**{**SMALL, **options})
    model = new_model(SPEC, config, DataShape(height, width), 3, CPU)
    assert isinstance(model, SinGAN)
    build(model, len(model.stages()) - 1)
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        model.take_picture(torch.rand(1, 3, height, width, generator=rng) * 2 - 1)
        model.noise_amps[1:] = torch.rand(len(model.sizes) - 1, generator=rng) / 10 + 0.05
        model.z_opt.copy_(model._padded(torch.randn(1, 1, *model._noise_size(model.sizes[0]), generator=rng)))
        for k, generator in enumerate(model.generators):
            generator.train()  # so that batch norm has statistics
            for _ in range(3):
                noise = torch.randn(1, 3, 40, 40, generator=rng)
                generator(noise, noise.roll(k))
    return model


def write_official(model: SinGAN, folder: Path, critic: bool = False) -> Path:
    """As the official code saves a model: after the last scale, or, in `folder / k`, after each."""
    sizes, margin = model.sizes, model.margin
    for k, generator in enumerate(model.generators):
        (folder / str(k)).mkdir(parents=True)
        torch.save(generator.state_dict(), folder / str(k) / "netG.pth")
        if critic and k == len(sizes) - 1:
            torch.save(model.discriminator.state_dict(), folder / str(k) / "netD.pth")
    zeros = [torch.zeros(1, 3, h + 2 * margin, w + 2 * margin) for h, w in sizes[1:]]
    torch.save([model.z_opt.clone(), *zeros], folder / "Zs.pth")
    torch.save([model.real_at(k) for k in range(len(sizes))], folder / "reals.pth")
    torch.save([1, *(amp.clone() for amp in model.noise_amps[1:])], folder / "NoiseAmp.pth")
    return folder


def read_back(folder: Path) -> tuple[SinGAN, dict[str, Any]]:
    found = read_official(folder)
    config = SinGANConfig(**found.values)
    model = new_model(SPEC, config, found.shape, 0, CPU)
    assert isinstance(model, SinGAN)
    build(model, len(model.stages()) - 1)
    own = {key: value for key, value in model.state_dict().items() if key.startswith(found.fresh)}
    model.load_state_dict({**own, **found.tensors})
    return model, dict(found.values)


# --- ours, written and read back --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((30, 40), {}),
        ((61, 44), {"max_size": 50, "layers": 4, "min_size": 13, "scale_factor": 0.6}),
        ((40, 40), {"mode": "animation"}),
        ((33, 57), {"max_size": 45, "channels": 6, "channels_step": 1, "max_channels": 24, "scale_factor": 0.66}),
        ((31, 31), {"max_size": 25, "channels": 5, "max_channels": 5}),
        ((25, 26), {"min_size": 15, "max_size": 26, "scale_factor": 0.5}),
        ((30, 29), {"channels_step": 4, "max_channels": 128, "scale_factor": 0.8}),
    ],
)
def test_everything_is_found_again(tmp_path: Path, shape: tuple[int, int], options: dict[str, Any]) -> None:
    original = untrained(*shape, **options)
    copy, values = read_back(write_official(original, tmp_path / "model"))
    assert [list(size) for size in values["sizes"]] == [list(size) for size in original.sizes]
    assert values["scale_factor"] == original.pyramid.factor  # to the last bit
    assert values["mode"] == original.config.mode
    assert values["layers"] == original.config.layers
    scales = range(len(original.sizes))
    assert [copy.config.width(k) for k in scales] == [original.config.width(k) for k in scales]
    theirs = original.state_dict()
    for name, value in copy.state_dict().items():
        if name != "real" and not name.startswith("discriminator."):
            assert torch.equal(value, theirs[name]), name
    for k in scales:
        assert torch.equal(copy.real_at(k), original.real_at(k)), k


def test_the_usual_options_are_recognised(tmp_path: Path) -> None:
    same = read_official(write_official(untrained(channels=32, max_channels=32), tmp_path / "a")).values
    assert (same["channels"], same["channels_step"], same["max_channels"]) == (32, 4, 128)
    double = read_official(write_official(untrained(), tmp_path / "b")).values
    assert (double["channels"], double["channels_step"], double["max_channels"]) == (8, 2, 128)


@pytest.mark.parametrize(("counted", "iterations"), [(6003, 1000), (12005, 2000), (18007, 3000), (0, 1), (-7, 1)])
def test_iterations_are_counted_by_batch_norm(tmp_path: Path, counted: int, iterations: int) -> None:
    original = untrained()
    original.generators[0].head.norm.num_batches_tracked.fill_(counted)
    found = read_official(write_official(original, tmp_path / "model"))
    assert found.values["iterations"] == iterations
    assert any(f"{iterations} iterations" in note for note in found.notes)


def test_pictures_of_another_resize_leave_the_factor_open(tmp_path: Path) -> None:
    folder = write_official(untrained(), tmp_path / "model")
    reals = torch.load(folder / "reals.pth", weights_only=True)
    reals[:-1] = [real.roll(1, 3) for real in reals[:-1]]
    torch.save(reals, folder / "reals.pth")
    found = read_official(folder)
    assert "scale_factor" not in found.values
    assert any("factor" in note for note in found.notes)
    assert read_back(folder)[0].real_at(0).shape == reals[0].shape


def test_noise_above_the_coarsest_scale_is_told(tmp_path: Path) -> None:
    folder = write_official(untrained(), tmp_path / "model")
    assert not any("Noise" in note for note in read_official(folder).notes)
    edit(folder / "Zs.pth", lambda noises: [noises[0], noises[1] + 1, *noises[2:]])
    assert any("Noise" in note for note in read_official(folder).notes)


def test_other_number_types_and_parameters_are_read(tmp_path: Path) -> None:
    original = untrained()
    folder = write_official(original, tmp_path / "model")
    edit(folder / "0" / "netG.pth", lambda w: {k: torch.nn.Parameter(v.double(), False) for k, v in w.items()})
    edit(folder / "NoiseAmp.pth", lambda amps: [float(amp) for amp in amps])
    torch.save(
        torch.load(folder / "1" / "netG.pth", weights_only=True),
        folder / "1" / "netG.pth",
        _use_new_zipfile_serialization=False,  # as PyTorch wrote before 1.6
    )
    weights = read_official(folder).tensors
    theirs = original.state_dict()
    for name in ("generators.0.tail.0.weight", "generators.1.head.norm.running_var", "noise_amps"):
        assert weights[name].dtype == torch.float32
        assert torch.equal(weights[name], theirs[name])


def test_the_folder_gives_the_name(tmp_path: Path) -> None:
    folder = write_official(untrained(), tmp_path / "balloons" / "scale_factor=0.750000,alpha=10")
    assert read_official(folder).name == "balloons"
    assert read_official(folder.rename(tmp_path / "mine")).name == "mine"


def test_the_last_discriminator_is_read_where_there_is_one(tmp_path: Path) -> None:
    original = untrained()
    folder = write_official(original, tmp_path / "model", critic=True)
    found = read_official(folder)
    own = original.discriminator.state_dict()
    assert {name for name in found.tensors if name.startswith("discriminator.")} == {f"discriminator.{n}" for n in own}
    assert all(torch.equal(found.tensors[f"discriminator.{name}"], value) for name, value in own.items())
    last = folder / str(len(original.sizes) - 1) / "netD.pth"
    last.write_bytes(last.read_bytes()[:1000])
    found = read_official(folder)  # no picture hangs on it
    assert not any(name.startswith("discriminator.") for name in found.tensors)
    assert any("netD.pth is damaged" in note for note in found.notes)


# --- a real one -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not BALLOONS.is_dir(), reason="the trained model is not here")
def test_a_real_model_draws_its_own_pictures_again() -> None:
    """G(z_opt).png is what the official code drew at the end of each scale, that scale still in training mode."""
    model, values = read_back(BALLOONS)
    assert values["scale_factor"] == math.pow(25 / 186, 1 / 8)
    assert values["sizes"] == ((42, 56), (54, 71), (69, 91), (88, 117), (113, 151), (145, 193), (186, 248))
    assert [model.config.width(k) for k in range(7)] == [32] * 4 + [64] * 3
    reals = torch.load(BALLOONS / "reals.pth", weights_only=True, map_location="cpu")
    below = torch.zeros(1, 3, *model.sizes[0])
    model.generators.eval()
    for k, generator in enumerate(model.generators):
        assert torch.equal(model.real_at(k), reals[k])
        if k:
            below = enlarge(below, model.pyramid.factor, model.sizes[k])
            error = (below - reals[k]).square().mean().sqrt()
            assert float(0.1 * error) == pytest.approx(float(model.noise_amps[k]), rel=1e-5)
        noise = model.z_opt if k == 0 else torch.zeros_like(pad_margin(below, 5))
        with torch.no_grad():
            drawn = generator.train()(model.noise_amps[k] * noise, pad_margin(below, 5))
            saved = torch.load(BALLOONS / str(k) / "netG.pth", weights_only=True, map_location="cpu")
            generator.load_state_dict(saved)  # training mode has moved the statistics
            below = generator.eval()(model.noise_amps[k] * noise, pad_margin(below, 5))
        levels = ((drawn[0] + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy() * 255
        png = np.asarray(Image.open(BALLOONS / str(k) / "G(z_opt).png").convert("RGB"), dtype=np.float64)
        apart = np.floor(levels) - png  # it was written by truncating; a few values lie on a level's edge
        assert np.mean(apart != 0) < 0.001
        assert np.abs(apart).max() <= 1
    assert to_uint8(model.reconstruct()).shape == (1, 186, 248, 3)


# --- what is refused --------------------------------------------------------------------------------------


class Code:
    """What unpickling would execute."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch executed",))


class Whole(torch.nn.Module):
    """A network pickled whole."""


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    torch.save(change(torch.load(file, weights_only=True)), file)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def without(mapping: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: value for name, value in mapping.items() if name != key}


def poisoned(weights: dict[str, Tensor], key: str, value: float) -> dict[str, Tensor]:
    weights[key][(0,) * weights[key].ndim] = value
    return weights


BLOCK = "body.block1.conv.weight"
SPOILED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no network": (lambda f: (f / "1/netG.pth").unlink(), "lacks 1/netG.pth"),
    "no first network": (lambda f: (f / "0/netG.pth").unlink(), "lacks 0/netG.pth. Copy the whole folder"),
    "no lists": (lambda f: [(f / n).unlink() for n in ("Zs.pth", "NoiseAmp.pth")], "lacks Zs.pth and NoiseAmp.pth"),
    "half trained": (
        lambda f: [edit(f / n, lambda x: x[:2]) for n in ("Zs.pth", "NoiseAmp.pth")] + [shutil.rmtree(f / "2")],
        "is not trained to its end: 2 of 4 scales",
    ),
    "fewer noises": (lambda f: edit(f / "Zs.pth", lambda x: x[:-1]), "4 scales (reals.pth), but 3 (Zs.pth)"),
    "fewer amplitudes": (lambda f: edit(f / "NoiseAmp.pth", lambda x: x[:-1]), "but 3 (NoiseAmp.pth)"),
    "fewer pictures": (lambda f: edit(f / "reals.pth", lambda x: x[1:]), "3 scales (reals.pth), but 4"),
    "another network": (lambda f: shutil.copytree(f / "2", f / "4"), "but 5 (networks)"),
    "cut list": (lambda f: cut(f / "Zs.pth"), "Zs.pth is damaged"),
    "cut network": (lambda f: cut(f / "1/netG.pth"), "netG.pth is damaged"),
    "empty": (lambda f: (f / "reals.pth").write_bytes(b""), "reals.pth is damaged"),
    "page": (lambda f: (f / "reals.pth").write_text("<html>not found</html>"), "reals.pth is damaged"),
    "words": (lambda f: (f / "0/netG.pth").write_text("hello world"), "netG.pth is damaged"),
    "code": (lambda f: torch.save([Code()], f / "Zs.pth"), "more than weights (posix.system)"),
    "code in weights": (lambda f: torch.save({"a": Code()}, f / "1/netG.pth"), "more than weights (posix.system)"),
    "whole network": (lambda f: torch.save(Whole(), f / "0/netG.pth"), "Whole): opening that would execute code"),
    "whole torch network": (lambda f: torch.save(torch.nn.Conv2d(3, 3, 3), f / "0/netG.pth"), "conv.Conv2d)"),
    "no state_dict": (lambda f: torch.save(torch.zeros(3), f / "0/netG.pth"), "is no state_dict"),
    "numbered tensors": (lambda f: torch.save({0: torch.zeros(3)}, f / "0/netG.pth"), "is no state_dict"),
    "sparse": (lambda f: torch.save({"a": torch.eye(3).to_sparse()}, f / "0/netG.pth"), "is no state_dict"),
    "no numbers": (lambda f: torch.save({"a": torch.zeros(3, device="meta")}, f / "0/netG.pth"), "is no state_dict"),
    "another model": (lambda f: torch.save({"conv1.weight": torch.zeros(3)}, f / "0/netG.pth"), "no head.conv.weight"),
    "a weight missing": (lambda f: edit(f / "1/netG.pth", lambda w: without(w, BLOCK)), f"it lacks {BLOCK}"),
    "a weight more": (lambda f: edit(f / "1/netG.pth", lambda w: {**w, "x": torch.zeros(1)}), "it has x"),
    "narrow body": (
        lambda f: edit(f / "0/netG.pth", lambda w: {**w, BLOCK: torch.zeros(4, 8, 3, 3)}),
        f"{BLOCK} is 4 x 8 x 3 x 3, not 8 x 8 x 3 x 3",
    ),
    "grey": (
        lambda f: edit(f / "0/netG.pth", lambda w: {**w, "head.conv.weight": torch.zeros(8, 1, 3, 3)}),
        "head.conv.weight is 8 x 1 x 3 x 3",
    ),
    "whole numbers": (
        lambda f: edit(f / "0/netG.pth", lambda w: {**w, BLOCK: w[BLOCK].long()}),
        "torch.int64 where weights should be",
    ),
    "channels": (lambda f: shutil.copy(f / "2/netG.pth", f / "0/netG.pth"), "(16, 8, 16, 16) do not double"),
    "NaN": (lambda f: edit(f / "1/netG.pth", lambda w: poisoned(w, BLOCK, math.nan)), f"{BLOCK} is not finite"),
    "infinite": (lambda f: edit(f / "1/netG.pth", lambda w: poisoned(w, "tail.0.bias", math.inf)), "is not finite"),
    "too large for 32 bits": (
        lambda f: edit(f / "1/netG.pth", lambda w: {**w, BLOCK: w[BLOCK].double() + 1e300}),
        f"{BLOCK} is not finite",
    ),
    "variance": (
        lambda f: edit(f / "1/netG.pth", lambda w: poisoned(w, "head.norm.running_var", -1.0)),
        "head.norm.running_var is negative",
    ),
    "NaN picture": (lambda f: edit(f / "reals.pth", lambda x: [x[0] * math.nan, *x[1:]]), "a picture is not finite"),
    "grey pictures": (lambda f: edit(f / "reals.pth", lambda x: [r[:, :1] for r in x]), "in place of (1, 3, height"),
    "no pictures": (lambda f: torch.save(["a", "b", "c"], f / "reals.pth"), "str in place of (1, 3, height, width)"),
    "endless picture": (
        lambda f: torch.save([torch.zeros(1).expand(1, 3, 100_000, 100_000)] * 3, f / "reals.pth"),
        "in place of (1, 3, height, width)",
    ),
    "pictures upside down": (lambda f: edit(f / "reals.pth", lambda x: x[::-1]), "do not grow"),
    "no list": (lambda f: torch.save({"a": 1}, f / "NoiseAmp.pth"), "no list with an entry for each scale"),
    "words for numbers": (lambda f: torch.save(["a"] * 3, f / "NoiseAmp.pth"), "is no list of numbers"),
    "NaN amplitude": (lambda f: torch.save([1, math.nan, 0.1], f / "NoiseAmp.pth"), "not finite"),
    "huge amplitude": (lambda f: torch.save([1, 10**400, 0.1], f / "NoiseAmp.pth"), "not finite"),
    "no margin": (lambda f: edit(f / "Zs.pth", lambda x: [z[:, :, 5:-5, 5:-5] for z in x]), "would fit the picture"),
}


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_official(untrained(), tmp_path_factory.mktemp("official") / "model")


@pytest.mark.parametrize("spoiled", SPOILED)
def test_what_is_refused(official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled: str) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(official, tmp_path / "model"))
    read_official(folder)  # it is this change that matters
    change, text = SPOILED[spoiled]
    change(folder)
    with pytest.raises(DataError) as caught:
        read_official(folder)
    assert text in str(caught.value)
    assert str(folder) in caught.value.what
    for sentence in (caught.value.what, caught.value.hint):
        assert sentence.endswith((".", "?"))
        assert "\n" not in sentence
    assert not (tmp_path / "executed").exists()


def test_another_folder_is_named(official: Path, tmp_path: Path) -> None:
    models = tmp_path / "TrainedModels"
    one = Path(shutil.copytree(official, models / "balloons" / "scale_factor=0.750000,alpha=10"))

    def hint(place: Path) -> str:
        with pytest.raises(DataError) as caught:
            read_official(place)
        assert str(place) in caught.value.what
        return caught.value.hint

    for place in (one.parent, models, one / "0", one / "0" / "netG.pth", one / "Zs.pth", one / "nothing"):
        assert hint(place) == f"Did you mean {one}?"
    two = Path(shutil.copytree(official, models / "birds" / "scale_factor=0.750000,alpha=10"))
    assert hint(models) == f"Name one of its models: {one}, {two}."
    assert hint(one.parent) == f"Did you mean {one}?"
    (tmp_path / "empty").mkdir()
    assert "0/netG.pth" in hint(tmp_path / "empty")
    assert "0/netG.pth" in hint(tmp_path / "gone" / "gone")
