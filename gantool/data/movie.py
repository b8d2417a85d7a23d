"""Sequences of pictures as animated GIF (always possible) and MP4 (when ffmpeg is installed)."""

from __future__ import annotations

import io
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
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
    palette = _shared_palette(frames)
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
    program = shutil.which("ffmpeg")
    if program is None:
        return False
    height, width, _ = frames[0].shape
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    size = f"{width + width % 2}x{height + height % 2}"
    source = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", size, "-framerate", f"{fps:g}"]
    target = ["-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4"]
    try:
        with tempfile.TemporaryDirectory(prefix="gantool-") as folder:
            video, log = Path(folder, "video.mp4"), Path(folder, "log.txt")
            command = [program, "-hide_banner", "-loglevel", "error", *source, "-i", "-", *target, str(video)]
            code = _feed(command, (np.pad(frame, pad, "edge").tobytes() for frame in frames), log)
            if code != 0 or not video.exists():
                said = log.read_text(errors="replace").strip().splitlines()
                reason = said[-1].strip().rstrip(".") if said else f"it ended with status {code}"
                raise RunError(f"ffmpeg could not write {path}: {reason}.", "Write a GIF instead.")
            data = video.read_bytes()
    except OSError as error:
        raise write_error(path, error) from error
    atomic_write(path, data, overwrite=overwrite, sync=False)
    return True


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


def _shared_palette(frames: Sequence[Pixels]) -> Image.Image:
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
