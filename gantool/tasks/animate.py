"""Films: a walk through a model's noise space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from gantool.data.image import save_gif, save_mp4, to_uint8
from gantool.engine.devices import enough_memory
from gantool.errors import UsageError
from gantool.family import AnimateRequest, Animates
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run
from gantool.tasks.sample import Drawn, check_seeds, check_stage, new_folder, settle_size


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
        start_scale: stages below it do not move; None means 1, or 0 while the model has one stage only.
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
    if not 0 < fps <= 50:
        raise UsageError(f"{fps} frames a second are out of range.", "Use up to 50.")
    check_seeds([seed])
    check_stage(start_scale or 0)
    pixels = settle_size(size)
    if start_scale is None:  # looked up before loading: a training under way can only add stages
        state = found.state()
        start_scale = min(1, state.stage) if state else 0
    model = found.load(device, say)
    if not isinstance(model, Animates):
        raise UsageError(f"{found.spec.title} cannot animate.", "`gantool families` lists what each can do.")
    request = AnimateRequest(frames, alpha, beta, start_scale, seed, pixels)
    with enough_memory("Ask for a smaller --size or fewer --frames."):
        film = model.animate(request)
        first = to_uint8(next(film))[0]  # before there is a folder: what is refused leaves nothing behind
        folder = new_folder(found, "animations", to)
        pictures = [to_uint8(next(film))[0] if frame else first for frame in progress(range(frames))]
    files = [folder / "film.gif"]
    save_gif(pictures, files[0], fps=fps)
    if save_mp4(pictures, folder / "film.mp4", fps=fps):
        files.append(folder / "film.mp4")
    else:
        say("No MP4: the program ffmpeg is not installed.")
    return Drawn(folder, tuple(files))
