"""Models that are taken to work: of a run whose family can, and what tells one from another."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from gantool.data.listing import exists
from gantool.engine.devices import pick_device
from gantool.engine.model import GanModel
from gantool.errors import NoSuchRun, UsageError
from gantool.tasks.fitting import check_can, families_that
from gantool.tasks.runs import DEFAULT_OUT, Run, open_run


def names_file(reference: str | Path | Run) -> bool:
    """Whether a reference leads to a file, of weights then. Raises DataError where that cannot be seen."""
    return not isinstance(reference, Run) and exists(Path(reference)) and not Path(reference).is_dir()


def find_able(reference: str | Path | Run, task: str, out: str | Path = DEFAULT_OUT) -> Run:
    """The run (path, beginning of its id, `latest`) of a family that can do `task`.

    Raises:
        UsageError: a run of a family that cannot, with those that can; a name like that of a file of weights.
        RunError: there is no such run.
    """
    try:
        found = open_run(reference, out)
    except NoSuchRun as error:
        if os.path.splitext(str(reference))[1] in (".pth", ".pt", ".ckpt", ".tar", ".bin", ".safetensors", ".onnx"):
            raise UsageError(f"There is no file {reference}.", "Check the path.") from error
        able = ", ".join(families_that(task))
        hint = f"Name a run ({able}) by its path, the beginning of its id or `latest`, or a file of weights."
        raise NoSuchRun(error.what, hint) from error
    check_can(found.spec, task)
    return found


def load_able(found: Run, device: str = "auto", say: Callable[[str], None] = lambda _: None) -> GanModel:
    """Its trained model, in evaluation mode. Raises RunError when there is no checkpoint yet."""
    model = found.load(device, say)
    model.eval()
    return model


def name_of(reference: object, out: str | Path = DEFAULT_OUT) -> str:
    """What to call a model in a result: the id of its run, the file of weights, or the class of what was given itself.

    Raises:
        RunError: there is no such run.
    """
    if isinstance(reference, str | Path):
        return str(reference) if Path(reference).is_file() else open_run(reference, out).id
    return reference.id if isinstance(reference, Run) else type(reference).__name__


def fingerprint(model: object, *facts: object) -> str:
    """What tells this model's results from another's: sha256 of its weights, wherever they are kept, and of `facts`."""
    digest = hashlib.sha256(" ".join([type(model).__name__, *map(str, facts)]).encode())
    if isinstance(model, nn.Module):
        for name, value in sorted(model.state_dict().items()):
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def device_of(model: object, device: str) -> torch.device:
    """Where a model's weights are; of one without any, the device of that name."""
    if isinstance(model, nn.Module):
        for parameter in model.parameters():
            return parameter.device
    return pick_device(device)
