"""Videos taken apart: what is asked of ffmpeg, with a program in its place, and with itself where it is installed."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gantool.data.movie import encode_video
from gantool.data.video import open_video, with_sound
from gantool.errors import DataError, RunError

SCRIPT = """#!/bin/sh
echo "$@" >> asked
case "$*" in
  *yuv4mpegpipe*) echo '  Duration: 00:00:01.50, start: 0.0' >&2; cat header ;;
  *rawvideo*rgb24*) cat frames; cat says >&2; exit $(cat code) ;;
  *copy*-c:a*copy*) exit 1 ;;
  *) for last; do :; done; echo joined > "$last" ;;
esac
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A program that answers what lies in the working directory, and keeps what it was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").write_text(SCRIPT)
    (folder / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.chdir(tmp_path)
    Path("header").write_bytes(b"YUV4MPEG2 W3 H2 F24000:1001 Ip A1:1 C420jpeg\n" + b"FRAME\n" + bytes(12))
    Path("says").write_text("first\nInvalid data found.\n")
    Path("code").write_text("0")
    Path("-a b.mp4").touch()
    return np.random.default_rng(0).integers(0, 256, (4, 2, 3, 3), dtype=np.uint8)


def test_frames_of_a_video(fake):
    Path("frames").write_bytes(fake.tobytes())
    video = open_video(Path("-a b.mp4"))
    assert (video.width, video.height, video.rate, video.count) == (3, 2, "24000/1001", 36)
    np.testing.assert_array_equal(list(video.frames()), fake)
    asked = Path("asked").read_text().splitlines()
    assert all("-protocol_whitelist file,pipe -" in line and "-i file:-a b.mp4 " in line for line in asked)
    assert "-r 24000/1001" in asked[1]
    assert with_sound(Path("video.mp4"), Path("-a b.mp4"), Path("whole.mp4"))
    assert Path("whole.mp4").read_text() == "joined\n"
    first, second = Path("asked").read_text().splitlines()[2:]
    assert "-map 0:v -map 1:a? -c:v copy -c:a copy" in first
    assert "-c:a aac" in second


@pytest.mark.parametrize(("cut", "code"), [(1, 0), (0, 1), (18 * 4, 1)])
def test_what_ends_too_soon_is_an_error(fake, cut, code):
    Path("frames").write_bytes(fake.tobytes()[: 18 * 4 - cut])
    Path("code").write_text(str(code))
    with pytest.raises(DataError, match=r"-a b.mp4 is damaged or cut off \(Invalid data found\)"):
        list(open_video(Path("-a b.mp4")).frames())


def test_reading_may_end_early(fake):
    Path("frames").write_bytes(fake.tobytes() * 10_000)  # more than a pipe holds
    frames = open_video(Path("-a b.mp4")).frames()
    np.testing.assert_array_equal(next(frames), fake[0])
    frames.close()


def test_no_video(fake, monkeypatch):
    Path("header").write_bytes(b"")
    with pytest.raises(DataError, match=r"-a b.mp4 holds no video that ffmpeg reads \(Duration"):
        open_video(Path("-a b.mp4"))
    Path("header").write_bytes(b"YUV4MPEG2 W90000 H90000 F25:1 \n")
    with pytest.raises(DataError, match="megapixels"):
        open_video(Path("-a b.mp4"))
    with pytest.raises(DataError, match=r"There is no file gone.mp4"):
        open_video(Path("gone.mp4"))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RunError, match=r"and the program ffmpeg, which takes videos apart, is not installed. Install"):
        open_video(Path("-a b.mp4"))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_with_ffmpeg(tmp_path):
    """Smooth frames survive, in their number and rate, and a sound is taken over."""
    rows, columns = np.mgrid[:64, :96]
    frames = [np.stack([columns * 2, rows * 3, rows + columns + 9 * n], 2).astype(np.uint8) for n in range(7)]
    path, loud, whole = tmp_path / "a.mp4", tmp_path / "b.mkv", tmp_path / "c.mp4"
    encode_video(iter(frames), "24000/1001", path, path)
    video = open_video(path)
    assert (video.width, video.height, video.rate, video.count) == (96, 64, "24000/1001", 7)
    read = list(video.frames())
    assert len(read) == 7
    assert max(np.abs(a.astype(int) - b).mean() for a, b in zip(read, frames, strict=True)) < 4
    sound = ["-f", "lavfi", "-i", "sine=duration=0.3", "-c:a", "pcm_s16le", str(loud)]
    subprocess.run(["ffmpeg", "-loglevel", "error", *sound], check=True)
    assert with_sound(path, loud, whole)
    said = subprocess.run(["ffmpeg", "-i", str(whole)], capture_output=True, text=True, check=False).stderr
    assert "Audio: aac" in said or "Audio: pcm" in said
    assert len(list(open_video(whole).frames())) == 7
