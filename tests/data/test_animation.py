"""Animations there and back: frames, times, repeats, what is transparent."""

import numpy as np
import pytest
from PIL import Image

from gantool.data import animation
from gantool.data.animation import animation_bytes, open_animation
from gantool.errors import DataError

TIMES = [50, 120, 30, 250, 200]
KINDS = ("gif", "webp", "png")


def blocks(alpha=False):
    """Five frames of few colours, with holes that grow less."""
    random = np.random.default_rng(0)
    frames = [random.choice([0, 80, 255], (3, 4, 3)).repeat(6, 0).repeat(6, 1).astype(np.uint8) for _ in TIMES]
    if not alpha:
        return frames
    hole = [np.where(np.arange(24) < 6 * (3 - n), 0, 255).astype(np.uint8)[None, :, None] for n in range(5)]
    return [np.concatenate([f, np.broadcast_to(a, (18, 24, 1))], 2) for f, a in zip(frames, hole, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_there_and_back(tmp_path, kind, alpha, plays):
    frames = blocks(alpha)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(animation_bytes(frames, TIMES, kind, plays=plays))
    found = open_animation(path)
    assert (found.kind, found.count, found.plays) == (kind, 5, plays)
    read = list(found.frames())
    assert [frame.milliseconds for frame in read] == TIMES
    for frame, pixels in zip(read, frames, strict=True):
        seen = pixels[..., 3] > 0 if alpha else np.full((18, 24), True)
        np.testing.assert_array_equal(frame.pixels[..., 3] > 0, seen)
        assert np.abs(frame.pixels[..., :3].astype(int) - pixels[..., :3])[seen].max() <= 4 * (kind == "gif")


def test_times_are_rounded_without_drifting(tmp_path):
    frames = [np.full((4, 4, 1), 20 * n, np.uint8) for n in range(7)]
    for kind, expected in (("gif", [30, 40, 30, 30, 40, 30, 30]), ("webp", [33, 34, 33, 33, 34, 33, 33])):
        path = tmp_path / f"a.{kind}"
        path.write_bytes(animation_bytes(frames, [1000 / 30] * 7, kind))
        assert [frame.milliseconds for frame in open_animation(path).frames()] == expected


def test_grey_quality_and_profile(tmp_path):
    random = np.random.default_rng(0)
    frames = [random.integers(1, 256, (16, 16, 2), dtype=np.uint8) for _ in range(3)]  # nothing is wholly hidden
    sizes = {}
    for quality in (None, 20):
        path = tmp_path / "a.webp"
        path.write_bytes(animation_bytes(frames, [40] * 3, "webp", quality=quality, icc=b"profile"))
        found = open_animation(path)
        assert found.icc == b"profile"
        sizes[quality] = path.stat().st_size
        if quality is None:
            for frame, pixels in zip(found.frames(), frames, strict=True):
                np.testing.assert_array_equal(frame.pixels, pixels[..., [0, 0, 0, 1]])
    assert sizes[20] < sizes[None]


def test_what_moves_not(tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "b.tif", save_all=True, append_images=[Image.new("RGB", (4, 4))])
    (tmp_path / "c.gif").write_text("hello " * 20)
    (tmp_path / "d.gif").touch()
    assert [open_animation(tmp_path / name) for name in ("a.png", "b.tif", "c.gif", "d.gif")] == [None] * 4
    data = animation_bytes(blocks(), TIMES, "gif")
    (tmp_path / "cut.gif").write_bytes(data[: len(data) * 3 // 4])
    cut = open_animation(tmp_path / "cut.gif")
    with pytest.raises(DataError, match=r"cut.gif is damaged or cut off"):
        list(cut.frames())
    monkeypatch.setattr(animation, "MOST_FRAMES", 4)
    (tmp_path / "long.gif").write_bytes(data)
    with pytest.raises(DataError, match=r"has 5 frames; up to 4 are read. Make a video of it."):
        open_animation(tmp_path / "long.gif")
    monkeypatch.setattr(animation, "MAX_PIXELS", 100)
    with pytest.raises(DataError, match="megapixels"):
        open_animation(tmp_path / "long.gif")


def test_a_still_for_programs_that_show_one_frame_is_none(tmp_path):
    stills = [Image.fromarray(frame) for frame in blocks()]
    stills[0].save(tmp_path / "a.png", save_all=True, append_images=stills[1:], default_image=True, duration=40)
    found = open_animation(tmp_path / "a.png")
    assert found.count == 4
    for frame, pixels in zip(found.frames(), blocks()[1:], strict=True):
        np.testing.assert_array_equal(frame.pixels[..., :3], pixels)
