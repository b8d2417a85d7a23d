"""How pictures go through a network that translates: together, alone where the memory is short, and in tiles."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from gantool.engine.devices import is_memory_error
from gantool.errors import MemoryShort, RunError
from gantool.family import Translation
from gantool.nn.resnet_translator import ResNetTranslator
from gantool.nn.unet import UNet
from gantool.tasks import translate_passes
from gantool.tasks.translate_passes import Passes, cuts, fades
from gantool.tasks.translator import FileTranslator

CPU = torch.device("cpu")


def noise(*size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("length", "side", "overlap"), [(10, 10, 2), (11, 10, 5), (37, 10, 3), (100, 16, 0), (5, 16, 4)]
)
def test_tiles_cover_all_share_enough_and_weigh_one(length, side, overlap):
    places = cuts(length, side, overlap)
    assert (places[0][0], places[-1][1]) == (0, length)
    assert {end - start for start, end in places} == {min(side, length)}
    for (_, end), (start, _) in itertools.pairwise(places):
        assert end - start >= overlap
    total = np.zeros(length)
    for weight, (start, end) in zip(fades(places, overlap), places, strict=True):
        assert (weight > 0).all()
        total[start:end] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_weights_rise_evenly_over_what_is_shared():
    left, right = fades([(0, 8), (4, 12)], 4)
    np.testing.assert_allclose(right[:4], [1 / 8, 3 / 8, 5 / 8, 7 / 8], atol=1e-6)
    np.testing.assert_allclose(left[4:], right[3::-1], atol=1e-6)
    assert (left[:4] == 1).all()
    assert (right[4:] == 1).all()


def test_tiles_of_what_looks_at_single_pixels_are_the_whole(inverting):
    pixels, model, ticks, said = noise(50, 70), inverting(), [], []
    passes = Passes(model, CPU, tile=20, overlap=6, batch=5, say=said.append)
    (made,) = passes.translate([pixels], [3], tick=lambda *counts: ticks.append(counts))
    np.testing.assert_array_equal(made, 255 - pixels)
    assert ticks == [(n, 20) for n in (0, 5, 10, 15, 20)]
    assert {tuple(images.shape) for images, _, _ in model.seen} == {(5, 3, 20, 20)}
    assert {tuple(seeds) for _, seeds, _ in model.seen} == {(3,) * 5}
    passes.translate([pixels], [3])
    assert len(said) == 1
    assert said[0].startswith("Tiles of 20 pixels, which fade into each other over 6: ")
    model.seen.clear()
    passes.translate([pixels[:20, :20]] * 2, [0, 1])  # small ones go whole
    assert [tuple(images.shape) for images, _, _ in model.seen] == [(2, 3, 20, 20)]


def test_a_step_between_tiles_fades():
    """Each tile becomes one level: what is between two of them lies between their levels, and rises steadily."""

    class Levels(nn.Module):
        translation = Translation()
        count = 0

        def translate(self, images, seeds=(), mode="paper"):
            self.count += 1
            return torch.full_like(images, self.count / 4)

    (made,) = Passes(Levels(), CPU, tile=16, overlap=8).translate([noise(16, 24)], [0])
    row = made[0, :, 0].astype(int)
    assert (made == row[None, :, None]).all()
    assert row[0] == round(1.25 * 127.5)
    assert row[-1] == round(1.5 * 127.5)
    steps = np.diff(row)
    assert (steps[8:15] > 0).all()
    assert not steps[:7].any()
    assert not steps[16:].any()


def test_tiles_of_networks(inverting):
    """With trained norms and no reach beyond the overlap, tiles are the whole but for their edges."""
    torch.manual_seed(0)
    model = FileTranslator(ResNetTranslator(width=2, blocks=1).eval(), Translation())
    pixels = noise(64, 96)
    (whole,) = Passes(model, CPU, mode="eval").translate([pixels], [0])
    (tiled,) = Passes(model, CPU, mode="eval", tile=64, overlap=32).translate([pixels], [0])
    assert tiled.shape == whole.shape
    assert np.abs(tiled[:, :4].astype(int) - whole[:, :4]).max() <= 1
    assert np.abs(tiled.astype(int) - whole).mean() < 3


class Greedy(nn.Module):
    """More than `most` pictures at once are too many for it."""

    translation = Translation()

    def __init__(self, most, error):
        super().__init__()
        self.most, self.error, self.seen = most, error, []

    def translate(self, images, seeds=(), mode="paper"):
        self.seen.append(len(images))
        if len(images) > self.most:
            raise self.error
        return -images


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA OOM")])
def test_where_memory_is_short_fewer_go_together(error):
    assert is_memory_error(error)
    said, pictures = [], [noise(4, 5, seed=n) for n in range(9)]
    model = Greedy(2, error)
    passes = Passes(model, CPU, batch=9, say=said.append)
    for made, picture in zip(passes.translate(pictures, range(9)), pictures, strict=True):
        np.testing.assert_array_equal(made, 255 - picture)
    assert model.seen == [9, 4, 2, 2, 2, 2, 1]
    assert said[0] == "The memory does not suffice for 9 at a time: going on with 4."
    with pytest.raises(MemoryShort, match=r"for a picture of 5 × 4 pixels. Add --tile"):
        Passes(Greedy(0, error), CPU).translate(pictures[:1], [0])
    with pytest.raises(MemoryShort, match=r"for a tile of 3 × 3 pixels. Take a smaller --tile"):
        Passes(Greedy(0, error), CPU, tile=3).translate(pictures[:1], [0])
    with pytest.raises(RuntimeError, match="no such thing"):
        Passes(Greedy(0, RuntimeError("no such thing")), CPU).translate(pictures[:1], [0])


def test_the_estimate_of_memory_bounds_how_many_go_together(monkeypatch):
    """The first layers of a U-Net hold most: 64 channels of half the sides, float32, before and after, and linked."""
    torch.manual_seed(0)
    model = FileTranslator(UNet(layers=2, width=64).eval(), Translation())
    passes = Passes(model, CPU, batch=4)
    monkeypatch.setattr(translate_passes, "FEW", 1000)
    monkeypatch.setattr(translate_passes, "room_on", lambda *_: 1e9)
    assert passes._fitting(300, 300) == 4
    assert 2 * 64 / 4 * 4 < passes._cost < 12 * 64 / 4 * 4
    monkeypatch.setattr(translate_passes, "room_on", lambda *_: 2.5 * passes._cost * 300 * 300)
    assert passes._fitting(300, 300) == 2
    assert passes._fitting(15, 15) == 4  # so few that nothing is measured
    with pytest.raises(MemoryShort, match=r"of 600 × 500 pixels: about .* GB are needed, and .* can be had"):
        passes._fitting(500, 600)


def test_nan_is_an_error():
    class Bad(Greedy):
        def translate(self, images, seeds=(), mode="paper"):
            return images * float("nan")

    for tile in (None, 3):
        with pytest.raises(RunError, match="gives NaN"):
            Passes(Bad(1, None), CPU, tile=tile).translate([noise(4, 4)], [0])
