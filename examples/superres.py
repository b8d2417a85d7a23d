"""Pictures of scikit-image made small, and large again: the figure of docs/srgan.md.

    python examples/superres.py RUN... --to srgan.png

A row for each picture: bicubic, what each run makes of it, and the picture itself. (The cat is Chelsea, by Stéfan van
der Walt, CC0; the astronaut Eileen Collins, by NASA, public domain; the coffee by Pikolo Espresso Bar, CC0.)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from skimage import data

import gantool
from gantool.data.image import save_png, to_tensor, to_uint8
from gantool.data.sheet import contact_sheet
from gantool.nn.imresize import imresize

SIDE, SCALE = 160, 4
PLACES = {"chelsea": (60, 130), "astronaut": (30, 150), "coffee": (120, 230)}  # top and left of what is shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--labels", default="", help="of the runs, with commas between them")
    parser.add_argument("--to", type=Path, required=True)
    asked = parser.parse_args()
    models = [gantool.open_run(run).load() for run in asked.runs]
    names = asked.labels.split(",") if asked.labels else [f"run {k + 1}" for k in range(len(models))]
    cells, labels = [], []
    for name, (top, left) in PLACES.items():
        whole = getattr(data, name)()
        whole = whole[: whole.shape[0] // SCALE * SCALE, : whole.shape[1] // SCALE * SCALE]
        small = imresize(whole, scale=1 / SCALE)
        shown = [imresize(small, scale=SCALE), *(to_uint8(m.enlarge(to_tensor(small)))[0] for m in models), whole]
        cells += [np.ascontiguousarray(x[top : top + SIDE, left : left + SIDE]) for x in shown]
        labels += ["bicubic", *names, "the picture itself"]
    save_png(contact_sheet(cells, labels=labels, columns=len(models) + 2), asked.to, overwrite=True)


if __name__ == "__main__":
    main()
