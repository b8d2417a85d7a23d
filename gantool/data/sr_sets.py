"""Sets that super-resolution is measured on: large pictures, and small ones where they are given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gantool.data.decode import Pixels, decode_picture, decoding, open_header, parse_colour
from gantool.data.image import list_pictures, read_bytes
from gantool.data.listing import natural_order
from gantool.data.pictures import open_pictures
from gantool.data.small import pair_small, plain_name
from gantool.errors import DataError
from gantool.nn.imresize import imresize

GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")  # modes of Pillow
MAX_PIXELS = 1 << 28
# Folders of large pictures, as BasicSR, DIV2K and others name theirs.
LARGE = re.compile(r"(.*_)?(HR|GT|original|high)(mod\d+)?(_sub)?", re.IGNORECASE)
PAIRED = re.compile(r"(?P<name>.*[_-])(?P<kind>HR|LR)", re.IGNORECASE)  # img_001_SRF_4_HR
SELFEX = re.compile(r".*_SRF_(?P<scale>\d+)_HR", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """A large picture's file and its small one's; None where it is made from the large one."""

    name: str
    large: Path
    small: Path | None


@dataclass(frozen=True)
class SRSet:
    """What was found.

    Attributes:
        pairs: in natural order of their names.
        scale: how many times longer the sides of the large pictures are.
        large, small: where from, in words.
    """

    pairs: tuple[Pair, ...]
    scale: int
    large: str
    small: str


@dataclass(frozen=True, eq=False)
class Loaded:
    """Two pictures that fit, (scale h, scale w, 3) and (h, w, 3) uint8 RGB; or (H, W) both where `grey`."""

    large: Pixels
    small: Pixels
    grey: bool


def find_set(folder: str | Path, scale: int, small: str | Path | None = None) -> SRSet:
    """The pictures in a folder, paired.

    Large pictures alone; pairs in one folder, named NAME_HR and NAME_LR as SelfExSR's img_001_SRF_4_HR.png, also in a
    folder image_SRF_4 of it; or folders for both: HR, GT or GTmod12 or DIV2K_train_HR beside LR, LRbicx4 or
    DIV2K_train_LR_bicubic/X4.

    Args:
        folder: or a single large picture.
        scale: of the small pictures.
        small: the folder of small pictures, where it is another.

    Raises:
        DataError: nothing there, several sets, or large pictures without a small one.
    """
    folder = Path(folder)
    if small is not None:
        return _two_folders(folder, Path(small), scale)
    if folder.is_dir():
        inner = folder / f"image_SRF_{scale}"
        folder = inner if inner.is_dir() else folder
        large = _large_folder(folder)
        if large is not None:
            beside = _small_folder(folder, large, scale)
            return _two_folders(large, beside, scale) if beside else _alone(list_pictures(large), scale, large)
    files = list_pictures(folder)
    kinds = {file: match["kind"].upper() for file in files if (match := PAIRED.fullmatch(file.stem))}
    if len(kinds) == len(files) and "HR" in kinds.values():
        return _one_folder(folder, files, scale)
    return _alone(files, scale, folder)


def load_pair(pair: Pair, scale: int, background: str = "white") -> Loaded:
    """Both pictures, decoded and made to fit; a small one that is not given is made by MATLAB's bicubic.

    Large pictures are cut at the bottom and on the right to a multiple of `scale`. Files of one channel, both of them,
    stay grey.

    Raises:
        DataError: unreadable, or sizes that are not `scale` times each other's.
    """
    large, grey = _decoded(pair.large, background)
    if pair.small is None:
        height, width = (side // scale * scale for side in large.shape[:2])
        if not (height and width):
            raise DataError(
                f"{pair.large} is {_size(large)}, too small to be made {scale} times smaller.", "Leave it out."
            )
        large = np.ascontiguousarray(large[:height, :width])
        return Loaded(large, imresize(large, 1 / scale), grey)
    small, small_grey = _decoded(pair.small, background)
    large, small = _fitting(pair, large, small, scale)
    if grey != small_grey:
        large, small = (np.stack([x] * 3, 2) if x.ndim == 2 else x for x in (large, small))
    return Loaded(large, small, grey and small_grey)


def _fitting(pair: Pair, large: Pixels, small: Pixels, scale: int) -> tuple[Pixels, Pixels]:
    """Less than `scale` pixels may be over, of a large picture that was not cut before it was made small."""
    wanted = [side * scale for side in small.shape[:2]]
    if any(abs(want - side) >= scale for want, side in zip(wanted, large.shape[:2], strict=True)):
        raise DataError(
            f"{pair.large} is {_size(large)} and {pair.small} {_size(small)}, which is not {scale} times smaller.",
            "Check --scale and that the pictures belong together.",
        )
    height, width = (min(want, side) // scale * scale for want, side in zip(wanted, large.shape[:2], strict=True))
    return large[:height, :width], small[: height // scale, : width // scale]


def _decoded(path: Path, background: str) -> tuple[Pixels, bool]:
    """(H, W, 3), or (H, W) of a file of one channel, and whether it is."""
    data = read_bytes(path)
    with decoding(path), open_header(path, data) as image:
        grey = image.mode in GREY
    pixels, _ = decode_picture(path, data, colour=parse_colour(background), max_pixels=MAX_PIXELS, min_side=1)
    return (np.ascontiguousarray(pixels[..., 0]) if grey else pixels), grey


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _alone(files: Sequence[Path], scale: int, folder: Path) -> SRSet:
    names = [file.stem for file in files]
    pairs = tuple(Pair(name, file, None) for name, file in zip(names, files, strict=True))
    return SRSet(pairs, scale, str(folder), "made by MATLAB's bicubic")


def _one_folder(folder: Path, files: Sequence[Path], scale: int) -> SRSet:
    """NAME_HR beside NAME_LR."""
    others = sorted({int(match["scale"]) for file in files if (match := SELFEX.fullmatch(file.stem))} - {scale})
    stems = {file.stem.lower(): file for file in files}
    pairs = []
    for file in files:
        match, selfex = PAIRED.fullmatch(file.stem), SELFEX.fullmatch(file.stem)
        if match is None or match["kind"].upper() != "HR" or (selfex and int(selfex["scale"]) != scale):
            continue
        pairs.append(Pair(plain_name(file.name, scale), file, stems.get(f"{match['name']}LR".lower())))
    if not pairs:
        raise DataError(
            f"{folder} has pairs of other scales only: {', '.join(map(str, others))}.", f"Give --scale {others[0]}."
        )
    lonely = [pair.name for pair in pairs if pair.small is None]
    if lonely and len(lonely) < len(pairs):
        raise DataError(f"{lonely[0]} in {folder} has no small picture (_LR).", "Add it, or remove all small ones.")
    return SRSet(tuple(pairs), scale, str(folder), "made by MATLAB's bicubic" if lonely else "as given")


def _two_folders(large: Path, small: Path, scale: int) -> SRSet:
    files = list_pictures(large)
    given = open_pictures(small, recursive=False)
    numbers = pair_small([file.name for file in files], given, scale, str(large))
    pairs = tuple(
        Pair(plain_name(file.name, scale), file, small / given.names[number])
        for file, number in zip(files, numbers, strict=True)
    )
    return SRSet(pairs, scale, str(large), f"as given in {small}")


def _folders(folder: Path) -> list[str]:
    return natural_order(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _large_folder(folder: Path) -> Path | None:
    """The folder of large pictures in `folder`, if its pictures are in folders."""
    found = [name for name in _folders(folder) if LARGE.fullmatch(name)]
    if len(found) > 1:
        raise DataError(
            f"{folder} has several folders of large pictures: {', '.join(found)}.",
            f"Name one: --data {folder / found[0]}, and its small pictures by --lr.",
        )
    return folder / found[0] if found else None


def _small_folder(folder: Path, large: Path, scale: int) -> Path | None:
    """That of the small pictures of `large`, if there is one."""
    match = LARGE.fullmatch(large.name)
    stem = (match[1] if match else None) or ""
    inner = [f"{stem}LR_bicubic", f"{stem}LR", "LR_bicubic", "LR"]
    candidates = [f"{stem}LRbicx{scale}", f"LRbicx{scale}", f"LR_x{scale}", f"LRx{scale}", f"x{scale}", f"X{scale}"]
    candidates += [f"{name}/{x}{scale}" for name in inner for x in "Xx"] + ["LR", f"{stem}LR"]
    return next((folder / name for name in candidates if (folder / name).is_dir()), None)
