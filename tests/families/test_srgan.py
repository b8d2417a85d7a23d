"""SRGAN against the recorded training of leftthomas/SRGAN, closed forms, and what its options promise."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import gantool
from gantool.data.batches import Batch
from gantool.engine.model import Context
from gantool.errors import ConfigError, DataError, Interrupted, UsageError
from gantool.families.srgan.config import PRESETS, SRGANConfig
from gantool.families.srgan.model import GAME, SRGAN, rate
from gantool.families.srgan.networks import Discriminator
from gantool.family import DataShape, Enlarges
from gantool.losses.content import SCALE
from gantool.options import resolve
from gantool.tasks.evaluate.superres import evaluate_superres

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sr_networks.npz")
EXACT = {"rtol": 1e-6, "atol": 1e-7}  # the file is a float32 rounding of float64 computations


def golden(name):
    return torch.from_numpy(GOLDEN[name]).double()


def renamed(name):
    """Where a tensor of leftthomas's networks is in ours."""
    block, *rest = name.split(".")
    if block == "net":
        layer, what = rest
        return f"{ {'24': 'judge.0', '26': 'judge.2'}.get(layer, f'features.{layer}') }.{what}"
    number = int(block.removeprefix("block"))
    if number == 1:
        return ".".join(["head", *rest])
    if number == 7:
        return ".".join(["trunk", *rest])
    if number < 7:
        return ".".join([f"blocks.{number - 2}", rest[0].replace("bn", "norm"), *rest[1:]])
    stage, *what = rest
    return f"stages.{stage}.{ {'conv': 0, 'prelu': 2}[what[0]] }.{what[1]}" if len(what) == 2 else f"tail.{what[0]}"


def filled(network, prefix):
    """A network with the weights that were recorded under `prefix`."""
    own = network.state_dict()
    found = {renamed(key.removeprefix(prefix)): golden(key) for key in GOLDEN.files if key.startswith(prefix)}
    assert found.keys() == own.keys()
    network.load_state_dict({key: value.reshape(own[key].shape).to(own[key]) for key, value in found.items()})
    return network


class Features(nn.Module):
    """The stand-in for VGG that the recorded numbers were made with; takes pictures in [-1, 1]."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.load_state_dict({k: golden(f"srgan_loss/features_w/{k}") for k in self.state_dict()})
        self.double().requires_grad_(False)

    def forward(self, x):
        return self.c2(F.max_pool2d(F.relu(self.c1((x + 1) / 2)), 2))


def leftthomas(**more):
    """The preset at the recorded size, with features in the place of VGG16's."""
    small = {"channels": 4, "width_d": 4, "size": 32, "batch": 2, "steps": 2, "scale": 4}
    vgg = {"content": "vgg54", "content_weight": 0.006 / SCALE**2, "pixel": 1.0}
    config = resolve(SRGANConfig, ("preset", PRESETS["leftthomas"].values), ("test", {**small, **vgg, **more})).config
    model = SRGAN(config, DataShape(32, 32)).double()
    model._vgg.append(Features())
    filled(model.generator, "srgan_g4/w/")
    filled(model.discriminator, "srgan_d/w/")
    return model


def step(model, stage, index, **given):
    """One training step on a batch that is given in [-1, 1]."""
    ctx = Context(torch.device("cpu"), torch.Generator().manual_seed(0), stage, index, torch.float64)
    return model.train_step(iter([Batch(given["images"], None, given["given"])]), ctx)


# ---- faithful ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_discriminator_judges_as_recorded(mode):
    network = filled(Discriminator(32, 4, head="pool").double(), "srgan_d/w/").train(mode == "train")
    torch.testing.assert_close(network(golden("srgan_d/x")).sigmoid(), golden(f"srgan_d/{mode}/prob"), **EXACT)


def test_losses_of_the_generator_are_those_recorded():
    model = leftthomas(size=32)
    fake = golden("srgan_loss/out_images").requires_grad_()
    scores = golden("srgan_loss/out_labels").logit()  # recorded are probabilities
    parts = model.generator_losses(golden("srgan_loss/target_images"), fake, scores)
    values = {name: part for name, (_, part) in parts.items()}
    torch.testing.assert_close(values["adversarial"], golden("srgan_loss/adversarial"), **EXACT)
    torch.testing.assert_close(values["mse"], golden("srgan_loss/image"), **EXACT)
    torch.testing.assert_close(values["tv"], golden("srgan_loss/tv"), **EXACT)
    torch.testing.assert_close(values["content"] / SCALE**2, golden("srgan_loss/perception"), **EXACT)
    total = sum(weight * part for weight, part in parts.values())
    torch.testing.assert_close(total, golden("srgan_loss/total"), **EXACT)
    total.backward()
    torch.testing.assert_close(fake.grad, golden("srgan_loss/grad"), **EXACT)


def test_two_steps_of_the_recorded_training():
    """leftthomas/SRGAN's loop: losses before each update, and all weights after two."""
    model = leftthomas()
    [stage] = model.stages()
    model.enter(stage)
    for i in range(2):
        found = step(
            model, stage, i, images=2 * golden(f"srgan_train/hr{i}") - 1, given=2 * golden(f"srgan_train/lr{i}") - 1
        )
        torch.testing.assert_close(found["g_loss"], golden("srgan_train/g_loss")[i], **EXACT)
        torch.testing.assert_close(found["d_loss"], golden("srgan_train/d_loss")[i], **EXACT)
    for network, name in ((model.generator, "G"), (model.discriminator, "D")):
        wanted = {
            renamed(k.split("/", 3)[3]): golden(k) for k in GOLDEN.files if k.startswith(f"srgan_train/final/{name}/")
        }
        weights = dict(network.named_parameters())
        assert weights.keys() == {key for key in wanted if "running" not in key and "num_batches" not in key}
        for key, value in weights.items():
            torch.testing.assert_close(value.detach(), wanted[key].reshape(value.shape), **EXACT, msg=key)


def test_the_published_discriminator_by_closed_form():
    """64 maps, doubled three times, batch norm but first; dense layers of 1024 and 1 on 6 x 6 places of 96 pixels."""
    maps = [3, 64, 64, 128, 128, 256, 256, 512, 512]
    convolutions = sum(9 * a * b + b for a, b in pairwise(maps))
    expected = convolutions + 2 * sum(maps[2:]) + 512 * 36 * 1024 + 1024 + 1024 + 1
    network = Discriminator(96)
    assert sum(p.numel() for p in network.parameters()) == expected
    assert [m.stride[0] for m in network.modules() if isinstance(m, nn.Conv2d)] == [1, 2] * 4
    assert network(torch.zeros(2, 3, 96, 96)).shape == (2,)


def test_what_the_paper_preset_plays():
    """The paper's Section 3.2: batches of 16 patches of 96 px, a million updates, then two times a hundred thousand."""
    config = resolve(SRGANConfig, ("paper", PRESETS["paper"].values)).config
    assert (config.scale, config.size, config.batch, config.blocks, config.channels) == (4, 96, 16, 16, 64)
    pretrain, game = SRGAN(config, DataShape(96, 96)).stages()
    assert (pretrain.steps, game.steps) == (1_000_000, 200_000)
    assert (config.lr_pretrain, config.lr_g, config.lr_d, config.beta1) == (1e-4, 1e-4, 1e-4, 0.9)
    assert (config.content, config.content_weight, config.adversarial, config.loss) == ("vgg54", 1.0, 1e-3, "bce")
    assert [rate(config.decay, done / 200_000) for done in (0, 99_999, 100_000, 199_999)] == [1, 1, 0.1, 0.1]
    assert [rate("linear", done) for done in (0, 0.25, 0.75)] == [1, 0.75, 0.25]
    assert rate("none", 0.9) == 1


def test_the_papers_perceptual_loss_by_hand():
    """MSE content plus a thousandth of -log D, on pixels from -1 to 1, after D has learnt."""
    config = SRGANConfig(content="mse", blocks=1, channels=4, width_d=4, size=16, batch=2, pretrain_steps=0, steps=10)
    model = SRGAN(config, DataShape(16, 16)).double()
    [stage] = model.stages()
    model.enter(stage)
    random = torch.Generator().manual_seed(1)
    real, small = (torch.rand(2, 3, side, side, generator=random, dtype=torch.float64) * 2 - 1 for side in (16, 4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = step(model, stage, 0, images=real, given=small)
    twin = SRGAN(config, DataShape(16, 16)).double()
    twin.load_state_dict(before)
    fake = 2 * twin.generator((small + 1) / 2) - 1
    d_loss = -(torch.log(twin.discriminator(real).sigmoid()) + torch.log(1 - twin.discriminator(fake).sigmoid())).mean()
    torch.testing.assert_close(found["d_loss"], d_loss.detach())
    twin.discriminator.load_state_dict(model.discriminator.state_dict())
    adversarial = -torch.log(twin.discriminator(fake).sigmoid()).mean()
    torch.testing.assert_close(found["g_loss"], ((fake - real) ** 2).mean().detach() + 1e-3 * adversarial.detach())


# ---- what options do ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for k in range(6):
        pixels = np.kron(random.integers(0, 256, (7, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    return folder


def train(photos, tmp_path, **options):
    return gantool.train("srgan", photos, **({"preset": "tiny", "seed": 3, "out": tmp_path, "log_every": 1} | options))


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 2},
        {"scale": 3, "size": 48},
        {"scale": 8},
        {"arch": "msrresnet"},
        {"arch": "rrdb", "growth": 4, "scale": 4},
        {"norm_g": "none", "norm_d": "none", "spectral_norm": True, "ema": 0.5},
        {"loss": "lsgan", "head_d": "pool", "size": 40},
        {"loss": "hinge", "tv": 1e-3},
        {"loss": "wasserstein", "generator_first": True, "values": "unit"},
        {"precision": "bf16"},
        {"pretrain_steps": 0},
    ],
    ids=str,
)
def test_it_trains_with(photos, tmp_path, options):
    run = train(photos, tmp_path, **options)
    model = run.load()
    assert isinstance(model, Enlarges)
    factor = options.get("scale", 4)
    large = model.enlarge(torch.zeros(1, 3, 7, 5))
    assert large.shape == (1, 3, 7 * factor, 5 * factor)
    assert bool(large.isfinite().all())
    logged = run.dir.metrics()
    assert {"g_loss", "d_loss", "adversarial", "mse", "acc_real", "acc_fake"} - logged[-1].keys() <= (
        {"acc_real", "acc_fake"} if options.get("loss") == "wasserstein" else set()
    )
    assert ("tv" in logged[-1]) == ("tv" in options)


def test_srresnet_alone(photos, tmp_path):
    run = train(photos, tmp_path, steps=0)
    assert [stage.name for stage in run.load().stages()] == ["pre-training"]
    losses = [entry["mse"] for entry in run.dir.metrics()]
    assert len(losses) == 6
    assert not any("d_loss" in entry for entry in run.dir.metrics())


def test_the_game_begins_with_the_generator_of_another_run(photos, tmp_path):
    first = train(photos, tmp_path, steps=0)
    later = train(photos, tmp_path, pretrain_steps=0, steps=1, lr_g=1e-30, start=f"srgan:{first.path}")
    theirs, ours = first.load().generator.state_dict(), later.load().generator.state_dict()
    for name, value in theirs.items():
        if "running" not in name and "batches" not in name:
            torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-6)
    for other in ({"channels": 4}, {"last": "tanh"}):
        with pytest.raises(UsageError, match=r"The generator of srgan:.* is not like this one"):
            train(photos, tmp_path, start=f"srgan:{first.path}", **other)


def test_without_weights_of_vgg_it_says_so_before_anything_is_made(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("GANTOOL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    with pytest.raises(DataError, match=r"compares features of VGG19") as caught:
        train(photos, tmp_path / "runs", content="vgg22")
    assert "gantool weights import" in caught.value.hint
    assert "--content mse" in caught.value.hint
    assert not (tmp_path / "runs").exists()
    train(photos, tmp_path / "runs", content="vgg22", steps=0)  # SRResNet needs none


def test_previews_show_bicubic_enlarged_and_real(photos, tmp_path):
    run = train(photos, tmp_path)
    model = run.load()
    sheet = model.preview()
    assert sheet.shape == (24, 3, 32, 32)
    torch.testing.assert_close(sheet[16:], model.large / 127.5 - 1)
    torch.testing.assert_close(sheet[8:16], model.enlarge(model.small / 127.5 - 1).clamp(-1, 1))
    assert (run.path / "previews" / "stage-02.png").exists()
    assert (run.path / "previews" / "step-0000012.png").exists()


def test_pictures_that_are_not_trained_on_are_measured_on_the_way(photos, tmp_path):
    """As `gantool eval superres` measures them, and the weights are those of a run without it."""
    held = tmp_path / "held"
    held.mkdir()
    Image.fromarray(np.asarray(Image.open(photos / "0.png"))[::-1]).save(held / "a.png")
    run = train(photos, tmp_path, val=str(held), preview_every=4)
    entries = run.dir.scores()
    assert [(entry["stage"], entry["step"]) for entry in entries] == [(0, 4), (0, 6), (1, 4), (1, 6)]
    found = evaluate_superres(held, run.load())
    assert entries[-1]["values"] == pytest.approx(found.values, rel=1e-6)
    assert found.values["psnr"] != found.values["psnr bicubic"]
    weights = run.load().state_dict()
    for name, value in train(photos, tmp_path).load().state_dict().items():
        assert torch.equal(weights[name], value), name
    with pytest.raises(DataError, match="There is no"):
        train(photos, tmp_path, val=str(tmp_path / "nowhere"))


def test_it_draws_nothing_from_noise(photos, tmp_path):
    run = train(photos, tmp_path, steps=0)
    with pytest.raises(UsageError, match=r"draws nothing from noise alone.*gantool superres photo.jpg --model "):
        gantool.sample(run, 1)


def test_small_pictures_that_are_given_belong_to_the_data(photos, tmp_path, monkeypatch):
    """A run goes on from any folder, with the small pictures that it began with, and with no others."""
    for k in range(6):
        small = Image.open(photos / f"{k}.png").resize((16, 14), Image.BOX)
        (tmp_path / "small").mkdir(exist_ok=True)
        small.save(tmp_path / "small" / f"{k}x4.png")
    monkeypatch.chdir(tmp_path)
    stops = iter([False] * 3 + [True])
    with pytest.raises(Interrupted):
        train(photos, tmp_path / "runs", small="small", stop=lambda: next(stops))
    run = gantool.open_run("latest", tmp_path / "runs")
    monkeypatch.chdir("/")
    stops = iter([False] * 2 + [True])
    with pytest.raises(Interrupted):
        gantool.resume(run, stop=lambda: next(stops))
    Image.new("RGB", (16, 14)).save(tmp_path / "small" / "0x4.png")
    with pytest.raises(DataError, match="not those that this run began with"):
        gantool.resume(run)


def test_the_average_goes_on_into_the_game():
    """Its weights at the end of pre-training count in the game: nothing of it begins anew."""
    config = SRGANConfig(content="mse", blocks=1, channels=4, width_d=4, size=16, batch=2, ema=0.9, steps=1, lr_g=1e-30)
    model = SRGAN(config, DataShape(16, 16))
    _, game = model.stages()
    model.enter(game)
    with torch.no_grad():
        for weight in model.average.parameters():
            weight.add_(1)
    random = torch.Generator().manual_seed(0)
    images, given = (torch.rand(2, 3, side, side, generator=random) * 2 - 1 for side in (16, 4))
    ctx = Context(torch.device("cpu"), random, game)
    model.train_step(iter([Batch(images, None, given)]), ctx)
    for mine, theirs in zip(model.average.parameters(), model.generator.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs + 0.9, rtol=0, atol=1e-5)


def test_what_features_cost_is_counted():
    """VGG19 up to relu5_4 on 96 pixels: its multiplications by hand, there for both pictures and back for one."""
    plain, costly = (SRGAN(SRGANConfig(content=c), DataShape(96, 96)).stages()[1].cost for c in ("mse", "vgg54"))
    maps = [(3, 64, 96)] + [(64, 64, 96)] + [(64, 128, 48), (128, 128, 48)] + [(128, 256, 24)] + 3 * [(256, 256, 24)]
    maps += [(256, 512, 12)] + 3 * [(512, 512, 12)] + 4 * [(512, 512, 6)]
    assert costly - plain == 3 * 16 * sum(2 * 9 * a * b * side**2 for a, b, side in maps)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"content": "vgg54", "size": 8, "scale": 2, "head_d": "pool"}, "need patches of 16 pixels"),
        ({"content": "mse", "size": 16, "batch": 1}, "one value to normalise"),
        ({"steps": 0, "size": 8, "scale": 8, "batch": 1}, "one value to normalise"),
        ({"arch": "msrresnet", "scale": 8}, "--arch msrresnet has no --scale 8"),
        ({"pretrain_steps": 0, "steps": 0}, "nothing is left to train"),
        ({"size": 40}, "halves patches 4 times"),
        ({"start": "runs/x"}, "names no run of srgan"),
    ],
)
def test_options_that_do_not_go_together(options, words):
    with pytest.raises(ConfigError, match=words):
        SRGANConfig(**options)


def test_the_game_learns_from_where_pre_training_ended():
    """The second stage keeps the generator and has optimisers of its own."""
    config = resolve(SRGANConfig, ("tiny", PRESETS["tiny"].values)).config
    model = SRGAN(config, DataShape(32, 32))
    pretrain, game = model.stages()
    model.enter(pretrain)
    assert list(model.optimizers) == ["generator"]
    kept = model.generator.head[0].weight.clone()
    model.enter(game)
    assert list(model.optimizers) == ["discriminator", "generator"]
    assert game.name == GAME
    assert torch.equal(model.generator.head[0].weight, kept)
    assert math.isclose(model.optimizers["generator"].param_groups[0]["lr"], 1e-4)
