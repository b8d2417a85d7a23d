"""Pairs are cut and mirrored alike, keep what their files hold, and are refused before training where they must be."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, Resize

from gantool.data.pair_set import PairSet
from gantool.data.pairs import open_pairs
from gantool.data.palette import generic_colours, open_palette
from gantool.data.set_options import PairOptions
from gantool.data.sides import fitted, resized
from gantool.errors import ConfigError, DataError

DATA = Path(__file__).parents[3] / "shared" / "data" / "pix2pix"
RANDOM = np.random.default_rng(11)


def noise(height, width, *channels, top=256, kind=np.uint8):
    return RANDOM.integers(0, top, (height, width, *channels), dtype=kind)


def save(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def beside(tmp_path):
    """Five pictures A|B of 40 × 30 each, random, and what they are."""
    return tmp_path, [save(noise(30, 80, 3), tmp_path / f"{k}.png") for k in range(5)]


@pytest.fixture
def opened():
    sets = []

    def make(data, *, seed=5, rank=0, world=1, say=lambda _: None, background="white", **options):
        chosen = PairOptions(**({"size": 16, "load_size": 16, "batch": 2} | options))
        pairs = open_pairs(data, target=chosen.target, part=chosen.part, background=background)
        how = {"seed": seed, "rank": rank, "world": world, "say": say, "background": background}
        sets.append(PairSet(pairs, chosen, **how))
        return sets[-1]

    yield make
    for one in sets:
        one.close()


def levels(pictures, top=255):
    """(n, C, H, W) in [-1, 1] as (n, H, W, C) whole numbers."""
    return ((pictures.double() + 1) / 2 * top).round().long().permute(0, 2, 3, 1).numpy()


def place(part, whole):
    """Where in a picture a part stands, and whether mirrored."""
    height, width = part.shape[:2]
    found = []
    for mirrored, one in ((False, part), (True, part[:, ::-1])):
        for y, x in zip(*np.nonzero((whole == one[0, 0]).all(2)), strict=True):
            if np.array_equal(whole[y : y + height, x : x + width], one):
                found.append((int(y), int(x), mirrored))
    return found


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_parts_of_both_are_the_same_part(beside, opened, direction):
    folder, wholes = beside
    data, seen = opened(folder, preprocess="crop", size=12, direction=direction), set()
    for _ in range(30):
        batch = data.next()
        assert batch.images.shape == batch.given.shape == (2, 3, 12, 12)
        for truth, given in zip(levels(batch.images), levels(batch.given), strict=True):
            left, right = (given, truth) if direction == "AtoB" else (truth, given)
            [(k, where)] = [(k, p) for k, whole in enumerate(wholes) for p in place(left, whole[:, :40])]
            assert place(right, wholes[k][:, 40:]) == [where]
            seen.add((k, *where))
    assert {k for k, *_ in seen} == set(range(5))
    assert {mirrored for *_, mirrored in seen} == {False, True}
    assert len({where[1:3] for where in seen}) > 30


def test_squashed_as_torchvision_does_it_and_decoded_once(beside, opened):
    folder, wholes = beside
    data = opened(folder, size=20, load_size=24)
    halves = [(whole[:, :40], whole[:, 40:]) for whole in wholes]
    resize = Resize([24, 24], InterpolationMode.BICUBIC)
    large = [[np.asarray(resize(Image.fromarray(np.ascontiguousarray(half)))) for half in pair] for pair in halves]
    for step in range(6):
        batch = data.next()
        for truth, given in zip(levels(batch.images), levels(batch.given), strict=True):
            [(k, where)] = [(k, p) for k, pair in enumerate(large) for p in place(given, pair[0])]
            assert place(truth, large[k][1]) == [where]
        if step == 3:  # every picture has been met, and those ahead too
            for path in folder.iterdir():
                path.unlink()
    assert data.cached
    assert data.skipped == []


def test_examples_are_squashed_whole(beside, opened):
    folder, wholes = beside
    truth, given = opened(folder, size=20, load_size=24).examples(np.array([1, 4]))
    resize = Resize([20, 20], InterpolationMode.BICUBIC)
    for row, k in enumerate((1, 4)):
        for found, half in ((given, wholes[k][:, :40]), (truth, wholes[k][:, 40:])):
            assert np.array_equal(found[row], np.asarray(resize(Image.fromarray(np.ascontiguousarray(half)))))
    data = opened(folder, preprocess="crop", size=10)
    truth, given = data.examples(np.array([2]))
    assert np.array_equal(given[0], wholes[2][10:20, 15:25])
    assert np.array_equal(data.pictures(np.array([2])), truth)


def test_the_same_for_a_seed_on_any_number_of_processes(beside, opened):
    folder, _ = beside
    alone = opened(folder, preprocess="crop", batch=4, workers=3).next()
    shares = [opened(folder, preprocess="crop", batch=4, rank=rank, world=2, cache=0.0).next() for rank in (0, 1)]
    assert torch.equal(torch.cat([one.images for one in shares]), alone.images)
    assert torch.equal(torch.cat([one.given for one in shares]), alone.given)
    later = opened(folder, preprocess="crop", batch=4, seed=6).next()
    assert not torch.equal(later.images, alone.images)


def test_widths(tmp_path, opened):
    """The height follows the width, cut to whole pixels; with a crop it is at least as high as that."""
    wholes = [save(noise(31, 60, 3), tmp_path / "a/1.png"), save(noise(31, 60, 3), tmp_path / "b/1.png")]
    data = opened(tmp_path, preprocess="scale_width", load_size=40, flip=False, batch=1)
    assert (data.shape.height, data.shape.width) == (20, 40)
    assert (data.translation.size, data.translation.fit) == ((20, 40), "width")
    batch = data.next()
    for found, whole in ((batch.given, wholes[0]), (batch.images, wholes[1])):
        assert np.array_equal(levels(found)[0], np.asarray(Image.fromarray(whole).resize((40, 20), Image.BICUBIC)))
    data = opened(tmp_path, preprocess="scale_width_and_crop", load_size=40, size=32, flip=False, batch=1)
    large = np.asarray(Image.fromarray(wholes[0]).resize((40, 32), Image.BICUBIC))
    assert place(levels(data.next().given)[0], large)
    assert (data.translation.size[1], data.translation.fit) == (40, "width")


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_widths_of_pairs_whose_heights_differ_by_rounding(tmp_path, opened, direction):
    for k in range(2):
        save(noise(15, 20, 3), tmp_path / f"a/{k}.png")  # 30 high at 40
        save(noise(149, 200, 3), tmp_path / f"b/{k}.png")  # 29
    data = opened(tmp_path, preprocess="scale_width", load_size=40, direction=direction)
    batch = data.next()
    assert batch.given.shape == batch.images.shape == (2, 3, 30, 40)
    assert data.skipped == []


def test_pictures_as_they_are(beside, opened):
    folder, wholes = beside
    data = opened(folder, preprocess="none", flip=False)
    assert (data.shape.height, data.shape.width, data.translation.fit) == (30, 40, "none")
    for truth, given in zip(levels(data.next().images), levels(data.next().given), strict=True):
        assert any(np.array_equal(truth, whole[:, 40:]) for whole in wholes)
        assert any(np.array_equal(given, whole[:, :40]) for whole in wholes)


# --- kinds ------------------------------------------------------------------------------------------------


def test_ids_are_painted_and_never_mixed(tmp_path, opened):
    for k in range(3):
        save(noise(30, 40, 3), tmp_path / f"a/{k}.png")
        save(noise(30, 40, top=5), tmp_path / f"b/{k}.png")
    for palette, of in (("", "generic"), ("generic", "generic"), ("cityscapes", "cityscapes"), ("facades", "facades")):
        data = opened(tmp_path, direction="BtoA", size=20, load_size=24, palette=palette)
        colours = {tuple(c) for c in open_palette(of).colours[:5].tolist()}
        batch = data.next()
        assert {tuple(c) for c in levels(batch.given).reshape(-1, 3).tolist()} == colours
        assert f"B (labels painted as {of}) becomes A (colour)" in data.notes
        assert data.translation.input_palette == (() if of == "generic" else open_palette(of).plain)
    assert (data.translation.takes, data.translation.gives, data.translation.palette) == ("labels", "rgb", ())
    data = opened(tmp_path)
    assert data.translation.palette == tuple(map(tuple, generic_colours(np.arange(5)).tolist()))


def test_a_palette_of_the_file_is_kept(tmp_path, opened):
    colours = [(9, 99, 199), (200, 10, 20), (0, 0, 0)]
    for k in range(3):
        save(noise(30, 40, 3), tmp_path / f"a/{k}.png")
        image = Image.fromarray(noise(30, 40, top=3)).convert("P")
        image.putpalette(sum(colours, ()))
        (tmp_path / "b").mkdir(exist_ok=True)
        image.save(tmp_path / f"b/{k}.png")
    data = opened(tmp_path, size=20, load_size=24)
    assert {tuple(c) for c in levels(data.next().images).reshape(-1, 3).tolist()} == set(colours)
    assert (data.translation.gives, set(data.translation.palette)) == ("labels", set(colours))


def test_colours_of_jpeg_become_those_of_the_palette(tmp_path, opened):
    palette = open_palette("facades")
    ids = np.kron(noise(4, 4, top=13), np.ones((10, 10), np.uint8))
    both = np.concatenate([noise(40, 40, 3), palette.colours[ids]], 1)
    Image.fromarray(both).save(tmp_path / "1.jpg", quality=70)
    data = opened(tmp_path, output_kind="labels", palette="facades", preprocess="none", flip=False, batch=1)
    found = levels(data.next().images)[0]
    assert {tuple(c) for c in found.reshape(-1, 3).tolist()} <= set(palette.plain)
    assert (found == palette.colours[ids]).all(2).mean() > 0.9
    assert data.translation.palette == palette.plain
    assert data.translation.takes == "rgb"
    with pytest.raises(ConfigError, match=r"nothing in .* was taken for labels \(colour in, colour out\)"):
        opened(tmp_path, palette="facades")


@pytest.mark.parametrize(
    ("pixels", "suffix", "kind"),
    [
        (noise(20, 20), "png", "grey"),
        (np.repeat(noise(20, 20, 1), 3, 2), "png", "grey"),
        (noise(20, 20, top=2) * 255, "png", "grey"),  # a mask
        (noise(20, 20, top=40), "png", "labels"),
        (np.where(noise(20, 20, top=2), 255, noise(20, 20, top=21)).astype(np.uint8), "png", "labels"),  # PASCAL VOC
        (noise(20, 20, top=40), "jpg", "grey"),  # which keeps no ids
        (noise(20, 20, top=30, kind=np.uint16) * 1000, "png", "labels"),
        (noise(20, 20, top=65536, kind=np.uint16), "png", "grey"),
        (noise(20, 20, 3), "png", "rgb"),
        (np.dstack([noise(20, 20, 3, top=2) * 9]), "png", "rgb"),
    ],
)
def test_kinds_by_themselves(tmp_path, opened, pixels, suffix, kind):
    save(noise(20, 20, 3), tmp_path / "a/1.png")
    save(pixels, tmp_path / f"b/1.{suffix}")
    data = opened(tmp_path, batch=1)
    assert (data.translation.takes, data.translation.gives) == ("rgb", kind)
    assert data.shape.channels == data.next().images.shape[1] == (1 if kind == "grey" else 3)
    assert data.shape.given == 3
    assert data.pictures(np.array([0])).shape == (1, 16, 16, 3)


def test_a_palette_of_many_colours_is_a_photograph(tmp_path, opened):
    for k in range(2):
        save(noise(20, 20, 3), tmp_path / f"a/{k}.png")
        (tmp_path / "b").mkdir(exist_ok=True)
        Image.fromarray(noise(20, 20, 3)).quantize(200).save(tmp_path / f"b/{k}.png")
    assert opened(tmp_path).translation.gives == "rgb"


def test_grey_is_luma_and_can_be_asked_for(beside, opened):
    folder, wholes = beside
    data = opened(folder, input_kind="grey", preprocess="none", flip=False)
    assert data.shape.given == 1
    lumas = [np.asarray(Image.fromarray(np.ascontiguousarray(w[:, :40])).convert("L")) for w in wholes]
    assert all(any(np.array_equal(one[..., 0], luma) for luma in lumas) for one in levels(data.next().given))


def test_an_id_without_a_colour_leaves_its_pair_out(tmp_path, opened):
    for k in range(2):
        save(noise(20, 20, 3), tmp_path / f"a/{k}.png")
        save(noise(20, 20, top=5 + 60 * k), tmp_path / f"b/{k}.png")
    said = []
    data = opened(tmp_path, output_kind="labels", palette="cityscapes", say=said.append)
    for _ in range(3):
        data.next()
    assert data.skipped[0][0] == "1.png"
    assert "and the palette cityscapes ends at 33" in data.skipped[0][1]
    assert said[0].endswith("the next pair takes its place.")


def test_sixteen_bits_stay(tmp_path, opened):
    deep = noise(20, 24, top=65536, kind=np.uint16)
    save(deep, tmp_path / "b/1.png")
    eight = save(noise(20, 24, 3), tmp_path / "a/1.png")
    data = opened(tmp_path, bits=16, preprocess="none", flip=False, batch=1)
    batch = data.next()
    assert np.array_equal(levels(batch.images, 65535)[0, ..., 0], deep)
    assert np.array_equal(levels(batch.given, 65535)[0], eight.astype(int) * 257)
    assert data.translation.bits == 16
    assert data.examples(np.array([0]))[0].dtype == np.uint16
    assert np.array_equal(data.pictures(np.array([0]))[0, ..., 0], (deep.astype(int) * 255 + 32767) // 65535)
    squashed = levels(opened(tmp_path, bits=16, flip=False, batch=1).next().images, 65535)[0, ..., 0]
    smaller = np.asarray(Image.fromarray(deep.astype(np.float32)).resize((16, 16), Image.BICUBIC))
    assert np.abs(squashed - smaller.clip(0, 65535)).max() <= 0.51


def test_transparent_pictures_stand_on_the_background(tmp_path, opened):
    clear = np.dstack([noise(20, 20, 3), np.zeros((20, 20), np.uint8)])
    save(clear, tmp_path / "a/1.png")
    save(noise(20, 20, 3), tmp_path / "b/1.png")
    for bits in (8, 16):
        given = opened(tmp_path, bits=bits, batch=1, background="#ff0000", input_kind="rgb").next().given
        assert given[0].mean((1, 2)).tolist() == [1, -1, -1]


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the pictures of ../shared/data")
def test_cityscapes_and_facades(opened):
    labels, one = str(DATA / "cityscapes/train_label"), {"limit": 1, "batch": 1}
    data = opened(DATA / "cityscapes/train_img", target=labels, preprocess="scale_width", load_size=128, **one)
    assert "A (colour) becomes B (labels painted as cityscapes)" in data.notes
    given = levels(data.next().images)
    assert given.shape == (1, 64, 128, 3)
    assert {tuple(c) for c in given.reshape(-1, 3).tolist()} <= set(open_palette("cityscapes").plain)
    data = opened(DATA / "facades", direction="BtoA", size=256, load_size=286, batch=1, limit=4)
    assert (len(data), data.translation.takes, data.shape.given) == (4, "rgb", 3)
    assert data.next().images.shape == (1, 3, 256, 256)


# --- what does not fit ------------------------------------------------------------------------------------


def test_sizes_that_differ_in_a_pair(tmp_path, opened):
    for k, width in enumerate((20, 20, 25)):
        save(noise(20, 20, 3), tmp_path / f"a/{k}.png")
        save(noise(20, width, 3), tmp_path / f"b/{k}.png")
    assert "1 pair of two sizes, brought to one" in opened(tmp_path).notes
    for how in ("crop", "none", "scale_width"):
        with pytest.raises(DataError, match=r"In 1 of 3 pairs .* \(2.png: 20 × 20 and 25 × 20\)\. .* --fit"):
            opened(tmp_path, preprocess=how)
    save(noise(40, 41, 3), tmp_path / "b/2.png")
    assert opened(tmp_path, preprocess="scale_width").shape.height == 16


def test_sizes_that_differ_between_pairs(tmp_path, opened):
    for k, width in enumerate((20, 20, 25, 30, 31)):
        save(noise(20, 2 * width, 3), tmp_path / f"{k}.png")
    message = r"With --preprocess none the pictures of .* 2 of 20 × 20, 1 of 25 × 20, .* and 1 further sizes\. Take"
    with pytest.raises(DataError, match=message):
        opened(tmp_path, preprocess="none")
    with pytest.raises(DataError, match="With --preprocess scale_width"):
        opened(tmp_path, preprocess="scale_width", load_size=20)
    assert opened(tmp_path, preprocess="crop").shape.width == 16


def test_small_and_odd_and_broken_pictures(tmp_path, opened):
    whole = save(noise(20, 41, 3), tmp_path / "0.png")
    save(noise(15, 60, 3), tmp_path / "1.png")
    (tmp_path / "2.png").write_text("nothing")
    save(noise(20, 1, 3), tmp_path / "3.png")
    (tmp_path / "4.png").write_bytes((tmp_path / "0.png").read_bytes()[:700])
    data = opened(tmp_path, preprocess="crop", flip=False, size=20, batch=1)
    assert "2 pairs of an odd width, whose middle column is left out" in data.notes
    assert "3 pairs cannot be used (1.png, 2.png, 3.png)" in data.notes
    for _ in range(5):
        batch = data.next()
        assert np.array_equal(levels(batch.given)[0], whole[:, :20])
        assert np.array_equal(levels(batch.images)[0], whole[:, 21:])
    reasons = dict(data.skipped)
    assert reasons["1.png"] == "30x15 pixels, less than a part of 20x20; see --size"
    assert reasons["2.png"] == "not a picture but seems to be a text file"
    assert "one pixel wide" in reasons["3.png"]
    assert "damaged or cut off" in reasons["4.png"]
    with pytest.raises(DataError, match=r"None of the 5 pairs in .* can be used \(.*less than a part of 64x64"):
        opened(tmp_path, preprocess="crop", size=64, load_size=64)


def test_nothing_to_use(tmp_path, opened):
    (tmp_path / "1.png").write_text("nothing")
    with pytest.raises(DataError, match=r"The only pair in .* cannot be used \(1.png: not a picture"):
        opened(tmp_path)


def test_a_picture_that_claims_to_be_huge(tmp_path, opened):
    """Its header is refused before anything is decoded."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    huge = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)) + chunk(b"IEND", b"")
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + huge)
    save(noise(20, 40, 3), tmp_path / "2.png")
    data = opened(tmp_path)
    data.next()
    assert "megapixels" in dict(data.skipped)["1.png"]


def test_a_picture_turned_after_its_pixels(tmp_path, opened):
    """EXIF may stand behind the pixels, where headers are not read to; such a pair is left out."""
    save(noise(20, 24, 3), tmp_path / "b/1.png")
    save(noise(20, 24, 3), tmp_path / "b/2.png")
    save(noise(20, 24, 3), tmp_path / "a/2.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(noise(20, 24, 3))
    image.save(tmp_path / "a/1.png", exif=exif)
    data = (tmp_path / "a/1.png").read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + struct.unpack(">I", data[start : start + 4])[0]
    (tmp_path / "a/1.png").write_bytes(data[:start] + data[end:-12] + data[start:end] + data[-12:])
    found = opened(tmp_path, preprocess="none")
    for _ in range(3):
        found.next()
    assert found.skipped == [("1.png", "its pixels are not as many as its header says")]


def test_options_that_do_not_go_together():
    with pytest.raises(ConfigError, match=r"--load-size 286 is less than --size 512.* Take --load-size 572, or 512"):
        PairOptions(size=512, load_size=286)
    assert [PairOptions(size=size).loaded for size in (128, 256, 512)] == [143, 286, 572]
    with pytest.raises(ConfigError, match="neither side is labels"):
        PairOptions(palette="cityscapes", input_kind="rgb", output_kind="grey")
    assert PairOptions(size=512, load_size=286, preprocess="crop").crops


# --- whole pictures ---------------------------------------------------------------------------------------


def test_fitted():
    pixels = noise(31, 60, 3)
    assert fitted(pixels, (20, 40), "none", "rgb") is pixels
    wide = np.asarray(Image.fromarray(pixels).resize((40, 20), Image.BICUBIC))
    assert np.array_equal(fitted(pixels, (99, 40), "width", "rgb"), wide)
    assert fitted(pixels, (24, 40), "squash", "rgb").shape == (24, 40, 3)
    nearest = np.asarray(Image.fromarray(pixels).resize((40, 20), Image.NEAREST))
    assert np.array_equal(fitted(pixels, (20, 40), "squash", "labels"), nearest)
    assert np.array_equal(resized(pixels[..., :1], (20, 40), "grey")[..., 0], wide[..., 0])


def test_nearest_is_pillows():
    for have, want in ((7, 20), (20, 7), (100, 33), (33, 100)):
        line = np.arange(have, dtype=np.uint8)[None].repeat(3, 0)
        expected = np.asarray(Image.fromarray(line).resize((want, 3), Image.NEAREST))
        assert np.array_equal(resized(line[..., None], (3, want), "labels")[..., 0], expected)


def test_what_run_json_keeps(beside, opened):
    folder, _ = beside
    data = opened(folder, direction="BtoA", output_kind="grey")
    found = data.describe()
    kept = {key: found[key] for key in ("pictures", "direction", "given", "truth", "channels", "given_channels")}
    assert kept == {
        "pictures": 5, "direction": "BtoA", "given": "rgb", "truth": "grey", "channels": 1, "given_channels": 3,
    }  # fmt: skip
    assert data.says().startswith(f"{folder} (5 pairs, 16 × 16 px; A left and B right in each picture; B (colour) ")
