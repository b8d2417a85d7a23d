"""The cost of a step against closed forms and against what a real step does."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gantool.data.batches import Batch
from gantool.engine.model import Context
from gantool.families.acgan.config import ACGANConfig
from gantool.families.acgan.model import ACGAN
from gantool.families.dcgan.config import DCGANConfig
from gantool.families.dcgan.model import DCGAN
from gantool.family import DataShape
from gantool.game import cost
from gantool.game.cost import estimate
from gantool.game.model import Game
from gantool.game.options import GameConfig

NZ, HIDDEN, PIXELS = 8, 32, 3 * 4 * 4


class Draw(nn.Sequential):
    def forward(self, z, y=None):
        return super().forward(z)


class Dense(Game):
    def networks(self):
        return (
            Draw(nn.Linear(NZ, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS), nn.Unflatten(1, (3, 4, 4))),
            Draw(nn.Flatten(), nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1), nn.Flatten(0)),
        )


def dense(**values):
    return Dense(GameConfig(**{"nz": NZ, "batch": 16, "reuse_fakes": False, **values}), DataShape(4, 4, 3))


DRAW = 2 * (NZ * HIDDEN + HIDDEN * PIXELS)  # a picture on its way through G: 2 in out for each layer
JUDGE = 2 * (PIXELS * HIDDEN + HIDDEN)


@pytest.mark.parametrize(
    ("values", "draws", "judgements"),
    [
        ({}, 4, 8),
        ({"reuse_fakes": True}, 3, 8),
        ({"d_steps": 5}, 5 + 3, 5 * 6 + 2),
        ({"g_steps": 2}, 1 + 2 * 3, 6 + 2 * 2),
        ({"gp": 10.0}, 4, 12 + 2),
        ({"r1": 10.0, "penalty_every": 16}, 4, 6 + 6 / 16 + 2),
        ({"accumulate": 4}, 4, 8),
    ],
)
def test_dense_layers(values, draws, judgements):
    """Operations by picture, and what starting 4 layers of G and 5 of D takes by part of a batch."""
    starts = cost.LAUNCH * (4 * draws + 5 * judgements) * values.get("accumulate", 1)
    for batch in (16, 48):
        found, _ = estimate(dense(batch=batch, **values))
        assert found == pytest.approx(starts + batch * (draws * DRAW + judgements * JUDGE))


class Counter(TorchDispatchMode):
    """Counts what is really computed."""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if function._overloadpacket in flop_registry:
            self.total += flop_registry[function._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"d_steps": 3, "reuse_fakes": False},
        {"g_steps": 2, "accumulate": 2},
        {"gp": 10.0, "norm_d": "none"},
        {"gp": 10.0, "r1": 1.0, "penalty_every": 2, "norm_d": "none", "spectral_norm": True},
    ],
)
def test_real_steps(values, monkeypatch):
    monkeypatch.setattr(cost, "LAUNCH", 0.0)
    config = DCGANConfig(size=32, ngf=8, ndf=8, nz=16, batch=8, **values)
    assert_as_counted(DCGAN(config, DataShape(32, 32)), None)


def test_real_steps_of_two_heads(monkeypatch):
    monkeypatch.setattr(cost, "LAUNCH", 0.0)
    config = ACGANConfig(arch="digits", size=28, ngf=8, ndf=8, nz=16, batch=8)
    assert_as_counted(ACGAN(config, DataShape(28, 28, 1, 5)), torch.arange(8) % 5)


def assert_as_counted(model, labels):
    stage = model.stages()[0]
    model.enter(stage)
    ctx, shape = Context(torch.device("cpu"), torch.Generator(), stage), model.shape
    images, steps = torch.rand(8, shape.channels, shape.height, shape.width), 2
    with Counter() as counter:
        for ctx.step in range(steps):
            model.train_step(iter([Batch(images, labels)] * 9), ctx)
    # Gradients of the first layers' inputs are not computed.
    assert 1 <= stage.cost / (counter.total / steps) < 1.1


def test_memory_grows_with_what_is_held_at_once():
    def memory(**values):
        return estimate(dense(**values))[1]

    weights = 4 * sum(p.nbytes for p in dense().parameters())
    assert memory(batch=64) - weights == pytest.approx(4 * (memory(batch=16) - weights))
    assert memory(batch=64, accumulate=4) == pytest.approx(memory(batch=16))


def test_counting_leaves_no_trace():
    model = DCGAN(DCGANConfig(size=32, ngf=8, ndf=8, batch=8, spectral_norm=True), DataShape(32, 32))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    estimate(model)
    assert torch.equal(torch.get_rng_state(), random)
    for name, value in model.state_dict().items():
        assert value.device.type == "cpu"
        assert torch.equal(value, before[name]), name
