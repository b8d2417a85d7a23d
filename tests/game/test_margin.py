"""Who learns under --margin, against the rule of LAPGAN's code for scenes written out, on losses known in advance."""

import math

import pytest
import torch
from torch import nn

from gantool.data.batches import Batch
from gantool.engine.model import Context
from gantool.engine.world import World
from gantool.errors import ConfigError
from gantool.family import DataShape
from gantool.game.model import Game
from gantool.game.options import GameConfig

MARGIN, NO_IDEA = 0.3, 0.7
REAL, FAKE = 0.5, -0.5  # the one value of all pixels


class Level(nn.Module):
    """Pictures of one value."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(FAKE, dtype=torch.float64))

    def forward(self, z, y):
        return self.value * torch.ones(len(z), 1, 4, 4, dtype=z.dtype, device=z.device)


class Line(nn.Module):
    """The score of a picture: a straight line over its mean."""

    def __init__(self):
        super().__init__()
        self.slope, self.height = (nn.Parameter(torch.zeros((), dtype=torch.float64)) for _ in range(2))

    def forward(self, x, y):
        return self.slope * x.mean((1, 2, 3)) + self.height

    def through(self, real, fake):
        """Scores of the real picture and of the fake."""
        with torch.no_grad():
            self.slope.fill_((real - fake) / (REAL - FAKE))
            self.height.fill_((real + fake) / 2)


class Toy(Game):
    def networks(self):
        return Level(), Line()


def game(real, fake, **values):
    config = GameConfig(
        **{"size": 4, "nz": 2, "batch": 4, "optimizer": "sgd", "beta1": 0.0, "margin": MARGIN, **values}
    )
    made = Toy(config, DataShape(4, 4, 1))
    made.discriminator.through(real, fake)
    [stage] = made.stages()
    made.enter(stage)
    return made, Context(torch.device("cpu"), torch.Generator().manual_seed(0), stage, dtype=torch.float64)


def reals(count):
    return iter([Batch(torch.full((4, 1, 4, 4), REAL, dtype=torch.float64), None) for _ in range(count)])


def losses(real, fake):
    """-log sigmoid(s) of the real, -log(1 - sigmoid(s)) of the fake."""
    return math.log1p(math.exp(-real)), math.log1p(math.exp(fake))


def rule(on_real, on_fake):
    """Who learns."""
    if on_fake > on_real + MARGIN:
        return "D"
    return "DG" if on_real > NO_IDEA else "G"


def who(made, ctx):
    """Whose weights a step moves."""

    def weights():
        return [[p.item() for p in network.parameters()] for network in (made.discriminator, made.generator)]

    before, found, after = weights(), made.train_step(reals(1), ctx), weights()
    return "".join(name for name, a, b in zip("DG", before, after, strict=True) if a != b), found


# Scores of reals and of fakes: taken for real above 0. The margin and log 2 are approached from both sides.
EDGE = math.log(math.expm1(losses(2.0, 0.0)[0] + MARGIN))
CASES = {
    (2.0, 1.0): "D",  # fooled by fakes
    (2.0, -2.0): "G",  # it knows both
    (2.0, EDGE + 0.01): "D",
    (2.0, EDGE - 0.01): "G",
    (-2.0, -2.0): "DG",  # it takes all for fakes: no idea of reals
    (-1.0, 1.2): "DG",  # no idea, and not fooled by the margin
    (-1.0, 2.0): "D",
    (0.05, 0.0): "G",  # a coin loses log 2 = 0.693
    (-0.02, 0.0): "DG",
    (-0.01, -3.0): "G",
}


@pytest.mark.parametrize("scores", CASES)
def test_who_learns(scores):
    assert rule(*losses(*scores)) == CASES[scores]
    made, ctx = game(*scores)
    assert who(made, ctx)[0] == CASES[scores]


@pytest.mark.parametrize("scores", CASES)
def test_who_does_not_learn_is_logged_all_the_same(scores):
    made, ctx = game(*scores)
    learns, found = who(made, ctx)
    on_real, on_fake = losses(*scores)
    assert found["d_loss"].item() == pytest.approx(on_real + on_fake)
    assert found["score_real"].item() == pytest.approx(scores[0])
    assert found["score_fake"].item() == pytest.approx(scores[1])
    assert found["acc_real"].item() == (scores[0] > 0)
    assert found["acc_fake"].item() == (scores[1] < 0)
    assert [found[f"grad_{name}"].item() > 0 for name in "dg"] == ["D" in learns, "G" in learns]
    if "D" not in learns:  # else G is judged by a D that has just learnt
        assert found["g_loss"].item() == pytest.approx(math.log1p(math.exp(-scores[1])))


@pytest.mark.parametrize(("scores", "learns"), [((2.0, 1.0), "D"), ((2.0, -2.0), "G"), ((-2.0, -2.0), "DG")])
def test_one_look_decides_for_all_updates_of_a_step(scores, learns):
    """And every update has its batch, whether D takes part or not: which pictures come next depends on no score."""
    made, ctx = game(*scores, d_steps=3, g_steps=2, lr_d=1e-9, lr_g=1e-9)
    steps = dict.fromkeys(made.optimizers, 0)
    for name, optimizer in made.optimizers.items():
        optimizer.register_step_post_hook(lambda *_, n=name: steps.update({n: steps[n] + 1}))
    source = reals(5)
    made.train_step(source, ctx)
    assert steps == {"discriminator": 3 * ("D" in learns), "generator": 2 * ("G" in learns)}
    assert len(list(source)) == 2


@pytest.mark.parametrize("scores", CASES)
@pytest.mark.parametrize("other", CASES)
def test_processes_decide_together(scores, other, monkeypatch):
    """By the mean of their losses, so that all of them take the same steps."""
    made, ctx = game(*scores)
    ctx.world = World(0, 2)
    theirs = torch.tensor(losses(*other), dtype=torch.float64)
    ours = torch.tensor(losses(*scores), dtype=torch.float64)

    def average(self, tensors):
        [losses] = tensors
        assert torch.allclose(losses, ours)
        losses.add_(theirs).div_(2)

    monkeypatch.setattr(World, "average", average)
    monkeypatch.setattr(World, "average_gradients", lambda self, parameters: None)
    assert who(made, ctx)[0] == rule(*((ours + theirs) / 2).tolist())


def test_without_a_margin_both_learn():
    for scores in CASES:
        made, ctx = game(*scores, margin=None)
        assert who(made, ctx)[0] == "DG"


@pytest.mark.parametrize("loss", ["hinge", "wasserstein", "lsgan"])
def test_other_losses_have_no_margin(loss):
    with pytest.raises(ConfigError, match="compares losses of --loss bce"):
        GameConfig(margin=0.3, loss=loss)
