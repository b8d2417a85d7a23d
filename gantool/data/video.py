"""Videos, taken apart into frames by the program ffmpeg, and given their sound back."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gantool.data.decode import MAX_PIXELS, Pixels, check_size
from gantool.data.listing import file_mode
from gantool.data.movie import said_in
from gantool.errors import DataError, RunError

SUFFIXES = frozenset(
    [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp", ".mts", ".m2ts"]
)
"""Extensions of video files, in lower case."""

_HEADER = re.compile(rb"YUV4MPEG2 W(\d+) H(\d+) F(\d+):(\d+)")
_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_QUIET = ["ffmpeg", "-hide_banner", "-nostdin"]


@dataclass(frozen=True)
class Video:
    """The first video stream of a file.

    Attributes:
        path: of the file.
        height, width: of its frames, pixels, turned upright.
        rate: frames a second, as a fraction.
        count: about how many frames there are; None where the file does not say.
    """

    path: Path
    height: int
    width: int
    rate: str
    count: int | None

    def frames(self) -> Generator[Pixels]:
        """Each frame, (height, width, 3) uint8; where the rate changes frames are repeated or left out.

        Raises:
            DataError: it cannot be decoded to its end.
        """
        size = self.height * self.width * 3
        with tempfile.TemporaryDirectory(prefix="gantool-") as folder:
            log = Path(folder, "log.txt")
            command = [*_QUIET, "-loglevel", "error", *_input(self.path), "-map", "0:v:0", "-r", self.rate]
            command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
            with (
                open(log, "wb") as errors,
                subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=errors) as process,
            ):
                assert process.stdout is not None
                try:
                    while len(data := process.stdout.read(size)) == size:
                        yield np.frombuffer(data, np.uint8).reshape(self.height, self.width, 3)
                except BaseException:
                    process.kill()
                    raise
                code = process.wait()
            if code or data:
                why = said_in(log, code)
                raise DataError(f"{self.path} is damaged or cut off ({why}).", "Copy or download the video again.")


def open_video(path: Path) -> Video:
    """Look at a video file.

    Raises:
        DataError: there is none, or it is no video that ffmpeg reads; or its frames are too large.
        RunError: the program ffmpeg is not installed.
    """
    file_mode(path)
    if shutil.which("ffmpeg") is None:
        raise RunError(
            f"{path} is a video, and the program ffmpeg, which takes videos apart, is not installed.",
            "Install ffmpeg, or give a folder of frames.",
        )
    # The header of this format, which is for pipes, tells size and rate after all that ffmpeg does to a video.
    command = [*_QUIET, *_input(path), "-map", "0:v:0", "-frames:v", "1", "-pix_fmt", "yuv420p"]
    done = subprocess.run(
        [*command, "-f", "yuv4mpegpipe", "-"], capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    found, said = _HEADER.match(done.stdout), done.stderr.decode(errors="replace")
    if found is None:
        lines = said.strip().splitlines()
        reason = f" ({lines[-1].strip().rstrip('.')})" if lines else ""
        raise DataError(f"{path} holds no video that ffmpeg reads{reason}.", "Copy or download the video again.")
    width, height, upper, lower = map(int, found.groups())
    check_size(path, (width, height), MAX_PIXELS, 1)
    count = None
    if (told := _DURATION.search(said)) and upper and lower:
        hours, minutes, seconds = (float(part) for part in told.groups())
        count = max(1, round((hours * 3600 + minutes * 60 + seconds) * upper / lower))
    if not upper or not lower:
        upper, lower = 25, 1  # ffmpeg's own guess
    return Video(path, height, width, f"{upper}/{lower}", count)


def with_sound(video: Path, source: Path, to: Path) -> bool:
    """Write the pictures of `video` and the sound of `source`, if it has one, to the MP4 `to`; whether that went."""
    for codec in ("copy", "aac"):  # not all kinds of sound may be in an MP4
        command = [*_QUIET, "-loglevel", "error", "-y", *_input(video), *_input(source), "-map", "0:v", "-map", "1:a?"]
        command += ["-c:v", "copy", "-c:a", codec, "-movflags", "+faststart", "-f", "mp4", str(to)]
        if subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0:
            return True
    return False


def _input(path: Path) -> list[str]:
    """Words that make ffmpeg read this very file, whatever its name looks like.

    A video may name other files or addresses: no more than files of this machine are opened.
    """
    return ["-protocol_whitelist", "file,pipe", "-i", f"file:{path}"]
