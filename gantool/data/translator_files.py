"""Networks that translate pictures in files: those of the PyTorch port of pix2pix and CycleGAN, and our own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from gantool.data.network_files import METADATA, Unfit, bare, content_of, described, filled, listed, save_network
from gantool.data.state_dicts import checked
from gantool.data.translator_layouts import DEEPEST, GENERATORS, JUDGE, SUPPORTED, Layout, kind_of, renamed
from gantool.errors import DataError
from gantool.family import Translation
from gantool.nn.patchgan import PatchGAN
from gantool.nn.resnet_translator import ResNetTranslator
from gantool.nn.translator import Translator
from gantool.nn.unet import UNet

NETWORKS: dict[str, type[Translator]] = {kind.__name__: kind for kind in (UNet, ResNetTranslator)}
WORDS = {
    "norm": ("batch", "instance", "none"),
    "dropped": ("first", "middle"),
    "upsample": ("transposed", "resize"),
}
SIDE = 256  # pixels, of the pictures that the port's networks are trained on unless they are built for others
LEAST = 64  # networks that halve sides until such a picture is one pixel, or larger, are built for it
Say = Callable[[str], None]


def read_translator(path: Path, say: Say = lambda _: None) -> Translator:
    """The network whose weights a file holds, in evaluation mode, float32 on the CPU.

    Recognised by names and shapes of the weights, whatever the file is called: a U-Net of any depth or a residual
    generator of any number of blocks, of any width and channels; and files of `save_translator`. Whether a U-Net was
    trained with dropout is in no weight: it is taken to drop as the port's does. Nothing in the file is executed.

    Args:
        path: the file.
        say: is told what was left out.

    Raises:
        DataError: missing, unreadable or damaged; weights that are not finite; weights of another network, which
            the sentence describes; or only some of the weights of a known one.
    """
    content, description = content_of(path, SUPPORTED)
    if description:
        return described(path, content, description, NETWORKS, "translate pictures", _sane)
    weights = checked(path, bare(content))
    layout = next((layout for layout in GENERATORS if layout.fits(weights)), None)
    if layout is None:
        raise _unknown(path, weights)
    network = _of_layout(path, weights, layout, say)
    assert isinstance(network, Translator)
    return network


def holds_translator(path: Path) -> bool:
    """Whether `read_translator` is the one to read a file, or to say what is wrong with it.

    Raises:
        DataError: it is no file of weights.
    """
    content, description = content_of(path, SUPPORTED)
    if description:
        return any(f'"{name}"' in description for name in NETWORKS)
    weights = bare(content)
    return any(layout.fits(weights) for layout in GENERATORS) or (JUDGE.fits(weights) and not kind_of(weights))


def read_judge(path: Path, say: Say = lambda _: None) -> PatchGAN:
    """The discriminator whose weights a file of the port holds (latest_net_D.pth); as `read_translator`."""
    content, _ = content_of(path, SUPPORTED)
    weights = checked(path, bare(content))
    if not JUDGE.fits(weights) or any(layout.fits(weights) for layout in GENERATORS):
        raise DataError(f"{path} is no discriminator of the PyTorch port: {listed(weights)}.", SUPPORTED)
    network = _of_layout(path, weights, JUDGE, say)
    assert isinstance(network, PatchGAN)
    return network


def save_translator(
    network: Translator, path: Path, translation: Translation | None = None, *, overwrite: bool = False
) -> None:
    """Write a file that `read_translator` reads, whole or not at all.

    Args:
        network: its class is one of `NETWORKS`.
        path: the file.
        translation: what pictures it takes and gives, for `translation_in`.
        overwrite: whether a file that exists may be replaced.

    Raises:
        RunError: `path` exists and may not be overwritten, or cannot be written.
        ValueError: a weight is not finite, or the network was changed since it was built.
    """
    told = {} if translation is None else {"translation": asdict(translation)}
    save_network(network, network.options, path, told, overwrite=overwrite)


def pictures_of(path: Path, network: Translator) -> Translation:
    """What pictures the network of a file takes and gives.

    Where the file does not say it, channels and the depth of a U-Net tell it, or what the port does by default.

    Raises:
        DataError: pictures that are neither grey nor RGB; or the file says what no version of this program wrote.
    """
    for channels, verb in ((network.inputs, "takes"), (network.outputs, "gives")):
        if channels not in (1, 3):
            raise DataError(f"{path} {verb} pictures of {channels} channels.", "Only grey and RGB are translated.")
    takes, gives = ("grey" if channels == 1 else "rgb" for channels in (network.inputs, network.outputs))
    side = network.multiple if network.multiple >= LEAST else SIDE
    told = translation_in(path)
    if told is None:
        return Translation(takes, gives, (side, side))  # type: ignore[arg-type]
    if (told.takes == "grey", told.gives == "grey") != (takes == "grey", gives == "grey"):
        raise DataError(f"{path} says of its pictures what its weights do not.", "Save it again, or copy it again.")
    return told


def translation_in(path: Path) -> Translation | None:
    """What pictures the network of a file takes and gives; None where it does not say it.

    Raises:
        DataError: it says something that no version of this program wrote.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(METADATA, "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError):
        return None
    if not isinstance(about, dict) or "translation" not in about:
        return None
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Translation).validate_python(about["translation"])
    except ValidationError as error:
        raise DataError(
            f"{path} does not say in the words of this version what pictures it takes.",
            "Save it again, or update this program.",
        ) from error


def _sane(options: Mapping[str, Any], tensors: int) -> bool:
    """See `described`."""
    numbers = [value for name, value in options.items() if name not in (*WORDS, "dropout")]
    return (
        all(type(value) is int and value > 0 for value in numbers)
        and all(options[name] in words for name, words in WORDS.items() if name in options)
        and 0 <= options["dropout"] < 1
        and options.get("blocks", 0) <= tensors
        and 2 <= options.get("layers", 2) <= DEEPEST
    )


def _of_layout(path: Path, weights: Mapping[str, Tensor], layout: Layout, say: Say) -> Translator | PatchGAN:
    """The network of a file of that layout."""
    try:
        found = renamed(layout, weights)
        network = filled(found.make, found.weights, found.theirs)
    except Unfit as error:
        raise DataError(f"{path} looks like {layout.title}, but {error}.", SUPPORTED) from error
    if found.stale:
        say(f"{path} holds statistics of instance norm, as early files do: they are of no use, and are left out.")
    return network


def _unknown(path: Path, weights: Mapping[str, Tensor]) -> DataError:
    """Weights of another network, described."""
    if {"down.0.0.weight", "last.1.weight"} & weights.keys() and "down.1.0.weight" in weights:
        return DataError(
            f"{path} holds a network of this program without its description.",
            "Give the run that trained it, or the file that `gantool export` makes of that.",
        )
    kind = kind_of(weights)
    if not kind and JUDGE.fits(weights):
        return DataError(f"{path} seems to hold a discriminator of pix2pix.", "Give the generator's, latest_net_G.pth.")
    what = f"seems to be {kind}, not a" if kind else "holds no known"
    return DataError(f"{path} {what} network that translates pictures: {listed(weights)}.", SUPPORTED)
