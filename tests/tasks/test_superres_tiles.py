"""Tiles of enlarged pictures: no seams, bounded memory, smaller ones where it does not suffice."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from gantool.errors import MemoryShort, RunError
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.rrdb import RRDBNet
from gantool.nn.srresnet import SRResNet
from gantool.tasks import picture_memory, superres_tiles
from gantool.tasks.picture_levels import to_levels, to_unit
from gantool.tasks.superres_tiles import Box, Tiler, boxes, bytes_per_pixel

CPU = torch.device("cpu")
NETWORKS = {
    "srresnet 2": lambda: SRResNet(2, 8, 2),
    "srresnet 3": lambda: SRResNet(3, 8, 2),
    "srresnet 4": lambda: SRResNet(4, 8, 2),
    "msrresnet 2": lambda: MSRResNet(2, 8, 2),
    "msrresnet 3": lambda: MSRResNet(3, 8, 2),
    "msrresnet 4": lambda: MSRResNet(4, 8, 2),
    "rrdb 4": lambda: RRDBNet(4, 8, 1, 4),
    "rrdb 2": lambda: RRDBNet(2, 8, 1, 4),
    "rrdb 1": lambda: RRDBNet(1, 8, 1, 4),
}


def network(name, seed=0):
    """Weights that make every pixel in reach count: PyTorch's own initialisation, batch norms that do something."""
    torch.manual_seed(seed)
    model = NETWORKS[name]()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_normal_(layer.weight, gain=1.4)
            nn.init.normal_(layer.bias, 0, 0.1)
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
    return model.eval()


def enlarged(tiler, pixels, dtype=np.uint8, tick=lambda *_: None):
    height, width, _ = pixels.shape
    out = np.empty((tiler.model.factor * height, tiler.model.factor * width, 3), dtype)
    tiler.enlarge(pixels, out, tick)
    return out


class Exact(Tiler):
    """Keeps floating point: what the network gives, tile by tile."""

    def enlarge_exactly(self, pixels):
        height, width, _ = pixels.shape
        factor = self.model.factor
        out = np.zeros((factor * height, factor * width, 3), np.float64)
        side, overlap = self.layout(height, width)
        count = 0
        for box in boxes(height, width, side):
            self._one(pixels, box, overlap, out)
            count += 1
        return out, count


@pytest.fixture
def floats(monkeypatch):
    monkeypatch.setattr(superres_tiles, "to_levels", lambda images, dtype: images[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("size", "tile"), [((67, 45), 16), ((30, 101), 23), ((41, 41), 64), ((5, 90), 7)])
def test_tiles_are_what_they_are_in_the_whole_picture(floats, name, size, tile):
    model = network(name)
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    with torch.inference_mode():
        whole = model.enlarge(to_unit(pixels) * 2 - 1)[0].permute(1, 2, 0).numpy()
    tiled, count = Exact(model, CPU, tile=tile).enlarge_exactly(pixels)
    assert count == -(-size[0] // tile) * -(-size[1] // tile)
    spread = max(1.0, float(np.abs(whole).max()))
    assert np.abs(tiled - whole).max() <= 1e-5 * spread
    if count > 1:  # and the surroundings are what it takes
        seams, _ = Exact(model, CPU, tile=tile, overlap=0).enlarge_exactly(pixels)
        assert np.abs(seams - whole).max() > 1e-3 * spread


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels(dtype):
    model, top = network("srresnet 2"), np.iinfo(dtype).max
    pixels = np.random.default_rng(1).integers(0, top + 1, (19, 26, 3)).astype(dtype)
    ticks = []
    out = enlarged(Tiler(model, CPU, tile=10), pixels, dtype, lambda *counts: ticks.append(counts))
    with torch.inference_mode():
        whole = model(torch.from_numpy(pixels.astype(np.float32) / np.float32(top)).permute(2, 0, 1)[None])
    expected = whole[0].permute(1, 2, 0).double().clamp(0, 1).numpy() * top
    assert out.dtype == dtype
    assert np.abs(out - expected).max() <= 0.5 + 1e-5 * top
    assert ticks == [(k, 6) for k in range(7)]


def test_every_level_survives_both_ways():
    for dtype in (np.uint8, np.uint16):
        top = np.iinfo(dtype).max
        levels = np.arange(top + 1, dtype=dtype).reshape(-1, 16, 1)
        np.testing.assert_array_equal(to_levels(to_unit(levels) * 2 - 1, levels.dtype), levels)


def test_boxes_cover_once():
    seen = np.zeros((37, 22), int)
    for box in boxes(37, 22, 8):
        seen[box.top : box.bottom, box.left : box.right] += 1
        assert max(box.bottom - box.top, box.right - box.left) <= 8
    assert (seen == 1).all()
    assert Box(16, 24, 3, 9).around(5, 4, 26, 100) == Box(8, 26, 0, 14)
    assert len(list(boxes(3, 3, 1))) == 9


class Greedy(nn.Module):
    """Repeats pixels; more than `most` of them at once are too much for it."""

    factor, reach = 2, 3

    def __init__(self, most, error):
        super().__init__()
        self.most, self.error, self.seen = most, error, []

    def enlarge(self, images):
        self.seen.append(images.shape[2:])
        if images.shape[2] * images.shape[3] > self.most:
            raise self.error
        return images.repeat_interleave(2, 2).repeat_interleave(2, 3)


CPU_ERROR = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"


ERRORS = [MemoryError(), torch.OutOfMemoryError("CUDA OOM"), RuntimeError(CPU_ERROR)]


@pytest.mark.parametrize("error", [*ERRORS, RuntimeError("could not create a primitive")])
def test_where_memory_is_short_tiles_shrink_and_the_result_is_the_same(error):
    said, pixels = [], np.random.default_rng(1).integers(0, 256, (100, 130, 3)).astype(np.uint8)
    model = Greedy(40 * 40, error)
    tiler = Tiler(model, CPU, say=said.append)
    out = enlarged(tiler, pixels)
    np.testing.assert_array_equal(out, pixels.repeat(2, 0).repeat(2, 1))
    assert said == [
        "The memory does not suffice for tiles of 130 pixels: going on with 65.",
        "The memory does not suffice for tiles of 65 pixels: going on with 32.",
    ]
    model.seen.clear()  # and the next picture begins with what fits
    enlarged(tiler, pixels)
    assert max(h * w for h, w in model.seen) <= 40 * 40


def test_shrinking_ends():
    pixels = np.zeros((50, 50, 3), np.uint8)
    tiler = Tiler(Greedy(32 * 32, MemoryError()), CPU, overlap=20)
    tiler._cost = 1.0
    with pytest.raises(MemoryShort, match="The memory does not suffice for tiles of 13 pixels"):
        enlarged(tiler, pixels)
    with pytest.raises(RuntimeError, match="no such thing"):
        enlarged(Tiler(Greedy(33 * 33, RuntimeError("no such thing")), CPU), pixels)


def test_convolutions_are_not_rounded_to_tf32():
    """As cuDNN would where it may: results of a GPU are to be a CPU's."""
    allowed = []

    class Asks(Greedy):
        def enlarge(self, images):
            allowed.append(torch.backends.cudnn.allow_tf32)
            return super().enlarge(images)

    before = torch.backends.cudnn.allow_tf32
    enlarged(Tiler(Asks(10**9, None), CPU, tile=4), np.zeros((5, 5, 3), np.uint8))
    assert allowed[-4:] == [False] * 4
    assert torch.backends.cudnn.allow_tf32 is before


def test_nan_is_an_error():
    class Bad(Greedy):
        def enlarge(self, images):
            return super().enlarge(images) * float("nan")

    with pytest.raises(RunError, match="gives NaN"):
        enlarged(Tiler(Bad(10**9, None), CPU), np.zeros((5, 5, 3), np.uint8))


def test_tiles_fit_into_the_free_memory(monkeypatch):
    model = SRResNet(4, 64, 2).eval()
    # The last layer but one: its 64 channels in 4 x 4 pixels, before and after PReLU, in float32.
    assert 2 * 64 * 16 * 4 < bytes_per_pixel(model, CPU) < 4 * 64 * 16 * 4
    for free in (1 << 28, 1 << 30, 1 << 34):
        monkeypatch.setattr(picture_memory, "free_memory", lambda free=free: free)
        side, overlap = Tiler(model, CPU).layout(5000, 5000)
        assert overlap == model.reach
        used = (side + 2 * overlap) ** 2 * bytes_per_pixel(model, CPU)
        assert used <= 0.51 * free
        assert side + 2 * overlap == superres_tiles.LARGEST or used > 0.4 * free
    assert Tiler(model, CPU).layout(300, 200) == (300, model.reach)  # in one piece


def test_a_reach_that_costs_too_much_is_cut_and_that_is_said(monkeypatch):
    monkeypatch.setattr(superres_tiles, "bytes_per_pixel", lambda *_: 1e4)
    monkeypatch.setattr(picture_memory, "free_memory", lambda: 1 << 32)
    said = []
    model = Greedy(10**9, None)
    model.reach = 351
    tiler = Tiler(model, CPU, say=said.append)
    for _ in range(2):
        enlarged(tiler, np.zeros((600, 800, 3), np.uint8))
    (line,) = said
    assert line.startswith("Tiles of 335 pixels are computed with 64 around them; the network could see 351.")
    assert "--overlap 351 makes" in line
    exact = Tiler(model, CPU, overlap=351)
    assert exact.layout(600, 800)[1] == 351
    model.reach = 40
    assert Tiler(model, CPU, tile=20).layout(600, 800) == (20, 40)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu():
    """Tiles leave no seams, the estimate of memory holds, and smaller tiles are tried where it does not suffice."""
    device, said = torch.device("cuda", 0), []
    torch.manual_seed(0)
    model = SRResNet(4, 64, 16).eval().to(device)
    pixels = np.random.default_rng(1).integers(0, 256, (700, 900, 3)).astype(np.uint8)
    whole = enlarged(Tiler(model, device), pixels)
    tiled = enlarged(Tiler(model, device, tile=200), pixels)
    # Kernels are chosen by size, and convolutions are done in TF32.
    assert np.abs(whole.astype(int) - tiled).max() <= 2
    tiler = Tiler(model, device)
    cost = bytes_per_pixel(tiler.model, device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    enlarged(tiler, pixels)
    assert torch.cuda.max_memory_allocated(device) - before <= 1.2 * cost * 700 * 900
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, (2 << 30) / total), device)
    try:
        small = enlarged(Tiler(model, device, tile=900, say=said.append), pixels)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert said
    assert "The memory does not suffice for tiles of 900 pixels" in said[0]
    assert np.abs(whole.astype(int) - small).max() <= 2


def test_memory_is_measured_without_pytorchs_compiler():
    """Which takes two seconds to import."""
    program = (
        "import sys, torch; from gantool.nn.srresnet import SRResNet\n"
        "from gantool.tasks.superres_tiles import bytes_per_pixel\n"
        "print(bytes_per_pixel(SRResNet(2, 8, 1).eval(), torch.device('cpu')), 'torch._dynamo' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert float(said[0]) == bytes_per_pixel(SRResNet(2, 8, 1).eval(), CPU)
    assert said[1] == "False"
