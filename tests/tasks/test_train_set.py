"""Training on sets from the outside: what is refused, what is kept, what is drawn, imported and measured."""

import gzip
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gantool
from gantool.data.image import load_picture
from gantool.errors import ConfigError, DataError, Interrupted, RunError, UsageError
from gantool.families.dcgan.config import DCGANConfig
from gantool.families.dcgan.networks import Discriminator, Generator
from gantool.family import DataShape, SampleRequest
from gantool.tasks.plan import plan_training

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes of four pictures, one of them grey, of mixed sizes."""
    random, root = np.random.default_rng(1), tmp_path_factory.mktemp("sets") / "animals"
    for i in range(12):
        file = root / ("cat", "dog", "owl")[i % 3] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(random.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((20 + i, 24))
        (image.convert("L") if i == 7 else image).save(file)
    return root


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return gantool.train("acgan", folder, preset="tiny", seed=1, device="cpu", out=out, log_every=4, preview_every=5)


def test_a_run_keeps_what_it_was_made_of(run, folder):
    data = run.info["data"]
    assert data["path"] == str(folder)
    assert data["classes"] == ["cat", "dog", "owl"]
    assert (data["pictures"], data["channels"], data["width"]) == (12, 3, 16)
    assert run.info["shape"] == {"height": 16, "width": 16, "classes": 3, "count": 12}
    assert [entry["images"] for entry in run.dir.metrics()] == [16, 32, 48]  # 4 pictures a batch
    names = sorted(file.name for file in (run.path / "previews").iterdir())
    assert names == ["stage-01.png", "step-0000005.png", "step-0000010.png"]


def test_a_preview_has_a_row_for_each_class_and_the_same_noise_down_a_column(run):
    model = run.load("cpu")
    drawn = model.preview()
    assert len(drawn) == 3 * 8
    alone = model.sample(SampleRequest([5], labels=[2]))
    assert torch.equal(drawn[2 * 8 + 5], alone[0])


def test_classes_by_name_by_number_and_all(run, tmp_path):
    found = gantool.sample(run, 2, classes="all", to=tmp_path / "all")
    names = [file.name for file in found.files]
    assert names == [f"class-{k}-seed-000{s}.png" for k in range(3) for s in range(2)]
    by_name = gantool.sample(run, seeds="1", classes="owl", to=tmp_path / "owl").files
    assert [file.name for file in by_name] == ["class-2-seed-0001.png"]
    assert np.array_equal(load_picture(by_name[0]).pixels, load_picture(found.files[5]).pixels)
    mixed = gantool.sample(run, 1, classes="1-2,cat,1", to=tmp_path / "mixed").files
    assert [file.name.split("-")[1] for file in mixed] == ["1", "2", "0"]
    for wrong in ("cow", "3", "2-1", ""):
        with pytest.raises(UsageError, match="no class"):
            gantool.sample(run, 1, classes=wrong)


def test_the_way_from_seed_to_seed(run, tmp_path):
    found = gantool.interpolate(run, "3,1", steps=4, classes="dog", to=tmp_path / "way")
    assert {file.name for file in found.files} >= {"film.gif", "sheet.png"}
    with Image.open(tmp_path / "way" / "film.gif") as film:
        assert film.n_frames == 5
    for seeds, options in (("1", {}), ("1,2", {"steps": 0}), ("1,2", {"fps": 99}), ("0-3", {"classes": "cat,dog"})):
        with pytest.raises(UsageError):
            gantool.interpolate(run, seeds, **options)


def test_an_unlabelled_family_has_no_classes(folder, tmp_path):
    plain = gantool.train("dcgan", folder, preset="tiny", seed=1, device="cpu", out=tmp_path)
    assert "classes" not in plain.info["shape"]
    assert plain.info["data"]["classes"] == ["cat", "dog", "owl"]  # for the watch
    with pytest.raises(UsageError, match="no classes"):
        gantool.sample(plain, 1, classes="cat")


def test_classes_are_needed(folder, tmp_path):
    for family in ("cgan", "acgan"):
        with pytest.raises(DataError, match="no labels"):
            gantool.train(family, folder / "cat", preset="tiny", out=tmp_path)
        with pytest.raises(ConfigError, match="--labels none leaves them out"):
            gantool.train(family, folder, preset="tiny", labels="none", out=tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_run_goes_on_only_with_the_same_pictures(folder, tmp_path):
    copy = tmp_path / "copy"
    for file in folder.rglob("*.png"):
        target = copy / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    steps = iter(range(100))
    with pytest.raises(Interrupted):
        gantool.train("dcgan", copy, preset="tiny", seed=1, out=tmp_path / "runs", stop=lambda: next(steps) == 4)
    (stopped,) = gantool.runs(tmp_path / "runs")
    (copy / "cat" / "0.png").rename(copy / "cat" / "00.png")
    with pytest.raises(DataError, match="not those"):
        gantool.resume(stopped)
    (copy / "cat" / "00.png").rename(copy / "cat" / "0.png")
    assert gantool.resume(stopped).dir.status() == "finished"
    whole = gantool.train("dcgan", copy, preset="tiny", seed=1, out=tmp_path / "runs", name="whole")
    ours, theirs = stopped.load("cpu").state_dict(), whole.load("cpu").state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_corrupt_pictures_are_named_and_left_out(folder, tmp_path):
    copy = tmp_path / "some"
    copy.mkdir()
    for file in folder.rglob("*.png"):
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    (copy / "4.png").write_bytes(b"")
    said = []
    run = gantool.train("dcgan", copy, preset="tiny", seed=1, out=tmp_path / "runs", say=said.append)
    assert run.dir.status() == "finished"
    assert sum("3.png" in sentence for sentence in said) == 1
    assert sum("4.png" in sentence for sentence in said) == 1


@pytest.mark.parametrize("count", [1, 3])
def test_fewer_pictures_than_a_batch(folder, tmp_path, count):
    run = gantool.train("dcgan", folder, preset="tiny", seed=1, limit=count, out=tmp_path)
    assert run.info["data"]["pictures"] == count
    assert run.dir.status() == "finished"


def test_epochs_become_steps(folder, tmp_path):
    plan = plan_training("dcgan", folder, preset="tiny", options={"epochs": 5, "d_steps": 3}, estimate=False)
    assert plan.stages[0].steps == 5  # 5 x 12 pictures, of which a step takes 3 batches of 4
    assert plan.shape.count == 12
    plan.source.close()


def test_options_that_do_not_go_together():
    for options, match in (
        ({"loss": "hinge", "label_smoothing": 0.1}, "label-smoothing"),
        ({"label_smoothing": 0.1, "soft_labels": 0.9}, "soft-labels"),
        ({"ada": 0.6}, "--ada"),
        ({"accumulate": 3}, "accumulate"),
        ({"gp": 10.0}, "norm-d"),
        ({"diffaugment": "colour"}, "colour"),
        ({"momentum_end": 0.7}, "momentum-end"),
        ({"size": 50}, "50"),
    ):
        with pytest.raises(ConfigError, match=match):
            plan_training("dcgan", "builtin:digits", options=options, estimate=False)
    with pytest.raises(ConfigError, match="--devices"):
        plan_training("singan", "photo.jpg", options={"devices": 2}, estimate=False)


def test_a_published_generator_becomes_a_run(tmp_path):
    config, shape = DCGANConfig(nz=10, ngf=4, ndf=4), DataShape(64, 64)
    torch.manual_seed(0)
    generator, discriminator = Generator(config, shape).eval(), Discriminator(config, shape)
    torch.save({f"module.{k}": v for k, v in generator.state_dict().items()}, tmp_path / "netG_epoch_7.pth")
    torch.save(discriminator.state_dict(), tmp_path / "netD_epoch_7.pth")
    run = gantool.import_run("dcgan", tmp_path / "netG_epoch_7.pth", out=tmp_path / "runs")
    assert run.dir.status() == "finished"
    model = run.load("cpu")
    with torch.no_grad():
        expected = generator(model.latent([3]))
    assert torch.allclose(model.sample(SampleRequest([3])), expected, atol=1e-6)
    assert torch.equal(model.discriminator.main[0].weight, discriminator.main[0].weight)
    assert gantool.sample(run, 2).sheet.is_file()
    assert not (run.path / "input.png").exists()


def lenet_features():
    """The published LeNet, where the research data is there."""
    found = sorted(SHARED.glob("weights/gan-metrics/models/*"))
    if not found:
        pytest.skip("needs the published LeNet")
    return found[0]


def test_fid_while_training_is_the_one_measured_afterwards(tmp_path):
    features = lenet_features()
    run = gantool.train(
        "dcgan", "builtin:digits", preset="tiny", seed=1, out=tmp_path, limit=150, eval="fid@6,ms-ssim@12",
        eval_samples=120, eval_features=str(features),
    )  # fmt: skip
    scores = run.dir.scores()
    assert [(s["total"], s["metric"]) for s in scores] == [(6, "fid"), (12, "fid"), (12, "ms-ssim")]
    real = tmp_path / "real"
    real.mkdir()
    plan = plan_training("dcgan", "builtin:digits", preset="tiny", options={"limit": 150}, estimate=False)
    for i, pixels in enumerate(plan.source.pictures(np.arange(150))):
        Image.fromarray(pixels).save(real / f"{i:03d}.png")
    plan.source.close()
    options = gantool.EvalOptions(n=120, features=features)
    after = gantool.evaluate("fid", real, run, options)
    assert scores[1]["values"]["fid"] == pytest.approx(after.values["fid"], rel=1e-6)


def test_metrics_of_one_picture_are_refused_for_sets(tmp_path):
    with pytest.raises(UsageError, match="one picture"):
        gantool.train("dcgan", "builtin:digits", preset="tiny", eval="sifid@5", out=tmp_path)


def test_digits_as_published(tmp_path):
    """IDX and CSV of the same digits train to the same weights."""
    random = np.random.default_rng(0)
    digits, labels = random.integers(0, 256, (30, 28, 28), dtype=np.uint8), np.arange(30, dtype=np.uint8) % 10
    with gzip.open(tmp_path / "t10k-images-idx3-ubyte.gz", "wb") as file:
        file.write(struct.pack(">4i", 2051, 30, 28, 28) + digits.tobytes())
    with gzip.open(tmp_path / "t10k-labels-idx1-ubyte.gz", "wb") as file:
        file.write(struct.pack(">2i", 2049, 30) + labels.tobytes())
    rows = [",".join(map(str, [label, *digit.ravel()])) for label, digit in zip(labels, digits, strict=True)]
    header = ",".join(["label", *(f"pixel{i}" for i in range(784))])
    (tmp_path / "train.csv").write_text("\n".join([header, *rows]) + "\n")
    runs = [
        gantool.train("acgan", tmp_path / name, preset="tiny", seed=3, out=tmp_path / "runs", name=name[:2])
        for name in ("t10k-images-idx3-ubyte.gz", "train.csv")
    ]
    assert runs[0].info["shape"] == {"height": 16, "width": 16, "channels": 1, "classes": 10, "count": 30}
    ours, theirs = (run.load("cpu").state_dict() for run in runs)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_the_checkpoint_knows_its_place_in_the_data(run):
    last = json.loads((run.path / "checkpoints" / "latest.json").read_text())["name"]
    state = json.loads((run.path / "checkpoints" / last / "state.json").read_text())
    assert state["images"] == 48


def test_the_data_of_a_run_is_gone(folder, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    (gone / "a.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    steps = iter(range(100))
    with pytest.raises(Interrupted):
        gantool.train("dcgan", gone, preset="tiny", seed=1, out=tmp_path / "runs", stop=lambda: next(steps) == 2)
    (gone / "a.png").unlink()
    gone.rmdir()
    (run,) = gantool.runs(tmp_path / "runs")
    with pytest.raises((DataError, RunError), match="no file"):
        gantool.resume(run)
    assert run.load("cpu").sample(SampleRequest([0])).isfinite().all()


@pytest.mark.parametrize("family", ["gan", "dcgan", "cgan", "acgan"])
def test_the_time_of_another_preset_is_of_its_own_size(family):
    plan = replace(plan_training(family, "builtin:digits", preset="tiny", estimate=False), step_seconds=[0.5])
    plan.source.close()
    for name, preset in plan.spec.presets.items():
        other = plan_training(family, "builtin:digits", preset=name, estimate=False)
        other.source.close()
        work = [stage.cost * stage.steps for stage in (other.stages[0], plan.stages[0])]
        assert plan.seconds_with(name) == pytest.approx(0.5 * plan.stages[0].steps * work[0] / work[1]), preset.help
