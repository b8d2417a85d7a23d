from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from PIL import Image

from gantool.data.image import load_picture, to_tensor, to_uint8
from gantool.engine.model import Stage
from gantool.errors import RunError, UsageError
from gantool.family import DataShape, SampleRequest
from gantool.metrics.single_image import diversity, patch_swd_pyramid
from gantool.tasks.report import report
from gantool.tasks.report_page import enlargement, facts
from gantool.tasks.report_pictures import _patch_rows, image, pictures, short
from gantool.tasks.report_plot import (
    Curve,
    Scale,
    axes_of,
    nice_ticks,
    plot,
    robust_range,
    smoothed,
    thinned,
    tick_label,
)
from gantool.tasks.report_sets import grids
from gantool.tasks.runs import Run, open_run
from gantool.tasks.sample import sample
from gantool.tasks.train import train
from gantool.wording import duration

VOID = {"meta", "img", "br", "hr", "input", "link"}
HOSTILE = """<img src=x onerror=alert(1)>&"'</title></style></pre>"""


class Page(HTMLParser):
    """Checks that tags balance and that nothing is fetched; keeps pictures, polylines and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.polylines: list[list[tuple[float, float]]] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        assert len(values) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append(tag)
        for name, value in values.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                assert tag == "img"
                assert value is not None
                assert re.match(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+$", value)
        if tag == "img":
            self.images.append(values)
            assert values["alt"]
        if tag == "polyline":
            pairs = (values["points"] or "").split()
            self.polylines.append([(float(x), float(y)) for x, y in (p.split(",") for p in pairs)])
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def pixels(self, alt: str) -> list[np.ndarray]:
        """The pictures whose alternative text begins so."""
        found = [i["src"] or "" for i in self.images if (i["alt"] or "").startswith(alt)]
        return [np.array(Image.open(io.BytesIO(base64.b64decode(s.split(",")[1])))) for s in found]


def read(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    for word in ("http", "<script", "@import", "<link", "<iframe", "<base"):
        assert word not in text
    assert not re.search(r"url\((?!#area-\d+\))", text)  # clip paths of the same page alone
    page = Page(text)
    assert len(set(page.ids)) == len(page.ids)
    assert page.tags.count("h1") == 1
    return page


def words(path: Path) -> str:
    """What a reader reads, without pictures."""
    return unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", path.read_text(encoding="utf-8"), flags=re.S))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("report")
    y, x = np.mgrid[:40, :40]
    pixels = np.stack([x * 6, y * 6, 128 + 100 * np.sin(x / 3)], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "waves.png")
    return train(
        "consingan", folder / "waves.png", preset="tiny", seed=5, device="cpu", log_every=1, out=folder / "runs"
    )


@pytest.fixture
def copy(trained: Run, tmp_path: Path) -> Run:
    shutil.copytree(trained.path, tmp_path / "copy")
    return open_run(tmp_path / "copy")


def change(run: Run, **values: object) -> None:
    info = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**info, **values}))


# ---- a finished run ----------------------------------------------------------------------------------------


def test_page_of_a_finished_run(trained: Run) -> None:
    path = report(trained, samples=3, seed=4)
    assert path == trained.path / "report.html"
    page = read(path)
    # picture and reconstruction, three samples, wider and taller, three previews
    assert len(page.images) == 2 + 3 + 2 + 3
    assert path.stat().st_size < 300_000
    text = words(path)
    for word in (
        "ConSinGAN: waves",
        "finished",
        "tiny",
        trained.info["data"]["sha256"],
        "32 × 32",
        "stage 3/3",
    ):
        assert word in text
    assert len(page.polylines) == 5 * 3  # five losses, three stages
    assert "gantool resume" not in text


def test_pictures_are_those_of_the_sample_command(trained: Run, tmp_path: Path) -> None:
    page = read(report(trained, samples=3, seed=4, to=tmp_path / "r.html"))
    drawn = sample(trained, seeds=[4, 5, 6], to=tmp_path / "own", device="cpu")
    for shown, file in zip(page.pixels("Sample of seed"), drawn.files, strict=True):
        np.testing.assert_array_equal(shown, load_picture(file).pixels)
    (wide,) = page.pixels("A sample wider")
    own = sample(trained, seeds=[4], size="48x32", to=tmp_path / "wide", device="cpu")
    np.testing.assert_array_equal(wide, load_picture(own.files[0]).pixels)
    assert page.pixels("A sample taller")[0].shape == (48, 32, 3)
    previews = page.pixels("Preview after stage")
    for shown, file in zip(previews, sorted((trained.path / "previews").iterdir()), strict=True):
        np.testing.assert_array_equal(shown, load_picture(file).pixels)


def test_measurements_are_those_of_the_metrics(trained: Run, tmp_path: Path) -> None:
    text = words(report(trained, samples=4, to=tmp_path / "r.html"))
    model = trained.load("cpu")
    real, fakes = model.get_buffer("real"), model.sample(SampleRequest(range(4)))
    each = [patch_swd_pyramid(real, fakes[i : i + 1], directions=256) for i in range(4)]
    for name, values in zip(("full", "half", "quarter"), zip(*each, strict=True), strict=True):
        assert re.search(rf"Patch SWD, {name} size\s+{re.escape(short(fmean(values)))}\s", text)
        assert f"{short(min(values))} to {short(max(values))}" in text
    assert re.search(rf"Diversity\s+{re.escape(short(diversity(fakes, real)))}\s", text)
    assert "4 samples of seeds 0 to 3" in text


def test_settings_are_complete_and_marked(trained: Run) -> None:
    html = report(trained).read_text()
    rows = {
        unescape(name): ("changed" in css, re.findall(r"<td[^>]*>(.*?)</td>", rest))
        for css, name, rest in re.findall(r'<tr([^>]*)><th scope="row">(\w+)</th>(.*?)</tr>', html)
    }
    options = trained.tables["options"] | trained.tables["run"]
    assert set(options) <= set(rows)
    assert rows["iterations"] == (True, ["10", "2000", "preset tiny", "training iterations a stage"])
    assert rows["layers"][0] is False
    assert rows["layers"][1][:3] == ["3", "", "default"]
    assert rows["max_time"][1][0] == "not set"
    assert rows["seed"][1][:3] == ["5", "not set", trained.info["origins"]["seed"]]


def test_commands_repeat_the_run(trained: Run) -> None:
    text = words(report(trained))
    assert f"gantool train consingan {trained.path}/input.png --config {trained.path}/config.toml" in text
    assert "--background" not in text
    again = train(
        "consingan",
        trained.path / "input.png",
        config=trained.path / "config.toml",
        out=trained.path.parents[1] / "again",
    )
    one, two = (r.load("cpu").state_dict() for r in (trained, again))
    assert all(torch.equal(one[key], two[key]) for key in one)


# ---- curves ------------------------------------------------------------------------------------------------


def test_polylines_lie_on_the_logged_values(copy: Run) -> None:
    lines = [
        {"total": t, "stage": (t - 1) // 100, "step": (t - 1) % 100 + 1, "seconds": t / 10, "known": value}
        for t in range(10, 201, 10)
        for value in [1.0 if t <= 100 else 3.0]
    ]
    (copy.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = read(report(copy, samples=1))
    # x: 0..200 on 62..628. y: the range 1..3 with 5 % of air, 0.9..3.1, on 190..22.
    level = {0: 190 - 0.1 / 2.2 * 168, 1: 190 - 2.1 / 2.2 * 168}
    assert len(page.polylines) == 2
    for stage, line in enumerate(page.polylines):
        expected = [(62 + t / 200 * 566, level[stage]) for t in range(100 * stage + 10, 100 * stage + 101, 10)]
        np.testing.assert_allclose(line, expected, atol=0.051)
    html = report(copy, samples=1).read_text()
    dots = re.findall(r"M([\d.]+) ([\d.]+)h0", html)
    assert [float(x) for x, _ in dots] == pytest.approx([62 + t / 200 * 566 for t in range(10, 201, 10)], abs=0.051)
    assert re.search(r'class="stage" x1="345\.0"', html)  # the second stage begins at step 100
    assert "known: 20 values, the last one 3" in html
    assert re.search(r"stage 1/3.*?100 of 10", words(copy.path / "report.html"), re.S)
    assert "0.100" in words(copy.path / "report.html")  # seconds a step


def test_a_long_noisy_curve_is_thinned_and_its_outliers_left_outside() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=5000)
    values[[7, 4000]] = 1e9, -1e30
    curve = Curve("loss", range(1, 5001), [0] * 5000, values.tolist())
    svg = plot([curve], [(0, "1")], "k")
    assert svg.count("h0") == 400
    (points,) = re.findall(r'points="([^"]*)"', svg)
    assert len(points.split()) == 400
    assert ">2 outside<" in svg
    assert all(-2000 < float(n) < 20000 for pair in points.split() for n in pair.split(","))
    low, high = robust_range(values.tolist())
    assert -12 < low < -3
    assert 3 < high < 12
    assert "e" not in re.sub(r"[a-z]{2,}|=", "", points)  # plain decimals


def test_moving_average_stays_in_its_stage() -> None:
    values = [*range(40), *[100.0] * 40]
    curve = Curve("loss", range(80), [0] * 40 + [1] * 40, values)
    line = smoothed(curve)
    assert line[40:] == [100.0] * 40
    assert line[2:38] == pytest.approx(list(range(2, 38)))  # a centred mean keeps a straight line
    assert line[0] == pytest.approx(1.0)  # of 0, 1, 2
    assert line[39] == pytest.approx(38.0)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 300, [0, 50, 100, 150, 200, 250, 300]),
        (-0.9, 2.1, [-0.5, 0, 0.5, 1, 1.5, 2]),
        (0.0012, 0.0031, [0.0015, 0.002, 0.0025, 0.003]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    found, step = nice_ticks(low, high, 7 if high == 300 else 5)
    assert found == pytest.approx(ticks)
    assert step == pytest.approx(ticks[1] - ticks[0])


def test_tick_labels() -> None:
    assert [tick_label(v, 0.5) for v in (-0.5, -1e-17, 1.0)] == ["−0.5", "0.0", "1.0"]
    assert [tick_label(v, 2000) for v in (0, 4000, -2000)] == ["0", "4k", "−2k"]
    assert tick_label(3e-7, 1e-7) == "3e−07"
    assert tick_label(120, 20) == "120"


@pytest.mark.parametrize(
    "values",
    [[0.0], [1e300, -1e308, 1e308], [5e-324, 0.0], [3.0, 3.0], [1e16, 1e16 + 2], [0, 0, 0, 0, 0, 0, 7.0]],
)
def test_strange_values_still_plot(values: list[float]) -> None:
    svg = plot([Curve("x", range(1, len(values) + 1), [0] * len(values), values)], [(0, "1")], "k")
    assert "nan" not in svg
    assert "inf" not in svg.replace("infer", "")


def test_scales() -> None:
    assert Scale(1, 3, 100, 0)(2) == 50
    assert thinned(3, 400) == [0, 1, 2]
    kept = thinned(1001, 401)
    assert kept[0] == 0
    assert kept[-1] == 1000
    assert len(set(kept)) == 401
    x, _ = axes_of([Curve("a", [0], [0], [1.0])])
    assert (x.low, x.high) == (0, 1)


# ---- hostile text ------------------------------------------------------------------------------------------


def test_everything_is_escaped(trained: Run, tmp_path: Path) -> None:
    folder = tmp_path / """a<b>&"' $(id)"""
    shutil.copytree(trained.path, folder)
    run = open_run(folder)
    data = {
        **run.info["data"],
        "path": f"/x/{HOSTILE.replace('/', '')}",
        "notes": [HOSTILE],
        "background": HOSTILE,
    }
    change(
        run, name=HOSTILE, preset=HOSTILE, status=HOSTILE, started=HOSTILE, device=HOSTILE, data=data,
        versions={HOSTILE: HOSTILE}, seed=HOSTILE, origins={"stages": HOSTILE},
    )  # fmt: skip
    entry = {"total": 1, "stage": 0, "step": 1, "seconds": 1, HOSTILE: 2.0, "text": HOSTILE}
    (folder / "metrics.jsonl").write_text(json.dumps(entry))
    with open(folder / "config.toml", "a") as file:
        file.write(f"\n[other]\n'x' = 1\n['{HOSTILE.replace(chr(39), '')}']\na = 1\n")
    path = report(open_run(folder), samples=1)
    page = read(path)
    assert len(page.images) == 2 + 1 + 2 + 3
    text = path.read_text()
    assert "onerror" in text
    assert "<img src=x" not in text
    assert text.count("</title>") == text.count("</style>") == 1
    assert HOSTILE in words_of(page)
    assert """'"'"' $(id)/config.toml'""" in page.text  # quoted for the shell, too


def words_of(page: Page) -> str:
    return page.text


# ---- runs in every state -----------------------------------------------------------------------------------


def no_checkpoint(run: Run) -> None:
    shutil.rmtree(run.path / "checkpoints")
    shutil.rmtree(run.path / "previews")
    (run.path / "metrics.jsonl").unlink()
    change(run, status="running", ended=None)


def all_damaged(run: Run) -> None:
    for file in run.path.glob("checkpoints/*/model.safetensors"):
        file.write_bytes(b"torn")


def newest_damaged(run: Run) -> None:
    (run.path / "checkpoints/step-0000030-end/state.json").write_text("{")
    change(run, status="running")


def interrupted(run: Run) -> None:
    shutil.rmtree(run.path / "checkpoints/step-0000030-end")
    shutil.rmtree(run.path / "checkpoints/step-0000020-end")
    change(run, status="interrupted")


def diverged(run: Run) -> None:
    shutil.rmtree(run.path / "checkpoints/step-0000030-end")
    change(run, status="diverged")


def torn_log(run: Run) -> None:
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    odd = ["{", "[1]", "null", '{"total": 90}', '{"total": 91, "stage": -1}', lines[9][:40]]
    (run.path / "metrics.jsonl").write_text("\n".join([*lines[:9], *odd, lines[12]]))


def empty_log(run: Run) -> None:
    (run.path / "metrics.jsonl").write_bytes(b"")


def binary_log(run: Run) -> None:
    (run.path / "metrics.jsonl").write_bytes(b"\xff\x00\xfe" * 100)


def endless_log(run: Run) -> None:
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"total": 1e999}')


def unknown_family(run: Run) -> None:
    change(run, family="gone")


def no_config(run: Run) -> None:
    (run.path / "config.toml").unlink()


def other_options(run: Run) -> None:
    with open(run.path / "config.toml") as file:
        text = file.read().replace("[options]", '[options]\nfuture = "x"')
    (run.path / "config.toml").write_text(text)


def no_input(run: Run) -> None:
    (run.path / "input.png").unlink()
    (run.path / "previews/stage-02.png").write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("break_it", "images", "said"),
    [
        (no_checkpoint, 0, "There is no checkpoint yet"),
        (no_checkpoint, 0, "There are no logged losses"),
        (no_checkpoint, 0, "killed"),
        (all_damaged, 3, "No checkpoint in"),
        (newest_damaged, 2 + 2 + 2 + 3, "step-0000030-end is passed over"),
        (newest_damaged, 2 + 2 + 2 + 3, "The newest checkpoint has 20 of 30 steps"),
        (interrupted, 2 + 2 + 2 + 3, "interrupted"),
        (interrupted, 2 + 2 + 2 + 3, "using it as it was at stage 1/3"),
        (interrupted, 2 + 2 + 2 + 3, "gantool resume"),
        (diverged, 2 + 2 + 2 + 3, "not finite"),
        (torn_log, 2 + 2 + 2 + 3, "stage 2/3"),
        (empty_log, 2 + 2 + 2 + 3, "There are no logged losses"),
        (binary_log, 2 + 2 + 2 + 3, "There are no logged losses"),
        (endless_log, 2 + 2 + 2 + 3, "Losses"),
        (unknown_family, 3, "There is no family 'gone'"),
        (unknown_family, 3, "defaults are not known"),
        (no_config, 3, "config.toml"),
        (other_options, 3, "There is no option `future`"),
        (other_options, 3, "not known to this version"),
        (no_input, 2 + 2 + 2 + 2, "no picture"),
    ],
)
def test_states(copy: Run, break_it: Callable[[Run], None], images: int, said: str) -> None:
    break_it(copy)
    path = report(open_run(copy.path), samples=2)
    assert len(read(path).images) == images
    if said != "no picture":
        assert said in words(path)
    else:
        assert "stage-02.png" in words(path)


def test_samples_of_an_unfinished_run_have_the_size_of_its_stage(copy: Run) -> None:
    interrupted(copy)
    page = read(report(open_run(copy.path), samples=2))
    size = copy.load("cpu").stages()[0].size
    assert max(size) < 20
    assert page.pixels("Sample of seed")[0].shape == (*size, 3)
    assert page.pixels("The picture")[0].shape == (*size, 3)


def test_torn_log_keeps_whole_entries(copy: Run) -> None:
    torn_log(copy)
    page = read(report(copy, samples=1))
    assert sum(len(line) for line in page.polylines) == 5 * 10


# ---- where it goes -----------------------------------------------------------------------------------------


def test_it_is_rewritten_but_nothing_else_is(copy: Run, tmp_path: Path) -> None:
    first = report(copy, samples=1)
    change(copy, name="renamed")
    assert "renamed" in words(report(open_run(copy.path), samples=1))
    assert not list(first.parent.glob("*.tmp"))
    own = tmp_path / "mine.html"
    own.write_text("my own page")
    with pytest.raises(RunError, match="no report"):
        report(copy, samples=1, to=own)
    assert own.read_text() == "my own page"
    (tmp_path / "folder").mkdir()
    path = report(copy, samples=1, to=tmp_path / "folder")
    assert path == tmp_path / "folder" / f"{copy.id}.html"
    assert report(copy, samples=1, to=path) == path
    with pytest.raises(RunError):
        report(copy, samples=1, to=tmp_path / "nowhere" / "r.html")


def test_arguments_are_checked(trained: Run, tmp_path: Path) -> None:
    for samples in (0, -1, 65):
        with pytest.raises(UsageError):
            report(trained, samples=samples)
    for seed in (-1, 2**63):
        with pytest.raises(UsageError):
            report(trained, seed=seed)
    with pytest.raises(RunError):
        report("nothing", out=tmp_path)


# ---- parts -------------------------------------------------------------------------------------------------


class Plain:
    """Draws pictures and knows no picture to reconstruct."""

    def sample(self, request: SampleRequest) -> torch.Tensor:
        return torch.zeros(len(request.seeds), 1, 8, 8)


class Broken(Plain):
    def sample(self, request: SampleRequest) -> torch.Tensor:
        return super().sample(request) * torch.nan


def test_models_without_reconstruction_and_with_nan() -> None:
    parts = "".join(pictures(Plain(), [0, 1]))  # type: ignore[arg-type]
    assert parts.count("<img") == 2
    assert "Measured" not in parts
    assert "No samples could be drawn: The pictures hold NaN" in "".join(pictures(Broken(), [0]))  # type: ignore[arg-type]


def test_patch_rows_of_small_pictures() -> None:
    real, fakes = torch.rand(1, 3, 20, 20), torch.rand(2, 3, 20, 20)
    (row,) = _patch_rows(real, fakes)
    assert row.cells[0] == "Patch SWD, full size"
    assert _patch_rows(real[..., :5], fakes[..., :5]) == []


def test_large_pictures_become_jpeg() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    shown = image(noise, "noise", "noise")
    assert shown.kind == "jpeg"
    assert "compressed" in shown.caption
    assert Image.open(io.BytesIO(shown.data)).format == "JPEG"
    small = image(noise[:50, :60], "noise", "noise")
    assert (small.kind, small.width, small.height, small.caption) == ("png", 60, 50, "noise")
    assert small.alt == "noise, 60 by 50 pixels"


def test_small_things() -> None:
    assert [duration(s) for s in (0.84, 13.2, 59.7, 245, 7380)] == [
        "0.8 s",
        "13 s",
        "1 min",
        "4 min 5 s",
        "2 h 3 min",
    ]
    assert [short(v) for v in (0, 0.0123456, 12.3456, 126.4, -1.5)] == ["0", "0.0123", "12.3", "126", "-1.50"]
    assert [enlargement(*s) for s in ((68, 100), (20, 30), (188, 250), (1000, 2000))] == [3, 6, 1, 1]
    assert facts({"a": "", "<": ">"}) == "<dl><dt>&lt;</dt><dd>&gt;</dd></dl>"
    assert float(to_tensor(np.zeros((1, 1, 3), np.uint8)).mean()) == -1.0


# ---- runs on data sets -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An AC-GAN that has seen a few of scikit-learn's digits."""
    folder = tmp_path_factory.mktemp("digits")
    return train(
        "acgan",
        "builtin:digits",
        preset="tiny",
        seed=5,
        device="cpu",
        steps=14,
        log_every=1,
        preview_every=2,
        out=folder,
    )


@pytest.fixture
def copied(digits: Run, tmp_path: Path) -> Run:
    shutil.copytree(digits.path, tmp_path / "copied")
    return open_run(tmp_path / "copied")


def test_page_of_a_run_on_a_set(digits: Run) -> None:
    path = report(digits, samples=3, seed=4)
    page, text = read(path), words(path)
    # a row for each class, a way from one to another, six of seven previews
    assert len(page.images) == 10 + 1 + 6
    for word in (
        "AC-GAN: digits",
        "1,797",
        "10: 0 (178), 1 (182), 2 (177), 3 (183)",
        "grey pictures",
        "builtin",
        "16 × 16 pixels",
        "Pictures seen",
    ):
        assert word in text
    assert "gantool train acgan builtin:digits --config" in text
    assert "Reconstruction" not in text
    assert "Too short to judge: that begins after step 200." in text
    shown = [re.match(r"Preview of step (\d+)", image["alt"] or "") for image in page.images]
    assert [int(found[1]) for found in shown if found] == [2, 4, 6, 10, 12, 14]
    # Ten numbers in five plots, and two plots of two curves from the watch.
    assert len(page.polylines) == 10 + 4
    assert page.tags.count("svg") == 5 + 2
    assert text.count("discriminator") >= 2
    assert "images" not in page.text


def test_grid_is_what_the_sample_command_draws(digits: Run, tmp_path: Path) -> None:
    page = read(report(digits, samples=3, seed=4, to=tmp_path / "r.html"))
    model = digits.load("cpu")
    for label, row in enumerate(page.pixels("Samples of class")):
        own = to_uint8(model.sample(SampleRequest([4, 5, 6], labels=[label] * 3)))
        assert row.shape == (18, 3 * 17 + 1, 3)
        for column in range(3):
            np.testing.assert_array_equal(row[1:17, 1 + 17 * column : 17 + 17 * column], own[column])
    (way,) = page.pixels("A way through latent space")
    ends = to_uint8(model.sample(SampleRequest([4, 5], labels=[0, 0])))
    assert way.shape == (18, 10 * 17 + 1, 3)
    np.testing.assert_array_equal(way[1:17, 1:17], ends[0])
    np.testing.assert_array_equal(way[1:17, -17:-1], ends[1])


def test_curves_of_a_plot_share_its_axes(copied: Run) -> None:
    lines = [{"total": t, "stage": 0, "step": t, "seconds": t, "d_loss": 1, "g_loss": 3} for t in range(1, 21)]
    (copied.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = report(copied, samples=1)
    one, two = read(path).polylines[:2]
    np.testing.assert_allclose(one, [(62 + t / 20 * 566, 190 - 0.1 / 2.2 * 168) for t in range(1, 21)], atol=0.051)
    np.testing.assert_allclose(two, [(62 + t / 20 * 566, 190 - 2.1 / 2.2 * 168) for t in range(1, 21)], atol=0.051)
    html = path.read_text()
    assert 'aria-label="discriminator: 20 values, the last one 1; generator: 20 values, the last one 3"' in html
    assert '<figcaption class="legend"><span>discriminator</span><span class="k1">generator</span>' in html
    assert html.count('<polyline class="line k1"') == 1 + 2  # and the two of the watch
    assert 'class="stage"' not in html  # one stage has no boundary


def test_shares_are_drawn_from_0_to_1(copied: Run) -> None:
    lines = [{"total": t, "stage": 0, "step": t, "seconds": t, "acc_real": 0.9, "acc_fake": 0.7} for t in (1, 2, 3)]
    (copied.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    one, two = read(report(copied, samples=1)).polylines[:2]
    for line, value in ((one, 0.9), (two, 0.7)):
        assert [y for _, y in line] == pytest.approx([190 - (value + 0.05) / 1.1 * 168] * 3, abs=0.051)


def test_warnings_are_told_with_their_step(copied: Run) -> None:
    entries = [
        {
            "total": 300,
            "stage": 0,
            "step": 300,
            "warnings": [{"kind": "a", "text": f"The discriminator wins {HOSTILE}"}],
        },
        {"total": 400, "stage": 0, "step": 400, "ms_ssim": 0.9, "ms_ssim_real": 0.2, "warnings": [{"text": "Alike."}]},
        {"total": 500, "stage": 0, "step": 500, "ms_ssim": 0.9, "warnings": "odd"},
        {"total": 600, "warnings": [7, {"kind": "b"}]},
    ]
    (copied.path / "watch.jsonl").write_text("".join(json.dumps(e) + "\n" for e in entries))
    path = report(copied, samples=1)
    rows = re.findall(r'<th scope="row">(\d+)</th><td>(.*?)</td>', path.read_text())
    assert [(step, unescape(text)) for step, text in rows] == [
        ("300", f"The discriminator wins {HOSTILE}"),
        ("400", "Alike."),
        ("600", ""),
    ]
    assert "Neither" not in words(path)
    read(path)


def test_a_watch_without_findings(copied: Run) -> None:
    entry = {"total": 300, "stage": 0, "step": 300, "ms_ssim": 0.3, "ms_ssim_real": 0.2, "warnings": []}
    (copied.path / "watch.jsonl").write_text(json.dumps(entry))
    assert "Neither imbalance of the players nor collapse of the samples was found." in words(report(copied, samples=1))


def test_a_set_without_watch_or_previews(copied: Run) -> None:
    (copied.path / "watch.jsonl").unlink()
    shutil.rmtree(copied.path / "previews")
    change(copied, data={"kind": "set", "path": HOSTILE, "classes": [HOSTILE] * 300, "pictures": "many"})
    path = report(open_run(copied.path), samples=1)
    page = read(path)
    assert len(page.images) == 10
    assert "Watched" not in page.text
    assert f"300: {HOSTILE}" in page.text
    assert page.text.count("onerror") < 130
    assert path.read_text().count("</style>") == 1


def test_unlabelled_sets_have_a_grid() -> None:
    model = Grid(0)
    parts = Page("".join(grids(model, range(7, 12), [])))  # type: ignore[arg-type]
    (sheet,) = parts.pixels("Samples")
    assert sheet.shape == (8 * 9 + 1, 5 * 9 + 1, 3)
    assert [sheet[9 * (i // 5) + 1, 9 * (i % 5) + 1, 0] for i in range(40)] == list(range(7, 47))
    assert "seeds 7 to 46" in parts.text


def test_many_classes_are_spread() -> None:
    parts = Page("".join(grids(Grid(100), [3, 4], ["cat", HOSTILE])))  # type: ignore[arg-type]
    assert len(parts.images) == 20
    assert "20 of 100 classes" in parts.text
    captions = [(image["alt"] or "").split(",")[0] for image in parts.images]
    assert captions[0] == "Samples of class cat"
    assert captions[1:] == [f"Samples of class {round(i * 99 / 19)}" for i in range(1, 20)]
    assert "No samples could be drawn" in "".join(grids(BrokenGrid(3), [3, 4], []))  # type: ignore[arg-type]


class Grid:
    """Draws pictures of one grey: the seed."""

    complete = True

    def __init__(self, classes: int) -> None:
        self.shape = DataShape(8, 8, 1, classes)

    def stages(self) -> list[Stage]:
        return [Stage(0, "training", 1, (8, 8))]

    def sample(self, request: SampleRequest) -> torch.Tensor:
        grey = torch.tensor(list(request.seeds)).view(-1, 1, 1, 1) / 127.5 - 1
        return grey.expand(-1, 1, 8, 8)


class BrokenGrid(Grid):
    def sample(self, request: SampleRequest) -> torch.Tensor:
        return super().sample(request) * torch.nan
