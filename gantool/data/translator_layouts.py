"""How the PyTorch port of pix2pix (junyanz/pytorch-CycleGAN-and-pix2pix) names what its networks hold."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from gantool.nn.patchgan import PatchGAN
from gantool.nn.resnet_translator import ResNetTranslator
from gantool.nn.translator import Translator
from gantool.nn.unet import UNet


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
