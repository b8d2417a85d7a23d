"""What the networks that enlarge pictures have in common: their factor, their reach, and the ranges of pictures."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

GAIN = 0.1


class Enlarger(nn.Module):
    """A network that enlarges any RGB picture by its factor; subclasses give `forward`.

    `forward` takes (N, 3, H, W) in [0, 1] and gives (N, 3, factor H, factor W), about in [0, 1]: it may overshoot,
    and clamping is the caller's. All submodules lie on one path from the small picture to the large one, in the
    order in which they are registered (further paths around them are shorter): `reach` and `grid` rely on that.

    Attributes:
        factor: how many times longer each side becomes.
        options: what to give the class to build the same network again.
    """

    def __init__(self, factor: int, **options: int | str | bool) -> None:
        super().__init__()
        self.factor = factor
        self.options: dict[str, int | str | bool] = {"factor": factor, **options}

    @property
    def reach(self) -> int:
        """How far from a pixel of the small picture lie, at most, the pixels that what becomes of it depends on.

        That is of the layers alone: batch norm in training mode looks at the whole batch.
        """
        reach = 0
        for layer in reversed(list(self.modules())):
            match layer:
                case nn.Conv2d():
                    reach += layer.dilation[0] * (layer.kernel_size[0] - 1) // 2
                case nn.PixelShuffle():
                    reach = -(-reach // layer.upscale_factor)
                case nn.Upsample():
                    reach = -(-reach // int(layer.scale_factor))  # type: ignore[arg-type]  # one number for both sides
                case nn.PixelUnshuffle():
                    reach = reach * layer.downscale_factor + layer.downscale_factor - 1
        return reach

    @property
    def grid(self) -> int:
        """Pieces of a picture become what they become in the whole if they begin at multiples of this, in pixels."""
        grid = 1
        for layer in self.modules():
            if isinstance(layer, nn.PixelUnshuffle):
                grid *= layer.downscale_factor
        return grid

    def enlarge(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to (N, 3, factor H, factor W), about in [-1, 1]; in the mode the network is in."""
        enlarged: Tensor = self((images + 1) / 2)
        return enlarged * 2 - 1


def start_small(layers: Iterable[nn.Module]) -> None:
    """He et al.'s normal initialisation (2015, fan-in) times 0.1, biases 0, in place: of convolutions among `layers`.

    So residual blocks start near the identity. ESRGAN (Wang et al. 2018, section 3.1) and the code of BasicSR.
    """
    for layer in layers:
        # Without numbers (on the meta device) there is nothing to draw, and PyTorch takes seconds to find that out.
        if isinstance(layer, nn.Conv2d) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data.mul_(GAIN)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
