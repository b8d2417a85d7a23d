"""The conventions that make two programs' figures from one network differ, as data. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Resize = Literal["torch-bilinear", "pil-bicubic", "tf1-bilinear"]


@dataclass(frozen=True)
class Protocol:
    """How one program goes from 8-bit pictures through FID's Inception to its figures.

    Pictures are resized to 299x299 and then enter the network as (level - centre) / half_range.

    Attributes:
        name: as on the command line.
        resize: `torch-bilinear` takes pixel centres into account and does not smooth what it shrinks;
            `pil-bicubic` smooths, channel by channel in floating point, and is clipped to [0, 255] but not rounded;
            `tf1-bilinear` samples at multiples of size / 299 from the first pixel and does not smooth.
        centre, half_range: levels in [0, 255].
        ddof: the covariance of FID is divided by N - ddof.
        kid_subsets, kid_subset_size, kid_seed: random subsets of KID; the seed is torch-fidelity's where a program
            has no fixed one.
        is_splits: of the inception score.
        is_shuffle_seed: of the permutation before the split; None keeps the order of the pictures.
        prdc_k, prdc_strict: neighbour that a ball reaches to, and whether its surface is outside (see
            `gantool.metrics.prdc`).
        note: what else to know, one sentence.
    """

    name: str
    resize: Resize
    centre: float
    half_range: float
    ddof: int
    note: str
    kid_subsets: int = 100
    kid_subset_size: int = 1000
    kid_seed: int = 2020
    is_splits: int = 10
    is_shuffle_seed: int | None = 2020
    prdc_k: int = 3
    prdc_strict: bool = False


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "torch-fidelity", "tf1-bilinear", 128.0, 128.0, ddof=1,
            note="As torch-fidelity, and as the original TensorFlow programs up to rounding.",
        ),
        Protocol(
            "pytorch-fid", "torch-bilinear", 127.5, 127.5, ddof=1,
            note="As pytorch-fid, which has FID only; the other measures follow torch-fidelity on these features.",
        ),
        Protocol(
            "clean", "pil-bicubic", 128.0, 128.0, ddof=1,
            note="As clean-fid, which has FID and KID (its subsets have no fixed seed).",
        ),
        Protocol(
            "nvidia", "tf1-bilinear", 128.0, 128.0, ddof=0, is_shuffle_seed=None,
            note="As NVIDIA's StyleGAN programs, whose precision and recall use VGG-16 in place of Inception.",
        ),
    )
}  # fmt: skip
"""By name; the first is the default."""
