"""Models that the PyTorch port of pix2pix (or CycleGAN's, which is the same code) trained, read as models of ours.

checkpoints/NAME/latest_net_G.pth   the generator's state_dict; latest_net_D.pth next to it, if it is there, the
                                    discriminator's; train_opt.txt what it was trained with
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from gantool.data.imported import Imported
from gantool.data.state_dicts import two_players
from gantool.data.translator_files import pictures_of, read_judge, read_translator, translation_in
from gantool.errors import ConfigError, DataError
from gantool.families.pix2pix.config import PRESETS, Pix2PixConfig
from gantool.family import DataShape, Translation
from gantool.nn.sides import least_side
from gantool.nn.translator import Translator
from gantool.nn.unet import UNet
from gantool.options import resolve

PRESET = "port"
GENERATOR, DISCRIMINATOR = "_net_G", "_net_D"
OPTIONS = ("train_opt.txt", "opt.txt", "test_opt.txt")  # the port's names of them, then and now
LARGEST = 1 << 20  # bytes of such a file that are read
LINE = re.compile(r"\s*(\w+): (.*?)\s*(?:\[default: .*\])?\s*$")
MARGIN = 286 / 256  # of what is cropped from


def _switched(value: str) -> bool:
    return {"True": True, "False": False}[value]


# The port's names of options, of all years: what they are called here, and what their words become.
TOLD: dict[str, tuple[str, Callable[[str], Any]]] = {
    "crop_size": ("size", int),
    "fineSize": ("size", int),
    "load_size": ("load_size", int),
    "loadSize": ("load_size", int),
    "direction": ("direction", str),
    "which_direction": ("direction", str),
    "preprocess": ("preprocess", str),
    "resize_or_crop": ("preprocess", str),
    "no_flip": ("flip", lambda value: not _switched(value)),
    "batch_size": ("batch", int),
    "batchSize": ("batch", int),
    "gan_mode": ("loss", lambda value: {"vanilla": "bce", "lsgan": "lsgan", "wgangp": "wasserstein"}[value]),
    "no_lsgan": ("loss", lambda value: "bce" if _switched(value) else "lsgan"),
    "lambda_L1": ("l1", float),
    "n_epochs": ("epochs", float),
    "niter": ("epochs", float),
    "n_epochs_decay": ("decay_epochs", float),
    "niter_decay": ("decay_epochs", float),
    "lr": ("lr", float),
    "beta1": ("beta1", float),
    "no_dropout": ("dropout", lambda value: 0.0 if _switched(value) else 0.5),
}


def read_official(path: Path) -> Imported:
    """Read a generator's file, the discriminator's and the options next to it; or the last ones of a folder.

    Nothing in the files is executed. What neither weights nor options tell is taken to be as in the port.

    Raises:
        DataError: a file is missing, damaged, no plain weights, or of another architecture.
    """
    file = _generator_in(path) if path.is_dir() else path
    notes: list[str] = []
    network = read_translator(file, notes.append)
    pictures, (source, told) = pictures_of(file, network), _options_beside(file)
    judged, tensors, missing = two_players(
        file,
        {file.name: file.name.replace(GENERATOR, DISCRIMINATOR, 1)} if GENERATOR in file.name else {},
        network.state_dict(),
        lambda beside: _judge(beside, network, notes.append),
    )
    values = _values(network, pictures, judged, told)
    return Imported(
        (file.resolve().parent.name if GENERATOR in file.name else "") or file.stem,
        values,
        None,
        tensors,
        ("discriminator.", "given", "truth"),
        (_about(values), *notes, *missing, _said_of(source, told, network, translation_in(file) is not None)),
        PRESET,
        _shape(network, pictures, values),
        file,
    )


def _generator_in(folder: Path) -> Path:
    """The generator that was saved last. Raises DataError where there is none, or more than one."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(f"{GENERATOR}.pth"))
    if f"latest{GENERATOR}.pth" in names:
        return folder / f"latest{GENERATOR}.pth"
    epochs = [(int(found[1]), name) for name in names if (found := re.fullmatch(rf"(\d{{1,9}}){GENERATOR}\.pth", name))]
    if epochs:
        return folder / max(epochs)[1]
    others = sorted(str(other) for other in (*folder.glob(f"*{GENERATOR}*.pth"), *folder.glob(f"*/latest{GENERATOR}*")))
    raise DataError(
        f"{folder} has no latest{GENERATOR}.pth.",
        f"Did you mean {' or '.join(others[:4])}?" if others else "Name the generator's file.",
    )


def _judge(path: Path, network: Translator, say: Callable[[str], None]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The options that the discriminator's weights tell, and these. Raises DataError where it does not fit."""
    judge = read_judge(path, say)
    told, norm = judge.options, network.options["norm"]
    conditional = {network.inputs + network.outputs: True, network.outputs: False}.get(int(told["inputs"]))
    if conditional is None:
        raise DataError(f"{path} judges pictures of {told['inputs']} channels.", "Take the generator's own.")
    if told["norm"] != norm:
        raise DataError(f"{path} has norms {told['norm']}, and the generator {norm}.", "Take the generator's own.")
    found = {"patch": told["patch"], "width_d": told["width"], "conditional": conditional}
    return found, judge.state_dict()


def _options_beside(file: Path) -> tuple[str, dict[str, Any]]:
    """The name of the port's file of options next to a generator, and those that are known here, by our names."""
    for name in OPTIONS:
        try:
            with file.with_name(name).open(encoding="utf-8", errors="replace") as text:
                lines = text.read(LARGEST).splitlines()
        except OSError:
            continue
        told = {}
        for line in lines:
            found = LINE.match(line)
            if found and found[1] in TOLD:
                ours, read = TOLD[found[1]]
                with contextlib.suppress(ValueError, KeyError):
                    told[ours] = read(found[2])
        return name, told
    return "", {}


def _values(
    network: Translator, pictures: Translation, judged: Mapping[str, Any], told: Mapping[str, Any]
) -> dict[str, Any]:
    """Our options: what weights tell, and of what was told beside them all that holds together."""
    known, unet = network.options, isinstance(network, UNet)
    own = ("layers", "dropped") if unet else ("blocks",)
    values = {
        "arch": "unet" if unet else "resnet",
        "width_g": known["width"],
        **{name: known[name] for name in (*own, "norm", "dropout", "upsample")},
        "input_kind": pictures.takes,
        "output_kind": pictures.gives,
        "bits": pictures.bits,
        **judged,
    }
    least = least_side(judged.get("patch", Pix2PixConfig.patch))

    def sizes(side: int, load: int | None = None) -> dict[str, Any]:
        side = max(least, side)
        return {"size": side, "load_size": load or round(side * MARGIN)}

    values |= sizes(min(pictures.size))
    groups = [sizes(told.get("size", values["size"]), told.get("load_size"))]
    groups += [{name: value} for name, value in told.items() if name not in ("size", "load_size", "lr", "dropout")]
    if "lr" in told:
        groups.append({"lr_g": told["lr"], "lr_d": told["lr"]})
    if unet and "dropout" in told:
        groups.append({"dropout": told["dropout"]})
    for group in groups:
        with contextlib.suppress(ConfigError):
            resolve(Pix2PixConfig, (PRESET, PRESETS[PRESET].values), ("", values | group))
            values |= group
    return values


def _shape(network: Translator, pictures: Translation, values: Mapping[str, Any]) -> DataShape:
    """What the model is told of its pictures; see `gantool.data.pair_set.PairSet.translation`."""
    side, preprocess = values["size"], values.get("preprocess", Pix2PixConfig.preprocess)
    if preprocess.startswith("scale_width"):
        pictures = replace(pictures, size=(side, values["load_size"]), fit="width")
    elif preprocess != Pix2PixConfig.preprocess:
        pictures = replace(pictures, size=(side, side), fit="none")
    elif side != min(pictures.size):
        pictures = replace(pictures, size=(side, side))
    return DataShape(side, side, network.outputs, given=network.inputs, translation=pictures)


def _about(values: Mapping[str, Any]) -> str:
    depth = f"{values['layers']} layers each way" if "layers" in values else f"{values['blocks']} blocks"
    kind = "U-Net" if values["arch"] == "unet" else "residual network"
    way = f"from {values['input_kind']} to {values['output_kind']}"
    return f"A {kind} of {depth}, {way}, for pictures of {values['size']} pixels."


def _said_of(source: str, told: Mapping[str, Any], network: Translator, own: bool) -> str:
    """Where options came from, and what is assumed; a file of this program's own tells more by itself."""
    what = [name for name in ("direction", *(() if own else ("size",)), "lr") if name not in told]
    what += ["dropout"] if isinstance(network, UNet) and not own and "dropout" not in told else []
    found = f"{source} next to it was read." if source else "There are no options next to it."
    return f"{found} As the port has them by default: {', '.join(what)}." if what else found
