"""Pictures and folders enlarged by a network: what is kept, how results are called, what happens on the way."""

import hashlib
import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import gantool
from gantool.data.enlarger_files import save_enlarger
from gantool.data.faithful import Extras, Faithful, load_faithful
from gantool.data.faithful_write import Form, encode
from gantool.errors import ConfigError, DataError, RunError, UsageError
from gantool.nn.imresize import imresize
from gantool.nn.srresnet import SRResNet
from gantool.tasks import picture_page, superres_picture
from gantool.tasks.enlarger import fingerprint, open_enlarger
from gantool.tasks.picture_levels import without_hidden
from gantool.tasks.superres_files import plan_files, superres_files
from gantool.tasks.superres_picture import enlarge_picture, passes_for, settle_scale
from gantool.tasks.superres_tiles import Tiler

CPU = torch.device("cpu")


class Repeat(nn.Module):
    """Enlarges by repeating pixels, and sees one pixel around."""

    reach = 1

    def __init__(self, factor=2):
        super().__init__()
        self.factor = factor
        self.seen = 0

    def enlarge(self, images):
        self.seen += 1
        return images.repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3)


def noise(channels=3, dtype=np.uint8, size=(6, 9), seed=0):
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top + 1, (*size, channels)).astype(dtype)


def write(path, pixels, kind="png", **extras):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(pixels, Extras(**extras), Form(kind))[0])
    return path


def repeated(pixels, factor=2):
    return pixels.repeat(factor, 0).repeat(factor, 1)


@pytest.fixture(scope="module")
def weights(enlarger_file):
    return enlarger_file()


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for number, name in enumerate(("a.png", "sub folder/b.png", "sub folder/größe 10.png", "sub folder/größe 9.png")):
        write(folder / name, noise(seed=number))
    return folder


# --- one picture ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_level_of_grey_and_colour_is_kept(dtype, channels):
    pixels = noise(channels, dtype)
    out = enlarge_picture(Faithful(pixels), Tiler(Repeat(), CPU), 2)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, repeated(pixels))


def test_the_network_sees_16_bits():
    torch.manual_seed(1)
    model = SRResNet(2, 8, 1).eval()
    pixels = noise(3, np.uint16)
    with torch.inference_mode():
        expected = model(torch.from_numpy(pixels.astype(np.float32) / 65535).permute(2, 0, 1)[None])[0]
    expected = expected.permute(1, 2, 0).clamp(0, 1).double().numpy() * 65535
    out = enlarge_picture(Faithful(pixels), Tiler(model, CPU), 2)
    assert np.abs(out - expected).max() < 0.6


def test_transparent_pixels_leave_no_fringes():
    """A red disc on what is transparent and, in the file, black."""
    rows, columns = np.mgrid[:24, :24]
    inside = (rows - 12) ** 2 + (columns - 12) ** 2 < 64
    pixels = np.zeros((24, 24, 4), np.uint8)
    pixels[inside] = (255, 0, 0, 255)
    picture = Faithful(pixels)

    class Blur(Repeat):
        def enlarge(self, images):
            around = nn.functional.pad(images, (1, 1, 1, 1), mode="replicate")
            return super().enlarge(nn.functional.avg_pool2d(around, 3, 1))

    out = enlarge_picture(picture, Tiler(Blur(), CPU), 2)
    assert (out[..., :3] == (255, 0, 0)).all()
    expected = np.floor(imresize(pixels[..., 3].astype(float), 2) + 0.5).clip(0, 255)
    np.testing.assert_array_equal(out[..., 3], expected)
    half = noise(2)
    half[..., 1] = 255
    assert (enlarge_picture(Faithful(half), Tiler(Repeat(), CPU), 2)[..., 1] == 255).all()


def test_hidden_colours_are_the_nearest_visible():
    pixels = np.array([[[9, 255], [1, 0], [2, 0], [3, 0], [7, 1]]], np.uint8)
    assert without_hidden(pixels)[0, :, 0].tolist() in ([9, 9, 9, 7, 7], [9, 9, 7, 7, 7])
    pixels[..., 1] = 0
    np.testing.assert_array_equal(without_hidden(pixels), pixels[..., :1])


@pytest.mark.parametrize(("scale", "passes"), [(1.5, 1), (2, 1), (3, 2), (4, 2), (2.5, 2), (7.3, 3)])
def test_other_factors(scale, passes):
    assert passes_for(scale, 2) == passes
    pixels, model = noise(3, np.uint16, (7, 11)), Repeat(2)
    tiler = Tiler(model, CPU)
    tiler._cost = 1.0  # so that trying it out does not count
    out = enlarge_picture(Faithful(pixels), tiler, scale)
    assert model.seen == passes
    large = repeated(pixels, 2**passes).astype(np.float64)
    expected = large if 2**passes == scale else imresize(large, scale / 2**passes)
    height, width = -(-round(7 * scale * 100) // 100), -(-round(11 * scale * 100) // 100)
    assert out.shape == (height, width, 3)
    expected = expected[:height, :width].clip(0, 65535)
    assert np.abs(out[: expected.shape[0], : expected.shape[1]] - expected).max() <= 0.51


def test_factors_of_networks_that_keep_the_size():
    assert passes_for(3, 1) == 1
    assert settle_scale(None, 1) == 1.0
    pixels = noise()
    out = enlarge_picture(Faithful(pixels), Tiler(Repeat(1), CPU), 3)
    expected = np.floor(imresize(pixels.astype(float), 3) + 0.5).clip(0, 255)
    assert np.abs(out - expected).max() <= 1  # there are 16 bits in between
    with pytest.raises(UsageError, match="A factor of 1 enlarges nothing"):
        settle_scale(1, 4)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (300, 1)])
def test_absurd_sizes(tmp_path, size, weights):
    source = write(tmp_path / "a.png", noise(size=size))
    done = superres_files(source, model=weights, tile=100)
    with Image.open(done.files[0]) as image:
        assert image.size == (2 * size[1], 2 * size[0])


def test_alpha_grey_and_16_bits_come_out_of_files_as_they_went_in(tmp_path):
    for channels in (1, 2, 3, 4):
        for dtype in (np.uint8, np.uint16):
            pixels = noise(channels, dtype)
            if channels in (2, 4):
                pixels[..., -1] |= 1  # nothing is hidden
            source = write(tmp_path / f"{channels}{np.dtype(dtype).name}.png", pixels)
            made = load_faithful(superres_files(source, model=Repeat()).files[0]).pixels
            assert (made.dtype, made.shape[2]) == (dtype, channels)
            colours = slice(None) if channels in (1, 3) else slice(-1)
            np.testing.assert_array_equal(made[..., colours], repeated(pixels)[..., colours])


def test_notes_of_one_picture_are_said(tmp_path):
    file = tmp_path / "a.gif"
    frames = [Image.fromarray(noise(seed=i)) for i in range(3)]
    frames[0].save(file, save_all=True, append_images=frames[1:])
    said = []
    done = superres_files(file, model=Repeat(), say=said.append, scale=3)
    assert done.files == [tmp_path / "a-x3.png"]
    assert said[0] == "The network enlarges 2 times: it is applied twice, then from 4 to 3 times by MATLAB's bicubic."
    assert "First of 3 frames used." in said


def test_what_would_become_too_large_is_refused_before(tmp_path, monkeypatch):
    source = write(tmp_path / "a.png", noise(size=(3, 2000)))
    with pytest.raises(DataError, match=r"would become 128000 × 192 pixels; WebP ends at 16383. Use --format png."):
        superres_files(source, model=Repeat(64), format="webp")
    monkeypatch.setattr(superres_picture, "MOST_BYTES", 500_000)
    with pytest.raises(DataError, match=r"would pass 4 times its size on the way to 3 times: 0.0 GB. Use --scale 2"):
        superres_files(source, model=Repeat(), scale=3)
    assert os.listdir(tmp_path) == ["a.png"]


# --- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "to", "options", "result"),
    [
        ("a.png", None, {}, "a-x4.png"),
        ("a.jpg", None, {}, "a-x4.png"),
        ("a.JPG", None, {"quality": 90}, "a-x4.JPG"),
        ("a.jpg", None, {"form": "jpeg"}, "a-x4.jpg"),
        ("a.tiff", None, {}, "a-x4.tiff"),
        ("a.webp", None, {"scale": 2.5}, "a-x2.5.webp"),
        ("a.gif", None, {}, "a-x4.png"),
        ("a.b.png", None, {}, "a.b-x4.png"),
        ("a.png", "b.tif", {}, "b.tif"),
        ("a.png", "new/b.jpg", {}, "new/b.jpg"),
        ("a.png", "new", {}, "new/a-x4.png"),
        ("a.png", "new.d/", {}, "new.d/a-x4.png"),
    ],
)
def test_the_name_of_one_result(tmp_path, monkeypatch, source, to, options, result):
    monkeypatch.chdir(tmp_path)
    Path(source).touch()
    if to == "new.d/":
        Path(to).mkdir()
    (item,) = plan_files(source, to, **{"scale": 4, **options}).items
    assert str(item.result) == result


@pytest.mark.parametrize(
    ("to", "form", "text"),
    [
        ("a.png", None, "a.png is the picture that is to be enlarged"),
        ("link.png", None, "link.png is the picture that is to be enlarged"),
        ("b.gif", None, "b.gif has no extension of a format that is written"),
        ("b.png", "jpg", "b.png is not called like JPEG. Call it b.jpg"),
        (None, "gif", "'gif' is no format that results are written in. Use png, tif, webp, jpg."),
    ],
)
def test_names_that_cannot_be(tmp_path, monkeypatch, to, form, text):
    monkeypatch.chdir(tmp_path)
    write(Path("a.png"), noise())
    Path("link.png").symlink_to("a.png")
    with pytest.raises(UsageError) as caught:
        plan_files("a.png", to, 4, form)
    assert text in str(caught.value)


def test_names_of_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/a.jpg", "in/b.jpg", "in/sub/c 10.TIF", "in/sub/c 9.gif", "in/.hidden.png", "in/x.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    plan = plan_files("in/", None, 4)
    names = {item.name: str(item.result.relative_to(plan.folder)) for item in plan.items}
    assert str(plan.folder) == "in-x4"
    assert names == {
        "a.jpg": "a.jpg.png", "a.png": "a.png", "b.jpg": "b.png", "sub/c 9.gif": "sub/c 9.png",
        "sub/c 10.TIF": "sub/c 10.TIF",
    }  # fmt: skip
    assert list(names)[-2:] == ["sub/c 9.gif", "sub/c 10.TIF"]  # natural order
    monkeypatch.chdir("in")
    assert plan_files(".", None, 4).folder == tmp_path / "in-x4"
    with pytest.raises(UsageError, match="is the folder that the pictures are in"):
        plan_files(".", "../in", 4)
    Path("a.jpg.png").touch()
    with pytest.raises(UsageError, match=r"a.jpg and a.jpg.png would both become a.jpg.png"):
        plan_files(".", None, 4)


def test_results_inside_the_input_are_no_pictures_to_enlarge(photos):
    for _ in range(2):
        done = superres_files(photos, photos / "large", model=Repeat())
        assert len(done.plan.items) == 4
    assert len(done.skipped) == 4
    said = []
    assert len(superres_files(photos, model=Repeat(), say=said.append).made) == 4  # nor are they for another run
    assert "Not entered, since they hold results: large." in said
    assert len(superres_files(photos / "large", model=Repeat()).made) == 4  # unless they are named
    for file in photos.glob("*.png"):
        file.unlink()
    shutil.rmtree(photos / "sub folder")
    shutil.rmtree(photos / "large-x2")
    with pytest.raises(DataError, match="but results in"):
        superres_files(photos, photos / "large", model=Repeat())


# --- folders ----------------------------------------------------------------------------------------------


def test_a_folder_keeps_its_structure_and_is_not_done_twice(photos, tmp_path, weights):
    done = superres_files(photos, model=weights, workers=3)
    out = tmp_path / "photos-x2"
    assert done.files == [out / p.relative_to(photos) for p in (item.source for item in done.plan.items)]
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.png")) == sorted(
        str(p.relative_to(photos)) for p in photos.rglob("*.png")
    )
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.png")}
    said = []
    again = superres_files(photos, model=weights, say=said.append)
    assert (len(again.made), len(again.skipped)) == (0, 4)
    assert "4 of 4 are done already." in said
    assert before == {file: file.stat().st_mtime_ns for file in out.rglob("*.png")}
    (out / "a.png").unlink()
    assert [item.name for item in superres_files(photos, model=weights).made] == ["a.png"]
    assert len(superres_files(photos, model=weights, overwrite=True).made) == 4


def test_results_of_another_model_or_factor_are_told_from_ones_own(photos, weights, tmp_path):
    out = tmp_path / "out"
    superres_files(photos, out, model=weights)
    other = tmp_path / "other.safetensors"
    torch.manual_seed(5)
    save_enlarger(SRResNet(2, 8, 1).eval(), other)
    for options in ({"model": other}, {"model": weights, "scale": 3}, {"model": weights, "quality": 90}):
        with pytest.raises(RunError, match="holds 4 results of another model, factor or quality"):
            superres_files(photos, out, **options)
    copy = tmp_path / "copy.safetensors"
    shutil.copy(weights, copy)  # the weights count, not their name
    assert len(superres_files(photos, out, model=copy).skipped) == 4
    assert len(superres_files(photos, out, model=other, overwrite=True).made) == 4


def test_changed_pictures_and_files_of_others_are_left_alone_and_named(photos, weights, tmp_path):
    out = tmp_path / "out"
    superres_files(photos, out, model=weights)
    write(photos / "a.png", noise(seed=9, size=(4, 4)))
    foreign = write(out / "sub folder" / "b.png", noise())
    content = foreign.read_bytes()
    done = superres_files(photos, out, model=weights)
    assert [(item.name, error.what) for item, error in done.failed] == [
        ("a.png", f"a.png has changed since {out / 'a.png'} was made."),
        ("sub folder/b.png", f"{foreign} exists already, and not as it was made here."),
    ]
    assert foreign.read_bytes() == content
    assert len(done.skipped) == 2


def test_one_bad_picture_does_not_stop_the_others(photos, weights):
    (photos / "empty.png").write_bytes(b"")
    (photos / "text.png").write_text("no picture at all " * 9)
    (photos / "cut.png").write_bytes((photos / "a.png").read_bytes()[:60])
    (photos / "gone.png").symlink_to("nowhere.png")
    (photos / "linked.png").symlink_to("a.png")
    (photos / "more").symlink_to(photos / "sub folder", target_is_directory=True)
    said = []
    done = superres_files(photos, model=weights, say=said.append)
    assert [item.name for item, _ in done.failed] == ["cut.png", "empty.png", "gone.png", "text.png"]
    assert len(done.made) == 5  # the link to a picture among them; folders that are links are not entered
    assert sum("is left out" in line for line in said) == 4
    (photos / "text.png").unlink()
    assert len(superres_files(photos, model=weights).failed) == 3


def test_notes_of_a_folder_are_counted(photos, weights):
    for name in "xyz":
        Image.fromarray(noise()).convert("CMYK").save(photos / f"{name}.tif")
    said = []
    superres_files(photos, model=weights, say=said.append)
    assert "3 of 7 pictures: CMYK converted to RGB." in said


def test_corrupt_exif_is_nobodys_news(photos, weights):
    """Pillow warns of it, in the threads that read."""
    torn = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0f\x01"  # five tags, says it, and ends in the first
    for name in "xyz":
        Image.fromarray(noise()).save(photos / f"{name}.jpg", exif=torn)
    with pytest.warns(UserWarning, match="Corrupt EXIF"):
        Image.open(photos / "x.jpg").close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(superres_files(photos, model=weights).made) == 7
    assert not [str(warning.message) for warning in caught]


def test_a_stop_leaves_the_rest_and_the_next_run_goes_on(photos, weights):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 2

    done = superres_files(photos, model=weights, stop=stop)
    assert (len(done.made), len(done.left)) == (2, 2)
    done = superres_files(photos, model=weights)
    assert (len(done.made), len(done.skipped)) == (2, 2)


def test_a_torn_journal_costs_one_line(photos, weights, tmp_path):
    out = tmp_path / "out"
    superres_files(photos, out, model=weights)
    journal = out / "superres.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    last = json.loads(lines[-1])["result"]
    journal.write_bytes(b"".join(lines)[:-20])
    done = superres_files(photos, out, model=weights)
    assert [item.name for item, _ in done.failed] == [last]
    (out / last).unlink()
    assert len(superres_files(photos, out, model=weights).made) == 1
    assert len(superres_files(photos, out, model=weights).skipped) == 4
    journal.write_bytes(b'[1]\n{"result": 3}\nnull\n\xff\xfe\n' + journal.read_bytes())
    assert len(superres_files(photos, out, model=weights).skipped) == 4


@pytest.fixture
def two_models(tmp_path):
    """A folder with one picture whose results have one size, since TIFF with EXIF is not compressed; two models."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x829A] = 0.01
    folder = tmp_path / "two"
    folder.mkdir()
    Image.fromarray(noise()).save(folder / "a.png", exif=exif)
    torch.manual_seed(3)
    return folder, SRResNet(2, 4, 1).eval(), SRResNet(2, 4, 1).eval()


def test_killed_between_the_journal_and_the_result_the_old_result_is_still_the_old_models(two_models, monkeypatch):
    from gantool.tasks import picture_line

    folder, old, new = two_models
    result = folder.with_name("two-x2") / "a.tif"
    superres_files(folder, model=old, format="tif")
    content = result.read_bytes()

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(picture_line, "atomic_write", killed)
        with pytest.raises(KeyboardInterrupt):
            superres_files(folder, model=new, format="tif", overwrite=True)
    lines = [json.loads(line) for line in (result.parent / "superres.jsonl").read_text().splitlines()]
    assert [line["model"] for line in lines] == [fingerprint(old), fingerprint(new)]
    assert lines[0]["result_bytes"] == lines[1]["result_bytes"]
    assert lines[0]["result_sha256"] == hashlib.sha256(content).hexdigest()
    with pytest.raises(RunError, match="holds one result of another model"):
        superres_files(folder, model=new, format="tif")
    assert len(superres_files(folder, model=old, format="tif").skipped) == 1
    superres_files(folder, model=new, format="tif", overwrite=True)
    assert len(superres_files(folder, model=new, format="tif").skipped) == 1
    changed = bytearray(result.read_bytes())
    changed[-1] ^= 1
    result.write_bytes(changed)
    ((_, error),) = superres_files(folder, model=new, format="tif").failed
    assert "not as it was made here" in error.what


def test_journals_without_hashes_are_still_read(two_models):
    folder, old, new = two_models
    out = folder.with_name("two-x2")
    superres_files(folder, model=old, format="tif")
    (line,) = (out / "superres.jsonl").read_text().splitlines()
    values = json.loads(line)
    del values["result_sha256"]
    (out / "superres.jsonl").write_text(json.dumps(values) + "\n")
    assert len(superres_files(folder, model=old, format="tif").skipped) == 1
    superres_files(folder, model=new, format="tif", overwrite=True)
    assert len(superres_files(folder, model=new, format="tif").skipped) == 1
    with pytest.raises(RunError, match="holds one result of another model"):
        superres_files(folder, model=old, format="tif")


def test_a_full_disk_stops_the_run(photos, weights, tmp_path, monkeypatch):
    import errno

    from gantool.tasks import picture_line

    def full(path, data, **_):
        raise picture_line.write_error(path, OSError(errno.ENOSPC, "No space left")) from OSError(errno.ENOSPC, "")

    monkeypatch.setattr(picture_line, "atomic_write", full)
    with pytest.raises(RunError, match="Free some space"):
        superres_files(photos, tmp_path / "out", model=weights)


def test_a_picture_that_does_not_fit_is_left_out(photos, weights, monkeypatch):
    from gantool.tasks import picture_line

    plain = picture_line.encode

    def encode(pixels, extras, form, name):
        if name == "a.png":
            raise MemoryError
        return plain(pixels, extras, form, name)

    monkeypatch.setattr(picture_line, "encode", encode)
    done = superres_files(photos, model=weights)
    assert [(item.name, error.code) for item, error in done.failed] == [("a.png", "memory")]
    assert len(done.made) == 3


# --- refusals ---------------------------------------------------------------------------------------------


def test_one_result_that_exists_is_not_overwritten(tmp_path, weights):
    source = write(tmp_path / "a.png", noise())
    first = superres_files(source, model=weights).files[0]
    content = first.read_bytes()
    with pytest.raises(RunError, match=r"a-x2.png exists already. Give another name with --to, or add --overwrite."):
        superres_files(source, model=Repeat())
    assert first.read_bytes() == content
    superres_files(source, model=Repeat(), overwrite=True)
    assert first.read_bytes() != content


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"scale": 0}, UsageError, "A factor of 0 enlarges nothing"),
        ({"scale": -2}, UsageError, "A factor of -2 enlarges nothing"),
        ({"scale": float("nan")}, UsageError, "A factor of nan enlarges nothing"),
        ({"scale": float("inf")}, UsageError, "A factor of inf is too large"),
        ({"scale": 65}, UsageError, "too large"),
        ({"tile": 0}, ConfigError, "Tiles of 0 pixels hold nothing"),
        ({"overlap": -1}, ConfigError, "Tiles cannot overlap by -1 pixels"),
        ({"quality": 0}, ConfigError, "There is no quality 0"),
        ({"quality": 9, "format": "tif"}, UsageError, "TIFF has no quality"),
        ({"to": "x" * 300 + ".png"}, RunError, "File name too long"),
        ({"workers": 0}, ConfigError, "0 workers cannot be"),
        ({"to": "file/out.png"}, RunError, "file is a file, not a folder|Not a directory"),
        ({"to": "file/deeper/out.png"}, RunError, "Not a directory"),
    ],
)
def test_what_cannot_be(tmp_path, monkeypatch, weights, options, error, text):
    monkeypatch.chdir(tmp_path)
    write(Path("a.png"), noise())
    Path("file").touch()
    with pytest.raises(error, match=text):
        superres_files("a.png", **{"model": weights, **options})
    assert sorted(os.listdir()) == ["a.png", "file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folders(photos, weights, tmp_path):
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(RunError, match="Choose a place that you may write to"):
        superres_files(photos, out, model=weights)


def test_huge_overlaps_and_tiny_tiles_are_allowed(tmp_path, weights):
    source = write(tmp_path / "a.png", noise(size=(5, 4)))
    plain = superres_files(source, tmp_path / "1.png", model=weights).files[0]
    for number, options in enumerate(({"tile": 1}, {"tile": 2, "overlap": 9999}, {"tile": 9999}), 2):
        other = superres_files(source, tmp_path / f"{number}.png", model=weights, **options).files[0]
        difference = np.asarray(Image.open(plain)).astype(int) - np.asarray(Image.open(other))
        assert np.abs(difference).max() <= 1


# --- models -----------------------------------------------------------------------------------------------


def test_models_are_opened_by_file_and_by_run(tmp_path, weights):
    said = []
    model = open_enlarger(weights, say=said.append)
    assert said == [f"{weights}: SRResNet, which enlarges 2 times."]
    assert not model.training
    assert fingerprint(model) == fingerprint(open_enlarger(weights))
    with pytest.raises(UsageError, match=r"There is no file gone\.pth"):
        open_enlarger("gone.pth", tmp_path)
    with pytest.raises(RunError) as caught:
        open_enlarger("latest", tmp_path)
    assert "or a file of weights" in str(caught.value)
    run = gantool.train(
        "consingan", write(tmp_path / "a.png", noise(size=(40, 40))), preset="tiny", iterations=1, out=tmp_path / "runs"
    )
    with pytest.raises(UsageError, match=r"ConSinGAN cannot enlarge. These can: srgan"):
        open_enlarger(run)
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"no weights")
    with pytest.raises(DataError):
        open_enlarger(bad)
    with pytest.raises(DataError, match=r"Cannot read"):
        open_enlarger("x" * 5000)


# --- the page ---------------------------------------------------------------------------------------------


def test_the_page_shows_results_beside_bicubic(photos, tmp_path, monkeypatch):
    write(photos / "deep.tif", noise(3, np.uint16, (8, 8)), "tif")
    write(photos / "a&<b>.png", noise(4))
    monkeypatch.setattr(picture_page, "SIDE", 16)
    done = superres_files(photos, model=Repeat(), compare=True)
    out = tmp_path / "photos-x2"
    assert done.page == out / "compare.html"
    text = done.page.read_text()
    assert text.count("<section") == 6
    assert "a&amp;&lt;b&gt;.png" in text
    sources = [part.split('"')[0] for part in text.split(' src="')[1:]]
    assert len(sources) == 12
    from urllib.parse import unquote

    for source in sources:
        with Image.open(out / unquote(source)) as image:
            assert image.size in ((16, 12), (16, 16))
    bicubic = np.asarray(Image.open(out / ".compare" / "deep.tif-bicubic.png"))
    deep = load_faithful(photos / "deep.tif").pixels
    expected = (imresize(deep.astype(float), 2).clip(0, 65535) / 257).round()
    assert np.abs(bicubic - expected).max() <= 1
    superres_files(photos, model=Repeat(), compare=True)  # its own page is written anew
    done.page.write_text("mine")
    with pytest.raises(RunError, match="is no page of gantool"):
        superres_files(photos, model=Repeat(), compare=True)
    one = superres_files(photos / "a.png", tmp_path / "b.webp", model=Repeat(), compare=True)
    assert one.page == tmp_path / "b-compare.html"


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_that_are_no_text(photos, weights):
    shutil.copy(photos / "a.png", photos / os.fsdecode(b"caf\xe9 # %41.png"))
    done = superres_files(photos, model=weights, compare=True)
    assert (len(done.made), done.failed) == (5, [])
    assert len(superres_files(photos, model=weights).skipped) == 5
    assert "caf%E9%20%23%20%2541.png" in done.page.read_text()


def test_from_python(photos, weights):
    done = gantool.superres_files(photos, model=weights, scale=2)
    assert len(done.files) == 4
