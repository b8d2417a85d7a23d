"""Every command that the README names is run, in its order, with the `tiny` preset."""

from __future__ import annotations

import glob
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import gantool
from gantool import registry
from gantool.cli import main as program
from gantool.data.translator_layouts import port_modules
from gantool.errors import Interrupted
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.unet import UNet

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The lines of README's block of gantool commands, comments cut off, one command each."""
    blocks = re.findall(r"```\n(gantool .*?)```", README, flags=re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [command for line in lines for command in re.split(r"\s{2,}", line) if command]


def as_the_port_names_it(network: UNet) -> dict[str, torch.Tensor]:
    """The weights of a network as the PyTorch code of pix2pix saves them."""
    names = port_modules(network)
    parts = {key: key.rpartition(".") for key in network.state_dict()}
    return {f"{names[module]}.{kind}": network.state_dict()[key] for key, (module, _, kind) in parts.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    for name in ("photos", "held-out", "maps"):
        (folder / name).mkdir()
    maps = [f"maps/{name}.png" for name in "abcdefghij"]
    for name in (
        "photo.jpg",
        *(name.replace("maps", "photos").replace("png", "jpg") for name in maps),
        "held-out/c.png",
    ):
        Image.fromarray(rng.integers(0, 255, (33, 36, 3), dtype=np.uint8)).save(folder / name)
    for name in ("animals/cat/a.jpg", "animals/cat/b.jpg", "animals/dog/c.jpg", "animals/dog/d.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (30, 36, 3), dtype=np.uint8)).save(folder / name)
    for name in maps:
        Image.fromarray(rng.integers(0, 255, (40, 38, 3), dtype=np.uint8)).save(folder / name)
    (folder / "samples").mkdir()
    with zipfile.ZipFile(folder / "generated.zip", "w") as archive:
        for name in ("a.png", "b.png"):
            Image.fromarray(rng.integers(0, 255, (30, 36, 3), dtype=np.uint8)).save(folder / "samples" / name)
            archive.write(folder / "samples" / name, name)
    for name in ("composite.png", "edited.png", "painting.png"):
        changed = np.asarray(Image.open(folder / "photo.jpg")).copy()
        changed[8:20, 10:24] = 255 - changed[8:20, 10:24] // 2
        Image.fromarray(changed).save(folder / name)
    torch.save({"params": MSRResNet(4, 8, 2).state_dict()}, folder / "weights.pth")  # as BasicSR's files are
    torch.save(as_the_port_names_it(UNet(layers=5, width=4)), folder / "latest_net_G.pth")
    return folder


@pytest.fixture(scope="module")
def weights(inception_file, tmp_path_factory) -> Path:
    """Random ones, taken in as a user's own: the first blocks of torchvision's Inception, and the one of FID."""
    golden = np.load(Path(__file__).parent / "golden" / "singan_sifid.npz")
    folder = tmp_path_factory.mktemp("own")
    first = {key[2:]: torch.from_numpy(golden[key]) for key in golden.files if key.startswith("w/")}
    torch.save(first, folder / "inception-torchvision.unverified.pth")
    (folder / "inception-2015.unverified.pth").symlink_to(inception_file)
    return folder


@pytest.fixture(scope="module")
def interrupted(place: Path) -> Path:
    """A run stopped after two steps."""
    steps: list[int] = []
    with pytest.raises(Interrupted):
        gantool.train(
            "consingan",
            place / "photo.jpg",
            preset="tiny",
            iterations=3,
            out=place / "stopped",
            stop=lambda: bool(steps.append(1)) or len(steps) == 2,
        )
    run = gantool.open_run("latest", place / "stopped")
    assert run.dir.status() == "interrupted"
    return run.path


def test_readme_names_the_commands_people_need() -> None:
    named = {command.split()[1] for command in commands()}
    assert {
        "harmonize",
        "edit",
        "paint",
        "superres",
        "export",
        "train",
        "sample",
        "animate",
        "data",
        "translate",
        "interpolate",
        "eval",
        "report",
        "resume",
        "runs",
        "families",
        "info",
        "doctor",
    } <= named


class Done(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


def as_a_program(arguments: list[str], place: Path, weights: Path) -> Done:
    """The command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "gantool", *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GANTOOL_WEIGHTS": str(weights)},
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", commands())
def test_command_works(
    command: str,
    place: Path,
    interrupted: Path,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All but those that start processes run in this one, which saves each of them the start of Python and torch."""
    arguments = shlex.split(command.replace("RUN", str(interrupted)))
    if arguments[1] == "train":
        length = "--iterations" if registry.get(arguments[2]).data == "image" else "--steps"
        arguments += ["--preset", "tiny", length, "2"]
        arguments = [file for word in arguments for file in (sorted(glob.glob(word, root_dir=place)) or [word])]
    if arguments[1] in ("harmonize", "superres") and "latest" not in arguments and "--model" not in arguments:
        arguments += ["--preset", "tiny", "--set", "iterations=2"]
    if arguments[1] == "animate":
        arguments += ["--frames", "3"]
    if "--devices" in arguments:
        done = as_a_program(arguments[1:], place, weights)
    else:
        monkeypatch.chdir(place)
        monkeypatch.setenv("GANTOOL_WEIGHTS", str(weights))
        code = program.run(arguments[1:])
        done = Done(code, *capsys.readouterr())
    assert done.code == 0, done.err
    assert done.out.strip() or "--dry-run" in arguments
    assert "Traceback" not in done.err
    if arguments[1] == "resume":
        assert gantool.open_run(interrupted).dir.status() == "finished"


def test_python_example_works(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    code = example.replace('preset="fast"', 'preset="tiny", iterations=2')
    assert code != example
    monkeypatch.chdir(place)
    exec(code, {})
