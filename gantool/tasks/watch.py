"""Warns while a model trains: one player wins, or the samples collapse. Into the run's watch.jsonl."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gantool.data.image import to_uint8
from gantool.engine.devices import enough_memory
from gantool.engine.rundir import WATCH, RunDir
from gantool.errors import GantoolError
from gantool.family import SampleRequest
from gantool.metrics.collapse import by_area, coverage, nearest, pair_similarity, thumbnails
from gantool.tasks.balance import EARLY, EARLY_SHARE, Alarms, Balance, Finding, advice_diverse

if TYPE_CHECKING:
    from gantool.engine.model import GanModel
    from gantool.engine.trainer import Progress

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Reals = Callable[[int], tuple[Pixels, Labels | None]]

SAMPLES, PAIRS = 64, 64
MOST_CLASSES = 16  # drawn of a conditional model, so that each has pairs
LARGEST = 64  # pixels: larger pictures are reduced, which shows whether they are alike no less
UNLABELLED, LABELLED = 256, 1000  # real pictures that samples are compared with, at most
ROOM = 100_000_000  # bytes for them
AT_ONCE = 16  # samples drawn together
HELD_OUT = 4  # one in so many labelled reals shows how much coverage real pictures have
TOO_ALIKE = 0.25  # MS-SSIM above that of the reals; of reals that are alike themselves, half way to 1
TOO_FEW = 0.7  # of the number of classes that real pictures show


class Watch:
    """Callback that looks for imbalance in every log entry, and for collapse in samples now and then.

    Each stage is judged by the options that hold there, from its own beginning. What samples lack at one stage they
    mostly lack at the next: so collapse, once said, is not said again until it has been well in between.

    It draws from seeds of its own, and trains to the same weights, bit for bit, as a run without it. What is wrong
    is said once; a check that cannot be made is said, and costs nothing else.

    Each check is a line of watch.jsonl: "total", "stage", "step"; "ms_ssim" of samples and "ms_ssim_real" of real
    pictures (within classes, where the model draws classes; from sides of 64 pixels); where the pictures have
    labels, "coverage" and "entropy" (see `gantool.metrics.collapse`), and "coverage_real" and "entropy_real" of as
    many real pictures; "warnings", a list of {"kind", "text"}. A warning between checks is a line without figures.

    Args:
        run: gets the log.
        model: the one that is trained.
        reals: gives so many (or as many as there are) real pictures as the model sees them, (n, H, W, 3) uint8,
            the same ones whenever it is asked, of all classes; and their labels, or None. Without it only the
            balance is watched: for models that draw nothing from noise.
        say: takes sentences for people.
        every: steps from check to check; see `Progress.due`.
    """

    def __init__(
        self,
        run: RunDir,
        model: GanModel,
        reals: Reals | None,
        say: Callable[[str], None] = lambda _: None,
        every: int | None = None,
    ) -> None:
        self.run, self.model, self.reals, self.say, self.every = run, model, reals, say, every
        shape = getattr(model, "shape", None)
        self.balance: Balance | None = None  # of the stage under way
        self.alarms = Alarms(patience=2)
        self.labels = _spread(shape.classes if shape else 0)
        self.most = max(SAMPLES, ROOM // (3 * shape.height * shape.width)) if shape else LABELLED
        self.real: _Real | None = None
        self.able = reals is not None  # and they can be read
        self.checked = 0  # the step of the last check, over all stages

    def step(self, progress: Progress) -> None:
        """Judge what was logged, and samples where it is time for it."""
        if progress.fresh:
            self._warn(progress, self._game(progress).add(progress.metrics, progress.state.step), {})
        if progress.due(self.every):
            self._check(progress)

    def stage_end(self, progress: Progress, model: GanModel) -> None:
        """The next stage is a game of its own, and may draw more of the pictures."""
        self.real = self.balance = None

    def run_end(self, progress: Progress, model: GanModel) -> None:
        """Judge the last samples, unless that is done."""
        if self.checked != progress.state.total:
            self._check(progress)

    def _game(self, progress: Progress) -> Balance:
        """The balance of the stage under way, by the options that hold there."""
        if self.balance is None:
            part = self.model.part(progress.stage)
            config, farthest = getattr(part, "config", None), getattr(part, "farthest", None)
            self.balance = Balance(config, farthest, part.place, progress.stage.steps)
        return self.balance

    def _check(self, progress: Progress) -> None:
        """Compare samples with real pictures."""
        self.checked = progress.state.total
        if not self.able or self.reals is None:
            return
        try:
            with enough_memory("The run goes on without it."):
                self.real = self.real or _Real(self.reals, self.labels, self.most)
        except (GantoolError, OSError) as error:
            self.able = False
            self.say(f"Samples are not watched for collapse, for lack of real pictures: {error}")
            return
        try:
            with enough_memory("The run goes on without it."):
                figures = self.real.compare(self._samples())
        except (GantoolError, ValueError) as error:  # NaN in the pictures
            self.say(f"Samples of step {progress.state.total} were not watched for collapse: {error}")
            return
        late = progress.state.step > max(EARLY, EARLY_SHARE * progress.stage.steps)
        self._warn(progress, self._collapse(figures, late, self._game(progress)), figures)

    def _samples(self) -> Pixels:
        """(SAMPLES, h, w, 3), reduced as they come."""
        parts = []
        for start in range(0, SAMPLES, AT_ONCE):
            seeds = range(start, start + AT_ONCE)
            labels = None if self.labels is None else [self.labels[seed] for seed in seeds]
            parts.append(_small(to_uint8(self.model.sample(SampleRequest(seeds, labels=labels)))))
        return np.concatenate(parts)

    def _collapse(self, figures: dict[str, float], late: bool, game: Balance) -> list[Finding]:
        advice = advice_diverse(game.config, game.place)
        found = []
        alike, usual = figures["ms_ssim"], figures["ms_ssim_real"]
        room = min(TOO_ALIKE, (1 - usual) / 2)
        text = (
            f"Samples{' of a class' if self.labels else ''} collapse: they resemble each other with MS-SSIM "
            f"{alike:.2f}, real pictures with {usual:.2f}. {advice}"
        )
        if self.alarms.judge("samples collapse", bad=late and alike > usual + room, well=alike < usual + room / 2):
            found.append(Finding("samples collapse", text))
        if "coverage" not in figures:
            return found
        # Not the share of classes met, for which one sample that is taken for another class would count as much as ten.
        classes = self.real.known.classes if self.real and self.real.known else 1
        shown, usual = (classes ** figures[name] for name in ("entropy", "entropy_real"))
        text = (
            f"Classes are missing: samples show about {shown:.1f} of {classes}, as many real pictures {usual:.1f}. "
            f"{advice}"
        )
        few = late and shown < TOO_FEW * usual
        if self.alarms.judge("classes missing", bad=few, well=shown > (1 + TOO_FEW) / 2 * usual):
            found.append(Finding("classes missing", text))
        return found

    def _warn(self, progress: Progress, found: list[Finding], figures: dict[str, float]) -> None:
        state, several = progress.state, len(progress.stages) > 1
        where = f"{progress.stage.name}, step {state.step:,}" if several else f"Step {state.total:,}"
        for finding in found:
            self.say(f"{where}: {finding.text}")
        if found or figures:
            entry = {"total": state.total, "stage": state.stage, "step": state.step}
            rounded = {name: round(value, 5) for name, value in figures.items()}
            self.run.log({**entry, **rounded, "warnings": [asdict(finding) for finding in found]}, WATCH)


def _spread(classes: int) -> list[int] | None:
    """Labels of the samples: all classes in turn, or `MOST_CLASSES` of them evenly; None without classes."""
    if not classes:
        return None
    chosen = np.linspace(0, classes - 1, min(classes, MOST_CLASSES)).round().astype(int).tolist()
    return [chosen[i % len(chosen)] for i in range(SAMPLES)]


@dataclass
class _Known:
    """Labelled real pictures to find the class of a sample by."""

    thumbnails: npt.NDArray[np.float64]
    labels: Labels
    classes: int
    coverage: float = 1.0  # of as many real pictures
    entropy: float = 1.0


class _Real:
    """What real pictures measure, and samples against it.

    Args:
        drawn: labels of the samples to come, where the model draws classes.
        most: real pictures that there is room for.
    """

    def __init__(self, reals: Reals, drawn: list[int] | None, most: int) -> None:
        self.drawn = drawn
        pictures, labels = reals(min(UNLABELLED, most))
        if labels is not None:
            pictures, labels = reals(min(LABELLED, most))
        pictures = _small(pictures)
        self.similarity = pair_similarity(pictures, 4 * PAIRS, labels=None if drawn is None else labels)
        self.known = None if labels is None else self._known(pictures, labels)

    def _known(self, pictures: Pixels, labels: Labels) -> _Known | None:
        """Most of them to compare with; the others tell the coverage of real pictures. None without two classes."""
        present, dense = np.unique(labels, return_inverse=True)
        held = np.random.default_rng(0).permutation(len(labels)) < len(labels) // HELD_OUT
        if len(present) < 2 or not held.any():
            return None
        grey = thumbnails(pictures)
        found = nearest(grey[held], grey[~held], dense[~held])
        known = _Known(grey[~held], dense[~held], len(present))
        shown = [coverage(found[indices], known.classes) for indices in _like(labels[held], self.drawn)]
        known.coverage, known.entropy = (float(mean) for mean in np.mean(shown, axis=0))
        return known

    def compare(self, samples: Pixels) -> dict[str, float]:
        """The figures of a check."""
        similarity = pair_similarity(samples, PAIRS, labels=self.drawn)
        figures = {"ms_ssim": similarity, "ms_ssim_real": self.similarity}
        if self.known is None:
            return figures
        known = self.known
        met, entropy = coverage(nearest(thumbnails(samples), known.thumbnails, known.labels), known.classes)
        figures |= {"coverage": met, "coverage_real": known.coverage}
        figures |= {"entropy": entropy, "entropy_real": known.entropy}
        return figures


def _like(labels: Labels, drawn: list[int] | None, times: int = 8) -> list[npt.NDArray[np.int64]]:
    """Indices into `labels` of real pictures drawn as samples are: as many of each class, or any."""
    random = np.random.default_rng(0)
    members = {label: np.flatnonzero(labels == label) for label in set(drawn or ())}
    asked = [label for label in drawn or () if len(members[label])]
    if not asked:
        return [random.integers(len(labels), size=SAMPLES) for _ in range(times)]
    return [np.array([random.choice(members[label]) for label in asked]) for _ in range(times)]


def _small(pictures: Pixels) -> Pixels:
    """Reduced by area where the shorter side is above `LARGEST`."""
    height, width = pictures.shape[1:3]
    side = min(height, width)
    if side <= LARGEST:
        return pictures
    size = (round(length * LARGEST / side) for length in (height, width))
    return by_area(pictures, *size).round().astype(np.uint8)
