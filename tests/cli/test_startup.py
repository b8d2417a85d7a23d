"""The program starts quickly, without torch, and its help is complete."""

import re
import resource
import subprocess
import sys

import pytest

from gantool.families.consingan.config import PRESETS, ConSinGANConfig
from gantool.options import option_infos
from gantool.settings import Settings

COMMANDS = [
    ["train", "consingan"], ["resume"], ["sample"], ["animate"], ["report"], ["runs"], ["runs", "diff"],
    ["families"], ["info"], ["doctor"], ["config", "init"], ["config", "show"],
    ["train", "singan"], ["harmonize"], ["edit"], ["paint"], ["superres"], ["import"],
    ["eval", "fid"], ["eval", "stats"], ["weights", "list"],
]  # fmt: skip


def words_of(text):
    """Without borders and line breaks."""
    return re.sub(r"[│\s]+", " ", text)


def test_help_answers_in_half_a_second():
    """Of processor time, which does not depend on what else the machine does: it waits for nothing."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "gantool", "--help"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(times) < 0.5


def test_listings_and_helps_import_no_torch(trained, plugin_folder):
    runs = str(trained.parents[1])
    lines = [
        ["--help"], ["--version"], ["families"], ["info", "consingan"], ["config", "init", "consingan"],
        ["train", "--help"], ["train", "consingan", "--help"], ["runs", "--out", runs],
        ["runs", "diff", "latest", "latest", "--out", runs], ["config", "show", "latest", "--out", runs],
        ["eval", "--help"], ["eval", "fid", "--help"], ["weights", "list"], ["train", "nothing", "x.png"],
    ]  # fmt: skip
    code = (
        "import sys; from gantool.cli.main import run\n"
        f"codes = [run(words) for words in {lines!r}]\n"
        "assert codes == [0] * 13 + [2], codes\n"
        "heavy = {'torch', 'numpy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_option_of_consingan_stands_in_its_help(cli):
    text = words_of(cli("train", "consingan", "--help").out)
    for info in (*option_infos(ConSinGANConfig), *option_infos(Settings)):
        assert f"{info.flag} " in text
        assert info.help in text
    assert "--batch-norm --no-batch-norm" in text
    assert "<generation|retarget|animation|harmonization|editing>" in text
    assert "training iterations a stage [default: 2000]" in text
    assert f"[{'|'.join(PRESETS)}]" in text
    assert "Beyond the paper (off in `paper`)" in text


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_the_common_flags(cli, words):
    said = cli(*words, "--help")
    assert said.code == 0
    for flag in ("--json", "--quiet", "--verbose", "--no-color"):
        assert flag in said.out


def test_help_groups_the_commands(cli):
    text = cli("--help").out
    for panel in ("Train", "Apply", "Measure", "Runs", "Setup"):
        assert f"─ {panel} ─" in text
    assert all(words[0] in text for words in COMMANDS)


def test_version(cli):
    assert cli("--version").out == "gantool 0.1.0\n"


def test_no_command_shows_the_help(cli):
    said = cli()
    assert said.code == 2
    assert "Usage: gantool" in said.out
