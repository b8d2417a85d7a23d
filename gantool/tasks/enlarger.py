"""A model that enlarges any picture: of a run, or from a file of weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from gantool.data.enlarger_files import read_enlarger
from gantool.data.listing import exists
from gantool.engine.devices import pick_device
from gantool.errors import NoSuchRun, UsageError
from gantool.family import Enlarges
from gantool.nn.enlarger import Enlarger
from gantool.nn.inference import prepare_for_inference
from gantool.tasks.fitting import check_can, families_that
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run


def open_enlarger(
    reference: str | Path | Run,
    out: str | Path = DEFAULT_OUT,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> Enlarges:
    """The model of a run (path, beginning of its id, `latest`) or of a file of weights, in evaluation mode.

    Raises:
        UsageError: a run of a family that cannot, with those that can; an unknown device.
        RunError: there is no such run, or it has no checkpoint yet.
        DataError: a file that is no weights, or not of a network that is known.
    """
    if not isinstance(reference, Run) and exists(Path(reference)) and not Path(reference).is_dir():
        network = read_enlarger(Path(reference)).to(pick_device(device)).eval()
        say(f"{reference}: {type(network).__name__}, which enlarges {network.factor} times.")
        return network
    try:
        found = open_run(reference, out)
    except NoSuchRun as error:
        if looks_like_file(str(reference)):
            raise UsageError(f"There is no file {reference}.", "Check the path.") from error
        able = ", ".join(families_that("enlarge"))
        hint = f"Name a run ({able}) by its path, the beginning of its id or `latest`, or a file of weights."
        raise NoSuchRun(error.what, hint) from error
    check_can(found.spec, "enlarge")
    model = found.load(device, say)
    if not isinstance(model, Enlarges):
        raise TypeError("the model has no method enlarge")
    if isinstance(model, nn.Module):
        model.eval()
    return model


def made_ready(model: Enlarges) -> Enlarges:
    """The same in less time, for pictures to come: its network as `prepare_for_inference` has it."""
    network = getattr(model, "drawing", model)
    return prepare_for_inference(network) if isinstance(network, Enlarger) else model


def looks_like_file(reference: str) -> bool:
    """Whether a name that leads nowhere was meant as a file of weights."""
    return os.path.splitext(reference)[1] in (".pth", ".pt", ".ckpt", ".tar", ".bin", ".safetensors", ".onnx")


def fingerprint(model: Enlarges) -> str:
    """What tells this model's results from another's: sha256 of its weights, wherever they are kept."""
    digest = hashlib.sha256(f"{type(model).__name__} {model.factor}".encode())
    if isinstance(model, nn.Module):
        for name, value in sorted(model.state_dict().items()):
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
