"""What pix2pix's options promise: its schedules, its two kinds of discriminator, what previews show."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.overrides import TorchFunctionMode

import gantool
from gantool.data.batches import Batch
from gantool.engine.model import Context
from gantool.errors import ConfigError, UsageError
from gantool.families.pix2pix.config import PRESETS, Pix2PixConfig
from gantool.families.pix2pix.model import EXAMPLES, Pix2Pix
from gantool.family import DataShape, SampleRequest, Translates
from gantool.nn.ema import early_decay
from gantool.nn.patchgan import PatchGAN
from gantool.nn.resnet_translator import ResNetTranslator
from gantool.nn.unet import UNet
from gantool.options import resolve

SMALL = {"size": 32, "width_g": 4, "width_d": 4, "patch": 16, "batch": 2, "steps": 4}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Six pictures, with their negatives to the right of them."""
    folder, random = tmp_path_factory.mktemp("data") / "pairs", np.random.default_rng(0)
    folder.mkdir()
    for number in range(6):
        picture = np.kron(random.integers(0, 256, (5, 5, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(np.concatenate([picture, 255 - picture], 1)).save(folder / f"{number}.png")
    return folder


def train(pairs, out, **options):
    return gantool.train("pix2pix", pairs, **({"preset": "tiny", "seed": 3, "out": out, "log_every": 1} | options))


def build(**options):
    config = resolve(Pix2PixConfig, ("test", {**SMALL, **options})).config
    torch.manual_seed(0)
    model = Pix2Pix(config, DataShape(config.size, config.size, count=10, given=3)).double()
    [stage] = model.stages()
    model.enter(stage)
    return model, stage


def step(model, stage, index=0, truth=None):
    random = torch.Generator().manual_seed(5)
    x, y = (torch.rand(2, 3, 32, 32, generator=random, dtype=torch.float64) * 2 - 1 for _ in range(2))
    ctx = Context(torch.device("cpu"), torch.Generator().manual_seed(1), stage, index, torch.float64)
    return model.train_step(iter([Batch(y if truth is None else truth, None, x)]), ctx)


@pytest.mark.parametrize(
    "options",
    [
        {"arch": "resnet", "blocks": 1},
        {"layers": 3, "norm": "instance"},
        {"norm": "none", "spectral_norm": True, "patch": 1},
        {"loss": "lsgan", "conditional": False},
        {"loss": "hinge", "upsample": "resize"},
        {"loss": "wasserstein", "gp": 10.0, "norm": "instance"},
        {"generator_first": True, "halve_d": False, "dropped": "first"},
        {"l1": 0.0},
        {"adversarial": 0.0, "ema": 0.9},
        {"precision": "bf16"},
        {"size": 64, "patch": 34, "direction": "BtoA"},
    ],
    ids=str,
)
def test_it_trains_with(pairs, tmp_path, options):
    run = train(pairs, tmp_path, steps=4, **options)
    model = run.load()
    assert isinstance(model, Translates)
    for mode in ("paper", "eval"):
        made = model.translate(torch.zeros(1, 3, 41, 30), [3], mode)
        assert made.shape == (1, 3, 41, 30)
        assert bool(made.isfinite().all())
    names = run.dir.metrics()[-1].keys()
    assert ("d_loss" in names) == (options.get("adversarial") != 0)
    assert ("gp" in names) == ("gp" in options)
    assert {"l1", "g_loss", "grad_g"} <= names


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"l1": 0.0, "adversarial": 0.0}, "nothing is left to learn"),
        ({"gp": 1.0}, "batch norm mixes"),
        ({"patch": 286}, "Patches of 286 pixels need pictures of 96"),
        ({"layers": 6}, "halve sides more often than 32 pixels can be halved"),
        ({"steps": None, "epochs": 0.0, "decay_epochs": 0.0}, "nothing is left to train"),
    ],
)
def test_options_that_do_not_go_together(options, words):
    with pytest.raises(ConfigError, match=words):
        resolve(Pix2PixConfig, ("test", {**SMALL, **options}))


def test_schedules_of_the_two_codes():
    paper, port = (resolve(Pix2PixConfig, ("preset", PRESETS[name].values)).config for name in ("paper", "port"))
    assert paper.updates(400) == port.updates(400) == 80_000
    assert [paper.rate(done) for done in (0, 0.5, 0.99)] == [1, 1, 1]
    assert [port.rate(done) for done in (0, 0.25, 0.5, 0.75)] == [1, 1, 1, 0.5]
    assert port.rate(1 - 1e-9) == pytest.approx(0, abs=1e-8)
    course = resolve(Pix2PixConfig, ("preset", PRESETS["unet7"].values)).config
    assert course.updates(1096) == 23 * 1096
    assert resolve(Pix2PixConfig, ("test", {"steps": 70})).config.updates(400) == 70
    assert resolve(Pix2PixConfig, ("test", {"batch": 4})).config.updates(400) == 20_000


def test_networks_that_options_ask_for():
    model, _ = build()
    assert isinstance(model.generator, UNet)
    assert len(model.generator.down) == len(model.generator.up) == 5  # 32 pixels, down to one
    course = resolve(Pix2PixConfig, ("preset", PRESETS["unet7"].values)).config
    assert course.depth(256) == 7
    assert [Pix2PixConfig().depth(side) for side in (128, 256, 512, 600)] == [7, 8, 9, 9]
    assert isinstance(build(arch="resnet", blocks=1)[0].generator, ResNetTranslator)
    for conditional, channels in ((True, 6), (False, 3)):
        judge = build(conditional=conditional)[0].discriminator
        assert isinstance(judge, PatchGAN)
        assert judge.layers[0].in_channels == channels


def test_weights_begin_as_published():
    torch.manual_seed(0)
    model = Pix2Pix(Pix2PixConfig(), DataShape(256, 256, given=3))
    deep = model.generator.down[4][0].weight
    assert float(deep.std()) == pytest.approx(0.02, rel=0.01)
    gains = torch.cat([layer[1].weight for layer in model.generator.down[1:-1]])
    assert float(gains.mean()) == pytest.approx(1, abs=0.005)
    assert float(gains.std()) == pytest.approx(0.02, rel=0.1)
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
    assert biases
    assert not any(bool(bias.any()) for bias in biases)


def test_the_authors_update_both_from_where_both_stand():
    """G's gradient is that of the discriminator before its update; the port's is of the one after it."""
    together, stage = build(generator_first=True)
    alone, _ = build(generator_first=True)
    alone.load_state_dict(together.state_dict())
    for group in alone.optimizers["discriminator"].param_groups:
        group["base_lr"] = 0.0  # it stays as it is
    found = [step(model, stage)["adversarial"] for model in (together, alone)]
    assert torch.equal(*found)
    for ours, theirs in zip(together.generator.parameters(), alone.generator.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    port, _ = build()
    assert not torch.equal(step(port, stage)["adversarial"], found[0])


class Device(TorchFunctionMode):
    """Stands for one that works ahead of the host: refuses what would wait for it, or carry numbers to it."""

    WAITS = ("tensor", "as_tensor", "item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "nonzero")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        assert func.__name__ not in self.WAITS, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "options",
    [
        {"upsample": "resize", "ema": 0.9},
        {"arch": "resnet", "blocks": 1, "loss": "wasserstein", "gp": 1.0, "norm": "none"},
    ],
    ids=str,
)
def test_a_step_never_waits_for_the_device(options):
    model, stage = build(**options)
    step(model, stage)  # Adam's state is made in the first one
    with pytest.raises(AssertionError, match="item"), Device():
        torch.zeros(()).item()
    with Device():
        step(model, stage, 1)


def test_halving_halves_the_loss_and_the_gradient():
    (halved, stage), (whole, _) = build(), build(halve_d=False)
    whole.load_state_dict(halved.state_dict())
    a, b = step(halved, stage), step(whole, stage)
    torch.testing.assert_close(2 * a["d_loss"], b["d_loss"])
    torch.testing.assert_close(2 * a["grad_d"], b["grad_d"])


def test_without_the_game_it_is_regression():
    model, stage = build(adversarial=0.0, lr_g=0.01)
    before = [p.clone() for p in model.discriminator.parameters()]
    truth = torch.full((2, 3, 32, 32), 0.5, dtype=torch.float64)
    losses = [float(step(model, stage, truth=truth)["l1"]) for _ in range(30)]
    assert losses[0] == pytest.approx(0.5, abs=0.05)
    assert losses[-1] < 0.5 * losses[0]
    for old, new in zip(before, model.discriminator.parameters(), strict=True):
        assert torch.equal(old, new)


def test_the_average_translates():
    model, stage = build(ema=0.5)
    weights = [[p.clone() for p in model.generator.parameters()]]
    for index in range(2):
        step(model, stage, index)
        weights.append([p.clone() for p in model.generator.parameters()])
    assert model.drawing is model.average
    for first, second, third, found in zip(*weights, model.average.parameters(), strict=True):
        early = [early_decay(0.5, index) for index in range(2)]
        expected = early[1] * (early[0] * first + (1 - early[0]) * second) + (1 - early[1]) * third
        torch.testing.assert_close(found, expected)


def test_previews_show_inputs_outputs_and_truths(pairs, tmp_path):
    run = train(pairs, tmp_path, steps=1, flip=False, load_size=32)
    model = run.load()
    given, made, truth = model.preview().split(EXAMPLES)
    torch.testing.assert_close(given, -truth, rtol=0, atol=0.02)  # negatives, through two resizings
    torch.testing.assert_close(made, model.translate(given), rtol=0, atol=1e-5)
    pixels = np.asarray(Image.open(pairs / "0.png").convert("RGB").crop((0, 0, 40, 40)).resize((32, 32), 3))
    shown = ((given[0].permute(1, 2, 0) + 1) * 127.5).round().numpy()
    assert np.array_equal(shown, pixels)
    assert (run.path / "previews" / "stage-01.png").is_file()


def test_training_begins_with_the_networks_of_another_run(pairs, tmp_path):
    first = train(pairs, tmp_path)
    again = train(pairs, tmp_path, steps=1, lr_g=1e-30, lr_d=1e-30, start=f"pix2pix:{first.path}")
    for key, value in first.load().named_parameters():
        torch.testing.assert_close(dict(again.load().named_parameters())[key], value, rtol=0, atol=1e-12, msg=key)
    with pytest.raises(UsageError, match=r"generator .* is not like this one"):
        train(pairs, tmp_path, start=f"pix2pix:{first.path}", width_g=6)
    with pytest.raises(UsageError, match=r"generator .* is not like this one"):  # its weights have the same shapes
        build(arch="resnet", blocks=1)[0].adopt(0, build(arch="resnet", blocks=1, upsample="resize")[0])
    with pytest.raises(UsageError, match=r"generator .* is not like this one"):
        build(norm="none")[0].adopt(0, build(norm="instance")[0])
    build(dropout=0.2)[0].adopt(0, build(dropped="first")[0])
    with pytest.raises(ConfigError, match="names no run of pix2pix"):
        Pix2PixConfig(start="latest")


def test_it_draws_nothing_from_noise(pairs, tmp_path):
    with pytest.raises(UsageError, match="draws nothing from noise alone"):
        build()[0].sample(SampleRequest([0]))


def test_grey_to_colour(tmp_path):
    folder, random = tmp_path / "pairs", np.random.default_rng(1)
    (folder / "A").mkdir(parents=True)
    (folder / "B").mkdir()
    for number in range(4):
        colours = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(colours).save(folder / "B" / f"{number}.png")
        Image.fromarray(colours).convert("L").save(folder / "A" / f"{number}.png")
    model = train(folder, tmp_path / "runs", steps=2, input_kind="grey").load()
    assert (model.generator.inputs, model.generator.outputs) == (1, 3)
    assert (model.translation.takes, model.translation.gives) == ("grey", "rgb")
    assert model.translate(torch.zeros(1, 1, 32, 32)).shape == (1, 3, 32, 32)
    assert model.preview().shape == (3 * EXAMPLES, 3, 32, 32)
