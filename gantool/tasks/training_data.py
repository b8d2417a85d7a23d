"""What a run trains on: one picture, or a set of them, opened as its family needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantool.data.batches import Batches
from gantool.data.image import load_picture
from gantool.data.labelled import open_labelled
from gantool.data.pair_set import PairSet
from gantool.data.pairs import open_pairs
from gantool.data.patches import PatchSet
from gantool.data.set_options import PairOptions, PatchOptions
from gantool.data.single_image import SingleImage
from gantool.data.training_set import TrainingSet
from gantool.engine.feed import Feed
from gantool.engine.trainer import Source
from gantool.engine.world import World, current_world
from gantool.errors import ConfigError, DataError, UsageError
from gantool.family import DataShape, FamilySpec
from gantool.settings import Settings

if TYPE_CHECKING:
    import torch

Data = SingleImage | Batches
Say = Callable[[str], None]


def open_data(
    spec: FamilySpec, config: Any, data: str | Path, background: str, seed: int, say: Say = lambda _: None
) -> Data:
    """The picture, or the set, that a family trains on.

    Raises:
        DataError: it cannot be used; or it has no classes, which the family needs.
    """
    if spec.data == "image":
        return SingleImage(load_picture(data, background=background))
    world = current_world() if shares_batches(config) else World()
    beside = current_world().size  # these share the memory and the cores, whatever they do
    how = {"seed": seed, "rank": world.rank, "world": world.size, "beside": beside, "say": say}
    if isinstance(config, PairOptions):
        pairs = open_pairs(data, target=config.target, part=config.part, background=background)
        return PairSet(pairs, config, background=background, **how)
    source = open_labelled(data, background=background)
    if isinstance(config, PatchOptions):
        return PatchSet(source, config, **how)
    opened = TrainingSet(source, config, **how)
    if spec.classes == "needed" and opened.shape.classes < 2:
        opened.close()
        if source.labels is not None and config.labels == "none":
            raise ConfigError(f"{spec.title} learns classes, and --labels none leaves them out.", "Drop --labels.")
        found = "one class" if opened.shape.classes else "no labels"
        raise DataError(
            f"{spec.title} learns classes, and {data} has {found}.",
            f"Put each class into a folder of its own, add dataset.json or a labels file; "
            f"`gantool data check {data}` says what there is.",
        )
    return opened


def shares_batches(config: Any) -> bool:
    """Whether several processes share each batch; where not, each of them trains pieces of the model."""
    return getattr(config, "share", "batches") == "batches"


def shape_of(spec: FamilySpec, data: Data) -> DataShape:
    """What the family's model is told of its data."""
    if isinstance(data, SingleImage):
        return data.shape
    shape = replace(data.shape, count=len(data))
    return replace(shape, classes=0) if spec.classes == "unused" else shape


def feed(spec: FamilySpec, data: Data, device: torch.device) -> Source:
    """The data as the trainer takes it."""
    return data if isinstance(data, SingleImage) else Feed(data, device, labels=spec.classes != "unused")


def check_settings(spec: FamilySpec, settings: Settings, config: Any) -> None:
    """Raises UsageError where the run is to be carried out as this family cannot be."""
    if spec.data == "set" and not shares_batches(config):
        if settings.devices > 1 and not config.pieces():
            raise UsageError("There is no level to train, and so nothing for several processes.", "Drop --devices.")
        return
    if spec.data == "set":
        devices, parts = max(settings.devices, current_world().size), getattr(config, "accumulate", 1)
        if config.batch % (devices * parts):
            cut = f", in {parts} parts each" if parts > 1 else ""
            factor = f"{devices * parts}" + (" (--accumulate times --devices)" if parts > 1 else "")
            raise UsageError(
                f"A batch of {config.batch} cannot be shared equally by {devices} devices{cut}.",
                f"Choose --batch as a multiple of {factor}, or fewer --devices.",
            )
        return
    for name, flag, why in (
        ("devices", "--devices", "trains one picture in one process; torchrun shares many pictures among several"),
        ("precision", "--precision", "trains in fp32, for its penalties bear nothing less"),
        ("compile", "--compile", "changes its networks as it grows, and each would be compiled anew"),
        ("preview_every", "--preview-every", "draws its samples at the end of each stage"),
    ):
        if getattr(settings, name) != getattr(Settings(), name):
            raise ConfigError(f"{spec.title} {why}.", f"Leave {flag} out.")
