"""`gantool import` on the command line: a path out, notes beside it, errors in two lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from gantool.families.singan.networks import Generator

SIZES = [(12, 15), (16, 20)]


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """A model of two scales in the official layout, which nobody trained."""
    folder = tmp_path_factory.mktemp("models") / "tents"
    noise = torch.Generator().manual_seed(0)
    for k in range(2):
        (folder / str(k)).mkdir(parents=True)
        torch.save(Generator(4, 5, 0.2).state_dict(), folder / str(k) / "netG.pth")
    torch.save([torch.rand(1, 3, *size, generator=noise) for size in SIZES], folder / "reals.pth")
    torch.save([torch.zeros(1, 3, h + 10, w + 10) for h, w in SIZES], folder / "Zs.pth")
    torch.save([1, torch.tensor(0.1)], folder / "NoiseAmp.pth")
    return folder


def test_the_result_is_the_runs_path(cli, here, official):
    said = cli("import", "singan", official)
    assert said.code == 0
    path = Path(said.out.strip())
    assert path.parent == Path("runs/singan")
    assert path.name.endswith("-tents")
    assert (path / "run.json").is_file()
    assert "2 scales, 15x12 to 20x16 pixels." in said.err
    assert said.err.splitlines()[-1] == f"Next: gantool sample {path}"
    assert cli("sample", "latest", "-n", "1", "--quiet").code == 0
    assert cli("import", "singan", official, "--quiet").err == ""


def test_json(cli, here, official):
    said = cli("import", "singan", official, "--name", "camp", "--out", "mine", "--json")
    assert said.code == 0
    row = said.data["run"]
    assert row["name"] == "camp"
    assert row["status"] == "finished"
    assert row["steps"] == row["steps_planned"] == 2
    assert row["picture"] == str(official)
    assert Path(row["path"]).parent == Path("mine/singan")
    listed = cli("runs", "--out", "mine", "--json").data["runs"]
    assert listed == [row]


@pytest.mark.parametrize(
    ("words", "code", "kind", "text"),
    [
        (["import", "singan", "gone"], 1, "data", "There is no folder gone."),
        (["import", "singan", "a.png"], 1, "data", "a.png is a file, not a folder."),
        (["import", "singan", "."], 1, "data", "lacks 0/netG.pth, Zs.pth, reals.pth and NoiseAmp.pth."),
        (["import", "consingan", "."], 2, "usage", "These do: singan, gan, dcgan, pix2pix."),
        (["import", "singn", "."], 2, "usage", "Did you mean singan?"),
        (["import", "singan"], 2, "usage", "Missing argument"),
    ],
)
def test_what_users_do_wrong(cli, here, words, code, kind, text):
    said = cli(*words)
    assert (said.code, said.out) == (code, "")
    first, second = said.err.splitlines()
    assert first.startswith("Error: ")
    assert second.startswith("Hint: ")
    assert text in said.err
    reply = cli(*words, "--json").reply
    assert reply["error"]["code"] == kind
    assert not Path("runs").exists()


def test_the_parent_folder_names_the_model(cli, here, official):
    said = cli("import", "singan", official.parent)
    assert said.code == 1
    assert f"Hint: Did you mean {official}?" in said.err


def test_the_help_says_what_it_is(cli):
    text = cli("import", "--help").out
    for word in ("FAMILY", "PATH", "--name", "--out", "--json", "--quiet", "--verbose", "--no-color"):
        assert word in text
    assert "import" in cli("--help").out


def test_the_options_are_marked_as_read(cli, here, official):
    path = cli("import", "singan", official, "--quiet").out.strip()
    options = cli("config", "show", path, "--json").data["options"]
    assert options["sizes"] == {"value": json.loads(json.dumps(SIZES)), "origin": "the files"}
    assert options["channels"]["value"] == 4
    assert options["lr_g"]["origin"] == "default"
