"""Films: a walk through a model's noise space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from gantool.data.image import Pixels, save_gif, save_mp4, save_png, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.engine.devices import enough_memory
from gantool.errors import UsageError
from gantool.family import AnimateRequest, Animates
from gantool.tasks.fitting import check_can
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run
from gantool.tasks.sample import Drawn, check_fps, check_seeds, check_stage, new_folder, settle_size

SHORT = 20  # frames of each film on the sheet
STILLS = 4  # of them on the still sheet


def animate(
    run: str | Path | Run,
    *,
    frames: int = 100,
    fps: float = 10.0,
    alpha: float = 0.1,
    beta: float = 0.9,
    start_scale: int | None = None,
    seed: int = 0,
    size: str | tuple[int, int] | None = None,
    to: str | Path | None = None,
    out: str | Path = DEFAULT_OUT,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Drawn:
    """Draw a film as GIF, and as MP4 where ffmpeg exists.

    Args:
        frames, alpha, beta, seed, size: see `AnimateRequest`.
        start_scale: scales below it do not move. None means 1 (0 while the model has one scale only), and adds
            sheet.gif and sheet.png, which show a short film from every start scale.
        fps: frames a second.
        to: the folder; None makes a new one under the run's animations/.

    Raises:
        UsageError: the family cannot animate, or a value is out of range.
    """
    found = open_run(run, out)
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0 <= value <= 1:
            raise UsageError(f"--{name} {value} is out of range.", "Use 0 to 1.")
    if not 1 <= frames <= 10_000:
        raise UsageError(f"{frames} frames make no film.", "Use 1 to 10000.")
    check_fps(fps)
    check_seeds([seed])
    check_stage(start_scale or 0)
    pixels = settle_size(size)
    check_can(found.spec, "animate")
    model = found.load(device, say)
    if not isinstance(model, Animates):
        raise TypeError("the model has no method animate")
    choosing = start_scale is None
    if start_scale is None:
        start_scale = model.animation_scales[min(1, len(model.animation_scales) - 1)]
    request = AnimateRequest(frames, alpha, beta, start_scale, seed, pixels)
    with enough_memory("Ask for a smaller --size or fewer --frames."):
        film = model.animate(request)
        first = to_uint8(next(film))[0]  # before there is a folder: what is refused leaves nothing behind
        folder = new_folder(found, "animations", to)
        pictures = [to_uint8(next(film))[0] if frame else first for frame in progress(range(frames))]
    files = save_film(pictures, folder, "film", fps, say)
    if not choosing:
        return Drawn(folder, tuple(files))
    with enough_memory("Name a --start-scale."):
        shorts = {
            scale: [to_uint8(frame)[0] for frame in model.animate(replace(request, frames=SHORT, start_scale=scale))]
            for scale in progress(model.animation_scales)
        }
    labels = [f"scale {scale}" for scale in shorts]
    sheets = [contact_sheet([short[i] for short in shorts.values()], labels=labels) for i in range(SHORT)]
    save_gif(sheets, folder / "sheet.gif", fps=fps)
    shown = range(0, SHORT, SHORT // STILLS)
    stills = [short[i] for short in shorts.values() for i in shown]
    names = [f"scale {scale}, frame {i}" for scale in shorts for i in shown]
    save_png(contact_sheet(stills, labels=names, columns=len(shown)), folder / "sheet.png")
    say(f"Every start scale at a glance: {folder / 'sheet.gif'}; the film is of scale {start_scale}.")
    return Drawn(folder, (*files, folder / "sheet.gif"), folder / "sheet.png")


def save_film(pictures: list[Pixels], folder: Path, name: str, fps: float, say: Callable[[str], None]) -> list[Path]:
    """Frames as name.gif, and as name.mp4 where that works; the files."""
    files = [folder / f"{name}.gif"]
    save_gif(pictures, files[0], fps=fps)
    if save_mp4(pictures, folder / f"{name}.mp4", fps=fps):
        files.append(folder / f"{name}.mp4")
    else:
        say("No MP4: the program ffmpeg is not installed.")
    return files
