"""Pictures per second and peak memory of FID: gantool against pytorch-fid and torch-fidelity.

    python benchmarks/eval_speed.py [--n 2000] [--size 128 | --size 32-256] [--folders REAL FAKE] [--weights FILE]

The same pictures (half of `--n` in each set), the same file of weights, the whole way from the files to the figure,
each program in a process of its own with its own defaults (batch, workers, threads). Of the others' pictures a batch
must have one size; for sizes given as a range they therefore get batches of one. Without `--weights` the network has
random weights, which cost as much. Without `--folders` the pictures are crops of the sample photographs inside
scikit-image, those of one set with noise. gantool is also run on a quarter of the pictures: its peak memory should
not grow with their number. Seconds of the Fréchet distance alone are part of the total; memory is that of the main
process, without the others' worker processes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("gantool", "pytorch-fid", "torch-fidelity")


def gantool_fid(folders: list[str], weights: str, batch: int | None, limit: int | None) -> dict[str, Any]:
    from itertools import islice

    from gantool.data.pictures import open_pictures
    from gantool.metrics.frechet import Moments, frechet_distance
    from gantool.metrics.inception import InceptionFeatures

    network = InceptionFeatures(weights, "torch-fidelity", batch=batch)
    moments = []
    for folder in folders:
        moments.append(Moments(network.dimension))
        for found in network(item.pixels for item in islice(open_pictures(folder), limit)):
            moments[-1].add(found.features)
    start = time.perf_counter()
    fid = frechet_distance(*(m.statistics() for m in moments))
    return {"fid": fid, "frechet": time.perf_counter() - start}


def pytorch_fid(folders: list[str], weights: str, batch: int | None, limit: int | None) -> dict[str, Any]:
    import torch

    import gantool.nn.vision  # noqa: F401 - makes torchvision importable

    # isort: split
    from pytorch_fid import fid_score, inception

    inception.load_state_dict_from_url = lambda *args, **kwargs: torch.load(weights, weights_only=True)
    network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    workers = min(len(os.sched_getaffinity(0)), 8)  # as its command line sets it
    statistics = [
        fid_score.compute_statistics_of_path(folder, network, batch or 50, 2048, "cpu", workers) for folder in folders
    ]
    start = time.perf_counter()
    fid = fid_score.calculate_frechet_distance(*statistics[0], *statistics[1])
    return {"fid": float(fid), "frechet": time.perf_counter() - start}


def torch_fidelity(folders: list[str], weights: str, batch: int | None, limit: int | None) -> dict[str, Any]:
    import gantool.nn.vision  # noqa: F401 - makes torchvision importable

    # isort: split
    import torch_fidelity
    from torch_fidelity import metric_fid

    took = 0.0
    compute = metric_fid.fid_statistics_to_metric

    def timed(*args: Any, **kwargs: Any) -> Any:
        nonlocal took
        start = time.perf_counter()
        found = compute(*args, **kwargs)
        took = time.perf_counter() - start
        return found

    metric_fid.fid_statistics_to_metric = timed
    found = torch_fidelity.calculate_metrics(
        input1=folders[0], input2=folders[1], cuda=False, fid=True, cache=False, verbose=False,
        feature_extractor_weights_path=weights, **({"batch_size": batch} if batch else {}),
    )  # fmt: skip
    return {"fid": found["frechet_inception_distance"], "frechet": took}


PROGRAMS = {"gantool": gantool_fid, "pytorch-fid": pytorch_fid, "torch-fidelity": torch_fidelity}


def work(name: str, folders: list[str], weights: str, batch: int | None, limit: int | None) -> None:
    """One program in this process; the last line of its output is what was measured."""
    start = time.perf_counter()
    found = PROGRAMS[name](folders, weights, batch, limit)
    found["seconds"] = time.perf_counter() - start
    found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


def measure(
    name: str, folders: list[Path], weights: Path, batch: int | None = None, limit: int | None = None
) -> dict[str, Any]:
    command = [sys.executable, __file__, "--work", name, "--weights", str(weights), "--folders", *map(str, folders)]
    command += ["--batch", str(batch)] * (batch is not None) + ["--limit", str(limit)] * (limit is not None)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def make_pictures(folder: Path, n: int, sizes: tuple[int, int], noise: float) -> Path:
    """PNG files: crops of scikit-image's photographs at random scales, squares of sides in `sizes`."""
    import numpy as np
    import skimage.data
    from PIL import Image

    samples = ("astronaut", "coffee", "chelsea", "rocket", "retina", "ihc", "hubble_deep_field", "motorcycle_left")
    present = [Path(skimage.data.__file__).parent / f"{name}.{kind}" for name in samples for kind in ("png", "jpg")]
    photographs = [Image.open(path).convert("RGB") for path in present if path.is_file()]
    random = np.random.default_rng(int(noise * 10))
    folder.mkdir()
    for i in range(n):
        photograph = photographs[i % len(photographs)]
        side = int(random.integers(sizes[0], sizes[1] + 1))
        taken = int(random.integers(min(side, *photograph.size), min(photograph.size) + 1))
        left, top = (int(random.integers(0, length - taken + 1)) for length in photograph.size)
        crop = photograph.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + taken, top + taken))
        pixels = np.asarray(crop) + random.normal(0, noise, (side, side, 3))
        Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(folder / f"{i:05}.png")
    return folder


def make_weights(path: Path) -> Path:
    """Random weights in the published format, with which activations stay of the order of 1."""
    import torch
    from torch import nn

    import gantool.nn.vision  # noqa: F401 - makes torchvision importable

    # isort: split
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Untrained(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *args: Any, **kwargs: Any) -> None:
            pass

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    torch.manual_seed(0)
    network = Untrained("inception", ["2048"], feature_extractor_weights_path=nothing)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    torch.save(network.state_dict(), path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--size", default="128")
    parser.add_argument("--folders", nargs=2, type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work(args.work, list(map(str, args.folders)), str(args.weights), args.batch, args.limit)

    import torch
    from timing import machine

    with tempfile.TemporaryDirectory() as temporary:
        low, _, high = args.size.partition("-")
        sizes = (int(low), int(high or low))
        folders = args.folders or [
            make_pictures(Path(temporary) / name, args.n // 2, sizes, noise)
            for name, noise in (("real", 0.0), ("fake", 12.0))
        ]
        weights = args.weights or make_weights(Path(temporary) / "weights-inception.pth")
        n = sum(1 for folder in folders for _ in folder.iterdir())
        about = machine(torch.device("cpu")) | {"pictures": n, "size": args.size if not args.folders else "given"}
        print(f"{about['device']}, {torch.get_num_threads()} threads, torch {torch.__version__}, {n} pictures")
        print(
            f"{'':>15} {'seconds':>8} {'Fréchet':>8} {'pictures/s':>10} {'of network':>10} {'peak MB':>8} {'FID':>14}"
        )
        rows = {}
        for name in NAMES:
            rows[name] = row = measure(name, folders, weights, 1 if high and name != "gantool" else None)
            row["per_second"] = n / row["seconds"]
            row["network_per_second"] = n / (row["seconds"] - row["frechet"])
            print(
                f"{name:>15} {row['seconds']:>8.1f} {row['frechet']:>8.1f} {row['per_second']:>10.2f} "
                f"{row['network_per_second']:>10.2f} {row['megabytes']:>8.0f} {row['fid']:>14.8g}",
                flush=True,
            )
        quarter = measure("gantool", folders, weights, limit=max(2, n // 8))
        ratio = {
            key: rows["gantool"][key] / max(rows[name][key] for name in NAMES[1:])
            for key in ("per_second", "network_per_second")
        }
        print(
            f"against the faster of the others: {ratio['per_second']:.2f} times in all, "
            f"{ratio['network_per_second']:.2f} times without the Fréchet distance"
        )
        print(f"gantool's peak on a quarter of the pictures: {quarter['megabytes']:.0f} MB")
    if args.json:
        record = about | {"rows": rows, "ratio": ratio, "quarter": quarter}
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
