"""Ways to run the command line: in this process (quick), in a copy of it (signals) and as a program (start-up)."""

import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from gantool import registry
from gantool.cli import launch
from gantool.cli import main as program

PLUGIN = """
from dataclasses import dataclass, replace
from typing import Literal

from gantool.family import FamilySpec, Preset
from gantool.options import opt


@dataclass(frozen=True, kw_only=True)
class SlowConfig:
    steps: int = opt(3, "how many steps there are", ge=1)
    pause: float = opt(0.0, "seconds that a step sleeps", group="Pauses", ge=0)
    mood: Literal["gay", "grave"] = opt("gay", "how it feels [really]")
    sizes: tuple[int, ...] = opt((1, 2), "something that only TOML can say")


@dataclass(frozen=True, kw_only=True)
class GreedyConfig:
    device: str = opt("x", "a name that gantool has for itself")


PRESETS = {"paper": Preset("all"), "fast": Preset("some"), "tiny": Preset("few", {"steps": 2})}
SPEC = FamilySpec("slow", "SlowGAN", 2020, "A paper", "It sleeps.", SlowConfig, PRESETS, "slowgan_model:Slow")
GREEDY = replace(SPEC, name="greedy", title="GreedyGAN", config=GreedyConfig)
NOT_A_SPEC = 3
"""

MODEL = """
import time

import torch
from torch import nn

from gantool.engine.model import GanModel, Stage, adam


class Slow(GanModel):
    def __init__(self, config, shape):
        super().__init__(config, shape)
        self.config, self.shape = config, shape
        self.generator = nn.Conv2d(3, 3, 1)

    def stages(self):
        return [Stage(0, "main", self.config.steps, (self.shape.height, self.shape.width))]

    def enter(self, stage):
        self.optimizers["g"] = adam([{"params": list(self.generator.parameters()), "lr": 1e-3}], (0.5, 0.9))

    def train_step(self, batch, ctx):
        time.sleep(self.config.pause)
        loss = self.generator(ctx.randn(3, 4, 4)).square().mean()
        ctx.minimize(self.optimizers["g"], loss)
        return {"loss": loss.detach()}

    def sample(self, request):
        return torch.zeros(len(request.seeds), 3, *(request.size or (8, 8)))
"""

ENTRY_POINTS = """[gantool.families]
broken = slowgan_missing:SPEC
crash = slowgan_crash:SPEC
greedy = slowgan:GREEDY
number = slowgan:NOT_A_SPEC
slow = slowgan:SPEC
"""


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def reply(self):
        """The JSON object on stdout, of which there must be exactly one."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self.out
        return json.loads(lines[0])

    @property
    def data(self):
        assert self.reply["ok"] is True
        return self.reply["data"]


@pytest.fixture
def cli(capfd, monkeypatch):
    """Run words in this process."""
    monkeypatch.setenv("COLUMNS", "250")

    def call(*words):
        capfd.readouterr()
        code = program.run([str(word) for word in words])
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return call


def picture(path, seed=0, size=(48, 36)):
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory with the picture a.png."""
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "a.png")
    return tmp_path


@pytest.fixture
def pictures(here, monkeypatch):
    """Twelve pictures in the working directory; one thread, so that results do not hang on the machine."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    random, folder = np.random.default_rng(0), here / "pictures"
    folder.mkdir()
    for i in range(12):
        noise = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((18, 20)).save(folder / f"{i}.png")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield here
    torch.set_num_threads(threads)


@pytest.fixture
def weights():
    """Gives the model's tensors of a run's newest checkpoint."""

    def weights(run):
        checkpoints = run / "checkpoints"
        newest = json.loads((checkpoints / "latest.json").read_text())["name"]
        return load_file(checkpoints / newest / "model.safetensors")

    return weights


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished tiny run, its folder of runs being the third parent."""
    import gantool

    folder = tmp_path_factory.mktemp("trained")
    run = gantool.train("consingan", picture(folder / "photo.png"), preset="tiny", seed=1, out=folder / "runs")
    return run.path


@pytest.fixture(scope="session")
def plugin_folder(tmp_path_factory):
    """A folder that, on sys.path, is an installed package with good and broken families."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "slowgan.py").write_text(PLUGIN)
    (folder / "slowgan_model.py").write_text(MODEL)
    (folder / "slowgan_crash.py").write_text("raise SystemExit('this plug-in leaves')\n")
    info = folder / "slowgan-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slowgan\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


@pytest.fixture
def plugin(plugin_folder, monkeypatch):
    """The package is installed in this process."""
    monkeypatch.syspath_prepend(str(plugin_folder))
    registry.entries.cache_clear()
    yield
    registry.entries.cache_clear()


class Copy:
    """A copy of this process that runs the program: as much of `subprocess.Popen` as tests and --devices need.

    To start Python and import PyTorch and its compiler takes seconds; they are in memory here.
    """

    def __init__(self, command, *, env, cwd=None, stdin=None, stdout=None, stderr=None, **session):
        import torch._dynamo  # noqa: F401  Adam does, in each process

        import gantool.tasks.train  # noqa: F401

        self.returncode, self._said = None, None
        pipes = {number: os.pipe() for number, file in ((1, stdout), (2, stderr)) if file == subprocess.PIPE}
        files = {0: stdin, 1: stdout, 2: stderr, **{number: writing for number, (_, writing) in pipes.items()}}
        sys.stdout.flush(), sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                code = self._work(command[3:], env, cwd, files, **session)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        for _, writing in pipes.values():
            os.close(writing)
        self.stdout, self.stderr = (os.fdopen(pipes[number][0]) if number in pipes else None for number in (1, 2))

    @staticmethod
    def _work(words, env, cwd, files, start_new_session=False, preexec_fn=None):
        if start_new_session:
            os.setsid()
        if preexec_fn:
            preexec_fn()
        for number, file in files.items():
            if file is not None:
                file = os.open(os.devnull, os.O_RDWR) if file == subprocess.DEVNULL else file
                os.dup2(file if isinstance(file, int) else file.fileno(), number)
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
        os.chdir(cwd or ".")
        os.environ.clear()
        os.environ.update(env)
        sys.path[:0] = env["PYTHONPATH"].split(os.pathsep)
        importlib.invalidate_caches()
        registry.entries.cache_clear()
        torch.set_num_threads(1)
        launch.subprocess = SimpleNamespace(Popen=Copy, DEVNULL=subprocess.DEVNULL)
        try:
            program.main(words)
        except SystemExit as end:
            return end.code
        finally:
            sys.stdout.flush()

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout=60):
        until = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        return self.returncode

    def communicate(self, timeout=60):
        """What it says from now on; killed if that takes longer."""
        if self._said is None:
            killer = threading.Timer(timeout, self.kill)
            killer.start()
            with ThreadPoolExecutor(1) as other:
                err = other.submit(self.stderr.read)
                self._said = self.stdout.read(), err.result()
            killer.cancel()
            self.stdout.close(), self.stderr.close()
        self.wait()
        return self._said

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def starter(plugin_folder, popen):
    """Starts the program with the plug-in installed; killed at the end if need be."""
    started = []

    def start(*words, cwd, env=()):
        path = os.pathsep.join([str(plugin_folder), os.environ.get("PYTHONPATH", "")])
        process = popen(
            [sys.executable, "-m", "gantool", *map(str, words)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": path, **dict(env)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def start_anew(plugin_folder):
    """Start the program as a shell does: Python, then `-m gantool`."""
    yield from starter(plugin_folder, functools.partial(subprocess.Popen, text=True))


@pytest.fixture
def start(plugin_folder):
    """Start the program in a copy of this process, where that goes."""
    # PyTorch's threads of backward passes, of which a GPU brings some, are not copied.
    copies = hasattr(os, "fork") and not torch.cuda.is_available()
    yield from starter(plugin_folder, Copy if copies else functools.partial(subprocess.Popen, text=True))
