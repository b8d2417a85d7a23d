"""Enlarging the picture that a run was trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gantool.data.image import save_png, to_uint8
from gantool.engine.devices import enough_memory
from gantool.errors import UsageError
from gantool.family import SuperResolveRequest, SuperResolves
from gantool.tasks.fitting import check_can
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run
from gantool.tasks.sample import Drawn, check_seeds, check_size, new_folder

LARGEST_FACTOR = 64.0


def check_factor(factor: float) -> float:
    """The factor as it is. Raises UsageError unless it is above 1 and at most 64."""
    if not 1 < factor <= LARGEST_FACTOR:
        raise UsageError(f"A factor of {factor:g} enlarges nothing.", f"Use above 1 and up to {LARGEST_FACTOR:g}.")
    return factor


def check_result(factor: float, size: tuple[int, int]) -> None:
    """Raises UsageError when a picture of `size` (height, width) would become too large."""
    check_size((int(factor * size[0]), int(factor * size[1])))


def superres(
    run: str | Path | Run,
    factor: float = 4.0,
    *,
    seed: int = 0,
    to: str | Path | None = None,
    out: str | Path = DEFAULT_OUT,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> Drawn:
    """Enlarge the picture of a run by `factor`, with detail that its model makes up.

    The size is that of the picture as trained on (run option max_size), times the factor, rounded down.

    Raises:
        UsageError: a family that cannot, a factor out of range, a result that is too large.
        MemoryShort: it does not fit.
    """
    found = open_run(run, out)
    check_can(found.spec, "superres")
    check_seeds([seed])
    check_factor(factor)
    model = found.load(device, say)
    if not isinstance(model, SuperResolves):
        raise TypeError("the model has no method super_resolve")
    check_result(factor, model.stages()[-1].size)
    with enough_memory("Use a smaller factor."):
        large = to_uint8(model.super_resolve(SuperResolveRequest(factor, seed)))[0]
    folder = new_folder(found, "enlarged", to)
    file = folder / f"{found.info['name']}-x{factor:g}.png"
    save_png(large, file)
    return Drawn(folder, (file,))
