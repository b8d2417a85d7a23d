"""`gantool weights` on the command line."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gantool.weights import catalogue, store

HEADS = Path(pytest.importorskip("torchmetrics").__file__).parent / "functional" / "image" / "lpips_models"
SHA = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"  # of alex.pth


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTOOL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("GANTOOL_OFFLINE", raising=False)
    return tmp_path / "weights"


@pytest.fixture
def served():
    """The linear layers of LPIPS on a server; the address of its folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(HEADS))) as httpd:
        threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def test_list(cli, folder):
    shutil.copytree(HEADS, folder)
    (folder / "vgg.pth").write_bytes(b"torn")
    said = cli("weights", "list")
    assert said.code == 0
    lines = {line.split()[0]: line for line in said.out.splitlines()}
    assert list(lines) == ["Name", *catalogue.names()]
    assert lines["lpips-alex"].split()[1:] == ["verified", "6", "kB", "lpips", "BSD-2-Clause", str(folder / "alex.pth")]
    assert lines["inception-2015"].split()[1:] == ["missing", "96", "MB", "fid,", "kid,", "is,", "prdc", "Apache-2.0"]
    assert lines["lpips-vgg"].split()[1] == "damaged"
    assert f"{folder / 'vgg.pth'} is damaged" in said.err


def test_list_as_json(cli, folder):
    shutil.copytree(HEADS, folder)
    said = cli("weights", "list", "--json")
    assert said.code == 0
    assert said.data["folder"] == str(folder)
    rows = {row["name"]: row for row in said.data["weights"]}
    assert rows["lpips-alex"] == {
        "name": "lpips-alex",
        "title": "LPIPS v0.1: linear layers on AlexNet",
        "file": "alex.pth",
        "url": "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/alex.pth",
        "size": 6009,
        "sha256": SHA,
        "licence": "BSD-2-Clause",
        "used_by": ["lpips"],
        "state": "verified",
        "path": str(folder / "alex.pth"),
    }
    assert (rows["vgg19"]["state"], rows["vgg19"]["path"]) == ("missing", None)


def test_import_and_path(cli, folder, tmp_path):
    shutil.copy(HEADS / "alex.pth", tmp_path / "brought.bin")
    said = cli("weights", "import", tmp_path / "brought.bin")
    assert (said.code, said.out) == (0, f"{folder / 'alex.pth'}\n")
    assert said.err == "This is lpips-alex, as published.\n"
    assert cli("weights", "path", "lpips-alex").out == said.out
    answer = {"name": "lpips-alex", "path": str(folder / "alex.pth"), "sha256": SHA, "verified": True}
    assert cli("weights", "path", "lpips-alex", "--json").data == answer
    assert cli("weights", "import", tmp_path / "brought.bin", "--as", "lpips-alex", "--json").data == answer


def test_import_of_weights_of_ones_own(cli, folder, here):
    said = cli("weights", "import", "a.png")
    assert said.code == 1
    assert said.err.splitlines()[0].startswith("Error: a.png is none of the published files: its sha256 is ")
    assert "--as NAME --unverified" in said.err
    said = cli("weights", "import", "a.png", "--as", "vgg19", "--unverified")
    assert (said.code, said.out) == (0, f"{folder / 'vgg19.unverified.pth'}\n")
    assert "unverified" in said.err
    assert cli("weights", "path", "vgg19", "--json").data["verified"] is False
    states = {row["name"]: row["state"] for row in cli("weights", "list", "--json").data["weights"]}
    assert states["vgg19"] == "unverified"


@pytest.mark.parametrize(
    ("words", "code", "kind", "text"),
    [
        (["path", "vgg19"], 1, "data", "The weights vgg19 are not on this machine: vgg19-dcbb9e9d.pth (574,673,361"),
        (["path", "vgg18"], 2, "usage", "There are no weights called 'vgg18'."),
        (["fetch", "vgg18"], 2, "usage", "There are no weights called 'vgg18'."),
        (["import", "gone"], 1, "data", "There is no file gone."),
        (["import", "a.png", "--as", "vgg18"], 2, "usage", "There are no weights called 'vgg18'."),
        (["import", "a.png", "--unverified"], 2, "usage", "Unverified weights need a name."),
        (["fetch", "vgg19", "--from", "ftp://x/y"], 1, "data", "ftp://x/y is no address to download from."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors(cli, here, words, code, kind, text):
    said = cli("weights", *words)
    assert said.code == code
    assert said.out == ""
    error, hint = said.err.splitlines()
    assert error.startswith(f"Error: {text}")
    assert hint.startswith("Hint: ")
    said = cli("weights", *words, "--json")
    assert said.code == code
    assert said.reply["ok"] is False
    assert said.reply["error"]["code"] == kind
    assert said.reply["error"]["message"].startswith(text)


def test_fetch(cli, folder, served):
    said = cli("weights", "fetch", "lpips-alex", "--from", f"{served}/alex.pth")
    assert (said.code, said.out) == (0, f"{folder / 'alex.pth'}\n")
    assert said.err == (f"Downloading alex.pth (6,009 bytes, sha256 {SHA}) from {served}/alex.pth to {folder}.\n")
    assert store.find("lpips-alex").verified
    again = cli("weights", "fetch", "lpips-alex", "--json")
    assert again.data == {"name": "lpips-alex", "path": str(folder / "alex.pth"), "sha256": SHA, "verified": True}
    assert again.err == f"lpips-alex is on this machine already: {folder / 'alex.pth'}\n"
    assert cli("weights", "fetch", "lpips-alex", "--quiet").err == ""


def test_fetch_of_another_file(cli, folder, served):
    said = cli("weights", "fetch", "lpips-alex", "--from", f"{served}/vgg.pth", "--json")
    assert said.code == 1
    message = f"{served}/vgg.pth has 7,289 bytes, but alex.pth as published has 6,009."
    assert said.reply["error"]["message"] == message
    assert not (folder / "alex.pth").exists()


def test_fetch_without_a_network_by_wish(cli, folder, served, monkeypatch):
    monkeypatch.setenv("GANTOOL_OFFLINE", "1")
    said = cli("weights", "fetch", "lpips-alex", "--from", f"{served}/alex.pth")
    assert said.code == 1
    assert said.err.splitlines() == [
        "Error: alex.pth is not downloaded, because GANTOOL_OFFLINE is set.",
        "Hint: Bring alex.pth from another machine, then `gantool weights import FILE`.",
    ]
    assert not folder.exists()


def test_progress_in_a_pipe_is_plain_lines(cli, folder, monkeypatch, tmp_path):
    from gantool.cli import progress

    content = bytes(200_000)
    (tmp_path / "zeros").write_bytes(content)
    entry = replace(catalogue.get("vgg19"), size=len(content), sha256=store.sha256_of(tmp_path / "zeros"))
    monkeypatch.setattr(catalogue, "CATALOGUE", (entry,))
    monkeypatch.setattr(progress, "LINE", 0.0)
    said = cli("weights", "fetch", "vgg19", "--from", (tmp_path / "zeros").as_uri())
    assert said.code == 0
    assert "vgg19: 0 B of 200 kB" in said.err
    assert "vgg19: 131 kB of 200 kB" in said.err
    assert said.err.splitlines()[-1] == "vgg19: 200 kB of 200 kB"


def test_help(cli):
    assert "weights" in cli("--help").out
    for words, flags in {"list": [], "path": [], "import": ["--as", "--unverified"], "fetch": ["--from"]}.items():
        said = cli("weights", words, "--help")
        assert said.code == 0
        for flag in [*flags, "--json", "--quiet", "--verbose", "--no-color"]:
            assert flag in said.out


def test_every_flag_is_on_the_page():
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for flag in ("`--as NAME`", "`--unverified`", "`--from URL`", "GANTOOL_WEIGHTS", "GANTOOL_OFFLINE"):
        assert flag in text


def test_the_heavy_libraries_are_not_imported(tmp_path):
    code = (
        "import sys; from gantool.cli.main import run\n"
        "codes = [run(['weights', *words]) for words in (['list'], ['path', 'vgg19'], ['fetch', 'vgg19'])]\n"
        "assert codes == [0, 1, 1], codes\n"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)\n"
    )
    env = {"GANTOOL_WEIGHTS": str(tmp_path / "w"), "TORCH_HOME": str(tmp_path), "GANTOOL_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
