"""How well do networks enlarge pictures? PSNR and SSIM, and how much their detail resembles real detail.

    python benchmarks/superres_quality.py RUN|WEIGHTS... --data Set5/ [--scale 4] [--sheets FOLDER] [--json FILE]

A row for bicubic and for each network, means over the pictures: `psnr` and `ssim` as `gantool eval superres` measures
them (luma, a border of `scale` pixels left out); `patch-swd`, the distance of 7x7 patches to those of the true picture
(sliced Wasserstein, times 1000), which falls as detail becomes like real detail, wherever it stands; `lpips` where its
weights are. With --sheets, bicubic, the networks' results and the truth beside each other, a file for each picture.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from timing import machine

from gantool.data.image import save_png, to_tensor
from gantool.data.sr_sets import find_set, load_pair
from gantool.family import Enlarges
from gantool.metrics.single_image import patch_swd
from gantool.nn.imresize import imresize
from gantool.tasks.enlarger import open_enlarger
from gantool.tasks.evaluate.superres import evaluate_superres


def enlarged(network: Enlarges | None, small: np.ndarray, scale: int) -> np.ndarray:
    """(h, w, 3) uint8 to (scale h, scale w, 3) uint8; by bicubic without a network."""
    if network is None:
        return imresize(small, scale=scale)
    large = network.enlarge(to_tensor(small))[0].clamp(-1, 1)
    return ((large + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="RUN|WEIGHTS")
    parser.add_argument("--data", required=True)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    networks: dict[str, Enlarges | None] = {"bicubic": None}
    networks |= {name: open_enlarger(name, Path("runs"), "cpu", print) for name in asked.models}
    pairs = find_set(asked.data, asked.scale)
    rows: dict[str, dict[str, float]] = {name: {} for name in networks}
    sheets: list[list[np.ndarray]] = [[] for _ in pairs.pairs]
    for name, network in networks.items():
        found = evaluate_superres(asked.data, network, asked.scale)
        rows[name] = {key: value for key, value in found.values.items() if "bicubic" not in key}
        distances = []
        for sheet, pair in zip(sheets, pairs.pairs, strict=True):
            loaded = load_pair(pair, asked.scale)
            large, small = (x if x.ndim == 3 else np.stack([x] * 3, 2) for x in (loaded.large, loaded.small))
            result = enlarged(network, small, asked.scale)
            distances.append(patch_swd(to_tensor(large), to_tensor(result)))
            sheet += [result] if name != list(networks)[-1] else [result, large]
        rows[name]["patch-swd"] = float(np.mean(distances))
        print(f"{name:50}" + "".join(f"  {key} {value:.4g}" for key, value in rows[name].items()), flush=True)
    for sheet, pair in zip(sheets, pairs.pairs, strict=True):
        if asked.sheets:
            asked.sheets.mkdir(exist_ok=True)
            save_png(np.concatenate(sheet, 1), asked.sheets / f"{pair.name}.png", overwrite=True)
    if asked.json:
        about = machine(torch.device("cpu"))
        asked.json.write_text(
            json.dumps({**about, "data": Path(asked.data).name, "scale": asked.scale, **rows}, indent=1)
        )


if __name__ == "__main__":
    main()
