"""Steps in bfloat16, their average and log, and steps done again."""

import copy
from itertools import chain

import numpy as np
import pytest
import torch

from gantool.families.acgan.config import ACGANConfig
from gantool.families.acgan.model import ACGAN
from gantool.family import DataShape
from gantool.nn.ema import update_average

SGD = {"optimizer": "sgd", "beta1": 0.0, "lr_d": 0.1, "lr_g": 0.1}


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def gradients(network):
    return {name: p.grad.clone() for name, p in network.named_parameters()}


@pytest.mark.parametrize(
    "values", [{}, {"gp": 10.0, "diffaugment": "color,translation,cutout"}, {"spectral_norm": True}]
)
def test_bfloat16(dcgan, batches, values):
    found, weights = {}, {}
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        model, ctx = dcgan(dtype=torch.float32, **SGD, **values)
        ctx.precision = precision
        kinds = set()
        model.discriminator.main[0].register_forward_hook(lambda m, args, out, kinds=kinds: kinds.add(out.dtype))
        found[precision] = model.train_step(batches(1, dtype=torch.float32), ctx)
        # The penalty is computed in full precision.
        assert (
            kinds
            == {"fp32": {torch.float32}, "bf16": {torch.bfloat16, *([torch.float32] if "gp" in values else [])}}[
                precision
            ]
        )
        assert all(p.dtype == torch.float32 for p in model.parameters())
        weights[precision] = model.generator.main[0].weight.detach().clone()
    for name, value in found["fp32"].items():
        close = found["bf16"][name]
        assert close.dtype == torch.float32, name
        assert close.isfinite(), name
        if not name.startswith("acc"):
            assert close.item() == pytest.approx(value.item(), rel=0.1, abs=0.02), name
    assert found["fp32"]["d_loss"] != found["bf16"]["d_loss"]
    assert not torch.equal(*weights.values())


def test_the_average_begins_fast_and_ends_slow(dcgan, batches, assert_same):
    model, ctx = dcgan(ema=0.35)
    average = copy.deepcopy(model.average)
    for ctx.step, batch in enumerate(batches(6)):
        model.train_step(iter([batch]), ctx)
        decay = [1 / 10, 2 / 11, 3 / 12, 4 / 13, 0.35, 0.35][ctx.step]
        update_average(average, model.generator, decay)
        assert_same(state(model.average), state(average), rtol=1e-12, atol=0)
    assert not any(p.requires_grad for p in model.average.parameters())
    trained = {id(p) for optimizer in model.optimizers.values() for g in optimizer.param_groups for p in g["params"]}
    assert not trained & {id(p) for p in model.average.parameters()}
    assert trained == {id(p) for p in chain(model.generator.parameters(), model.discriminator.parameters())}


EVERY_LOSS = ["bce", "lsgan", "hinge", "wasserstein"]


@pytest.mark.parametrize("loss", EVERY_LOSS)
@pytest.mark.parametrize("penalty", [{}, {"gp": 1.0}, {"r1": 1.0, "penalty_every": 3}])
def test_names_in_the_log(dcgan, batches, loss, penalty):
    values = {"ada": 0.6, "diffaugment": "color"} if loss != "wasserstein" else {}
    model, ctx = dcgan(loss=loss, **penalty, **values, ema=0.5)
    expected = {"d_loss", "g_loss", "score_real", "score_fake", "grad_d", "grad_g"}
    expected |= {"penalty"} if penalty else set()
    expected |= {"acc_real", "acc_fake", "strength"} if loss != "wasserstein" else set()
    names = []
    for ctx.step, batch in enumerate(batches(4)):
        found = model.train_step(iter([batch]), ctx)
        names.append(list(found))
        assert set(found) == expected
        assert all(value.shape == () and value.isfinite() and not value.requires_grad for value in found.values())
        norm = np.sqrt(sum((g**2).sum().item() for g in gradients(model.discriminator).values()))
        assert found["grad_d"].item() == pytest.approx(norm, rel=1e-9)
    assert names == [names[0]] * 4


def test_what_is_not_logged_is_not_measured(dcgan, batches):
    model, ctx = dcgan()
    ctx.log = False
    assert set(model.train_step(batches(1), ctx)) <= {"g_loss"}


def test_names_in_the_log_of_two_heads(started, batches):
    model, ctx = started(
        ACGAN(ACGANConfig(arch="light", size=16, ngf=4, ndf=4, nz=8, batch=8), DataShape(16, 16, 3, 5))
    )
    found = model.train_step(batches(1, classes=5), ctx)
    assert {"class_real", "class_fake"} < set(found)
    assert 0 <= found["class_fake"] <= 1


# --- repetition ---------------------------------------------------------------------------------------------

EVERYTHING = {
    "norm_g": "batch",
    "spectral_norm": True,
    "r1": 1.0,
    "penalty_every": 3,
    "d_steps": 2,
    "soft_labels": 0.9,
    "flip_labels": 0.1,
    "diffaugment": "color,translation,cutout,flip",
    "ada": 0.6,
    "ada_speed": 0.1,
    "ema": 0.9,
    "minibatch_std": True,
    "decay": "linear",
    "momentum_end": 0.7,
    **SGD,
    "beta1": 0.5,
}


@pytest.fixture
def everything(dcgan, batches):
    """Gives the state after so many steps, from the start or from where `saved` was made."""

    def run(first=0, saved=None, steps=6):
        torch.manual_seed(0)
        model, ctx = dcgan(dtype=torch.float32, **EVERYTHING)
        if saved is not None:
            weights, optimizers, random = saved
            model.load_state_dict(weights)
            for name, optimizer in model.optimizers.items():
                optimizer.load_state_dict(optimizers[name])
            ctx.generator.set_state(random)
        source = batches(2 * steps, dtype=torch.float32)
        for _ in range(2 * first):
            next(source)
        for ctx.step in range(first, steps):
            model.train_step(source, ctx)
        optimizers = {name: copy.deepcopy(optimizer.state_dict()) for name, optimizer in model.optimizers.items()}
        return state(model), optimizers, ctx.generator.get_state()

    return run


def test_the_same_seed_gives_the_same_steps(everything, assert_same):
    (ours, _, random), (theirs, _, again) = everything(), everything()
    assert_same(ours, theirs, rtol=0, atol=0)
    assert torch.equal(random, again)
    assert ours["augmentation.adaptive.p"] > 0


@pytest.mark.parametrize("at", [1, 3, 5])
def test_interrupted_it_goes_on_bit_for_bit(everything, dcgan, batches, assert_same, at):
    # As many steps are planned as are done at the end: the rates hang on it.
    whole = everything()
    torch.manual_seed(0)
    model, ctx = dcgan(dtype=torch.float32, **EVERYTHING)
    source = batches(12, dtype=torch.float32)
    for ctx.step in range(at):
        model.train_step(source, ctx)
    optimizers = {name: copy.deepcopy(optimizer.state_dict()) for name, optimizer in model.optimizers.items()}
    resumed = everything(at, (state(model), optimizers, ctx.generator.get_state()))
    assert_same(resumed[0], whole[0], rtol=0, atol=0)
    assert torch.equal(resumed[2], whole[2])


@pytest.mark.parametrize("noise", ["normal", "uniform"])
def test_where_noise_comes_from(dcgan, batches, noise):
    model, ctx = dcgan(noise=noise)
    seen = []
    model.generator.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    for ctx.step in range(40):
        model.train_step(batches(1), ctx)
    z = torch.cat(seen)
    assert z.shape == (320, 16)
    if noise == "uniform":
        assert -1 <= z.min() < -0.99
        assert 0.99 < z.max() <= 1
        assert z.std().item() == pytest.approx(1 / np.sqrt(3), abs=0.02)
    else:
        assert z.std().item() == pytest.approx(1, abs=0.04)
        assert z.abs().max() > 3
    assert abs(z.mean().item()) < 0.04
