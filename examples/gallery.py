"""The pictures under docs/ that show the applications: made here, from pictures that scikit-image carries.

    python examples/gallery.py [--out gallery] [--docs docs/pictures]

Background: immunohistochemical staining of a colon (scikit-image's `ihc`, no known copyright restrictions); pasted
into it: the silhouette of a horse (`horse`, CC0). Enlarged: the cat Chelsea (`chelsea`, CC0). Every step is an
ordinary gantool command and is printed before it runs; trainings are reused when it is run again.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw

from gantool.data.image import save_png
from gantool.data.sheet import contact_sheet

PACKAGED = Path(skimage.data.__file__).parent


def gantool(*words: str | Path) -> dict[str, object]:
    """Run one command, showing it; its progress goes to the terminal, its JSON result comes back."""
    line = [str(word) for word in words]
    print(f"\n$ gantool {shlex.join(line)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "gantool", *line, "--json"], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    data: dict[str, object] = json.loads(done.stdout)["data"]
    return data


def draw_inputs(out: Path) -> None:
    """The background, a composite with its mask, an edit and a painting of it, and the picture to enlarge."""
    tissue = Image.open(PACKAGED / "ihc.png").convert("RGB").crop((0, 96, 512, 416))
    tissue = tissue.resize((320, 200), Image.Resampling.LANCZOS)
    tissue.save(out / "tissue.png")
    horse = Image.open(PACKAGED / "horse.png").convert("L").point(lambda level: 255 if level < 128 else 0)
    mask = Image.new("L", tissue.size, 0)
    mask.paste(horse.resize((190, 156), Image.Resampling.LANCZOS), (66, 24))
    mask = mask.point(lambda level: 255 if level > 100 else 0)
    mask.save(out / "mask.png")
    composite = tissue.copy()
    composite.paste((96, 96, 100), mask=mask)
    composite.save(out / "composite.png")
    edited = tissue.copy()
    edited.paste(tissue.crop((160, 132, 240, 198)), (60, 128))
    edited.paste(tissue.crop((100, 120, 160, 170)), (10, 20))
    edited.save(out / "edited.png")
    brown, pale = (150, 110, 70), (222, 224, 230)
    painting = Image.new("RGB", tissue.size, pale)
    pen = ImageDraw.Draw(painting)
    pen.ellipse((90, 30, 230, 170), fill=brown)
    pen.ellipse((135, 75, 185, 125), fill=pale)
    pen.rectangle((0, 0, 60, 200), fill=brown)
    pen.polygon([(260, 200), (320, 90), (320, 200)], fill=brown)
    painting.save(out / "painting.png")
    cat = Image.open(PACKAGED / "chelsea.png").convert("RGB").crop((110, 40, 390, 250))
    cat.resize((140, 105), Image.Resampling.LANCZOS).save(out / "cat.png")


def side_by_side(target: Path, files: list[tuple[Path, str]], size: tuple[int, int]) -> None:
    """Pictures with their labels in a row, each enlarged or reduced to `size` (width, height)."""
    pictures = [np.asarray(Image.open(f).convert("RGB").resize(size, Image.Resampling.BICUBIC)) for f, _ in files]
    save_png(contact_sheet(pictures, labels=[label for _, label in files], columns=len(files)), target, overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gallery"))
    parser.add_argument("--docs", type=Path, help="where the pictures go (the same folder)")
    args = parser.parse_args()
    out: Path = args.out
    out.mkdir(exist_ok=True)
    docs: Path = args.docs or out
    draw_inputs(out)
    common = ["--background", out / "tissue.png", "--preset", "fast", "--set", "seed=0", "--out", out / "runs"]
    jobs = [
        ("harmonize", "composite", 3, ["--mask", out / "mask.png"]),
        ("edit", "edited", 2, []),
        ("paint", "painting", 2, []),
    ]
    for task, name, scale, more in jobs:
        data = gantool(task, out / f"{name}.png", *common, *more, "--start-scale", str(scale))
        result = Path(str(data["results"][str(scale)]))  # type: ignore[index]
        files = [(out / "tissue.png", "trained on"), (out / f"{name}.png", name), (result, f"gantool {task}")]
        side_by_side(docs / f"{task}.png", files, (320, 200))
    data = gantool("superres", out / "cat.png", "-s", "4", "--preset", "fast", "--set", "seed=0", "--out", out / "runs")
    large = Path(str(data["files"][0]))  # type: ignore[index]
    side_by_side(
        docs / "superres.png", [(out / "cat.png", "140 x 105"), (large, "gantool superres, 560 x 420")], (420, 315)
    )


if __name__ == "__main__":
    main()
