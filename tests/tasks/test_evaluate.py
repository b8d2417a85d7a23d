"""`gantool.evaluate`: from files, folders, arrays, statistics and runs to figures that others give as well."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import skimage.metrics
import torch
import torch.nn.functional as F
from PIL import Image

import gantool
from gantool import EvalOptions, evaluate
from gantool.errors import DataError, RunError, UsageError
from gantool.nn.imresize import imresize
from gantool.tasks.evaluate.options import METRICS, PAIR, SETS, parse_schedule
from gantool.weights.store import MissingWeights

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
GOLDEN = ROOT / "tests" / "golden"


def save(folder, pictures, suffix=".png"):
    folder.mkdir(exist_ok=True)
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / f"{name}{suffix}")
    return folder


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(autouse=True)
def no_weights(tmp_path, monkeypatch):
    """An empty store, whatever this machine has."""
    monkeypatch.setenv("GANTOOL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))


# --- a classifier of digits with random weights stands in for Inception ---------------------------------------


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    torch.manual_seed(3)
    shapes = {
        "convnet.c1": (6, 1, 5, 5), "convnet.c3": (16, 6, 5, 5), "convnet.c5": (120, 16, 5, 5),
        "fc.f6": (84, 120), "fc.f7": (10, 84),
    }  # fmt: skip
    state = {f"{name}.weight": torch.randn(shape) / math.prod(shape[1:]) ** 0.5 for name, shape in shapes.items()}
    state |= {f"{name}.bias": torch.randn(shape[0]) / 10 for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("lenet") / "lenet.pth"
    torch.save(state, path)
    return path, state


def lenet_by_hand(state, digits):
    """Features and logits (float32) of grey digits (N, 32, 32), from the definition of LeNet-5 with tanh."""
    x = torch.from_numpy(digits).float()[:, None] / 255

    def layer(x, name, function):
        return function(x, state[f"{name}.weight"], state[f"{name}.bias"])

    for name in ("convnet.c1", "convnet.c3"):
        x = F.max_pool2d(torch.tanh(layer(x, name, F.conv2d)), 2)
    x = torch.tanh(layer(x, "convnet.c5", F.conv2d)).flatten(1)
    x = torch.tanh(layer(x, "fc.f6", F.linear))
    return x.numpy(), layer(x, "fc.f7", F.linear).numpy()


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Two arrays of smooth grey pictures (N, 32, 32), the second brighter, and their files."""
    folder = tmp_path_factory.mktemp("digits")
    sets = []
    for name, n, light in (("real", 130, 0), ("fake", 120, 40)):
        coarse = noise(n, n, 8, 8) // 2 + light
        pictures = coarse.astype(np.uint8).repeat(4, 1).repeat(4, 2)
        np.save(folder / f"{name}.npy", pictures)
        sets.append((pictures, folder / f"{name}.npy"))
    return sets


def test_fid_of_a_classifier(lenet, digits, tmp_path):
    from pytorch_fid.fid_score import calculate_frechet_distance

    path, state = lenet
    (real, real_file), (fake, fake_file) = digits
    options = EvalOptions(features=path, activation="tanh")
    found = evaluate("fid", real_file, fake_file, options)
    features = [lenet_by_hand(state, pictures)[0].astype(np.float64) for pictures in (real, fake)]
    moments = [value for x in features for value in (x.mean(0), np.cov(x, rowvar=False))]
    assert found.value == pytest.approx(calculate_frechet_distance(*moments), rel=1e-4)
    assert found.protocol["real"]["n"] == 130
    assert found.protocol["fake"]["n"] == 120
    assert found.protocol["ddof"] == 1
    assert any("not Inception's" in warning for warning in found.warnings)
    assert any("130 pictures" in warning and "few" in warning for warning in found.warnings)

    saved = tmp_path / "real.npz"
    gantool.save_statistics(real_file, saved, options)
    again = evaluate("fid", saved, fake_file, options)
    assert again.value == pytest.approx(found.value, rel=1e-9)
    assert not any("was made with" in warning for warning in again.warnings)
    with pytest.raises(gantool.errors.RunError, match="exists already"):
        gantool.save_statistics(real_file, saved, options)
    np.savez(tmp_path / "bare.npz", mu=moments[0], sigma=moments[1])
    bare = evaluate("fid", tmp_path / "bare.npz", fake_file, options)
    assert bare.value == pytest.approx(found.value, rel=1e-4)
    assert any("does not say how it was made" in warning for warning in bare.warnings)
    nvidia = evaluate("fid", saved, fake_file, EvalOptions(features=path, activation="tanh", protocol="nvidia"))
    assert any("N - 1, the other by N - 0" in warning for warning in nvidia.warnings)


def test_kid_inception_score_and_prdc_of_a_classifier(lenet, digits):
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    path, state = lenet
    (real, real_file), (fake, fake_file) = digits
    options = EvalOptions(features=path, activation="tanh", subsets=10, subset_size=50, splits=5)
    x, y = (torch.from_numpy(lenet_by_hand(state, pictures)[0]) for pictures in (real, fake))
    theirs = kid_features_to_metric(
        x, y, kid_subsets=10, kid_subset_size=50, kid_kernel="poly", kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1, rng_seed=2020, verbose=False,
    )  # fmt: skip
    found = evaluate("kid", real_file, fake_file, options)
    assert found.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-4)
    assert found.values["kid_std"] == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-4)
    logits = torch.from_numpy(lenet_by_hand(state, fake)[1])
    score = isc_features_to_metric(logits, splits=5, shuffle=True, rng_seed=2020)
    found = evaluate("is", fake_file, options=options)
    assert found.value == pytest.approx(score["inception_score_mean"], rel=1e-5)
    same = evaluate("prdc", real_file, real_file, options)
    assert same.values == {"precision": 1.0, "recall": 1.0, "density": pytest.approx(4 / 3), "coverage": 1.0}
    little = evaluate("kid", real_file, fake_file, EvalOptions(features=path, activation="tanh", subsets=3))
    assert little.protocol["subset_size"] == 120
    assert any("Subsets of 120" in warning for warning in little.warnings)


# --- pairs -----------------------------------------------------------------------------------------------------


def test_psnr_and_ssim_are_paired_by_name(tmp_path):
    truth = {f"p{i}": noise(i, 40, 50, 3) for i in range(12)}
    spoilt = {name: np.clip(p + np.int16(9), 0, 255).astype(np.uint8) for name, p in truth.items()}
    a, b = save(tmp_path / "a", truth), save(tmp_path / "b", spoilt, ".bmp")
    found = evaluate("psnr", a, b)
    by_hand = [skimage.metrics.peak_signal_noise_ratio(truth[n], spoilt[n], data_range=255) for n in truth]
    assert found.value == pytest.approx(np.mean(by_hand), rel=1e-9)
    assert [row["real"] for row in found.pairs] == [f"p{i}.png" for i in range(12)]  # 2 before 10
    assert [row["psnr"] for row in found.pairs] == pytest.approx(by_hand)
    cut = evaluate("ssim", a / "p3.png", b / "p3.bmp", EvalOptions(crop=4))
    theirs = skimage.metrics.structural_similarity(
        truth["p3"][4:-4, 4:-4], spoilt["p3"][4:-4, 4:-4], channel_axis=2, data_range=255, gaussian_weights=True,
        sigma=1.5, use_sample_covariance=False, full=True,
    )[1][5:-5, 5:-5].mean()  # fmt: skip
    assert cut.value == pytest.approx(theirs, rel=1e-6)
    assert cut.protocol["crop"] == 4


def test_equal_pictures_have_infinite_psnr_which_json_calls_null(tmp_path):
    a = save(tmp_path / "a", {"x": noise(1, 20, 20, 3), "y": noise(2, 20, 20, 3)})
    found = evaluate("psnr", a, a)
    assert math.isinf(found.value)
    assert json.loads(json.dumps(found.data(), allow_nan=False))["value"] is None
    assert "Of 2 pairs 2 have equal pictures, whose PSNR is infinite." in found.warnings


@pytest.mark.skipif(not DATA.exists(), reason="needs the pictures of Set5")
def test_bicubic_on_set5_has_the_published_figures(tmp_path):
    truth, enlarged = {}, {}
    for path in sorted((DATA / "sr" / "Set5" / "image_SRF_4").glob("*_HR.png")):
        low = np.asarray(Image.open(str(path).replace("_HR", "_LR")).convert("RGB"))
        enlarged[path.stem] = imresize(low, scale=4)
        height, width = enlarged[path.stem].shape[:2]
        truth[path.stem] = np.asarray(Image.open(path).convert("RGB"))[:height, :width]
    a, b = save(tmp_path / "hr", truth), save(tmp_path / "sr", enlarged)
    assert evaluate("psnr", a, b, EvalOptions(scale=4)).value == pytest.approx(28.42, abs=0.02)
    assert evaluate("ssim", a, b, EvalOptions(scale=4)).value == pytest.approx(0.8104, abs=0.002)


# --- one picture -----------------------------------------------------------------------------------------------


def test_sifid_is_the_published_one_from_png_as_well(tmp_path):
    golden = np.load(GOLDEN / "singan_sifid.npz")
    weights = tmp_path / "first-blocks.pth"
    torch.save({key[2:]: torch.from_numpy(golden[key]) for key in golden.files if key.startswith("w/")}, weights)
    pictures = {name: golden[f"img{name}_uint8"].astype(np.uint8) for name in "ABC"}
    folder = save(tmp_path / "pictures", pictures)
    options = EvalOptions(weights=weights)
    for a, b in ("AB", "AC", "BC"):
        found = evaluate("sifid", folder / f"{a}.png", folder / f"{b}.png", options)
        assert found.value == pytest.approx(float(golden[f"jpg/sifid_{a}{b}"]), rel=1e-5)
    fakes = save(tmp_path / "fakes", {"one": pictures["B"], "two": pictures["C"]})
    found = evaluate("sifid", folder / "A.png", fakes, options)
    each = [float(golden["jpg/sifid_AB"]), float(golden["jpg/sifid_AC"])]
    assert [row["sifid"] for row in found.pairs] == pytest.approx(each, rel=1e-5)
    assert found.value == pytest.approx(np.mean(each), rel=1e-5)
    assert found.protocol["layer"].startswith("64 channels")
    assert any("not a published file" in warning for warning in found.warnings)
    assert any("Diversity was not measured" in warning for warning in found.warnings)  # their sizes differ
    with pytest.raises(UsageError, match="no layer 100"):
        evaluate("sifid", folder / "A.png", fakes, EvalOptions(weights=weights, layer=100))


@pytest.mark.skipif(not DATA.exists(), reason="needs SIGD16 and the published samples")
def test_published_samples_rank_as_the_literature_ranks_them():
    real, published = DATA / "single_image" / "SIGD16", DATA / "single_image" / "published_samples"
    singan = evaluate("patch-swd", real, published / "SIGD16_SINGAN")
    gpnn = evaluate("patch-swd", real, published / "SIGD16_GPNN")
    assert singan.value == pytest.approx(31.3, abs=1.5)  # measured elsewhere with other directions
    assert gpnn.value == pytest.approx(18.7, abs=1.5)
    closer = sum(a["patch_swd"] > b["patch_swd"] for a, b in zip(singan.pairs, gpnn.pairs, strict=True))
    assert closer >= 12


def test_diversity_by_hand(tmp_path):
    real = noise(0, 64, 64, 3)
    samples = np.stack([noise(i, 64, 64, 3) for i in range(1, 6)])
    np.save(tmp_path / "samples.npy", samples)
    save(tmp_path, {"real": real})
    found = evaluate("diversity", tmp_path / "real.png", tmp_path / "samples.npy")
    luma = np.array([0.299, 0.587, 0.114])
    by_hand = (samples @ luma).std(0).mean() / (real @ luma).std()
    assert found.values["diversity"] == pytest.approx(by_hand, rel=1e-5)
    assert found.protocol["ms-ssim"]["pairs"] == 10
    assert "lpips" not in found.values
    copies = np.stack([real] * 3)
    np.save(tmp_path / "copies.npy", copies)
    copied = evaluate("patch-swd", tmp_path / "real.png", tmp_path / "copies.npy")
    assert copied.values["patch_swd"] == 0  # the perfect score of a copier, and beside it
    assert copied.values["diversity"] == 0
    assert copied.values["ms_ssim"] == pytest.approx(1)


def test_a_run_is_measured_against_its_own_picture(tmp_path):
    save(tmp_path, {"photo": noise(5, 8, 10, 3).repeat(6, 0).repeat(6, 1)})
    run = gantool.train("consingan", tmp_path / "photo.png", preset="tiny", seed=1, out=tmp_path / "runs")
    options = EvalOptions(n=4, out=tmp_path / "runs")
    alone = evaluate("patch-swd", run.path, options=options)
    again = evaluate("patch-swd", "latest", options=options)
    assert again.values == alone.values
    assert evaluate("patch-swd", run, options=EvalOptions(n=4)).values == alone.values
    drawn = gantool.sample(run, n=4, to=tmp_path / "drawn")
    drawn.sheet.unlink()
    model = run.load("cpu")
    pixels = ((model.picture()[0].permute(1, 2, 0) + 1) / 2 * 255).round().byte().numpy()
    save(tmp_path, {"trained-on": pixels})
    files = evaluate("patch-swd", tmp_path / "trained-on.png", tmp_path / "drawn")
    assert alone.values == pytest.approx(files.values, rel=1e-9)
    assert alone.protocol["fake"]["n"] == 4
    spread = evaluate("diversity", run.path, options=options)
    assert spread.value == pytest.approx(alone.values["diversity"])
    with pytest.raises(UsageError, match="has nothing to be compared with"):
        evaluate("patch-swd", tmp_path / "photo.png")


# --- sets without a network --------------------------------------------------------------------------------------


def test_swd_and_ms_ssim_of_folders(tmp_path):
    from gantool.metrics.laplacian_swd import laplacian_swd
    from gantool.metrics.ms_ssim import ms_ssim

    a = {str(i): noise(i, 32, 32, 3) for i in range(6)}
    b = {str(i): noise(i + 50, 32, 32, 3) // 2 for i in range(5)}
    left, right = save(tmp_path / "a", a), save(tmp_path / "b", b)
    found = evaluate("swd", left, right, EvalOptions(seed=7))
    expected = laplacian_swd(np.stack(list(a.values())), np.stack(list(b.values())), seed=7)
    assert found.value == pytest.approx(expected.mean)
    assert found.values["swd_16"] == pytest.approx(expected.levels[16])
    assert any("the first 5 of each" in warning for warning in found.warnings)
    found = evaluate("ms-ssim", right)
    stack = np.stack(list(b.values()))
    pairs = [(i, j) for j in range(5) for i in range(j)]
    by_hand = np.mean([ms_ssim(stack[[i]], stack[[j]])[0] for i, j in pairs])
    assert found.value == pytest.approx(by_hand)
    assert any("too small for the 5 scales" in warning for warning in found.warnings)


# --- what is said, and what is refused ---------------------------------------------------------------------------


def test_jpegs_mixed_sizes_and_bad_pictures_are_said(lenet, tmp_path):
    path, _ = lenet
    options = EvalOptions(features=path, activation="tanh", skip_bad=True)
    a = save(tmp_path / "a", {str(i): noise(i, 20 + i, 20, 3) for i in range(4)}, ".jpg")
    (a / "torn.png").write_bytes((save(tmp_path, {"t": noise(1, 30, 30, 3)}) / "t.png").read_bytes()[:200])
    found = evaluate("fid", a, a, options)
    said = " ".join(found.warnings)
    assert "come from JPEG (4 of 4)" in said
    assert "4 different sizes" in said
    assert "1 of 5 pictures of" in said
    assert found.protocol["real"]["skipped"] == 1
    with pytest.raises(DataError, match="1 of 5 pictures"):
        evaluate("fid", a, a, EvalOptions(features=path, activation="tanh"))


def test_statistics_on_both_sides_need_no_network(lenet, digits, tmp_path):
    path, _ = lenet
    (_, real), (_, fake) = digits
    options = EvalOptions(features=path, activation="tanh")
    for name, pictures in (("real.npz", real), ("fake.npz", fake)):
        made = gantool.save_statistics(pictures, str(tmp_path / name), options)
        assert made.data()["value"] is None
    found = evaluate("fid", tmp_path / "real.npz", tmp_path / "fake.npz")
    assert found.value == pytest.approx(evaluate("fid", real, fake, options).value, rel=1e-9)
    assert found.protocol["network"] == {"name": path.name, "sha256": made.protocol["network"]["sha256"]}
    assert [found.protocol[side]["n"] for side in ("real", "fake")] == [130, 120]
    assert not any("made" in warning for warning in found.warnings)

    other = tmp_path / "other.npz"
    gantool.save_statistics(fake, other, EvalOptions(features=path, activation="relu"))
    unlike = evaluate("fid", tmp_path / "real.npz", other)
    assert any("other.npz was made with another layer (LeNet-5 (relu)" in warning for warning in unlike.warnings)
    np.savez(tmp_path / "bare.npz", mu=np.zeros(2), sigma=np.eye(2))
    np.savez(tmp_path / "moved.npz", mu=np.ones(2), sigma=4 * np.eye(2))
    bare = evaluate("fid", tmp_path / "bare.npz", tmp_path / "moved.npz")
    assert bare.value == pytest.approx(2 + 2)  # |mu|^2 and 2 (2 - 1)^2
    assert sum("does not say how it was made" in warning for warning in bare.warnings) == 2


def test_statistics_are_refused_before_the_work(lenet, digits, tmp_path):
    path, _ = lenet
    pictures, options = digits[0][1], EvalOptions(features=path, activation="tanh")
    (tmp_path / "there.npz").mkdir()
    for kind, text, file in (
        (UsageError, "no .npz file", "stats.txt"),
        (RunError, "no folder", "nowhere/stats.npz"),
        (RunError, "is a folder", "there.npz"),
    ):
        with pytest.raises(kind, match=text):
            gantool.save_statistics(pictures, tmp_path / file, options, count=lambda *_: pytest.fail("it worked"))
    gantool.save_statistics(pictures, tmp_path / "STATS.NPZ", options)
    assert evaluate("fid", tmp_path / "STATS.NPZ", pictures, options).value == pytest.approx(0, abs=1e-6)


def test_statistics_remember_that_they_come_from_jpegs(lenet, tmp_path):
    path, _ = lenet
    options = EvalOptions(features=path, activation="tanh")
    jpegs = save(tmp_path / "jpegs", {str(i): noise(i, 32, 32, 3) for i in range(3)}, ".jpg")
    gantool.save_statistics(jpegs, tmp_path / "jpegs.npz", options)
    pngs = save(tmp_path / "pngs", {str(i): noise(i, 32, 32, 3) for i in range(3)})
    found = evaluate("fid", tmp_path / "jpegs.npz", pngs, options)
    assert any("jpegs.npz come from JPEG (3 of 3)" in warning for warning in found.warnings)


def test_pictures_that_cannot_be_read_of_every_metric(tmp_path):
    pictures = {str(i): noise(i, 32, 32, 3) for i in range(5)}
    good, torn = save(tmp_path / "good", pictures), save(tmp_path / "torn", pictures)
    for name in ("1", "3"):
        (torn / f"{name}.png").write_bytes(b"nothing")
    left = np.stack([pictures[name] for name in ("0", "2", "4")])
    np.save(tmp_path / "left.npy", left)
    one = good / "0.png"
    for words in (("ms-ssim", torn), ("diversity", one, torn), ("patch-swd", one, torn), ("psnr", torn, good)):
        with pytest.raises(DataError, match=r"2 of 5 pictures in .*torn cannot be read: 1.png .*; 3.png"):
            evaluate(*words)
    skip = EvalOptions(skip_bad=True)
    for words in (("ms-ssim",), ("diversity", one), ("patch-swd", one)):
        found, expected = evaluate(*words, torn, options=skip), evaluate(*words, tmp_path / "left.npy")
        assert found.values == expected.values
        side = found.protocol["pictures" if len(words) == 1 else "fake"]
        assert (side["n"], side["skipped"], side["sizes"]) == (3, 2, ["32x32"])
        assert any("2 of 5 pictures of" in warning for warning in found.warnings)
    both = evaluate("psnr", torn, torn, skip)
    assert [both.protocol[side]["n"] for side in ("real", "fake")] == [3, 3]


def test_a_picture_that_is_too_small_is_named(tmp_path):
    save(tmp_path, {"real": noise(1, 40, 40, 3)})
    fakes = save(tmp_path / "fakes", {"1": noise(1, 40, 40, 3), "2": noise(2, 5, 40, 3)})
    golden = np.load(GOLDEN / "singan_sifid.npz")
    weights = tmp_path / "first-blocks.pth"
    torch.save({key[2:]: torch.from_numpy(golden[key]) for key in golden.files if key.startswith("w/")}, weights)
    with pytest.raises(DataError, match=r"^2.png in .*fakes: A picture of 40x5 pixels is too small"):
        evaluate("sifid", tmp_path / "real.png", fakes, EvalOptions(weights=weights))


def test_jpegs_are_counted_among_the_pictures_that_were_read(tmp_path):
    jpegs = save(tmp_path / "jpegs", {str(i): noise(i, 32, 32, 3) for i in range(9)}, ".jpg")
    found = evaluate("ms-ssim", jpegs, options=EvalOptions(pairs=1))  # reads two of them, and the first for the size
    assert found.protocol["pictures"]["n"] == 9
    assert any(f"({n} of {n})" in warning for warning in found.warnings for n in (2, 3))


def test_what_was_done_to_pictures_is_said(tmp_path):
    save(tmp_path, {"real": noise(1, 32, 32, 3)})
    grey = save(tmp_path / "grey", {str(i): noise(i, 32, 32) for i in range(2)})
    for metric in ("patch-swd", "diversity"):
        found = evaluate(metric, tmp_path / "real.png", grey)
        assert found.protocol["fake"]["notes"] == ["2 of 2 pictures: grey repeated to three channels"], metric
        assert "notes" not in found.protocol["real"]


def test_diversity_beside_a_figure_is_the_one_of_its_own(tmp_path):
    save(tmp_path, {"real": noise(0, 40, 40, 3)})
    np.save(tmp_path / "fakes.npy", np.stack([noise(i, 40, 40, 3) // 2 for i in range(1, 8)]))
    golden = np.load(GOLDEN / "singan_sifid.npz")
    weights = tmp_path / "first-blocks.pth"
    torch.save({key[2:]: torch.from_numpy(golden[key]) for key in golden.files if key.startswith("w/")}, weights)
    sides = (tmp_path / "real.png", tmp_path / "fakes.npy")
    alone = evaluate("diversity", *sides, EvalOptions(pairs=3))
    beside = evaluate("sifid", *sides, EvalOptions(pairs=3, weights=weights))
    assert alone.protocol["ms-ssim"]["pairs"] == beside.protocol["diversity"]["ms-ssim"]["pairs"] == 3
    assert {name: beside.values[name] for name in alone.values} == alone.values
    assert set(alone.warnings) <= set(beside.warnings)  # too small for all scales
    swapped = evaluate("patch-swd", *reversed(sides))
    assert any("the real picture comes first" in warning for warning in swapped.warnings)


@pytest.mark.parametrize("metric", [name for name, m in METRICS.items() if m.takes in (PAIR, SETS)])
def test_two_sides_are_needed(metric, tmp_path):
    with pytest.raises(UsageError, match="compares two sides"):
        evaluate(metric, tmp_path)


@pytest.mark.parametrize(
    ("metric", "needs"),
    [("sifid", "inception-torchvision"), ("fid", "inception-2015"), ("is", "inception-2015"), ("lpips", "alexnet")],
)
def test_missing_weights_are_named_before_anything_is_read(metric, needs, tmp_path):
    b = None if metric == "is" else tmp_path / "gone"
    with pytest.raises(MissingWeights, match=needs) as caught:
        evaluate(metric, tmp_path / "gone", b)
    assert "gantool weights" in caught.value.hint


def test_paths_that_cannot_be_looked_at(tmp_path):
    here = save(tmp_path / "here", {"photo": noise(1, 40, 40, 3)}) / "photo.png"
    for path in ("a" * 300, tmp_path / ("a" * 300) / "b"):
        with pytest.raises(DataError, match="name too long"):
            evaluate("psnr", here, path)
    with pytest.raises(DataError, match="There is no file or folder") as caught:
        evaluate("psnr", here, here.with_name("foto.png"))
    assert caught.value.hint == f"Did you mean {here}?"


def test_a_number_of_pictures_is_for_runs(tmp_path):
    here = save(tmp_path / "here", {"photo": noise(1, 40, 40, 3)})
    found = evaluate("psnr", here, here, EvalOptions(n=10))
    assert any("10 pictures were asked for, but only runs draw" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    "options",
    [{name: 0} for name in ("n", "batch", "pairs", "subsets", "splits", "neighbours", "scale")]
    + [{"subset_size": 1}, {"crop": -1}, {"seed": -1}, {"seed": 2**32}, {"net": "vgg16"}],
)
def test_options_that_no_metric_can_heed(options):
    with pytest.raises(UsageError, match=str(*options.values())):
        EvalOptions(**options)


def test_kid_of_all_pictures_at_once_and_of_too_few(lenet, digits, tmp_path):
    path, _ = lenet
    (pictures, real), (_, fake) = digits
    features = {"features": path, "activation": "tanh"}
    np.save(tmp_path / "one.npy", pictures[:1])
    with pytest.raises(DataError, match="KID takes two pictures or more"):
        evaluate("kid", real, tmp_path / "one.npy", EvalOptions(**features))
    np.save(tmp_path / "as-many.npy", pictures[:120])
    found = evaluate("kid", tmp_path / "as-many.npy", fake, EvalOptions(**features, subset_size=120, subsets=3))
    assert found.values["kid_std"] == pytest.approx(0, abs=1e-9)
    assert any("kid_std says nothing" in warning for warning in found.warnings)
    assert not any("kid_std" in w for w in evaluate("kid", real, fake, EvalOptions(**features)).warnings)


def test_operands_and_options_that_do_not_fit(tmp_path, lenet):
    path, _ = lenet
    one = save(tmp_path / "one", {"x": noise(1, 40, 40, 3)}) / "x.png"
    two = save(tmp_path / "two", {"x": noise(1, 40, 40, 3), "y": noise(2, 40, 41, 3)})
    three = save(tmp_path / "three", {"x": noise(1, 40, 40, 3), "z": noise(2, 40, 40, 3)})
    np.savez(tmp_path / "stats.npz", mu=np.zeros(3), sigma=np.eye(3))
    features = {"features": path, "activation": "tanh"}
    cases = [
        (UsageError, "no metric 'fad'", ("fad", one, one), {}),
        (UsageError, "looks at one set", ("ms-ssim", one, one), {}),
        (UsageError, "holds statistics", ("kid", tmp_path / "stats.npz", two), features),
        (DataError, "features of 3 numbers", ("fid", tmp_path / "stats.npz", three), features),
        (UsageError, "brings its own network", ("fid", three, three), {**features, "layer": 64}),
        (UsageError, "belongs to --features", ("fid", three, three), {"activation": "tanh"}),
        (UsageError, "no protocol", ("fid", three, three), {"protocol": "mine"}),
        (UsageError, "no layer", ("fid", three, three), {"layer": 7}),
        (DataError, "have no partner", ("psnr", two, three), {}),
        (DataError, "is 40x40, .* is 41x40", ("psnr", one, two / "y.png"), {}),
        (DataError, "no file or folder", ("psnr", one, tmp_path / "gone.png"), {}),
        (DataError, "different sizes", ("diversity", one, two), {}),
        (UsageError, "has 2 pictures; diversity", ("diversity", two, two), {}),
        (UsageError, "has one picture", ("diversity", one, one), {}),
        (DataError, "holds no patch", ("patch-swd", save(tmp_path / "s", {"x": noise(1, 6, 40, 3)}), one), {}),
    ]
    for kind, text, words, options in cases:
        with pytest.raises(kind, match=text):
            evaluate(*words, EvalOptions(**options))


# --- while training ----------------------------------------------------------------------------------------------


def test_schedules():
    assert [(m.name, n) for m, n in parse_schedule("sifid@500, patch-swd@20")] == [("sifid", 500), ("patch-swd", 20)]
    assert parse_schedule("") == []
    for text in ("sifid", "sifid@0", "sifid@x", "nothing@5", "psnr@5", "sifid@5,sifid@7"):
        with pytest.raises(UsageError):
            parse_schedule(text)


@pytest.mark.parametrize("family", ["consingan", "singan"])
def test_measuring_while_training_changes_nothing(family, tmp_path):
    save(tmp_path, {"photo": noise(5, 8, 10, 3).repeat(6, 0).repeat(6, 1)})

    def weights(name, **options):
        how = {"preset": "tiny", "iterations": 4, "seed": 3, "out": tmp_path / name, **options}
        run = gantool.train(family, tmp_path / "photo.png", **how)
        return run, run.load("cpu").state_dict()

    _, plain = weights("plain")
    run, measured = weights("measured", eval="patch-swd@2,diversity@3", eval_samples=3)
    assert plain.keys() == measured.keys()
    for key, value in plain.items():
        assert torch.equal(value, measured[key]), key
    total = run.summary()["steps"]
    scores = run.dir.scores()
    swd = [entry["total"] for entry in scores if entry["metric"] == "patch-swd"]
    assert swd == sorted({*range(2, total + 1, 2), total})
    assert [e["total"] for e in scores if e["metric"] == "diversity"] == sorted({*range(3, total + 1, 3), total})
    last = scores[-1]
    assert last["protocol"]["fake"]["n"] == 3
    again = evaluate(last["metric"], run.path, options=EvalOptions(n=3))
    assert again.values == pytest.approx(last["values"], rel=1e-6)


def test_measurements_that_cannot_be_are_refused_before_training(tmp_path):
    save(tmp_path, {"photo": noise(5, 48, 60, 3)})
    for text, kind in (("fid@5", UsageError), ("is@5", UsageError), ("sifid@5", MissingWeights), ("sifid", UsageError)):
        with pytest.raises(kind):
            gantool.train("consingan", tmp_path / "photo.png", preset="tiny", out=tmp_path, eval=text)
    for samples, text, why in ((1, "diversity@5", "two samples"), (100_001, "patch-swd@5", "100,001")):
        with pytest.raises(UsageError, match=why):
            gantool.train(
                "consingan", tmp_path / "photo.png", preset="tiny", out=tmp_path, eval=text, eval_samples=samples
            )
    assert not (tmp_path / "consingan").exists()
