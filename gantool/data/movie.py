"""Sequences of pictures as animated GIF (always possible) and MP4 (when ffmpeg is installed)."""

from __future__ import annotations

import io
import itertools
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from gantool.data.decode import Pixels
from gantool.errors import RunError
from gantool.files import atomic_write, check_target, write_error

_PALETTE_PIXELS = 1 << 18  # enough to choose 256 colours from


def save_gif(frames: Sequence[Pixels], path: str | Path, fps: float, *, overwrite: bool = False) -> None:
    """Write (H, W, 3) uint8 frames as a GIF that loops for ever.

    All frames share one palette, chosen from all of them, so that colours do not jump. A GIF counts time
    in 1/100 s: the delays vary so that the average is `fps`, at most 50 (players slow down what is faster).

    Raises:
        RunError: the file exists and `overwrite` is False, or it cannot be written.
        ValueError: no frames, frames of several shapes, or `fps` not above 0.
    """
    _check_frames(frames, fps)
    check_target(path, overwrite=overwrite)
    palette = shared_palette(frames)
    images = [Image.fromarray(np.ascontiguousarray(f)).quantize(palette=palette) for f in frames]
    ends = [round(100 * (index + 1) / min(fps, 50)) for index in range(len(frames))]
    delays = [10 * (end - start) for start, end in zip([0, *ends], ends, strict=False)]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=delays, loop=0, optimize=False)
    atomic_write(path, buffer.getvalue(), overwrite=overwrite, sync=False)


def save_mp4(frames: Sequence[Pixels], path: str | Path, fps: float, *, overwrite: bool = False) -> bool:
    """Write (H, W, 3) uint8 frames as MP4 (yuv420p) with the program `ffmpeg`.

    An odd height or width grows by one repeated row or column, which yuv420p needs.

    Returns:
        True when written, False when ffmpeg is not installed.

    Raises:
        RunError: the file exists and `overwrite` is False, it cannot be written, or ffmpeg failed.
        ValueError: no frames, frames of several shapes, or `fps` not above 0.
    """
    _check_frames(frames, fps)
    check_target(path, overwrite=overwrite)
    if shutil.which("ffmpeg") is None:
        return False
    with temporary_video(path) as video:
        encode_video(frames, f"{fps:g}", video, path)
        atomic_write(path, video.read_bytes(), overwrite=overwrite, sync=False)
    return True


def check_ffmpeg(path: str | Path) -> None:
    """Raises RunError where the program ffmpeg is not installed, without which the video `path` cannot be made."""
    if shutil.which("ffmpeg") is None:
        raise RunError(
            f"{path} would be a video, and the program ffmpeg, which makes videos, is not installed.",
            "Install ffmpeg, or write a GIF.",
        )


@contextmanager
def temporary_video(path: str | Path) -> Iterator[Path]:
    """Inside, the name of an MP4 file to be, in a folder that goes again; RunError, naming `path`, for a full disk."""
    try:
        with tempfile.TemporaryDirectory(prefix="gantool-") as folder:
            yield Path(folder, "video.mp4")
    except OSError as error:
        raise write_error(path, error) from error


def encode_video(frames: Iterable[Pixels], rate: str, video: Path, path: str | Path) -> None:
    """Write (H, W, 3) uint8 frames of one shape as an MP4, `video`, with ffmpeg, which must be there, one by one.

    Args:
        rate: frames a second, as a number or a fraction.
        path: what the file is called in errors.

    Raises:
        RunError: ffmpeg failed.
    """
    given = iter(frames)
    first = next(given)
    height, width, _ = first.shape
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    size = f"{width + width % 2}x{height + height % 2}"
    source = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", size, "-framerate", rate]
    colours = ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-colorspace", "bt709"]  # what players take it for
    target = ["-pix_fmt", "yuv420p", *colours, "-movflags", "+faststart", "-f", "mp4"]
    log = video.with_name("log.txt")
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", *source, "-i", "-", *target, str(video)]
    code = _feed(command, (np.pad(frame, pad, "edge").tobytes() for frame in itertools.chain([first], given)), log)
    if code != 0 or not video.exists():
        raise RunError(f"ffmpeg could not write {path}: {said_in(log, code)}.", "Write a GIF instead.")


def said_in(log: Path, code: int) -> str:
    """The last thing that ffmpeg said, for people."""
    said = log.read_text(errors="replace").strip().splitlines()
    return said[-1].strip().rstrip(".") if said else f"it ended with status {code}"


def _feed(command: list[str], chunks: Iterable[bytes], log: Path) -> int:
    """Run `command` with `chunks` on its standard input, its errors in `log`; its exit status."""
    with (
        open(log, "wb") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors) as process,
    ):
        assert process.stdin is not None
        try:
            for chunk in chunks:
                process.stdin.write(chunk)
            process.stdin.close()
        except BrokenPipeError:  # it has given up; its log says why
            pass
        except BaseException:
            process.kill()
            raise
        return process.wait()


def shared_palette(frames: Sequence[Pixels]) -> Image.Image:
    """A 256-colour palette for all frames, by median cut of a regular sample of their pixels."""
    total = len(frames) * frames[0].shape[0] * frames[0].shape[1]
    every = max(1, total // _PALETTE_PIXELS)
    sample = np.concatenate([frame.reshape(-1, 3)[index % every :: every] for index, frame in enumerate(frames)])
    return Image.fromarray(np.ascontiguousarray(sample[None])).quantize(256, Image.Quantize.MEDIANCUT)


def _check_frames(frames: Sequence[Pixels], fps: float) -> None:
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"fps must be above 0, got {fps}")
    shapes = {(frame.shape, frame.dtype.name) for frame in frames}
    if len(shapes) != 1 or frames[0].ndim != 3 or frames[0].shape[2] != 3 or frames[0].dtype != np.uint8:
        raise ValueError(f"expected frames of one shape (H, W, 3) uint8, got {sorted(shapes)}")
