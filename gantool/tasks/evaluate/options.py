"""What can be measured, and the options of each measure. Imports no torch: the command line reads this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gantool.errors import UsageError

ONE, PAIR, SETS, SAMPLES = "one picture", "pairs", "sets", "samples"


@dataclass(frozen=True)
class Metric:
    """One measure.

    Attributes:
        name: as on the command line.
        title: in full.
        better: "lower" or "higher".
        takes: PAIR compares pictures with their partners, SETS two sets as wholes, SAMPLES looks at one set,
            ONE at one real picture and pictures made from it.
        options: fields of `EvalOptions` that it heeds beside those of all.
        about: one line of help.
    """

    name: str
    title: str
    better: str
    takes: str
    options: tuple[str, ...]
    about: str


_INCEPTION = ("protocol", "weights", "features", "activation", "batch")
METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "sifid", "Single Image Fréchet Inception Distance", "lower", ONE, ("layer", "weights", "pairs"),
            "how far the textures of pictures made from one picture are from it (SinGAN)",
        ),
        Metric(
            "patch-swd", "Sliced Wasserstein distance of 7x7 patches, × 1000", "lower", ONE, ("seed",),
            "the same question without a network: patches at full, half and quarter size",
        ),
        Metric(
            "diversity", "Spread of samples", "higher", ONE, ("net", "weights", "heads", "pairs", "seed"),
            "how much samples differ: pixels (SinGAN's figure), MS-SSIM, and LPIPS where its weights are",
        ),
        Metric(
            "fid", "Fréchet Inception Distance", "lower", SETS, (*_INCEPTION, "layer"),
            "distance of two sets of pictures (Heusel 2017)",
        ),
        Metric(
            "kid", "Kernel Inception Distance", "lower", SETS, (*_INCEPTION, "subsets", "subset_size", "seed"),
            "distance of two sets that does not depend on their size (Bińkowski 2018)",
        ),
        Metric(
            "is", "Inception Score", "higher", SAMPLES, (*_INCEPTION, "splits", "seed"),
            "clear and varied classes in one set (Salimans 2016)",
        ),
        Metric(
            "prdc", "Precision, recall, density, coverage", "higher", SETS, (*_INCEPTION, "neighbours"),
            "quality and variety apart (Kynkäänniemi 2019, Naeem 2020)",
        ),
        Metric(
            "swd", "Sliced Wasserstein distance of Laplacian pyramids, × 1000", "lower", SETS, ("seed",),
            "distance of two sets without a network, by size of detail (Karras 2018)",
        ),
        Metric(
            "parzen", "Log likelihood by a Parzen window, nats", "higher", SETS,
            ("sigma", "held_out", "pictures", "units", "pyramid", "draws", "seed"),
            "density of real pictures under a Gaussian on every sample (Goodfellow 2014; --pyramid: Denton 2015)",
        ),
        Metric(
            "ms-ssim", "Multi-scale SSIM between samples", "lower", SAMPLES, ("pairs", "seed"),
            "how alike the samples of one set are: high is mode collapse (Odena 2017)",
        ),
        Metric(
            "psnr", "Peak signal-to-noise ratio, dB", "higher", PAIR, ("scale", "crop", "y"),
            "pixels against the true picture; --scale 4 takes super-resolution's convention",
        ),
        Metric(
            "ssim", "Structural similarity", "higher", PAIR, ("scale", "crop", "y"),
            "structure against the true picture (Wang 2004); --scale as for psnr",
        ),
        Metric(
            "lpips", "Learned perceptual image patch similarity", "lower", PAIR, ("net", "weights", "heads"),
            "perceived difference from the true picture (Zhang 2018)",
        ),
    )
}  # fmt: skip


LAST_SEED = 2**32 - 1  # that all the generators of random numbers take
UNITS = ("unit", "standard")  # pixels from 0 to 1, or in terms of the real set's mean and deviation
NETS = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet"}  # of LPIPS, and what their weights are called
_LEAST = {
    "n": 1, "batch": 1, "pairs": 1, "subsets": 1, "subset_size": 2, "splits": 1, "neighbours": 1, "scale": 1, "crop": 0,
    "held_out": 1, "pictures": 1, "draws": 1,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """How to measure. Those that a metric does not name in `Metric.options` are not heeded by it.

    Attributes:
        n: pictures to draw where an operand is a run; None: a number that suits the metric.
        seed: of random directions, pairs and subsets; None: the one of the protocol.
        skip_bad: leave out pictures that cannot be read, and count them.
        background: colour behind transparent pixels.
        device: of the networks.
        out: folder in which runs are looked for.
        batch: pictures at a time; None: what is fast on the device.
        protocol: whose conventions the Inception metrics follow.
        layer: features taken, by their number: 64, 192, 768 or 2048.
        weights: file of the network's weights; None takes those in the store.
        features: file of another feature network, such as a classifier of digits.
        activation: of a known classifier whose file does not tell it.
        heads: file of LPIPS's linear layers; None takes those in the store.
        net: LPIPS's network: alex, vgg or squeeze.
        pairs: pairs of samples to compare.
        subsets, subset_size: of KID.
        splits: of the Inception Score; None: the protocol's.
        neighbours: k of the manifolds of precision and recall.
        scale: of super-resolution: measures luma without a border of that many pixels.
        crop: border left out on each side, in pixels.
        y: luma instead of colours.
        sigma: width of the Parzen window, "0.2", or the range to choose it from, "0.05:1"; None: the usual range.
        held_out: real pictures that choose it; None: 1,000 or half (`pyramid`: 50 or half).
        pictures: real pictures measured, at most; None: 10,000 (`pyramid`: 200).
        units: of pixels: "unit" or "standard".
        pyramid: level by level, for runs that draw so.
        draws: for each real picture and finer level; None: 200.
    """

    n: int | None = None
    seed: int | None = None
    skip_bad: bool = False
    background: str = "white"
    device: str = "auto"
    out: Path = Path("runs")
    batch: int | None = None
    protocol: str = "torch-fidelity"
    layer: int | None = None
    weights: Path | None = None
    features: Path | None = None
    activation: str | None = None
    heads: Path | None = None
    net: str = "alex"
    pairs: int | None = None
    subsets: int = 100
    subset_size: int = 1000
    splits: int | None = None
    neighbours: int | None = None
    scale: int | None = None
    crop: int | None = None
    y: bool | None = None
    sigma: str | None = None
    held_out: int | None = None
    pictures: int | None = None
    units: str = "unit"
    pyramid: bool = False
    draws: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no metric can heed. Raises UsageError."""
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name} is {value}.", f"Give {least} or more.")
        if self.seed is not None and not 0 <= self.seed <= LAST_SEED:
            raise UsageError(f"{self.seed} is no seed.", f"Give a number from 0 to {LAST_SEED}.")
        if self.units not in UNITS:
            raise UsageError(f"There are no units {self.units!r}.", f"There are: {', '.join(UNITS)}.")
        if self.net not in NETS:
            raise UsageError(f"LPIPS has no network {self.net!r}.", f"There are: {', '.join(NETS)}.")


def metric_of(name: str) -> Metric:
    """The metric of that name. Raises UsageError that lists them."""
    if name not in METRICS:
        raise UsageError(f"There is no metric {name!r}.", f"There are: {', '.join(METRICS)}.")
    return METRICS[name]


def parse_schedule(text: str) -> list[tuple[Metric, int]]:
    """ "sifid@500,patch-swd@200" to metrics and the steps between two measurements; "" to none.

    Raises:
        UsageError: there is no such metric, no number of steps, it needs true pictures to compare with, or is
            there twice.
    """
    found: list[tuple[Metric, int]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, steps = part.partition("@")
        metric = metric_of(name)
        if not (steps.isdecimal() and 0 < int(steps) < 10**12):
            raise UsageError(f"{part!r} does not say how often.", f"Write {name}@STEPS, for instance {name}@500.")
        if metric.takes == PAIR:
            raise UsageError(f"{name} compares pictures with true ones, which samples do not have.", "Take another.")
        if any(metric is earlier for earlier, _ in found):
            raise UsageError(f"{name} is there twice.", "Say once how often it is measured.")
        found.append((metric, int(steps)))
    return found
