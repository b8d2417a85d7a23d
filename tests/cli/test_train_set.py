"""`gantool train` of families of sets, and what comes after it, as a clumsy user calls them."""

import json
import os

import numpy as np
import pytest
from PIL import Image, ImageSequence

import gantool
from gantool.cli import launch
from gantool.engine.trainer import Trainer
from gantool.errors import UsageError
from gantool.tasks.runs import open_run


def picture(path, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (18, 20, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path)


TINY = ("--preset", "tiny", "--steps", "2")


@pytest.fixture
def classes(here):
    """Two classes of three pictures each."""
    for k in range(6):
        picture(here / "set" / "ab"[k % 2] / f"{k}.png", seed=k)
    return here / "set"


@pytest.fixture(scope="module")
def acgan(tmp_path_factory):
    """A finished tiny run with the classes a and b."""
    folder = tmp_path_factory.mktemp("acgan")
    for k in range(6):
        picture(folder / "set" / "ab"[k % 2] / f"{k}.png", seed=k)
    return gantool.train("acgan", folder / "set", preset="tiny", steps=2, seed=1, out=folder / "runs").path


def test_a_link_that_leads_nowhere_is_one_more_bad_picture(cli, classes):
    (classes / "a" / "gone.png").symlink_to("nowhere.png")
    said = cli("train", "dcgan", classes, *TINY, "--steps", "6")
    assert said.code == 0, said.err
    assert "gone.png cannot be read" in said.err
    [run] = (classes.parent / "runs" / "dcgan").iterdir()
    assert json.loads((run / "run.json").read_text())["data"]["pictures"] == 7


def test_an_empty_name_is_not_the_current_folder(cli, classes):
    said = cli("train", "dcgan", "", *TINY)
    assert said.code == 1
    assert "The name of the data is empty." in said.err
    assert not (classes.parent / "runs").exists()


def test_labels_that_were_turned_down(cli, classes):
    said = cli("train", "acgan", classes, *TINY, "--labels", "none")
    assert said.code == 2
    assert "AC-GAN learns classes, and --labels none leaves them out." in said.err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--devices", "3"), "A batch of 4 cannot be shared equally by 3 devices."),
        (
            ("--devices", "2", "--accumulate", "4"),
            "A batch of 4 cannot be shared equally by 2 devices, in 4 parts each.",
        ),
    ],
)
def test_a_dry_run_knows_what_cannot_be_shared(cli, classes, words, what):
    said = cli("train", "dcgan", classes, *TINY, *words, "--dry-run")
    assert said.code == 2
    assert what in said.err


@pytest.mark.parametrize("words", [("--devices", "65"), ("--set", "devices=100000"), ("--set", f"devices={10**30}")])
def test_too_many_processes_are_refused_before_they_start(cli, classes, monkeypatch, words):
    monkeypatch.setattr(launch, "launch", lambda *_: pytest.fail("processes were started"))
    said = cli("train", "dcgan", classes, *TINY, *words)
    assert said.code == 2
    assert "it should be less than or equal to 64" in said.err


def test_one_of_torchruns_processes_refuses_another_number(cli, classes, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, words in (("0", "--devices is 3, and torchrun started 2 processes."), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        said = cli("train", "dcgan", classes, *TINY, "--devices", "3", "--json")
        assert said.code == 2
        assert (words in said.err) if words else (said.out, said.err) == ("", "")


def test_of_a_finished_run_one_process_speaks(cli, acgan, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    said = cli("resume", acgan, "--json")
    assert (said.code, said.out, said.err) == (0, "", "")
    monkeypatch.setenv("RANK", "0")
    assert cli("resume", acgan, "--json").data["run"]["status"] == "finished"


def test_an_interrupted_resume_hands_back_how_it_ended(cli, classes, monkeypatch):
    after_step = Trainer._after_step
    monkeypatch.setattr(
        Trainer, "_after_step", lambda self, m: (setattr(self, "stop", lambda: True), after_step(self, m))
    )
    said = cli("train", "dcgan", classes, *TINY, "--steps", "5", "--json")
    assert said.code == 130
    [run] = (classes.parent / "runs" / "dcgan").iterdir()
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "ended": None}))
    said = cli("resume", run, "--json")
    assert said.code == 130
    row = said.reply["data"]["run"]
    assert row == open_run(str(run)).summary()
    assert (row["status"], row["steps"]) == ("interrupted", 2)
    assert row["ended"] is not None


def test_nan_between_two_log_entries(cli, classes):
    """The sheet of a step is drawn before the losses are looked at."""
    said = cli("train", "dcgan", classes, *TINY, "--steps", "30", "--lr-g", "1e30", "--preview-every", "1")
    assert said.code == 3
    assert "There is no sheet of step" in said.err
    assert "Traceback" not in said.err
    [run] = (classes.parent / "runs" / "dcgan").iterdir()
    assert json.loads((run / "run.json").read_text())["status"] == "diverged"


def test_a_way_may_come_back(acgan, tmp_path):
    way = gantool.interpolate(acgan, "0,1,0", steps=2, classes="a,b,a", to=tmp_path / "way")
    frames = [f for f in sorted(way.files) if f.suffix == ".gif"]
    assert frames
    with Image.open(frames[0]) as film:
        shown = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
    assert len(shown) == 5
    assert np.array_equal(shown[0], shown[4])
    assert not np.array_equal(shown[0], shown[2])


@pytest.mark.parametrize(
    ("classes", "labels"), [(1, [1]), ("b", [1]), (["b", 0], [1, 0]), ([1, 1], [1]), ("all", [0, 1])]
)
def test_classes_from_python(acgan, tmp_path, classes, labels):
    drawn = gantool.sample(acgan, 1, classes=classes, to=tmp_path / "out")
    assert [f.name for f in drawn.files] == [f"class-{label}-seed-0000.png" for label in labels]


@pytest.mark.parametrize("classes", [[], 2, [-1], ["z"], [0, 2]])
def test_classes_that_there_are_not(acgan, tmp_path, classes):
    with pytest.raises(UsageError, match="class"):
        gantool.sample(acgan, 1, classes=classes, to=tmp_path / "out")
    assert not os.path.exists(tmp_path / "out")
