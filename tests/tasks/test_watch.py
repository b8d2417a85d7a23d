"""The watch over training: imbalance from logged numbers, collapse from samples of stand-in models."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gantool.data.image import to_tensor
from gantool.engine.checkpoint import State
from gantool.engine.model import Stage
from gantool.engine.rundir import RunDir
from gantool.engine.trainer import Progress
from gantool.errors import DataError, UsageError
from gantool.families.gan.config import GANConfig
from gantool.families.gan.model import GAN
from gantool.families.pix2pix.config import Pix2PixConfig
from gantool.families.pix2pix.model import Pix2Pix
from gantool.family import DataShape, SampleRequest
from gantool.game.options import GameConfig
from gantool.metrics.collapse import coverage, nearest_classes, pair_similarity
from gantool.nn.sides import least_side
from gantool.tasks.balance import EARLY, WINDOW, Alarms, Balance
from gantool.tasks.train import train
from gantool.tasks.watch import SAMPLES, Reals, Watch, _like, _small, _spread

GOOD = {"acc_real": 0.8, "acc_fake": 0.75, "grad_d": 2.0, "grad_g": 1.0}


def feed(balance: Balance, metrics: dict[str, float], entries: int, start: int = EARLY + 1) -> list[str]:
    """The kinds that are found, in order."""
    return [f.kind for step in range(start, start + entries) for f in balance.add(metrics, step)]


# ---- imbalance ---------------------------------------------------------------------------------------------


def test_a_game_in_balance_is_left_alone() -> None:
    assert feed(Balance(GameConfig(), 100.0), GOOD, 500) == []


def test_a_discriminator_that_wins_is_said_once_until_it_has_recovered() -> None:
    balance, won = Balance(GameConfig()), {**GOOD, "acc_real": 0.99, "acc_fake": 1.0}
    assert feed(balance, won, WINDOW - 1) == []
    (finding,) = balance.add(won, 1000)
    assert finding.kind == "discriminator wins"
    assert "99% of the reals and 100% of the fakes" in finding.text
    assert "try --label-smoothing 0.1, --spectral-norm, --lr-d 0.0001 or --diffaugment color,tran" in finding.text
    assert feed(balance, won, 300) == []
    # 96 % is neither: no recovery, and no second warning after it.
    assert feed(balance, {**GOOD, "acc_real": 0.96, "acc_fake": 0.96}, WINDOW) == []
    assert feed(balance, won, WINDOW) == []
    assert feed(balance, GOOD, WINDOW) == []
    assert feed(balance, won, WINDOW) == ["discriminator wins"]


def test_reals_alone_do_not_make_a_winner() -> None:
    assert feed(Balance(), {**GOOD, "acc_real": 1.0, "acc_fake": 0.97}, 100) == []


def test_the_first_steps_do_not_count() -> None:
    balance, won = Balance(), {"acc_real": 1.0, "acc_fake": 1.0}
    assert feed(balance, won, EARLY, start=1) == []
    assert feed(balance, won, WINDOW - 1) == []
    assert feed(balance, won, 1) == ["discriminator wins"]


@pytest.mark.parametrize("shares", [(0.54, 0.54), (1.0, 0.05), (0.0, 1.0)])
def test_a_discriminator_that_guesses(shares: tuple[float, float]) -> None:
    balance = Balance(GameConfig(dropout=0.3))
    lost = {**GOOD, "acc_real": shares[0], "acc_fake": shares[1]}
    assert feed(balance, lost, WINDOW - 1) == []
    (finding,) = balance.add(lost, 1000)
    assert finding.kind == "discriminator loses"
    assert "--dropout 0, --d-steps 2 or --lr-d 0.0004" in finding.text
    assert feed(balance, GOOD, WINDOW) == []
    assert feed(balance, lost, WINDOW) == ["discriminator loses"]


def test_gradients_that_explode() -> None:
    balance = Balance(GameConfig())
    assert feed(balance, GOOD, WINDOW) == []
    assert feed(balance, {**GOOD, "grad_d": 150.0}, 100) == []  # 75 times as large
    found = feed(balance, {**GOOD, "grad_d": 250.0}, WINDOW)
    assert found == ["gradients of the discriminator explode"]
    assert feed(balance, {**GOOD, "grad_d": 150.0}, 50) == []
    assert feed(balance, {**GOOD, "grad_d": 250.0}, 50) == []
    # One spike says nothing: the median of the window counts.
    spiky = Balance()
    feed(spiky, GOOD, 2 * WINDOW)
    assert feed(spiky, {**GOOD, "grad_g": 1e9}, 9) == []
    assert feed(spiky, GOOD, WINDOW) == []
    assert feed(spiky, {**GOOD, "grad_g": 101.0}, 12) == ["gradients of the generator explode"]


def test_gradients_that_are_zero_do_not_explode() -> None:
    assert feed(Balance(), {"acc_real": 0.8, "acc_fake": 0.8, "grad_d": 0.0, "grad_g": 0.0}, 100) == []


def test_a_critic_beyond_the_distance_of_pictures() -> None:
    """A 1-Lipschitz critic's scores of two pictures differ by their distance at most."""
    farthest = float(torch.dist(torch.ones(1, 8, 8), -torch.ones(1, 8, 8)))
    model = GAN(GANConfig(loss="wasserstein", size=8), DataShape(height=8, width=8, channels=1))
    assert model.farthest == pytest.approx(farthest)
    balance = Balance(model.config, model.farthest)
    assert feed(balance, {"score_real": 14.0, "score_fake": -1.9}, 100) == []
    (kind,) = feed(balance, {"score_real": 14.0, "score_fake": -2.1}, 100)
    assert kind == "critic runs away"
    # Where the loss has a border, scores are no distances.
    assert feed(Balance(None, 16.0), {**GOOD, "score_real": 99.0, "score_fake": -99.0}, 100) == []
    assert feed(Balance(None, None), {"score_real": 99.0, "score_fake": -99.0}, 100) == []


@pytest.mark.parametrize(
    ("config", "advice"),
    [
        (GameConfig(loss="hinge", spectral_norm=True, lr_d=1e-4, diffaugment="color"), "try --g-steps 2."),
        (GameConfig(loss="hinge", d_steps=5, lr_d=1e-4), "try --spectral-norm, --d-steps 1, --diffaugment color,t"),
        (None, "Try a weaker discriminator"),
        (
            GameConfig(loss="lsgan", spectral_norm=True, lr_d=1e-4, diffaugment="color", g_steps=2, soft_labels=0.9),
            "try another --seed.",
        ),
    ],
)
def test_advice_fits_the_options(config: GameConfig | None, advice: str) -> None:
    balance, won = Balance(config), {"acc_real": 1.0, "acc_fake": 1.0}
    feed(balance, won, WINDOW - 1)
    (finding,) = balance.add(won, 1000)
    assert advice in finding.text


def test_every_flag_that_is_advised_makes_a_valid_config() -> None:
    """What a sentence says can be typed: the names are options, and the values are taken."""
    from gantool.tasks import balance

    said = " ".join(
        advice
        for loss in ("bce", "hinge", "wasserstein")
        for config in [GameConfig(loss=loss, d_steps=2, g_steps=2, dropout=0.1)]
        for advice in (
            balance.advice_weaker(config),
            balance.advice_stronger(config),
            balance.advice_calmer(config, "grad_d"),
            balance.advice_calmer(config, "grad_g"),
            balance.advice_critic(config),
            balance.advice_diverse(config),
        )
    )
    flags = {word.strip(",.") for word in said.split() if word.startswith("--")}
    assert len(flags) >= 8
    assert {flag[2:].replace("-", "_") for flag in flags} <= set(GameConfig.__dataclass_fields__)
    GameConfig(label_smoothing=0.1, spectral_norm=True, diffaugment="color,translation")
    GameConfig(loss="wasserstein", gp=10, lr_d=1e-4)


# ---- of pairs ----------------------------------------------------------------------------------------------

WON = {**GOOD, "acc_real": 1.0, "acc_fake": 0.99}


def test_a_discriminator_of_pairs_that_wins_is_told_of_late_and_for_what_it_is() -> None:
    """Not in the first tenth, and after three windows: with one pair a batch, accuracies jump."""
    balance = Balance(Pix2PixConfig(), steps=80_000)
    assert feed(balance, WON, 300, start=EARLY + 1) == []
    assert feed(balance, WON, 2 * WINDOW - 1, start=8_001) == []
    (finding,) = balance.add(WON, 8_100)
    assert finding.kind == "discriminator wins"
    assert finding.text == (
        "The discriminator wins: it knows 100% of the true pairs and 99% of the made ones. With pairs that is common: "
        "L1 goes on to make the pictures better, but the adversarial gradient carries little, so that detail may stay "
        "blurred or repeat itself. In another run, try --lr-d 0.0001, --patch 34, --spectral-norm or --width-d 32."
    )
    assert feed(balance, WON, 300, start=8_101) == []
    alone = Balance(Pix2PixConfig(l1=0, lr_d=1e-4, patch=16, spectral_norm=True, width_d=16))
    (text,) = (found.text for step in range(201, 300) for found in alone.add(WON, step))
    assert text.endswith(
        "There is no L1 to learn from besides, and what the adversarial loss teaches then is little. In another run, "
        "try another --seed."
    )


def test_lucky_steps_are_no_victory_over_pairs() -> None:
    """A discriminator that is right in 9 of 10, of four patches a step, is above 98 % in many a window."""
    balance, lucky, windows = Balance(Pix2PixConfig()), np.random.default_rng(5), 0
    for step in range(EARLY + 1, EARLY + 6000):
        right = float((lucky.random(4) < 0.9).mean())
        assert balance.add({**GOOD, "acc_real": right, "acc_fake": 1.0}, step) == []
        windows += np.mean(balance.recent["acc_real"]) > 0.98 and len(balance.recent["acc_real"]) == WINDOW
    assert windows > 5


def test_a_discriminator_of_pairs_that_guesses() -> None:
    balance = Balance(Pix2PixConfig())
    lost = {**GOOD, "acc_real": 0.5, "acc_fake": 0.5}
    (text,) = (found.text for step in range(201, 300) for found in balance.add(lost, step))
    assert "Where results look real" in text
    assert text.endswith("In another run, try --lr-d 0.0004, --patch 142 or --width-d 128.")
    # Larger patches need larger pictures.
    small = Balance(Pix2PixConfig(size=least_side(142) - 1, load_size=64))
    (text,) = (found.text for step in range(201, 300) for found in small.add(lost, step))
    assert text.endswith("In another run, try --lr-d 0.0004 or --width-d 128.")


def test_alarms() -> None:
    alarms = Alarms(patience=2)
    bad, well, between = {"bad": True, "well": False}, {"bad": False, "well": True}, {"bad": False, "well": False}
    said = [alarms.judge("x", **state) for state in (bad, well, bad, bad, bad, between, bad, bad, well, bad, bad)]
    assert said == [False, False, False, True, False, False, False, False, False, False, True]
    assert alarms.judge("y", **bad) is False


# ---- collapse ----------------------------------------------------------------------------------------------

DIGITS = load_digits()
PICTURES = np.kron(DIGITS.images * 15.9, np.ones((2, 2))).astype(np.uint8)[..., None].repeat(3, axis=3)
LABELS = DIGITS.target.astype(np.int64)


def none(count: int) -> tuple[np.ndarray, np.ndarray | None]:
    raise AssertionError("no real pictures are needed")


def labelled(count: int) -> tuple[np.ndarray, np.ndarray | None]:
    return PICTURES[:count], LABELS[:count]


def unlabelled(count: int) -> tuple[np.ndarray, np.ndarray | None]:
    return PICTURES[:count], None


class Drawn:
    """A model that draws the digits it is told to, by seed."""

    place = None

    def __init__(self, digits: Sequence[int], classes: int = 0) -> None:
        self.digits, self.shape = list(digits), DataShape(16, 16, 1, classes)
        self.config = GameConfig()
        self.asked: list[SampleRequest] = []

    def part(self, stage: Stage) -> Drawn:
        return self

    def sample(self, request: SampleRequest) -> torch.Tensor:
        self.asked.append(request)
        chosen = [self.digits[seed % len(self.digits)] for seed in request.seeds]
        if request.labels is not None:  # of the asked class, as many different ones as there are digits
            chosen = [
                np.flatnonzero(label == LABELS)[seed // 10 % len(self.digits)]
                for seed, label in zip(request.seeds, request.labels, strict=True)
            ]
        return torch.cat([to_tensor(PICTURES[index]) for index in chosen])


def at(step: int, steps: int = 2000, metrics: dict[str, float] | None = None) -> Progress:
    stage = Stage(0, "training", steps, (16, 16))
    return Progress([stage], State(step=step, schedule=[steps]), metrics or {}, fresh=bool(metrics))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def watch(run: RunDir, model: Drawn, reals: Reals = labelled, every: int | None = 500) -> tuple[Watch, list[str]]:
    said: list[str] = []
    return Watch(run, model, reals, said.append, every), said  # type: ignore[arg-type]


FRESH = range(1200, 1300)  # digits that the reals do not contain


def test_diverse_samples_raise_no_alarm(run: RunDir) -> None:
    model = Drawn(FRESH)
    watching, said = watch(run, model)
    for step in range(100, 2001, 100):
        watching.step(at(step))
    watching.run_end(at(2000), model)  # type: ignore[arg-type]
    assert said == []
    entries = run.watched()
    assert [e["total"] for e in entries] == [500, 1000, 1500, 2000]  # once at the end
    samples = PICTURES[1200 : 1200 + SAMPLES]
    entry = entries[-1]
    assert entry["warnings"] == []
    assert entry["ms_ssim"] == pytest.approx(pair_similarity(samples, 64), abs=1e-5)
    assert entry["ms_ssim_real"] == pytest.approx(pair_similarity(PICTURES[:1000], 256), abs=1e-5)
    known = np.random.default_rng(0).permutation(1000) >= 250
    met, entropy = coverage(nearest_classes(samples, PICTURES[:1000][known], LABELS[:1000][known]), 10)
    assert 0.9 < entry["entropy"] < 1
    assert (entry["coverage"], entry["entropy"]) == (pytest.approx(met), pytest.approx(entropy, abs=1e-5))
    assert entry["coverage_real"] > 0.98
    assert 0.9 < entry["entropy_real"] < 0.99  # 64 draws are never quite even
    assert {seed for request in model.asked for seed in request.seeds} == set(range(SAMPLES))


def test_collapse_is_said_after_two_checks(run: RunDir) -> None:
    model = Drawn(FRESH)
    watching, said = watch(run, model)
    watching.step(at(500))
    model.digits = [1200]  # one picture only
    watching.step(at(1000))
    assert said == []
    watching.step(at(1500))
    assert len(said) == 2
    assert said[0].startswith("Step 1,500: Samples collapse: they resemble each other with MS-SSIM 1.00, real pic")
    assert "--minibatch-std, --spectral-norm, --lr-g 0.0001 or --loss wasserstein --gp 10" in said[0]
    assert "Classes are missing: samples show about 1.0 of 10, as many real pictures 9." in said[1]
    watching.step(at(2000))
    assert len(said) == 2
    entries = run.watched()
    assert [[w["kind"] for w in e["warnings"]] for e in entries] == [
        [],
        [],
        ["samples collapse", "classes missing"],
        [],
    ]
    assert entries[2]["ms_ssim"] == pytest.approx(1)
    assert (entries[2]["coverage"], entries[2]["entropy"]) == (0.1, 0)


def test_missing_classes(run: RunDir) -> None:
    """Many different pictures of five digits."""
    few = [i for i in FRESH if LABELS[i] < 5]
    model = Drawn(few)
    watching, said = watch(run, model)
    watching.step(at(500))
    watching.step(at(1000))
    assert len(said) == 1
    assert "Classes are missing" in said[0]
    assert 4.9 < 10 ** run.watched()[0]["entropy"] < 6
    model.digits = list(FRESH)
    watching.step(at(1500))
    model.digits = few
    watching.step(at(2000))
    watching.step(at(2500))
    assert len(said) == 2


def test_early_checks_raise_no_alarm(run: RunDir) -> None:
    watching, said = watch(run, Drawn([5]), every=50)
    for step in range(50, EARLY + 51, 50):
        watching.step(at(step))
    assert said == []
    watching.step(at(EARLY + 100))
    assert len(said) == 2
    watching, said = watch(run, Drawn([5]), every=500)
    for step in range(500, 2501, 500):
        watching.step(at(step, steps=20_000))
    assert said == []  # nor in the first tenth of a long run
    watching.step(at(3000, steps=20_000))
    assert len(said) == 2


def test_without_labels_there_is_no_coverage(run: RunDir) -> None:
    watching, said = watch(run, Drawn([7]), unlabelled)
    watching.step(at(500))
    watching.step(at(1000))
    assert len(said) == 1
    assert set(run.watched()[0]) == {"total", "stage", "step", "ms_ssim", "ms_ssim_real", "warnings"}


def test_one_class_has_no_coverage(run: RunDir) -> None:
    watching, _ = watch(run, Drawn(FRESH), lambda n: (PICTURES[:n], np.zeros(n, np.int64)))
    watching.step(at(500))
    assert "coverage" not in run.watched()[0]


def test_a_conditional_model_is_compared_within_classes(run: RunDir) -> None:
    """It draws every class, but each is one picture again and again: between classes nothing is seen of it."""
    model = Drawn([0], classes=10)
    watching, said = watch(run, model)
    watching.step(at(500))
    watching.step(at(1000))
    assert len(said) == 1
    assert "Samples of a class collapse" in said[0]
    entry = run.watched()[0]
    assert entry["ms_ssim"] == pytest.approx(1)
    assert entry["coverage"] == 1
    assert entry["ms_ssim_real"] == pytest.approx(pair_similarity(PICTURES[:1000], 256, labels=LABELS[:1000]), abs=1e-5)
    assert [label for request in model.asked[:4] for label in request.labels or ()] == [i % 10 for i in range(SAMPLES)]
    model.digits = list(range(7))  # of each class, seven different pictures
    watching.step(at(1500))
    assert run.watched()[2]["ms_ssim"] < 0.6


def test_labels_of_many_classes_are_spread() -> None:
    assert _spread(0) is None
    assert _spread(3) == [i % 3 for i in range(SAMPLES)]
    many = _spread(1000) or []
    assert len(many) == SAMPLES
    assert sorted(set(many))[0] == 0
    assert max(many) == 999
    assert len(set(many)) == 16
    assert all(many.count(label) == 4 for label in many)


def test_real_pictures_are_drawn_as_samples_are() -> None:
    labels = np.array([0, 0, 1, 2, 2, 2])
    for indices in _like(labels, [2, 0, 9, 2]):
        assert labels[indices].tolist() == [2, 0, 2]
    for drawn in (None, [9]):
        assert all(len(indices) == SAMPLES and indices.max() < 6 for indices in _like(labels, drawn))


def test_large_pictures_are_reduced() -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, 128, 192, 3), dtype=np.uint8)
    np.testing.assert_array_equal(_small(x), x.reshape(2, 64, 2, 96, 2, 3).mean(axis=(2, 4)).round())
    assert _small(x[:, :64]).shape == (2, 64, 192, 3)


# ---- the log, and what may go wrong ------------------------------------------------------------------------


def test_warnings_between_checks_are_logged(run: RunDir) -> None:
    watching, said = watch(run, Drawn(FRESH), none, every=10_000)
    won = {"acc_real": 1.0, "acc_fake": 1.0}
    for step in range(EARLY + 25, EARLY + 25 * WINDOW + 1, 25):
        watching.step(at(step, metrics=won))
        watching.step(at(step + 1))  # not fresh: the numbers of before count once
    (sentence,) = said
    assert sentence.startswith("Step 700: The discriminator wins")
    (entry,) = run.watched()
    assert entry["total"] == 700
    assert entry["warnings"][0]["kind"] == "discriminator wins"
    assert entry["warnings"][0]["text"] in sentence


def test_a_family_of_pairs_is_watched_by_its_own_options(run: RunDir) -> None:
    """Without pictures that it could draw; and late, by the steps of the stage."""
    config = Pix2PixConfig(size=16, load_size=18, width_g=2, width_d=2, patch=16)
    model, said = Pix2Pix(config, DataShape(16, 16, 3, given=3)), list[str]()
    watching = Watch(run, model, None, said.append)
    for step in range(25, 4001, 25):
        watching.step(at(step, 20_000, {"acc_real": 1.0, "acc_fake": 1.0}))
    (sentence,) = said
    assert sentence.startswith("Step 3,000: The discriminator wins: it knows 100% of the true pairs")
    assert sentence.endswith("try --lr-d 0.0001 or --spectral-norm.")


def test_twenty_checks_unless_told(run: RunDir) -> None:
    watching, _ = watch(run, Drawn(FRESH), every=None)
    for step in range(1, 401):
        watching.step(at(step, steps=400))
    assert [e["total"] for e in run.watched()] == list(range(20, 401, 20))


def test_the_end_is_checked(run: RunDir) -> None:
    watching, _ = watch(run, Drawn(FRESH), every=300)
    watching.step(at(300, steps=350))
    watching.run_end(at(350, steps=350), None)  # type: ignore[arg-type]
    assert [e["total"] for e in run.watched()] == [300, 350]


def test_what_cannot_be_checked_costs_nothing_else(run: RunDir) -> None:
    def unreadable(count: int) -> tuple[np.ndarray, np.ndarray | None]:
        raise DataError("It is gone.", "Bring it back.")

    watching, said = watch(run, Drawn(FRESH), unreadable)
    watching.step(at(500))
    watching.step(at(1000))
    assert len(said) == 1
    assert "for lack of real pictures: It is gone." in said[0]
    watching, said = watch(run, Drawn(FRESH), lambda _: (PICTURES[:1], None))
    watching.step(at(500))
    assert "for lack of real pictures" in said[0]
    model = Drawn(FRESH)
    watching, said = watch(run, model)
    good = model.sample
    model.sample = lambda request: good(request) * torch.nan  # type: ignore[method-assign]
    watching.step(at(500))
    assert "Samples of step 500 were not watched for collapse: The pictures hold NaN" in said[0]

    def refuses(request: SampleRequest) -> torch.Tensor:
        raise UsageError("Not now.", "Later.")

    model.sample = refuses  # type: ignore[method-assign]
    watching.step(at(1000))
    assert "Not now." in said[1]
    model.sample = good  # type: ignore[method-assign]
    watching.step(at(1500))
    assert len(said) == 2
    assert len(run.watched()) == 1


def test_a_torn_log_is_read_as_far_as_it_goes(run: RunDir) -> None:
    lines = ['{"total": 5, "ms_ssim": 1}', '{"tot', "[]", '{"total": 2, "warnings": []}', '{"total": 5, "ms_ssim": 2}']
    (run.path / "watch.jsonl").write_text("\n".join([*lines, json.dumps({"total": 5, "warnings": ["x"]})]))
    assert [(e["total"], e.get("ms_ssim")) for e in run.watched()] == [(2, None), (5, None), (5, 2)]
    assert RunDir(run.path / "nowhere").watched() == []


def test_watching_does_not_change_what_is_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, with samples drawn and real pictures read every second step."""

    def weights(folder: str) -> dict[str, torch.Tensor]:
        words = {"preset": "tiny", "steps": 8, "seed": 1, "device": "cpu", "preview_every": 2, "log_every": 1}
        run = train("acgan", "builtin:digits", out=tmp_path / folder, **words)
        assert len(run.dir.watched()) == (4 if folder == "watched" else 0)
        return run.load("cpu").state_dict()

    watched = weights("watched")
    monkeypatch.setattr(
        "gantool.tasks.train.Watch", lambda *_: SimpleNamespace(**dict.fromkeys(EVENTS, lambda *_: None))
    )
    alone = weights("alone")
    assert watched.keys() == alone.keys()
    assert all(torch.equal(watched[name], alone[name]) for name in alone)


EVENTS = ("step", "stage_end", "run_end")


def test_a_check_at_64_pixels_takes_less_than_two_seconds(run: RunDir) -> None:
    """Without drawing the samples, which is the model's; with room for a busy machine."""
    shape = DataShape(64, 64, 3, 10)
    samples = torch.rand(SAMPLES, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    model = Drawn([])
    model.shape, model.sample = shape, lambda request: samples[list(request.seeds)]  # type: ignore[method-assign]
    reals = np.random.default_rng(0).integers(0, 256, (1000, 64, 64, 3), dtype=np.uint8)
    watching = Watch(run, model, lambda n: (reals[:n], np.arange(n) % 10))  # type: ignore[arg-type]
    watching.step(at(100))
    start = time.process_time()
    watching.step(at(200))
    assert time.process_time() - start < 1.5
    assert len(run.watched()) == 2
