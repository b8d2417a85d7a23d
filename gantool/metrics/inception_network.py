"""Inception v3 (Szegedy et al. 2016) in four stages, as the measures use it, made fast and exact for evaluation.

Two published networks of this shape are told apart: the one of 2015-12-05, ported from TensorFlow, that FID is
defined by, and torchvision's, that SIFID is defined by. Features of one cannot be compared with those of the other.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gantool.data.imported import read_pth
from gantool.errors import DataError
from gantool.nn.vision import models

#: Channels after each stage, by which the stages are called.
LAYERS = (64, 192, 768, 2048)

_MIXED_768 = ("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e")
_STAGES = (
    ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"),
    ("pool", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
    ("pool", *_MIXED_768),
    ("Mixed_7a", "Mixed_7b", "Mixed_7c"),
)


class Stages(nn.Module):
    """The stages of an Inception up to a layer, for evaluation: BatchNorm folded in, no gradients.

    Each stage takes (N, C, H, W) and ends before the pooling that follows it.

    Args:
        network: with the modules' published names and its weights loaded; it is changed.
        layer: channels after the last stage wanted.
    """

    def __init__(self, network: nn.Module, layer: int) -> None:
        super().__init__()
        network.eval().requires_grad_(False)
        names = _STAGES[: LAYERS.index(layer) + 1]
        self.stages = nn.ModuleList(nn.Sequential(*(_part(network, name) for name in stage)) for stage in names)
        fold_batch_norm(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in about [-1, 1] to (N, layer, h, w)."""
        return self.rest(self.stages[0](x))

    def first(self) -> list[nn.Conv2d]:
        """The three convolutions of the first stage, each followed by a ReLU; the third is padded by 1."""
        return [part for part in self.stages[0].modules() if isinstance(part, nn.Conv2d)]

    def rest(self, x: Tensor) -> Tensor:
        """From what the first stage gives, (N, 64, h, w), to (N, layer, h, w)."""
        for stage in list(self.stages)[1:]:
            x = stage(x)
        return x


def _part(network: nn.Module, name: str) -> nn.Module:
    return nn.MaxPool2d(3, stride=2) if name == "pool" else network.get_submodule(name)


def fold_batch_norm(network: nn.Module) -> None:
    """Put every BatchNorm after a convolution into its weights, worked out in float64: the same up to rounding."""
    for block in network.modules():
        conv, norm = getattr(block, "conv", None), getattr(block, "bn", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            block.conv = fuse_conv_bn_eval(conv.double(), norm.double()).float()
            block.bn = nn.Identity()


def fid_inception(path: Path, layer: int) -> tuple[Stages, Tensor]:
    """FID's network up to `layer`, and the weights (1008, 2048) of its classifier, from torch-fidelity's or
    pytorch-fid's published file.

    Raises:
        DataError: the file is missing or damaged, or holds something else.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    state = _tensors(path)
    content = io.BytesIO()
    # torch-fidelity would unpickle whatever a file holds: it is handed tensors that were read without executing code.
    torch.save(state, content)
    content.seek(0)
    try:
        network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=content)
    except RuntimeError as error:
        raise _other_network(path, state, "FID's Inception (2015-12-05, 1008 classes)") from error
    return Stages(network, layer), network.fc.weight.detach()


def torchvision_inception(path: Path, layer: int) -> Stages:
    """torchvision's network up to `layer`, from its published file or one with the weights of these stages only.

    Raises:
        DataError: the file is missing or damaged, holds something else, or lacks some of these stages.
    """
    state = _tensors(path)
    with torch.device("meta"):
        network = models.inception_v3(weights=None, init_weights=False, transform_input=False, aux_logits=False)
    parts = {name for stage in _STAGES[: LAYERS.index(layer) + 1] for name in stage}
    needed = {
        key: tensor
        for key, tensor in network.state_dict().items()
        if key.partition(".")[0] in parts and not key.endswith("num_batches_tracked")
    }
    missing = [key for key in needed if key not in state]
    if missing and len(missing) < len(needed):
        raise DataError(
            f"{path} lacks weights of torchvision's Inception that layer {layer} needs, such as {missing[0]}.",
            "Give torchvision's published file, inception_v3_google-0cc3c7bd.pth, or take layer 64.",
        )
    if missing or any(state[key].shape != tensor.shape for key, tensor in needed.items()):
        raise _other_network(path, state, "torchvision's Inception")
    if state.get("fc.weight", torch.empty(1000)).shape[0] == 1008:
        raise _other_network(path, state, "torchvision's Inception")
    network.load_state_dict({key: state[key].float() for key in needed}, strict=False, assign=True)
    return Stages(network, layer)


def _tensors(path: Path) -> dict[str, Tensor]:
    state: Any = read_pth(path)
    if not (isinstance(state, Mapping) and state and all(isinstance(value, Tensor) for value in state.values())):
        raise DataError(f"{path} holds no network's weights by name.", "Give a published state_dict.")
    return dict(state)


def _other_network(path: Path, state: Mapping[str, Tensor], wanted: str) -> DataError:
    classes = state["fc.weight"].shape[0] if "fc.weight" in state and state["fc.weight"].ndim else None
    what = {1000: "torchvision's Inception, it seems", 1008: "FID's Inception, it seems"}.get(classes or 0)
    return DataError(
        f"{path} does not hold the weights of {wanted}" + (f", but of {what}." if what else "."),
        "`gantool weights list` names the published files.",
    )
