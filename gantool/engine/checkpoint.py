"""Checkpoints: written beside, synced, renamed; read back only when whole.

    checkpoints/step-0001200/  model.safetensors  optim.safetensors  rng.safetensors  state.json
    checkpoints/latest.json    {"name": "step-0001200"}

state.json holds the sha256 of the other files and of its own values. A torn or corrupt checkpoint is passed over for
the one before.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.optim import Optimizer

from gantool.engine.model import GanModel
from gantool.errors import Diverged, RunError
from gantool.files import atomic_write, read_json, write_error, write_json

T = TypeVar("T")

SCHEMA = 1
KEEP = 2  # rolling checkpoints that stay, beside the last one of every stage


@dataclass
class State:
    """Where a run stands, in plain values.

    Attributes:
        stage: index of the stage being trained.
        step: steps done in it; equal to its schedule when the stage is finished.
        schedule: steps of every stage, as fitted to a time budget.
        seconds: training time so far, over all sessions.
        stage_end: the stage was left: `leave` has run.
        images: pictures drawn from the data so far; 0 where the model holds its one picture.
    """

    stage: int = 0
    step: int = 0
    schedule: list[int] = field(default_factory=list)
    seconds: float = 0.0
    stage_end: bool = False
    images: int = 0

    @property
    def total(self) -> int:
        """Steps done in all stages."""
        return sum(self.schedule[: self.stage]) + self.step


def save_checkpoint(folder: Path, model: GanModel, generator: torch.Generator, state: State) -> Path:
    """Write a checkpoint of everything that goes on, and make it the latest.

    Raises:
        Diverged: a weight is not finite; nothing is written and the previous checkpoint stays.
        RunError: the disk is full or not writable; likewise.
    """
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise Diverged(
                f"The weights of {name} are not finite any more (step {state.step} of stage {state.stage + 1}).",
                "The last good checkpoint is kept. Try a lower learning rate or another seed.",
            )
    parts = {
        "model.safetensors": save(tensors),
        "optim.safetensors": save(_optimizer_tensors(model.optimizers)),
        "rng.safetensors": save({"generator": generator.get_state()}),
    }
    name = f"step-{state.total:07d}" + ("-end" if state.stage_end else "")
    final, temporary = folder / name, folder / f"{name}.tmp"
    if final.exists():
        return final
    digests = {k: _sha256(v) for k, v in parts.items()} | {"state": _state_digest(state)}
    record = {"schema": SCHEMA, **asdict(state), "sha256": digests}
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for part, content in {**parts, "state.json": json.dumps(record, indent=1).encode()}.items():
            atomic_write(temporary / part, content)
        os.replace(temporary, final)
    except (OSError, RunError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        why = error.strerror if isinstance(error, OSError) else error.what
        raise RunError(
            f"The checkpoint could not be written: {why}",
            "The one before is intact. Free some space, then `gantool resume` the run.",
        ) from error
    write_json(folder / "latest.json", {"name": name})
    _prune(folder, final)
    return final


def _prune(folder: Path, newest: Path) -> None:
    """Remove rolling checkpoints but the last KEEP, and what killed processes left half written."""
    for leftover in folder.glob("*.tmp"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    rolling = [p for p in sorted(_candidates(folder), key=_age) if not p.name.endswith("-end") and p != newest]
    for old in rolling[: -(KEEP - 1)]:
        away = old.with_name(f"{old.name}.tmp")  # at once, so that whoever reads it meanwhile never sees half of it
        with contextlib.suppress(OSError):
            os.replace(old, away)
            shutil.rmtree(away, ignore_errors=True)


def find_checkpoint(folder: Path, say: Callable[[str], None] = lambda _: None) -> tuple[Path, State] | None:
    """The newest whole checkpoint and its state, or None. Damaged ones are named through `say`.

    Raises:
        RunError: there are checkpoints, and none of them can be read.
    """
    candidates = sorted(_candidates(folder), key=_age, reverse=True)
    for path in candidates:
        try:
            return path, _read_whole(path)
        except (RunError, OSError, LookupError, TypeError, AttributeError, ValueError) as error:
            if path.exists():
                say(f"Checkpoint {path.name} is passed over: {error}")
    if not all(path.exists() for path in candidates):  # the training process has pruned it meanwhile
        return find_checkpoint(folder, say)
    if candidates:
        raise RunError(f"No checkpoint in {folder} can be read.", "Restore the folder from a copy, or train anew.")
    return None


def read_newest(
    folder: Path, read: Callable[[Path], T], say: Callable[[str], None] = lambda _: None
) -> tuple[T, State] | None:
    """What `read` makes of the newest whole checkpoint, and its state; None where there is none.

    Of a run under way: where its process removes the checkpoint while it is being read, the next one is read.

    Raises:
        RunError, OSError: it cannot be read.
    """
    while found := find_checkpoint(folder, say):
        path, state = found
        try:
            return read(path), state
        except (OSError, RunError):
            if path.exists():
                raise
    return None


def _read_whole(path: Path) -> State:
    """The state of a checkpoint all of whose files are as they were written."""
    record = read_json(path / "state.json")
    if record["schema"] != SCHEMA:
        raise RunError(f"it has schema {record['schema']}, this gantool knows {SCHEMA}.")
    state = State(**{name: record[name] for name in State.__dataclass_fields__ if name in record})
    for part, digest in record["sha256"].items():
        found = _state_digest(state) if part == "state" else _sha256((path / part).read_bytes())
        if found != digest:
            raise RunError(f"{'state.json' if part == 'state' else part} is damaged.")
    return state


def set_aside_newer(folder: Path, found: Path) -> None:
    """Rename the damaged checkpoints that are newer than `found` to damaged-*.

    Training comes by those steps again: their names must be free, and they must not count among the KEEP.
    """
    for path in _candidates(folder):
        if _age(path) > _age(found):
            names = (f"damaged-{path.name}" + (f"-{i}" if i > 1 else "") for i in itertools.count(1))
            target = next(folder / name for name in names if not (folder / name).exists())
            try:
                os.replace(path, target)
            except OSError as error:
                raise write_error(path, error) from error


def _candidates(folder: Path) -> list[Path]:
    return [path for path in folder.glob("step-*") if path.suffix != ".tmp"]


def _age(path: Path) -> tuple[int, bool]:
    digits = path.name.removeprefix("step-").removesuffix("-end")
    return (int(digits) if digits.isdigit() else -1, path.name.endswith("-end"))


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a checkpoint. Raises RunError where they cannot be read."""
    file = path / "model.safetensors"
    try:
        return load(file.read_bytes())
    except (OSError, SafetensorError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{file} cannot be read: {why}.", "Restore it from a copy, or train anew.") from error


def fill(model: GanModel, weights: dict[str, Tensor], run: Path) -> None:
    """Fill a model that has entered its stages with the weights of a checkpoint of `run`."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise RunError(
            f"The weights in {run} do not fit this model: {reason}",
            "The run was made with other options or another version; see run.json.",
        ) from error


def load_training(path: Path, model: GanModel, generator: torch.Generator) -> None:
    """Fill optimisers and the random generator from a checkpoint."""
    tensors = load((path / "optim.safetensors").read_bytes())
    for name, optimizer in model.optimizers.items():
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for i, parameter in enumerate(parameters):
            prefix = f"{name}/{i}/"
            for key in [k for k in tensors if k.startswith(prefix)]:
                value = tensors[key]
                # In the parameter's own memory layout, which fused kernels rely on.
                moved = value.to(parameter.device)
                if value.shape == parameter.shape:
                    moved = torch.empty_like(parameter).copy_(moved)
                optimizer.state[parameter][key.removeprefix(prefix)] = moved
    state = load((path / "rng.safetensors").read_bytes())["generator"]
    if state.shape == generator.get_state().shape:
        generator.set_state(state)  # another kind of device has another kind of state, and starts afresh


def _optimizer_tensors(optimizers: dict[str, Optimizer]) -> dict[str, Tensor]:
    """ "<optimizer>/<parameter index>/<slot>" to tensor."""
    out: dict[str, Tensor] = {}
    for name, optimizer in optimizers.items():
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for i, parameter in enumerate(parameters):
            for slot, value in optimizer.state.get(parameter, {}).items():
                out[f"{name}/{i}/{slot}"] = value.detach().clone().contiguous()
    return out


def _state_digest(state: State) -> str:
    """Of what is not at its default: a checkpoint from before there were `images` stays whole."""
    values = {name: value for name, value in asdict(state).items() if name != "images" or value}
    return _sha256(json.dumps(values, sort_keys=True).encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
