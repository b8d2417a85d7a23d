"""`eval parzen`: sets and runs, flat and level by level, against Gaussians whose density is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.neighbors import KernelDensity

import gantool
from gantool import EvalOptions, evaluate
from gantool.errors import DataError, Diverged, MemoryShort, UsageError
from gantool.family import Refines
from gantool.tasks.evaluate import parzen_common
from gantool.tasks.evaluate.measure import measure
from gantool.tasks.evaluate.operands import Drawn, Opener, Operand, quiet
from gantool.tasks.evaluate.options import metric_of
from gantool.tasks.evaluate.parzen import CAVEAT


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def saved(path: Path, pictures) -> Path:
    np.save(path, pictures)
    return path


def enlarged(x):
    return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


class Levels:
    """A model of `Refines` with 2x2 means: `first` draws the coarsest level, `detail` what a finer one adds."""

    def __init__(self, sides, first, detail=None, channels=3):
        self.level_sides, self.first, self.detail, self.channels = sides, first, detail, channels
        self.asked = []

    def reduced(self, images, level):
        while images.shape[-1] > self.level_sides[level]:
            images = torch.nn.functional.avg_pool2d(images, 2)
        return images

    def start(self, seeds, level=0, labels=None):
        return self.first(list(seeds))

    def refine(self, request):
        assert (request.to, len(request.start)) == (request.level + 1, 1)
        self.asked += request.seeds
        coarse = request.start.expand(len(request.seeds), -1, -1, -1)
        assert coarse.shape[-1] == self.level_sides[request.level]
        return [coarse, enlarged(coarse) + self.detail(request.level + 1, coarse, list(request.seeds))]

    def sample(self, request):
        return self.first(list(request.seeds))


def by_level(model, real: Path, n=1, **options):
    options = EvalOptions(n=n, pyramid=True, **options)
    assert isinstance(model, Refines)
    return against(model, real, options)


def against(model, real, options):
    side = Opener(options, quiet, 1).open(real)
    return measure(metric_of("parzen"), side, Operand("run", "run", Drawn("run", model, range(options.n))), options)


# --- flat -----------------------------------------------------------------------------------------------------------


def test_flat_estimate_of_files_is_scikit_learns(tmp_path):
    real, fake = noise(0, 90, 6, 5, 3) // 4 + 90, noise(1, 70, 6, 5, 3) // 4 + 90
    found = evaluate("parzen", saved(tmp_path / "real.npy", real), saved(tmp_path / "fake.npy", fake))
    held = np.linspace(0, 89, 45).astype(int)  # half of them, spread over the set
    x, y = real.reshape(90, -1) / 255, fake.reshape(70, -1) / 255
    windows = {s: KernelDensity(bandwidth=s, leaf_size=90).fit(y) for s in np.logspace(-1, 0, 10)}
    best = max(windows, key=lambda s: windows[s].score(x[held]))
    each = windows[best].score_samples(np.delete(x, held, axis=0))
    assert found.value == pytest.approx(each.mean(), rel=1e-9)
    assert found.values["standard_error"] == pytest.approx(stats.sem(each), rel=1e-9)
    assert found.values["sigma"] == pytest.approx(best)
    assert found.better == "higher"
    assert (found.protocol["measured"], found.protocol["held out"], found.protocol["numbers"]) == (45, 45, 90)
    assert found.protocol["real"]["n"] == 90
    assert CAVEAT in json.loads(json.dumps(found.data()))["warnings"]
    assert any("is the smallest tried: try --sigma 0.01:1" in w for w in found.warnings) == (best == 0.1)

    fixed = evaluate("parzen", tmp_path / "real.npy", tmp_path / "fake.npy", EvalOptions(sigma="0.25"))
    assert fixed.value == pytest.approx(KernelDensity(bandwidth=0.25, leaf_size=90).fit(y).score(x) / 90, rel=1e-9)
    assert fixed.protocol["sigma"] == "as given"


def test_standard_units_and_grey(tmp_path):
    real, fake = noise(0, 40, 6, 6), noise(1, 30, 6, 6) // 2
    sides = saved(tmp_path / "real.npy", real), saved(tmp_path / "fake.npy", fake)
    found = evaluate("parzen", *sides, EvalOptions(sigma="0.7", units="standard"))
    x, y = ((side / 255 - (real / 255).mean()) / (real / 255).std() for side in (real, fake))
    theirs = KernelDensity(bandwidth=0.7, leaf_size=40).fit(y.reshape(30, -1)).score(x.reshape(40, -1)) / 40
    assert found.value == pytest.approx(theirs, rel=1e-9)
    assert found.protocol["numbers"] == 36  # not three times as many
    coloured = saved(tmp_path / "coloured.npy", noise(1, 30, 6, 6, 3))
    assert evaluate("parzen", sides[0], coloured, EvalOptions(sigma="0.7")).protocol["numbers"] == 108
    flat = saved(tmp_path / "flat.npy", np.full((4, 6, 6), 7, np.uint8))
    with pytest.raises(DataError, match="one colour throughout"):
        evaluate("parzen", flat, sides[1], EvalOptions(units="standard"))


def test_how_many_are_held_out_and_measured(tmp_path):
    real, fake = saved(tmp_path / "real.npy", noise(0, 50, 2, 2)), saved(tmp_path / "fake.npy", noise(1, 9, 2, 2))
    for held, pictures, expected in (
        (None, None, (25, 25)),
        (10, None, (10, 40)),
        (10, 20, (10, 20)),
        (None, 20, (30, 20)),
    ):
        found = evaluate("parzen", real, fake, EvalOptions(held_out=held, pictures=pictures))
        assert (found.protocol["held out"], found.protocol["measured"]) == expected
    with pytest.raises(UsageError, match="50 pictures, of which 50 cannot be held out"):
        evaluate("parzen", real, fake, EvalOptions(held_out=50))


def test_pictures_that_cannot_be_measured(tmp_path, monkeypatch):
    real = saved(tmp_path / "real.npy", noise(0, 5, 4, 6, 3))
    with pytest.raises(DataError, match=r"real.npy has 6x4 pixels, .*other.npy 4x4"):
        evaluate("parzen", real, saved(tmp_path / "other.npy", noise(0, 5, 4, 4, 3)))
    with pytest.raises(DataError, match="one picture only"):
        evaluate("parzen", saved(tmp_path / "one.npy", noise(0, 1, 4, 6, 3)), real)
    with pytest.raises(UsageError, match="does not draw level by level"):
        evaluate("parzen", real, real, EvalOptions(pyramid=True))
    monkeypatch.setattr(parzen_common, "free_memory", lambda: 500)
    with pytest.raises(MemoryShort, match="5 pictures of 6x4 pixels"):
        evaluate("parzen", real, real)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sigma": "wide"}, "no width"), ({"sigma": "1:0.1"}, "no width"), ({"sigma": "nan"}, "no width"),
        ({"sigma": "0"}, "no width"), ({"sigma": "0.1:0.1"}, "no width"), ({"sigma": "1e-7:1"}, "no width"),
        ({"sigma": "0.1", "held_out": 3}, "chooses a width"), ({"draws": 3}, "--draws belongs"),
        ({"seed": 3}, "--seed belongs"), ({"units": "metres"}, "no units"), ({"draws": 0}, "draws is 0"),
    ],
)  # fmt: skip
def test_options_that_mean_nothing(tmp_path, options, text):
    real = saved(tmp_path / "real.npy", noise(0, 5, 2, 2))
    with pytest.raises(UsageError, match=text):
        evaluate("parzen", real, real, EvalOptions(**options))


# --- level by level -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("units", ["unit", "standard"])
def test_one_draw_a_level_is_one_gaussian_in_the_space_of_pictures(tmp_path, units):
    """Of sides 1, 2, 4 with one sigma: its deviation is sigma within 2x2 blocks, twice that between them within the
    picture, four times that in the mean."""
    # Details come on top of the true coarser picture; none may leave the range of pixels.
    real, sigma = noise(0, 5, 4, 4, 3) // 2 + 64, 0.3
    rng = torch.Generator().manual_seed(0)
    base = (torch.rand(1, 3, 1, 1, generator=rng) - 0.5) / 4
    details = [None, *((torch.rand(1, 3, side, side, generator=rng) - 0.5) / 4 for side in (2, 4))]
    model = Levels([1, 2, 4], lambda seeds: base, lambda level, coarse, seeds: details[level])
    path = saved(tmp_path / "real.npy", real)
    found = by_level(model, path, sigma=str(sigma), draws=1, units=units)

    means = {side: np.kron(np.eye(4 // side), np.full((side, side), 1 / side)) for side in (2, 4)}  # of rows or columns
    project = {side: np.kron(np.kron(m, m), np.eye(3)) for side, m in means.items()}
    one = np.eye(48)
    covariance = sigma**2 * ((one - project[2]) + 4 * (project[2] - project[4]) + 16 * project[4])

    def flat(x):
        for _ in range((4 // x.shape[-1]).bit_length() - 1):
            x = enlarged(x)
        return x[0].permute(1, 2, 0).numpy().astype(float).ravel() / 2

    centre = 0.5 + project[4] @ flat(base) + (project[2] - project[4]) @ flat(details[1])
    centre += (one - project[2]) @ flat(details[2])
    x = real.reshape(5, -1) / 255
    if units == "standard":
        mean, deviation = (np.tile(f(x.reshape(-1, 3), axis=0), 16) for f in (np.mean, np.std))
        x, centre = (x - mean) / deviation, (centre - mean) / deviation
    each = stats.multivariate_normal(centre, covariance).logpdf(x)
    assert found.value == pytest.approx(each.mean(), rel=1e-6)
    assert found.values["standard_error"] == pytest.approx(stats.sem(each), rel=1e-6)
    assert found.protocol["numbers"] == [3, 9, 36]
    assert sum(found.values[f"level_{side}"] for side in (1, 2, 4)) == pytest.approx(found.value)


def test_gaussian_levels_have_the_density_in_closed_form(tmp_path):
    """What a level adds is Gaussian around a function of the true coarser picture: the window widens it by sigma."""
    spread, detail, sigma = 0.1, 0.05, 0.05  # in [0, 1]

    def normal(seeds, channels, side):
        rng = np.random.default_rng(seeds)
        return torch.from_numpy(rng.standard_normal((len(seeds), channels, side, side))).float()

    def tilt(coarse):  # towards the right, by the brightness of the block
        sign = torch.tensor([[-1.0, 1.0]]).repeat(coarse.shape[-1] * 2, coarse.shape[-1])
        return 0.2 * enlarged(coarse) * sign

    model = Levels(
        [2, 4],
        lambda seeds: 2 * spread * normal(seeds, 1, 2),
        lambda level, coarse, seeds: tilt(coarse) + 2 * detail * normal(seeds, 1, 4),
    )
    coarse = model.first(range(10**6, 10**6 + 24))
    drawn = enlarged(coarse) + model.detail(1, coarse, range(24))
    real = ((drawn[:, 0] + 1) / 2 * 255).round().byte().numpy()
    found = by_level(model, saved(tmp_path / "real.npy", real), n=5000, sigma=str(sigma), draws=3000)

    x = real / 255
    a, b, c, d = x[:, ::2, ::2], x[:, ::2, 1::2], x[:, 1::2, ::2], x[:, 1::2, 1::2]
    mean = (a + b + c + d) / 4
    right = (b + d - a - c) / 2 - 0.2 * (2 * mean - 1)  # less what the tilt adds: 2 pixels up, 2 down, 0.1 each
    low = stats.norm(0.5, np.hypot(spread, sigma)).logpdf(mean).sum(axis=(1, 2))
    fine = stats.norm(0, np.hypot(detail, sigma))
    high = sum(fine.logpdf(h).sum(axis=(1, 2)) for h in (right, (a + b - c - d) / 2, (a - b - c + d) / 2))
    expected = low - 4 * np.log(2) + high
    assert found.values["level_2"] == pytest.approx((low - 4 * np.log(2)).mean(), abs=0.03)
    assert found.values["level_4"] == pytest.approx(high.mean(), abs=0.15)
    assert found.value == pytest.approx(expected.mean(), abs=0.15)
    assert len(set(model.asked)) == 24 * 3000  # no draw is used twice,
    assert min(model.asked) == 5000  # or is one of the coarsest level


def test_one_level_is_the_flat_estimate(tmp_path):
    pictures = torch.from_numpy(noise(1, 60, 4, 4, 3)).permute(0, 3, 1, 2) / 255 * 2 - 1
    model = Levels([4], lambda seeds: pictures[seeds])
    path = saved(tmp_path / "real.npy", noise(0, 50, 4, 4, 3))
    options = {"n": 60, "sigma": "0.1:1", "held_out": 20, "pictures": 30}
    flat, pyramid = against(model, path, EvalOptions(**options)), by_level(model, path, **options)
    assert pyramid.value == pytest.approx(flat.value, rel=1e-6)
    assert pyramid.values["sigma_4"] == flat.values["sigma"]
    assert pyramid.values["level_4"] == pyramid.value
    assert any("--pyramid measures it so" in warning for warning in flat.warnings)


def test_sigma_of_each_level_is_chosen_for_it(tmp_path):
    def normal(seeds, side):
        return torch.from_numpy(np.random.default_rng(seeds).standard_normal((len(seeds), 3, side, side))).float()

    model = Levels([2, 4], lambda seeds: normal(seeds, 2) / 2, lambda level, coarse, seeds: normal(seeds, 4) / 50)
    path = saved(tmp_path / "real.npy", noise(0, 30, 2, 2, 3).repeat(2, 1).repeat(2, 2))
    found = by_level(model, path, n=200, draws=50)
    assert found.values["sigma_4"] < 0.05 < found.values["sigma_2"]
    assert (found.protocol["held out"], found.protocol["measured"]) == (15, 15)
    again = by_level(model, path, n=200, draws=50)
    assert again.values == found.values
    assert by_level(model, path, n=200, draws=50, seed=1).values != found.values
    assert any("of 2 px is the largest tried" in w for w in by_level(model, path, n=50, sigma="0.01:0.02").warnings)


def test_a_filter_other_than_2x2_means_is_said(tmp_path):
    class Other(Levels):
        def reduced(self, images, level):
            return images if images.shape[-1] == self.level_sides[level] else images[..., ::2, ::2]

    path = saved(tmp_path / "real.npy", noise(0, 6, 4, 4, 3))
    for kind in (Levels, Other):
        model = kind([2, 4], lambda seeds: torch.zeros(len(seeds), 3, 2, 2), lambda *_: torch.zeros(1, 3, 4, 4))
        said = by_level(model, path, draws=2).warnings
        assert any("not means of 2x2" in warning for warning in said) == (kind is Other)


def test_what_cannot_be_measured_level_by_level(tmp_path):
    colour, grey = saved(tmp_path / "c.npy", noise(0, 6, 28, 28, 3)), saved(tmp_path / "g.npy", noise(0, 6, 28, 28))

    def model(sides, channels=3, value=0.0):
        return Levels(
            sides,
            lambda seeds: torch.full((len(seeds), channels, sides[0], sides[0]), value),
            lambda level, coarse, seeds: torch.zeros(1, channels, sides[level], sides[level]),
        )

    with pytest.raises(UsageError, match="Levels of 8 and 14 pixels are no factor of 2 apart"):
        by_level(model([8, 14, 28]), colour)
    small = saved(tmp_path / "s.npy", noise(0, 6, 8, 8, 3))
    flat = against(model([8, 14, 28]), small, EvalOptions(n=3))
    assert not any("--pyramid" in warning for warning in flat.warnings)  # which would be refused
    with pytest.raises(DataError, match="pictures of 28x28 pixels, run draws 32x32"):
        by_level(model([16, 32]), colour)
    with pytest.raises(DataError, match="draws grey"):
        by_level(model([14, 28], 1), colour)
    with pytest.raises(Diverged):
        by_level(model([14, 28], value=float("nan")), colour)
    with pytest.raises(UsageError, match="not enough for 1,201 draws"):
        by_level(model([14, 28]), colour, seed=2**32 - 1000, sigma="0.1")
    assert by_level(model([14, 28], 1), grey, draws=2).protocol["numbers"] == [196, 588]


def test_measured_while_training(tmp_path):
    measured = {"eval": "parzen@1000000", "eval_samples": 40}
    run = gantool.train("dcgan", "builtin:digits", preset="tiny", seed=1, out=tmp_path, limit=60, **measured)
    scores = [json.loads(line) for line in (run.path / "scores.jsonl").read_text().splitlines()]
    assert [entry["metric"] for entry in scores] == ["parzen"]
    assert np.isfinite(scores[0]["value"])
    assert scores[0]["protocol"]["fake"]["n"] == 40
    assert scores[0]["protocol"]["held out"] == 30
    assert CAVEAT in scores[0]["warnings"]
