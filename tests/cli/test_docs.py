"""docs/cli.md shows what the program really answers."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from gantool.data.enlarger_files import save_enlarger
from gantool.data.translator_files import save_translator
from gantool.nn.srresnet import SRResNet
from gantool.nn.unet import UNet
from gantool.tasks.evaluate.options import METRICS

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def examples():
    """{heading: the JSON below it}."""
    parts = re.split(r"^### (.*)$", TEXT, flags=re.M)[1:]
    found = {}
    for heading, body in zip(parts[::2], parts[1::2], strict=True):
        block = re.search(r"```json\n(.*?)```", body, flags=re.S)
        if block:
            found[heading] = json.loads(block[1])
    return found


def same_shape(shown, real, where="data"):
    """Keys are equal all the way down; NAME stands for any key, a list's first item for all of them."""
    if isinstance(shown, dict):
        assert isinstance(real, dict), where
        if set(shown) == {"NAME"}:
            for key, value in real.items():
                same_shape(shown["NAME"], value, f"{where}.{key}")
            return
        assert set(real) == set(shown), where
        for key, value in shown.items():
            same_shape(value, real[key], f"{where}.{key}")
    elif isinstance(shown, list):
        assert isinstance(real, list), where
        for item in real if shown else ():
            same_shape(shown[0], item, f"{where}[]")


CALLS = {
    "train": ["train", "consingan", "a.png", "gone.png", "--preset", "tiny", "--iterations", "1"],
    "train --dry-run": ["train", "consingan", "a.png", "--preset", "tiny", "--dry-run"],
    "train --dry-run, of a set": ["train", "acgan", "builtin:digits", "--preset", "tiny", "--dry-run"],
    "data check": ["data", "check", "set"],
    "data pack": ["data", "pack", "set", "set.zip"],
    "data pair": ["data", "pair", "set/cat", "set/cat", "--to", "pairs", "--split", "1/1"],
    "sample, animate, interpolate": ["sample", "RUN", "-n", "1", "--to", "drawn"],
    "harmonize, edit": ["harmonize", "--background", "a.png", "b.png", "--preset", "tiny", "--set", "iterations=1"],
    "paint": ["paint", "--background", "a.png", "b.png", "--preset", "tiny", "--set", "iterations=1"],
    "superres --model": ["superres", "a.png", "--model", "small.safetensors"],
    "translate": ["translate", "small.safetensors", "a.png"],
    "superres": ["superres", "a.png", "-s", "1.5", "--max-size", "32", "--preset", "tiny", "--set", "iterations=1"],
    "export": ["export", "small.safetensors", "--to", "net.pt2"],
    "runs diff": ["runs", "diff", "RUN", "RUN"],
    "report": ["report", "RUN", "--to", "page.html"],
    "families": ["families"],
    "info": ["info", "consingan"],
    "config init": ["config", "init", "consingan"],
    "config show": ["config", "show", "RUN"],
    "eval": ["eval", "patch-swd", "RUN", "-n", "2"],
    "eval choice": ["eval", "choice", "RUN", "set/cat", "--trials", "2", "--to", "choice.html"],
    "eval answers": ["eval", "answers", "answers.json"],
    "weights list": ["weights", "list"],
    "doctor": ["doctor"],
}


def test_every_example_is_compared():
    assert set(examples()) == set(CALLS)


@pytest.mark.parametrize("heading", CALLS)
def test_the_examples_have_the_keys_of_the_answers(cli, here, trained, heading):
    with Image.open("a.png") as image:  # b.png: a.png with something pasted into it
        image.paste((255, 0, 0), (16, 12, 32, 26))
        image.save("b.png")
    for name, source in {"cat/1": "a.png", "cat/2": "a.png", "dog/3": "b.png"}.items():
        file = Path("set", name).with_suffix(".png")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(Path(source).read_bytes())
    Path("set/dog/4.png").write_bytes(Path("a.png").read_bytes()[:200])  # torn
    sources = [{"name": "photos", "real": True}]
    answer = {"source": "photos", "real": True, "judged_real": True, "time_ms": 50, "shown_ms": 50.1, "answer_ms": None}
    answers = {"format": "gantool-choice-answers", "mode": "single", "sources": sources}
    Path("answers.json").write_text(json.dumps({**answers, "sessions": [{"id": "a", "answers": [answer]}]}))
    if heading in ("export", "superres --model"):
        save_enlarger(SRResNet(2, 4, 1), Path("small.safetensors"))
    if heading == "translate":
        save_translator(UNet(layers=2, width=2), Path("small.safetensors"))
    words = [str(trained) if word == "RUN" else word for word in CALLS[heading]]
    said = cli(*words, "--json")
    same_shape(examples()[heading], said.reply["data"])


def test_every_command_is_in_the_overview(cli):
    for line in re.findall(r"^gantool (.*?)   ", TEXT, flags=re.M):
        words = [word for word in line.split() if word.isalpha() and word.islower()]
        assert cli(*words, "--help").code == 0


PAGED = ["sample", "animate", "interpolate", "harmonize", "edit", "paint", "superres", "translate", "export", "import"]


@pytest.mark.parametrize(
    "command", [*PAGED, *(f"eval {metric}" for metric in METRICS), "eval stats", "eval superres", "eval choice"]
)
def test_every_flag_is_on_the_page(cli, command):
    flags = set(re.findall(r"--[a-z][a-z-]+", cli(*command.split(), "--help").out))
    assert "--out" in flags
    for flag in flags - {"--help"}:
        assert re.search(rf"{flag}(?![a-z-])", TEXT), flag
