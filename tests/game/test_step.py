"""One step of the game against the same step written out, on small networks in float64."""

import copy
from itertools import chain, repeat

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gantool.data.training_set import Batch
from gantool.engine.model import Context
from gantool.errors import UsageError
from gantool.families.acgan.config import ACGANConfig
from gantool.families.acgan.model import ACGAN
from gantool.families.cgan.config import CGANConfig
from gantool.families.cgan.model import CGAN
from gantool.families.dcgan.config import DCGANConfig
from gantool.families.dcgan.model import DCGAN
from gantool.family import DataShape
from gantool.nn.ema import update_average

SHAPE = DataShape(16, 16)
PLAIN = {"size": 16, "ngf": 4, "ndf": 4, "nz": 16, "batch": 8, "norm_g": "none", "norm_d": "none"}
SGD = {"optimizer": "sgd", "beta1": 0.0, "lr_d": 0.1, "lr_g": 0.1}


class Given(Context):
    """Draws are kept; or given, and then handed out in parts."""

    draws = None

    def _part(self, draw, count, shape):
        if self.draws is None:
            return super()._part(draw, count, shape)
        rows = self.draws[draw is torch.randn][:count]
        self.draws[draw is torch.randn] = self.draws[draw is torch.randn][count:]
        return rows.view(count, *shape)


def started(model, seed=0, dtype=torch.float64):
    """A model at its first step, with weights far from the usual tiny ones, and its context."""
    random, stage = torch.Generator().manual_seed(seed), model.stages()[0]
    model.to(dtype)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if not name.startswith("average."):
                p.copy_(0.2 * torch.randn(p.shape, generator=random, dtype=dtype))
        if getattr(model, "average", None) is not None:
            model.average.load_state_dict(model.generator.state_dict())
    model.enter(stage)
    return model, Given(torch.device("cpu"), torch.Generator().manual_seed(seed), stage, dtype=dtype)


def dcgan(shape=SHAPE, dtype=torch.float64, **values):
    return started(DCGAN(DCGANConfig(**{**PLAIN, **values}), shape), dtype=dtype)


def batches(count, seed=1, classes=0, dtype=torch.float64, pictures=8):
    random = torch.Generator().manual_seed(seed)
    for _ in range(count):
        images = 2 * torch.rand(pictures, 3, 16, 16, generator=random, dtype=dtype) - 1
        yield Batch(images, torch.randint(classes, (pictures,), generator=random) if classes else None)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def gradients(network):
    return {name: p.grad.clone() for name, p in network.named_parameters()}


def assert_same(ours, theirs, **tolerance):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], msg=lambda m, n=name: f"{n}: {m}", **tolerance)


# --- how often, on what -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("d_steps", "g_steps"), [(1, 1), (3, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("reuse", [True, False])
def test_updates_of_both_players(d_steps, g_steps, reuse):
    model, ctx = dcgan(d_steps=d_steps, g_steps=g_steps, reuse_fakes=reuse)
    order, drawn, seen = [], [], []
    for name, optimizer in model.optimizers.items():
        optimizer.register_step_post_hook(lambda *_, n=name: order.append(n[0]))
    model.generator.register_forward_hook(lambda m, args, out: drawn.append(len(out)))
    model.discriminator.register_forward_pre_hook(lambda m, args: seen.append(args[0].detach()))
    given = list(batches(10))
    source = iter(given)
    model.train_step(source, ctx)
    assert "".join(order) == d_steps * "d" + g_steps * "g"
    assert len(list(source)) == 10 - d_steps  # a batch for each update of D, none for G's
    assert drawn == [8] * (d_steps + g_steps - reuse)
    for k in range(d_steps):
        assert torch.equal(seen[2 * k], given[k].images)  # first the reals, then as many fakes
    fakes = [seen[2 * k + 1] for k in range(d_steps)] + seen[2 * d_steps :]
    assert len(fakes) == d_steps + g_steps
    assert torch.equal(fakes[d_steps], fakes[d_steps - 1]) == reuse
    kinds = {fake.numpy().tobytes() for fake in fakes}
    assert len(kinds) == len(fakes) - reuse


def test_bursts_of_the_critic():
    model, ctx = dcgan(critic_bursts=True, d_steps=2, loss="wasserstein", batch=2)
    counts = []
    model.optimizers["discriminator"].register_step_post_hook(lambda *_: counts.append(ctx.step))
    for ctx.step in (0, 25):
        model.train_step(batches(200, pictures=2), ctx)
    assert (counts.count(0), counts.count(25)) == (100, 2)


# --- the step written out -----------------------------------------------------------------------------------


def penalties(critic, real, fake, mix, gp, r1):
    """WGAN-GP's and R1's, from their papers."""
    x = (real + mix * (fake - real)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    found = gp * ((slope.square().sum((1, 2, 3)).sqrt() - 1) ** 2).mean()
    x = real.clone().requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return found + r1 / 2 * slope.square().sum((1, 2, 3)).mean()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"gp": 10.0},
        {"r1": 4.0},
        {"gp": 3.0, "r1": 2.0, "penalty_every": 2},
        {"r1": 4.0, "penalty_every": 3, "loss": "hinge"},
        {"gp": 10.0, "loss": "wasserstein", "clip": 0.05},
        {"loss": "lsgan"},
    ],
)
def test_gradients_are_those_of_the_losses(values):
    model, ctx = dcgan(**SGD, reuse_fakes=False, **values)
    every = values.get("penalty_every", 1)
    play = {
        "bce": (lambda s: -F.logsigmoid(s), lambda s: -F.logsigmoid(-s), lambda s: -F.logsigmoid(s)),
        "hinge": (lambda s: F.relu(1 - s), lambda s: F.relu(1 + s), lambda s: -s),
        "wasserstein": (lambda s: -s, lambda s: s, lambda s: -s),
        "lsgan": (lambda s: (s - 1) ** 2 / 2, lambda s: s**2 / 2, lambda s: (s - 1) ** 2 / 2),
    }[values.get("loss", "bce")]
    for ctx.step, batch in enumerate(batches(4)):
        d, g, real = copy.deepcopy(model.discriminator), copy.deepcopy(model.generator), batch.images
        if "clip" in values:
            with torch.no_grad():
                for p in d.parameters():
                    p.clamp_(-0.05, 0.05)
        noise = torch.Generator()
        noise.set_state(ctx.generator.get_state())
        fake = g(torch.randn(8, 16, generator=noise, dtype=torch.float64)).detach()
        penalised = ctx.step % every == 0
        penalty = torch.zeros(())
        if penalised and (values.get("gp") or values.get("r1")):
            mix = torch.rand(8, 1, 1, 1, generator=noise, dtype=torch.float64) if values.get("gp") else torch.ones(1)
            penalty = penalties(d, real, fake, mix, values.get("gp", 0), values.get("r1", 0))
        loss = play[0](d(real)).mean() + play[1](d(fake)).mean()
        (loss + every * penalty).backward()
        found = model.train_step(iter([batch]), ctx)
        assert_same(gradients(model.discriminator), gradients(d), rtol=1e-9, atol=1e-12)
        assert found["d_loss"].item() == pytest.approx(loss.item(), rel=1e-9)
        if penalised and penalty:
            assert found["penalty"].item() == pytest.approx(penalty.item(), rel=1e-9)
            assert penalty > 1e-3
        with torch.no_grad():
            for p in d.parameters():
                p -= 0.1 * p.grad  # SGD
        assert_same(state(model.discriminator), state(d), rtol=1e-9, atol=1e-12)
        for p in d.parameters():
            p.requires_grad_(False)
        fooled = play[2](d(g(torch.randn(8, 16, generator=noise, dtype=torch.float64)))).mean()
        fooled.backward()
        assert_same(gradients(model.generator), gradients(g), rtol=1e-9, atol=1e-12)
        assert found["g_loss"].item() == pytest.approx(fooled.item(), rel=1e-9)


def test_penalties_change_the_discriminators_gradient():
    def after(**values):
        model, ctx = dcgan(**SGD, **values)
        model.train_step(batches(1), ctx)
        return gradients(model.discriminator)["main.0.weight"]

    plain, r1, lazy = after(), after(r1=4.0), after(r1=4.0, penalty_every=5)
    assert (r1 - plain).norm() > 0.01 * plain.norm()
    torch.testing.assert_close(lazy - plain, 5 * (r1 - plain))  # every fifth, five times as hard
    assert not torch.allclose(after(gp=4.0), plain, rtol=0.01)


@pytest.mark.parametrize("every", [1, 3])
def test_penalised_updates(every, monkeypatch):
    calls = []

    def penalty(critic, real):
        calls.append(len(real))
        return critic(real).sum() * 0

    monkeypatch.setattr("gantool.game.model.r1_penalty", penalty)
    model, ctx = dcgan(r1=1.0, penalty_every=every, d_steps=2, accumulate=2)
    for ctx.step in range(6):  # 12 updates of D, each in 2 parts of 4 pictures
        model.train_step(batches(2), ctx)
    assert calls == [4] * (2 * 12 // every)


def test_weights_are_clipped_before_the_update():
    model, ctx = dcgan(**{**SGD, "lr_d": 1.0}, loss="wasserstein", clip=0.01)
    before = {name: p.detach().clamp(-0.01, 0.01) for name, p in model.discriminator.named_parameters()}
    assert any((p.abs() > 0.01).any() for p in model.discriminator.parameters())
    model.train_step(batches(1), ctx)
    stepped = {name: before[name] - p.grad for name, p in model.discriminator.named_parameters()}
    assert_same(dict(model.discriminator.named_parameters()), stepped, rtol=1e-12, atol=0)
    assert any((p.abs() > 0.01).any() for p in model.discriminator.parameters())  # and not after it


# --- what each player's update leaves alone -----------------------------------------------------------------


def test_the_generators_update_gives_the_discriminator_no_gradient():
    model, ctx = dcgan(**SGD, g_steps=3)
    seen = []
    model.optimizers["discriminator"].register_step_post_hook(
        lambda *_: seen.extend([gradients(model.discriminator), state(model.discriminator)])
    )
    model.train_step(batches(1), ctx)
    assert_same(gradients(model.discriminator), seen[0], rtol=0, atol=0)
    assert_same(state(model.discriminator), seen[1], rtol=0, atol=0)
    assert all(p.requires_grad for p in model.discriminator.parameters())


def test_the_discriminators_update_leaves_the_generator_alone():
    model, ctx = dcgan(**SGD, reuse_fakes=False)
    seen = []
    model.optimizers["discriminator"].register_step_post_hook(
        lambda *_: seen.extend([state(model.generator), [p.grad for p in model.generator.parameters()]])
    )
    before = state(model.generator)
    model.train_step(batches(1), ctx)
    assert_same(seen[0], before, rtol=0, atol=0)
    assert set(seen[1]) == {None}


# --- accumulation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [{}, {"gp": 10.0, "penalty_every": 2}, {"r1": 1.0, "loss": "lsgan", "soft_labels": 0.9}, {"g_steps": 2}]
)
@pytest.mark.parametrize("parts", [2, 4])
def test_in_parts_the_update_is_that_of_the_whole_batch(values, parts):
    def after(accumulate):
        model, ctx = dcgan(**SGD, accumulate=accumulate, reuse_fakes=False, **values)
        random = torch.Generator().manual_seed(5)
        noise = torch.randn(24, 16, generator=random, dtype=torch.float64)
        # Of uniform numbers each kind is drawn for a part at a time: the same one for all makes the order no matter.
        ctx.draws = [torch.full((64, 1), 0.3, dtype=torch.float64), noise]
        model.train_step(batches(1), ctx)
        return model

    whole, cut = after(1), after(parts)
    for network in ("generator", "discriminator"):
        one, many = getattr(whole, network), getattr(cut, network)
        assert_same(gradients(many), gradients(one), rtol=1e-9, atol=1e-12)
        assert_same(state(many), state(one), rtol=1e-9, atol=1e-12)


def test_parts_have_their_own_labels():
    random = torch.Generator().manual_seed(0)
    images, labels = torch.rand(6, 3, 16, 16, generator=random), torch.arange(6)
    model, ctx = told(6, accumulate=3, batch=6)
    model.train_step(iter([Batch(images.double(), labels)]), ctx)
    judged = [y.tolist() for y in model.told_d]
    assert judged == [[0, 1], [0, 1], [2, 3], [2, 3], [4, 5], [4, 5], [0, 1], [2, 3], [4, 5]]
    assert [y.tolist() for y in model.told_g] == 2 * [[0, 1], [2, 3], [4, 5]]


def test_unequal_parts_are_refused():
    model, ctx = dcgan(accumulate=4)  # as if two devices had 4 + 2 of 6 pictures
    with pytest.raises(UsageError, match="6 pictures a batch") as caught:
        model.train_step(batches(1, pictures=6), ctx)
    assert "--accumulate" in caught.value.hint


# --- labels -------------------------------------------------------------------------------------------------

CONDITIONAL = {"size": 16, "ngf": 4, "ndf": 4, "nz": 8, "norm_d": "none"}


class LabelSpy(CGAN):
    def networks(self):
        self.told_g, self.told_d = [], []
        generator, discriminator = super().networks()
        generator.register_forward_pre_hook(lambda m, args: self.told_g.append(args[1]))
        discriminator.register_forward_pre_hook(lambda m, args: self.told_d.append(args[1]))
        return generator, discriminator


def told(classes, **values):
    """A model that keeps the labels its networks are given, in its first step."""
    model, ctx = started(LabelSpy(CGANConfig(**CONDITIONAL, **values), DataShape(16, 16, 3, classes)))
    model.told_g.clear()  # of counting the cost
    model.told_d.clear()
    return model, ctx


def test_both_players_are_told_the_classes_of_the_batch():
    model, ctx = told(5, batch=8, gp=1.0, r1=1.0, d_steps=2)
    given = list(batches(2, classes=5))
    model.train_step(iter(given), ctx)
    first, second = (batch.labels.tolist() for batch in given)
    assert first != second
    assert [y.tolist() for y in model.told_g] == [first, second]
    # Reals, fakes and both penalties, twice; then the generator's fakes.
    assert [y.tolist() for y in model.told_d] == [first] * 4 + [second] * 5


@pytest.mark.parametrize("arch", ["mlp", "conv", "projection"])
def test_a_discriminator_tells_a_class_from_another(arch):
    values = {**CONDITIONAL, "arch": arch} if arch != "mlp" else {"size": 16, "nz": 8, "arch": arch}
    model, _ = started(CGAN(CGANConfig(**values), DataShape(16, 16, 3, 5)))
    x = next(batches(1)).images
    scores = [model.discriminator(x, torch.full((8,), y)) for y in (0, 3)]
    assert ((scores[0] - scores[1]).abs() > 1e-9).all()
    z = torch.randn(4, 8, dtype=torch.float64)
    drawn = [model.generator(z, torch.full((4,), y)) for y in (0, 3)]
    assert ((drawn[0] - drawn[1]).abs().amax((1, 2, 3)) > 1e-6).all()


class Head(nn.Module):
    """Scores a m and class logits b m of pictures with mean m."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(0.5)), nn.Parameter(torch.tensor([1.0, -0.5, 0.25]))

    def forward(self, x, y=None):
        m = x.mean((1, 2, 3))
        return self.a * m, m[:, None] * self.b


class Level(nn.Module):
    """Pictures of one colour: the mean of z, and the class, times c."""

    def __init__(self):
        super().__init__()
        self.c = nn.Parameter(torch.tensor(0.25))

    def forward(self, z, y):
        return (self.c * (z.mean(1) + y))[:, None, None, None].expand(-1, 3, 16, 16)


class Stub(ACGAN):
    def networks(self):
        return Level(), Head()


def test_the_classifiers_loss_enters_both_players_losses():
    config = ACGANConfig(
        arch="light", size=16, nz=4, batch=4, class_weight_d=2.0, class_weight_g=0.5, reuse_fakes=False, **SGD
    )
    model = Stub(config, DataShape(16, 16, 3, 3))
    stage = model.stages()[0]
    model.double().enter(stage)
    ctx = Given(torch.device("cpu"), torch.Generator(), stage, dtype=torch.float64)
    z = np.random.default_rng(0).normal(size=(8, 4))
    ctx.draws = [None, torch.tensor(z)]
    m, y = np.array([0.3, -0.8, 0.5, 0.1]), np.array([2, 0, 1, 1])
    images = torch.tensor(m)[:, None, None, None].expand(-1, 3, 16, 16)
    found = model.train_step(iter([Batch(images, torch.tensor(y))]), ctx)

    def sigmoid(s):
        return 1 / (1 + np.exp(-s))

    def softmax(b, m):
        e = np.exp(np.outer(m, b))
        return e / e.sum(1, keepdims=True)

    def crossed(b, m):
        return -np.log(softmax(b, m)[range(4), y]).mean()

    def crossed_slope(b, m):
        """Of the mean cross-entropy with respect to b."""
        return ((softmax(b, m) - np.eye(3)[y]) * m[:, None]).mean(0)

    a, b, c = 0.5, np.array([1.0, -0.5, 0.25]), 0.25
    f = c * (z[:4].mean(1) + y)  # the fakes that D sees
    d_loss = -np.log(sigmoid(a * m)).mean() - np.log(1 - sigmoid(a * f)).mean()
    d_loss += 2.0 * (crossed(b, m) + crossed(b, f))
    assert found["d_loss"].item() == pytest.approx(d_loss, rel=1e-9)
    slope_a = -((1 - sigmoid(a * m)) * m).mean() + (sigmoid(a * f) * f).mean()
    slope_b = 2.0 * (crossed_slope(b, m) + crossed_slope(b, f))
    assert model.discriminator.a.grad.item() == pytest.approx(slope_a, rel=1e-9)
    np.testing.assert_allclose(model.discriminator.b.grad.numpy(), slope_b, rtol=1e-9)
    a, b = a - 0.1 * slope_a, b - 0.1 * slope_b
    h = z[4:].mean(1) + y
    f = c * h
    g_loss = -np.log(sigmoid(a * f)).mean() + 0.5 * crossed(b, f)
    assert found["g_loss"].item() == pytest.approx(g_loss, rel=1e-9)
    slope_c = -((1 - sigmoid(a * f)) * a * h).mean()
    slope_c += 0.5 * (((softmax(b, f) - np.eye(3)[y]) @ b) * h).mean()
    assert model.generator.c.grad.item() == pytest.approx(slope_c, rel=1e-9)
    assert found["class_real"].item() == (np.outer(m, [1, -0.5, 0.25]).argmax(1) == y).mean()


# --- precision, averages, the log ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [{}, {"gp": 10.0, "diffaugment": "color,translation,cutout"}, {"spectral_norm": True}]
)
def test_bfloat16(values):
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


def test_the_average_begins_fast_and_ends_slow():
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
def test_names_in_the_log(loss, penalty):
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


def test_what_is_not_logged_is_not_measured():
    model, ctx = dcgan()
    ctx.log = False
    assert set(model.train_step(batches(1), ctx)) <= {"g_loss"}


def test_names_in_the_log_of_two_heads():
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


def everything(first=0, saved=None, steps=6):
    """The state after so many steps, from the start or from where `saved` was made."""
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


def test_the_same_seed_gives_the_same_steps():
    (ours, _, random), (theirs, _, again) = everything(), everything()
    assert_same(ours, theirs, rtol=0, atol=0)
    assert torch.equal(random, again)
    assert ours["augmentation.adaptive.p"] > 0


@pytest.mark.parametrize("at", [1, 3, 5])
def test_interrupted_it_goes_on_bit_for_bit(at):
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
def test_where_noise_comes_from(noise):
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


def test_sources_without_end_are_not_exhausted():
    model, ctx = dcgan(d_steps=3)
    model.train_step(repeat(next(batches(1))), ctx)
