"""examples/plugin, as it is once installed: a family like ours. And packages whose families are broken."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gantool
from gantool import registry
from gantool.cli import main as program
from gantool.errors import GantoolError, UsageError
from gantool.family import DataShape
from gantool.options import resolve
from gantool.registry import BUILT_IN
from gantool.tasks.runs import new_model

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "examples" / "plugin"
PROJECT = tomllib.loads((SOURCE / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def install(site, name, version, points):
    """What an installer leaves for importlib.metadata to find."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{key} = {value}" for key, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[gantool.families]", *lines, ""]))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the example installed, to go on PYTHONPATH."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(SOURCE / "gantool_spatialgan", site / "gantool_spatialgan")
    points = PROJECT["entry-points"]["gantool.families"]
    install(site, PROJECT["name"], PROJECT["version"], points)
    return site


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photo")
    coarse = np.random.default_rng(3).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((60, 44), Image.Resampling.BICUBIC).save(folder / "photo.png")
    return folder / "photo.png"


def python(site, *words):
    """What Python says with the folder's packages installed."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def install_here(monkeypatch):
    """Installs folders' packages in this process."""

    def install_here(*folders):
        for folder in folders:
            monkeypatch.syspath_prepend(str(folder))
        registry.entries.cache_clear()

    yield install_here
    registry.entries.cache_clear()


@pytest.fixture
def spatialgan(site, install_here):
    """The example's module, installed in this process."""
    install_here(site)
    import gantool_spatialgan

    return gantool_spatialgan


# --- the example ----------------------------------------------------------------------------------------


def test_the_package_contains_what_it_names():
    assert PROJECT["entry-points"]["gantool.families"] == {"spatialgan": "gantool_spatialgan:SPEC"}
    assert (SOURCE / PROJECT["readme"]).is_file()


def test_it_keeps_the_contract(site):
    """The contract tests take every family that is installed."""
    words = ["-m", "pytest", "-k", "spatialgan", "-p", "no:cacheprovider", "tests/families/test_contract.py"]
    assert " passed" in python(site, *words)


def test_the_command_line_knows_it(spatialgan, photo, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("COLUMNS", "200")

    def said(*words):
        assert program.run([str(word) for word in words]) == 0
        return capfd.readouterr().out

    assert "gantool-spatialgan 0.1.0" in said("families")
    text = " ".join(said("train", "spatialgan", "--help").split())
    for part in ("--iterations", "--doublings", "--crop", "[full|fast|tiny]", "crops a step [default: 16]", "Networks"):
        assert part in text
    words = ["train", "spatialgan", photo, "--preset", "tiny", "--channels", "3", "--out", tmp_path, "--json"]
    run = json.loads(said(*words))["data"]["runs"][0]
    assert (run["status"], run["steps"]) == ("finished", 12)
    options = json.loads(said("config", "show", run["path"], "--json"))["data"]["options"]
    assert options["channels"] == {"value": 3, "origin": "flag"}
    assert options["crop"] == {"value": 24, "origin": "preset tiny"}
    files = json.loads(said("sample", run["path"], "-n", "2", "--size", "101x37", "--json"))["data"]["files"]
    assert [Image.open(file).size for file in files] == [(101, 37)] * 2


@pytest.fixture
def model(spatialgan):
    """A new one, and its options."""
    torch.manual_seed(0)
    spec = spatialgan.SPEC
    config = resolve(spec.config, ("tiny", spec.preset("tiny").values)).config
    return new_model(spec, config, DataShape(44, 60), 0, torch.device("cpu")).eval(), config


def test_moving_the_noise_by_a_cell_moves_the_texture(model):
    """It is stationary up to its edges: nothing of the zero padding is left in a picture."""
    model, _ = model
    s = model.cell
    assert s == 4
    z = torch.randn(model.noise_shape(1, 40, 40))
    here = model.generate(z, 36, 36)
    there = model.generate(z[:, :, 1:, 1:], 36, 36)
    assert (here[:, :, s:, s:] - there[:, :, :-s, :-s]).abs().max() < 1e-5
    assert (here - there).abs().max() > 1e-3
    shifted = model.generate(z, 36, 36, 1, 2)
    assert (here[:, :, 1:, 2:] - shifted[:, :, :-1, :-2]).abs().max() == 0


def test_a_score_sees_as_much_as_the_options_say(model):
    model, config = model
    x = torch.zeros(1, 3, 24, 24, requires_grad=True)
    model.discriminator(x)[0, 0, 0, 0].backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero()
    assert int(rows.max()) + 1 == config.sight == 10


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"crop": 45}, "The picture is 60x44 pixels, smaller than the crops of 45."),
        ({"doublings": 4}, "--crop 24 is too small for --doublings 4."),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(spatialgan, photo, tmp_path, options, what):
    with pytest.raises(GantoolError) as caught:
        gantool.train("spatialgan", photo, out=tmp_path, preset="tiny", **options)
    assert caught.value.what == what


# --- broken packages ------------------------------------------------------------------------------------

SPEC = """
from dataclasses import dataclass
from gantool.family import FamilySpec, Preset

@dataclass(frozen=True)
class Config: pass

SPEC = FamilySpec("NAME", "Name", 2020, "2020", "It is.", Config, {"tiny": Preset("few")}, "nothing:Here")
"""


@pytest.fixture(scope="module")
def broken(site, tmp_path_factory):
    """Packages with one mistake each, beside the example."""
    folder = tmp_path_factory.mktemp("broken")
    modules = {
        "b_raises": "raise ZeroDivisionError('on import')",
        "b_leaves": "import sys; sys.exit('no licence')",
        "b_number": "SPEC = 3",
        "b_taken": SPEC.replace("NAME", "consingan"),
        "b_renamed": SPEC.replace("NAME", "other"),
        "b_whole": SPEC.replace("NAME", "twice"),
    }
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    points = {
        "raises": "b_raises:SPEC",
        "leaves": "b_leaves:SPEC",
        "number": "b_number:SPEC",
        "consingan": "b_taken:SPEC",
        "renamed": "b_renamed:SPEC",
        "gone": "b_gone:SPEC",
        "empty": "b_number:NOTHING",
        "twice": "b_raises:SPEC",
    }
    install(folder, "broken", "2.0", points)
    install(folder, "second", "1.0", {"spatialgan": "b_raises:SPEC", "twice": "b_whole:SPEC"})
    return site, folder


def test_broken_families_are_listed_with_their_reason_and_stop_nothing(broken):
    code = (
        "import json; from gantool import registry\n"
        "print(json.dumps([[e.name, e.origin, e.problem, e.spec is None] for e in registry.entries()]))"
    )
    found = [tuple(row) for row in json.loads(python(os.pathsep.join(map(str, broken)), "-c", code))]
    ours = [(name, "built-in", "", False) for name in BUILT_IN]
    assert found[: len(ours)] == ours
    assert set(found[len(ours) :]) == {
        ("consingan", "broken 2.0", "the name consingan is taken already", True),
        ("raises", "broken 2.0", "ZeroDivisionError: on import", True),
        ("leaves", "broken 2.0", "SystemExit: no licence", True),
        ("number", "broken 2.0", "b_number:SPEC is no FamilySpec", True),
        ("renamed", "broken 2.0", "its spec calls itself other", True),
        ("gone", "broken 2.0", "ModuleNotFoundError: No module named 'b_gone'", True),
        ("empty", "broken 2.0", "AttributeError: module 'b_number' has no attribute 'NOTHING'", True),
        ("twice", "broken 2.0", "ZeroDivisionError: on import", True),
        ("twice", "second 1.0", "", False),  # a broken family does not keep its name
        ("spatialgan", "gantool-spatialgan 0.1.0", "", False),
        ("spatialgan", "second 1.0", "the name spatialgan is taken already", True),
    }


def test_what_works_works_beside_broken_families(broken, photo, tmp_path, install_here):
    site, folder = broken
    install_here(folder, site)  # each before what is there
    assert list(registry.families()) == [*registry.BUILT_IN, "spatialgan", "twice"]
    assert registry.get("consingan").title == "ConSinGAN"
    assert registry.get("twice").title == "Name"
    assert registry.get("spatialgan").title == "Spatial GAN"
    run = gantool.train("spatialgan", photo, preset="tiny", out=tmp_path, seed=1)
    assert run.summary()["status"] == "finished"
    with pytest.raises(UsageError) as caught:
        registry.get("gone")
    reason = "ModuleNotFoundError: No module named 'b_gone'"
    assert caught.value.what == f"The family gone (broken 2.0) cannot be loaded: {reason}."


# --- the page about it ----------------------------------------------------------------------------------


def test_the_page_quotes_the_example():
    page = (ROOT / "docs" / "adding-a-family.md").read_text(encoding="utf-8")
    files = [file.read_text(encoding="utf-8") for file in SOURCE.rglob("*.py")]
    quotes = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    assert len(quotes) == 8
    for quote in quotes:
        assert any(quote in text for text in files), quote
    assert re.search(r"```toml\n(.*?)```", page, flags=re.S)[1] in (SOURCE / "pyproject.toml").read_text()
    for link in re.findall(r"\]\((?!http)(.*?)\)", page):
        assert (ROOT / "docs" / link).exists(), link
