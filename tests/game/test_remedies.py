"""The remedies at the labels and at the pictures, as the game applies them."""

import math

import pytest
import torch

from gantool.engine.model import Context, Stage
from gantool.game.options import GameConfig
from gantool.game.remedies import Augmentation, LabelRemedies
from gantool.losses.adversarial import LOSSES

REAL, FAKE = torch.full((4000,), 0.3), torch.full((4000,), -0.7)


def context(seed=0, **more):
    return Context(torch.device("cpu"), torch.Generator().manual_seed(seed), Stage(0, "training", 10, (8, 8)), **more)


class Spy:
    """Keeps the targets that a loss is given."""

    takes_targets = True

    def real(self, scores, target=None):
        self.on_real, self.scores_real = target, scores
        return scores.new_tensor(1.0)

    def fake(self, scores, target=None):
        self.on_fake, self.scores_fake = target, scores
        return scores.new_tensor(10.0)


def seen(**values):
    spy, ctx = Spy(), context()
    loss = LabelRemedies(GameConfig(**values)).discriminator_loss(spy, REAL, FAKE, ctx)
    assert loss == 11
    assert spy.scores_real is REAL
    assert spy.scores_fake is FAKE
    return spy.on_real, spy.on_fake


def share(values):
    return values.double().mean().item()


# --- at the labels ------------------------------------------------------------------------------------------


def test_without_remedies_there_are_no_targets_and_nothing_is_drawn():
    ctx = context()
    before = ctx.generator.get_state()
    loss = LabelRemedies(GameConfig()).discriminator_loss(LOSSES["hinge"], REAL, FAKE, ctx)
    assert loss.item() == pytest.approx(0.7 + 0.3)
    assert torch.equal(ctx.generator.get_state(), before)
    assert seen() == (None, None)


def test_smoothing_is_one_sided():
    on_real, on_fake = seen(label_smoothing=0.1)
    assert on_real.unique().tolist() == pytest.approx([0.9])
    assert (on_fake == 0).all()


def test_soft_labels_are_drawn_for_reals_alone():
    on_real, on_fake = seen(soft_labels=0.9)
    assert 0.9 <= on_real.min() < 0.901
    assert 0.999 < on_real.max() <= 1
    assert share(on_real) == pytest.approx(0.95, abs=0.002)
    assert (on_fake == 0).all()


def test_swapped_labels_on_both_sides_each_by_itself():
    on_real, on_fake = seen(flip_labels=0.2)
    sure = 4 * math.sqrt(0.2 * 0.8 / len(REAL))
    assert share(on_real == 0) == pytest.approx(0.2, abs=sure)
    assert share(on_real == 1) == 1 - share(on_real == 0)
    assert share(on_fake == 1) == pytest.approx(0.2, abs=sure)
    both = share((on_real == 0) & (on_fake == 1))
    assert both == pytest.approx(0.04, abs=4 * math.sqrt(0.04 / len(REAL)))


def test_all_at_once():
    on_real, on_fake = seen(soft_labels=0.8, flip_labels=0.1)
    assert share(on_real == 0) == pytest.approx(0.1, abs=0.02)
    assert on_real[on_real > 0].min() >= 0.8
    taken_for_real = on_fake[on_fake > 0]
    assert len(taken_for_real) / len(on_fake) == pytest.approx(0.1, abs=0.02)
    assert taken_for_real.min() >= 0.8


def test_what_the_loss_becomes():
    loss = LabelRemedies(GameConfig(label_smoothing=0.1)).discriminator_loss(LOSSES["bce"], REAL, FAKE, context())
    p, q = 1 / (1 + math.exp(-0.3)), 1 / (1 + math.exp(0.7))
    assert loss.item() == pytest.approx(-0.9 * math.log(p) - 0.1 * math.log(1 - p) - math.log(1 - q), rel=1e-5)


def test_each_process_has_targets_of_its_own():
    class Two:
        size = 2

        def __init__(self, rank):
            self.rank = rank

    found = []
    for rank in range(2):
        spy = Spy()
        remedies = LabelRemedies(GameConfig(soft_labels=0.5))
        remedies.discriminator_loss(spy, REAL[:6], FAKE[:6], context(world=Two(rank)))
        found.append(spy.on_real)
    assert torch.equal(torch.cat(found), 0.5 + 0.5 * torch.rand(12, generator=torch.Generator().manual_seed(0)))


# --- at the pictures ----------------------------------------------------------------------------------------


def test_no_augmentation():
    x, ctx = torch.rand(3, 3, 8, 8), context()
    before = ctx.generator.get_state()
    augmentation = Augmentation(GameConfig(diffaugment=" "))
    assert augmentation(x, ctx) is x
    assert augmentation.observe(REAL, ctx) == {}
    assert torch.equal(ctx.generator.get_state(), before)


def test_at_full_strength_without_ada():
    augmentation, ctx = Augmentation(GameConfig(diffaugment="cutout")), context()
    assert (augmentation(torch.ones(50, 3, 8, 8), ctx) == 0).flatten(1).any(1).all()
    assert augmentation.observe(REAL, ctx) == {}


def adapted(scores, updates, start=0.5, world=None, **values):
    config = GameConfig(diffaugment="cutout", ada=0.6, ada_speed=1.0, batch=10, **values)
    augmentation = Augmentation(config)
    augmentation.adaptive.p.fill_(start)
    ctx = context() if world is None else context(world=world)
    for _ in range(updates):
        found = augmentation.observe(scores, ctx)
    assert set(found) == {"strength"}
    assert found["strength"] == augmentation.adaptive.p
    return found["strength"].item()


@pytest.mark.parametrize(("loss", "sure", "unsure"), [("bce", 0.1, -0.1), ("hinge", 0.1, -0.1), ("lsgan", 0.6, 0.4)])
def test_the_strength_follows_the_discriminators_certainty(loss, sure, unsure):
    step = 4 * 10 / 1000  # four updates of ten pictures, of the thousand that lead from 0 to 1
    assert adapted(torch.full((10,), sure), 3, loss=loss) == 0.5
    assert adapted(torch.full((10,), sure), 4, loss=loss) == pytest.approx(0.5 + step)
    assert adapted(torch.full((10,), unsure), 4, loss=loss) == pytest.approx(0.5 - step)


def test_pictures_of_all_processes_count():
    class Two:
        size, rank = 2, 0

        def average(self, tensors):
            pass

    assert adapted(torch.ones(10), 4, world=Two()) == pytest.approx(0.5 + 4 * 20 / 1000)


def test_pictures_are_augmented_that_often():
    config = GameConfig(diffaugment="cutout", ada=0.6)
    augmentation, ctx, x = Augmentation(config), context(), torch.ones(4000, 1, 8, 8)
    assert torch.equal(augmentation(x, ctx), x)  # it starts at 0
    augmentation.adaptive.p.fill_(0.3)
    changed = (augmentation(x, ctx) == 0).flatten(1).any(1)
    assert share(changed) == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / 4000))


def test_gradients_reach_the_strength_never():
    augmentation = Augmentation(GameConfig(diffaugment="color", ada=0.6))
    scores = torch.ones(4, requires_grad=True)
    found = augmentation.observe(scores, context())
    assert not found["strength"].requires_grad
    assert list(augmentation.parameters()) == []
    assert {name for name, _ in augmentation.named_buffers()} == {"adaptive.p", "adaptive.signs", "adaptive.updates"}
