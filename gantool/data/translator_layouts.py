"""How the PyTorch port of pix2pix (junyanz/pytorch-CycleGAN-and-pix2pix) names what its networks hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gantool.data import enlarger_layouts
from gantool.data.network_files import Unfit, kind_among
from gantool.data.state_dicts import COUNTER
from gantool.nn.patchgan import PatchGAN
from gantool.nn.resnet_translator import HALVINGS, ResNetTranslator
from gantool.nn.sides import PATCHES
from gantool.nn.translator import Translator
from gantool.nn.unet import UNet

SUPPORTED = (
    "Read are the generators of the PyTorch port of pix2pix and CycleGAN (latest_net_G.pth: unet_128, unet_256, "
    "resnet_6blocks, resnet_9blocks), and what this program saved."
)
DEEPEST = 10  # layers of a U-Net that are read: one of more would take no picture below 2048 pixels
STATISTICS = ("running_mean", "running_var", COUNTER)


@dataclass(frozen=True)
class Layout:
    """Weights of one kind of the port's networks.

    Attributes:
        title: as shown to the user.
        network: the class of ours.
        mark: pattern; files that have a name for it are of this layout.
        told: what to give the class, but for the kind of norms, from weights by the port's names. Raises Unfit, and
            KeyError or IndexError where weights are missing or of other shapes.
    """

    title: str
    network: type[Translator] | type[PatchGAN]
    mark: str
    told: Callable[[Mapping[str, Tensor]], dict[str, Any]]

    def fits(self, weights: Mapping[str, Tensor]) -> bool:
        """Whether a file of these weights is of this layout."""
        return any(re.fullmatch(self.mark, name) for name in weights)


@dataclass(frozen=True)
class Renamed:
    """Weights of the port, as ours.

    Attributes:
        make: builds our network for them.
        weights: by our names; what has no place there keeps the port's name.
        theirs: the port's name of each, and of those that are missing.
        stale: whether there were statistics of instance norm, which are left out.
    """

    make: Callable[[], Translator | PatchGAN]
    weights: Mapping[str, Tensor]
    theirs: Mapping[str, str]
    stale: bool


def renamed(layout: Layout, weights: Mapping[str, Tensor]) -> Renamed:
    """Weights of that layout under our names. Raises Unfit."""
    try:
        told = layout.told(weights)
        with torch.device("meta"):
            normed = layout.network(**told, norm="batch")
    except KeyError as error:
        raise Unfit(f"it lacks {error.args[0]}") from error
    except (IndexError, RuntimeError) as error:
        raise Unfit("the shapes of its weights do not fit together") from error
    modules = port_modules(normed, dropout=bool(told.get("dropout", True)))
    norms = {modules[name] for name, module in normed.named_modules() if isinstance(module, nn.BatchNorm2d)}
    unbiased = {name for place, name in modules.items() if normed.get_submodule(place).bias is None}
    norm = _norm(norms, unbiased, weights)

    def make() -> Translator | PatchGAN:
        return layout.network(**told, norm=norm)

    with torch.device("meta"):
        expected = make().state_dict()
    theirs = {name: f"{modules[place]}.{part}" for name in expected for place, _, part in [name.rpartition(".")]}
    ours = {name: weights[original] for name, original in theirs.items() if original in weights}
    if norm == "none":  # there the port's convolutions have no biases, but for some
        nothing = {f"{place}.bias" for place, original in modules.items() if original in unbiased}
        ours |= {name: torch.zeros(expected[name].shape, device="cpu") for name in nothing}
    stale = {f"{place}.{part}" for place in norms for part in STATISTICS} if norm == "instance" else set()
    surplus = {name: weights[name] for name in weights.keys() - stale - set(theirs.values())}
    if surplus.keys() & ours.keys():
        raise Unfit("it has some weights twice")
    return Renamed(make, ours | surplus, theirs | {name: name for name in surplus}, bool(stale & weights.keys()))


def _norm(norms: set[str], unbiased: set[str], weights: Mapping[str, Tensor]) -> str:
    """The kind of norms, told by what they hold, and by biases of convolutions that only instance norm follows.

    Args:
        norms: the port's names of the norms.
        unbiased: those of the convolutions that have no bias beside batch norm.
        weights: by the port's names.
    """
    gains = [name for name in norms if f"{name}.weight" in weights]
    if any(f"{name}.running_mean" in weights for name in gains):
        return "batch"
    if gains:
        raise Unfit("its norms have gains but no statistics (instance norm with weights), which the port's have not")
    return "instance" if any(f"{name}.bias" in weights for name in unbiased) else "none"


def port_modules(network: Translator | PatchGAN, *, dropout: bool = True) -> dict[str, str]:
    """For each of our modules that has parameters or statistics, the port's name of it: {"down.0.0": "model.model.0"}.

    Args:
        network: one of ours, with transposed convolutions.
        dropout: whether the port's residual network was built with dropout, which shifts its numbers.
    """
    if isinstance(network, UNet):
        theirs = _unet(len(network.widths))
    elif isinstance(network, ResNetTranslator):
        theirs = _resnet(len(network.blocks), dropout)
    else:
        assert isinstance(network, PatchGAN)
        pixel = network.layers[0].kernel_size == (1, 1)
        theirs = {f"layers.{i}": f"{'net' if pixel else 'model'}.{i}" for i in range(len(network.layers))}
    held = {name for name, module in network.named_modules() if _holds(module)}
    return {ours: name for ours, name in theirs.items() if ours in held}


def _holds(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d | nn.InstanceNorm2d)


def _unet(layers: int) -> dict[str, str]:
    """Blocks lie in one another, and each holds its layer of the encoder, the next block, and its layer of the decoder.

    The outermost begins with its convolution, the others with an activation; the innermost has no norm on its way in.
    """
    names: dict[str, str] = {}
    inside = "model.model."
    for depth in range(layers):
        way_up, last = layers - 1 - depth, depth == layers - 1
        if depth == 0:
            down, up, block = ["0"], ["3"], "1"
        elif last:
            down, up, block = ["1"], ["3", "4"], ""
        else:
            down, up, block = ["1", "2"], ["5", "6"], "3"
        names |= {f"down.{depth}.{i}": inside + number for i, number in enumerate(down)}
        names |= {f"up.{way_up}.{i}": inside + number for i, number in enumerate(up)}
        inside += f"{block}.model."
    return names


def _resnet(blocks: int, dropout: bool) -> dict[str, str]:
    """One sequence, in which each block has a sequence of its own."""

    def sequence() -> Iterator[tuple[str, str]]:
        yield from (("first.1", "1"), ("first.2", "2"))
        place = 4
        for number in range(2):
            yield from ((f"down.{number}.0", f"{place}"), (f"down.{number}.1", f"{place + 1}"))
            place += 3
        second = 6 if dropout else 5
        for number in range(blocks):
            for ours, theirs in (("one.1", 1), ("one.2", 2), ("two.1", second), ("two.2", second + 1)):
                yield f"blocks.{number}.{ours}", f"{place}.conv_block.{theirs}"
            place += 1
        for number in range(2):
            yield from ((f"up.{number}.0", f"{place}"), (f"up.{number}.1", f"{place + 1}"))
            place += 3
        yield "last.1", f"{place + 1}"

    return {ours: f"model.{theirs}" for ours, theirs in sequence()}


NESTED = re.compile(r"model\.model\.1\.model\.((?:3\.model\.)*)")
BLOCK = re.compile(r"model\.(\d{1,4})\.conv_block\.")


def _unet_told(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Where it drops is in no weight: as the port does."""
    depths = [len(found[1]) // len("3.model.") for name in weights if (found := NESTED.match(name))]
    layers = 2 + max(depths)
    if layers > DEEPEST:
        raise Unfit(f"it has {layers} layers on its way down, and no more than {DEEPEST} are read")
    first, last = weights["model.model.0.weight"], weights["model.model.3.weight"]
    return {"inputs": first.shape[1], "outputs": last.shape[1], "layers": layers, "width": first.shape[0]}


def _resnet_told(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The second convolution of a block is at 6 behind dropout, else at 5, and its norm at 6."""
    blocks = {int(found[1]) for name in weights if (found := BLOCK.match(name))}
    begin, place = min(blocks), 4 + 3 * HALVINGS
    if begin != place:
        whose = ", as those of pix2pixHD's global generator" if begin == place + 6 else ""
        raise Unfit(f"its blocks begin at model.{begin}{whose}, not at model.{place}")
    first = weights["model.1.weight"]
    last = weights[f"model.{place + len(blocks) + 3 * HALVINGS + 1}.weight"]
    second = weights.get(f"model.{place}.conv_block.6.weight")
    return {
        "inputs": first.shape[1],
        "outputs": last.shape[0],
        "blocks": len(blocks),
        "width": first.shape[0],
        "dropout": 0.5 if second is not None and second.ndim == 4 else 0.0,
    }


def _judge_told(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Convolutions of stride 2 are all but two; those of a pixel's judge are of 1x1."""
    convolutions = [v for name, v in weights.items() if re.fullmatch(r"model\.\d+\.weight", name) and v.ndim == 4]
    if not convolutions:
        first, patch = weights["net.0.weight"], 1
    else:
        first, strided = weights["model.0.weight"], len(convolutions) - 2
        patches = {layers: patch for patch, layers in PATCHES.items() if layers}
        if strided not in patches:
            raise Unfit(f"it has {len(convolutions)} convolutions, not {min(patches) + 2} to {max(patches) + 2}")
        patch = patches[strided]
    return {"inputs": first.shape[1], "patch": patch, "width": first.shape[0]}


GENERATORS = (
    Layout("a U-Net of the PyTorch port", UNet, NESTED.pattern + ".*", _unet_told),
    Layout("a residual generator of the PyTorch port", ResNetTranslator, BLOCK.pattern + ".*", _resnet_told),
)
JUDGE = Layout("a discriminator of the PyTorch port", PatchGAN, r"(model|net)\.0\.weight", _judge_told)

# What files of weights hold that are taken for those of a generator; the first that fits is named.
KINDS = (
    (r"scale\d_layer\d\..*|layer0\.0\.weight", "a discriminator of pix2pixHD"),
    (r"model1_1\..*", "pix2pixHD's local enhancer"),
    (r".*\.filt", "a network of CUT, which blurs before it halves"),
    (r"main\.\d+\.weight", "a DCGAN"),
)


def kind_of(weights: Mapping[str, Tensor]) -> str:
    """What a file of these weights seems to hold; "" where one cannot tell."""
    names = list(weights)
    if any(layout.fits(names) for layout in enlarger_layouts.LAYOUTS):
        return "a network that enlarges pictures, as `gantool superres` uses it"
    return kind_among(KINDS, names) or enlarger_layouts.kind_of(names)
