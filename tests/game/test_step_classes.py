"""What the game does with classes: whom it tells them, and what an auxiliary classifier adds."""

import numpy as np
import pytest
import torch
from torch import nn

from gantool.data.batches import Batch
from gantool.engine.model import Context
from gantool.families.acgan.config import ACGANConfig
from gantool.families.acgan.model import ACGAN
from gantool.families.cgan.config import CGANConfig
from gantool.families.cgan.model import CGAN
from gantool.family import DataShape

SGD = {"optimizer": "sgd", "beta1": 0.0, "lr_d": 0.1, "lr_g": 0.1}
CONDITIONAL = {"size": 16, "ngf": 4, "ndf": 4, "nz": 8, "norm_d": "none"}


class LabelSpy(CGAN):
    def networks(self):
        self.told_g, self.told_d = [], []
        generator, discriminator = super().networks()
        generator.register_forward_pre_hook(lambda m, args: self.told_g.append(args[1]))
        discriminator.register_forward_pre_hook(lambda m, args: self.told_d.append(args[1]))
        return generator, discriminator


@pytest.fixture
def told(started):
    """Makes a model that keeps the labels its networks are given, in its first step."""

    def make(classes, **values):
        model, ctx = started(LabelSpy(CGANConfig(**CONDITIONAL, **values), DataShape(16, 16, 3, classes)))
        model.told_g.clear()  # of counting the cost
        model.told_d.clear()
        return model, ctx

    return make


def test_both_players_are_told_the_classes_of_the_batch(told, batches):
    model, ctx = told(5, batch=8, gp=1.0, r1=1.0, d_steps=2)
    given = list(batches(2, classes=5))
    model.train_step(iter(given), ctx)
    first, second = (batch.labels.tolist() for batch in given)
    assert first != second
    assert [y.tolist() for y in model.told_g] == [first, second]
    # Reals, fakes and both penalties, twice; then the generator's fakes.
    assert [y.tolist() for y in model.told_d] == [first] * 4 + [second] * 5


def test_parts_have_their_own_labels(told):
    random = torch.Generator().manual_seed(0)
    images, labels = torch.rand(6, 3, 16, 16, generator=random), torch.arange(6)
    model, ctx = told(6, accumulate=3, batch=6)
    model.train_step(iter([Batch(images.double(), labels)]), ctx)
    judged = [y.tolist() for y in model.told_d]
    assert judged == [[0, 1], [0, 1], [2, 3], [2, 3], [4, 5], [4, 5], [0, 1], [2, 3], [4, 5]]
    assert [y.tolist() for y in model.told_g] == 2 * [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("arch", ["mlp", "conv", "projection"])
def test_a_discriminator_tells_a_class_from_another(started, batches, arch):
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
    ctx = Context(torch.device("cpu"), torch.Generator(), stage, dtype=torch.float64)
    z = torch.randn(8, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
    ctx.generator.manual_seed(0)
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
