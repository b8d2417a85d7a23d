"""One step of the game against the same step written out, on small networks in float64."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils.parametrize import is_parametrized

from gantool.errors import UsageError

SGD = {"optimizer": "sgd", "beta1": 0.0, "lr_d": 0.1, "lr_g": 0.1}


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def gradients(network):
    return {name: p.grad.clone() for name, p in network.named_parameters()}


# --- how often, on what -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("d_steps", "g_steps"), [(1, 1), (3, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("reuse", [True, False])
def test_updates_of_both_players(dcgan, batches, d_steps, g_steps, reuse):
    model, ctx = dcgan(d_steps=d_steps, g_steps=g_steps, reuse_fakes=reuse)
    order, drawn, seen = [], [], []
    for name, optimizer in model.optimizers.items():
        optimizer.register_step_post_hook(lambda *_, n=name: order.append(n[0]))
    model.generator.register_forward_hook(lambda m, args, out: drawn.append((len(out), out.requires_grad)))
    model.discriminator.register_forward_pre_hook(lambda m, args: seen.append(args[0].detach()))
    given = list(batches(10))
    source = iter(given)
    model.train_step(source, ctx)
    assert "".join(order) == d_steps * "d" + g_steps * "g"
    assert len(list(source)) == 10 - d_steps  # a batch for each update of D, none for G's
    # For D without a graph, unless G learns from it.
    assert drawn == [(8, False)] * (d_steps - reuse) + [(8, True)] * g_steps
    for k in range(d_steps):
        assert torch.equal(seen[2 * k], given[k].images)  # first the reals, then as many fakes
    fakes = [seen[2 * k + 1] for k in range(d_steps)] + seen[2 * d_steps :]
    assert len(fakes) == d_steps + g_steps
    assert torch.equal(fakes[d_steps], fakes[d_steps - 1]) == reuse
    kinds = {fake.numpy().tobytes() for fake in fakes}
    assert len(kinds) == len(fakes) - reuse


def test_bursts_of_the_critic(dcgan, batches):
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
def test_gradients_are_those_of_the_losses(dcgan, batches, assert_same, values):
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


def test_penalties_change_the_discriminators_gradient(dcgan, batches):
    def after(**values):
        model, ctx = dcgan(**SGD, **values)
        model.train_step(batches(1), ctx)
        return gradients(model.discriminator)["main.0.weight"]

    plain, r1, lazy = after(), after(r1=4.0), after(r1=4.0, penalty_every=5)
    assert (r1 - plain).norm() > 0.01 * plain.norm()
    torch.testing.assert_close(lazy - plain, 5 * (r1 - plain))  # every fifth, five times as hard
    assert not torch.allclose(after(gp=4.0), plain, rtol=0.01)


@pytest.mark.parametrize("every", [1, 3, 5])
def test_penalised_updates(dcgan, batches, every, monkeypatch):
    updates, penalised = [], []

    def penalty(critic, real):
        penalised.append((len(updates), len(real)))
        return critic(real).sum() * 0

    monkeypatch.setattr("gantool.game.model.r1_penalty", penalty)
    model, ctx = dcgan(r1=1.0, penalty_every=every, d_steps=2, accumulate=2)
    model.optimizers["discriminator"].register_step_post_hook(lambda *_: updates.append(ctx.step))
    for ctx.step in range(6):
        model.train_step(batches(2), ctx)
    assert len(updates) == 12
    # Each in both of its parts of 4 pictures.
    assert penalised == [(update, 4) for update in range(0, 12, every) for _ in range(2)]


def test_all_that_the_discriminator_sees_is_augmented(dcgan, batches):
    model, ctx = dcgan(diffaugment="cutout", r1=1.0, g_steps=2)
    seen = []
    model.discriminator.register_forward_pre_hook(lambda m, args: seen.append(args[0].detach() == 0))
    model.train_step(batches(1), ctx)
    reals, fakes, penalised, first, second = (holes.all(1) for holes in seen)
    for holes in (reals, fakes, first, second):
        assert (holes.flatten(1).sum(1) >= 16).all()  # a quarter of a hole of 8x8 pixels at least
    assert torch.equal(penalised, reals)
    places = {holes.numpy().tobytes() for holes in (reals, fakes, first, second)}
    assert len(places) == 4  # the same fakes, too, once for D and once for G


def test_spectral_normalisation_is_the_discriminators(dcgan):
    for wanted in (True, False):
        model, _ = dcgan(spectral_norm=wanted, ema=0.9)
        for name, net in model.named_children():
            normed = [layer for layer in net.modules() if is_parametrized(layer)]
            assert len(normed) == (3 if wanted and name == "discriminator" else 0), name


def test_each_player_goes_at_its_own_rate_of_the_schedule(dcgan, batches, assert_same):
    model, ctx = dcgan(optimizer="sgd", beta1=0.0, lr_d=0.1, lr_g=0.3, steps=10, decay="linear", decay_from=0.5)
    for ctx.step, share in ((0, 1.0), (5, 1.0), (7, 0.6), (9, 0.2)):
        before = {name: dict(copy.deepcopy(net).named_parameters()) for name, net in model.named_children()}
        model.train_step(batches(1), ctx)
        for name, lr in (("discriminator", 0.1), ("generator", 0.3)):
            weights = dict(getattr(model, name).named_parameters())
            stepped = {key: before[name][key] - share * lr * p.grad for key, p in weights.items()}
            assert_same(weights, stepped, rtol=1e-9, atol=1e-12)


def test_weights_are_clipped_before_the_update(dcgan, batches, assert_same):
    model, ctx = dcgan(**{**SGD, "lr_d": 1.0}, loss="wasserstein", clip=0.01)
    before = {name: p.detach().clamp(-0.01, 0.01) for name, p in model.discriminator.named_parameters()}
    assert any((p.abs() > 0.01).any() for p in model.discriminator.parameters())
    model.train_step(batches(1), ctx)
    stepped = {name: before[name] - p.grad for name, p in model.discriminator.named_parameters()}
    assert_same(dict(model.discriminator.named_parameters()), stepped, rtol=1e-12, atol=0)
    assert any((p.abs() > 0.01).any() for p in model.discriminator.parameters())  # and not after it


# --- what each player's update leaves alone -----------------------------------------------------------------


def test_the_generators_update_gives_the_discriminator_no_gradient(dcgan, batches, assert_same):
    model, ctx = dcgan(**SGD, g_steps=3)
    seen = []
    model.optimizers["discriminator"].register_step_post_hook(
        lambda *_: seen.extend([gradients(model.discriminator), state(model.discriminator)])
    )
    model.train_step(batches(1), ctx)
    assert_same(gradients(model.discriminator), seen[0], rtol=0, atol=0)
    assert_same(state(model.discriminator), seen[1], rtol=0, atol=0)
    assert all(p.requires_grad for p in model.discriminator.parameters())


def test_the_discriminators_update_leaves_the_generator_alone(dcgan, batches, assert_same):
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
def test_in_parts_the_update_is_that_of_the_whole_batch(dcgan, batches, assert_same, values, parts):
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


def test_unequal_parts_are_refused(dcgan, batches):
    model, ctx = dcgan(accumulate=4)  # as if two devices had 4 + 2 of 6 pictures
    with pytest.raises(UsageError, match="6 pictures a batch") as caught:
        model.train_step(batches(1, pictures=6), ctx)
    assert "--accumulate" in caught.value.hint
