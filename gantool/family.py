"""What a family says of itself (`FamilySpec`) and what its models can do (the capabilities). No torch here.

A family is a package with `SPEC = FamilySpec(...)` in its `__init__.py`. The model class is named by a dotted
path, so that listing families and showing their help never imports torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

from gantool.errors import ConfigError
from gantool.shape import DataShape as DataShape
from gantool.shape import TestMode as TestMode
from gantool.shape import Translation as Translation

if TYPE_CHECKING:
    from torch import Tensor

    from gantool.engine.model import GanModel


@dataclass(frozen=True)
class Preset:
    """A named set of option values and one sentence of what it is for."""

    help: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FamilySpec:
    """One GAN family.

    Attributes:
        name: as on the command line, lower case.
        title: as in the literature.
        data: what it trains on; "image": one picture, one model; "set": many pictures, which become batches
            (then `config` inherits gantool.data.set_options.SetOptions).
        classes: whether the data must have labels ("needed"), is better with them ("used") or ignores them ("unused").
        config: frozen dataclass of options (see gantool.options).
        presets: by name; `tiny` must exist (the contract tests train it).
        on_cpu, on_accelerator: the preset taken when none is named.
        model: dotted path "package.module:Class" of the GanModel.
        page: name of its page under docs/.
        memory_hint: what to do when the memory does not suffice, one sentence.
        tasks: what its models can do: the names of the commands that take a run of it.
        task_presets: per task, the preset (on a CPU, elsewhere) of a run that is trained for that task alone.
        task_options: per task, option values that such a run needs whatever the preset.
        example: what an example trains it on, where that is not what others are trained on.
        next: what is done with a finished run, as a command in which {run} stands for it.
        importer: dotted path "package.module:function" that reads a folder of official weights; see
            gantool.tasks.import_run.
    """

    name: str
    title: str
    year: int
    paper: str
    summary: str
    config: type
    presets: Mapping[str, Preset]
    model: str
    data: Literal["image", "set"] = "image"
    classes: Literal["needed", "used", "unused"] = "unused"
    on_cpu: str = "fast"
    on_accelerator: str = "paper"
    tasks: tuple[str, ...] = ("sample",)
    page: str = ""
    memory_hint: str = "Use smaller pictures or a smaller batch."
    weights_licence: str = ""
    task_presets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    task_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    importer: str = ""
    example: str = ""
    next: str = "gantool sample {run}"

    def preset(self, name: str) -> Preset:
        """The preset of that name. Raises ConfigError that lists the known ones."""
        if name not in self.presets:
            raise ConfigError(f"{self.name} has no preset `{name}`.", f"Its presets: {', '.join(self.presets)}.")
        return self.presets[name]

    def default_preset(self, accelerator: bool) -> str:
        """The preset taken when the user names none."""
        return self.on_accelerator if accelerator else self.on_cpu

    @property
    def example_data(self) -> str:
        """What an example trains it on: something that a newcomer has."""
        if self.example or self.data == "image":
            return self.example or "photo.jpg"
        return "builtin:digits" if self.classes == "needed" else "photos/"

    def model_class(self) -> type[GanModel]:
        """Import and return the model class (imports torch)."""
        module, _, name = self.model.partition(":")
        return cast("type[GanModel]", getattr(importlib.import_module(module), name))


# --- capabilities: a command asks for one of these, never for a family's name -------------------------------


@dataclass(frozen=True)
class SampleRequest:
    """What to draw.

    Attributes:
        seeds: one picture each; a seed gives the same picture whatever stands beside it.
        size: (height, width) in pixels, or None for the size trained on.
        start_scale: scales below it keep the noise of the reconstruction (0: all is random).
        labels: the class of each picture, for models of classes; None takes the seeds modulo their number.
    """

    seeds: Sequence[int]
    size: tuple[int, int] | None = None
    start_scale: int = 0
    labels: Sequence[int] | None = None


@dataclass(frozen=True)
class InterpolateRequest:
    """A way through latent space from picture to picture.

    Attributes:
        seeds: the pictures to pass, two or more.
        steps: pictures from one of them to the next, the first counted.
        labels: the class at each of them, for models of classes; None takes the seeds modulo their number.
        spherical: along the arc rather than the chord (White 2016); for noise from a normal distribution.
    """

    seeds: Sequence[int]
    steps: int = 8
    labels: Sequence[int] | None = None
    spherical: bool = True


@dataclass(frozen=True)
class RefineRequest:
    """Finer pictures, drawn on top of coarse ones, by a model that draws level by level.

    Attributes:
        start: pictures of level `level`, (1 or n, C, side, side) in [-1, 1]; one alone stands below every draw.
        level: 0 is the coarsest.
        seeds: n of them, one draw each: of the noise of all levels above `level`.
        labels: the class of each draw, for models of classes; None takes the seeds modulo their number.
        to: the last level to draw; None is the finest.
    """

    start: Tensor
    level: int
    seeds: Sequence[int]
    labels: Sequence[int] | None = None
    to: int | None = None


@dataclass(frozen=True)
class AnimateRequest:
    """A walk through noise space (SinGAN, supplementary; ConSinGAN's evaluation).

    Attributes:
        frames: how many.
        alpha: pull to the reconstruction, in [0, 1].
        beta: smoothness of the walk, in [0, 1].
        start_scale: scales below it do not move.
        seed: of the walk.
        size: (height, width) of a frame, or None.
    """

    frames: int = 100
    alpha: float = 0.1
    beta: float = 0.9
    start_scale: int = 1
    seed: int = 0
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class InjectRequest:
    """A picture of the user's that the generator takes in at one of its scales, to repaint it in its own manner.

    Attributes:
        image: (1, 3, H, W) in [-1, 1], of the size of the model's `picture()`: a composite, an edit or a painting.
        start_scale: the scale that takes it in, one of the model's `injection_scales`. Coarser ones change more.
        seed: of the noise.
    """

    image: Tensor
    start_scale: int
    seed: int = 0


@dataclass(frozen=True)
class SuperResolveRequest:
    """Enlarge the picture trained on.

    Attributes:
        factor: of both sides, above 1; the result has int(factor * side) pixels a side.
        seed: of the noise.
    """

    factor: float = 4.0
    seed: int = 0


@runtime_checkable
class Animates(Protocol):
    """Can walk through its noise space."""

    @property
    def animation_scales(self) -> Sequence[int]:
        """What `start_scale` may be, coarsest first."""
        ...

    def animate(self, request: AnimateRequest) -> Iterator[Tensor]:
        """Yield frames (1, C, H, W) in [-1, 1]."""
        ...


@runtime_checkable
class Interpolates(Protocol):
    """Has a latent space that one can walk through in a straight line."""

    def interpolate(self, request: InterpolateRequest) -> Iterator[Tensor]:
        """Yield (len(seeds) - 1) * steps + 1 pictures (1, C, H, W) in [-1, 1], those of the seeds among them."""
        ...


@runtime_checkable
class Refines(Protocol):
    """Draws from coarse to fine, one level of a pyramid after the other; noise enters anew at each."""

    @property
    def level_sides(self) -> Sequence[int]:
        """Sides of the pictures of each level in pixels, coarsest first."""
        ...

    def reduced(self, images: Tensor, level: int) -> Tensor:
        """Square pictures (N, C, S, S) in [-1, 1], S not below the level's side, as `level` sees them."""
        ...

    def start(self, seeds: Sequence[int], level: int = 0, labels: Sequence[int] | None = None) -> Tensor:
        """What these seeds draw at `level`, (N, C, side, side) in [-1, 1]."""
        ...

    def refine(self, request: RefineRequest) -> list[Tensor]:
        """The pictures of every level from `request.level` (the start itself) to the last, (n, C, side, side) each."""
        ...


@runtime_checkable
class Injects(Protocol):
    """Takes in pictures of the user's; a base of the three capabilities below."""

    @property
    def injection_scales(self) -> Sequence[int]:
        """What `start_scale` of an InjectRequest may be, coarsest first."""
        ...

    def picture(self) -> Tensor:
        """The picture as trained on, (1, C, H, W) in [-1, 1]."""
        ...


@runtime_checkable
class Harmonizes(Injects, Protocol):
    """Can give an object pasted into its picture the picture's colours and strokes."""

    def harmonize(self, request: InjectRequest) -> Tensor:
        """The whole picture repainted, (1, C, H, W) in [-1, 1]; blending it in is the caller's."""
        ...


@runtime_checkable
class Edits(Injects, Protocol):
    """Can make a clumsy edit of its picture look natural."""

    def edit(self, request: InjectRequest) -> Tensor:
        """The whole picture repainted, (1, C, H, W) in [-1, 1]; blending it in is the caller's."""
        ...


@runtime_checkable
class Paints(Injects, Protocol):
    """Can turn a coarse painting into a picture like the one trained on."""

    def paint(self, request: InjectRequest) -> Tensor:
        """(1, C, H, W) in [-1, 1]."""
        ...


@runtime_checkable
class SuperResolves(Protocol):
    """Can enlarge its picture with detail of its own."""

    def super_resolve(self, request: SuperResolveRequest) -> Tensor:
        """(1, C, int(factor H), int(factor W)) in [-1, 1], where (H, W) is the size of `picture()`."""
        ...


@runtime_checkable
class Enlarges(Protocol):
    """Can enlarge any picture by its factor, with detail learnt from others."""

    @property
    def factor(self) -> int:
        """How many times longer each side becomes."""
        ...

    @property
    def reach(self) -> int:
        """How far from a pixel of the small picture lie, at most, those that what becomes of it depends on."""
        ...

    def enlarge(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to (N, 3, factor H, factor W), about in [-1, 1]."""
        ...


@runtime_checkable
class Translates(Protocol):
    """Makes a picture of one kind from any picture of another."""

    @property
    def translation(self) -> Translation:
        """What is taken and given."""
        ...

    def translate(self, images: Tensor, seeds: Sequence[int] = (), mode: TestMode = "paper") -> Tensor:
        """(N, C, H, W) in [-1, 1] to (N, C', H, W) in [-1, 1]; each picture as if it were alone.

        Args:
            images: of any size; C is 1 where `translation.takes` is "grey", else 3, and C' by `gives`.
            seeds: of each picture's noise, which is dropout; none: 0 for all. A seed gives the same whatever stands
                beside it.
            mode: see `TestMode`.
        """
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """Trains on one picture and has noise that gives that picture back."""

    def reconstruct(self) -> Tensor:
        """(1, C, H, W) in [-1, 1]."""
        ...

    def picture(self) -> Tensor:
        """The picture as trained on, (1, C, H, W) in [-1, 1]."""
        ...
