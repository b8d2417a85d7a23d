"""`gantool superres --model` on the command line: results, resuming, signals, errors."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def enlarger(enlarger_file):
    """A file of a tiny network that enlarges twice."""
    return enlarger_file()


@pytest.fixture(scope="session")
def slow(enlarger_file):
    """A file of a network that takes a while."""
    return enlarger_file(64, 4)


def fill(folder, count, size=(20, 16)):
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(random.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(folder / f"{number}.png")


def test_a_picture(cli, here, enlarger):
    said = cli("superres", "a.png", "--model", enlarger)
    assert said.code == 0, said.err
    assert said.out == "a-x2.png\n"
    assert "SRResNet, which enlarges 2 times" in said.err
    with Image.open("a-x2.png") as image:
        assert image.size == (96, 72)
    said = cli("superres", "a.png", "-m", enlarger, "-s", "3", "-o", "new folder/b.jpg", "--tile", "16", "--json", "-q")
    assert said.err == ""
    assert said.data["files"] == ["new folder/b.jpg"]
    assert (said.data["scale"], said.data["factor"]) == (3, 2)
    with Image.open("new folder/b.jpg") as image:
        assert (image.size, image.format) == ((144, 108), "JPEG")


def test_a_folder_and_the_rest_of_it(cli, here, enlarger):
    fill(here / "in" / "deep er", 3)
    said = cli("superres", "in", "--model", enlarger)
    assert said.code == 0, said.err
    assert said.out == "in-x2\n"
    assert "3 of 3 pictures enlarged: in-x2" in said.err
    fill(here / "in", 1)
    said = cli("superres", "in", "--model", enlarger, "--compare", "--json")
    assert said.data["files"] == ["in-x2/0.png"]
    assert len(said.data["skipped"]) == 3
    assert said.data["compare"] == "in-x2/compare.html"
    assert Path("in-x2/compare.html").read_text().count("<section") == 4
    said = cli("superres", "in", "--model", enlarger, "-s", "3", "-o", "in-x2")
    assert said.code == 1
    assert "in-x2 holds 4 results of another model, factor or quality." in said.err
    assert cli("superres", "in", "--model", enlarger, "-s", "3", "-o", "in-x2", "--overwrite").code == 0


def test_bad_pictures_are_listed_and_the_others_done(cli, here, enlarger):
    fill(here / "in", 2)
    (here / "in" / "bad.png").write_text("hello " * 20)
    said = cli("superres", "in", "--model", enlarger)
    assert said.code == 1
    assert said.out == "in-x2\n"
    assert "bad.png is left out: in/bad.png is not a picture but seems to be a text file" in said.err
    assert "Error: 1 of 3 pictures could not be enlarged: bad.png." in said.err
    reply = cli("superres", "in", "--model", enlarger, "--json").reply
    assert reply["ok"] is False
    assert len(reply["data"]["skipped"]) == 2
    assert reply["data"]["failed"][0]["picture"] == "in/bad.png"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["in"], 2, "in is a folder, and without --model one picture is enlarged. "),
        (["a.png", "--tile", "3", "--compare"], 2, "--tile, --compare without --model."),
        (["a.png", "--model", "W", "--max-size", "99"], 2, "--max-size belongs to a model of the picture itself."),
        (["a.png", "--model", "W", "--family", "singan", "--seed", "1"], 2, "--seed, --family belong to"),
        (["gone.png", "--model", "W"], 1, "There is no file gone.png."),
        (["nothing", "--model", "W"], 1, "No pictures in nothing (found no files)."),
        (["text.png", "--model", "W"], 1, "text.png is not a picture but seems to be a text file."),
        (["empty.png", "--model", "W"], 1, "empty.png is empty (0 bytes)."),
        (["a.png", "--model", "text.png"], 1, "text.png"),
        (["a.png", "--model", "a.png"], 1, "a.png"),
        (["a.png", "--model", "gone.pth"], 2, "There is no file gone.pth."),
        (["a.png", "--model", "latest"], 1, "There are no runs in runs."),
        (["a.png", "--model", "TRAINED"], 2, "ConSinGAN cannot enlarge."),
        (["a.png", "--model", "W", "-s", "0"], 2, "A factor of 0 enlarges nothing."),
        (["a.png", "--model", "W", "-s", "-3"], 2, "A factor of -3 enlarges nothing."),
        (["a.png", "--model", "W", "-s", "nan"], 2, "A factor of nan enlarges nothing."),
        (["a.png", "--model", "W", "--tile", "0"], 2, "Tiles of 0 pixels hold nothing."),
        (["a.png", "--model", "W", "--format", "bmp"], 2, "'bmp' is no format that results are written in."),
        (["a.png", "--model", "W", "-o", "a.png"], 2, "a.png is the picture that is to be enlarged."),
        (["a.png", "--model", "W", "-o", "text.png/b.png"], 1, "text.png"),
        (["in", "--model", "W", "-o", "in"], 2, "in is the folder that the pictures are in."),
        (["in", "--model", "W", "-o", "text.png"], 1, "text.png is a file, not a folder."),
        (["a.png", "--model", "W", "--device", "cuda:77"], 2, "CUDA"),
    ],
)
def test_errors_are_two_lines_and_leave_nothing(cli, here, enlarger, trained, words, code, text):
    fill(here / "in", 1)
    Path("nothing").mkdir()
    Path("text.png").write_text("hello " * 20)
    Path("empty.png").touch()
    before = sorted(Path().rglob("*"))
    said = cli("superres", *({"W": enlarger, "TRAINED": trained}.get(word, word) for word in words))
    assert said.code == code, said.err
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if "which enlarges" not in line]
    assert lines[0].startswith("Error: ")
    assert text in f"{lines[0]} "
    assert len(lines) == 2
    assert lines[1].startswith("Hint: ")
    assert sorted(Path().rglob("*")) == before


MANY = 300  # slow pictures: half a minute, or some seconds where the machine is ten times as fast


def wait_for_results(folder, count, process):
    end = time.monotonic() + 120
    while len(list(folder.glob("*.png"))) < count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)


def whole(folder):
    """How many pictures there are, all of which decode."""
    files = list(folder.glob("*.png"))
    for file in files:
        with Image.open(file) as image:
            image.load()
    return len(files)


def leave_few(folder, results):
    """Of the pictures without a result all but two are taken away; returns how many are left in all."""
    for file in sorted(file for file in folder.iterdir() if not (results / file.name).exists())[2:]:
        file.unlink()
    return len(list(folder.iterdir()))


@pytest.mark.skipif(os.name != "posix", reason="signals are sent to processes on POSIX only")
def test_ctrl_c_ends_after_the_picture_and_says_how_to_go_on(start, here, slow, cli):
    fill(here / "my photos", MANY, (120, 100))
    words = ["superres", "my photos", "--model", slow, "--workers", "2"]
    process = start(*words, "--json", cwd=here)
    wait_for_results(here / "my photos-x2", 2, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Stopping after this picture; once more to stop at once." in err
    assert f"Go on with: gantool superres 'my photos' --model {slow} --workers 2 --json" in err
    assert "Traceback" not in err
    data = json.loads(out)["data"]
    assert len(data["files"]) == whole(here / "my photos-x2")
    assert len(data["files"]) + len(data["left"]) == MANY
    count = leave_few(here / "my photos", here / "my photos-x2")
    assert count == len(data["files"]) + 2
    said = cli(*words, "--json")
    assert said.code == 0, said.err
    assert sorted(said.data["skipped"]) == sorted(data["files"])
    assert whole(here / "my photos-x2") == count


@pytest.mark.skipif(os.name != "posix", reason="signals are sent to processes on POSIX only")
def test_a_killed_run_leaves_no_half_results_and_is_gone_on_with(start, here, slow, cli):
    fill(here / "in", MANY, (120, 100))
    process = start("superres", "in", "--model", slow, cwd=here)
    wait_for_results(here / "in-x2", 2, process)
    process.kill()
    process.wait()
    done = whole(here / "in-x2")
    assert 2 <= done < MANY
    count = leave_few(here / "in", here / "in-x2")
    assert count == done + 2
    said = cli("superres", "in", "--model", slow, "--json")
    assert said.code == 0, said.err
    assert len(said.data["skipped"]) == done
    assert whole(here / "in-x2") == count


def test_progress_in_a_pipe_is_a_line_now_and_then(cli, here, enlarger, monkeypatch):
    from gantool.cli import progress

    monkeypatch.setattr(progress, "LINE", 0.0)
    fill(here / "in", 3)
    said = cli("superres", "in", "--model", enlarger, "--tile", "10")
    assert "picture 1 of 3  0.png  tile 1 of 4" in said.err
    assert "picture 2 of 3  1.png  about" in said.err


def test_progress_on_a_terminal(here, enlarger):
    """Bars redraw themselves; what is said meanwhile stands above them."""
    import pty
    import subprocess
    import sys

    fill(here / "in", 3)
    (here / "in" / "[red]bad.png").write_text("hello " * 20)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "gantool", "superres", "in", "--model", str(enlarger), "--tile", "8"]
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    process = subprocess.Popen(words, cwd=here, stderr=theirs, stdout=subprocess.PIPE, env=env)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert process.wait(timeout=60) == 1
    text = seen.decode()
    assert "pictures" in text
    assert "[red]bad.png is left out" in text
    assert "3 of 4 pictures enlarged" in text
