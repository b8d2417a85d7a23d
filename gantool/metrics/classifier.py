"""Features from a network of the user's: what FID, KID and the rest are computed from where Inception says nothing.

Handwritten digits are the standing example: a small classifier trained on them tells good from bad where a network
trained on photographs does not. Figures compare only with others of the same file.
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gantool.data.decode import Pixels
from gantool.data.imported import read_pth
from gantool.errors import DataError, UsageError
from gantool.metrics.batches import Features, channels_first, in_background, in_batches
from gantool.nn.inference import exact

#: What a network gives for (N, 3, H, W) uint8: features (N, D), and logits (N, classes) where it has them.
Evaluate = Callable[[Tensor], tuple[Tensor, Tensor | None]]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}

# LeNet-5 (LeCun et al. 1998) as it is commonly written in PyTorch.
_LENET = {
    "convnet.c1": (6, 1, 5, 5),
    "convnet.c3": (16, 6, 5, 5),
    "convnet.c5": (120, 16, 5, 5),
    "fc.f6": (84, 120),
    "fc.f7": (10, 84),
}
# A state_dict does not say its activations; two published ones are known by the first weights (sha256 of float32).
_KNOWN = {
    "99f516cbb2a93ee92b323429a5cf7e410521c3b2dd3c6b3cc68133664a97f49e": "tanh",  # gan-metrics-pytorch
    "49204fadc4f0ae32460e42d2c6851edc751982287958c9cea5a500b6a6a37a9e": "relu",  # gan-vae-pretrained-pytorch
}


class Classifier:
    """A network from a file as a function from pictures to features, and to logits where it has them.

    Three kinds of files are told apart by their content:

    - TorchScript. It is a program, which is executed: load only what you trust. It is called with (N, 3, H, W)
      uint8 RGB and gives features (N, D), or a pair of features and logits (N, classes). NVIDIA's detectors, which
      have an argument `return_features`, are called with it set.
    - A program of `torch.export` (.pt2), under the same terms. Where N was fixed when it was exported, the pictures
      are given to it in batches of that size, the last one filled up.
    - The state_dict of a LeNet-5 for 10 classes on 1x32x32 (61,706 weights). Pictures become grey, in [0, 1], and
      are resized to 32x32 (bilinear); the features are its 84 last hidden units.

    Args:
        file: the network.
        activation: of a LeNet, `tanh` or `relu`; None where the file is one of the two published ones that are known.
        device: where the network works.
        batch: pictures at a time.

    Attributes:
        description: what was recognised, for an output.

    Raises:
        DataError: the file is missing, damaged or none of these.
        UsageError: `activation` is missing where it is needed, or given where it means nothing, or unknown.
    """

    def __init__(
        self, file: str | Path, activation: str | None = None, device: str | torch.device = "cpu",
        *, batch: int | None = None,
    ) -> None:  # fmt: skip
        self.path = Path(file)
        self.device = torch.device(device)
        self.batch = batch or 64
        self.side: int | None = None  # what pictures are resized to here
        inside = _names_inside(self.path)
        if activation is not None and activation not in ACTIVATIONS:
            raise UsageError(f"There is no activation {activation!r}.", f"There are: {', '.join(ACTIVATIONS)}.")
        if any("/code/" in name for name in inside):
            self.description, self._evaluate = "TorchScript", self._scripted()
        elif any(name.endswith(("/archive_format", "serialized_exported_program.json")) for name in inside):
            self.description, self._evaluate = "exported program", self._exported()
        else:
            state = _lenet_state(self.path)
            activation, self.side = activation or self._known_activation(state), 32
            self.description = f"LeNet-5 ({activation}), its 84 last hidden units"
            self._evaluate = _lenet({name: tensor.to(self.device) for name, tensor in state.items()}, activation)
            return
        if activation is not None:
            raise UsageError(f"{self.path} is a program, which has its activations in it.", "Leave the activation out.")

    def __call__(self, pictures: Iterable[Pixels]) -> Iterator[Features]:
        """Features of pictures (H, W, 3) uint8, in order, a batch at a time; pictures of other sizes apart.

        `pictures` is iterated over in a thread of its own; what it raises is raised here.

        Raises:
            DataError: the network cannot take pictures of this size, or gives something else than features.
        """
        prepared = (self._prepare(picture) for picture in pictures)
        for batch in in_background(self._batches(prepared)):
            with exact():
                features, logits = self._evaluate(batch.to(self.device))
            yield Features(features.float().cpu().numpy(), None if logits is None else logits.float().cpu().numpy())

    def _prepare(self, picture: Pixels) -> Tensor:
        x = torch.from_numpy(channels_first(picture))
        if self.side is None:
            return x
        red, green, blue = x.float() / 255
        grey = (0.299 * red + 0.587 * green + 0.114 * blue)[None, None]
        return F.interpolate(grey, size=(self.side, self.side), mode="bilinear", align_corners=False)[0]

    def _batches(self, prepared: Iterable[Tensor]) -> Iterator[Tensor]:
        for _, same_size in groupby(prepared, key=lambda x: x.shape):
            yield from map(torch.stack, in_batches(same_size, self.batch))

    def _scripted(self) -> Evaluate:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch would rather have torch.export
                module = torch.jit.load(str(self.path), map_location=self.device).eval()  # type: ignore[no-untyped-call]
            arguments = [argument.name for argument in module.forward.schema.arguments]
        except Exception as error:  # a damaged file can make the reader raise anything
            raise DataError(f"{self.path} is damaged, or no TorchScript.", "Copy or download it again.") from error
        more = {"return_features": True} if "return_features" in arguments else {}
        return lambda x: self._result(module, x, more)

    def _exported(self) -> Evaluate:
        try:
            program = torch.export.load(str(self.path))
            (name,) = program.graph_signature.user_inputs
            shape = next(node.meta["val"].shape for node in program.graph.nodes if node.name == name)
            module = program.module().to(self.device)
        except Exception as error:  # likewise
            raise DataError(
                f"{self.path} is damaged, or no program of torch.export with one input.", "Export or copy it again."
            ) from error
        if not isinstance(shape[0], int):
            return lambda x: self._result(module, x, {})
        self.batch = shape[0]

        def fixed(x: Tensor) -> tuple[Tensor, Tensor | None]:
            filled = torch.cat([x, x[-1:].expand(self.batch - len(x), *x.shape[1:])])
            features, logits = self._result(module, filled, {})
            return features[: len(x)], None if logits is None else logits[: len(x)]

        return fixed

    def _result(self, module: Callable[..., Any], x: Tensor, more: Mapping[str, bool]) -> tuple[Tensor, Tensor | None]:
        """What a program gives, checked."""
        height, width = x.shape[2:]
        try:
            given = module(x, **more)
        except Exception as error:  # the user's program can raise anything
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise DataError(
                f"The network {self.path} fails on {len(x)} pictures of {width}x{height}: {reason}.",
                "It is called with (N, 3, H, W) uint8; pictures of other sizes may be what it was made for.",
            ) from error
        features, logits = given if isinstance(given, tuple | list) and len(given) == 2 else (given, None)
        for value in [features] + ([] if logits is None else [logits]):
            if not (isinstance(value, Tensor) and value.ndim == 2 and len(value) == len(x)):
                what = f"{tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                raise DataError(
                    f"The network {self.path} gives {what} for {len(x)} pictures, not a row of features for each.",
                    "Have it return features (N, D), or features and logits (N, classes).",
                )
        return features, logits

    def _known_activation(self, state: Mapping[str, Tensor]) -> str:
        first = state["convnet.c1.weight"].contiguous().numpy()
        known = _KNOWN.get(hashlib.sha256(first.tobytes()).hexdigest())
        if known is None:
            raise UsageError(
                f"{self.path} does not say which activation its LeNet has.",
                f"Say it: {' or '.join(ACTIVATIONS)} (the wrong one classifies badly).",
            )
        return known


def _lenet(state: Mapping[str, Tensor], activation: str) -> Evaluate:
    act = ACTIVATIONS[activation]

    def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
        for name in ("convnet.c1", "convnet.c3"):
            x = F.max_pool2d(act(F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"])), 2)
        x = act(F.conv2d(x, state["convnet.c5.weight"], state["convnet.c5.bias"])).flatten(1)
        features = act(F.linear(x, state["fc.f6.weight"], state["fc.f6.bias"]))
        return features, F.linear(features, state["fc.f7.weight"], state["fc.f7.bias"])

    return evaluate


def _lenet_state(path: Path) -> dict[str, Tensor]:
    state: Any = read_pth(path)
    shapes = {f"{name}.weight": shape for name, shape in _LENET.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in _LENET.items()}
    tensors = state if isinstance(state, Mapping) else {}
    if {name: tuple(getattr(tensor, "shape", ())) for name, tensor in tensors.items()} != shapes:
        raise DataError(
            f"{path} holds weights of a network that gantool does not know.",
            "Save the network as TorchScript (torch.jit.script) or with torch.export, which tell how it computes.",
        )
    return {name: tensor.float() for name, tensor in tensors.items()}


def _names_inside(path: Path) -> list[str]:
    """Names in the file if it is a zip, as what PyTorch saves is today."""
    if not path.is_file():
        raise DataError(f"There is no file {path}.", "Check the path.")
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return []  # an older format, or damaged: what reads it next says so
