"""Does everything work here? One check a line, each with a remedy where there is one."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gantool import registry
from gantool._version import __version__
from gantool.errors import DataError

OLDEST_PYTHON, OLDEST_TORCH = (3, 11), (2, 6)
LITTLE_SPACE, NO_SPACE = 2e9, 1e8  # bytes: warn below, fail below
DRIVER = Path("/proc/driver/nvidia/version")
COMPLETIONS = (".bash_completions/gantool.sh", ".zfunc/_gantool", ".config/fish/completions/gantool.fish")


@dataclass(frozen=True)
class Check:
    """One finding. `fix` says what to do, and is empty where nothing is to be done."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


def examine(out: str | Path = "runs") -> list[Check]:
    """All checks. Imports torch; writes nothing that stays.

    Args:
        out: the folder that runs go to; it need not exist yet.
    """
    checks = [_python(), Check("gantool", "ok", __version__), *_torch(), _ffmpeg(), *_space(Path(out))]
    return [*checks, _torchvision(), _weights(), *_families(), _completion()]


def _python() -> Check:
    version = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "fail", f"{version} is too old.", "Use Python 3.11 or newer.")
    return Check("python", "ok", f"{version}, {sys.platform} {platform.machine()}")


def _torch() -> Iterator[Check]:
    try:
        import torch
    # A broken installation raises ImportError, OSError (a missing library) and more.
    except Exception as error:
        yield Check("torch", "fail", f"cannot be imported: {_reason(error)}.", "Install torch again; see pytorch.org.")
        return
    version = torch.__version__
    digits = tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())
    if digits < OLDEST_TORCH:
        yield Check("torch", "fail", f"{version} is too old.", "pip install --upgrade 'torch>=2.6'")
    else:
        yield Check("torch", "ok", version)
    yield _threads(torch.get_num_threads())
    yield _accelerator()


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _torchvision() -> Check:
    try:
        from gantool.nn.vision import version
    except Exception as error:  # as above
        fix = "Install the torchvision that belongs to this torch; see pytorch.org."
        return Check("torchvision", "fail", f"cannot be imported: {_reason(error)}.", fix)
    return Check("torchvision", "ok", version)


def _weights() -> Check:
    """Which networks of the evaluators are here. None has to be: commands that need one say so."""
    from gantool.weights.catalogue import CATALOGUE
    from gantool.weights.store import published, weights_dir

    here = []
    for weights in CATALOGUE:
        try:
            if published(weights) is not None:
                here.append(weights.name)
        except DataError as error:
            return Check("weights", "warn", error.what, error.hint)
    detail = f"{', '.join(here) or 'none'} (of {len(CATALOGUE)}) in {weights_dir()}"
    return Check("weights", "ok", detail if here else f"{detail}; `gantool weights` fetches them")


def _threads(threads: int) -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    detail = f"{threads} for {cores} processors"
    if threads > cores:
        return Check("threads", "warn", detail + ": they are in each other's way.", f"OMP_NUM_THREADS={cores}")
    return Check("threads", "ok", detail)


def _accelerator() -> Check:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        driver = _driver_version()
        return Check("accelerator", "ok", f"{', '.join(names)}; CUDA {torch.version.cuda}{driver}")
    if torch.backends.mps.is_available():
        return Check("accelerator", "ok", "Apple GPU (mps)")
    if DRIVER.exists() or shutil.which("nvidia-smi"):
        if torch.version.cuda is None:
            fix = "Install the CUDA build of torch; see pytorch.org."
            return Check("accelerator", "warn", "an NVIDIA driver is here, but torch is a CPU build.", fix)
        fix = f"Update the driver to one that knows CUDA {torch.version.cuda}; `nvidia-smi` should list a GPU."
        return Check("accelerator", "warn", f"torch cannot use the NVIDIA GPU{_driver_version()}.", fix)
    return Check("accelerator", "ok", "none: the CPU is used")


def _driver_version() -> str:
    """ ", driver 550.54.15" or nothing."""
    try:
        words = DRIVER.read_text(errors="replace").splitlines()[0].split()
    except (OSError, IndexError):
        return ""
    version = next((w for w in words if w[0].isdigit() and "." in w), "")
    return f", driver {version}" if version else ""


def _ffmpeg() -> Check:
    found = shutil.which("ffmpeg")
    if found is None:
        return Check("ffmpeg", "warn", "is not installed: films are GIF only.", "Install the program ffmpeg.")
    return Check("ffmpeg", "ok", found)


def _space(out: Path) -> Iterator[Check]:
    """Of the folder that `out` is or will be made in."""
    folder = out.resolve()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    elsewhere = "Choose another folder with --out."
    if not folder.is_dir():
        yield Check("write access", "fail", f"{folder} is no folder.", elsewhere)
        return
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        yield Check("write access", "ok", str(folder))
    except OSError as error:
        yield Check("write access", "fail", f"{folder}: {error.strerror or error}.", elsewhere)
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free in {folder}"
    if free < LITTLE_SPACE:
        yield Check("disk", "fail" if free < NO_SPACE else "warn", detail + ".", "Free some space.")
    else:
        yield Check("disk", "ok", detail)


def _families() -> Iterator[Check]:
    entries = registry.entries()
    working = [entry.name for entry in entries if entry.spec is not None]
    yield Check("families", "ok", ", ".join(working))
    for entry in entries:
        if entry.spec is None:
            detail = f"{entry.name} ({entry.origin}) is broken: {entry.problem}."
            yield Check("plug-in", "warn", detail, "Update or uninstall that package.")


def _completion() -> Check:
    if any((Path.home() / place).exists() for place in COMPLETIONS):
        return Check("completion", "ok", "installed")
    return Check("completion", "ok", "not installed; `gantool --install-completion` adds it")
