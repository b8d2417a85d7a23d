"""Pictures and folders translated by a network: what it is shown, what is kept, sizes, seeds, what goes wrong."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

import gantool
from gantool.data.faithful import Extras, load_faithful
from gantool.data.faithful_write import Form, encode
from gantool.data.palette import open_palette
from gantool.data.sides import resized
from gantool.data.translator_files import save_translator
from gantool.errors import ConfigError, DataError, MemoryShort, RunError, UsageError
from gantool.family import Translation
from gantool.nn.unet import UNet
from gantool.tasks import translate_passes
from gantool.tasks.translate import translate
from gantool.tasks.translator import fingerprint, habits_of, open_translator


def noise(channels=3, dtype=np.uint8, size=(6, 9), seed=0):
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top + 1, (*size, channels)).astype(dtype)


def write(path, pixels, kind="png", **extras):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(pixels, Extras(**extras), Form(kind))[0])
    return path


def read(path):
    return load_faithful(path).pixels


def negative(pixels):
    return np.iinfo(pixels.dtype).max - pixels


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for number, name in enumerate(("a.png", "sub folder/b.png", "sub folder/größe 10.png", "sub folder/größe 9.png")):
        write(folder / name, noise(seed=number))
    return folder


@pytest.fixture
def network(tmp_path):
    """A file of a tiny U-Net with dropout."""
    torch.manual_seed(0)
    path = tmp_path / "unet.safetensors"
    save_translator(UNet(layers=3, width=4, dropped="first"), path, Translation(size=(8, 8)))
    return path


# --- what is kept -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_at_its_own_size_every_level_goes_through(tmp_path, inverting, dtype):
    pixels = noise(3, dtype, (7, 13))
    model = inverting(bits=8 * np.dtype(dtype).itemsize)
    done = translate(model, write(tmp_path / "a.png", pixels), size="own")
    assert done.files == [tmp_path / "a-translated.png"]
    np.testing.assert_array_equal(read(done.files[0]), negative(pixels))
    ((images, seeds, mode),) = model.seen
    np.testing.assert_allclose(images[0].permute(1, 2, 0), pixels / np.iinfo(dtype).max * 2 - 1, atol=1e-6)
    assert (seeds, mode) == ([0], "paper")


def test_sixteen_bits_in_are_seen_and_eight_come_out(tmp_path, inverting):
    pixels, model = noise(3, np.uint16), inverting()
    made = read(translate(model, write(tmp_path / "a.png", pixels), size="own").files[0])
    assert made.dtype == np.uint8
    assert np.abs(made - (255 - pixels / 257)).max() <= 0.5
    np.testing.assert_allclose(model.seen[0][0][0, 0], pixels[..., 0] / 65535 * 2 - 1, atol=1e-6)


def test_grey_and_colour_are_brought_to_what_the_network_takes(tmp_path, inverting):
    grey, colour = noise(1), noise(3)
    made = translate(inverting(), write(tmp_path / "grey.png", grey), size="own").files[0]
    np.testing.assert_array_equal(read(made), negative(np.repeat(grey, 3, 2)))
    model = inverting(takes="grey", gives="grey")
    made = translate(model, write(tmp_path / "colour.png", colour), size="own").files[0]
    luma = np.rint(colour @ np.array([0.299, 0.587, 0.114]))
    assert read(made).shape == (6, 9, 1)
    assert np.abs(read(made)[..., 0] - (255 - luma)).max() <= 1
    assert model.seen[0][0].shape == (1, 1, 6, 9)


def test_transparent_pixels_are_seen_on_the_background_and_stay_transparent(tmp_path, inverting):
    pixels = noise(4)
    pixels[:3, :, 3], pixels[3:, :, 3] = 0, 255
    source, model = write(tmp_path / "a.png", pixels), inverting()
    made = read(translate(model, source, size="own").files[0])
    np.testing.assert_array_equal(made[..., 3], pixels[..., 3])
    assert (model.seen[0][0][0, :, :3] == 1).all()  # white, as in training
    np.testing.assert_array_equal(made[3:, :, :3], negative(pixels[3:, :, :3]))
    opaque = read(translate(model, source, tmp_path / "b.png", size="own", matte="#ff0000").files[0])
    np.testing.assert_array_equal(opaque[:3], np.broadcast_to(np.uint8([0, 255, 255]), (3, 9, 3)))
    half = read(translate(inverting(size=(3, 18)), source, tmp_path / "c.png").files[0])
    np.testing.assert_array_equal(half[..., 3:], resized(pixels[..., 3:], (3, 18), "grey"))


def test_jpeg_of_what_is_transparent_is_refused_before_it_is_made(tmp_path, inverting):
    model = inverting()
    source = write(tmp_path / "a.png", noise(4))
    with pytest.raises(DataError, match=r"transparent in places, which JPEG cannot hold.*--matte"):
        translate(model, source, tmp_path / "b.jpg")
    assert not model.seen
    assert translate(model, source, tmp_path / "b.jpg", matte="white").files == [tmp_path / "b.jpg"]


def test_what_a_file_says_beside_its_pixels_is_kept(tmp_path, inverting):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"  # to be turned
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = noise()
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif, icc_profile=icc, dpi=(72, 72))
    made = translate(inverting(), tmp_path / "a.png", size="own").files[0]
    found = load_faithful(made)
    np.testing.assert_array_equal(found.pixels, negative(pixels)[::-1].transpose(1, 0, 2))
    assert (found.extras.exif[0x0112], found.extras.exif[0x010F]) == (1, "Maker")
    assert found.extras.icc == icc
    for facts in ({"gives": "grey"}, {"takes": "labels"}):  # which the profile is not about
        model = inverting(**facts)
        made = translate(model, tmp_path / "a.png", tmp_path / "b.png", size="own", overwrite=True).files[0]
        assert load_faithful(made).extras.icc is None


def test_other_formats(tmp_path, inverting):
    source = write(tmp_path / "a.jpg", noise(size=(16, 16)), "jpg")
    assert translate(inverting(), source).files == [tmp_path / "a-translated.png"]
    deep = translate(inverting(bits=16), source, format="tif").files[0]
    assert read(deep).dtype == np.uint16
    said = []
    translate(inverting(bits=16), source, tmp_path / "b.webp", say=said.append)
    assert "16-bit reduced to 8 bits, which is what WebP has." in said
    assert translate(inverting(), source, quality=80).files == [tmp_path / "a-translated.jpg"]


# --- sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "size", "options", "expected", "sentence"),
    [
        ("squash", (4, 6), {}, (4, 6), "Brought to 6 × 4, as in training."),
        ("width", (4, 6), {}, (3, 6), "Brought to a width of 6, as in training."),
        ("none", (4, 6), {}, (10, 20), None),
        ("squash", (10, 20), {}, (10, 20), None),
        ("squash", (4, 6), {"size": "own"}, (10, 20), None),
        ("squash", (4, 6), {"size": "30x5"}, (5, 30), "Brought to 30 × 5."),
        ("squash", (4, 6), {"size": (5, 30)}, (5, 30), "Brought to 30 × 5."),
        ("squash", (4, 6), {"restore": True}, (10, 20), "Brought to 6 × 4, as in training, and the result back."),
    ],
)
def test_sizes(tmp_path, inverting, fit, size, options, expected, sentence):
    pixels, said = noise(size=(10, 20)), []
    model = inverting(fit=fit, size=size)
    source = write(tmp_path / "a.png", pixels)
    made = read(translate(model, source, say=said.append, **options).files[0])
    assert made.shape == (*expected, 3)
    assert said == ([sentence] if sentence else [])
    seen = model.seen[0][0].shape[2:]
    shown = resized(pixels, tuple(seen), "rgb")
    np.testing.assert_array_equal(made, resized(negative(shown), expected, "rgb"))


def test_pairs_that_are_given_whole_are_pointed_out(tmp_path, inverting):
    said = []
    translate(inverting(), write(tmp_path / "a.png", noise(size=(10, 20))), say=said.append)
    assert said[1].endswith("of pairs side by side --pairs takes one half.")


# --- labels -----------------------------------------------------------------------------------------------


def test_ids_of_labels_are_painted_and_resized_without_mixing(tmp_path, inverting):
    palette = open_palette("facades")
    ids = np.random.default_rng(0).integers(0, 13, (12, 12, 1)).astype(np.uint8)
    model = inverting(takes="labels", input_palette=palette.plain)
    translate(model, write(tmp_path / "a.png", ids))
    seen = np.rint((model.seen[0][0][0].permute(1, 2, 0).numpy() + 1) * 127.5).astype(np.uint8)
    assert seen.shape == (8, 8, 3)
    assert set(map(tuple, seen.reshape(-1, 3))) <= set(palette.plain)
    np.testing.assert_array_equal(seen[0, 0], palette.colours[ids[0, 0, 0]])
    write(tmp_path / "b.png", np.full((8, 8, 1), 13, np.uint8))
    with pytest.raises(DataError, match=r"b.png: it has the id 13, and the palette"):
        translate(model, tmp_path / "b.png")


def test_snap_leaves_no_colours_but_those_of_the_labels(tmp_path, inverting):
    colours = ((0, 0, 0), (255, 0, 0), (0, 0, 255))
    source, out = write(tmp_path / "a.png", noise(size=(8, 8))), tmp_path / "out.png"
    model = inverting(gives="labels", palette=colours)
    plain = read(translate(model, source, out).files[0])
    snapped = read(translate(model, source, out, snap=True, restore=True, overwrite=True).files[0])
    distance = np.linalg.norm(plain[:, :, None].astype(float) - np.array(colours), axis=-1)
    np.testing.assert_array_equal(snapped, np.uint8(colours)[distance.argmin(-1)])
    for other in (inverting(), inverting(gives="labels")):
        with pytest.raises(UsageError, match="--snap is for models that give labels of known colours"):
            translate(other, source, tmp_path / "never.png", snap=True)


# --- pairs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("direction", "half"), [(None, 0), ("AtoB", 0), ("BtoA", 1)])
def test_one_half_of_a_pair_goes_in(tmp_path, inverting, direction, half):
    pixels = noise(4, size=(8, 17))
    source = write(tmp_path / "a.png", pixels)
    done = translate(inverting(), source, pairs=True, direction=direction, compare=True)
    expected = pixels[:, :8] if half == 0 else pixels[:, 9:]
    np.testing.assert_array_equal(read(done.files[0])[..., 3], expected[..., 3])
    shown = tmp_path / ".a-translated-compare"
    other = pixels[:, 9:] if half == 0 else pixels[:, :8]
    np.testing.assert_array_equal(read(shown / "a-translated.png-input.png"), expected)
    np.testing.assert_array_equal(read(shown / "a-translated.png-truth.png"), other)


# --- seeds and batches ------------------------------------------------------------------------------------


def test_samples_are_of_the_next_seeds(photos, seeded, tmp_path):
    done = translate(seeded(), photos, tmp_path / "out", seed=7, samples=3)
    assert done.seeds == (7, 8, 9)
    assert [str(file.relative_to(tmp_path / "out")) for file in done.files][:4] == [
        "a-s7.png", "a-s8.png", "a-s9.png", "sub folder/b-s7.png",
    ]  # fmt: skip
    for file in done.files:
        assert (read(file) == int(file.stem[-1])).all()
    one = translate(seeded(), photos / "a.png", tmp_path / "b.png", seed=3)
    assert (read(one.files[0]) == 3).all()
    two = translate(seeded(), photos / "a.png", tmp_path / "b.png", seed=3, samples=2)
    assert two.files == [tmp_path / "b-s3.png", tmp_path / "b-s4.png"]
    assert len(translate(seeded(), photos, tmp_path / "out", seed=8, samples=2).skipped) == 8


def test_pictures_of_one_size_go_together_and_each_is_as_if_alone(tmp_path, inverting, network):
    folder = tmp_path / "in"
    sizes = [(8, 8)] * 5 + [(8, 9)] + [(8, 8)] * 2
    for number, size in enumerate(sizes):
        write(folder / f"{number}.png", noise(size=size, seed=number))
    model = inverting()
    translate(model, folder, tmp_path / "1", size="own", batch=4)
    assert [len(images) for images, _, _ in model.seen] == [4, 1, 1, 2]
    for mode in ("paper", "eval"):
        together, alone = (
            translate(network, folder, tmp_path / f"{mode}{n}", size="own", batch=n, test_mode=mode).files
            for n in (4, 1)
        )
        for a, b in zip(together, alone, strict=True):
            assert np.abs(read(a).astype(int) - read(b)).max() <= 1


def test_modes_and_seeds_reach_the_network(tmp_path, network):
    source = write(tmp_path / "a.png", noise(size=(8, 8)))

    def made(**options):
        return read(translate(network, source, tmp_path / "b.png", overwrite=True, **options).files[0]).tobytes()

    assert made() == made(seed=0, test_mode="paper")
    assert len({made(), made(seed=1), made(test_mode="eval")}) == 3
    assert made(test_mode="eval", seed=5) == made(test_mode="eval")


# --- folders ----------------------------------------------------------------------------------------------


def test_a_folder_is_gone_on_with(photos, tmp_path, inverting):
    out, model = tmp_path / "photos-translated", inverting()
    done = translate(model, photos, workers=3)
    assert [file.relative_to(out) for file in done.files] == [
        item.source.relative_to(photos) for item in done.plan.items
    ]
    lines = [json.loads(line) for line in (out / "translate.jsonl").read_text().splitlines()]
    assert {line["model"] for line in lines} == {fingerprint(model)}
    assert {(line["size"], line["test_mode"], line["seed"]) for line in lines} == {("trained", "paper", 0)}
    (out / "a.png").unlink()
    said = []
    again = translate(model, photos, say=said.append)
    assert ([item.name for item in again.made], len(again.skipped)) == (["a.png"], 3)
    assert "3 of 4 are done already." in said
    changed = inverting(size=(9, 9))
    for options in ({"seed": 1}, {"size": "own"}, {"test_mode": "eval"}, {"restore": True}, {"tile": 32}):
        with pytest.raises(RunError, match="holds 4 results of another model, or made in another way"):
            translate(model, photos, **options)
    with pytest.raises(RunError, match="of another model"):
        translate(changed, photos)
    assert len(translate(changed, photos, overwrite=True).made) == 4
    write(photos / "a.png", noise(seed=9))
    ((_, error),) = translate(changed, photos).failed
    assert error.what == f"a.png has changed since {out / 'a.png'} was made."


def test_one_bad_picture_does_not_stop_the_others(photos, inverting):
    (photos / "empty.png").write_bytes(b"")
    (photos / "text.png").write_text("no picture at all " * 9)
    (photos / "cut.png").write_bytes((photos / "a.png").read_bytes()[:60])
    said = []
    done = translate(inverting(), photos, say=said.append, batch=2)
    assert [item.name for item, _ in done.failed] == ["cut.png", "empty.png", "text.png"]
    assert len(done.made) == 4
    assert "4 of 4 pictures: brought to 8 × 8, as in training." in said
    assert any(line.startswith("empty.png is left out: ") for line in said)


def test_a_stop_leaves_the_rest(photos, inverting):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 2

    done = translate(inverting(), photos, stop=stop, batch=1, compare=True)
    assert (len(done.made), len(done.left), done.page) == (2, 2, None)
    assert len(translate(inverting(), photos).skipped) == 2


# --- the page ---------------------------------------------------------------------------------------------


def test_the_page_shows_input_output_and_truth(photos, tmp_path, inverting):
    write(photos / "a&<b>.tif", noise(3, np.uint16), "tif")
    for path in photos.rglob("*.*"):
        write(tmp_path / "truths" / path.relative_to(photos).parent / f"{path.stem}_y.png", noise(seed=99))
    done = translate(inverting(), photos, compare=True, truth=tmp_path / "truths")
    out = tmp_path / "photos-translated"
    text = (out / "compare.html").read_text()
    assert done.page == out / "compare.html"
    assert text.count("<section") == 5
    assert text.count("<figure>") == 15
    assert "a&amp;&lt;b&gt;.tif" in text
    assert "http" not in text.replace("http-equiv", "")  # nothing is loaded from elsewhere
    np.testing.assert_array_equal(read(out / ".compare" / "a.png-truth.png"), noise(seed=99))
    np.testing.assert_array_equal(read(out / ".compare" / "a.png-input.png"), read(photos / "a.png"))
    assert not (out / ".compare" / "a.png-output.png").exists()  # a browser shows the result itself
    assert (out / ".compare" / "a&<b>.tif-output.png").exists()
    one = translate(
        inverting(), photos / "a.png", tmp_path / "b.png", compare=True, truth=tmp_path / "truths" / "a_y.png"
    )
    assert one.page.read_text().count("<figure>") == 3


def test_truths_that_miss(photos, tmp_path, inverting):
    truths = tmp_path / "truths"
    write(truths / "a.png", noise())
    with pytest.raises(DataError, match=r"paired by name, but 3 of 4 pictures in .*photos have no partner"):
        translate(inverting(), photos, compare=True, truth=truths)
    with pytest.raises(DataError, match="There is no file"):
        translate(inverting(), photos, compare=True, truth=tmp_path / "gone")
    with pytest.raises(DataError, match="is one picture, and"):
        translate(inverting(), photos, compare=True, truth=truths / "a.png")
    with pytest.raises(DataError, match="has no picture called b"):
        translate(inverting(), photos / "sub folder" / "b.png", compare=True, truth=truths)
    assert not (tmp_path / "photos-translated").exists()


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"size": "large"}, UsageError, "'large' is no size. Use trained, own, or width x height as in 500x250."),
        ({"size": "0x5"}, UsageError, "0x5 is no size"),
        ({"size": "90000x90000"}, UsageError, "90000x90000"),
        ({"tile": 3}, ConfigError, "Tiles of 3 pixels show the network too little"),
        ({"overlap": 3}, UsageError, "--overlap without --tile"),
        ({"tile": 32, "overlap": 17}, ConfigError, "Tiles of 32 pixels cannot overlap by 17. Use 0 to 16."),
        ({"test_mode": "test"}, ConfigError, "There is no way 'test' to use the network. Use paper or eval."),
        ({"samples": 0}, UsageError, "0 results of each picture cannot be"),
        ({"samples": 2, "test_mode": "eval"}, UsageError, "nothing is random"),
        ({"seed": -1}, UsageError, "-1 is no seed"),
        ({"batch": 0}, ConfigError, "0 pictures at a time cannot be"),
        ({"matte": "mauve"}, ConfigError, "'mauve' is not a background colour"),
        ({"direction": "AtoB"}, UsageError, "Add --pairs"),
        ({"direction": "AtoC", "pairs": True}, UsageError, "There is no direction AtoC. Use AtoB or BtoA."),
        ({"truth": "a.png"}, UsageError, "Add --compare"),
        ({"truth": "a.png", "compare": True, "pairs": True}, UsageError, "Leave out --truth"),
        ({"frames": True}, UsageError, "--frames is for animations and videos"),
        ({"format": "gif"}, UsageError, "'gif' is no format that results are written in"),
        ({"to": "a.png"}, UsageError, "a.png is the picture that is to be translated"),
        ({"to": "b.gif"}, UsageError, "b.gif has no extension of a format that is written"),
        ({"to": "file/out.png"}, RunError, "file is a file, not a folder|Not a directory"),
        ({"workers": 0}, ConfigError, "0 workers cannot be"),
    ],
)
def test_what_cannot_be(tmp_path, monkeypatch, inverting, options, error, text):
    monkeypatch.chdir(tmp_path)
    write(Path("a.png"), noise())
    Path("file").touch()
    with pytest.raises(error, match=text):
        translate(inverting(), "a.png", **options)
    assert sorted(os.listdir()) == ["a.png", "file"]


def test_one_result_that_exists_is_not_overwritten(tmp_path, inverting):
    source = write(tmp_path / "a.png", noise())
    first = translate(inverting(), source).files[0]
    content = first.read_bytes()
    with pytest.raises(RunError, match=r"a-translated.png exists already"):
        translate(inverting(size=(9, 9)), source)
    assert first.read_bytes() == content
    translate(inverting(size=(9, 9)), source, overwrite=True)
    assert first.read_bytes() != content


def test_what_does_not_fit_into_the_memory_is_refused_with_a_way_out(photos, inverting, monkeypatch):
    monkeypatch.setattr(translate_passes, "FEW", 50)
    monkeypatch.setattr(translate_passes, "room_on", lambda *_: 1e3)
    with pytest.raises(MemoryShort, match=r"for a picture of 9 × 6 pixels: about .* GB are needed.* Add --tile 1024"):
        translate(inverting(), photos / "a.png", size="own")
    done = translate(inverting(), photos, size="own")
    assert [error.code for _, error in done.failed] == ["memory"] * 4


# --- models -----------------------------------------------------------------------------------------------


def test_models_are_opened_by_file_and_by_run(tmp_path, network):
    said = []
    model = open_translator(network, say=said.append)
    assert said == [f"{network}: UNet, from rgb to rgb, for pictures of 8 × 8."]
    assert fingerprint(model) == fingerprint(open_translator(network))
    port = tmp_path / "port.safetensors"
    save_translator(UNet(1, 3, layers=7, width=1), port)
    assert open_translator(port).translation == Translation("grey", "rgb", (128, 128))
    with pytest.raises(UsageError, match=r"There is no file gone\.pth"):
        open_translator("gone.pth", tmp_path)
    with pytest.raises(RunError, match=r"Name a run .*pix2pix.* or a file of weights"):
        open_translator("latest", tmp_path)
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"no weights")
    with pytest.raises(DataError):
        open_translator(bad)


def test_a_run_translates_as_it_was_trained(tmp_path):
    """The left half of pairs side by side is the truth here, and the background black."""
    for number in range(3):
        write(tmp_path / "pairs" / f"{number}.png", noise(size=(32, 64), seed=number))
    run = gantool.train(
        "pix2pix", tmp_path / "pairs", preset="tiny", steps=1, direction="BtoA", background="black",
        out=tmp_path / "runs", seed=0,
    )  # fmt: skip
    assert habits_of(run).direction == "BtoA"
    assert habits_of(run).background == (0, 0, 0)
    assert habits_of(run).side_by_side
    done = gantool.translate(run, tmp_path / "pairs", pairs=True)
    model = run.load("cpu")
    given = torch.from_numpy(noise(size=(32, 64), seed=1)[:, 32:]).permute(2, 0, 1)[None] / 127.5 - 1
    expected = (model.translate(given, [0])[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(read(done.files[1]) - expected).max() <= 0.51
