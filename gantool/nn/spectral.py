"""Spectral normalisation of whole networks (Miyato et al. 2018)."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

KINDS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)


def add_spectral_norm(module: nn.Module) -> None:
    """Divide each weight of the convolutions, linear layers and embeddings by its largest singular value, in place.

    The value is followed by one power iteration in each forward pass in training mode.
    """
    for part in list(module.modules()):
        if isinstance(part, KINDS) and not is_parametrized(part):
            spectral_norm(part)
