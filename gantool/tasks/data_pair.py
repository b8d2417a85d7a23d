"""Pairs of pictures written side by side, A|B, as the PyTorch port of pix2pix reads them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from gantool.data.cache import reason
from gantool.data.decode import parse_colour, silence_pillow
from gantool.data.faithful import Extras, Samples
from gantool.data.faithful_write import NAMES, Form, Kind, check_room, encode
from gantool.data.order import permutation
from gantool.data.pair_files import ListedFiles, PairedPictures
from gantool.data.pair_kinds import Decided, decide
from gantool.data.pair_sizes import Sizes, look_at_sizes, sides_of
from gantool.data.pairs import PARTS, open_pairs
from gantool.data.pictures import cores
from gantool.data.sides import Reading, read_ids, resized
from gantool.errors import DataError, RunError, UsageError
from gantool.files import atomic_write, write_error
from gantool.tasks.sample import settle_size

Labels = Literal["auto", "none", "A", "B", "both"]
Count = Callable[[str, int, int], None]

_AT_ONCE = 64  # pairs that are handed to the threads together


@dataclass
class PairsWritten:
    """What was written.

    Attributes:
        folder: of the results.
        pairs: how many it holds now, of these.
        skipped: how many of them were there already, equal in every byte.
        parts: how many of them lie in each of its folders train, val and test; empty where there are none.
        left_out: names and reasons of pairs that could not be read.
        notes: what was found and decided, as sentences.
    """

    folder: str
    pairs: int = 0
    skipped: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)


def pair_data(
    a: str | Path,
    b: str | Path | None,
    out: str | Path,
    *,
    size: str | tuple[int, int] | None = None,
    fit: bool = False,
    split: str | Sequence[float] | None = None,
    seed: int = 0,
    labels: Labels = "auto",
    palette: str = "",
    form: Kind = "png",
    quality: int | None = None,
    background: str = "white",
    overwrite: bool = False,
    count: Count = lambda what, done, total: None,
) -> PairsWritten:
    """Write each pair as one picture, A left and B right, under the name of A; sub-folders are kept.

    Grey pictures stay grey, and ids of labels stay ids, where both are of one channel and depth; else ids are
    painted, and the depth is that of the deeper picture. Equal input and options give equal files, so that what is
    there already, equal in every byte, is left alone: an interrupted command is given again.

    Args:
        a, b: see `gantool.data.pairs.open_pairs`; None: `a` holds both, or is a CSV of pairs.
        out: the folder to write to; it may exist.
        size: (height, width) or "WxH" in pixels that both become; None keeps sizes.
        fit: bring B to the size of A.
        split: shares of train, val and (where there is a third) test, as "80/10/10": pairs are dealt into folders.
        seed: of the dealing.
        labels: which side is label maps, resized without mixing; "auto" looks.
        palette: paints ids: see `gantool.data.palette.open_palette`; "": see `decide`.
        form, quality: see `Form`.
        overwrite: replace files that differ.
        count: told of how many pairs out of how many are done.

    Raises:
        UsageError: options that do not go together, or results would lie among the pictures, or replace one.
        ConfigError, DataError: see `open_pairs`; sizes within pairs differ, without `size` and `fit`; nothing can be
            read. Single pairs that cannot be read are left out.
        RunError: a file exists and differs, or cannot be written; or a pair lies in another part already.
    """
    wanted = settle_size(size)
    if wanted and fit:
        raise UsageError("--size and --fit both say how large B becomes.", "Drop the one or the other.")
    if quality is not None and form in ("png", "tif"):
        raise UsageError(f"{NAMES[form]} has no quality: nothing is lost in it.", "Leave out --quality.")
    shares = _shares(split)
    source = open_pairs(a, target=b or "", part=None, background=background)
    _check_apart(Path(out), [Path(folder) for folder in (a, b) if folder is not None])
    names = _results(source, form, shares, seed)
    _check_listed(Path(out), names, source)
    if shares:
        _check_dealt(Path(out), names)
    sizes = look_at_sizes(source, np.arange(len(source), dtype=np.int64))
    if not (wanted or fit):
        _check_sizes(sizes)
    usable = [index for index, _, _ in sizes.each()]
    decided = _kinds(source, usable, labels, palette, background)
    found = PairsWritten(str(out), notes=[*source.remarks, f"A is {decided[0].says}, B is {decided[1].says}"])
    if form in ("jpg", "webp") and "labels" in (decided[0].how.kind, decided[1].how.kind) and _loses(form, quality):
        found.notes.append(f"{NAMES[form]} mixes the colours of labels; PNG keeps them")
    found.left_out = [(source.a.names[index], why) for index, why, _ in sorted(sizes.bad)]
    write = _Writer(source, decided, wanted, Form(form, quality), Path(out), names, overwrite)
    _write_all(write, usable, found, count)
    return found


def _write_all(write: _Writer, usable: Sequence[int], found: PairsWritten, count: Count) -> None:
    """In threads, some pairs at a time, so that Ctrl-C and a full disk end it at once."""
    silence_pillow()
    parts, done = Counter[str](), 0
    error: DataError | None = None
    with ThreadPoolExecutor(cores(), thread_name_prefix="pair") as pool:
        for start in range(0, len(usable), _AT_ONCE):
            part = usable[start : start + _AT_ONCE]
            for index, outcome in zip(part, pool.map(write, part), strict=True):
                done += 1
                count(f"pairs of {write.source.pictures.label}", done, len(usable))
                if isinstance(outcome, DataError):
                    name = write.source.a.names[index]
                    found.left_out.append((name, reason(name, outcome)))
                    error = error or outcome
                    continue
                found.pairs += 1
                found.skipped += not outcome
                parts[write.names[index].partition("/")[0]] += 1
    found.parts = {name: parts[name] for name in PARTS if parts[name]}
    if error is not None and not found.pairs:
        (name, why), total = found.left_out[-1], len(write.source)
        raise DataError(f"None of the {total:,} pairs can be written: {name} is {why}.", error.hint)


class _Writer:
    """Writes single pairs; called in threads.

    Args:
        decided: how A and B are read.
        size: (height, width) that both become; None: B becomes as large as A.
        names: of the results, by pair.
    """

    def __init__(
        self,
        source: PairedPictures,
        decided: tuple[Decided, Decided],
        size: tuple[int, int] | None,
        form: Form,
        out: Path,
        names: Sequence[str],
        overwrite: bool,
    ) -> None:
        self.source, self.names = source, names
        self._decided, self._size, self._form, self._out, self._overwrite = decided, size, form, out, overwrite

    def __call__(self, index: int) -> bool | DataError:
        """Whether the file was written (or was there, equal); or why the pair cannot be read. Raises RunError."""
        try:
            pixels = self._joined(index)
            height, width = pixels.shape[:2]
            check_room(self.source.a.names[index], self._form, height, width, pixels[0, 0].nbytes, "Use --size.")
            data, _ = encode(pixels, Extras(), self._form)
        except DataError as error:
            return DataError(error.what, error.hint)  # without the traceback, which keeps the pixels
        path = self._out / self.names[index]
        if _equal(path, data):
            return False
        if not self._overwrite and os.path.lexists(path):
            raise RunError(f"{path} exists already, and differs.", "Replace it with --overwrite, or name a new folder.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(path, error) from error
        atomic_write(path, data, overwrite=self._overwrite, sync=False)
        return True

    def _joined(self, index: int) -> Samples:
        """A left and B right, (H, W, 1 or 3)."""
        a, b = self._read(index)
        size = self._size or (int(a.shape[0]), int(a.shape[1]))
        kinds = [one.how.kind for one in self._decided]
        return np.concatenate([resized(one, size, kind) for one, kind in zip((a, b), kinds, strict=True)], 1)

    def _read(self, index: int) -> list[Samples]:
        """Both pictures, of one depth and number of channels."""
        sides = self.source.a, self.source.b
        headers = [side.header(index) for side in sides]
        kinds = [one.how.kind for one in self._decided]
        ids = [kind == "labels" and h.stored == "grey" and h.exact for kind, h in zip(kinds, headers, strict=True)]
        deep = any(h.bits == 16 and not one for h, one in zip(headers, ids, strict=True))
        plain = all(one or kind == "grey" for one, kind in zip(ids, kinds, strict=True))
        if plain and (not any(ids) or headers[0].bits == headers[1].bits):
            depth = np.uint16 if deep or headers[0].bits == 16 else np.uint8
            how = Reading("grey", 16 if depth == np.uint16 else 8, None, self._decided[0].how.background)
            return [
                side.cut(read_ids(*side.data(index))[..., None]).astype(depth) if one else side.read(index, how)
                for side, one in zip(sides, ids, strict=True)
            ]
        found = []
        for side, one in zip(sides, self._decided, strict=True):
            kind: Literal["rgb", "labels"] = "labels" if one.how.kind == "labels" else "rgb"
            found.append(side.read(index, Reading(kind, 16 if deep else 8, one.how.palette, one.how.background)))
        return found


def _equal(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


def _kinds(
    source: PairedPictures, usable: Sequence[int], labels: Labels, palette: str, background: str
) -> tuple[Decided, Decided]:
    """How to read A and B."""
    found = []
    for name, side in (("A", source.a), ("B", source.b)):
        kind: Literal["auto", "labels"] = "labels" if labels in (name, "both") else "auto"
        found.append(decide(side, usable, kind, palette, 8, parse_colour(background), labels=labels == "auto"))
    a, b = found
    if palette and "labels" not in (a.how.kind, b.how.kind):
        raise UsageError(
            f"--palette gives labels their colours, and nothing was taken for labels (A {a.says}, B {b.says}).",
            "Say which are with --labels, or drop it.",
        )
    return a, b


def _loses(form: Kind, quality: int | None) -> bool:
    return form == "jpg" or quality is not None


# --- names and parts --------------------------------------------------------------------------------------


def _shares(split: str | Sequence[float] | None) -> list[float]:
    """ "80/10/10" as parts of 1; none for None. Raises UsageError."""
    if split is None:
        return []
    try:
        found = [float(one) for one in (split.split("/") if isinstance(split, str) else split)]
    except ValueError:
        found = []
    if not 2 <= len(found) <= len(PARTS) or not all(0 <= one < 1e9 for one in found) or not sum(found):
        raise UsageError(f"{split!r} does not say how to deal pairs.", "Write shares of train/val/test: 80/10/10.")
    return [one / sum(found) for one in found]


def _results(source: PairedPictures, form: Kind, shares: Sequence[float], seed: int) -> list[str]:
    """The result's name of each pair, "/" between folders: that of A, within its part.

    Raises:
        UsageError: pairs that lie in parts already are to be dealt.
    """
    stems = [_inside(name) for name in source.a.names]
    if len(set(stems)) < len(stems):  # of a list, which may name a picture twice
        stems = [f"{number:06d}-{PurePosixPath(stem).name}" for number, stem in enumerate(stems)]
    names = [f"{stem}.{form}" for stem in stems]
    if not shares:
        return names
    dealt = sorted({name.partition("/")[0] for name in names if "/" in name} & set(PARTS))
    if dealt:
        raise UsageError(f"The pairs are dealt into {' and '.join(dealt)} already.", "Leave out --split.")
    parts = _dealt(len(names), shares, seed)
    return [f"{part}/{name}" for part, name in zip(parts, names, strict=True)]


def _inside(name: str) -> str:
    """A name without its extension, as a path that stays within a folder wherever the name leads."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    return os.path.splitext("/".join(parts))[0]


def _dealt(total: int, shares: Sequence[float], seed: int) -> list[str]:
    """The part of each of `total` pairs, by chance, in numbers as near to the shares as whole numbers are."""
    ends = [round(total * end) for end in accumulate(shares)]
    numbers = np.empty(total, np.int64)
    numbers[permutation(seed, 0, total)] = np.searchsorted(ends, np.arange(total), side="right")
    return [PARTS[number] for number in numbers]


# --- what does not fit ------------------------------------------------------------------------------------


def _check_apart(out: Path, folders: Sequence[Path]) -> None:
    """Raises UsageError where results would lie among the pictures, RunError where `out` is a file."""
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file.", "Name a folder for the pairs.")
    here = os.path.realpath(out)
    for folder in folders:
        there = os.path.realpath(folder)
        if os.path.isdir(there) and (here == there or here.startswith(there + os.sep)):
            raise UsageError(f"{out} is in {folder}, where the pictures are.", "Name another folder for the pairs.")


def _check_listed(out: Path, names: Sequence[str], source: PairedPictures) -> None:
    """Raises UsageError where a result would take the place of a picture that a list names, wherever that lies."""
    listed = {
        os.path.realpath(side.files.folder / name)
        for side in (source.a, source.b)
        if isinstance(side.files, ListedFiles)
        for name in side.files.files
    }
    for name in names if listed else ():
        if os.path.realpath(out / name) in listed:
            raise UsageError(f"{out / name} is one of the pictures listed.", "Name another folder for the pairs.")


def _check_dealt(out: Path, names: Sequence[str]) -> None:
    """Raises RunError where a pair lies in another part already: it would be trained on and measured on."""
    for name in names:
        part, _, inside = name.partition("/")
        for other in PARTS:
            if other != part and os.path.lexists(out / other / inside):
                raise RunError(
                    f"{out / other / inside} was dealt otherwise: now {part} would have this pair, too.",
                    "Name a new folder, or give the shares, the seed and the pairs of then.",
                )


def _check_sizes(sizes: Sizes) -> None:
    """Raises DataError where the two of a pair are of two sizes."""
    differing = sizes.differing
    if differing:
        common = Counter(size for _, size, _ in sizes.each()).most_common(1)[0][0]
        raise DataError(
            f"In {len(differing):,} of {len(sizes.names):,} pairs A and B are of two sizes ({sizes.shown(differing)}).",
            f"Bring B to the size of A with --fit, or both to one with --size {sides_of(common).replace(' × ', 'x')}.",
        )
