"""`gantool train`: plans, runs, several pictures, shares of a torchrun."""

import os
import tomllib
from pathlib import Path

import pytest


def snapshot(folder):
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in Path(folder).rglob("*")}


def copy(here, *names):
    for name in names:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes((here / "a.png").read_bytes())


def test_a_run_and_its_json(cli, here):
    said = cli("train", "consingan", "a.png", "--preset", "tiny", "--iterations", 3, "--seed", 5, "--json")
    assert said.code == 0
    [row] = said.data["runs"]
    assert said.data["failed"] == []
    assert (row["status"], row["steps"], row["steps_planned"]) == ("finished", 9, 9)
    assert Path(row["path"]).parts[:2] == ("runs", "consingan")
    tables = tomllib.loads(Path(row["path"], "config.toml").read_text())
    assert tables["options"]["iterations"] == 3
    assert tables["run"]["seed"] == 5
    shown = cli("config", "show", row["path"], "--json").data["options"]
    assert shown["iterations"] == {"value": 3, "origin": "flag"}
    assert shown["channels"] == {"value": 8, "origin": "preset tiny"}
    assert shown["lr_g"] == {"value": 5e-4, "origin": "default"}
    assert shown["min_size"] == {"value": 16, "origin": "preset tiny"}


def test_stdout_is_the_run_and_stderr_the_talk(cli, here):
    said = cli("train", "consingan", "a.png", "--preset", "tiny", "--name", "mine")
    assert said.code == 0
    [path] = said.out.splitlines()
    assert Path(path).is_dir()
    assert path.endswith("-mine")
    for text in (
        "ConSinGAN on a.png (48 × 36 px)", "tiny: as asked", "about", "generator 5,699", "critic 2,049",
        "stage 3/3 done: 10 steps of 32 × 24 px", "stage-03.png", f"gantool sample {path}",
    ):  # fmt: skip
        assert text in said.err
    assert "\x1b" not in said.out + said.err


def test_quiet_says_nothing(cli, here):
    said = cli("train", "consingan", "a.png", "--preset", "tiny", "-q")
    assert said.code == 0
    assert said.err == ""
    assert len(said.out.splitlines()) == 1


def test_verbose_names_the_origins(cli, here):
    assert "channels = 8 (preset tiny)" in cli("train", "consingan", "a.png", "--preset", "tiny", "-v").err


def test_dry_run_touches_nothing(cli, here):
    before = snapshot(here)
    said = cli("train", "consingan", "a.png", "--dry-run", "--preset", "tiny")
    assert said.code == 0
    for text in (
        "stage 3/3  32 × 24 px  10",
        "channels         8",
        "preset tiny",
        "drawn",
        "checkpoint takes",
    ):
        assert text in said.out
    plan = cli("train", "consingan", "a.png", "--dry-run", "--preset", "tiny", "--json").data["plans"][0]
    assert [s["steps"] for s in plan["stages"]] == [10, 10, 10]
    assert [(s["width"], s["height"]) for s in plan["stages"]][-1] == (32, 24)
    assert plan["parameters"] == {"generator": 5699, "critic": 2049}
    assert plan["seconds"] > 0
    assert plan["checkpoint_bytes"] > 12 * (5699 // 3)
    assert snapshot(here) == before


def test_without_a_preset_the_reason_is_said(cli, here, monkeypatch):
    from gantool.tasks import plan

    # Timing a step of every size would be slow here; the ratios are what is looked at.
    monkeypatch.setattr(plan, "time_steps", lambda plan: [0.01] * plan.options.config.stages)
    said = cli("train", "consingan", "a.png", "--dry-run", "--device", "cpu")
    assert "fast: no preset named, and this is a CPU" in said.out
    assert "about 48 s (`paper` would take about" in said.out  # 6 stages of 800 steps
    said = cli("train", "consingan", "a.png", "--dry-run", "--max-time", "10s", "--device", "cpu")
    assert "fitted to 10 s, by fewer steps (the whole schedule: about 48 s)" in said.out
    said = cli("train", "consingan", "a.png", "--dry-run", "--max-time", "1m", "--device", "cpu")
    assert "about 48 s, within the limit of 1 min" in said.out


def test_a_config_file_made_by_config_init(cli, here):
    text = cli("config", "init", "consingan", "--preset", "tiny").out
    Path("my.toml").write_text(text.replace("channels = 8", "channels = 4"))
    words = ["train", "consingan", "a.png", "--config", "my.toml", "--set", "lr_g=1e-3", "--layers", 2]
    plan = cli(*words, "--dry-run", "--json").data["plans"][0]
    assert plan["options"]["channels"] == {"value": 4, "origin": "my.toml"}
    assert plan["options"]["lr_g"] == {"value": 1e-3, "origin": "--set"}
    assert plan["options"]["layers"] == {"value": 2, "origin": "flag"}
    assert plan["preset_reason"] == "named in my.toml"


def test_one_bad_picture_of_several(cli, here):
    copy(here, "pics/b.png")
    (here / "pics/c.png").write_text("no picture")
    words = ["train", "consingan", "a.png", "pics", "gone.png", "--preset", "tiny", "--name", "x"]
    said = cli(*words)
    assert said.code == 1
    assert [path.rsplit("-", 2)[1:] for path in said.out.splitlines()] == [["x", "a"], ["x", "b"]]
    assert "c.png is not a picture" in said.err
    assert "There is no file gone.png." in said.err
    assert "2 of 4 pictures trained." in said.err
    said = cli(*words, "--json", "--iterations", 1)
    assert said.code == 1
    assert said.reply["ok"] is False
    assert said.reply["error"]["message"] == "2 of 4 pictures could not be trained."
    assert len(said.reply["data"]["runs"]) == 2
    assert [f["picture"] for f in said.reply["data"]["failed"]] == ["pics/c.png", "gone.png"]


def test_a_process_of_torchrun_takes_its_share(cli, here, monkeypatch):
    copy(here, "b.png", "c.png")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    said = cli("train", "consingan", "a.png", "b.png", "c.png", "--preset", "tiny", "--iterations", 1)
    assert said.code == 0
    [path] = said.out.splitlines()
    assert path.endswith("-b")
    assert "[rank 1] trains 1 of 3 pictures, as one of 2 processes." in said.err
    assert all(line.startswith("[rank 1] ") for line in said.err.splitlines())


def test_a_process_without_a_picture_is_idle(cli, here, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    said = cli("train", "consingan", "a.png", "--preset", "tiny")
    assert (said.code, said.out) == (0, "")
    assert said.err == "[rank 1] has nothing to do: there are 1 picture for 2 processes.\n"


def test_max_time_is_a_length_of_time(cli, here):
    said = cli("train", "consingan", "a.png", "--preset", "tiny", "--max-time", "1h30m", "--dry-run", "--json")
    assert said.data["plans"][0]["settings"]["max_time"] == {"value": 5400.0, "origin": "flag"}
    said = cli("train", "consingan", "a.png", "--max-time", "soon", "--json")
    assert (said.code, said.reply["error"]["code"]) == (2, "usage")


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
def test_file_names_that_are_no_text(start_anew, here):
    name = b"caf\xe9.png"
    with open(os.fsencode(here) + b"/" + name, "wb") as file:
        file.write((here / "a.png").read_bytes())
    words = [
        "train",
        "consingan",
        os.fsdecode(name),
        "--preset",
        "tiny",
        "--iterations",
        1,
        "--dry-run",
        "--json",
    ]
    process = start_anew(*words, cwd=here)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.startswith('{"ok": true')
