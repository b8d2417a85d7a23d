"""The page for a forced choice: what is embedded, in which balance and order, and what does not stand in it."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gantool
from gantool.data.squares import square
from gantool.errors import DataError, RunError, UsageError
from gantool.tasks.evaluate import choice
from gantool.tasks.evaluate.choice import choice_page
from gantool.tasks.evaluate.choice_options import ChoiceOptions, parse_times
from gantool.tasks.evaluate.choice_plan import common_size, display, fitted, names_of, plan, shares, showings


def pictures(folder: Path, n: int, seed: int, size=(12, 10)) -> dict[str, np.ndarray]:
    folder.mkdir()
    random = np.random.default_rng(seed)
    found = {f"{folder.name}-{i}.png": random.integers(0, 256, (*size, 3), dtype=np.uint8) for i in range(n)}
    for name, pixels in found.items():
        Image.fromarray(pixels).save(folder / name)
    return found


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """The folders photographs, model-alpha and model-beta, and their pictures by name."""
    monkeypatch.chdir(tmp_path)
    names = {"photographs": 30, "model-alpha": 24, "model-beta": 24}
    return {name: pictures(Path(name), n, i) for i, (name, n) in enumerate(names.items())}


def page_of(*fakes, to="page.html", **options):
    found = choice_page("photographs", fakes, to, ChoiceOptions(**options))
    text = Path(to).read_text(encoding="utf-8")
    study = json.loads(re.search(r'<script type="application/json" id="study">(.*?)</script>', text, re.S)[1])
    return found, text, study, json.loads(base64.b64decode(study["key"]))


def decoded(study):
    for data in study["pictures"]:
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert (image.format, image.mode, image.info) == ("PNG", "RGB", {})
            yield np.asarray(image)


@pytest.mark.parametrize("pairs", [False, True])
def test_embedded_pictures_are_the_originals_and_the_key_tells_which(sets, pairs):
    _, _, study, key = page_of("model-alpha", "model-beta", trials=20, pairs=pairs)
    shown = list(decoded(study))
    assert len(shown) == len(key["pictures"]) == (40 if pairs else 20)
    for trial, sources in zip(study["trials"], key["trials"], strict=True):
        for place, source in zip(trial["pictures"], sources, strict=True):
            original = sets[key["sources"][source]["name"]][key["pictures"][place]]
            np.testing.assert_array_equal(shown[place], original)


def test_sources_and_times_are_balanced_and_no_picture_comes_twice(sets):
    found, _, study, key = page_of("model-alpha", "model-beta", trials=54, times=(50, 200, 1000))
    both = Counter((sources[0], trial["time"]) for trial, sources in zip(study["trials"], key["trials"], strict=True))
    assert both == {(source, time): 6 for source in range(3) for time in (50, 200, 1000)}
    # Numbered as they come: a picture's number tells nothing of its source.
    assert [trial["pictures"][0] for trial in study["trials"]] == list(range(54))
    assert [(s["name"], s["real"], s["shown"], s["pictures"]) for s in found.sources] == [
        ("photographs", True, 18, 18),
        ("model-alpha", False, 18, 18),
        ("model-beta", False, 18, 18),
    ]
    assert found.notes == found.warnings == []


def test_times_are_balanced_where_sources_do_not_divide(sets):
    _, _, study, _ = page_of("model-alpha", trials=38, times=(50, 200))  # 19 of each source
    assert Counter(trial["time"] for trial in study["trials"]) == {50: 19, 200: 19}


def test_every_pair_has_one_real_picture_on_either_side_equally_often(sets):
    _, _, study, key = page_of("model-alpha", "model-beta", trials=24, pairs=True, times=(100, 300))
    assert all(trial.count(0) == 1 for trial in key["trials"])
    sides = Counter((max(trial), trial.index(0)) for trial in key["trials"])
    assert sides == {(model, side): 6 for model in (1, 2) for side in (0, 1)}
    assert Counter(trial["time"] for trial in study["trials"]) == {100: 12, 300: 12}


def test_the_order_mixes_sources_and_depends_on_the_seed_alone(sets):
    first, text, _, key = page_of("model-alpha", trials=40, seed=3)
    again, same, _, _ = page_of("model-alpha", trials=40, seed=3, to="again.html")
    other, _, _, otherwise = page_of("model-alpha", trials=40, seed=4, to="other.html")
    assert text == same
    assert first.id == again.id != other.id
    assert key["trials"] != otherwise["trials"]
    changes = sum(a != b for a, b in zip(key["trials"], key["trials"][1:], strict=False))
    assert 10 <= changes <= 30  # of 39: 19.5 +- 3.1 in a random order, 1 where one source follows the other


def test_nothing_before_the_end_tells_a_source(sets):
    _, text, _, _ = page_of("model-alpha", "model-beta", trials=30)
    for name in (*sets, *(file for files in sets.values() for file in files)):
        assert name not in text
        assert Path(name).stem not in text
    assert not re.search(r"https?:|//www|@import|url\(|srcset|<link(?! rel=\"icon\" href=\"data:,\")", text)


def test_the_policy_allows_this_script_and_this_style_and_no_address(sets):
    _, text, _, _ = page_of("model-alpha", trials=4)
    policy = dict(
        part.strip().split(" ", 1) for part in html.unescape(re.search(r'Policy" content="(.*?)"', text)[1]).split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["img-src"] == "data:"
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"


def test_a_title_is_text(sets):
    _, text, _, _ = page_of("model-alpha", trials=4, title="</title><script>x()</script>{{study}}")
    assert text.count("<script>") == 1
    assert text.count("&lt;script&gt;x()&lt;/script&gt;{{study}}") == 3  # the title, before and after the trials


def test_pictures_of_different_sizes_become_alike_as_training_makes_squares(sets, tmp_path):
    large = pictures(tmp_path / "large", 10, 7, size=(50, 70))
    small = pictures(tmp_path / "small", 10, 8, size=(16, 16))
    found = choice_page("large", ["small"], "page.html", ChoiceOptions(trials=20))
    assert found.picture == [16, 16]
    assert found.notes == ["Pictures of 2 sizes were cut to their middle and reduced to 16x16, so that size does not "
                           "give them away."]  # fmt: skip
    text = Path("page.html").read_text(encoding="utf-8")
    study = json.loads(re.search(r'id="study">(.*?)</script>', text, re.S)[1])
    key = json.loads(base64.b64decode(study["key"]))
    for name, pixels in zip(key["pictures"], decoded(study), strict=True):
        np.testing.assert_array_equal(pixels, small[name] if name in small else square(large[name], 16))


def test_the_common_size_enlarges_nothing():
    assert common_size([(40, 30), (20, 60)]) == (20, 30)
    assert fitted(np.full((40, 30, 3), 7, np.uint8), (20, 30)).shape == (20, 30, 3)
    row = np.tile(np.arange(60, dtype=np.uint8)[None, :, None], (20, 1, 3))
    np.testing.assert_array_equal(fitted(row, (20, 30)), row[:, 15:45])  # only cut


def test_small_pictures_are_enlarged_by_whole_numbers():
    assert display((32, 32), None) == (256, 256)
    assert display((28, 28), None) == (252, 252)
    assert display((30, 40), None) == (240, 180)
    assert display((500, 400), None) == (400, 500)
    assert display((32, 64), 128) == (128, 64)


def test_too_few_pictures_come_again_after_all_the_others(sets, tmp_path):
    pictures(tmp_path / "few", 4, 9)
    found, _, study, key = page_of("few", trials=20)
    seen = Counter(t["pictures"][0] for t, s in zip(study["trials"], key["trials"], strict=True) if s == [1])
    assert sorted(seen.values()) == [2, 2, 3, 3]
    assert found.warnings == ["4 pictures are all there is of few, to be shown 10 times: what comes again is "
                              "recognised. Give more, or ask for fewer --trials."]  # fmt: skip


def test_pictures_that_cannot_be_read_are_refused_or_replaced_by_others(sets):
    for name in list(sets["model-alpha"])[:10]:
        Path("model-alpha", name).write_bytes(b"\x89PNG\r\n\x1a\n torn")
    with pytest.raises(DataError, match=r"model-alpha-\d+.png"):
        page_of("model-alpha", trials=40)
    assert not Path("page.html").exists()
    found, _, study, _ = page_of("model-alpha", trials=28, skip_bad=True)
    assert found.sources[1]["pictures"] == 14 == found.sources[1]["shown"]
    assert len(list(decoded(study))) == 28
    left_out = re.fullmatch(r"Left out of model-alpha, for they cannot be read: (\d+).", found.warnings[0])
    assert 1 <= int(left_out[1]) <= 10


def test_jpeg_beside_png_is_said(sets, tmp_path):
    (tmp_path / "jpegs").mkdir()
    for i in range(4):
        Image.new("RGB", (10, 12), (i, 0, 0)).save(tmp_path / "jpegs" / f"{i}.jpg")
    found, _, study, _ = page_of("jpegs", trials=8)
    assert "come from JPEG" in found.warnings[-1]
    assert len(list(decoded(study))) == 8  # all PNG


def test_what_cannot_be_asked_is_refused_and_writes_nothing(sets, tmp_path):
    (tmp_path / "empty").mkdir()
    for error, match, fakes, options in (
        (UsageError, "nothing to tell", [], {}),
        (UsageError, "cannot show 3 sources", ["model-alpha", "model-beta"], {"trials": 2}),
        (UsageError, "given twice", ["photographs"], {}),
        (UsageError, "given twice", ["model-alpha", "./model-alpha"], {}),
        (DataError, "No pictures in empty", ["empty"], {}),
        (DataError, "no file or folder gone", ["gone"], {}),
    ):
        with pytest.raises(error, match=match):
            choice_page("photographs", fakes, "page.html", ChoiceOptions(**options))
    with pytest.raises(RunError, match="no folder"):
        choice_page("photographs", ["model-alpha"], "gone/page.html")
    assert not Path("page.html").exists()
    Path("page.html").write_text("mine")
    with pytest.raises(RunError, match="exists already"):
        choice_page("photographs", ["model-alpha"], "page.html")
    assert Path("page.html").read_text() == "mine"


def test_a_page_that_is_too_large_is_refused_with_what_to_do(sets, monkeypatch):
    monkeypatch.setattr(choice, "MOST_BYTES", 5000)  # a picture of 12x10 pixels is about 550 bytes
    with pytest.raises(DataError, match=r"\d of 20 pictures fill that.*--trials"):
        page_of("model-alpha", trials=20)
    assert not Path("page.html").exists()


@pytest.mark.parametrize("values", [{"trials": 0}, {"times": (5,)}, {"times": (70_000,)}, {"size": 4}, {"seed": -1}])
def test_options_that_cannot_be(values):
    with pytest.raises(UsageError):
        ChoiceOptions(**values)


def test_times():
    assert parse_times("") == ()
    assert parse_times("200, 50,200") == (50, 200)
    for wrong in ("50,", "x", "-5", "1.5", "²"):
        with pytest.raises(UsageError, match="is no time"):
            parse_times(wrong)


def test_a_run_draws_as_many_as_it_is_shown_and_its_id_is_its_name(sets, picture, tmp_path):
    run = gantool.train("consingan", picture, preset="tiny", out=tmp_path / "runs")
    found, _, study, key = page_of(run, trials=6)
    assert found.sources[1] == {
        "name": run.id, "real": False, "from": str(run.path), "shown": 3, "pictures": 3
    }  # fmt: skip
    gantool.sample(run, n=3, to=tmp_path / "drawn")
    samples = sorted((tmp_path / "drawn").glob("seed-*.png"))
    assert len(samples) == 3
    wanted = {fitted(np.asarray(Image.open(file).convert("RGB")), (12, 10)).tobytes() for file in samples}
    sources = {trial["pictures"][0]: s[0] for trial, s in zip(study["trials"], key["trials"], strict=True)}
    assert {pixels.tobytes() for i, pixels in enumerate(decoded(study)) if sources[i] == 1} == wanted
    for file in (run.path / "checkpoints").iterdir():
        file.rename(tmp_path / file.name)
    with pytest.raises(RunError, match="no checkpoint yet"):
        page_of(run, trials=6, to="other.html")


def test_names_are_the_shortest_that_differ(tmp_path):
    for name in ("a/samples", "b/samples", "c"):
        (tmp_path / name).mkdir(parents=True)
    assert names_of([tmp_path / "a/samples", tmp_path / "c"]) == ["samples", "c"]
    assert names_of([tmp_path / "a/samples", tmp_path / "b/samples"]) == ["a/samples", "b/samples"]
    assert names_of([tmp_path / "x.zip", tmp_path / "run.v2" / "y.npy"]) == ["x", "y"]
    assert names_of([tmp_path / "x.zip", tmp_path / "x.npy"]) == ["x.zip", "x.npy"]


def test_shares():
    assert shares(10, 3) == [4, 3, 3]
    assert showings(50, 3, pairs=False) == [17, 17, 16]
    assert showings(50, 3, pairs=True) == [50, 25, 25]
    assert len(plan([17, 17, 16], [17, 17, 16], (), False, 0)) == 50


def test_the_package_takes_its_data_files_along():
    root = Path(gantool.__file__).parent
    data = tomllib.loads((root.parent / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = {file for package, patterns in data.items() for pattern in patterns
              for file in root.parent.joinpath(*package.split(".")).glob(pattern)}  # fmt: skip
    others = {file for file in root.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")}
    assert others <= packed
