"""Pictures per second that the loader delivers: the first epoch decodes JPEG files, the later ones come from memory.

    python benchmarks/loader_speed.py [--n 4000] [--size 64] [--batch 128] [--data FOLDER] [--device cuda]

Without `--data` the pictures are synthetic JPEGs of 178 × 218 px (those of CelebA's aligned faces), made in a temporary
folder. Everything is delivered as training gets it: float32 in [-1, 1] on the device. "plain" is the loop that
everyone starts from: Pillow in the main process opens, resizes and crops one picture after the other. "decoded again"
is an epoch without memory for pictures; "while busy" is the share of a step that waits for its batch from memory
while the main thread computes otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from timing import machine

from gantool.data.labelled import LabelledPictures, open_labelled
from gantool.data.set_options import SquareOptions
from gantool.data.training_set import TrainingSet
from gantool.engine.devices import device_name, pick_device, synchronize

WIDTH, HEIGHT = 178, 218


def make_pictures(folder: Path, n: int) -> Path:
    """Soft colour patches with a little grain: about the size in bytes of a photograph's JPEG."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for i in range(n):
        coarse = Image.fromarray(random.integers(0, 256, (28, 23, 3), dtype=np.uint8))
        soft = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(3)))
        grain = random.normal(0, 4, soft.shape)
        Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8)).save(folder / f"{i:06}.jpg", quality=90)
    return folder


def plain(source: LabelledPictures, folder: Path, size: int, count: int, device: torch.device) -> float:
    """Pictures per second of a loop over files, without threads."""
    start = time.perf_counter()
    for name in source.pictures.names[:count]:
        with Image.open(folder / name) as file:
            image = file.convert("RGB")
        scale = size / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        left, top = (image.width - size) // 2, (image.height - size) // 2
        x = torch.from_numpy(np.asarray(image.crop((left, top, left + size, top + size))).copy())
        _ = x.permute(2, 0, 1).to(device).float() / 127.5 - 1
    synchronize(device)
    return count / (time.perf_counter() - start)


def delivered(data: TrainingSet, batches: int, device: torch.device) -> float:
    """Pictures per second of the next batches."""
    synchronize(device)
    start = time.perf_counter()
    for _ in range(batches):
        data.next(device)
    synchronize(device)
    return batches * data.options.batch / (time.perf_counter() - start)


def waits(data: TrainingSet, batches: int, device: torch.device, seconds: float) -> float:
    """Seconds that `next` takes when the main thread waits elsewhere for `seconds` between two calls."""
    waited = 0.0
    for _ in range(batches):
        time.sleep(seconds)
        start = time.perf_counter()
        data.next(device)
        synchronize(device)
        waited += time.perf_counter() - start
    return waited / batches


def measure(
    source: LabelledPictures, options: dict[str, object], threads: int, device: torch.device
) -> dict[str, float]:
    """Pictures per second of the kinds of epoch, and milliseconds that a step waits."""

    def opened(**more: object) -> TrainingSet:
        return TrainingSet(source, SquareOptions(**options, **more, workers=threads), seed=0)  # type: ignore[arg-type]

    found = {}
    with opened(cache=0) as data:
        data.next(device)  # starts threads and the device
        found["decoded again"] = delivered(data, len(data) // data.options.batch, device)
    with opened(cache=64) as data:
        batches = -(-len(data) // data.options.batch)
        found["first epoch"] = delivered(data, batches, device)
        found["later epochs"] = max(delivered(data, max(200, batches), device) for _ in range(3))
        found["wait ms"] = 1000 * waits(data, 50, device, 0.02)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=4000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    device = pick_device(args.device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.data or make_pictures(Path(temporary) / "pictures", args.n)
        source = open_labelled(folder)
        n = len(source)
        size = np.mean([(folder / name).stat().st_size for name in source.pictures.names[:200]])
        about = machine(device) | {"cores": cores, "pictures": n, "size": args.size, "batch": args.batch}
        print(f"{device_name(device)}, {cores} cores, torch {torch.__version__}, {about['date']}")
        print(f"{n} pictures of {size / 1000:.1f} kB, to {args.size} px, batches of {args.batch}; pictures per second:")
        columns = ("decoded again", "first epoch", "later epochs", "wait ms")
        print(f"{'':>12}" + "".join(f"{name:>15}" for name in columns) + f"{'decoding/plain':>16}")
        base = plain(source, folder, args.size, min(n, 1000), device)
        print(f"{'plain':>12}{base:>15,.0f}")
        rows = {}
        for threads in sorted({1, cores}):
            row = measure(source, {"size": args.size, "batch": args.batch}, threads, device)
            row["ratio"] = row["decoded again"] / base
            name = f"{threads} thread{'s' * (threads > 1)}"
            print(f"{name:>12}" + "".join(f"{row[c]:>15,.1f}" for c in columns) + f"{row['ratio']:>16.2f}", flush=True)
            rows[threads] = row
    if args.json:
        args.json.write_text(json.dumps(about | {"plain": base, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
