"""The two sides of a comparison: pictures from anywhere, statistics that were saved, or a run that then draws."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gantool.data.archives import printable
from gantool.data.image import to_uint8
from gantool.data.listing import did_you_mean, exists
from gantool.data.pictures import Item, is_statistics, open_pictures
from gantool.engine.devices import enough_memory
from gantool.errors import DataError, NoSuchRun, UsageError
from gantool.family import Reconstructs, SampleRequest
from gantool.metrics.frechet import Statistics
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.runs import Run, open_run
from gantool.tasks.runs import runs as all_runs
from gantool.tasks.sample import MOST, check_seeds

if TYPE_CHECKING:
    from gantool.data.batches import Batches
    from gantool.data.image import Pixels
    from gantool.engine.model import GanModel

AT_ONCE = 2**22  # pixels drawn in one go
NAMED = 3  # pictures left out that a warning shows
Say = Callable[[str], None]
Count = Callable[[str, int, int], None]
"""`count("photos/", 32, 500)`: at what, how far, out of how many."""


def quiet(sentence: str) -> None:
    """Say nothing."""


def silent(what: str, done: int, total: int) -> None:
    """Show no progress."""


class PictureSet(Protocol):
    """What metrics need of a set of pictures; see `gantool.data.pictures.Pictures`."""

    label: str
    names: Sequence[str]
    skip_bad: bool
    skipped: list[tuple[str, str]]
    jpeg: int

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """How many pictures of which (height, width) were read."""
        ...

    @property
    def notes(self) -> list[str]:
        """What was done to pictures to reach 8-bit RGB."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item]: ...

    def read(self, index: int, /) -> Item:
        """One picture. Raises DataError where it cannot be read."""
        ...


class Drawn:
    """Pictures of a model, drawn as they are asked for: what `Pictures` promises, without files.

    A seed gives the same picture each time, so that going through them twice is safe, if slow; up to `KEEP`
    pixels of them are kept.
    """

    KEEP = 2**26
    skip_bad = False

    def __init__(self, label: str, model: GanModel, seeds: Sequence[int]) -> None:
        self.label, self.model, self.seeds = label, model, list(seeds)
        self.names: Sequence[str] = [f"seed-{seed:04d}" for seed in self.seeds]
        self.skipped: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.jpeg = 0
        self._size: tuple[int, int] | None = None
        self._kept: dict[int, Pixels] = {}

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """The one size that a model draws, once it has drawn."""
        return Counter({self._size: len(self)}) if self._size else Counter()

    def __iter__(self) -> Iterator[Item]:
        start = 0
        while start < len(self):
            # One first, to see how large they are.
            batch = 1 if self._size is None else max(1, min(64, AT_ONCE // math.prod(self._size)))
            for i, pixels in enumerate(self._draw(start, min(start + batch, len(self))), start):
                yield Item(self.names[i], pixels)
            start += batch

    def read(self, i: int) -> Item:
        """The picture of the i-th seed."""
        return Item(self.names[i], self._draw(i, i + 1)[0])

    def _draw(self, start: int, stop: int) -> list[Pixels]:
        wanted = range(start, stop)
        if not all(i in self._kept for i in wanted):
            with enough_memory("Free some memory, or draw on another device."):
                drawn = to_uint8(self.model.sample(SampleRequest([self.seeds[i] for i in wanted])))
            self._size = height, width = drawn[0].shape[:2]
            if len(self) * height * width > self.KEEP:
                return list(drawn)
            self._kept.update(zip(wanted, drawn, strict=True))
        return [self._kept[i] for i in wanted]


class TrainedOn:
    """The picture that a model of one picture was trained on, at the size of its samples, as a set of one."""

    skip_bad = False

    def __init__(self, label: str, pixels: Pixels) -> None:
        self.label, self._item = label, Item("picture", pixels)
        self.names: Sequence[str] = ["picture"]
        self.skipped: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.jpeg = 0
        self.sizes = Counter([(pixels.shape[0], pixels.shape[1])])

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Item]:
        yield self._item

    def read(self, i: int) -> Item:
        """The picture."""
        return self._item


class TrainedSet:
    """Pictures of the set that a model is trained on, as it sees them, spread evenly over the set."""

    skip_bad = False

    def __init__(self, label: str, data: Batches, most: int) -> None:
        self.label, self._data = label, data
        self._indices = data.spread(most)[0]
        self.names: Sequence[str] = [str(index) for index in self._indices]
        self.skipped: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.jpeg = 0
        self.sizes = Counter({(data.shape.height, data.shape.width): len(self)})

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, len(self), 64):
            for i, pixels in enumerate(self._data.pictures(self._indices[start : start + 64]), start):
                yield Item(self.names[i], pixels)

    def read(self, i: int) -> Item:
        """One picture."""
        return Item(self.names[i], self._data.pictures(self._indices[i : i + 1])[0])


@dataclass
class Operand:
    """One side of a comparison: pictures, or statistics that were saved.

    Attributes:
        label: what messages call it.
        kind: "file", "folder", "zip", "array", "statistics" or "run".
        source: the pictures.
        statistics: what there is in their place.
        used: how many pictures the figure comes from; None: all that could be read.
    """

    label: str
    kind: str
    source: PictureSet | None = None
    statistics: Statistics | None = None
    used: int | None = None

    @property
    def pictures(self) -> PictureSet:
        """The pictures. Raises UsageError where there are only statistics."""
        if self.source is None:
            raise UsageError(f"{self.label} holds statistics, not pictures.", "Give the pictures themselves.")
        return self.source

    def read(self, index: int) -> Item:
        """One of the pictures. Raises DataError where it cannot be read; without skip_bad that names all such."""
        try:
            return self.pictures.read(index)
        except DataError:
            if not self.pictures.skip_bad:
                for _ in self.pictures:
                    pass
            raise

    def picture(self, name: str) -> str:
        """What messages call one of the pictures."""
        return self.label if len(self.pictures) == 1 else f"{name} in {self.label}"

    def describe(self) -> dict[str, Any]:
        """For the protocol of a result."""
        found: dict[str, Any] = {"from": self.label, "kind": self.kind}
        if self.source is None:
            assert self.statistics is not None
            return {**found, "n": self.statistics.n}
        found["n"] = len(self.source) - len(self.source.skipped) if self.used is None else self.used
        if self.source.skipped:
            found["skipped"] = len(self.source.skipped)
        if self.source.jpeg:
            found["jpeg"] = self.source.jpeg
        if self.source.sizes:
            sizes = self.source.sizes.most_common(4)
            found["sizes"] = [f"{w}x{h}" for (h, w), _ in sizes] + (["..."] if len(self.source.sizes) > 4 else [])
        if self.source.notes:
            found["notes"] = self.source.notes
        return found

    def warnings(self, as_a_set: bool) -> list[str]:
        """What one should know of these pictures when reading a figure; of a set, too, that sizes are mixed."""
        if self.source is None:
            made = (self.statistics.protocol if self.statistics else None) or {}
            pictures = made.get("pictures")
            if not isinstance(pictures, Mapping):  # another tool's file
                return []
            return _of_jpegs(pictures.get("jpeg"), pictures.get("n"), self.label)
        found = []
        if self.source.skipped:
            names = [name for name, _ in self.source.skipped]
            listed = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
            found.append(f"{len(names)} of {len(self.source)} pictures of {self.label} were left out: {listed}.")
        if as_a_set and len(self.source.sizes) > 1:
            found.append(f"The pictures of {self.label} have {len(self.source.sizes)} different sizes.")
        return found + _of_jpegs(self.source.jpeg, self.source.sizes.total(), self.label)


def _of_jpegs(jpegs: Any, total: Any, label: str) -> list[str]:
    """The warning that pictures come from JPEG, if any of those that were read do."""
    if not jpegs:
        return []
    return [
        f"Pictures of {label} come from JPEG ({jpegs} of {total}), whose traces move figures: "
        "compare only with figures of JPEGs."
    ]


@dataclass
class Opener:
    """Finds out what words on the command line mean."""

    options: EvalOptions
    say: Say
    default_n: int

    def open(self, reference: str | Path | Run, statistics: bool = False) -> Operand:
        """An operand by path, or a run as it is or by path, id prefix or `latest`.

        Raises:
            DataError, RunError: there is no such thing, or it cannot be read.
        """
        if isinstance(reference, Run):
            return self.run(reference)
        path = Path(reference)
        if exists(path) and not exists(path / "run.json"):
            if is_statistics(path):
                if not statistics:
                    raise UsageError(f"{path} holds statistics; pictures are needed here.", "Give the pictures.")
                return Operand(printable(str(path)), "statistics", statistics=Statistics.load(path))
            found = open_pictures(path, background=self.options.background, skip_bad=self.options.skip_bad)
            return Operand(found.label, found.kind, found)
        try:
            return self.run(open_run(reference, self.options.out))
        except NoSuchRun as error:
            if str(reference) == "latest":
                raise
            kinds = "file, folder or run" if all_runs(self.options.out) else "file or folder"
            raise DataError(f"There is no {kinds} {path}.", did_you_mean(path)) from error

    def run(self, run: Run) -> Operand:
        """A run, as the pictures that it draws."""
        n = self.options.n or self.default_n
        if n > MOST:
            raise UsageError(f"{n:,} samples cannot be drawn.", f"Ask for 1 to {MOST:,}.")
        model = run.load(self.options.device, self.say)
        return drawn_by(run, model, check_seeds(range(n)))


def drawn_by(run: Run, model: GanModel, seeds: Sequence[int]) -> Operand:
    """The pictures that the model of a run draws from these seeds."""
    label = printable(str(run.path))
    return Operand(label, "run", Drawn(label, model, seeds))


def trained_on(side: Operand) -> Operand:
    """The picture that the run of `side` was trained on, at the size of its samples.

    Raises:
        UsageError: `side` is no run, or its family is not trained on one picture.
    """
    if not isinstance(side.source, Drawn):
        raise UsageError(f"{side.label} has nothing to be compared with.", "Give the real pictures first, then these.")
    model = side.source.model
    if not isinstance(model, Reconstructs):
        raise UsageError(
            f"{side.label} was not trained on one picture, which it could be compared with.",
            "Give the real pictures first, then the run.",
        )
    label = f"picture of {side.label}"
    return Operand(label, "run", TrainedOn(label, to_uint8(model.picture())[0]))
