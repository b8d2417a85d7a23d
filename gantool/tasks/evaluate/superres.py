"""How well a network enlarges: PSNR, SSIM and LPIPS of each picture of a set, with bicubic's beside them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from gantool.data.image import Pixels, to_tensor
from gantool.data.sr_sets import Loaded, SRSet, find_set, load_pair
from gantool.errors import DataError, UsageError
from gantool.metrics import psnr_ssim
from gantool.nn.imresize import imresize
from gantool.nn.inference import exact
from gantool.tasks.evaluate.images import lpips_if_there
from gantool.tasks.evaluate.operands import Count, Say, quiet, silent
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.evaluate.result import Evaluation, Findings

if TYPE_CHECKING:
    from gantool.family import Enlarges
    from gantool.metrics.lpips import Lpips
    from gantool.tasks.runs import Run

DEFAULT_SCALE = 4
LUMA = np.array([65.481, 128.553, 24.966]) / 219  # of BT.601 over the full range: grey stays what it is
Enlarge = Callable[[Pixels], Pixels]  # (h, w, 3) uint8 to (scale h, scale w, 3) uint8


@dataclass
class Prepared:
    """A set and what it is measured with, for several measurements.

    Attributes:
        pairs: the set.
        lpips: its network; None where its weights are not there.
        said: what the protocol and the warnings say of LPIPS.
        bicubic: figures of bicubic that are known already, by the large picture's file.
    """

    pairs: SRSet
    lpips: Lpips | None
    said: Findings
    bicubic: dict[Path, dict[str, float]] = field(default_factory=dict)


def prepare(
    data: str | Path, scale: int, *, small: str | Path | None = None, options: EvalOptions | None = None
) -> Prepared:
    """Find the set and load LPIPS, as `evaluate_superres` does. Raises DataError as there."""
    said = Findings()
    pairs = find_set(data, scale, small)
    return Prepared(pairs, lpips_if_there(options or EvalOptions(), said), said)


def evaluate_superres(
    data: str | Path | Prepared,
    model: str | Path | Run | Enlarges | None = None,
    scale: int | None = None,
    *,
    small: str | Path | None = None,
    options: EvalOptions | None = None,
    say: Say = quiet,
    count: Count = silent,
) -> Evaluation:
    """Enlarge the small pictures of a set and compare with the large ones, as super-resolution papers do.

    PSNR and SSIM of MATLAB's luma, not rounded, without a border of `scale` pixels; results are clipped and rounded to
    8 bits before. A file of one channel is its own luma, as in the papers' MATLAB code. LPIPS, where its weights are,
    of all pixels in RGB. Means over pictures.

    Args:
        data: see `gantool.data.sr_sets.find_set`. Or what `prepare` gave: to measure a model again and again, as it
            trains. Then the protocol does not say the hash of its weights, which takes time.
        model: a run, a file of weights, or what enlarges; None measures bicubic alone.
        scale: None takes the set's if it is prepared, else the model's, else 4.
        small: folder of the small pictures, where they lie apart.
        options: heeded are background, device, out, skip_bad, net, weights and heads.
        say, count: take sentences and progress, for people.

    Raises:
        UsageError: another scale than the model's.
        DataError: what is wrong with pictures or weights.
        RunError: there is no such run.
    """
    options = options or EvalOptions()

    def ready_for(scale: int) -> Prepared:
        return data if isinstance(data, Prepared) else prepare(data, scale, small=small, options=options)

    scale = data.pairs.scale if isinstance(data, Prepared) else scale
    ready = None if scale is None else ready_for(scale)  # before a model is loaded
    network = _opened(model, options, say)
    if network is not None and scale not in (None, int(network.factor)):
        raise UsageError(f"The model enlarges {network.factor} times, not {scale}.", f"Use --scale {network.factor}.")
    scale = scale or (int(network.factor) if network is not None else DEFAULT_SCALE)
    ready = ready or ready_for(scale)
    pairs = ready.pairs
    found = Findings(dict(ready.said.protocol), list(ready.said.warnings))
    _measure(ready, None if network is None else _by_network(network, options, say), options, found, count)
    found.protocol |= {
        "data": pairs.large, "pictures": len(found.pairs), "small pictures": pairs.small, "scale": scale,
        "model": "bicubic (MATLAB's)" if network is None else _named(model, network, options.out, ready is not data),
        "psnr, ssim": f"Y of BT.601 as in MATLAB, not rounded; {scale} pixels of border left out",
        "window": "11x11 Gaussian, sigma 1.5, valid region", "peak": 255,
    }  # fmt: skip
    warnings = tuple(dict.fromkeys(found.warnings))
    return Evaluation("superres", found.values, "higher", found.protocol, tuple(found.pairs), warnings)


def _opened(model: str | Path | Run | Enlarges | None, options: EvalOptions, say: Say) -> Enlarges | None:
    from gantool.family import Enlarges
    from gantool.tasks.enlarger import open_enlarger

    if model is None or isinstance(model, Enlarges):
        return model
    return open_enlarger(model, options.out, options.device, say)


def _named(model: str | Path | Run | Enlarges | None, network: Enlarges, out: Path, hashed: bool) -> dict[str, str]:
    """What was measured, so that it is known again."""
    from gantool.tasks.enlarger import fingerprint
    from gantool.tasks.opening import name_of

    return {"name": name_of(model, out), **({"fingerprint": fingerprint(network)} if hashed else {})}


def _by_network(network: Enlarges, options: EvalOptions, say: Say) -> Enlarge:
    """The same as `gantool superres` does, tile by tile where memory is short."""
    from gantool.engine.devices import pick_device
    from gantool.tasks.superres_tiles import Tiler

    weights = network.parameters() if isinstance(network, torch.nn.Module) else iter(())
    tiler = Tiler(network, next((weight.device for weight in weights), pick_device(options.device)), say=say)
    factor = int(network.factor)

    def enlarge(pixels: Pixels) -> Pixels:
        colours = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, 2)
        large = np.empty((colours.shape[0] * factor, colours.shape[1] * factor, 3), np.uint8)
        tiler.enlarge(colours, large)
        return large

    return enlarge


def _measure(ready: Prepared, enlarge: Enlarge | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """A row for each picture, and the means of the figures that all rows have."""
    pairs = ready.pairs
    bad: list[str] = []
    for done, pair in enumerate(pairs.pairs):
        try:
            loaded = load_pair(pair, pairs.scale, options.background)
            row = _row(ready, pair.large, loaded, enlarge)
        except DataError as error:
            if not options.skip_bad:
                named = error if pair.large.name in error.what else DataError(f"{pair.large}: {error.what}", error.hint)
                raise named from error
            bad.append(error.what)
            continue
        if loaded.grey:
            found.protocol["grey pictures"] = int(found.protocol.get("grey pictures", 0)) + 1
        found.pairs.append({"picture": pair.name, **row})
        count(pairs.large, done + 1, len(pairs.pairs))
    if bad:
        found.warnings.append(f"{len(bad)} of {len(pairs.pairs)} pictures were left out: {bad[0]}")
    if not found.pairs:
        raise DataError(f"No picture of {pairs.large} could be measured: {bad[0]}", "Look at the pictures.")
    for key in found.pairs[0]:
        if key != "picture" and all(key in row for row in found.pairs):
            found.values[key] = sum(row[key] for row in found.pairs) / len(found.pairs)
    if any(math.isinf(row["psnr"]) for row in found.pairs):
        found.warnings.append("A result equals its picture: the PSNR is infinite.")


def _row(ready: Prepared, file: Path, loaded: Loaded, enlarge: Enlarge | None) -> dict[str, float]:
    """psnr, ssim and lpips of what `enlarge` makes, and of bicubic with its name; of bicubic alone if that is None."""
    scale = ready.pairs.scale
    own = {} if enlarge is None else _figures(loaded, enlarge(loaded.small), scale, ready.lpips)
    if file not in ready.bicubic:
        ready.bicubic[file] = _figures(loaded, imresize(loaded.small, scale), scale, ready.lpips)
    bicubic = ready.bicubic[file]
    return bicubic if enlarge is None else own | {f"{name} bicubic": value for name, value in bicubic.items()}


def _figures(loaded: Loaded, result: Pixels, scale: int, lpips: Lpips | None) -> dict[str, float]:
    a = loaded.large
    b: psnr_ssim.Levels = result @ LUMA if loaded.grey and result.ndim == 3 else result
    row = {
        "psnr": psnr_ssim.psnr(a, b, crop=scale, y=not loaded.grey),
        "ssim": psnr_ssim.ssim(a, b, crop=scale, y=not loaded.grey),
    }
    if lpips is not None and min(a.shape[:2]) >= lpips.backbone.least:
        with exact():
            row["lpips"] = lpips.distance(_colours(a), _colours(result)).item()
    return row


def _colours(pixels: Pixels) -> torch.Tensor:
    return to_tensor(pixels if pixels.ndim == 3 else np.stack([pixels] * 3, 2))
