"""Metrics of one picture and pictures made from it: SIFID, patch SWD, and how much the samples differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import torch

from gantool.data.image import Pixels, to_tensor
from gantool.data.pictures import Item
from gantool.engine.devices import pick_device
from gantool.errors import DataError, UsageError
from gantool.metrics import single_image
from gantool.metrics.frechet import Statistics, frechet_distance
from gantool.tasks.evaluate.images import (
    PAIRS,
    counted,
    each_pair,
    lpips_network,
    lpips_weights,
    ms_ssim_of,
    weights_said,
)
from gantool.tasks.evaluate.operands import Count, Operand
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.evaluate.result import Findings
from gantool.weights.store import Found, MissingWeights, find

INCEPTION = "inception-torchvision"
SIZES = ("full", "half", "quarter")
MOST_SAMPLES = 100  # whose spread is measured: SinGAN's number
COPIES = "A generator that copies its picture wins this metric: read it together with a figure of diversity."


def sifid_weights(options: EvalOptions) -> Found:
    """torchvision's Inception. Raises DataError where it is not there, UsageError where it has no such layer."""
    from gantool.metrics.sifid import LAYER_NAMES

    if options.layer is not None and options.layer not in LAYER_NAMES:
        layers = ", ".join(map(str, LAYER_NAMES))
        raise UsageError(f"Inception has no layer {options.layer}.", f"Take one of {layers}.")
    return find(options.weights, wanted=INCEPTION) if options.weights else find(INCEPTION)


def sifid(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Mean SIFID over the pairs."""
    from gantool.metrics.sifid import Sifid

    assert b is not None
    weights = sifid_weights(options)
    network = Sifid(weights.path, options.layer or 64, pick_device(options.device))
    weights_said(found, "network", weights)
    found.protocol |= {"layer": f"{network.layer} channels, {network.layer_name}", "ddof": 1}
    known: dict[str, Statistics] = {}  # of the last real picture, which may have many fakes
    seen = _Seen(len(a.pictures) == 1)

    def compare(real: Item, fake: Item) -> dict[str, float]:
        seen.add(real, fake)
        if real.name not in known:
            known.clear()
            known[real.name] = network.statistics(real.pixels)
        return {"sifid": frechet_distance(known[real.name], network.statistics(fake.pixels))}

    each_pair(a, b, options, found, count, compare)
    # --weights is the file of Inception here.
    _spread_beside(a, b, seen, replace(options, weights=None), found)


def patch_swd(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Mean patch SWD over the pairs, at three sizes."""
    assert b is not None
    seed = options.seed or 0
    fewest = [len(SIZES)]
    seen = _Seen(len(a.pictures) == 1)

    def compare(real: Item, fake: Item) -> dict[str, float]:
        seen.add(real, fake)
        shortest = min(*real.pixels.shape[:2], *fake.pixels.shape[:2])
        n = single_image.sizes_for(shortest)
        if n == 0:
            raise DataError(
                f"{a.picture(real.name)} or {b.picture(fake.name)} has a side of {shortest} pixels, "
                "which holds no patch of 7x7.",
                "Use pictures of 27 pixels a side or more, whose quarter holds one.",
            )
        fewest[0] = min(fewest[0], n)
        distances = single_image.patch_swd_pyramid(to_tensor(real.pixels), to_tensor(fake.pixels), seed=seed, sizes=n)
        return {"patch_swd": sum(distances) / n, **dict(zip(SIZES, distances, strict=False))}

    each_pair(a, b, options, found, count, compare)
    if fewest[0] < len(SIZES):
        found.warnings.append("Pictures are too small for all of full, half and quarter size: the mean is of fewer.")
    found.protocol |= {"patch": "7x7", "directions": 256, "quantiles": 2000, "seed": seed}
    _spread_beside(a, b, seen, options, found)


@dataclass
class _Seen:
    """The one real picture and the first of its fakes, kept so that diversity need not read them again."""

    one_real: bool
    real: Pixels | None = None
    fakes: list[Pixels] = field(default_factory=list)

    def add(self, real: Item, fake: Item) -> None:
        if self.one_real and len(self.fakes) < MOST_SAMPLES:
            self.real = real.pixels
            self.fakes.append(fake.pixels)


def _spread_beside(a: Operand, b: Operand, seen: _Seen, options: EvalOptions, found: Findings) -> None:
    """Diversity next to a figure that copying wins, where there are samples of one size to take it from."""
    if len(a.pictures) > 1 and len(b.pictures) == 1:
        found.warnings.append(
            f"{a.label} has {len(a.pictures)} pictures and {b.label} one: the real picture comes first, then the fakes."
        )
    if seen.real is None or len(seen.fakes) < 2:
        found.warnings.append(COPIES)
        return
    spread = Findings()
    try:
        _spread(seen.real, seen.fakes, a.label, b.label, options, spread)
    except (DataError, UsageError) as error:
        found.warnings += [COPIES, f"Diversity was not measured: {error.what}"]
        return
    found.values.update(spread.values)
    found.protocol["diversity"] = spread.protocol
    found.warnings += spread.warnings


def diversity(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """SinGAN's spread of pixels, mean MS-SSIM of pairs of samples, and their mean LPIPS where its weights are."""
    assert b is not None
    if len(a.pictures) != 1:
        raise UsageError(
            f"{a.label} has {len(a.pictures)} pictures; diversity is that of samples made from one.",
            "Give one real picture, then the samples made from it.",
        )
    real = a.read(0).pixels
    samples = [item.pixels for item in islice(counted(b, count), MOST_SAMPLES)]
    if len(samples) < 2:
        raise UsageError(f"{b.label} has one picture, which has no spread.", "Give two samples or more.")
    b.used = len(samples)
    _spread(real, samples, a.label, b.label, options, found)


def _spread(
    real: Pixels, samples: Sequence[Pixels], real_label: str, label: str, options: EvalOptions, found: Findings
) -> None:
    same_size(samples, label)
    stacked = torch.cat([to_tensor(sample) for sample in samples])
    try:
        found.values["diversity"] = single_image.diversity(stacked, to_tensor(real))
    except ValueError as error:
        raise DataError(
            f"{real_label} has one grey only, with which no spread can be compared.", "Take another picture."
        ) from error
    found.protocol["samples"] = len(samples)
    ms_ssim_of(samples, options, found)
    try:
        lpips_weights(options)
    except MissingWeights:
        if options.weights or options.heads:
            raise
        found.protocol["lpips"] = "not measured: its weights are not there"
        return
    network = lpips_network(options, found)
    try:
        spread = network.pairwise_mean(stacked, pairs=options.pairs or PAIRS, seed=options.seed or 0)
    except DataError as error:  # too small for it
        found.protocol["lpips"] = f"not measured: {error.what}"
        return
    found.values["lpips"] = spread.mean
    found.protocol["lpips pairs"] = spread.pairs


def same_size(pictures: Sequence[Pixels], label: str) -> None:
    """Refuse samples of different sizes, which cannot be compared pixel by pixel."""
    sizes = sorted({(p.shape[1], p.shape[0]) for p in pictures})
    if len(sizes) > 1:
        (w, h), (w2, h2) = sizes[0], sizes[-1]
        raise DataError(
            f"The pictures of {label} have different sizes, such as {w}x{h} and {w2}x{h2}.",
            "Draw or resize them to one size.",
        )
