"""Measuring what translates, against direct computations and scikit-learn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, jaccard_score

import gantool
from gantool.cli import main as command
from gantool.data.pairs import HELD_OUT, first_part
from gantool.data.palette import open_palette
from gantool.errors import DataError, RunError
from gantool.family import Translation
from gantool.metrics.batches import Features
from gantool.metrics.frechet import Moments, frechet_distance
from gantool.metrics.psnr_ssim import l1, ssim
from gantool.tasks.evaluate import sets as measuring_sets
from gantool.tasks.evaluate import translation as measuring
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.evaluate.translation import evaluate_translation, prepare
from gantool.tasks.translator import Habits

CPU = EvalOptions(device="cpu")
SIDE = 24


class Inverting(torch.nn.Module):
    """Turns light into dark, whatever the noise; remembers how it was asked."""

    def __init__(self, side: int = SIDE, **known: object) -> None:
        super().__init__()
        self.translation = Translation(**{"size": (side, side), **known})
        self.asked: list[tuple[tuple[int, ...], list[int], str]] = []

    def translate(self, images: torch.Tensor, seeds: Sequence[int] = (), mode: str = "paper") -> torch.Tensor:
        self.asked.append((tuple(images.shape), list(seeds), mode))
        return -images


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GANTOOL_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def soft(seed: int, side: int = SIDE, channels: int = 3) -> np.ndarray:
    """A picture without hard edges."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 5, channels), dtype=np.uint8)
    picture = Image.fromarray(noise.squeeze()).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(picture).reshape(side, side, channels)


def save_pairs(folder: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> Path:
    """A left, B right."""
    folder.mkdir(parents=True)
    for number, (a, b) in enumerate(pairs):
        Image.fromarray(np.concatenate([a, b], 1)).save(folder / f"{number}.png")
    return folder


PAIRS = [(soft(2 * k), soft(2 * k + 1)) for k in range(3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_pairs(tmp_path / "pairs", PAIRS)


def test_figures_are_those_of_the_pictures_by_hand(folder: Path) -> None:
    model = Inverting()
    found = evaluate_translation(model, folder, options=EvalOptions(device="cpu", seed=7), mode="eval")
    assert model.asked == [((1, 3, SIDE, SIDE), [7], "eval")] * 3
    mean = [np.mean([b.astype(float) for j, (_, b) in enumerate(PAIRS) if j != k], 0) for k in range(len(PAIRS))]
    standing = {"": [255 - a for a, _ in PAIRS], " input": [a for a, _ in PAIRS], " mean picture": mean}
    for end, results in standing.items():
        errors = [b - result.astype(float) for (_, b), result in zip(PAIRS, results, strict=True)]
        each = [float(np.abs(error).mean() / 255) for error in errors]
        assert found.values[f"l1{end}"] == pytest.approx(np.mean(each), abs=1e-12)
        assert [row[f"l1{end}"] for row in found.pairs] == pytest.approx(each, abs=1e-12)
        psnr = np.mean([10 * np.log10(255**2 / (error**2).mean()) for error in errors])
        assert found.values[f"psnr{end}"] == pytest.approx(psnr, abs=1e-9)
        similar = [ssim(b, result) for (_, b), result in zip(PAIRS, results, strict=True)]
        assert found.values[f"ssim{end}"] == pytest.approx(np.mean(similar), abs=1e-9)
    assert (found.value, found.better) == (found.values["l1"], "lower")
    assert list(found.pairs[0]) == ["picture", "l1", "psnr", "ssim", "l1 mean picture", "l1 input"]
    assert [row["picture"] for row in found.pairs] == ["0.png", "1.png", "2.png"]
    protocol = found.protocol
    assert (protocol["direction"], protocol["part"], protocol["pictures"]) == ("A becomes B", "all", 3)
    assert protocol["test mode"].startswith("eval: norms by what was gathered")
    for name in ("lpips", "fid"):
        assert protocol[name].startswith("not measured: the weights ")
    assert protocol["model"].keys() == {"name", "fingerprint"}
    assert found.classes == found.warnings == ()


def test_l1_of_opposites_and_equals() -> None:
    black, white = np.zeros((3, 4), np.uint8), np.full((3, 4), 255, np.uint8)
    assert (l1(black, white), l1(white, white), l1(black, black + 51)) == (1, 0, pytest.approx(0.2))
    with pytest.raises(DataError, match="different sizes"):
        l1(black, white.T)


def test_the_other_direction_and_two_folders(folder: Path, tmp_path: Path) -> None:
    for name, place in (("A", 0), ("B", 1)):
        (tmp_path / name).mkdir()
        for number, pair in enumerate(PAIRS):
            Image.fromarray(pair[place]).save(tmp_path / name / f"{number}.png")
    whole = evaluate_translation(Inverting(), folder, direction="BtoA", options=CPU)
    assert whole.value == pytest.approx(np.mean([np.abs(a - (255.0 - b)).mean() / 255 for a, b in PAIRS]))
    apart = evaluate_translation(Inverting(), tmp_path / "A", target=tmp_path / "B", direction="BtoA", options=CPU)
    assert apart.values == whole.values
    (tmp_path / "list.csv").write_text("".join(f"B/{k}.png,A/{k}.png\n" for k in range(3)))
    assert evaluate_translation(Inverting(), tmp_path / "list.csv", options=CPU).values == whole.values


def test_parts(tmp_path: Path) -> None:
    """test before val before train; that of training is warned of."""
    for k, part in enumerate(("train", "test", "val")):
        save_pairs(tmp_path / "set" / part, PAIRS[k : k + 1])
    assert first_part(tmp_path / "set", HELD_OUT) == "val"
    assert first_part(tmp_path / "set", ("other", "train")) == "train"
    assert first_part(tmp_path / "set" / "test", HELD_OUT) == ""
    values = {}
    for part in (None, "train", "test", "val"):
        found = evaluate_translation(Inverting(), tmp_path / "set", part=part, options=CPU)
        values[part] = found.value
        assert found.protocol["part"] == (part or "test")
        assert any("part train" in warning for warning in found.warnings) == (part == "train")
    assert values[None] == values["test"] != values["val"]
    with pytest.raises(DataError, match=r"has no folder unseen with pictures; its folders are test, train, val"):
        evaluate_translation(Inverting(), tmp_path / "set", part="unseen", options=CPU)


def test_pictures_are_squashed_as_in_training(tmp_path: Path) -> None:
    large = [(soft(k, 50), soft(k + 9, 50)) for k in range(2)]
    folder = save_pairs(tmp_path / "large", large)
    found = evaluate_translation(Inverting(), folder, options=CPU)
    assert found.protocol["size"] == f"squashed to {SIDE}x{SIDE}, as in training"
    for (a, b), row in zip(large, found.pairs, strict=True):
        a, b = (np.asarray(Image.fromarray(x).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for x in (a, b))
        assert row["l1"] == pytest.approx(np.abs(b - (255.0 - a)).mean() / 255, abs=1e-12)
    model = Inverting(fit="none")
    assert evaluate_translation(model, folder, options=CPU).protocol["size"] == "as they are"
    assert model.asked[0][0] == (1, 3, 50, 50)


def test_heights_that_differ_by_rounding(tmp_path: Path) -> None:
    """As in training: 30 and 29 high at a width of 40, and the truth takes the other's."""
    random = np.random.default_rng(0)
    for name, height, width in (("A", 15, 20), ("B", 149, 200)):
        (tmp_path / name).mkdir()
        Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8)).save(tmp_path / name / "0.png")
    a, b = (np.asarray(Image.open(tmp_path / name / "0.png").resize((40, 30), Image.BICUBIC)) for name in "AB")
    found = evaluate_translation(Inverting(40, fit="width"), tmp_path, options=CPU)
    assert found.value == pytest.approx(np.abs(b - (255.0 - a)).mean() / 255, abs=1e-12)


def test_grey_of_16_bits(tmp_path: Path) -> None:
    """Truths of one channel keep their 65,536 levels; colours have no input of as many channels."""
    random = np.random.default_rng(0)
    a, b = (random.integers(0, 65536, (SIDE, SIDE), dtype=np.uint16) for _ in range(2))
    for name, pixels in (("A", a), ("B", b)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "0.png")
    found = evaluate_translation(Inverting(takes="grey", gives="grey", bits=16), tmp_path, options=CPU)
    assert found.value == pytest.approx(np.abs(b - (65535.0 - a)).mean() / 65535, abs=1e-6)
    assert "l1 mean picture" not in found.values  # there is no other picture
    assert found.protocol["mean picture"] == "not measured: there is one truth"
    assert found.protocol["psnr"].endswith("results of 16 bits")


def test_a_small_picture_has_no_ssim_and_several_sizes_no_mean(tmp_path: Path) -> None:
    folder = save_pairs(tmp_path / "set", [(soft(0, 8), soft(1, 8)), (soft(2, 16), soft(3, 16))])
    found = evaluate_translation(Inverting(fit="none"), folder, options=CPU)
    assert list(found.values) == ["l1", "psnr", "l1 input", "psnr input"]
    assert found.protocol["ssim"].startswith("not measured: pictures are smaller than its window of 11")
    assert found.protocol["mean picture"] == "not measured: the truths have several sizes"


# ---- labels ------------------------------------------------------------------------------------------------

COLOURS = np.array([(0, 0, 0), (250, 20, 20), (20, 200, 40), (60, 60, 240), (255, 255, 0)], np.uint8)


def label_pairs(count: int = 3, side: int = 32) -> list[tuple[np.ndarray, np.ndarray]]:
    """Maps of blocks as truth; as input what the inverting model makes another, mostly right, noisy map of."""
    random, pairs = np.random.default_rng(1), []
    for _ in range(count):
        truth = np.kron(random.integers(0, 4, (4, 4)), np.ones((side // 4, side // 4), int))
        taken = np.where(random.random(truth.shape) < 0.3, random.integers(0, 5, truth.shape), truth)
        noisy = COLOURS[taken].astype(int) + random.integers(-15, 16, (side, side, 3))
        pairs.append(((255 - noisy.clip(0, 255)).astype(np.uint8), COLOURS[truth]))
    return pairs


def ids_of(pixels: np.ndarray) -> np.ndarray:
    return np.linalg.norm(pixels[..., None, :].astype(float) - COLOURS, axis=-1).argmin(-1).ravel()


def by_scikit_learn(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    truth = np.concatenate([ids_of(b) for _, b in pairs])
    result = np.concatenate([ids_of(255 - a) for a, _ in pairs])
    return {
        "pixel accuracy": accuracy_score(truth, result),
        "class accuracy": np.mean([(result[truth == k] == k).mean() for k in np.unique(truth)]),
        "mean iou": jaccard_score(truth, result, average="macro", labels=np.union1d(truth, result)),
        "pixel accuracy most frequent": np.bincount(truth).max() / len(truth),
    }


def test_labels_by_the_nearest_colour(tmp_path: Path) -> None:
    pairs = label_pairs()
    folder = save_pairs(tmp_path / "set", pairs)
    (tmp_path / "colours.csv").write_text("".join(f"{r},{g},{b},thing {k}\n" for k, (r, g, b) in enumerate(COLOURS)))
    found = evaluate_translation(Inverting(32), folder, palette=str(tmp_path / "colours.csv"), options=CPU)
    expected = by_scikit_learn(pairs)
    assert {name: found.values[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    for (a, b), row in zip(pairs, found.pairs, strict=True):
        assert row["pixel accuracy"] == pytest.approx(accuracy_score(ids_of(b), ids_of(255 - a)))
    # Yellow is in the results alone: it has an IoU, and no accuracy.
    rows = {row["class"]: row for row in found.data()["classes"]}
    assert rows.keys() == {f"thing {k}" for k in range(5)}
    assert (rows["thing 4"]["truth"], rows["thing 4"]["accuracy"], rows["thing 4"]["iou"]) == (0, None, 0)
    assert rows["thing 1"]["colour"] == "#fa1414"
    assert sum(row["truth"] for row in rows.values()) == pytest.approx(1)
    truths = np.concatenate([ids_of(b) for _, b in pairs])
    assert next(iter(rows)) == f"thing {np.bincount(truths).argmax()}"  # the most frequent first
    assert found.protocol["classes"]["in the truths"] == 4


def test_colours_of_labels_are_those_of_training_or_found(tmp_path: Path) -> None:
    """Without a word for labels, for pictures only if asked; `auto` finds those of the truths, also behind JPEG."""
    pairs = label_pairs()
    folder = save_pairs(tmp_path / "set", pairs)
    known = Inverting(32, gives="labels", palette=tuple(map(tuple, COLOURS.tolist())))
    found = evaluate_translation(known, folder, options=CPU)
    expected = by_scikit_learn(pairs)
    assert {name: found.values[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert found.protocol["fid"] == "not measured: of maps of labels it says little"
    assert found.protocol["classes"]["palette"] == "of the training"
    auto = evaluate_translation(Inverting(32, gives="labels"), folder, options=CPU)
    assert auto.protocol["classes"] == {"palette": "found in the truths", "colours": 4, "in the truths": 4}
    assert auto.values["pixel accuracy"] > found.values["pixel accuracy"]  # yellow became one of the four
    assert not evaluate_translation(known, folder, palette="none", options=CPU).classes
    assert not evaluate_translation(Inverting(32), folder, options=CPU).classes
    jpegs = tmp_path / "jpegs"
    jpegs.mkdir()
    for number, (a, b) in enumerate(label_pairs(side=64)):
        Image.fromarray(np.concatenate([a, b], 1)).save(jpegs / f"{number}.jpg", quality=85)
    behind = evaluate_translation(Inverting(64), jpegs, palette="auto", options=CPU)
    assert behind.protocol["classes"]["colours"] == 4
    found = np.array([[int(row["colour"][k : k + 2], 16) for k in (1, 3, 5)] for row in behind.classes])
    assert np.abs(found - COLOURS[np.linalg.norm(found[:, None] - COLOURS, axis=2).argmin(1)]).max() <= 4


def test_truths_of_ids_are_painted(tmp_path: Path) -> None:
    """Grey files of ids, which a file of weights says nothing of, are colours of the built-in palette of their name."""
    ids = np.kron(np.array([[7, 11], [21, 23]], np.uint8), np.ones((12, 12), np.uint8))
    for name, pixels in (("A", soft(0)), ("B", ids)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(
            tmp_path / name / ("x_leftImg8bit.png" if name == "A" else "x_gtFine_labelIds.png")
        )
    found = evaluate_translation(Inverting(), tmp_path, palette="cityscapes", options=CPU)
    assert {row["class"] for row in found.classes if row["truth"]} == {"road", "building", "vegetation", "sky"}
    assert [row["truth"] for row in found.classes if row["truth"]] == [0.25] * 4
    # What a run was trained on is known again, also by the colours alone.
    (tmp_path / "B" / "x_gtFine_labelIds.png").rename(tmp_path / "B" / "x.png")
    (tmp_path / "A" / "x_leftImg8bit.png").rename(tmp_path / "A" / "x.png")
    known = Inverting(gives="labels", palette=open_palette("cityscapes").plain)
    again = evaluate_translation(known, tmp_path, options=CPU)
    assert again.data()["classes"] == found.data()["classes"]
    assert again.protocol["classes"]["palette"] == "cityscapes"


def test_photographs_have_no_classes(folder: Path) -> None:
    with pytest.raises(DataError, match=r"does not look like maps of labels.*--palette facades"):
        evaluate_translation(Inverting(), folder, palette="auto", options=CPU)
    found = evaluate_translation(Inverting(gives="labels"), folder, options=CPU)
    assert found.protocol["classes"].startswith("not measured: ")
    with pytest.raises(DataError, match=r"There is no file none\.csv"):
        evaluate_translation(Inverting(), folder, palette="none.csv", options=CPU)


# ---- networks that look at pictures ------------------------------------------------------------------------


def test_fid_of_results_and_of_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of a stand-in are the means of channels; more pictures than wait at once."""

    def means(pictures: Sequence[np.ndarray]) -> Features:
        yield Features(np.stack([picture.mean((0, 1)) for picture in pictures]).astype(np.float32))

    def setup(options: EvalOptions, found: measuring.Findings) -> SimpleNamespace:
        found.protocol["network"] = "means"
        return SimpleNamespace(network=means, convention=SimpleNamespace(ddof=1))

    monkeypatch.setattr(measuring_sets, "_setup", setup)
    pairs = [(soft(k), soft(k + 50)) for k in range(10)]
    folder = save_pairs(tmp_path / "set", pairs)
    found = evaluate_translation(Inverting(), folder, options=CPU)

    def fid(results: list[np.ndarray]) -> float:
        both = []
        for pictures in ([b for _, b in pairs], results):
            moments = Moments(3)
            moments.add(np.stack([picture.mean((0, 1)) for picture in pictures]).astype(np.float32))
            both.append(moments.statistics())
        return frechet_distance(*both)

    assert found.values["fid"] == pytest.approx(fid([255 - a for a, _ in pairs]), rel=1e-4)
    assert found.values["fid input"] == pytest.approx(fid([a for a, _ in pairs]), rel=1e-4)
    assert found.protocol["fid"] == {"network": "means", "ddof": 1}
    (few,) = found.warnings
    assert few.startswith("10 pictures of the results are few for FID")
    without = evaluate_translation(Inverting(), folder, fid=False, options=CPU)
    assert "fid" not in without.values
    assert without.protocol["fid"] == "not measured: not wanted"
    one = evaluate_translation(Inverting(), save_pairs(tmp_path / "one", pairs[:1]), options=CPU)
    assert one.protocol["fid"] == "not measured: it takes two pictures or more"


def test_lpips_where_its_weights_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = SimpleNamespace(backbone=SimpleNamespace(least=SIDE), distance=lambda a, b: (a - b).abs().max() / 2)
    monkeypatch.setattr(measuring, "lpips_if_there", lambda options, found: network)
    found = evaluate_translation(Inverting(), folder, options=CPU)
    assert [row["lpips"] for row in found.pairs] == pytest.approx(
        [np.abs(b - (255.0 - a)).max() / 255 for a, b in PAIRS], abs=1e-6
    )


# ---- what does not fit -------------------------------------------------------------------------------------


def test_pairs_that_cannot_be_used(folder: Path) -> None:
    good = evaluate_translation(Inverting(), folder, options=CPU)
    (folder / "1b.png").write_bytes((folder / "0.png").read_bytes()[:90])
    with pytest.raises(DataError, match=r"1b\.png.* leave it out: --skip-bad"):
        evaluate_translation(Inverting(), folder, options=CPU)
    found = evaluate_translation(Inverting(), folder, options=EvalOptions(device="cpu", skip_bad=True))
    assert found.values == good.values
    assert found.warnings[0].startswith("1 of 4 pairs were left out: 1b.png, ")
    for name in ("0.png", "1.png", "2.png"):
        (folder / name).write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"0\.png"):
        evaluate_translation(Inverting(), folder, options=EvalOptions(device="cpu", skip_bad=True))


def test_sizes_and_channels_that_differ(tmp_path: Path) -> None:
    for name, side in (("A", 24), ("B", 30)):
        (tmp_path / name).mkdir()
        Image.fromarray(soft(0, side)).save(tmp_path / name / "0.png")
    with pytest.raises(DataError, match=r"0\.png: the two pictures have different sizes, 24x24 and 30x30"):
        evaluate_translation(Inverting(fit="none"), tmp_path, options=CPU)
    assert evaluate_translation(Inverting(), tmp_path, options=CPU).protocol["pictures"] == 1

    class Grey(Inverting):
        def translate(self, images: torch.Tensor, seeds: Sequence[int] = (), mode: str = "paper") -> torch.Tensor:
            return images[:, :1]

    with pytest.raises(DataError, match=r"gives 24x24 of 1 channels where the truth has 24x24 of 3 channels"):
        evaluate_translation(Grey(), tmp_path, options=CPU)

    class Broken(Inverting):
        def translate(self, images: torch.Tensor, seeds: Sequence[int] = (), mode: str = "paper") -> torch.Tensor:
            return images * float("nan")

    with pytest.raises(RunError, match="gives NaN"):
        evaluate_translation(Broken(), tmp_path, options=CPU)


def test_a_result_that_equals_its_truth(tmp_path: Path) -> None:
    folder = save_pairs(tmp_path / "set", [(255 - soft(0), soft(0))])
    found = evaluate_translation(Inverting(), folder, options=CPU)
    assert found.value == 0
    assert found.data()["values"]["psnr"] is None
    assert "A result equals its truth: the PSNR is infinite." in found.warnings


def test_what_is_prepared_gives_the_same_and_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate_translation(Inverting(), folder, options=CPU)
    ready = prepare(folder, Inverting(), Habits(), options=CPU)
    first = evaluate_translation(Inverting(), ready, options=CPU)
    assert (first.values, first.pairs, first.warnings) == (whole.values, whole.pairs, whole.warnings)
    assert first.protocol.pop("model") == {"name": "Inverting"}
    for file in folder.iterdir():
        file.unlink()
    monkeypatch.setattr(measuring, "_baselines", None)  # known from the first time
    assert evaluate_translation(Inverting(), ready, options=CPU).values == whole.values


# ---- runs --------------------------------------------------------------------------------------------------

TINY = {"preset": "tiny", "size": 16, "load_size": 18, "patch": 1, "width_g": 2, "width_d": 2, "steps": 4}


def test_a_run_is_measured_on_the_way_and_after(tmp_path: Path) -> None:
    """As `eval translate` measures it, and the weights are those of a run without it."""
    held = save_pairs(tmp_path / "all" / "val", PAIRS[:2])
    data = save_pairs(tmp_path / "all" / "train", PAIRS)
    how = {**TINY, "direction": "BtoA", "out": tmp_path, "device": "cpu", "seed": 3}
    run = gantool.train("pix2pix", data, val=str(tmp_path / "all"), preview_every=2, **how)
    entries = run.dir.scores()
    assert [(entry["metric"], entry["step"]) for entry in entries] == [("translate", 2), ("translate", 4)]
    found = gantool.evaluate_translation(run, held, options=CPU)
    assert entries[-1]["values"] == pytest.approx(found.values, abs=1e-7)
    assert (entries[-1]["protocol"]["part"], found.protocol["direction"]) == ("val", "B becomes A")
    assert entries[0]["values"]["l1"] != entries[1]["values"]["l1"]
    assert not {"pairs", "classes"} & entries[0].keys()
    weights = run.load().state_dict()
    for name, value in gantool.train("pix2pix", data, preview_every=2, **how).load().state_dict().items():
        assert torch.equal(weights[name], value), name
    # What was trained on, and another direction, are warned of.
    odd = gantool.evaluate_translation(run, data, direction="AtoB", options=CPU)
    assert odd.warnings == (
        "The run was trained BtoA and is measured AtoB.",
        "Measured on the pairs that it was trained on: on others a model is worse. Name another folder, or --part.",
    )
    assert "pictures" in gantool.report(run).read_text().lower()


def test_pictures_taken_for_pairs_after_two_folders(tmp_path: Path) -> None:
    """That is warned of, on the way as well, where baselines are said once."""
    ab = save_pairs(tmp_path / "ab", PAIRS)
    a, b = (save_pairs(tmp_path / name, PAIRS) for name in ("a", "b"))
    said: list[str] = []
    how = {**TINY, "out": tmp_path, "device": "cpu", "seed": 3, "target": str(b), "say": said.append}
    run = gantool.train("pix2pix", a, val=str(ab), preview_every=2, **how)
    odd = f"The run was trained on two files a pair, and each picture of {ab} is taken for both, side by side."
    assert [odd in sentence for sentence in said].count(True) == 1
    told = [sentence for sentence in said if " l1 " in sentence]
    assert ["l1 mean picture" in sentence for sentence in told] == [True, False]
    assert any(odd in warning for warning in gantool.evaluate_translation(run, ab, options=CPU).warnings)
    assert not gantool.evaluate_translation(run, b, target=ab, options=CPU).warnings


def test_what_cannot_be_measured_on_the_way_costs_nothing_else(tmp_path: Path) -> None:
    held = save_pairs(tmp_path / "held", PAIRS[:1])
    data = save_pairs(tmp_path / "data", PAIRS)
    said: list[str] = []

    def gone(sentence: str) -> None:
        said.append(sentence)

    (held / "0.png").write_bytes(b"\x89PNG\r\n")
    run = gantool.train("pix2pix", data, val=str(held), out=tmp_path, device="cpu", say=gone, **TINY)
    assert run.dir.status() == "finished"
    assert run.dir.scores() == []
    assert any("held was not measured: " in sentence for sentence in said)


def test_what_cannot_be_read_is_left_out_on_the_way(tmp_path: Path) -> None:
    held, data = (save_pairs(tmp_path / name, PAIRS) for name in ("held", "data"))
    (held / "0.png").write_bytes(b"")
    said: list[str] = []
    run = gantool.train("pix2pix", data, val=str(held), out=tmp_path, device="cpu", say=said.append, **TINY)
    assert [entry["protocol"]["pictures"] for entry in run.dir.scores()[-1:]] == [len(PAIRS) - 1]
    assert f"{held}: 1 of {len(PAIRS)} pairs were left out: 0.png, empty (0 bytes)." in said


def test_pairs_that_are_not_there_are_missed_before_training(tmp_path: Path) -> None:
    data = save_pairs(tmp_path / "data", PAIRS)
    with pytest.raises(DataError, match="There is no file"):
        gantool.train("pix2pix", data, val=str(tmp_path / "nowhere"), out=tmp_path / "runs", device="cpu", **TINY)
    assert not (tmp_path / "runs").exists()


def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = label_pairs()
    folder = save_pairs(tmp_path / "set", pairs)
    monkeypatch.setattr(measuring, "open_translator", lambda *_: Inverting(32))
    monkeypatch.setattr(measuring, "habits_of", lambda *_: Habits())
    (tmp_path / "w.pth").write_bytes(b"")
    words = ["eval", "translate", str(tmp_path / "w.pth"), str(folder)]
    assert command.run([*words, "--palette", "auto", "--json", "--fail-above", "0.9", "--fail-below", "0.1"]) == 0
    data = json.loads(capfd.readouterr().out)["data"]
    assert data["metric"] == "translate"
    assert data["values"]["pixel accuracy"] == pytest.approx(np.mean([row["pixel accuracy"] for row in data["pairs"]]))
    assert len(data["classes"]) == 4
    assert command.run([*words, "--palette", "auto", "--fail-below", "0.99", "--fail-above", "0"]) == 3
    told = capfd.readouterr()
    assert told.err.count("is beyond the limit that was set") == 2
    assert told.out.splitlines()[0].split() == ["l1", f"{data['value']:.6g}", "lower", "is", "better"]
    assert "class  colour" in told.out
    assert "nan" not in told.out
    assert command.run([*words, "--fail-below", "0.5"]) == 2
    assert "--fail-below is about pixel accuracy, which was not measured." in capfd.readouterr().err
    assert command.run([*words, "--fail-above", "nan"]) == 2
    assert command.run(["eval", "translate", "nothing", str(folder), "--out", str(tmp_path)]) == 1
