"""What every family keeps to, ours and those of installed packages. See docs/adding-a-family.md."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import gantool
from gantool import registry
from gantool.cli.family_command import family_command
from gantool.data.set_options import PairOptions, SetOptions
from gantool.engine.model import GanModel
from gantool.errors import GantoolError, Interrupted
from gantool.family import (
    AnimateRequest,
    Animates,
    DataShape,
    Edits,
    Enlarges,
    Harmonizes,
    InjectRequest,
    InterpolateRequest,
    Interpolates,
    Paints,
    Reconstructs,
    SampleRequest,
    SuperResolveRequest,
    SuperResolves,
    Translates,
)
from gantool.options import option_infos, resolve
from gantool.tasks.runs import new_model

DOCS = Path(__file__).parents[2] / "docs"
WORKING = [entry for entry in registry.entries() if entry.spec is not None]
CPU = torch.device("cpu")
CAPABILITIES = {
    "sample": ("sample", object),
    "animate": ("animate", Animates),
    "harmonize": ("harmonize", Harmonizes),
    "edit": ("edit", Edits),
    "paint": ("paint", Paints),
    "superres": ("super_resolve", SuperResolves),
}
SIZES = [(64, 64), (40, 90), (97, 33)]  # (height, width) asked for when sampling


@pytest.fixture(scope="module", params=WORKING, ids=lambda entry: entry.name)
def entry(request):
    return request.param


@pytest.fixture(scope="module")
def spec(entry):
    return entry.spec


# --- what it says of itself -----------------------------------------------------------------------------


def test_the_spec_is_filled_in(entry, spec):
    assert spec.name == entry.name
    assert re.fullmatch(r"[a-z][a-z0-9-]*", spec.name)
    assert spec.title
    assert str(spec.year) in spec.paper
    assert 2014 <= spec.year <= 2100
    assert spec.summary.endswith(".")
    assert len(spec.summary) <= 90
    assert spec.data in ("image", "set")
    assert issubclass(spec.config, SetOptions) == (spec.data == "set")
    assert spec.classes == "unused" or spec.data == "set"
    assert spec.on_cpu in spec.presets
    assert spec.on_accelerator in spec.presets
    if entry.origin == "built-in":
        text = (DOCS / spec.page).read_text(encoding="utf-8")
        assert text.startswith("# ")
        assert f"gantool train {spec.name} " in text


def test_tasks_are_the_capabilities_of_the_model(spec):
    model = spec.model_class()
    methods = {"sample": "sample", "animate": "animate", "harmonize": "harmonize", "edit": "edit", "paint": "paint"}
    methods |= {"superres": "super_resolve", "interpolate": "interpolate", "enlarge": "enlarge"}
    methods |= {"translate": "translate"}
    nothing = {None, GanModel.sample}  # what every model has refuses to draw
    assert set(spec.tasks) == {task for task, method in methods.items() if getattr(model, method, None) not in nothing}


def test_presets_fit_the_options(spec):
    assert "tiny" in spec.presets
    for name, preset in spec.presets.items():
        assert 0 < len(preset.help) <= 90, name
        config = resolve(spec.config, (name, preset.values)).config
        assert {key: getattr(config, key) for key in preset.values} == dict(preset.values), name


def test_options_are_frozen_and_explained(spec):
    config = resolve(spec.config).config
    assert config == spec.config()  # the defaults are within their own bounds
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, option_infos(spec.config)[0].name, 1)
    for info in option_infos(spec.config):
        assert 0 < len(info.help) <= 75, info.name
        assert info.group, info.name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", info.name), info.name
    assert family_command(spec)  # no option has a name that the command line uses itself


def test_listing_families_imports_no_torch():
    code = (
        "import sys; from gantool import registry; from gantool.options import option_infos\n"
        "for spec in registry.families().values(): option_infos(spec.config)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- stages ---------------------------------------------------------------------------------------------


def test_stages_of_every_preset(spec):
    for name, preset in spec.presets.items():
        config = resolve(spec.config, (name, preset.values)).config
        model = new_model(spec, config, shape_for(spec, config), 0, CPU)
        stages = model.stages()
        assert [stage.index for stage in stages] == list(range(len(stages)))
        assert stages
        assert stages == model.stages()
        assert len({stage.name for stage in stages}) == len(stages)
        for stage in stages:
            assert stage.steps >= 1
            assert stage.cost > 0
            assert stage.memory > 0
            assert all(isinstance(side, int) and 0 < side <= 256 for side in stage.size)


# --- a training -----------------------------------------------------------------------------------------


class Watch:
    """Keeps the model as training left it, and the names of its losses."""

    def __init__(self):
        self.model, self.names, self.total = None, {}, 0

    def step(self, progress):
        self.total = progress.state.total
        if progress.metrics:
            self.names.setdefault(progress.state.stage, set()).add(tuple(progress.metrics))

    def stage_end(self, progress, model):
        pass

    def run_end(self, progress, model):
        self.model = model


def shape_for(spec, config):
    """Of data that the family trains on."""
    if spec.data == "image":
        return DataShape(180, 240)
    given = 3 if issubclass(spec.config, PairOptions) else 0
    return DataShape(config.size, config.size, 3, 0 if spec.classes == "unused" else 4, 100, given)


@pytest.fixture(scope="module")
def picture(spec, tmp_path_factory):
    """A picture, or for a family of sets a folder of two classes, or of pairs side by side."""
    if issubclass(spec.config, PairOptions):
        folder, random = tmp_path_factory.mktemp("contract") / "pairs", np.random.default_rng(0)
        folder.mkdir()
        for i in range(9):
            coarse = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            pair = np.concatenate([255 - coarse, coarse], 1)
            Image.fromarray(pair).resize((80, 36), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
        return folder
    if spec.data == "set":
        folder, random = tmp_path_factory.mktemp("contract") / "pictures", np.random.default_rng(0)
        for i in range(14):
            coarse = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            file = folder / "ab"[i % 2] / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(coarse).resize((40, 36), Image.Resampling.BICUBIC).save(file)
        return folder
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("contract") / "photo.png"
    Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC).save(path)
    return path


def train(spec, picture, **more):
    torch.manual_seed(more.pop("noise", 0))  # of the process: a training does not depend on it
    return gantool.train(
        spec.name, picture, preset="tiny", seed=7, device="cpu", log_every=1, out=picture.parent / "runs", **more
    )


@pytest.fixture(scope="module")
def trained(spec, picture):
    """A finished run, and what was seen on the way."""
    watch = Watch()
    return train(spec, picture, callbacks=[watch]), watch


def final(run):
    """Every tensor of the last checkpoint: weights and buffers, optimisers, random generator."""
    folder = max(run.dir.checkpoints.glob("step-*-end"))
    return {f"{part.stem}/{k}": v for part in folder.glob("*.safetensors") for k, v in load_file(part).items()}


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def test_tiny_trains_in_seconds(trained):
    run, watch = trained
    row = run.summary()
    assert row["status"] == "finished"
    assert row["steps"] == row["steps_planned"] == watch.total >= 8
    assert row["seconds"] < 20
    entries = run.dir.metrics()
    assert len(entries) == watch.total
    for stage in run.load("cpu").stages():
        assert (run.path / "previews" / f"stage-{stage.index + 1:02d}.png").is_file()


def test_losses_have_the_same_names_at_every_step_of_a_stage(trained):
    assert trained[1].names
    for names in trained[1].names.values():
        assert len(names) == 1
        assert len(next(iter(names))) >= 2


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(spec, picture, trained):
    whole, watch = trained
    stops = [1, watch.total // 2, watch.total - 1]

    def stop():
        return bool(stops) and seen.total >= stops[0] and bool(stops.pop(0))

    seen = Watch()
    with pytest.raises(Interrupted):
        train(spec, picture, noise=1, name="stopped", callbacks=[seen], stop=stop)
    stopped = (r for r in gantool.runs(picture.parent / "runs") if r.id.endswith("stopped") and r.spec is spec)
    run = next(stopped)
    while stops:
        assert samples(run.load("cpu"), [0]).isfinite().all()  # a run under way can be looked at
        with pytest.raises(Interrupted):
            gantool.resume(run, callbacks=[seen], stop=stop)
    torch.manual_seed(2)
    gantool.resume(run, callbacks=[seen], stop=stop)
    assert_same(final(run), final(whole))


def test_another_seed_gives_another_model(spec, picture, trained):
    other = gantool.train(spec.name, picture, preset="tiny", seed=8, device="cpu", out=picture.parent / "runs")
    ours, theirs = final(other), final(trained[0])
    assert ours.keys() == theirs.keys()
    assert any(not torch.equal(value, theirs[name]) for name, value in ours.items() if name.startswith("model/"))


# --- the trained model ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(trained):
    return trained[0].load("cpu")


def samples(model, seeds, size=None):
    """What the model draws, or makes of small pictures; a family may refuse a size, and says so."""
    if isinstance(model, Enlarges | Translates):
        if size is not None and isinstance(model, Enlarges):
            pytest.skip("enlarges any size by its factor")
        random = [torch.Generator().manual_seed(seed) for seed in seeds]
        small = [torch.rand(1, 3, *(size or (9, 7)), generator=generator) * 2 - 1 for generator in random]
        make = model.enlarge if isinstance(model, Enlarges) else model.translate
        return torch.cat([make(picture) for picture in small]).clamp(-1, 1)
    try:
        return model.sample(SampleRequest(seeds, size))
    except GantoolError as error:
        if size is None:
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize("size", [None, *SIZES])
def test_samples_are_pictures(model, size):
    drawn = samples(model, [0, 1, 5], size)
    assert drawn.dtype == torch.float32
    assert drawn.shape[:2] == (3, 3)
    assert size is None or drawn.shape[2:] == size
    assert drawn.isfinite().all()
    assert drawn.abs().max() <= 1
    assert not drawn.requires_grad
    assert float((drawn[0] - drawn[1]).abs().max()) > 1e-3


@pytest.mark.parametrize("size", [None, SIZES[1]])
def test_a_seed_is_a_picture_whatever_stands_beside_it(model, size):
    together = samples(model, [4, 9], size)
    assert torch.equal(samples(model, [9], size)[0], together[1])
    assert torch.equal(samples(model, [9, 4], size), together.flip(0))


def test_all_that_was_trained_is_saved(trained, model):
    run, watch = trained
    assert_same(dict(watch.model.state_dict()), dict(model.state_dict()))
    assert torch.equal(samples(watch.model, [3]), samples(model, [3]))
    assert torch.equal(samples(run.load("cpu"), [3]), samples(model, [3]))
    if isinstance(model, Reconstructs):
        assert torch.equal(watch.model.reconstruct(), model.reconstruct())
        assert model.reconstruct().shape == model.picture().shape
        assert model.picture().abs().max() <= 1


def test_sampling_leaves_no_trace(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    samples(model, [0])
    model.preview()
    assert_same(dict(model.state_dict()), before)
    assert torch.equal(torch.get_rng_state(), random)


def test_networks_are_named_and_counted(model):
    sizes = model.network_sizes()
    assert len(sizes) >= 2
    assert all(count > 0 for count in sizes.values())


def test_ways_through_latent_space(spec, model):
    assert isinstance(model, Interpolates) == ("interpolate" in spec.tasks)
    if "interpolate" not in spec.tasks:
        return
    labels = [1, 1, 1] if model.shape.classes else None
    way = torch.cat(list(model.interpolate(InterpolateRequest([3, 5, 4], 4, labels))))
    assert len(way) == 9
    seeds = model.sample(SampleRequest([3, 5, 4], labels=labels))
    assert torch.allclose(way[::4], seeds, atol=1e-5)
    step, whole = (way[1:5] - way[:4]).abs().mean((1, 2, 3)), (way[4] - way[0]).abs().mean()
    assert bool((step < whole).all())  # no jump is as large as the whole way


def test_classes_are_drawn_as_asked(spec, model):
    if spec.classes != "needed":
        return
    ours = model.sample(SampleRequest([3, 3], labels=[0, 1]))
    assert not torch.equal(ours[0], ours[1])
    assert torch.equal(model.sample(SampleRequest([3], labels=[1]))[0], ours[1])
    for wrong in (-1, 2):
        with pytest.raises(GantoolError, match="no class"):
            model.sample(SampleRequest([0], labels=[wrong]))


def test_films(spec, model):
    if "animate" not in spec.tasks:
        assert not isinstance(model, Animates)
        return
    film = [list(model.animate(AnimateRequest(frames=3, start_scale=0, seed=seed))) for seed in (0, 0, 1)]
    assert [len(frames) for frames in film] == [3, 3, 3]
    for frame in film[0]:
        assert frame.shape[:2] == (1, 3)
        assert frame.isfinite().all()
        assert frame.abs().max() <= 1
    assert all(torch.equal(a, b) for a, b in zip(film[0], film[1], strict=True))
    assert not torch.equal(film[0][2], film[2][2])
    assert not torch.equal(film[0][0], film[0][2])


@pytest.mark.parametrize("task", ["harmonize", "edit", "paint"])
def test_pictures_that_are_taken_in(spec, model, task):
    method, protocol = CAPABILITIES[task]
    assert isinstance(model, protocol) == (task in spec.tasks)
    if task not in spec.tasks:
        return
    before = {name: value.clone() for name, value in model.state_dict().items()}
    picture, call = model.picture(), getattr(model, method)
    changed = picture.clone()
    changed[:, :, 4:16, 4:16] = 0.9
    scales = list(model.injection_scales)
    assert scales == sorted(set(scales))
    for scale in scales:
        drawn = [call(InjectRequest(image, scale, 3)) for image in (changed, changed, picture)]
        for out in drawn:
            assert out.shape == picture.shape
            assert out.isfinite().all()
            assert out.abs().max() <= 1
            assert not out.requires_grad
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])
    for wrong in (-1, scales[-1] + 1, 99):
        with pytest.raises(GantoolError, match=r"start-scale"):
            call(InjectRequest(picture, wrong))
    with pytest.raises(ValueError, match="expected"):
        call(InjectRequest(picture[:, :, 1:], scales[0]))
    assert_same(dict(model.state_dict()), before)


def test_any_picture_is_enlarged(spec, model):
    assert isinstance(model, Enlarges) == ("enlarge" in spec.tasks)
    if "enlarge" not in spec.tasks:
        return
    pictures = torch.rand(2, 3, 60, 75, generator=torch.Generator().manual_seed(0)) * 2 - 1
    large = model.enlarge(pictures)
    factor, reach = model.factor, model.reach
    assert large.shape == (2, 3, 60 * factor, 75 * factor)
    assert not large.requires_grad
    # What lies farther than the reach has no say.
    other = pictures.clone()
    other[:, :, :, 70:] = 0
    edge = (70 - reach) * factor
    torch.testing.assert_close(model.enlarge(other)[..., :edge], large[..., :edge], rtol=0, atol=1e-6)
    assert not torch.allclose(model.enlarge(other)[..., edge:], large[..., edge:])


def test_any_picture_is_translated(spec, model):
    assert isinstance(model, Translates) == ("translate" in spec.tasks)
    if "translate" not in spec.tasks:
        return
    pictures = torch.rand(2, 3, 33, 50, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for mode in ("paper", "eval"):
        made = model.translate(pictures, [3, 4], mode)
        assert made.shape == (2, 3, 33, 50)
        assert made.abs().max() <= 1
        assert not made.requires_grad
        alone = torch.cat([model.translate(pictures[i : i + 1], [3 + i], mode) for i in range(2)])
        torch.testing.assert_close(made, alone, rtol=0, atol=1e-5)
    assert model.translation.size == (model.shape.height, model.shape.width)


def test_pictures_that_are_enlarged(spec, model):
    assert isinstance(model, SuperResolves) == ("superres" in spec.tasks)
    if "superres" not in spec.tasks:
        return
    height, width = model.picture().shape[2:]
    for factor in (1.3, 2, 3.7):
        large = model.super_resolve(SuperResolveRequest(factor, 1))
        assert large.shape == (1, 3, int(factor * height), int(factor * width))
        assert large.isfinite().all()
        assert large.abs().max() <= 1
        assert torch.equal(large, model.super_resolve(SuperResolveRequest(factor, 1)))
