"""Metrics on pixels: of pairs of pictures (PSNR, SSIM, LPIPS), of sets (SWD), of samples (MS-SSIM)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gantool.data.image import Pixels, to_tensor
from gantool.data.pictures import Item, pair_by_name
from gantool.engine.devices import pick_device
from gantool.errors import DataError
from gantool.metrics import psnr_ssim
from gantool.metrics.laplacian_swd import laplacian_swd
from gantool.metrics.ms_ssim import diversity_ms_ssim
from gantool.nn.inference import exact
from gantool.tasks.evaluate.operands import Count, Operand
from gantool.tasks.evaluate.options import NETS, EvalOptions
from gantool.tasks.evaluate.result import Findings
from gantool.weights.store import Found, MissingWeights, find

if TYPE_CHECKING:
    from gantool.metrics.lpips import Lpips

PAIRS = 100  # as AC-GAN takes of each class
LEVELS = 5  # of MS-SSIM as published


def each_pair(
    a: Operand,
    b: Operand,
    options: EvalOptions,
    found: Findings,
    count: Count,
    compare: Callable[[Item, Item], dict[str, float]],
) -> None:
    """`compare` each picture of `b` with its partner in `a` (by name, or the only one): rows, and their means.

    `b` is streamed; of `a` one picture is held at a time. A mean is of the figures that all pairs have.

    Raises:
        DataError: pictures cannot be paired or read, or no pair is left (with `skip_bad`).
    """
    partners: dict[str, list[int]] = {}
    for i, j in pair_by_name(a.pictures, b.pictures):
        partners.setdefault(b.pictures.names[j], []).append(i)
    held: tuple[int, Item] | None = None
    for item in counted(b, count):
        for i in partners.get(item.name, ()):
            if held is None or held[0] != i:
                try:
                    held = i, a.read(i)
                except DataError as error:
                    if not options.skip_bad or len(a.pictures) == 1:
                        raise
                    a.pictures.skipped.append((a.pictures.names[i], error.what))
                    continue
            figures = _named(b, item, compare, held[1])
            found.pairs.append({"real": held[1].name, "fake": item.name, **figures})
    if not found.pairs:
        raise DataError(f"No pair of {a.label} and {b.label} could be read.", "Look at the pictures.")
    a.used, b.used = (len({row[side] for row in found.pairs}) for side in ("real", "fake"))
    for key in (key for key in found.pairs[0] if all(key in row for row in found.pairs)):
        if key not in ("real", "fake"):
            found.values[key] = sum(row[key] for row in found.pairs) / len(found.pairs)
    found.protocol["pairs"] = len(found.pairs)
    found.protocol["resize"] = "none"


def _named(b: Operand, fake: Item, compare: Callable[[Item, Item], dict[str, float]], real: Item) -> dict[str, float]:
    """What `compare` says; an error of one picture among many says which."""
    try:
        return compare(real, fake)
    except DataError as error:
        if len(b.pictures) == 1 or fake.name in error.what:
            raise
        raise DataError(f"{b.picture(fake.name)}: {error.what}", error.hint) from error


def _of_one_size(a: Operand, b: Operand, real: Item, fake: Item) -> None:
    if real.pixels.shape != fake.pixels.shape:
        (h, w), (h2, w2) = real.pixels.shape[:2], fake.pixels.shape[:2]
        raise DataError(
            f"{a.picture(real.name)} is {w}x{h}, {b.picture(fake.name)} is {w2}x{h2}.",
            "Make both of one size; gantool never resizes what it compares pixel by pixel.",
        )


def psnr(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Mean of the pairs' PSNRs."""
    _by_pixels("psnr", psnr_ssim.psnr, a, b, options, found, count)
    same = sum(math.isinf(row["psnr"]) for row in found.pairs)
    if same:
        found.warnings.append(f"Of {len(found.pairs)} pairs {same} have equal pictures, whose PSNR is infinite.")


def ssim(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Mean of the pairs' SSIMs."""
    found.protocol["window"] = "11x11 Gaussian, sigma 1.5, valid region"
    _by_pixels("ssim", psnr_ssim.ssim, a, b, options, found, count)


def _by_pixels(
    name: str,
    value: Callable[..., float],
    a: Operand,
    b: Operand | None,
    options: EvalOptions,
    found: Findings,
    count: Count,
) -> None:
    """Border and luma as said, or super-resolution's for a factor, or everything."""
    assert b is not None
    crop = options.crop if options.crop is not None else (options.scale or 0)
    y = options.y if options.y is not None else options.scale is not None
    found.protocol["channels"] = "Y of BT.601 as in MATLAB, not rounded" if y else "R, G, B"
    found.protocol |= {"crop": crop, "peak": 255}

    def compare(real: Item, fake: Item) -> dict[str, float]:
        _of_one_size(a, b, real, fake)
        return {name: value(real.pixels, fake.pixels, crop=crop, y=y)}

    each_pair(a, b, options, found, count, compare)


def lpips_weights(options: EvalOptions) -> tuple[Found, Found]:
    """LPIPS's backbone and linear layers. Raises DataError where they are not there."""
    backbone = NETS[options.net]
    heads = f"lpips-{options.net}"
    return (
        find(options.weights, wanted=backbone) if options.weights else find(backbone),
        find(options.heads, wanted=heads) if options.heads else find(heads),
    )


def lpips(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Mean of the pairs' distances."""
    assert b is not None
    network = lpips_network(options, found)

    def compare(real: Item, fake: Item) -> dict[str, float]:
        _of_one_size(a, b, real, fake)
        with exact():
            return {"lpips": network.distance(to_tensor(real.pixels), to_tensor(fake.pixels)).item()}

    each_pair(a, b, options, found, count, compare)


def lpips_if_there(options: EvalOptions, found: Findings) -> Lpips | None:
    """The network; or None where its weights are not there, which the protocol says.

    Raises:
        DataError: weights that were asked for are not there, or not usable.
    """
    try:
        lpips_weights(options)
    except MissingWeights as error:
        if options.weights or options.heads:
            raise
        found.protocol["lpips"] = not_measured(error)
        return None
    return lpips_network(options, found)


def not_measured(missing: MissingWeights) -> str:
    """For the protocol: that a network's weights are not there."""
    what = missing.what.partition(":")[0]
    return f"not measured: {what[0].lower()}{what[1:]}, see `gantool weights list`"


def lpips_network(options: EvalOptions, found: Findings) -> Lpips:
    """The network, with its weights said in the protocol."""
    from gantool.metrics.lpips import Lpips

    backbone, heads = lpips_weights(options)
    network = Lpips.from_files(options.net, backbone.path, heads.path, device=pick_device(options.device))
    found.protocol["lpips"] = f"v0.1, {options.net}"
    weights_said(found, "lpips weights", backbone)
    weights_said(found, "lpips heads", heads)
    return network


def weights_said(found: Findings, key: str, weights: Found) -> None:
    """Name a file of weights in the protocol, and warn where nobody vouches for it."""
    found.protocol[key] = {"name": weights.name, "sha256": weights.sha256}
    if not weights.verified:
        found.warnings.append(
            f"{weights.path} is not a published file that gantool knows: the figure compares only with others of it."
        )


def swd(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Karras's sliced Wasserstein distances, and their mean."""
    assert b is not None
    seed = options.seed or 0
    levels = laplacian_swd(
        (item.pixels for item in counted(a, count)), (item.pixels for item in counted(b, count)), seed=seed
    )
    found.values["swd"] = levels.mean
    found.values.update({f"swd_{side}": value for side, value in levels.levels.items()})
    found.protocol["seed"] = seed
    a_n, b_n = (len(side.pictures) - len(side.pictures.skipped) for side in (a, b))
    if a_n != b_n:
        found.warnings.append(
            f"{a.label} and {b.label} have {a_n} and {b_n} pictures: the first {levels.pictures} of each were compared."
        )
    a.used = b.used = levels.pictures


def counted(side: Operand, count: Count) -> Iterator[Item]:
    """The pictures of a side, one after the other, with progress."""
    total = len(side.pictures)
    for done, item in enumerate(side.pictures):
        yield item
        count(side.label, done + 1, total)


def ms_ssim(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Mean MS-SSIM of random pairs of samples."""
    ms_ssim_of(_OnDemand(a, options, count), options, found)


def ms_ssim_of(samples: Sequence[Pixels], options: EvalOptions, found: Findings) -> None:
    """The same of pictures, or of what reads them when asked."""
    pairs, seed = options.pairs or PAIRS, options.seed or 0
    likeness = diversity_ms_ssim(samples, pairs=pairs, seed=seed)
    found.values["ms_ssim"] = likeness.mean
    found.protocol["ms-ssim"] = {"pairs": likeness.pairs, "levels": likeness.levels, "seed": seed}
    if likeness.levels < LEVELS:
        found.warnings.append(
            f"The pictures are too small for the {LEVELS} scales of MS-SSIM: {likeness.levels} were taken."
        )


class _OnDemand(Sequence[Pixels]):
    """The pictures of a side, each read when it is asked for; with `skip_bad` those that can be read."""

    def __init__(self, side: Operand, options: EvalOptions, count: Count) -> None:
        self.side, self.show, self.asked = side, count, 0
        self.indices = list(range(len(side.pictures)))
        if options.skip_bad:
            for _ in counted(side, count):
                pass
            bad = {name for name, _ in side.pictures.skipped}
            self.indices = [i for i in self.indices if side.pictures.names[i] not in bad]
        n = len(self.indices)
        self.total = 1 + 2 * min(options.pairs or PAIRS, n * (n - 1) // 2)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: Any) -> Any:
        self.asked += 1
        self.show(self.side.label, self.asked, self.total)
        return self.side.read(self.indices[i]).pixels
