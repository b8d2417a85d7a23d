"""Which pictures of the user's are worked on, and how the results are called."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from gantool.data.archives import printable
from gantool.data.faithful_write import KINDS, NAMES, Kind
from gantool.data.listing import file_mode, picture_names
from gantool.errors import DataError, UsageError

SUFFIX: dict[Kind, str] = {"png": ".png", "tif": ".tif", "webp": ".webp", "jpg": ".jpg"}
FORMATS = tuple(SUFFIX)
SPELLINGS = {"tiff": "tif", "jpeg": "jpg"}  # of formats on the command line


@dataclass(frozen=True)
class Naming:
    """How a command calls what it makes.

    Attributes:
        ending: of the name of a result that is given none, as in "-x4".
        journal: name of the file, in a folder of results, that tells what they are made from.
        done: what becomes of a picture, for people: "enlarged".
        seeds: of several results of one picture, which are told apart as in "-s0"; none: there is one.
    """

    ending: str
    journal: str
    done: str
    seeds: Sequence[int] = ()


@dataclass(frozen=True)
class Item:
    """A picture and its result.

    Attributes:
        name: of the picture within the input, for people.
        source, result: the files.
        kind: of the result; of a film its frames'.
        seed: of several results of one picture, which one.
    """

    name: str
    source: Path
    result: Path
    kind: Kind
    seed: int | None = None


@dataclass(frozen=True)
class Plan:
    """What is made of what.

    Attributes:
        naming: by which the results are called.
        items: one for each result, pictures in natural order.
        folder: of the results where the input is a folder; None where it is one picture.
        ignored: folders in the input that are not entered, since they hold results.
    """

    naming: Naming
    items: Sequence[Item]
    folder: Path | None
    ignored: Sequence[str] = ()

    @property
    def root(self) -> Path:
        """The folder that everything is written under."""
        return self.folder if self.folder is not None else self.items[0].result.parent


def plan_pictures(
    source: str | Path, to: str | Path | None, naming: Naming, form: str | None = None, quality: int | None = None
) -> Plan:
    """The pictures of `source`, one or a folder with all folders in it, and where their results go.

    Args:
        source: a picture or a folder. Folders that are symbolic links are not entered.
        to: the result's file, or a folder; None: beside the input. The folders' structure is kept.
        form: "png", "tif", "webp" or "jpg"; None keeps PNG, TIFF and WebP, makes PNG of all others, and keeps JPEG
            where a quality is given.

    Raises:
        DataError: nothing there, no pictures, or it may not be read.
        UsageError: an unknown format, a result that would take the place of a source, two results of one name.
    """
    source = Path(source)
    wanted = _format(form)
    if quality is not None and wanted in ("png", "tif"):
        raise UsageError(f"{NAMES[wanted]} has no quality: nothing is lost in it.", "Leave out --quality.")
    if not stat.S_ISDIR(file_mode(source)):
        return _one(source, None if to is None else Path(to), naming, wanted, quality)
    folder = Path(to) if to is not None else beside(source, naming.ending)
    if os.path.realpath(source) == os.path.realpath(folder):
        raise UsageError(f"{folder} is the folder that the pictures are in.", "Name another one for the results.")
    found = picture_names(source, recursive=True)
    results = _folders_of_results(source, folder, found, naming.journal)
    names = [name for name in found if not name.startswith(results)]
    if not names:
        raise DataError(f"No pictures in {source} but results in {folder}.", "Name the folder of the pictures.")
    ignored = [printable(name.rstrip("/")) for name in results if any(other.startswith(name) for other in found)]
    return Plan(naming, _items(source, folder, names, naming, wanted, quality), folder, ignored)


def _format(form: str | None) -> Kind | None:
    if form is None:
        return None
    form = form.lower().removeprefix(".")
    form = SPELLINGS.get(form, form)
    for kind in FORMATS:
        if kind == form:
            return kind
    raise UsageError(f"{form!r} is no format that results are written in.", f"Use {', '.join(FORMATS)}.")


def _kind_of(suffix: str, wanted: Kind | None, quality: int | None) -> Kind:
    kept = KINDS.get(suffix.lower(), "png")
    return wanted or ("png" if kept == "jpg" and quality is None else kept)


def _renamed(name: str, kind: Kind) -> str:
    """The file name with the extension of `kind`, unless it has one of that kind already."""
    stem, suffix = os.path.splitext(name)
    return name if KINDS.get(suffix.lower()) == kind else stem + SUFFIX[kind]


def beside(path: Path, ending: str) -> Path:
    """`path` with `ending` after its name; of "." and ".." the folder that they mean."""
    whole = path if path.name not in ("", "..") else Path(os.path.realpath(path))
    return whole.with_name(whole.name + ending)


def _one(source: Path, to: Path | None, naming: Naming, wanted: Kind | None, quality: int | None) -> Plan:
    kind = _kind_of(source.suffix, wanted, quality)
    ending = f"{source.stem}{naming.ending}{source.suffix}"
    if to is None:
        result = source.with_name(_renamed(ending, kind))
    elif is_folder(to):
        result = to / _renamed(ending, kind)
    else:
        named = KINDS.get(to.suffix.lower())
        if named is None:
            what = f"{to} has no extension of a format that is written."
            raise UsageError(what, f"Use {', '.join(FORMATS)}; end the name of a new folder with {os.sep}.")
        if wanted is not None and named != wanted:
            raise UsageError(f"{to} is not called like {NAMES[wanted]}.", f"Call it {to.with_suffix(SUFFIX[wanted])}.")
        kind, result = named, to
    items = tuple(of_each_seed(Item(printable(str(source)), source, result, kind), naming))
    check_apart(items, naming)
    return Plan(naming, items, None)


def is_folder(to: Path) -> bool:
    """Whether what results are to be called is a folder, there already or by its name."""
    return os.path.isdir(to) or str(to).endswith(os.sep) or not to.suffix


def of_each_seed(item: Item, naming: Naming) -> Iterator[Item]:
    """The item, or one for each seed, with that in its result's name."""
    result = item.result
    for seed in naming.seeds:
        yield replace(item, result=result.with_name(f"{result.stem}-s{seed}{result.suffix}"), seed=seed)
    if not naming.seeds:
        yield item


def _items(
    source: Path, folder: Path, names: Sequence[str], naming: Naming, wanted: Kind | None, quality: int | None
) -> tuple[Item, ...]:
    """Where a.jpg and a.png would both become a.png, the first becomes a.jpg.png."""
    kinds = {name: _kind_of(os.path.splitext(name)[1], wanted, quality) for name in names}
    results = {name: _renamed(name, kinds[name]) for name in names}
    taken = Counter(results.values())
    for name, result in results.items():
        if taken[result] > 1 and result != name:
            results[name] = name + SUFFIX[kinds[name]]
    twice = next((result for result, count in Counter(results.values()).items() if count > 1), None)
    if twice is not None:
        both = [printable(name) for name, result in results.items() if result == twice]
        raise UsageError(f"{' and '.join(both)} would both become {printable(twice)}.", "Rename one of them.")
    plain = (Item(printable(name), source / name, folder / results[name], kinds[name]) for name in names)
    items = tuple(item for each in plain for item in of_each_seed(each, naming))
    check_apart(items, naming)
    return items


def _folders_of_results(source: Path, folder: Path, names: Sequence[str], journal: str) -> tuple[str, ...]:
    """The beginnings of the names of what lies in `folder`, or in folders with a `journal`, within `source`."""
    outer, inner = os.path.realpath(source), os.path.realpath(folder)
    found = {os.path.relpath(inner, outer).replace(os.sep, "/") + "/"} if inner.startswith(outer + os.sep) else set()
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents} - {"."}
    found |= {f"{name}/" for name in folders if (source / name / journal).exists()}
    return tuple(sorted(found))


def check_apart(items: Sequence[Item], naming: Naming) -> None:
    """Raises UsageError for a result that would take the place of its source."""
    for item in items:
        if os.path.realpath(item.source) == os.path.realpath(item.result):  # a link leads from one to the other, too
            what = f"{item.result} is the picture that is to be {naming.done}."
            raise UsageError(what, "Give another name to the result.")
