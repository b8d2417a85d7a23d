"""What a step of the game costs, counted on tensors without values."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from gantool.game.model import Game

PROBED = 2  # pictures that are sent through: batch norm wants two


def estimate(game: Game) -> tuple[float, float]:
    """Floating point operations and bytes at the peak of one step, roughly.

    Counted: each update of D passes reals and fakes through it and back, which costs thrice the way there; G draws
    for it; each update of G goes through both and back.
    """
    config, shape = game.config, game.shape
    y = torch.zeros(PROBED, dtype=torch.int64, device="meta") if game.conditional else None
    generator, discriminator = (copy.deepcopy(net).to("meta") for net in (game.generator, game.discriminator))
    z = torch.empty(PROBED, config.nz, device="meta")
    x = torch.empty(PROBED, shape.channels, shape.height, shape.width, device="meta")
    draw, drawn = _counted(generator, z, y)
    judge, judged = _counted(discriminator, x, y)
    penalised = 3 / config.penalty_every if config.gp or config.r1 else 0
    d_step = (2 + penalised) * 3 * judge + draw
    g_step = 3 * draw + 3 * judge - draw * config.reuse_fakes
    cost = config.batch / PROBED * (config.d_steps * d_step + config.g_steps * g_step)
    weights = sum(p.nbytes for p in game.parameters())
    part = config.batch / config.accumulate / PROBED
    return max(cost, 1.0), 4 * weights + 1.5 * part * (drawn + 2 * judged)


def _counted(network: nn.Module, *inputs: Tensor | None) -> tuple[float, float]:
    """Operations of one pass, and bytes of what its layers put out."""
    held = 0

    def add(module: nn.Module, arguments: Any, output: Any) -> None:
        nonlocal held
        held += sum(t.nbytes for t in (output if isinstance(output, tuple) else (output,)) if isinstance(t, Tensor))

    hooks = [m.register_forward_hook(add) for m in network.modules() if not list(m.children())]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return float(counter.get_total_flops()), float(held)
