"""How other programs name the weights of networks that enlarge pictures, and what the weights tell of the network."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gantool.data.network_files import Unfit, kind_among
from gantool.nn import srresnet
from gantool.nn.enlarger import Enlarger
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.rrdb import RRDBNet
from gantool.nn.srresnet import SRResNet

if TYPE_CHECKING:
    from torch import Tensor

Options = dict[str, int | str | bool]
Names = dict[str, str]

SUPPORTED = (
    "Read are the generators of leftthomas/SRGAN, Lornatang/SRGAN-PyTorch, ESRGAN, BasicSR and Real-ESRGAN "
    "(SRResNet, MSRResNet, RRDBNet), and what this program saved."
)
PART = r"(weight|bias|running_mean|running_var|num_batches_tracked)"


@dataclass(frozen=True)
class Layout:
    """The names that one program gives the weights of one network.

    Attributes:
        title: whose, as shown to the user.
        network: the class of ours.
        marks: patterns; files that have a name for each of them are of this layout.
        names: patterns of their names, and what they are called here.
        fixed: options that the weights do not tell.
        ordered: applied to all names before `names`, for what only their order tells.
    """

    title: str
    network: type[Enlarger]
    marks: tuple[str, ...]
    names: tuple[tuple[str, str], ...]
    fixed: Mapping[str, str] = field(default_factory=dict)
    ordered: Callable[[list[str]], Names] | None = None

    def fits(self, names: list[str]) -> bool:
        """Whether a file with these names is of this layout."""
        return all(any(re.fullmatch(mark, name) for name in names) for mark in self.marks)

    def ours(self, names: list[str]) -> Names:
        """Their name of each to ours. Raises Unfit for one that it does not have."""
        ordered = self.ordered(names) if self.ordered else {name: name for name in names}
        ours = {name: self._one(name, between) for name, between in ordered.items()}
        if len(set(ours.values())) < len(ours):
            raise Unfit("it has some weights twice")
        return ours

    def _one(self, name: str, between: str) -> str:
        for pattern, replacement in self.names:
            found = re.fullmatch(pattern, between)
            if found:
                return found.expand(replacement)
        raise Unfit(f"it also has {name}, which that network has not")


def _leftthomas(names: list[str]) -> Names:
    """Its blocks are counted through: the last one enlarges, the one before ends the trunk, two and on are residual."""
    last = max(int(found[1]) for name in names if (found := re.match(r"block(\d+)\.", name)))

    def renamed(found: re.Match[str]) -> str:
        number = int(found[1])
        special = {1: "head.", last - 1: "trunk.", last: "stages."}
        return special.get(number, f"blocks.{number - 2}.")

    return {name: re.sub(r"^block(\d+)\.", renamed, name) for name in names}


def _sequence(names: list[str]) -> Names:
    """ESRGAN's first code: layers after the trunk are numbered among activations; the last two end the network."""
    found = {int(n[1]) for name in names if (n := re.fullmatch(r"model\.(\d+)\.(?:weight|bias)", name))}
    numbers = sorted(found - {0})
    titles = [f"conv_up{number}" for number in range(1, len(numbers) - 1)] + ["conv_hr", "conv_last"]
    titles = titles if len(numbers) > 1 else []
    given = {f"model.{number}.": f"{title}." for number, title in zip(numbers, titles, strict=False)}
    given["model.0."] = "conv_first."
    return {name: next((n + name[len(o) :] for o, n in given.items() if name.startswith(o)), name) for name in names}


ENDS = r"((?:conv_first|conv_body|conv_up\d|conv_hr|conv_last|upconv\d)\.(?:weight|bias))"
RDB = r"RDB([123])\.conv([1-5])"

LAYOUTS = (
    Layout(
        "leftthomas/SRGAN's generator",
        SRResNet,
        (r"block1\.0\.weight", r"block2\.conv1\.weight"),
        (
            (rf"head\.([01])\.{PART}", r"head.\1.\2"),
            (rf"blocks\.(\d+)\.(conv[12]|prelu)\.{PART}", r"blocks.\1.\2.\3"),
            (rf"blocks\.(\d+)\.bn([12])\.{PART}", r"blocks.\1.norm\2.\3"),
            (rf"trunk\.([01])\.{PART}", r"trunk.\1.\2"),
            (rf"stages\.(\d+)\.conv\.{PART}", r"stages.\1.0.\2"),
            (rf"stages\.(\d+)\.prelu\.{PART}", r"stages.\1.2.\2"),
            (rf"stages\.\d+\.{PART}", r"tail.\1"),
        ),
        {"last": "tanh"},
        _leftthomas,
    ),
    Layout(
        "Lornatang/SRGAN-PyTorch's generator",
        SRResNet,
        (r"conv(_block)?1\.0\.weight", r"trunk\.\d+\.rcb\.0\.weight"),
        (
            (rf"conv(?:_block)?1\.([01])\.{PART}", r"head.\1.\2"),
            (rf"trunk\.(\d+)\.rcb\.0\.{PART}", r"blocks.\1.conv1.\2"),
            (rf"trunk\.(\d+)\.rcb\.1\.{PART}", r"blocks.\1.norm1.\2"),
            (rf"trunk\.(\d+)\.rcb\.2\.{PART}", r"blocks.\1.prelu.\2"),
            (rf"trunk\.(\d+)\.rcb\.3\.{PART}", r"blocks.\1.conv2.\2"),
            (rf"trunk\.(\d+)\.rcb\.4\.{PART}", r"blocks.\1.norm2.\2"),
            (rf"conv(?:_block)?2\.([01])\.{PART}", r"trunk.\1.\2"),
            (rf"upsampling\.(\d+)\.upsample_block\.([02])\.{PART}", r"stages.\1.\2.\3"),
            (rf"conv(?:_block)?3\.{PART}", r"tail.\1"),
        ),
        {"last": "linear"},
    ),
    Layout(
        "RRDBNet (BasicSR, Real-ESRGAN)",
        RRDBNet,
        (r"conv_first\.weight", r"body\.\d+\.rdb1\.conv1\.weight"),
        ((ENDS, r"\1"), (rf"(body\.\d+\.rdb[123]\.conv[1-5]\.{PART})", r"\1")),
    ),
    Layout(
        "RRDBNet (ESRGAN)",
        RRDBNet,
        (r"conv_first\.weight", rf"RRDB_trunk\.\d+\.{RDB}\.weight"),
        (
            (rf"(conv_first|conv_last)\.{PART}", r"\1.\2"),
            (rf"RRDB_trunk\.(\d+)\.{RDB}\.{PART}", r"body.\1.rdb\2.conv\3.\4"),
            (rf"trunk_conv\.{PART}", r"conv_body.\1"),
            (rf"upconv(\d)\.{PART}", r"conv_up\1.\2"),
            (rf"HRconv\.{PART}", r"conv_hr.\1"),
        ),
    ),
    Layout(
        "RRDBNet (ESRGAN's first code)",
        RRDBNet,
        (r"model\.0\.weight", rf"model\.1\.sub\.\d+\.{RDB}\.0\.weight"),
        (
            (ENDS, r"\1"),
            (rf"model\.1\.sub\.(\d+)\.{RDB}\.0\.{PART}", r"body.\1.rdb\2.conv\3.\4"),
            (rf"model\.1\.sub\.\d+\.{PART}", r"conv_body.\1"),
        ),
        ordered=_sequence,
    ),
    Layout(
        "MSRResNet (BasicSR)",
        MSRResNet,
        (r"conv_first\.weight", r"(body|recon_trunk|trunk_net)\.\d+\.conv1\.weight", r"upconv1.*|upsample1.*"),
        (
            (rf"(conv_first|conv_hr|conv_last|upconv\d)\.{PART}", r"\1.\2"),
            (rf"HRconv\.{PART}", r"conv_hr.\1"),
            (rf"(?:body|recon_trunk|trunk_net)\.(\d+)\.(conv[12])\.{PART}", r"body.\1.\2.\3"),
            (rf"upsample(\d)\.upsample_conv\.{PART}", r"upconv\1.\2"),
        ),
    ),
)


def options_of(network: type[Enlarger], weights: Mapping[str, Tensor]) -> Options:
    """What to give the class for a network of these weights, as far as they tell. Raises Unfit, and KeyError."""
    found = {SRResNet: _srresnet, MSRResNet: _msrresnet, RRDBNet: _rrdbnet}[network]
    return found(weights)


def _srresnet(weights: Mapping[str, Tensor]) -> Options:
    channels = weights["head.0.weight"].shape[0]
    stages = tuple(_stage(weights[f"stages.{k}.0.weight"], channels) for k in range(_count("stages", weights)))
    _check_channels(weights["head.0.weight"], weights["tail.weight"])
    factors = {steps: factor for factor, steps in srresnet.STAGES.items()}
    if stages not in factors:
        raise Unfit(f"it enlarges by {' x '.join(map(str, stages)) or 1}, not by {_or(srresnet.STAGES)}")
    end = "norm" if "trunk.1.running_mean" in weights else "prelu" if "trunk.1.weight" in weights else "none"
    return {
        "factor": factors[stages],
        "channels": channels,
        "blocks": _count("blocks", weights),
        "norm": "batch" if "blocks.0.norm1.running_mean" in weights else "none",
        "slopes": "layer" if weights["head.1.weight"].numel() == 1 else "channel",
        "trunk_end": end,
        "bias": "blocks.0.conv1.bias" in weights,
    }


def _msrresnet(weights: Mapping[str, Tensor]) -> Options:
    channels = weights["conv_first.weight"].shape[0]
    _check_channels(weights["conv_first.weight"], weights["conv_last.weight"])
    factor = math.prod(_stage(weights[f"upconv{k}.weight"], channels) for k in (1, 2) if f"upconv{k}.weight" in weights)
    if factor not in (2, 3, 4):
        raise Unfit(f"it enlarges by {factor}, not by 2, 3 or 4")
    return {"factor": factor, "channels": channels, "blocks": _count("body", weights)}


def _rrdbnet(weights: Mapping[str, Tensor]) -> Options:
    first, last = weights["conv_first.weight"], weights["conv_last.weight"]
    unshuffle = math.isqrt(first.shape[1] // 3)
    _check_channels(first, last, unshuffle)
    enlarged = 2 ** sum(f"conv_up{k}.weight" in weights for k in range(1, 10))
    if enlarged % unshuffle or enlarged > 8:
        raise Unfit(f"it enlarges by {enlarged}/{unshuffle}, not by 1, 2, 4 or 8")
    return {
        "factor": enlarged // unshuffle,
        "channels": first.shape[0],
        "blocks": _count("body", weights),
        "growth": weights["body.0.rdb1.conv1.weight"].shape[0],
        "unshuffle": unshuffle,
    }


def _count(part: str, weights: Mapping[str, Tensor]) -> int:
    """How many different numbers follow `part` in the names."""
    return len({found[1] for name in weights if (found := re.match(rf"{part}\.(\d+)\.", name))})


def _stage(weight: Tensor, channels: int) -> int:
    """By how much a convolution before a pixel shuffle enlarges."""
    return math.isqrt(weight.shape[0] // channels)


def _check_channels(first: Tensor, last: Tensor, unshuffle: int = 1) -> None:
    """Refuse what is not from RGB to RGB."""
    if first.shape[1] != 3 * unshuffle**2 or unshuffle < 1 or last.shape[0] != 3:
        raise Unfit(f"it is from {first.shape[1]} to {last.shape[0]} channels, not from RGB to RGB")


def _or(numbers: Mapping[int, object]) -> str:
    *some, last = map(str, numbers)
    return f"{', '.join(some)} or {last}"


# What files of weights hold that are taken for those of a generator; the first that fits is named.
KINDS = (
    (r"model\.model\.1\.model\..*|model\.\d{1,4}\.conv_block\..*", "a generator of pix2pix or CycleGAN"),
    (r"net\.26\.weight", "the discriminator of leftthomas/SRGAN"),
    (r"conv0_0\.weight|linear1\.weight|conv\d\.weight_orig", "a discriminator of BasicSR or Real-ESRGAN"),
    (r"Mixed_5b\..*|.*Conv2d_1a_3x3.*", "an Inception network"),
    (r"lin0\.model\.1\.weight", "the heads of LPIPS"),
    (r"features\.(3[4-9])\.weight|classifier\.6\.weight", "VGG, a classifier"),
    (r"classifier\.\d+\.weight|.*discriminator.*", "a discriminator"),
    (r"layer1\.0\.conv1\.weight", "ResNet, a classifier"),
    (r"model\.1\.sub\.\d+\.res\.0\.weight", "an SRResNet of the BasicSR of 2018"),
    (r"conv_first\.weight", "a network of BasicSR other than MSRResNet and RRDBNet"),
    (r"body\.0\.body\.0\.weight|.*residual_group.*|layers\.0\..*", "EDSR, RCAN, SwinIR or one of their kind"),
    (r"body\.\d+\.weight", "an SRVGGNetCompact of Real-ESRGAN"),
)


def kind_of(names: list[str]) -> str:
    """What a file with these names seems to hold; "" where one cannot tell."""
    return kind_among(KINDS, names)
