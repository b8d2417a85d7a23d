"""How networks become files for other programs: traced with sizes left open, written, and tried."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gantool.engine.model import GanModel
from gantool.family import TestMode
from gantool.game.model import Game
from gantool.game.sampling import Sampling
from gantool.nn.enlarger import Enlarger
from gantool.nn.inference import fold_norms
from gantool.nn.translator import Translator

METADATA = "gantool"  # what a file's description is kept under
BATCH, SIDE = 2, 24  # of examples; 0 and 1 would be taken as fixed


@dataclass(frozen=True)
class Traced:
    """A network with what an exporter must know of it.

    Attributes:
        module: takes the inputs by position and gives one tensor.
        inputs: examples by name.
        open: by name of an input, {axis: what its size is called}: sizes that may be others than the example's.
        multiples: sizes that must be multiples of a number, by what they are called.
        least: the smallest of these multiples that will do.
        output: name of what it gives.
        ranges: of inputs and output by name, in words.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    open: Mapping[str, Mapping[int, str]]
    multiples: Mapping[str, int]
    output: str
    ranges: Mapping[str, str]
    least: int = 1

    @property
    def dynamic(self) -> tuple[dict[int, Any], ...]:
        """The open sizes of each input, as torch.export wants them."""
        names = {name for axes in self.open.values() for name in axes.values()}
        sizes = {name: torch.export.Dim(name, min=1) for name in sorted(names)}
        for name, multiple in self.multiples.items():
            sizes[name] = multiple * torch.export.Dim(f"{name}_by_{multiple}", min=self.least)
        return tuple({axis: sizes[size] for axis, size in self.open[name].items()} for name in self.inputs)

    def program(self) -> torch.export.ExportedProgram:
        """The network as torch.export has it."""
        with torch.no_grad(), quietly(), sizes_of_one() if isinstance(self.module, Translating) else nullcontext():
            return torch.export.export(self.module, tuple(self.inputs.values()), dynamic_shapes=self.dynamic)

    def described(self) -> dict[str, Any]:
        """Inputs and output for people and programs: {"inputs": {name: {...}}, "outputs": {name: {...}}}."""
        with torch.no_grad():
            result = self.module(*(value[:1] for value in self.inputs.values()))

        def one(name: str, example: Tensor) -> dict[str, Any]:
            sizes: list[int | str] = list(example.shape)
            for axis, size in self.open.get(name, {}).items():
                sizes[axis] = size
            return {"shape": sizes, "type": str(example.dtype).removeprefix("torch."), "range": self.ranges[name]}

        inputs = {name: one(name, example) for name, example in self.inputs.items()}
        output = one(self.output, result)
        output["shape"][0] = "batch"
        if isinstance(self.module, Enlarger):
            output["shape"][2:] = [
                self.module.factor * size if isinstance(size, int) else f"{self.module.factor} {size}"
                for size in inputs["image"]["shape"][2:]
            ]
        elif isinstance(self.module, Translating):
            output["shape"][2:] = inputs["image"]["shape"][2:]
        return {"inputs": inputs, "outputs": {self.output: output}, "multiples": dict(self.multiples)}


def enlarges(network: Enlarger, size: tuple[int, int] | None = None) -> Traced:
    """`network` with its batch norm folded; any batch, and any picture or those of one (height, width)."""
    network = copy.deepcopy(network).float().cpu().eval()
    fold_norms(network)
    side, grid = -(-SIDE // network.grid) * network.grid, network.grid
    height, width = size or (side, side + grid)  # two numbers, lest one size is taken for the other
    axes = {0: "batch"} | ({} if size else {2: "height", 3: "width"})
    return Traced(
        network,
        {"image": torch.rand(BATCH, 3, height, width, generator=torch.Generator().manual_seed(0))},
        {"image": axes},
        {} if size or grid == 1 else {"height": grid, "width": grid},
        "enlarged",
        {"image": "RGB, 0 to 1", "enlarged": "RGB, about 0 to 1: clamp it"},
    )


def translates(network: Translator, mode: TestMode, size: tuple[int, int] | None = None) -> Traced:
    """`network` as it is used in `mode`, but that nothing is dropped; any batch.

    Any picture whose sides are multiples of the network's, or those of one (height, width), whatever it is.
    """
    ready = network.tested(mode).network.float().cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    grid = network.multiple
    side = max(2, -(-SIDE // grid)) * grid
    height, width = size or (side, side + grid)
    axes = {0: "batch"} | ({} if size else {2: "height", 3: "width"})
    said = {
        channels: "grey" if channels == 1 else "RGB" if channels == 3 else f"{channels} channels"
        for channels in (network.inputs, network.outputs)
    }
    return Traced(
        Translating(ready, size is not None),
        {"image": torch.rand(BATCH, network.inputs, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1},
        {"image": axes},
        {} if size else {"height": grid, "width": grid},
        "translated",
        {"image": f"{said[network.inputs]}, -1 to 1", "translated": f"{said[network.outputs]}, -1 to 1"},
        network.least // grid,
    )


class Translating(nn.Module):
    """A translator without noise: pictures whose sides are multiples, or with `pads` of one size that need not be."""

    def __init__(self, network: Translator, pads: bool) -> None:
        super().__init__()
        self.network, self.pads = network, pads

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] to (N, C', H, W) in [-1, 1]."""
        result: Tensor = self.network(image) if self.pads else self.network.body(image, None)
        return result


def draws(model: Sampling) -> Traced:
    """From noise and labels to pictures. The model loses what only its training needs."""
    module = Drawing(drawing_alone(model))
    for part in model.modules():  # flags, which cannot be branched on in a traced network, have their values for good
        for name, buffer in list(part.named_buffers(recurse=False)):
            if buffer.dtype == torch.bool and buffer.ndim == 0:
                delattr(part, name)
                setattr(part, name, bool(buffer))
    inputs, open_ = {"noise": model.latent(range(BATCH))}, {"noise": {0: "batch"}}
    ranges = {"noise": "normal, mean 0 and deviation 1", "image": "-1 to 1"}
    if model.config.noise != "normal":
        ranges["noise"] = "uniform, -1 to 1"
    if model.conditional:
        inputs["label"], open_["label"] = torch.arange(BATCH) % model.shape.classes, {0: "batch"}
        ranges["label"] = f"classes, 0 to {model.shape.classes - 1}"
    return Traced(module, inputs, open_, {}, "image", ranges)


def drawing_alone(model: Sampling) -> Sampling:
    """The model, in place, without discriminators and without generators that an average of them stands for."""
    for part in list(model.modules()):
        if isinstance(part, Game):
            part.discriminator = nn.Identity()
            if part.average is not None:
                part.generator = nn.Identity()
        if isinstance(part, GanModel):
            part.optimizers = {}
    return model.float().cpu().eval()


class Drawing(nn.Module):
    """Noise (N, nz) and labels (N,) to pictures (N, C, H, W) in [-1, 1]."""

    def __init__(self, model: Sampling) -> None:
        super().__init__()
        self.model = model

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """As the class says."""
        return self.model.drawn(noise, label).clamp(-1, 1)


def onnx_bytes(traced: Traced, about: Mapping[str, Any]) -> bytes:
    """The network in ONNX, weights inside; `about` as JSON in its metadata."""
    with quietly():
        program = torch.onnx.export(
            traced.program(),
            input_names=list(traced.inputs),
            output_names=[traced.output],
            dynamic_shapes=traced.dynamic,  # for the names of the sizes
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props[METADATA] = json.dumps(about)
        content: bytes = program.model_proto.SerializeToString()
    return content


def pt2_bytes(traced: Traced, about: Mapping[str, Any]) -> bytes:
    """The network as `torch.export.load` reads it; `about` as JSON in its extra file."""
    file = io.BytesIO()
    with quietly():
        torch.export.save(traced.program(), file, extra_files={METADATA: json.dumps(about)})
    return file.getvalue()


def difference(traced: Traced, format: str, content: bytes) -> float | None:
    """The greatest between what the file gives and the original, on the example's last picture alone and smaller.

    None where ONNX cannot be run here.
    """
    inputs = [value[-1:] for value in traced.inputs.values()]
    if 2 in traced.open.get("image", {}):
        grid = max(traced.multiples.values(), default=1)
        inputs = [value[:, :, grid:, : value.shape[3] - 2 * grid] for value in inputs]
    with torch.no_grad(), quietly():
        expected = traced.module(*inputs)
        if format == "onnx":
            if importlib.util.find_spec("onnxruntime") is None:
                return None
            import onnxruntime  # type: ignore[import-untyped, import-not-found, unused-ignore]

            session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
            given = dict(zip(traced.inputs, (value.numpy() for value in inputs), strict=True))
            found = torch.from_numpy(session.run(None, given)[0])
        else:
            found = torch.export.load(io.BytesIO(content)).module()(*inputs)
    return float((found - expected).abs().max())


def sizes_of_one() -> AbstractContextManager[Any]:
    """Inside, torch.export takes open sizes for ones that may be 1, if it can.

    A U-Net's smallest picture is one pixel in its middle, and would be refused by a network traced with larger ones.
    """
    from torch.fx.experimental import _config as config

    if not hasattr(config, "backed_size_oblivious"):
        return nullcontext()
    patched: AbstractContextManager[Any] = config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    return patched


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Inside, what exporters say goes nowhere: warnings of their own insides, progress, tables."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    nowhere = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
