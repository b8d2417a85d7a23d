"""Time, patch distance and diversity of trainings on one picture: what the `fast` presets were found with.

    python benchmarks/quality.py PICTURE... [--family singan] [--preset fast] [--set NAME=VALUE ...]
                                 [--sheets FOLDER] [--out RUNS]

For each picture: train (seed 0), draw samples with seeds 0 to 11, and print one row of a Markdown table. The distance
is patch-swd at the trained size (7x7 patches, 256 directions, seed 0), the mean over the samples; diversity is the
samples' pixel standard deviation against the picture's. Copying the picture would give distance 0 and diversity 0:
read both. `core-s` is processor time over all cores, which says more than seconds where a machine is busy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

import gantool
from gantool.data.image import save_png, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.engine.devices import device_name
from gantool.family import SampleRequest
from gantool.metrics.single_image import diversity, patch_swd

SAMPLES = range(12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--family", default="consingan")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sheets", type=Path, help="write a contact sheet a picture there")
    parser.add_argument("--out", type=Path, help="keep the runs there")
    args = parser.parse_args()
    print(f"{device_name(torch.device(args.device))}, torch {torch.__version__}, {datetime.now(UTC):%Y-%m-%d}")
    print(f"{args.family}, preset {args.preset} {' '.join(args.set)}\n")
    print("| picture | size | seconds | core-s | distance | diversity | reconstruction rmse |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        out = args.out or temporary
        for path in args.pictures:
            wall, cores = time.monotonic(), time.process_time()
            run = gantool.train(
                args.family, path, preset=args.preset, sets=args.set, out=out, seed=0, device=args.device
            )
            wall, cores = time.monotonic() - wall, time.process_time() - cores
            model = run.load(args.device)
            samples, real = model.sample(SampleRequest(SAMPLES)), model.picture()
            distance = np.mean([patch_swd(real, sample[None]) for sample in samples])
            error = (model.reconstruct() - real).square().mean().sqrt()
            h, w = real.shape[2:]
            print(
                f"| {path.stem} | {h}x{w} | {wall:.0f} | {cores:.0f} | {distance:.1f} "
                f"| {diversity(samples, real):.2f} | {float(error):.3f} |",
                flush=True,
            )
            if args.sheets:
                pictures = [to_uint8(real)[0], to_uint8(model.reconstruct())[0], *to_uint8(samples[:8])]
                labels = ["picture", "reconstruction", *(f"seed {i}" for i in range(8))]
                args.sheets.mkdir(parents=True, exist_ok=True)
                save_png(contact_sheet(pictures, labels=labels, columns=5), args.sheets / f"{path.stem}.png")


if __name__ == "__main__":
    main()
