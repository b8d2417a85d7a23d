"""A model of a few numbers that draws, grows and measures as the real ones do, and ways to break its training."""

from __future__ import annotations

import copy
import json
import os
import signal
import socket

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from torch import nn

from gantool.engine.model import Context, GanModel, Stage, adam, set_learning_rates
from gantool.engine.rundir import RunDir
from gantool.engine.trainer import Trainer
from gantool.family import DataShape
from gantool.settings import Settings

STEPS = (7, 5, 6)


class Toy(GanModel):
    """Each stage appends a layer; a step draws noise and a place, and trains two optimisers."""

    def __init__(self, steps=STEPS, costs=None, on_step=lambda stage, step: None) -> None:
        super().__init__(None, DataShape(1, 1))
        self.steps, self.costs, self.on_step = steps, costs or [1.0] * len(steps), on_step
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(11)
            self.layers = nn.ModuleList([nn.Linear(4, 4)])
            self.critic = nn.Conv2d(4, 4, 3)
        self.register_buffer("amps", torch.zeros(len(steps)))
        self.loss_factor = 1.0

    def stages(self):
        pairs = zip(self.steps, self.costs, strict=True)
        return [Stage(k, f"stage {k + 1}", n, (4, 4), cost) for k, (n, cost) in enumerate(pairs)]

    def enter(self, stage):
        if stage.index:
            self.layers.append(copy.deepcopy(self.layers[-1]))
        self.optimizers = {
            "layers": adam([{"params": list(self.layers[-1].parameters()), "lr": 1e-2}], (0.5, 0.999)),
            "critic": adam([{"params": list(self.critic.parameters()), "lr": 1e-2}], (0.5, 0.999)),
        }

    def prepare(self, stage, data, ctx):
        self.amps[stage.index] = ctx.rand()

    def train_step(self, batch, ctx):
        self.on_step(ctx.stage.index, ctx.step)
        for optimizer in self.optimizers.values():
            set_learning_rates(optimizer, 0.1 if ctx.step >= 0.8 * ctx.stage.steps else 1.0)
        x = ctx.randn(4, 4, 4)
        x = x[:, int(torch.randint(4, (), generator=ctx.host_generator))] + self.amps[ctx.stage.index]
        for layer in self.layers:
            x = layer(x).tanh()
        first = (self.layers[-1](x).square().mean() - 0.3).square()
        ctx.minimize(self.optimizers["layers"], first)
        second = self.critic(ctx.randn(4, 4, 4)).square().mean() * self.loss_factor
        ctx.minimize(self.optimizers["critic"], second)
        return {"first": first.detach(), "second": second.detach()}

    def leave(self, stage):
        self.amps[stage.index] += 1

    def sample(self, request):
        return torch.zeros(len(request.seeds), 3, 4, 4)


class Data:
    position = 0

    def seek(self, position):
        assert position == 0

    def batch(self, step):
        return None


def make_trainer(path, model=None, *, seed=5, **more):
    """A trainer in the run directory `path`, which is made if need be."""
    path.mkdir(parents=True, exist_ok=True)
    names = ("max_time", "save_every", "log_every", "device")
    settings = Settings(seed=seed, **{"save_every": 0.0, **{k: more.pop(k) for k in names if k in more}})
    return Trainer(model or Toy(), Data(), RunDir(path), settings, **more)


def by_hand(seed=5, steps=STEPS):
    """What training is, without the trainer: model, generator, and the losses of every step."""
    model, generator, losses = Toy(steps), torch.Generator().manual_seed(seed), []
    for stage in model.stages():
        model.enter(stage)
        ctx = Context(torch.device("cpu"), generator, stage)
        model.prepare(stage, None, ctx)
        for ctx.step in range(stage.steps):
            losses.append({k: float(v) for k, v in model.train_step(None, ctx).items()})
        model.leave(stage)
    return model, generator, losses


def newest(path):
    """Name and bytes of the newest checkpoint's tensors, and its state without the time."""
    folder = path / "checkpoints"
    last = folder / json.loads((folder / "latest.json").read_text())["name"]
    state = json.loads((last / "state.json").read_text())
    parts = {part: (last / f"{part}.safetensors").read_bytes() for part in ("model", "optim", "rng")}
    return last.name, parts, [state[key] for key in ("stage", "step", "schedule", "stage_end")]


def in_a_child(work, seconds=60):
    """Run `work` in a forked process; its wait status. It shares nothing but files."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(1)
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def toy():
    """Everything above, since test modules cannot import each other."""
    from types import SimpleNamespace

    return SimpleNamespace(
        Toy=Toy, STEPS=STEPS, trainer=make_trainer, by_hand=by_hand, newest=newest, in_a_child=in_a_child
    )


@pytest.fixture(scope="session")
def never_stopped(tmp_path_factory):
    """The newest checkpoint of a run that nothing disturbed."""
    path = tmp_path_factory.mktemp("toy") / "run"
    make_trainer(path).fit()
    return newest(path)


@pytest.fixture
def in_processes(monkeypatch, tmp_path):
    """Call `work(rank)` in so many processes, as torchrun would; what each returned, as text, and how it ended.

    They are forked, since starting Python and importing torch takes seconds; what each would import is imported here.
    """
    import torch._dynamo  # noqa: F401  by Adam

    import gantool.tasks.train  # noqa: F401

    def begin(rank, count, work):
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            signal.alarm(60)
            os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count)}
            (tmp_path / f"said-{rank}").write_text(str(work(rank)))
            code = 0
        finally:
            os._exit(code)

    def call(count, work):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            monkeypatch.setenv("MASTER_PORT", str(free.getsockname()[1]))
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo" if os.path.exists("/sys/class/net/lo") else "lo0")
        files = [tmp_path / f"said-{rank}" for rank in range(count)]
        for file in files:
            file.unlink(missing_ok=True)
        children = [begin(rank, count, work) for rank in range(count)]
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        return [(file.read_text() if file.exists() else None, end) for file, end in zip(files, ends, strict=True)]

    return call
