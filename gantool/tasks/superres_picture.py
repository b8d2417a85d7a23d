"""One picture enlarged by a network: grey, alpha and 16 bits kept, by any factor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gantool.data.faithful import Faithful
from gantool.data.faithful_write import MOST_BYTES, Form, check_room
from gantool.errors import DataError, UsageError
from gantool.nn.imresize_strips import imresize_levels, scaled_side
from gantool.tasks.picture_levels import Levels, Tick, luma, without_hidden
from gantool.tasks.superres_tiles import Tiler

LARGEST_SCALE = 64.0


def settle_scale(scale: float | None, factor: int) -> float:
    """The scale asked for, or the network's own factor.

    Raises:
        UsageError: it enlarges nothing, or is above 64. A network of factor 1 may leave the size as it is.
    """
    if scale is None:
        return float(factor)
    least = 1 if factor == 1 else 1 + 1e-6
    if scale > LARGEST_SCALE:
        raise UsageError(f"A factor of {scale:g} is too large.", f"Use above 1 and up to {LARGEST_SCALE:g}.")
    if not least <= scale:
        raise UsageError(f"A factor of {scale:g} enlarges nothing.", f"Use above 1 and up to {LARGEST_SCALE:g}.")
    return float(scale)


def passes_for(scale: float, factor: int) -> int:
    """How often the network is applied until the picture is `scale` times as large, or more; at least once."""
    passes = 1
    while factor > 1 and factor**passes < scale:
        passes += 1
    return passes


def explain_scale(scale: float, factor: int, say: Callable[[str], None]) -> None:
    """Say how a factor that is not the network's own is reached."""
    passes = passes_for(scale, factor)
    reached = factor**passes
    if passes == 1 and reached == scale:
        return
    often = {1: "once", 2: "twice"}.get(passes, f"{passes} times")
    rest = "" if reached == scale else f", then from {reached} to {scale:g} times by MATLAB's bicubic"
    say(f"The network enlarges {factor} times: it is applied {often}{rest}.")


def check_picture(picture: Faithful, scale: float, factor: int, form: Form, name: str) -> tuple[int, int]:
    """The size (height, width) of the result, before it is computed.

    Raises:
        DataError: the result, or what it is made from on the way, is too large.
    """
    height, width = (scaled_side(side, scale) for side in picture.size)
    channels, depth = picture.pixels.shape[2], picture.pixels.itemsize
    check_room(name, form, height, width, channels * depth)
    passes = passes_for(scale, factor)
    reached = factor**passes
    if reached != scale or passes > 1:
        on_the_way = picture.size[0] * picture.size[1] * reached**2 * 3 * 2
        if on_the_way > MOST_BYTES:
            raise DataError(
                f"{name} would pass {reached} times its size on the way to {scale:g} times: {on_the_way / 1e9:.1f} GB.",
                f"Use --scale {factor}, or a network of another factor.",
            )
    return height, width


def enlarge_picture(picture: Faithful, tiler: Tiler, scale: float, tick: Tick = lambda *_: None) -> Levels:
    """The pixels (H, W, C) of `picture`, `scale` times as large; check_picture comes first.

    Grey goes through the network as RGB, and the luma of the result is kept. Alpha is enlarged by MATLAB's bicubic;
    under fully transparent pixels the nearest visible colour is taken, since what is there shows at their edges.

    Raises:
        MemoryShort, RunError: as Tiler.enlarge.
    """
    pixels, top = picture.pixels, int(np.iinfo(picture.pixels.dtype).max)
    channels = pixels.shape[2]
    height, width = (scaled_side(side, scale) for side in picture.size)
    out: Levels = np.empty((height, width, channels), pixels.dtype)
    colours = pixels
    if channels in (2, 4):
        alpha = pixels[..., -1:]
        out[..., -1:] = top if bool((alpha == top).all()) else imresize_levels(alpha, scale)
        colours = without_hidden(pixels)
    if colours.shape[2] == 3:
        _through(colours, out[..., :3], tiler, scale, tick)
    else:
        rgb: Levels = np.empty((height, width, 3), pixels.dtype)
        _through(np.repeat(colours, 3, axis=2), rgb, tiler, scale, tick)
        luma(rgb, out[..., 0])
    return out


def _through(rgb: Levels, out: Levels, tiler: Tiler, scale: float, tick: Tick) -> None:
    """RGB to `out`: the network as often as it takes, then bicubic. In between there are 16 bits."""
    factor = int(tiler.model.factor)
    passes = passes_for(scale, factor)
    for number in range(1, passes + 1):
        size = (rgb.shape[0] * factor, rgb.shape[1] * factor)
        last = number == passes and size == out.shape[:2]
        large: Levels = out if last else np.empty((*size, 3), np.uint16)
        tiler.enlarge(rgb, large, tick)
        rgb = large
    if rgb is not out:
        out[:] = imresize_levels(rgb, scale / factor**passes, size=(out.shape[0], out.shape[1]), dtype=out.dtype)
