"""torchvision, imported here and nowhere else.

torchvision's compiled operators must be built for the very torch that is installed. A CPU torch beside the
CUDA build of torchvision (what a package index may serve) cannot load them, and `import torchvision` then
fails because it wants to describe the operators `nms` and `qnms`, which nobody has declared. gantool uses
networks and transforms only, which need no compiled operator, so declaring the two is enough.
"""

from __future__ import annotations

import importlib

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
# Kept: the schemas live as long as it does.
_declared = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]


def _import() -> None:
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, name):
                _declared.define(name + _SCHEMA)  # type: ignore[no-untyped-call]


_import()

from torchvision import __version__ as version  # noqa: E402
from torchvision import models  # noqa: E402

__all__ = ["models", "version"]
