"""`gantool translate` on the command line: results, resuming, stops, errors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantool.data.animation import animation_bytes
from gantool.data.translator_files import save_translator
from gantool.family import Translation
from gantool.nn.unet import UNet


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """A file of a tiny network."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("network") / "unet.safetensors"
    save_translator(UNet(layers=3, width=2), path, Translation(size=(16, 16)))
    return path


def fill(folder, count, size=(20, 16)):
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(random.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(folder / f"{number}.png")


def test_a_picture(cli, here, network):
    said = cli("translate", network, "a.png")
    assert said.code == 0, said.err
    assert said.out == "a-translated.png\n"
    assert "UNet, from rgb to rgb, for pictures of 16 × 16." in said.err
    assert "Brought to 16 × 16, as in training." in said.err
    with Image.open("a-translated.png") as image:
        assert image.size == (16, 16)
    words = ["-o", "new folder/b.jpg", "--size", "own", "--tile", "32", "--samples", "2", "--seed", "4", "--json", "-q"]
    said = cli("translate", network, "a.png", *words)
    assert said.err == ""
    assert said.data["files"] == ["new folder/b-s4.jpg", "new folder/b-s5.jpg"]
    assert (said.data["size"], said.data["test_mode"], said.data["seeds"]) == ("own", "paper", [4, 5])
    with Image.open("new folder/b-s4.jpg") as image:
        assert (image.size, image.format) == ((48, 36), "JPEG")


def test_a_folder_and_the_rest_of_it(cli, here, network):
    fill(here / "in" / "deep er", 3)
    said = cli("translate", network, "in")
    assert said.code == 0, said.err
    assert said.out == "in-translated\n"
    assert "3 of 3 pictures: brought to 16 × 16, as in training." in said.err
    assert "3 of 3 pictures translated: in-translated" in said.err
    fill(here / "in", 1)
    (here / "in" / "bad.png").write_text("hello " * 20)
    said = cli("translate", network, "in", "--compare", "--json")
    assert said.code == 1
    reply = said.reply
    assert reply["error"]["message"] == "1 of 5 pictures could not be translated: bad.png."
    assert reply["data"]["files"] == ["in-translated/0.png"]
    assert len(reply["data"]["skipped"]) == 3
    assert reply["data"]["compare"] == "in-translated/compare.html"
    assert Path("in-translated/compare.html").read_text().count("<section") == 4
    said = cli("translate", network, "in", "--seed", "1")
    assert said.code == 1
    assert "in-translated holds 4 results of another model, or made in another way." in said.err


def test_an_animation(cli, here, network, monkeypatch):
    from gantool.cli import progress

    monkeypatch.setattr(progress, "LINE", 0.0)
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    Path("a.webp").write_bytes(animation_bytes(list(frames), [40] * 5, "webp"))
    said = cli("translate", network, "a.webp", "--frames", "--batch", "2")
    assert said.code == 0, said.err
    assert said.out == "a-translated.webp\n"
    assert "a.webp  frame 2 of 5  about" in said.err
    assert len(list(Path("a-translated-frames").iterdir())) == 5


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["W", "gone.png"], 1, "There is no file gone.png."),
        (["W", "nothing"], 1, "No pictures in nothing (found no files)."),
        (["W", "text.png"], 1, "text.png is not a picture but seems to be a text file."),
        (["W", "text.mp4"], 1, "text.mp4"),
        (["W", "empty.png"], 1, "empty.png is empty (0 bytes)."),
        (["text.png", "a.png"], 1, "text.png"),
        (["a.png", "a.png"], 1, "a.png"),
        (["gone.pth", "a.png"], 2, "There is no file gone.pth."),
        (["latest", "a.png"], 1, "There are no runs in runs."),
        (["TRAINED", "a.png"], 2, "ConSinGAN cannot translate."),
        (["W", "a.png", "--size", "big"], 2, "'big' is no size."),
        (["W", "a.png", "--tile", "0"], 2, "Tiles of 0 pixels show the network too little."),
        (["W", "a.png", "--test-mode", "train"], 2, "There is no way 'train' to use the network."),
        (["W", "a.png", "--samples", "2", "--test-mode", "eval"], 2, "With --test-mode eval nothing is random"),
        (["W", "a.png", "--format", "bmp"], 2, "'bmp' is no format that results are written in."),
        (["W", "a.png", "-o", "a.png"], 2, "a.png is the picture that is to be translated."),
        (["W", "a.png", "-o", "text.png/b.png"], 1, "text.png"),
        (["W", "in", "-o", "text.png"], 1, "text.png is a file, not a folder."),
        (["W", "in", "--truth", "nothing"], 2, "--truth is for the page that compares."),
        (["W", "in", "--truth", "nothing", "--compare"], 1, "No pictures in nothing (found no files)."),
        (["W", "a.png", "--snap"], 2, "--snap is for models that give labels"),
        (["W", "a.png", "--device", "cuda:77"], 2, "CUDA"),
    ],
)
def test_errors_are_two_lines_and_leave_nothing(cli, here, network, trained, words, code, text):
    fill(here / "in", 1)
    Path("nothing").mkdir()
    Path("text.png").write_text("hello " * 20)
    Path("text.mp4").write_text("hello " * 20)
    Path("empty.png").touch()
    before = sorted(Path().rglob("*"))
    said = cli("translate", *({"W": network, "TRAINED": trained}.get(word, word) for word in words))
    assert said.code == code, said.err
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if "for pictures of" not in line]
    assert lines[0].startswith("Error: ")
    assert text in f"{lines[0]} "
    assert len(lines) == 2
    assert lines[1].startswith("Hint: ")
    assert sorted(Path().rglob("*")) == before


def test_a_stop_says_how_to_go_on(cli, here, network, monkeypatch):
    """What signals do is tested with superres, which shares all of it."""
    from gantool.cli import picture_files

    class Stops(picture_files.Stopper):
        asked = 0

        def __call__(self):
            self.asked += 1
            return self.asked > 2

    fill(here / "my photos", 6)
    words = ["translate", network, "my photos", "--batch", "1", "--json"]
    with monkeypatch.context() as patch:
        patch.setattr(picture_files, "Stopper", Stops)
        said = cli(*words)
    assert said.code == 130
    assert f"Stopped: 4 of 6 are left. Go on with: gantool translate {network} 'my photos' --batch 1 --json" in said.err
    assert (len(said.reply["data"]["files"]), len(said.reply["data"]["left"])) == (2, 4)
    assert (len(cli(*words).data["skipped"]), len(list(Path("my photos-translated").glob("*.png")))) == (2, 6)
