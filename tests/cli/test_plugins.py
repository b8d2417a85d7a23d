"""Families from other packages: good ones are like our own, broken ones stop nothing."""

import pytest

pytestmark = pytest.mark.usefixtures("plugin")


def test_broken_plug_ins_are_listed_with_their_reasons(cli):
    said = cli("families")
    assert said.code == 0
    assert "broken: ModuleNotFoundError: No module named 'slowgan_missing'" in said.out
    assert "broken: SystemExit: this plug-in leaves" in said.out
    assert "broken: slowgan:NOT_A_SPEC is no FamilySpec" in said.out
    rows = {row["name"]: row for row in cli("families", "--json").data["families"]}
    assert rows["consingan"]["problem"] is None
    assert rows["slow"]["origin"] == "slowgan 1.5"
    assert rows["crash"]["problem"] == "SystemExit: this plug-in leaves"


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["train", "consingan", "--help"], ["runs"]])
def test_broken_plug_ins_stop_nothing(cli, words, here):
    assert cli(*words).code == 0


def test_training_a_broken_family_says_why(cli):
    said = cli("train", "broken", "a.png", "--anything", "3")
    assert said.code == 2
    assert said.err == (
        "Error: The family broken (slowgan 1.5) cannot be loaded: "
        "ModuleNotFoundError: No module named 'slowgan_missing'.\n"
        "Hint: Update or uninstall that package.\n"
    )


def test_a_family_whose_option_is_taken_by_gantool_says_so(cli):
    said = cli("train", "greedy", "a.png", "--json")
    assert said.code == 2
    assert "its option `device` has a name that gantool uses itself" in said.reply["error"]["message"]
    assert cli("train", "slow", "--help").code == 0


def test_a_good_plug_in_has_its_options_in_the_help(cli):
    text = cli("train", "slow", "--help").out
    for part in (
        "SlowGAN (2020). It sleeps.", "--steps", "how many steps there are [default: 3]", "─ Pauses ─",
        "--pause", "<gay|grave>", "how it feels [really] [default: gay]",
    ):  # fmt: skip
        assert part in text


def test_a_good_plug_in_trains_samples_and_cannot_animate(cli, here):
    words = ["train", "slow", "a.png", "--steps", 2, "--mood", "grave", "--sizes", "[4, 5]", "--json"]
    said = cli(*words)
    assert said.code == 0, said.err
    path = said.data["runs"][0]["path"]
    options = cli("config", "show", path, "--json").data["options"]
    assert options["mood"] == {"value": "grave", "origin": "flag"}
    assert options["sizes"]["value"] == [4, 5]
    assert len(cli("sample", "latest", "-n", 2, "--json").data["files"]) == 2
    said = cli("animate", "latest", "--json")
    assert (said.code, said.reply["error"]["message"]) == (2, "SlowGAN cannot animate.")
