"""`gantool harmonize`, `edit`, `paint`, `superres` on the command line: one-shot forms, results, errors."""

from __future__ import annotations

import signal
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantool.families.singan.model import SinGAN

QUICK = ["--preset", "tiny", "--set", "iterations=2"]


@pytest.fixture
def composite(here) -> Path:
    """a.png with a red square in it."""
    pixels = np.asarray(Image.open("a.png")).copy()
    pixels[10:24, 14:34] = (250, 10, 10)
    Image.fromarray(pixels).save("c.png")
    return Path("c.png")


def runs(cli) -> list[dict]:
    return cli("runs", "--json").data["runs"]


@pytest.mark.parametrize(("task", "family"), [("harmonize", "singan"), ("edit", "singan"), ("paint", "singan")])
def test_a_background_is_trained_on_once(cli, composite, task, family) -> None:
    said = cli(task, "--background", "a.png", composite, "--family", family, *QUICK)
    assert said.code == 0, said.err
    sheet = Path(said.out.strip())
    assert sheet.name == "sheet.png"
    assert sheet.is_file()
    assert "Finished" not in said.out
    assert [row["family"] for row in runs(cli)] == [family]
    again = cli(task, "--background", "a.png", composite, "--family", family, *QUICK, "--start-scale", "1")
    assert again.code == 0
    assert Path(again.out.strip()).name == "scale-1.png"
    assert "Using the run that is there" in again.err
    assert len(runs(cli)) == 1
    other = cli(task, "--background", "a.png", composite, "--preset", "tiny", "--set", "iterations=1", "--json")
    assert set(other.data) == {"run", "folder", "files", "results", "sheet", "numbers"}
    assert len(runs(cli)) == 2
    named = cli(task, "latest", composite, "--start-scale", "1", "--quiet")
    assert named.code == 0
    assert named.err == ""


def test_consingan_harmonises_with_its_own_mode_and_is_tuned_further(cli, composite) -> None:
    quick = ["--set", "iterations=2", "--set", "channels=4", "--set", "max_size=32", "--set", "min_size=16"]
    words = ["harmonize", "--background", "a.png", composite, "--family", "consingan", *quick]
    said = cli(*words)
    assert said.code == 0, said.err
    (run,) = runs(cli)
    assert run["preset"] == "harmonize-fast"
    assert cli("config", "show", run["id"], "--json").data["options"]["mode"]["value"] == "harmonization"
    tuned = cli(*words, "--fine-tune", "--fine-tune-steps", "3", "--start-scale", "0")
    assert tuned.code == 0, tuned.err
    assert "Training on:" in tuned.err
    again = cli(*words, "--fine-tune", "--fine-tune-steps", "3", "--start-scale", "0")
    assert "Using what was tuned before" in again.err
    assert len(runs(cli)) == 1
    assert Path(tuned.out.strip()).read_bytes() == Path(again.out.strip()).read_bytes()
    assert Path(tuned.out.strip()).read_bytes() != (Path(said.out.strip()).parent / "scale-0.png").read_bytes()


def test_painting_with_few_colours_trains_a_scale_and_keeps_it(cli, composite) -> None:
    assert cli("train", "singan", "a.png", *QUICK, "--quiet").code == 0
    said = cli("paint", "latest", composite, "--quantize", "--start-scale", "1", "--colours", "4")
    assert said.code == 0, said.err
    assert "Training on:" in said.err
    again = cli("paint", "latest", composite, "--quantize", "--start-scale", "1", "--colours", "4", "--seed", "3")
    assert "Using what was tuned before" in again.err
    sheet = cli("paint", "latest", composite, "--quantize")
    assert sheet.code == 0
    assert "without --quantize" in sheet.err


def test_a_training_that_was_stopped_is_finished_first(cli, composite, monkeypatch) -> None:
    words = ["harmonize", "--background", "a.png", composite, *QUICK]
    step, steps = SinGAN.train_step, count()

    def interrupted(*args):
        in_training = signal.getsignal(signal.SIGINT) is not signal.default_int_handler  # and not in an estimate
        if in_training and next(steps) == 2:
            signal.raise_signal(signal.SIGINT)
        return step(*args)

    with monkeypatch.context() as patched:
        patched.setattr(SinGAN, "train_step", interrupted)
        assert cli(*words, "--set", "log_every=1").code == 130
    (run,) = runs(cli)
    assert run["status"] == "interrupted"
    said = cli(*words, "--start-scale", "1")  # how often it logs does not matter
    assert said.code == 0, said.err
    assert "Going on with" in said.err
    (run,) = runs(cli)
    assert run["status"] == "finished"


def test_enlarging_a_picture(cli, here) -> None:
    said = cli("superres", "a.png", "-s", "2.5", *QUICK)
    assert said.code == 0, said.err
    file = Path(said.out.strip())
    assert file.name == "a-x2.5.png"
    assert Image.open(file).size == (120, 90)
    assert "Using the run" in cli("superres", "a.png", "-s", "2.5", *QUICK).err
    other = cli("superres", "a.png", "-s", "2", *QUICK, "--family", "consingan", "--json")
    assert Image.open(other.data["files"][0]).size == (96, 72)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["harmonize", "c.png"], 2, "takes a run and one picture"),
        (["harmonize", "latest", "c.png", "more.png"], 2, "takes a run and one picture"),
        (["harmonize", "--background", "a.png", "latest", "c.png"], 2, "takes the place of a run"),
        (["harmonize", "latest", "c.png"], 1, "There are no runs"),
        (["harmonize", "--background", "gone.png", "c.png"], 1, "There is no file gone.png"),
        (["harmonize", "--background", "a.png", "c.png", "--mask", "gone.png"], 1, "There is no file gone.png"),
        (["harmonize", "--background", "a.png", "c.png", "--family", "nogan"], 2, "There is no family 'nogan'"),
        (["paint", "--background", "a.png", "c.png", "--family", "consingan"], 2, "ConSinGAN cannot"),
        (["harmonize", "latest", "c.png", "--fine-tune-steps", "3"], 2, "--fine-tune-steps without"),
        (["harmonize", "a.png", "c.png"], 2, "a.png is a picture, not a run"),
        (["harmonize", "--background", "a.png", "a.png"], 1, "nothing was found that differs"),
        (["harmonize", "--background", "a.png", "c.png", "--fine-tune"], 2, "SinGAN is not fine-tuned"),
        (["harmonize", "--background", "a.png", "c.png", "--mask-threshold", "300"], 2, "out of range"),
        (["edit", "--background", "a.png", "c.png", *QUICK, "--start-scale", "0"], 2, "no --start-scale 0"),
        (["paint", "--background", "a.png", "c.png", *QUICK, "--start-scale", "9"], 2, "no --start-scale 9"),
        (["paint", "latest", "c.png", "--colours", "3"], 2, "belong to --quantize"),
        (["superres", "gone.png"], 1, "There is no file gone.png"),
        (["superres", "little.png"], 1, "little.png is 16x12 pixels, too few to learn detail from."),
        (["superres", "a.png", "-s", "0.5"], 2, "enlarges nothing"),
        (["superres", "a.png", "-s", "nan"], 2, "enlarges nothing"),
        (["edit", "latest", "c.png", "--keep-background", "maybe"], 2, "maybe"),
    ],
)
def test_errors_are_two_lines_and_leave_nothing(cli, composite, words, code, text) -> None:
    Image.new("RGB", (16, 12)).save("little.png")
    before = sorted(Path().rglob("*"))
    said = cli(*words)
    assert said.code == code
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0].startswith("Error: ")
    assert text in lines[0]
    assert lines[1].startswith("Hint: ")
    assert len(lines) == 2
    assert sorted(Path().rglob("*")) == before


def test_a_run_and_flags_of_a_training_do_not_go_together(cli, composite) -> None:
    assert cli("train", "singan", "a.png", *QUICK, "--quiet").code == 0
    said = cli("harmonize", "latest", composite, "--preset", "fast")
    assert said.code == 2
    assert "--preset is for a training" in said.err
    said = cli("harmonize", "latest", composite, "--fine-tune")
    assert said.code == 2
    assert "SinGAN is not fine-tuned" in said.err
