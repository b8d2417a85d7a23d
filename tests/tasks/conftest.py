"""What the tests of tasks share: one thread, so that results do not hang on the machine, and a picture."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image

from gantool.family import Translation


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "photo.png"
    noise = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((40, 30), Image.Resampling.BICUBIC).save(path)
    return path


class Invert(torch.nn.Module):
    """A model that translates: gives back the negative, in as many channels as asked, and remembers what it saw."""

    def __init__(self, **facts):
        super().__init__()
        self.translation = Translation(**{"size": (8, 8), **facts})
        self.seen = []

    def translate(self, images, seeds=(), mode="paper"):
        self.seen.append((images.clone(), list(seeds), mode))
        channels = 1 if self.translation.gives == "grey" else 3
        return -images if images.shape[1] == channels else -images.mean(1, keepdim=True).expand(-1, channels, -1, -1)


class Seeded(Invert):
    """Gives pictures of one level, which is the seed's."""

    def translate(self, images, seeds=(), mode="paper"):
        levels = torch.tensor([seed / 127.5 - 1 for seed in seeds])[:, None, None, None]
        return levels.expand_as(super().translate(images, seeds, mode))


@pytest.fixture
def inverting():
    return Invert


@pytest.fixture
def seeded():
    return Seeded
