"""Two processes with half of each batch train as one does with the whole; what they write, and how they go on."""

import functools
import json
import os
import sys
import traceback
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import gantool
from gantool.data.batches import Batches
from gantool.engine import trainer
from gantool.engine.world import current_world
from gantool.errors import Interrupted, UsageError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forked")

# What a step may be made of, with all that draws random numbers or looks at a whole batch.
GAMES = {
    "recipe": ("dcgan", {}),
    "remedies": (
        "dcgan",
        {
            "soft_labels": 0.9,
            "flip_labels": 0.1,
            "ema": 0.9,
            "diffaugment": "color,translation,cutout,flip",
            "ada": 0.6,
        },
    ),
    "penalty": ("dcgan", {"loss": "wasserstein", "gp": 10.0, "norm_d": "none", "d_steps": 2, "reuse_fakes": False}),
    "r1, spectral norm": ("dcgan", {"r1": 1.0, "spectral_norm": True, "norm_d": "none", "noise": "uniform"}),
    "one at a time": ("dcgan", {"margin": 0.0}),
    "classes": ("cgan", {}),
    "classifier": ("acgan", {"dropout": 0.0, "optimizer": "adam"}),
    "pairs, dropout": ("pix2pix", {"dropped": "first", "load_size": 40}),
    "fully connected": ("gan", {"dropout": 0.0, "norm_g": "batch"}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes of four pictures."""
    random, root = np.random.default_rng(2), tmp_path_factory.mktemp("sets") / "animals"
    for i in range(12):
        file = root / ("cat", "dog", "owl")[i % 3] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((18, 20)).save(file)
    return root


def in_double(work):
    """`work(rank)` where networks, pictures and noise are float64: rounding shows nowhere, mistakes everywhere."""

    def call(rank):
        try:
            torch.set_default_dtype(torch.float64)
            torch.set_num_threads(1)
            trainer.Context = functools.partial(trainer.Context, dtype=torch.float64)
            pictures = Batches.next

            def doubled(self, device=torch.device("cpu")):
                batch = pictures(self, device)
                given = None if batch.given is None else batch.given.double()
                return replace(batch, images=batch.images.double(), given=given)

            Batches.next = doubled
            return work(rank)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            raise

    return call


def train(out, folder, count, family="dcgan", *, stop_after=None, **options):
    """What a process does: train, or stop after so many steps."""
    left = [stop_after]

    def stop():
        if left[0] is not None:
            left[0] -= 1
        return left[0] == 0

    def work(rank):
        words = {"preset": "tiny", "seed": 3, "device": "cpu", "out": out, "devices": count, "workers": 1, **options}
        try:
            gantool.train(family, folder, stop=stop, log_every=1, **words)
        except Interrupted:
            return "stopped"
        assert current_world().size == 1
        return "done"

    return in_double(work)


def run_in(out):
    [file] = out.glob("*/*/run.json")
    return file.parent


def weights(out):
    """Every tensor of the newest checkpoint, optimisers and the generator of random numbers included."""
    checkpoints = run_in(out) / "checkpoints"
    newest = checkpoints / json.loads((checkpoints / "latest.json").read_text())["name"]
    files = {part: load_file(newest / f"{part}.safetensors") for part in ("model", "optim", "rng")}
    return {f"{part} {name}": value for part, values in files.items() for name, value in values.items()}


def compare(found, expected, *, rtol=1e-9, atol=1e-12):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=rtol, atol=atol, msg=lambda text, n=name: f"{n}: {text}")


def logged(out):
    lines = (run_in(out) / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@pytest.mark.parametrize("game", GAMES)
def test_two_processes_are_one_with_the_whole_batch(in_processes, folder, tmp_path, game):
    family, options = GAMES[game]
    one, two = tmp_path / "one", tmp_path / "two"
    assert in_processes(1, train(one, folder, 1, family, steps=6, **options)) == [("done", 0)]
    assert in_processes(2, train(two, folder, 2, family, steps=6, **options)) == [("done", 0)] * 2
    expected = weights(one)
    compare(weights(two), expected)
    assert any("running_mean" in name for name in expected) or family == "gan" or "norm_d" in options
    first, second = logged(one), logged(two)
    assert len(first) == len(second) == 6
    for a, b in zip(first, second, strict=True):
        assert b == pytest.approx(a, rel=1e-5)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 2)])
def test_another_number_of_processes_goes_on_to_the_same_weights(in_processes, folder, tmp_path, before, after):
    options = {"steps": 7, "ema": 0.9, "soft_labels": 0.9}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert in_processes(1, train(whole, folder, 1, **options)) == [("done", 0)]
    begun = in_processes(before, train(parts, folder, before, stop_after=3, **options))
    assert begun == [("stopped", 0)] * before
    assert [entry["step"] for entry in logged(parts)] == [1, 2, 3]

    def go_on(rank):
        return gantool.resume(run_in(parts)).path

    assert in_processes(after, in_double(go_on)) == [(str(run_in(parts)), 0)] * after
    compare(weights(parts), weights(whole))
    assert [entry["step"] for entry in logged(parts)] == list(range(1, 8))
    assert [entry["images"] for entry in logged(parts)] == list(range(4, 32, 4))


def test_one_process_asked_to_stop_stops_all(in_processes, folder, tmp_path):
    def work(rank):
        return train(tmp_path / "runs", folder, 2, stop_after=4 if rank == 1 else None, steps=50)(rank)

    assert in_processes(2, work) == [("stopped", 0)] * 2
    assert weights(tmp_path / "runs")
    assert len(logged(tmp_path / "runs")) == 4


def test_a_batch_that_cannot_be_shared_is_told_once(in_processes, folder, tmp_path):
    def work(rank):
        with pytest.raises(UsageError, match="A batch of 5 cannot be shared equally by 2 devices") as caught:
            gantool.train("dcgan", folder, preset="tiny", batch=5, devices=2, device="cpu", out=tmp_path / "runs")
        return "quiet" if caught.value.quiet else "speaks"

    assert sorted(in_processes(2, work)) == [("quiet", 0), ("speaks", 0)]
    assert not (tmp_path / "runs").exists()


def test_each_file_is_written_once(in_processes, folder, tmp_path):
    """And by the first process: the other one is refused what would change anything there."""

    def work(rank):
        if rank:
            sys.addaudithook(refuse)
        return train(tmp_path / "runs", folder, 2, steps=4, save_every=0, preview_every=2)(rank)

    def refuse(event, arguments):
        changes = event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir")
        if event == "open":
            changes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        assert not (changes and str(arguments[0]).startswith(str(tmp_path / "runs"))), f"{event} {arguments}"

    assert in_processes(2, work) == [("done", 0)] * 2
    run = run_in(tmp_path / "runs")
    names = sorted(folder.name for folder in (run / "checkpoints").iterdir())
    assert names == ["latest.json", "step-0000003", "step-0000004-end"]  # the last two, once each
    assert [entry["step"] for entry in logged(tmp_path / "runs")] == [1, 2, 3, 4]
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
