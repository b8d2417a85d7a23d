"""The game's step on small networks, in float64 unless asked otherwise."""

import pytest
import torch

from gantool.data.batches import Batch
from gantool.engine.model import Context
from gantool.families.dcgan.config import DCGANConfig
from gantool.families.dcgan.model import DCGAN
from gantool.family import DataShape

PLAIN = {"size": 16, "ngf": 4, "ndf": 4, "nz": 16, "batch": 8, "norm_g": "none", "norm_d": "none"}


class Given(Context):
    """Hands out `draws`, where they are given: uniform numbers, and normal ones, (N, ...) each."""

    draws = None

    def _part(self, draw, count, shape):
        if self.draws is None:
            return super()._part(draw, count, shape)
        rows = self.draws[draw is torch.randn][:count]
        self.draws[draw is torch.randn] = self.draws[draw is torch.randn][count:]
        return rows.view(count, *shape)


@pytest.fixture(autouse=True)
def seeded():
    """Otherwise the process's generator begins anew at each start of Python."""
    torch.manual_seed(0)


@pytest.fixture
def started():
    """Gives a model at its first step, with weights far from the usual tiny ones, and its context."""

    def started(model, seed=0, dtype=torch.float64):
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

    return started


@pytest.fixture
def dcgan(started):
    """Gives a small DCGAN without batch norm at its first step, and its context."""

    def dcgan(shape=None, dtype=torch.float64, **values):
        return started(DCGAN(DCGANConfig(**{**PLAIN, **values}), shape or DataShape(16, 16)), dtype=dtype)

    return dcgan


@pytest.fixture
def batches():
    """Gives so many batches of random pictures."""

    def batches(count, seed=1, classes=0, dtype=torch.float64, pictures=8):
        random = torch.Generator().manual_seed(seed)
        for _ in range(count):
            images = 2 * torch.rand(pictures, 3, 16, 16, generator=random, dtype=dtype) - 1
            yield Batch(images, torch.randint(classes, (pictures,), generator=random) if classes else None)

    return batches


@pytest.fixture
def assert_same():
    """Compares tensors by name."""

    def assert_same(ours, theirs, **tolerance):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            torch.testing.assert_close(value, theirs[name], msg=lambda m, n=name: f"{n}: {m}", **tolerance)

    return assert_same
