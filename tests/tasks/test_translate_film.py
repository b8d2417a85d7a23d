"""Animations and videos, translated frame by frame."""

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gantool.data.animation import animation_bytes, open_animation
from gantool.data.faithful import load_faithful
from gantool.data.movie import encode_video
from gantool.data.sides import resized
from gantool.data.video import Video, open_video, with_sound
from gantool.errors import DataError, RunError, UsageError
from gantool.tasks import translate_film
from gantool.tasks.translate import translate

TIMES = [50, 120, 30, 250, 200]


def frames(count=5, size=(16, 24)):
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.webp"
    path.write_bytes(animation_bytes(frames(), TIMES, "webp", plays=2))
    return path


class Watch:
    def __init__(self):
        self.piece, self.told = "tile", []

    def begin(self, item, number, total):
        self.told.append((item.result.name, number, total))

    def tile(self, done, total):
        self.told.append((done, total))

    def end(self, item, number, total):
        self.told.append("end")


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_an_animation_keeps_its_times_and_repeats(tmp_path, inverting, kind):
    path = tmp_path / f"film.{kind}"
    path.write_bytes(animation_bytes(frames(), TIMES, kind, plays=2))
    before = [frame.pixels[..., :3] for frame in open_animation(path).frames()]
    model, watch = inverting(), Watch()
    done = translate(model, path, size="own", batch=2, seed=5, watch=watch)
    assert done.files == [tmp_path / f"film-translated.{kind}"]
    found = open_animation(done.files[0])
    assert (found.plays, [frame.milliseconds for frame in found.frames()]) == (2, TIMES)
    for frame, pixels in zip(found.frames(), before, strict=True):
        off = np.abs(frame.pixels[..., :3].astype(int) - (255 - pixels))
        assert off.mean() < 12 if kind == "gif" else not off.any()  # noise of 256 colours: GIF's palette is coarse
    assert [seeds for _, seeds, _ in model.seen] == [[5, 5], [5, 5], [5]]
    assert watch.piece == "frame"
    assert watch.told == [(f"film-translated.{kind}", 1, 1), (0, 5), (2, 5), (4, 5), (5, 5), "end"]


def test_what_is_transparent_stays_so(tmp_path, inverting):
    hole = np.where(np.arange(24) < 9, 0, 255).astype(np.uint8)[None, :, None].repeat(16, 0)
    path = tmp_path / "film.png"
    path.write_bytes(animation_bytes([np.concatenate([f, hole], 2) for f in frames()], TIMES, "png"))
    found = list(open_animation(translate(inverting(), path).files[0]).frames())
    for frame in found:
        np.testing.assert_array_equal(frame.pixels[..., 3:], resized(hole, (8, 8), "grey"))


def test_seeds_and_single_frames(tmp_path, film, seeded):
    said = []
    done = translate(seeded(), film, tmp_path / "out" / "x.gif", samples=2, frames=True, say=said.append)
    assert done.files == [tmp_path / "out" / "x-s0.gif", tmp_path / "out" / "x-s1.gif"]
    assert said == ["Brought to 8 × 8, as in training."]
    for seed, folder in enumerate(done.frames):
        assert folder == tmp_path / "out" / f"x-s{seed}-frames"
        assert sorted(os.listdir(folder)) == [f"{n:05}.png" for n in range(1, 6)]
        assert (load_faithful(folder / "00003.png").pixels == seed).all()
    with pytest.raises(RunError, match="x-s0-frames is not empty"):
        translate(seeded(), film, tmp_path / "out" / "x.webp", samples=2, frames=True)


def test_of_a_folder_the_first_frame_is_taken(tmp_path, film, inverting):
    (tmp_path / "in").mkdir()
    shutil.copy(film, tmp_path / "in" / "a.webp")
    said = []
    done = translate(inverting(), tmp_path / "in", size="own", say=said.append)
    np.testing.assert_array_equal(load_faithful(done.files[0]).pixels, 255 - frames()[0])
    assert "1 of 1 pictures: first frame used." in said


def test_a_stop_writes_nothing(tmp_path, film, inverting):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 3

    done = translate(inverting(), film, batch=1, stop=stop)
    assert (done.made, len(done.left)) == ([], 1)
    assert os.listdir(tmp_path) == ["film.webp"]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"to": "film.webp"}, UsageError, "film.webp is the picture that is to be translated"),
        ({"to": "a.jpg"}, UsageError, "a.jpg has no extension of a format that moves. Use gif, webp, png, apng, mp4."),
        ({"format": "jpg"}, UsageError, "'jpg' is no format that moves"),
        ({"to": "a.gif", "format": "webp"}, UsageError, "a.gif is not called like webp. Call it a.webp."),
        ({"format": "gif", "quality": 9}, UsageError, "Of films WebP alone has a quality"),
        ({"compare": True}, UsageError, "The page that compares is for pictures"),
    ],
)
def test_what_cannot_be(tmp_path, film, monkeypatch, inverting, options, error, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=text):
        translate(inverting(), "film.webp", **options)
    assert os.listdir() == ["film.webp"]


def test_too_large_for_an_animation(film, inverting, monkeypatch):
    monkeypatch.setattr(translate_film, "MOST_BYTES", 4 * 16 * 24 * 3)
    with pytest.raises(DataError, match=r"becomes too large for an animation.* Write a video \(--format mp4\)"):
        translate(inverting(), film, size="own")
    assert not film.with_name("film-translated.webp").exists()


# --- videos -----------------------------------------------------------------------------------------------


class Fake:
    """What stands for ffmpeg: videos are frames in memory, files that are written hold what they were made from."""

    def __init__(self, monkeypatch, joins=True):
        self.written, self.joins = {}, joins
        monkeypatch.setattr(translate_film, "open_video", lambda path: Video(path, 16, 24, "25/2", 9))
        monkeypatch.setattr(Video, "frames", lambda _: iter_closed(frames()))
        monkeypatch.setattr(translate_film, "check_ffmpeg", lambda path: None)
        monkeypatch.setattr(translate_film, "encode_video", self.encode)
        monkeypatch.setattr(translate_film, "with_sound", self.sound)

    def encode(self, given, rate, video, path):
        self.written = {"frames": list(given), "rate": rate, "path": path}
        video.write_bytes(b"silent")

    def sound(self, video, source, to):
        if self.joins:
            to.write_bytes(b"sound of " + source.name.encode())
        return self.joins


def iter_closed(items):
    yield from items


def test_a_video_keeps_its_rate_and_its_sound(tmp_path, inverting, monkeypatch):
    fake, watch = Fake(monkeypatch), Watch()
    (tmp_path / "clip.MOV").touch()
    done = translate(inverting(), tmp_path / "clip.MOV", size="own", batch=4, watch=watch)
    assert done.files == [tmp_path / "clip-translated.mp4"]
    assert done.files[0].read_bytes() == b"sound of clip.MOV"
    assert fake.written["rate"] == "25/2"
    np.testing.assert_array_equal(fake.written["frames"], 255 - np.array(frames()))
    assert watch.told[1:4] == [(0, 9), (4, 9), (5, 9)]  # the file said 9, and held 5
    fake.joins, said = False, []
    translate(inverting(), tmp_path / "clip.MOV", overwrite=True, say=said.append)
    assert done.files[0].read_bytes() == b"silent"
    assert said[-1] == f"The sound of {tmp_path / 'clip.MOV'} could not be kept."


def test_from_video_to_animation_and_back(tmp_path, film, inverting, monkeypatch):
    fake = Fake(monkeypatch)
    (tmp_path / "clip.mp4").touch()
    made = translate(inverting(), tmp_path / "clip.mp4", format="webp").files[0]
    assert [frame.milliseconds for frame in open_animation(made).frames()] == [80] * 5
    made = translate(inverting(gives="grey"), film, size="own", format="mp4").files[0]
    assert made.read_bytes() == b"silent"
    assert fake.written["rate"] == "1000/10"
    assert [f.shape for f in fake.written["frames"]] == [(16, 24, 3)] * (sum(TIMES) // 10)
    grey = np.abs(255 - frames()[0].mean(2) - fake.written["frames"][4][..., 0]).max()
    assert grey <= 1
    assert (fake.written["frames"][5] != fake.written["frames"][4]).any()


def test_frames_are_translated_as_the_video_is_written(tmp_path, film, inverting, monkeypatch):
    """None is held: an animation may be longer than what fits."""
    fake, model, done = Fake(monkeypatch), inverting(), []

    def encode(given, rate, video, path):
        next(given)
        done.append(len(model.seen))
        fake.encode(given, rate, video, path)

    monkeypatch.setattr(translate_film, "encode_video", encode)
    translate(model, film, format="mp4", batch=1)
    assert done == [1]
    assert len(model.seen) == len(TIMES)


def test_no_video_leads_elsewhere(tmp_path, monkeypatch):
    """What ffmpeg may open is said for each file that it reads: its words hold for the next one alone."""
    asked = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: asked.append(command) or SimpleNamespace(returncode=0))
    assert with_sound(tmp_path / "a.mp4", tmp_path / "b.mov", tmp_path / "c.mp4")
    inputs = [k for k, word in enumerate(asked[0]) if word == "-i"]
    assert [asked[0][k + 1] for k in inputs] == [f"file:{tmp_path / name}" for name in ("a.mp4", "b.mov")]
    assert [asked[0][k - 2 : k] for k in inputs] == [["-protocol_whitelist", "file,pipe"]] * 2


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_with_ffmpeg(tmp_path, inverting):
    rows, columns = np.mgrid[:32, :48]
    smooth = [np.stack([columns * 4, rows * 6, rows + columns + 9 * n], 2).astype(np.uint8) for n in range(7)]
    encode_video(iter(smooth), "12/1", tmp_path / "a.mp4", "a.mp4")
    done = translate(inverting(), tmp_path / "a.mp4", size="own")
    found = open_video(done.files[0])
    assert found.rate == "12/1"
    off = [np.abs(255 - a.astype(int) - b).mean() for a, b in zip(found.frames(), smooth, strict=True)]
    assert max(off) < 5


def test_a_video_without_ffmpeg(tmp_path, inverting, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    Path(tmp_path / "clip.mp4").touch()
    with pytest.raises(RunError, match="Install ffmpeg, or give a folder of frames"):
        translate(inverting(), tmp_path / "clip.mp4")


def test_to_a_video_without_ffmpeg(film, inverting, monkeypatch):
    """That is said before a frame is translated."""
    monkeypatch.setenv("PATH", "/nowhere")
    model = inverting()
    with pytest.raises(RunError, match=r"film-translated.mp4 would be a video, .* Install ffmpeg, or write a GIF"):
        translate(model, film, format="mp4")
    assert model.seen == []
