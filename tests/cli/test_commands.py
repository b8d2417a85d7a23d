"""What stands after training: samples, films, listings, reports, checks; each as text and as JSON."""

import tomllib
from pathlib import Path

import pytest

from gantool.tasks import doctor


@pytest.fixture
def out(trained):
    return ["--out", trained.parents[1]]


def test_sample(cli, trained, tmp_path):
    words = ["sample", trained, "--seeds", "0-1,7", "--size", "50x30"]
    said = cli(*words, "--to", tmp_path / "s")
    assert (said.code, said.out) == (0, f"{tmp_path / 's'}\n")
    assert "Drew 3 pictures" in said.err
    data = cli(*words, "--to", tmp_path / "t", "--json").data
    assert [Path(file).name for file in data["files"]] == ["seed-0000.png", "seed-0001.png", "seed-0007.png"]
    assert data["sheet"] == str(tmp_path / "t" / "sheet.png")
    assert data["run"] == str(trained)


def test_animate(cli, trained, tmp_path):
    data = cli("animate", trained, "--frames", 3, "--fps", 5, "--to", tmp_path / "f", "--json").data
    assert Path(data["files"][0]).name == "film.gif"
    assert Path(data["files"][0]).exists()


def test_runs(cli, out, trained):
    said = cli("runs", *out)
    header, row = said.out.splitlines()
    assert header.split() == ["Id", "Family", "Preset", "Status", "Steps", "Time", "Picture"]
    assert row.startswith(f"{trained.name}  consingan  tiny    finished  30     ")
    assert row.endswith("photo.png")
    [data] = cli("runs", *out, "--json").data["runs"]
    assert (data["id"], data["steps"], data["path"]) == (trained.name, 30, str(trained))


def test_no_runs(cli, here):
    said = cli("runs")
    assert (said.code, said.out, said.err) == (0, "", "There are no runs in runs.\n")
    assert cli("runs", "--json").data == {"runs": []}


def test_a_damaged_run_does_not_hide_the_others(cli, here):
    assert cli("train", "consingan", "a.png", "--preset", "tiny", "--iterations", 1).code == 0
    Path("runs/consingan/00-broken").mkdir()
    Path("runs/consingan/00-broken/run.json").write_text("{")
    said = cli("runs", "--json")
    assert said.code == 0
    assert len(said.data["runs"]) == 1
    assert "00-broken/run.json is not valid JSON" in said.err


def test_diff(cli, here):
    for seed in (1, 2):
        words = ["--preset", "tiny", "--iterations", seed, "--seed", seed, "--name", f"s{seed}"]
        assert cli("train", "consingan", "a.png", *words).code == 0
    said = cli("runs", "diff", "s1", "s2", "--json")
    assert said.data["differences"] == [
        {"what": "iterations", "a": 1, "b": 2},
        {"what": "seed", "a": 1, "b": 2},
    ]
    text = cli("runs", "diff", "s1", "s2").out
    assert "iterations  1" in text
    assert cli("runs", "diff", "s1", "s1").err.startswith("They have the same options")


def test_report(cli, trained, tmp_path):
    page = tmp_path / "page.html"
    said = cli("report", trained, "--to", page)
    assert (said.code, said.out) == (0, f"{page}\n")
    data = cli("report", trained, "--to", page, "--json").data
    assert data["report"] == str(page)
    assert [Path(plot).name for plot in data["plots"]] == ["losses.png", "penalty.png", "reconstruction.png"]
    assert all(Path(plot).read_bytes().startswith(b"\x89PNG") for plot in data["plots"])
    assert page.read_text().lstrip().lower().startswith("<!doctype html")


def test_families_and_info(cli):
    listed = cli("families").out
    rows = [" ".join(line.split()) for line in listed.splitlines()]
    assert "consingan ConSinGAN 2021 image sample, animate, harmonize, edit, superres built-in" in rows
    assert "singan SinGAN 2019 image sample, animate, harmonize, edit, paint, superres built-in" in rows
    assert "dcgan DCGAN 2016 set sample, interpolate built-in" in rows
    text = cli("info", "consingan").out
    for part in ("WACV 2021", "Licence of the reference", "channels=32", "[0, 1)", "gantool train consingan"):
        assert part in text
    data = cli("info", "consingan", "--json").data
    assert data["presets"]["tiny"]["values"]["channels"] == 8
    assert {"name": "lr_g", "flag": "--lr-g", "type": "float", "default": 5e-4}.items() <= next(
        o for o in data["options"] if o["name"] == "lr_g"
    ).items()


def test_config_init(cli):
    text = cli("config", "init", "consingan", "--preset", "paper").out
    table = tomllib.loads(text)
    assert (table["family"], table["preset"], table["options"]["iterations"]) == ("consingan", "paper", 2000)
    assert "# training iterations a stage\niterations = 2000\n" in text
    assert cli("config", "init", "consingan", "--preset", "paper", "--json").data["toml"] == text.rstrip("\n") + "\n"


def test_config_show(cli, out):
    text = cli("config", "show", "latest", *out).out
    assert "channels         8           preset tiny" in text
    assert "seed             1           flag" in text


def test_doctor(cli, tmp_path, monkeypatch):
    said = cli("doctor", "--out", tmp_path / "not" / "yet")
    assert said.code == 0
    for name in ("python", "torch", "threads", "accelerator", "ffmpeg", "write access", "disk", "families"):
        assert name in said.out
    assert list(tmp_path.iterdir()) == []
    checks = cli("doctor", "--out", tmp_path, "--json").data["checks"]
    assert {check["status"] for check in checks} <= {"ok", "warn"}
    (tmp_path / "file").write_text("")
    said = cli("doctor", "--out", tmp_path / "file", "--json")
    assert said.code == 1
    [bad] = [check for check in said.data["checks"] if check["status"] == "fail"]
    assert (bad["name"], bad["fix"]) == ("write access", "Choose another folder with --out.")


def test_doctor_tells_which_weights_are_here(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTOOL_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))

    def found():
        return next(check for check in doctor.examine(tmp_path) if check.name == "weights")

    assert found().status == "ok"
    assert "none (of 9)" in found().detail
    (tmp_path / "alex.pth").write_bytes(b"torn")
    assert found().status == "warn"
    assert "damaged" in found().detail
    assert "gantool weights fetch lpips-alex" in found().fix


def test_doctor_tells_little_space_and_old_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "LITTLE_SPACE", 1e18)
    monkeypatch.setattr(doctor, "OLDEST_TORCH", (99, 0))
    status = {check.name: check.status for check in doctor.examine(tmp_path)}
    assert (status["disk"], status["torch"]) == ("warn", "fail")
    monkeypatch.setattr(doctor, "NO_SPACE", 1e18)
    assert {c.name: c.status for c in doctor.examine(tmp_path)}["disk"] == "fail"
