"""`gantool eval` on the command line: what it prints, what it refuses, its exit codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.metrics
from PIL import Image

from gantool.cli.counting import counting
from gantool.cli.talk import Talk
from gantool.tasks.evaluate.options import METRICS


@pytest.fixture
def pairs(here, monkeypatch):
    """truth/ and result/ with three pictures each; no weights on this machine."""
    monkeypatch.setenv("GANTOOL_WEIGHTS", str(here / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(here / "hub"))
    random = np.random.default_rng(1)
    sets = {"truth": [], "result": []}
    for i in range(3):
        pixels = random.integers(0, 256, (40, 44, 3), dtype=np.uint8)
        for name, picture in (("truth", pixels), ("result", 255 - (255 - pixels) // 2)):
            Path(name).mkdir(exist_ok=True)
            Image.fromarray(picture).save(f"{name}/{i}.png")
            sets[name].append(picture)
    return sets


def test_text_names_the_figure_the_pairs_and_the_protocol(cli, pairs):
    said = cli("eval", "psnr", "truth", "result")
    assert said.code == 0, said.err
    each = [skimage.metrics.peak_signal_noise_ratio(a, b) for a, b in zip(*pairs.values(), strict=True)]
    lines = said.out.splitlines()
    assert lines[0] == f"psnr  {np.mean(each):.6g}   higher is better"
    assert [line.split() for line in lines[3:6]] == [[f"{i}.png", f"{i}.png", f"{v:.6g}"] for i, v in enumerate(each)]
    assert "  channels   R, G, B" in lines
    assert "  real       from truth, kind folder, n 3, sizes 44x40" in lines
    assert said.err == ""


def test_json_has_all_of_it(cli, pairs):
    data = cli("eval", "ssim", "truth", "result", "--scale", "2", "--json").data
    assert data["metric"] == "ssim"
    assert data["value"] == data["values"]["ssim"] == pytest.approx(np.mean([row["ssim"] for row in data["pairs"]]))
    assert data["protocol"]["crop"] == 2
    assert data["protocol"]["channels"].startswith("Y of BT.601")
    assert len(data["pairs"]) == 3


def test_limits_decide_the_exit_code(cli, pairs):
    value = cli("eval", "psnr", "truth", "result", "--json").data["value"]
    assert cli("eval", "psnr", "truth", "result", "--fail-below", value - 1).code == 0
    said = cli("eval", "psnr", "truth", "result", "--fail-below", value + 1)
    assert said.code == 3
    assert "beyond the limit" in said.err
    assert cli("eval", "psnr", "truth", "result", "--fail-above", value - 1, "--quiet").code == 3


def test_a_limit_that_is_no_number_is_refused(cli, pairs):
    said = cli("eval", "psnr", "truth", "result", "--fail-above", "nan")
    assert said.code == 2
    assert "A limit is no number" in said.err


def test_rows_with_more_figures_than_the_first_have_headers(cli, pairs):
    random = np.random.default_rng(2)
    Path("mixed").mkdir()
    for name, side in (("0", 10), ("1", 40)):  # 10 pixels hold patches of 7 at full size only
        Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(f"mixed/{name}.png")
    lines = cli("eval", "patch-swd", "truth/0.png", "mixed").out.splitlines()
    header, small, large = (line.split() for line in lines if line.startswith(("real ", "0.png ")))
    assert header == ["real", "fake", "patch_swd", "full", "half", "quarter"]
    assert (len(small), len(large)) == (4, 6)


def test_progress_of_a_folder_with_brackets_in_its_name():
    from io import StringIO

    from rich.console import Console

    talk = Talk()
    talk.console = Console(file=StringIO(), force_terminal=True, width=80)
    with counting(talk) as count:
        for done in range(3):
            count("photos[/old] [red]", done + 1, 3)
    assert "photos[/old] [red]" in talk.console.file.getvalue()


def test_bad_pictures_are_named_or_left_out(cli, pairs):
    torn = Path("result/1.png")
    torn.write_bytes(torn.read_bytes()[:300])
    Path("result/9.txt").write_text("no picture")
    said = cli("eval", "swd", "truth", "result")
    assert said.code == 1
    assert "1 of 3 pictures in result cannot be read: 1.png" in said.err
    assert "--skip-bad" in said.err
    said = cli("eval", "swd", "truth", "result", "--skip-bad", "--json")
    assert said.code == 0, said.err
    assert said.data["protocol"]["fake"] == {
        "from": "result", "kind": "folder", "n": 2, "skipped": 1, "sizes": ["44x40"],
    }  # fmt: skip
    assert any("1 of 3 pictures of result were left out: 1.png" in warning for warning in said.data["warnings"])
    both = cli("eval", "psnr", "truth", "result", "--skip-bad", "--json").data
    assert [row["fake"] for row in both["pairs"]] == ["0.png", "2.png"]
    mirrored = cli("eval", "psnr", "result", "truth", "--skip-bad", "--json").data
    assert [row["real"] for row in mirrored["pairs"]] == ["0.png", "2.png"]


def test_a_run_is_judged_by_its_own_picture(cli, trained):
    said = cli("eval", "patch-swd", trained, "-n", 3)
    assert said.code == 0, said.err
    first = said.out.splitlines()
    assert first[0].startswith("patch_swd ")
    assert any(line.startswith("diversity") for line in first)
    assert "seed-0002" in said.out
    assert cli("eval", "patch-swd", trained, "-n", 3).out == said.out


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["psnr", "truth"], 2, "Missing argument 'RESULT'"),
        (["ms-ssim", "truth", "result"], 2, "extra argument"),
        (["psnr", "truth", "gone"], 1, "There is no file or folder gone"),
        (["psnr", "truth", "empty"], 1, "No pictures in empty"),
        (["psnr", "truth", "floats.npy"], 1, "floats.npy"),
        (["fid", "truth", "result"], 1, "weights fetch inception-2015"),
        (["fid", "truth", "result", "--layer", "7"], 2, "no layer 7"),
        (["fid", "truth", "result", "--protocol", "mine"], 2, "--protocol"),
        (["fid", "truth", "result", "--weights", "a.png"], 1, "a.png"),
        (["kid", "truth", "result", "--features", "gone.pt"], 1, "gone.pt"),
        (["sifid", "a.png", "truth/0.png", "--weights", "a.png"], 1, "a.png"),
        (["patch-swd", "a.png"], 2, "nothing to be compared with"),
        (["diversity", "a.png", "truth/0.png"], 2, "one picture"),
        (["stats", "truth", "stats.txt"], 2, "no .npz file"),
        (["stats", "truth", "there.npz"], 1, "exists already"),
        (["swd", "truth", "a.png"], 1, "pixels"),
        (["lpips", "truth", "result"], 1, "weights fetch alexnet"),
        (["patch-swd", "latest"], 1, "There are no runs"),
    ],
)
def test_what_is_wrong_is_one_sentence(cli, pairs, words, code, text):
    Path("empty").mkdir()
    np.save("floats.npy", np.full((2, 8, 8, 3), np.nan))
    np.savez("there.npz", mu=np.zeros(2), sigma=np.eye(2))
    said = cli("eval", *words)
    assert said.code == code, said.err
    assert text in said.err
    assert said.err.count("Error: ") == 1
    assert "Traceback" not in said.err
    assert said.out == ""


def test_every_metric_is_a_command_that_says_what_it_does(cli):
    overview = cli("eval", "--help").out
    for name, metric in METRICS.items():
        assert name in overview
        assert metric.title.split(",")[0] in cli("eval", name, "--help").out


def test_a_training_is_measured_on_the_way(cli, here):
    from PIL import Image as Pictures

    with Pictures.open("a.png") as image:
        image.resize((96, 72)).save("b.png")
    said = cli("train", "consingan", "b.png", "--preset", "tiny", "--eval", "patch-swd@2", "--eval-samples", "2")
    assert said.code == 0, said.err
    run = Path(said.out.strip())
    assert (run / "scores.jsonl").read_text().count('"metric": "patch-swd"') >= 2
    assert "patch_swd " in said.err
    page = Path(cli("report", "latest").out.strip()).read_text()
    assert "Measured" in page
    assert "patch-swd" in page
    bad = cli("train", "consingan", "b.png", "--preset", "tiny", "--eval", "sifid@9x")
    assert bad.code == 2
    assert "does not say how often" in bad.err
