"""Are generated digits the asked ones, and as varied as real ones? A conditional family on MNIST, judged from outside.

    python benchmarks/digits_quality.py acgan DATA [--preset fast] [--max-time 20m] [--classifier lenet.pth]
    python benchmarks/digits_quality.py cgan DATA --run RUN

DATA: what `gantool train` takes, for instance t10k-images-idx3-ubyte.gz beside its labels. The judge is a classifier
that has nothing to do with the training: a file such as `gantool eval fid --features` takes, or, without one, a small
network that is trained here on half of DATA and tested on the other half. Reported: share of samples read as the class
asked for, over all and the worst class; MS-SSIM within classes of samples and of real digits (`gantool.metrics`:
random pairs of one class, as in Odena et al. 2017).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from timing import machine
from torch import Tensor, nn

import gantool
from gantool.cli.values import parse_duration
from gantool.data.image import to_uint8
from gantool.data.labelled import open_labelled
from gantool.family import SampleRequest
from gantool.metrics.classifier import Classifier
from gantool.metrics.collapse import pair_similarity

Judge = Callable[[np.ndarray], np.ndarray]  # (N, H, W, 3) uint8 to classes (N,)


def real_digits(data: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    found = open_labelled(data)
    assert found.labels is not None, "DATA has no labels"
    return np.stack([item.pixels for item in found.pictures]), found.labels, found.classes


def judge_from(file: Path) -> Judge:
    network = Classifier(file, None, torch.device("cpu"), batch=100)

    def judge(pictures: np.ndarray) -> np.ndarray:
        logits = [batch.logits for batch in network(list(pictures))]
        return np.concatenate([np.asarray(part) for part in logits]).argmax(1)

    return judge


def trained_judge(pictures: np.ndarray, labels: np.ndarray) -> tuple[Judge, float]:
    """Two convolutions and two linear layers, eight passes over every second digit; accuracy on the others."""
    torch.manual_seed(0)
    side, classes = 28, int(labels.max()) + 1
    net = nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, classes),
    )  # fmt: skip

    def seen(x: np.ndarray) -> Tensor:
        grey = torch.from_numpy(x[..., 0].astype(np.float32) / 255)[:, None]
        return grey if grey.shape[-1] == side else F.interpolate(grey, (side, side), mode="bilinear")

    x, y = seen(pictures), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(8):
        for part in torch.randperm(len(x[::2])).split(64):
            optimizer.zero_grad()
            F.cross_entropy(net(x[::2][part]), y[::2][part]).backward()
            optimizer.step()
    net.eval()

    @torch.no_grad()
    def judge(pictures: np.ndarray) -> np.ndarray:
        return torch.cat([net(part).argmax(1) for part in seen(pictures).split(500)]).numpy()

    return judge, float((judge(pictures[1::2]) == labels[1::2]).mean())


def within_classes(pictures: np.ndarray, labels: np.ndarray, pairs: int = 100) -> float:
    """Mean over classes of the MS-SSIM of random pairs of one class."""
    found = [pair_similarity(pictures[labels == k], pairs=pairs, seed=0) for k in np.unique(labels)]
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family")
    parser.add_argument("data")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--max-time", default="20m")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--run", help="judge this run instead of training one")
    parser.add_argument("--out", default="runs")
    parser.add_argument("--classifier", type=Path)
    parser.add_argument("--samples", type=int, default=100, help="a class")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    pictures, labels, names = real_digits(args.data)
    began = time.monotonic()
    if args.run is None:
        words = ["train", args.family, args.data, "--preset", args.preset, "--seed", str(args.seed), "--out", args.out]
        words += ["--max-time", str(parse_duration(args.max_time))]
        words += [word for pair in args.set for word in ("--set", pair)]
        done = subprocess.run([sys.executable, "-m", "gantool", *words], stdout=subprocess.PIPE, text=True, check=True)
        args.run = done.stdout.strip()
    seconds = time.monotonic() - began
    model = gantool.open_run(args.run, args.out).load("cpu")
    if args.classifier:
        judge, own = judge_from(args.classifier), None
    else:
        judge, own = trained_judge(pictures, labels)
    if own is None:
        own = float((judge(pictures) == labels).mean())

    asked = np.repeat(np.arange(len(names)), args.samples)
    drawn = to_uint8(model.sample(SampleRequest(range(len(asked)), labels=asked.tolist())))
    right = judge(drawn) == asked
    by_class = {name: float(right[asked == k].mean()) for k, name in enumerate(names)}
    row = {
        "family": args.family,
        "run": Path(args.run).name,
        "seconds": round(seconds),
        "accuracy": float(right.mean()),
        "worst class": min(by_class.values()),
        "by class": by_class,
        "ms_ssim": within_classes(drawn, asked),
        "ms_ssim_real": within_classes(pictures, labels),
        "judge's accuracy on real digits": own,
    }
    for name, value in row.items():
        print(f"{name:>32}  {value:.4f}" if isinstance(value, float) else f"{name:>32}  {value}")
    if args.json:
        args.json.write_text(json.dumps({**machine(torch.device("cpu")), **row}, indent=1) + "\n")


if __name__ == "__main__":
    main()
