"""The convolutional part of torchvision's classifiers with published weights: what measures and losses look into."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gantool.errors import DataError


def convolutions(
    build: Callable[..., nn.Module], end: int, state: Mapping[str, Tensor], source: str, what: str
) -> nn.Sequential:
    """The first `end` layers of a classifier's `features`, in float32.

    Args:
        build: makes the classifier, as torchvision's functions do.
        end: how many layers are wanted.
        state: the weights, of the whole classifier or of its `features.` only, with or without that prefix.
        source, what: in errors, where the weights are from and what should be there.

    Raises:
        DataError: weights that do not fit.
    """
    with torch.device("meta"):  # the fully connected layers of VGG would take seconds and half a gigabyte
        network = build(weights=None)
    features: nn.Sequential = network.features[:end]  # type: ignore[assignment,index]
    fitting = {}
    for key, wanted in features.state_dict().items():
        found = state.get(f"features.{key}", state.get(key))
        fitting[key] = fits(found, wanted.shape, f"features.{key}", source, what).float()
    features.load_state_dict(fitting, assign=True)
    return features


def fits(found: Any, shape: Sequence[int], key: str, source: str, what: str) -> Tensor:
    """`found`, which must be the weights `key` of this shape. Raises DataError where they are not."""
    if not isinstance(found, Tensor):
        raise DataError(
            f"{source} does not hold {what}: there is no {key}.", "Give the published file of that network."
        )
    if found.shape != torch.Size(shape):
        raise DataError(
            f"{source} does not hold {what}: {key} is {tuple(found.shape)} instead of {tuple(shape)}.",
            "Give the published file of that network.",
        )
    return found
