"""What does each level of a LAPGAN add? Against enlargement, and from one coarse start to many pictures.

    python benchmarks/lapgan_levels.py RUN [--pictures 500] [--draws 16] [--sheet levels.png]

For every level above the coarsest, on real pictures of the run's data (as many as are asked for):
- `bicubic`, `pyramid`: distance (patch-swd: sliced Wasserstein of 7x7 patches, times 1000) of the real next coarser
  pictures, enlarged by Pillow's bicubic and by the pyramid's own way up, to the real pictures of this level;
- `level`: the same of what the level draws on those coarser pictures; `chain`: of what the whole run draws from noise.
Then, for starts from seeds: `layout`, the correlation of the coarsest start with the draws on top of it, made as
small again (mean and least, over starts and draws), and `detail`, the deviation over the draws of one start, of
levels 0 to 255, mean over pixels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from timing import machine
from torch import Tensor

from gantool.data.image import save_png, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.data.training_set import TrainingSet
from gantool.family import RefineRequest, Refines
from gantool.metrics.single_image import patch_swd
from gantool.tasks.runs import open_run
from gantool.tasks.train import source_of

STARTS = 16


def three(images: Tensor) -> Tensor:
    """Grey pictures as three equal channels."""
    return images.expand(-1, 3, -1, -1)


def quantized(images: Tensor) -> Tensor:
    return (images.clamp(-1, 1) * 127.5).round() / 127.5


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's, of each picture (N, ...) with its counterpart."""
    a, b = a.flatten(1).double(), b.flatten(1).double()
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--sheet", type=Path, help="real, bicubic and drawn pictures of each level, beside each other")
    asked = parser.parse_args()
    run = open_run(asked.run)
    model, source = run.load("cpu"), source_of(run)
    assert isinstance(model, Refines), f"{run.id} does not draw level by level"
    assert isinstance(source, TrainingSet)
    indices, labels = source.spread(asked.pictures)
    pixels = source.pictures(indices)[..., : source.shape.channels]
    real = torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    y = None if labels is None or not model.shape.classes else labels.tolist()
    found: dict[str, object] = {"run": run.id, "pictures": len(real), **machine(torch.device("cpu"))}
    rows = []
    for level in range(1, len(model.level_sides)):
        side = model.level_sides[level]
        fine, coarse = model.reduced(real, level), model.reduced(real, level - 1)
        cubic = F.interpolate(coarse, size=(side, side), mode="bicubic", antialias=True)
        drawn = model.refine(RefineRequest(coarse, level - 1, range(len(real)), y, level))[-1]
        against = {"bicubic": cubic, "pyramid": model.enlarged(coarse, level), "level": drawn}
        if model.complete:
            against["chain"] = model.start(range(len(real)), level, y)
        figures = {k: round(patch_swd(three(fine), three(quantized(v))), 2) for k, v in against.items()}
        found[f"{side} px"] = figures
        print(f"{side:4} px  " + "  ".join(f"{k} {v:7.2f}" for k, v in figures.items()))
        rows += [to_uint8(pictures[:8]) for pictures in (cubic, drawn, fine)]
    if model.complete:
        seeds = range(asked.draws)
        layouts, details = [], []
        for start in range(STARTS):
            label = [start % model.shape.classes] if model.shape.classes else None
            first = model.start([start], 0, label)
            draws = model.refine(RefineRequest(first, 0, seeds, label and label * asked.draws))[-1]
            layouts.append(correlation(first.expand(len(draws), -1, -1, -1), model.reduced(draws, 0)))
            details.append(float(draws.std(0).mean() * 127.5))
        layout = torch.stack(layouts)
        found["layout"] = {"mean": round(float(layout.mean()), 4), "least": round(float(layout.min()), 4)}
        found["detail"] = round(float(np.mean(details)), 2)
        print(
            f"layout correlation: mean {layout.mean():.4f}, least {layout.min():.4f}; detail {found['detail']} of 255"
        )
    if asked.sheet:
        largest = model.level_sides[-1] * 3
        cells = [p.repeat(largest // p.shape[0], 0).repeat(largest // p.shape[0], 1) for row in rows for p in row]
        save_png(contact_sheet(cells, columns=8), asked.sheet)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
