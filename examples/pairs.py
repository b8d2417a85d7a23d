"""From a map of labels to stained tissue, learnt from one photograph: the figure of docs/pix2pix.md.

    python examples/pairs.py make pairs/                     # the pairs: three quarters of the photograph, in pieces
    gantool train pix2pix pairs/ --preset fast --preprocess crop
    python examples/pairs.py show latest pairs/ --to pix2pix.png   # the last quarter: map, what is made of it, itself

The photograph is scikit-image's `immunohistochemistry` (no known copyright restrictions). Its map of labels says which
of four colours each place has, roughly: so the network has to draw grain, cells and their edges.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from skimage import data

import gantool
from gantool.data.image import save_png
from gantool.data.palette import generic_colours
from gantool.data.sheet import contact_sheet

LABELS = 4
SIDE, STEP = 192, 64  # of pieces, and from one to the next, pixels
TRAINED = 384  # columns; what is to the right of them is not trained on


def halves() -> tuple[Image.Image, Image.Image]:
    """The map, with a palette, and the photograph."""
    photo = Image.fromarray(data.immunohistochemistry())
    ids = photo.filter(ImageFilter.GaussianBlur(4)).quantize(LABELS, kmeans=3).filter(ImageFilter.ModeFilter(9))
    ids.putpalette(generic_colours(np.arange(1, LABELS + 1)).astype(np.uint8).tobytes())
    return ids, photo


def make(folder: Path) -> None:
    """Write the pieces into `folder`/train, and the part that is not trained on into `folder`/test."""
    boxes = [
        (left, top, left + SIDE, top + SIDE)
        for top in range(0, 512 - SIDE + 1, STEP)
        for left in range(0, TRAINED - SIDE + 1, STEP)
    ]
    for side, whole in zip("AB", halves(), strict=True):
        for part, pieces in (("train", boxes), ("test", [(TRAINED, 0, 512, 512)])):
            (folder / side / part).mkdir(parents=True, exist_ok=True)
            for number, box in enumerate(pieces):
                whole.crop(box).save(folder / side / part / f"{number}.png")


def show(run: str, folder: Path, to: Path) -> None:
    """Three pictures lying down: the map, what the network makes of it, and the photograph."""
    [made] = gantool.translate(run, folder / "A/test/0.png", to.with_suffix(".made.png"), overwrite=True).made
    files = (folder / "A/test/0.png", made.result, folder / "B/test/0.png")
    rows = [np.ascontiguousarray(np.rot90(np.asarray(Image.open(file).convert("RGB")))) for file in files]
    made.result.unlink()
    labels = ["labels", "what pix2pix makes of them", "the photograph itself"]
    save_png(contact_sheet(rows, labels=labels, columns=1), to, overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make").add_argument("folder", type=Path)
    shown = commands.add_parser("show")
    shown.add_argument("run")
    shown.add_argument("folder", type=Path)
    shown.add_argument("--to", type=Path, required=True)
    asked = parser.parse_args()
    if asked.command == "make":
        make(asked.folder)
    else:
        show(asked.run, asked.folder, asked.to)


if __name__ == "__main__":
    main()
