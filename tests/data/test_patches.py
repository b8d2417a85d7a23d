"""Patches are those of their pictures, and their small pixels those of the small pictures, whatever chance does."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from gantool.data.degrade import Degradation
from gantool.data.labelled import open_labelled
from gantool.data.patches import PatchSet, cut
from gantool.data.pictures import open_pictures
from gantool.data.set_options import PatchOptions
from gantool.data.small import pair_small, plain_name
from gantool.errors import ConfigError, DataError
from gantool.nn.imresize import imresize

RANDOM = np.random.default_rng(3)


def noise(height, width):
    return RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Five pictures of random pixels and of other sizes, and one that is too small."""
    for k, (height, width) in enumerate([(64, 64), (70, 97), (131, 66), (64, 200), (90, 90), (30, 300)]):
        Image.fromarray(noise(height, width)).save(tmp_path / f"{k}.png")
    return tmp_path


@pytest.fixture
def opened():
    sets = []

    def make(folder, *, seed=5, rank=0, world=1, say=lambda _: None, **options):
        chosen = PatchOptions(**({"size": 32, "batch": 4} | options))
        sets.append(PatchSet(open_labelled(folder), chosen, seed=seed, rank=rank, world=world, say=say))
        return sets[-1]

    yield make
    for one in sets:
        one.close()


def levels(pictures):
    """(n, 3, H, W) in [-1, 1] as (n, H, W, 3) uint8."""
    return ((pictures + 1) / 2 * 255).round().byte().permute(0, 2, 3, 1).numpy()


def places(patch, whole):
    """Where in a picture a patch stands, exactly."""
    height, width = patch.shape[:2]
    found = []
    for top, left in zip(
        *np.nonzero((whole[..., 0] == patch[0, 0, 0]) & (whole[..., 1] == patch[0, 0, 1])), strict=True
    ):
        if np.array_equal(whole[top : top + height, left : left + width], patch):
            found.append((int(top), int(left)))
    return found


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_patches_are_aligned_and_their_small_pixels_are_those_of_the_whole(folder, opened, scale):
    size = 48
    wholes = [np.asarray(Image.open(folder / f"{k}.png")) for k in range(5)]
    wholes = [w[: w.shape[0] // scale * scale, : w.shape[1] // scale * scale] for w in wholes]
    smalls = [imresize(w, scale=1 / scale) for w in wholes]
    data = opened(folder, scale=scale, size=size, flip=False, turn=False)
    seen = set()
    for _ in range(10):
        batch = data.next()
        assert batch.images.shape == (4, 3, size, size)
        assert batch.given.shape == (4, 3, size // scale, size // scale)
        for large, small in zip(levels(batch.images), levels(batch.given), strict=True):
            [(k, top, left)] = [(k, *place) for k, whole in enumerate(wholes) for place in places(large, whole)]
            assert top % scale == left % scale == 0
            y, x, side = top // scale, left // scale, size // scale
            assert np.array_equal(small, smalls[k][y : y + side, x : x + side])
            seen.add((k, top, left))
    assert {k for k, _, _ in seen} == {0, 1, 2, 3, 4}
    assert len(seen) > 20


@pytest.mark.parametrize("kernel", ["bilinear", "lanczos", "area", "nearest"])
def test_other_kernels_are_pillows(kernel):
    whole = noise(96, 120)
    how = {"bilinear": Image.BILINEAR, "lanczos": Image.LANCZOS, "area": Image.BOX, "nearest": Image.NEAREST}[kernel]
    small = np.asarray(Image.fromarray(whole).resize((30, 24), how))
    degradation = Degradation(4, kernel)
    assert np.array_equal(degradation(whole), small)
    for corner in ((0, 0), (8, 11), (16, 22)):
        _, part = cut(whole, None, corner, 32, degradation, None)
        expected = small[corner[0] : corner[0] + 8, corner[1] : corner[1] + 8]
        assert (
            np.abs(part.astype(int) - expected).max() <= 1
        )  # Pillow's weights are whole numbers, cut off where it begins


def test_blur_and_noise_have_the_strength_that_is_drawn():
    flat = np.full((200, 200, 3), 128, np.uint8)
    noisy = [Degradation(2, noise=20)(flat, np.random.default_rng(seed)).astype(float) for seed in range(12)]
    drawn = [np.random.default_rng(seed).uniform(0, 20) for seed in range(12)]
    for small, sigma in zip(noisy, drawn, strict=True):
        assert small.std() == pytest.approx(np.hypot(sigma, 1 / 12**0.5), rel=0.03, abs=0.1)
        assert small.mean() == pytest.approx(128, abs=0.5)
    whole = noise(80, 80)
    sigma = np.random.default_rng(4).uniform(0, 3)
    blurred = np.stack(
        [ndimage.gaussian_filter(whole[..., c].astype(float), sigma, mode="nearest") for c in range(3)], 2
    )
    expected = imresize(np.rint(blurred).astype(np.uint8), scale=0.5)
    small = Degradation(2, blur=3)(whole, np.random.default_rng(4))
    assert np.abs(small.astype(int) - expected).max() <= 1
    _, part = cut(whole, None, (15, 12), 20, Degradation(2, blur=3), np.random.default_rng(4))
    assert np.array_equal(part, small[15:25, 12:22])


def test_both_are_turned_and_mirrored_alike(folder, opened):
    """All eight ways occur, and undoing the way of the large patch gives the small one's pixels."""
    wholes = [np.asarray(Image.open(folder / f"{k}.png")) for k in range(5)]
    ways = [(quarter, mirrored) for quarter in range(4) for mirrored in (False, True)]
    data, met = opened(folder, scale=4, size=48), set()
    for _ in range(12):
        batch = data.next()
        for large, small in zip(levels(batch.images), levels(batch.given), strict=True):
            found = []
            for quarter, mirrored in ways:
                back = [np.rot90(x[:, ::-1] if mirrored else x, -quarter) for x in (large, small)]
                found += [(quarter, mirrored, k, *p, back[1]) for k, w in enumerate(wholes) for p in places(back[0], w)]
            [(quarter, mirrored, k, top, left, below)] = found
            whole = wholes[k][: wholes[k].shape[0] // 4 * 4, : wholes[k].shape[1] // 4 * 4]
            expected = imresize(whole, scale=0.25)[top // 4 : top // 4 + 12, left // 4 : left // 4 + 12]
            assert np.array_equal(below, expected)
            met.add((quarter, mirrored))
    assert met == set(ways)


def test_every_place_is_as_likely(tmp_path, opened):
    rows, columns = np.mgrid[:48, :64]
    Image.fromarray(np.stack([rows, columns, rows], 2).astype(np.uint8)).save(tmp_path / "map.png")
    data = opened(tmp_path, scale=4, size=32, batch=16, flip=False, turn=False)
    corners = np.concatenate([levels(data.next().images)[:, 0, 0, :2] for _ in range(100)])
    assert set(corners[:, 0]) == {0, 4, 8, 12, 16}
    assert set(corners[:, 1]) == set(range(0, 33, 4))
    counts = np.bincount(corners[:, 0] // 4)
    assert np.abs(counts - 320).max() < 4 * (1600 * 0.2 * 0.8) ** 0.5  # four deviations


def test_the_same_whatever_the_threads_the_memory_the_processes_and_the_interruptions(folder, opened):
    options = {"scale": 4, "blur": 1.5, "noise": 8}

    def drawn(data, batches):
        return [torch.cat([x.flatten() for x in (b.images, b.given)]) for b in (data.next() for _ in range(batches))]

    wanted = drawn(opened(folder, **options), 6)
    for more in ({"workers": 1}, {"workers": 4}, {"cache": 0.0}, {"cache": 1e-5}):
        assert all(torch.equal(a, b) for a, b in zip(drawn(opened(folder, **options, **more), 6), wanted, strict=True))
    later = opened(folder, **options)
    later.position = 12
    assert torch.equal(drawn(later, 1)[0], wanted[3])
    halves = [opened(folder, rank=rank, world=2, **options).next() for rank in (0, 1)]
    whole = opened(folder, **options).next()
    assert torch.equal(torch.cat([h.images for h in halves]), whole.images)
    assert torch.equal(torch.cat([h.given for h in halves]), whole.given)
    assert not torch.equal(opened(folder, seed=6, **options).next().images, whole.images)


def test_pictures_that_are_too_small_or_damaged_are_left_out_and_said(folder, opened):
    (folder / "6.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    said = []
    data = opened(folder, size=64, say=said.append)
    for _ in range(6):
        data.next()
    assert {name for name, _ in data.skipped} == {"5.png", "6.png"}
    assert any("5.png cannot be read (300x30 pixels, less than a patch of 64x64; see --size)" in text for text in said)


def test_a_set_of_which_nothing_can_be_used(folder, opened):
    with pytest.raises(
        DataError, match=r"None of the 6 pictures .* \(0\.png: 64x64 pixels, less than a patch of 256x256"
    ):
        opened(folder, size=256)
    with pytest.raises(DataError, match=r"The only picture in .* cannot be used .* Take larger pictures"):
        opened(folder / "0.png", size=256)


def test_what_fits_is_kept_and_the_rest_is_read_again(folder, opened):
    assert opened(folder).cached
    kept_some = opened(folder, cache=64 * 64 * 3 / 2**30)
    for _ in range(4):
        kept_some.next()
    assert not kept_some.cached


# Small pictures that are given


def test_small_pictures_of_a_folder(folder, tmp_path_factory, opened):
    below = tmp_path_factory.mktemp("small")
    marks = {}
    for k in range(6):
        height, width = (length // 4 for length in np.asarray(Image.open(folder / f"{k}.png")).shape[:2])
        marks[k] = noise(height, width)
        Image.fromarray(marks[k]).save(below / f"{k}x4.png")
    wholes = [np.asarray(Image.open(folder / f"{k}.png")) for k in range(5)]
    data = opened(folder, small=str(below), flip=False, turn=False)
    for _ in range(5):
        batch = data.next()
        for large, small in zip(levels(batch.images), levels(batch.given), strict=True):
            [(k, top, left)] = [(k, *place) for k, whole in enumerate(wholes) for place in places(large, whole)]
            assert np.array_equal(small, marks[k][top // 4 : top // 4 + 8, left // 4 : left // 4 + 8])
    assert any(note == f"small ones from {below}" for note in data.notes)


def test_small_pictures_of_a_wrong_size(folder, tmp_path_factory, opened):
    below = tmp_path_factory.mktemp("small")
    for k in range(6):
        Image.fromarray(noise(16, 16)).save(below / f"{k}.png")
    data = opened(folder, small=str(below))
    for _ in range(4):
        data.next()
    assert dict(data.skipped)["1.png"] == "its small picture is 16x16, not 24x17"


def test_names_of_pairs():
    names = ["0001.png", "0001x4.png", "0001x4m.png", "a/0001_LR.png", "img_001_SRF_4_HR.png", "img_001_SRF_4_LR.png"]
    assert [plain_name(name, 4) for name in names] == ["0001", "0001", "0001", "a/0001", "img_001", "img_001"]
    assert plain_name("box4.png", 4) == "bo"  # both sides are read alike, so no pair is lost by it
    assert plain_name("x2y.png", 4) == "x2y"


def test_pictures_without_a_small_one_are_named(tmp_path):
    for name in ("a.png", "c.png", "cx4.png"):
        Image.fromarray(noise(8, 8)).save(tmp_path / name)
    small = open_pictures(tmp_path)
    with pytest.raises(DataError, match=r"2 of 3 pictures in big have no small picture .*: b\.png, c\.png\."):
        pair_small(["a.png", "b.png", "c.png"], small, 4, "big")


def test_options_that_do_not_go_together():
    with pytest.raises(ConfigError, match=r"--size 50 is no multiple of --scale 4\. Take 48 or 64\."):
        PatchOptions(size=50)
    with pytest.raises(ConfigError, match=r"Take 48\."):
        PatchOptions(size=32, scale=3)
    with pytest.raises(ConfigError, match=r"Take 9 or 12\."):
        PatchOptions(size=10, scale=3)
    with pytest.raises(ConfigError, match=r"--small has them already"):
        PatchOptions(small="there", noise=3.0)


def test_examples_are_the_middles(folder, opened):
    data = opened(folder, size=32)
    large, small = data.examples(np.array([0, 1]))
    whole = np.asarray(Image.open(folder / "1.png"))
    assert np.array_equal(large[1], whole[16:48, 32:64])
    assert np.array_equal(small[1], imresize(whole[:68, :96], scale=0.25)[4:12, 8:16])
    assert np.array_equal(data.pictures(np.array([0, 1])), large)
    assert list(itertools.chain(data.notes)) == ["made small by bicubic, by 4"]
