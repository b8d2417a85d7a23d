"""The two sides of a comparison: pictures from anywhere, statistics that were saved, or a run that then draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gantool.data.image import to_uint8
from gantool.data.pictures import Item, is_statistics, open_pictures
from gantool.engine.devices import enough_memory
from gantool.errors import DataError, RunError, UsageError
from gantool.family import Reconstructs, SampleRequest
from gantool.metrics.frechet import Statistics
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.runs import Run, open_run
from gantool.tasks.runs import runs as all_runs
from gantool.tasks.sample import MOST, check_seeds

if TYPE_CHECKING:
    from gantool.data.image import Pixels
    from gantool.engine.model import GanModel

JPEG = (".jpg", ".jpeg", ".jfif")
AT_ONCE = 2**22  # pixels drawn in one go
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
    skipped: list[tuple[str, str]]
    sizes: Counter[tuple[int, int]]
    jpeg: int

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item]: ...

    def read(self, index: int, /) -> Item: ...


class Drawn:
    """Pictures of a model, drawn as they are asked for: what `Pictures` promises, without files.

    A seed gives the same picture each time, so that going through them twice is safe, if slow; up to `KEEP`
    pixels of them are kept.
    """

    KEEP = 2**26
    kind = "run"

    def __init__(self, label: str, model: GanModel, seeds: Sequence[int]) -> None:
        self.label, self.model, self.seeds = label, model, list(seeds)
        self.names: Sequence[str] = [f"seed-{seed:04d}" for seed in self.seeds]
        self.skipped: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.jpeg = 0
        self.sizes: Counter[tuple[int, int]] = Counter()
        self._kept: dict[int, Pixels] = {}

    def __len__(self) -> int:
        return len(self.seeds)

    def __iter__(self) -> Iterator[Item]:
        self.sizes.clear()
        start = 0
        while start < len(self):
            # One first, to see how large they are.
            batch = 1 if start == 0 else max(1, min(64, AT_ONCE // self._pixels))
            for i, pixels in enumerate(self._draw(start, min(start + batch, len(self))), start):
                self.sizes[pixels.shape[0], pixels.shape[1]] += 1
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
            self._pixels = drawn[0].shape[0] * drawn[0].shape[1]
            if len(self) * self._pixels > self.KEEP:
                return list(drawn)
            self._kept.update(zip(wanted, drawn, strict=True))
        return [self._kept[i] for i in wanted]


class TrainedOn:
    """The picture that a model of one picture was trained on, at the size of its samples, as a set of one."""

    kind = "run's picture"

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


@dataclass
class Operand:
    """One side of a comparison: pictures, or statistics that were saved. `run` is set where a run draws them."""

    label: str
    kind: str
    source: PictureSet | None = None
    statistics: Statistics | None = None
    run: Run | None = None

    @property
    def pictures(self) -> PictureSet:
        """The pictures. Raises UsageError where there are only statistics."""
        if self.source is None:
            raise UsageError(f"{self.label} holds statistics, not pictures.", "Give the pictures themselves.")
        return self.source

    def describe(self) -> dict[str, Any]:
        """For the protocol of a result."""
        found: dict[str, Any] = {"from": self.label, "kind": self.kind}
        if self.source is None:
            assert self.statistics is not None
            return {**found, "n": self.statistics.n}
        found["n"] = len(self.source) - len(self.source.skipped)
        if self.source.skipped:
            found["skipped"] = len(self.source.skipped)
        if self.source.sizes:
            sizes = self.source.sizes.most_common(4)
            found["sizes"] = [f"{w}x{h}" for (h, w), _ in sizes] + (["..."] if len(self.source.sizes) > 4 else [])
        return found

    def warnings(self, as_a_set: bool) -> list[str]:
        """What one should know of these pictures when reading a figure; of a set, too, that sizes are mixed."""
        if self.source is None:
            return []
        found = []
        if self.source.skipped:
            names = ", ".join(name for name, _ in self.source.skipped[:3])
            found.append(f"{len(self.source.skipped)} pictures of {self.label} were left out: {names}.")
        if as_a_set and len(self.source.sizes) > 1:
            found.append(f"The pictures of {self.label} have {len(self.source.sizes)} different sizes.")
        # Pictures that were read one by one are told by their names.
        jpegs = max(self.source.jpeg, sum(name.lower().endswith(JPEG) for name in self.source.names))
        if jpegs:
            found.append(
                f"{jpegs} pictures of {self.label} come from JPEG, whose traces move figures: "
                "compare only with figures of JPEGs."
            )
        return found


@dataclass
class Opener:
    """Finds out what words on the command line mean."""

    options: EvalOptions
    say: Say
    default_n: int

    def open(self, reference: str | Path, statistics: bool = False) -> Operand:
        """An operand by path, or a run by path, id prefix or `latest`.

        Raises:
            DataError, RunError: there is no such thing, or it cannot be read.
        """
        path = Path(reference)
        if path.exists() and not (path / "run.json").exists():
            if is_statistics(path):
                if not statistics:
                    raise UsageError(f"{path} holds statistics; this metric needs the pictures.", "Give the pictures.")
                return Operand(str(path), "statistics", statistics=Statistics.load(path))
            found = open_pictures(path, background=self.options.background, skip_bad=self.options.skip_bad)
            return Operand(str(path), found.kind, found)
        if reference != "latest" and not path.exists() and not all_runs(self.options.out):
            raise DataError(f"There is no file or folder {path}.", "Check the path.")
        try:
            run = open_run(reference, self.options.out)
        except RunError as error:
            if "No run is called" in error.what:
                raise DataError(f"There is no file, folder or run {path}.", "Check the path.") from error
            raise
        return self.run(run)

    def run(self, run: Run) -> Operand:
        """A run, as the pictures that it draws."""
        n = self.options.n or self.default_n
        if not 1 <= n <= MOST:
            raise UsageError(f"{n} samples cannot be drawn.", f"Ask for 1 to {MOST:,}.")
        model = run.load(self.options.device, self.say)
        return Operand(str(run.path), "run", Drawn(str(run.path), model, check_seeds(range(n))), run=run)


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
    return Operand(f"picture of {side.label}", "run", TrainedOn(side.label, to_uint8(model.picture())[0]))


__all__ = ["Count", "Drawn", "Opener", "Operand", "Say", "quiet", "silent", "trained_on"]
