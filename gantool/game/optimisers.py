"""Optimisers of the two players, and how their rates go."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from gantool.engine.model import set_learning_rates
from gantool.game.options import GameConfig

LEAST_RATE = 1e-6  # where Goodfellow's exponential decay ends


def make_optimizer(config: GameConfig, network: nn.Module, lr: float) -> Optimizer:
    """Adam, RMSprop or SGD over all of a network's weights."""
    groups = [{"params": list(network.parameters()), "lr": lr, "base_lr": lr}]
    decay = config.weight_decay
    if config.optimizer == "adam":
        betas = (config.beta1, config.beta2)
        return torch.optim.Adam(groups, betas=betas, eps=1e-8, weight_decay=decay, fused=True)
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, weight_decay=decay)
    return torch.optim.SGD(groups, momentum=config.beta1, weight_decay=decay)


class Schedule:
    """Learning rates and momentum as a function of the step: nothing of it needs saving."""

    def __init__(self, config: GameConfig) -> None:
        self.config = config

    def set(self, optimizers: Iterable[Optimizer], step: int, steps: int) -> None:
        """Before step `step` (from 0) of `steps`."""
        config, done = self.config, step / max(steps, 1)
        for optimizer in optimizers:
            if config.decay == "linear":
                set_learning_rates(optimizer, min(1.0, (1 - done) / (1 - config.decay_from)))
            elif config.decay == "exponential":
                set_learning_rates(optimizer, config.decay_factor**-step)
                for group in optimizer.param_groups:
                    group["lr"] = max(group["lr"], min(LEAST_RATE, group["base_lr"]))
            if config.momentum_end is not None:
                for group in optimizer.param_groups:
                    group["momentum"] = config.beta1 + (config.momentum_end - config.beta1) * done
