"""Seconds of the Fréchet step against one symmetric eigendecomposition of the same size.

    python benchmarks/frechet_speed.py [--dimension 2048] [--rounds 5] [--json FILE]

The features are made up, rectified mixtures of normal numbers: sets of more pictures than dimensions (both covariances
of full rank, the slowest case), of more and fewer, and of fewer. The yardstick is `numpy.linalg.eigh`, the faster of
NumPy's and SciPy's, on one of the covariances; both are timed in turn and the best round of each counts. Run it alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from timing import seconds

from gantool.metrics.frechet import Moments, Statistics, frechet_distance


def made_up(n: int, dimension: int, seed: int, shift: float) -> Statistics:
    mixing = np.random.default_rng(0).standard_normal((dimension, dimension))
    mixing *= np.linspace(1, 0.05, dimension)[:, None] ** 3 / dimension**0.5
    random = np.random.default_rng(seed)
    moments = Moments(dimension)
    for start in range(0, n, 1000):
        rows = random.standard_normal((min(1000, n - start), dimension))
        moments.add(np.maximum(rows @ mixing + shift, 0))
    return moments.statistics()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    device = torch.device("cpu")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, NumPy {np.__version__}")
    print(f"{'pictures':>14} {'eigh s':>8} {'Fréchet s':>10} {'ratio':>6}")
    rows = []
    d = args.dimension
    for n, m in ((4 * d, 4 * d), (4 * d, d // 2), (d // 4, d // 4)):
        a, b = made_up(n, d, 1, 0.0), made_up(m, d, 2, 0.05)
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(args.rounds):
            times[0].append(seconds(lambda s=a.sigma: np.linalg.eigh(s), device, 1))
            times[1].append(seconds(lambda a=a, b=b: frechet_distance(a, b), device, 1))
        yardstick, ours = min(times[0]), min(times[1])
        print(f"{f'{n}, {m}':>14} {yardstick:>8.3f} {ours:>10.3f} {ours / yardstick:>6.2f}", flush=True)
        rows.append({"pictures": [n, m], "eigh": yardstick, "frechet": ours, "ratio": ours / yardstick})
    if args.json:
        record = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": platform.processor() or platform.machine(),
            "processors": os.cpu_count(),
            "numpy": np.__version__,
            "dimension": d,
            "rows": rows,
        }
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
