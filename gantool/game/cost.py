"""What a step of the game costs, counted on tensors without values."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from gantool.game.model import Game
    from gantool.game.options import GameConfig

PROBED = 2  # pictures that are sent through: batch norm wants two
LAUNCH = 3e6  # what a layer costs one way, whatever its size, in operations: starting it; all that counts of tiny ones


def estimate(game: Game) -> tuple[float, float]:
    """Floating point operations and bytes at the peak of one step, roughly.

    A way back to weights and input costs two ways there. So each update of D goes three ways for reals and three for
    fakes, which G draws; each penalty goes there, back to the input alone, and then back through both of these: six
    ways. An update of G goes three ways through G, and through D there and back to the input alone.
    """
    config, shape = game.config, game.shape
    inputs = game.inputs(PROBED, torch.device("meta"))
    x = torch.empty(PROBED, shape.channels, shape.height, shape.width, device="meta")
    draw, drawn = count_pass(game.generator, *inputs)
    judge, judged = count_pass(game.discriminator, x, inputs[-1])
    cost = config.batch / PROBED * _alternation(config, draw, judge)
    cost += LAUNCH * config.accumulate * _alternation(config, _layers(game.generator), _layers(game.discriminator))
    weights = sum(p.nbytes for p in game.parameters())
    part = config.batch / config.accumulate / PROBED
    return cost, 4 * weights + 1.5 * part * (drawn + 2 * judged)


def _alternation(config: GameConfig, draw: float, judge: float) -> float:
    """What an alternation takes of something that a pass through G takes `draw` of, and one through D `judge`."""
    penalties = (bool(config.gp) + bool(config.r1)) / config.penalty_every
    d_step = (6 + 6 * penalties) * judge + draw
    g_step = 3 * draw + 2 * judge
    reused = draw if config.reuse_fakes and config.accumulate == 1 else 0.0
    turns = draw + 2 * judge if config.margin is not None else 0.0
    return config.d_steps * d_step + config.g_steps * g_step - reused + turns


def _layers(network: nn.Module) -> int:
    return sum(not list(module.children()) for module in network.modules())


def count_pass(network: nn.Module, *inputs: Tensor | None) -> tuple[float, float]:
    """Operations of one pass, and bytes of what its layers put out, of a network and inputs without values."""
    network = copy.deepcopy(network).to("meta")
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
