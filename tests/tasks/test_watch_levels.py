"""The watch over a training in several stages, as LAPGAN's levels are: each is a game of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gantool.data.image import to_uint8
from gantool.data.labelled import open_labelled
from gantool.data.training_set import TrainingSet
from gantool.engine.checkpoint import State
from gantool.engine.rundir import RunDir
from gantool.engine.trainer import Progress
from gantool.families.lapgan.config import LAPGANConfig, level_options
from gantool.families.lapgan.level import Level
from gantool.families.lapgan.model import LAPGAN
from gantool.family import DataShape
from gantool.metrics.collapse import pair_similarity
from gantool.tasks.balance import EARLY, WINDOW, Balance
from gantool.tasks.train import reals_of
from gantool.tasks.watch import SAMPLES, TOO_ALIKE, Watch

STEPS = 1000
OPTIONS: dict[str, Any] = {
    "size": 16, "levels": "4,8,16", "arch": "mlp,dcgan", "width_g": "16,8", "width_d": "16,8", "nz": 8,
    "loss": "hinge", "spectral_norm": True, "steps": STEPS, "labels": "none",
    "level_options": "0.loss=wasserstein,0.gp=10,0.spectral_norm=false,0.lr_d=1e-3",
}  # fmt: skip


@pytest.fixture(scope="module")
def digits() -> TrainingSet:
    return TrainingSet(open_labelled("builtin:digits"), LAPGANConfig(**OPTIONS), seed=0)


@pytest.fixture
def model(digits: TrainingSet) -> LAPGAN:
    torch.manual_seed(0)
    return LAPGAN(LAPGANConfig(**OPTIONS), digits.shape)


class Training:
    """A watch, and the steps that it is told of."""

    def __init__(self, folder: Path, model: LAPGAN, digits: TrainingSet, seen: bool = True) -> None:
        self.model, self.run, self.said, self.stages = model, RunDir(folder), list[str](), model.stages()
        reals = reals_of(digits, model) if seen else digits_alone(digits)
        self.watch = Watch(self.run, model, reals, self.said.append, STEPS // 2)

    def enter(self, stage: int) -> None:
        self.model.enter(self.stages[stage])

    def step(self, stage: int, step: int, metrics: dict[str, float] | None = None) -> None:
        state = State(stage=stage, step=step, schedule=[STEPS] * len(self.stages))
        self.watch.step(Progress(self.stages, state, metrics or {}, fresh=bool(metrics)))

    def end(self, stage: int) -> None:
        state = State(stage=stage, step=STEPS, schedule=[STEPS] * len(self.stages))
        self.watch.stage_end(Progress(self.stages, state), self.model)

    def log(self, stage: int, metrics: dict[str, float], entries: int = WINDOW) -> list[str]:
        """What is said of as many equal entries, after the early steps."""
        before = len(self.said)
        for step in range(EARLY + 1, EARLY + 1 + entries):
            self.step(stage, step, metrics)
        return self.said[before:]


def digits_alone(digits: TrainingSet) -> Any:
    return lambda count: (digits.pictures(digits.spread(count)[0]), digits.spread(count)[1])


def advised(sentence: str) -> list[str]:
    """The entries for --level-options that a warning ends with."""
    listed = sentence.partition("add to --level-options: ")[2].removesuffix(".")
    return [entry.partition(" (")[0] for entry in listed.replace(" or ", ", ").split(", ")]


# --- balance --------------------------------------------------------------------------------------------


def test_every_level_is_judged_by_its_own_options(tmp_path: Path, model: LAPGAN, digits: TrainingSet) -> None:
    training = Training(tmp_path, model, digits)
    # Level 0 plays for Wasserstein's distance: scores are as far apart as 4 x 4 pictures are at most, 2 sqrt(16) = 8.
    assert training.log(0, {"score_real": 5.0, "score_fake": -2.9}, 100) == []
    (sentence,) = training.log(0, {"score_real": 5.0, "score_fake": -3.1}, 100)
    assert sentence.startswith("level 0 (4 px), step 2")
    assert ": The critic runs away" in sentence
    assert "(8)" in sentence
    assert advised(sentence) == ["0.gp=20", "0.lr_d=0.0005"]
    training.end(0)
    # Level 1 has a border between real and fake, and spectral norm already; targets to smooth it has none.
    (sentence,) = training.log(1, {"acc_real": 1.0, "acc_fake": 1.0})
    assert sentence.startswith(f"level 1 (8 px), step {EARLY + WINDOW}: The discriminator wins")
    assert advised(sentence) == ["1.lr_d=0.0001", "1.diffaugment=color,translation", "1.g_steps=2"]
    training.end(1)
    (sentence,) = training.log(2, {"acc_real": 1.0, "acc_fake": 1.0})  # said again: it is another game
    assert "2.lr_d=0.0001" in advised(sentence)
    assert [(e["stage"], [w["kind"] for w in e["warnings"]]) for e in training.run.watched()] == [
        (0, ["critic runs away"]),
        (1, ["discriminator wins"]),
        (2, ["discriminator wins"]),
    ]


def test_every_level_has_a_beginning_of_its_own(tmp_path: Path, model: LAPGAN, digits: TrainingSet) -> None:
    """Gradients of another size, and entries of the level before, are nothing to it."""
    training = Training(tmp_path, model, digits)
    assert training.log(0, {"acc_real": 1.0, "acc_fake": 1.0, "grad_d": 1.0}, WINDOW - 1) == []
    training.end(0)
    assert training.log(1, {"acc_real": 1.0, "acc_fake": 1.0, "grad_d": 1000.0}, WINDOW - 1) == []
    assert len(training.log(1, {"acc_real": 1.0, "acc_fake": 1.0, "grad_d": 1000.0}, 1)) == 1
    balance = training.watch.balance
    assert isinstance(balance, Balance)
    assert balance.first["grad_d"] == [1000.0] * WINDOW


def test_what_is_advised_can_be_added(model: LAPGAN) -> None:
    """Whatever the level: the options are taken, and they hold for that level alone."""
    from gantool.tasks import balance

    for loss in ("bce", "lsgan", "hinge", "wasserstein"):
        config = LAPGANConfig(**{**OPTIONS, "level_options": f"1.loss={loss},1.dropout=0.1,1.d_steps=2"})
        own = config.at(config.rungs()[1])
        assert own.loss == loss
        texts = [
            balance.advice_weaker(own, 1), balance.advice_stronger(own, 1), balance.advice_calmer(own, "grad_d", 1),
            balance.advice_calmer(own, "grad_g", 1), balance.advice_critic(own, 1), balance.advice_diverse(own, 1),
        ]  # fmt: skip
        for entry in {entry for text in texts for entry in advised(text)}:
            wanted = level_options(entry, 3)[1]
            changed = replace(config, level_options=f"{config.level_options},{entry}")
            others = [changed.at(rung) == config.at(rung) for rung in changed.rungs()]
            assert others == [True, False, True], entry
            after = changed.at(changed.rungs()[1])
            for name, text in wanted.items():
                value = getattr(after, name)
                assert text == (str(value).lower() if isinstance(value, bool) else str(value)) or float(text) == value


def test_advice_leaves_out_what_other_options_forbid() -> None:
    from gantool.tasks.balance import advice_diverse

    config = LAPGANConfig(**{**OPTIONS, "loss": "bce", "level_options": "1.label_smoothing=0.1,1.margin=0.3"})
    told = advised(advice_diverse(config.at(config.rungs()[1]), 1))
    assert told == ["1.minibatch_std=true", "1.lr_g=0.0001"]  # targets and margin need the loss that there is
    tiny = LAPGANConfig(**{**OPTIONS, "loss": "bce", "levels": "2,8,16"})
    assert "0.spectral_norm=true" in advised(advice_diverse(tiny.at(tiny.rungs()[0]), 0))


# --- collapse -------------------------------------------------------------------------------------------


def real_digits(model: LAPGAN, digits: TrainingSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best that levels so far can draw: other real digits, without the detail of levels to come."""
    pictures = torch.from_numpy(digits.pictures(np.arange(500, 500 + SAMPLES))).permute(0, 3, 1, 2) / 127.5 - 1

    def drawn(request: Any) -> torch.Tensor:
        return model.seen(pictures[list(request.seeds)])

    monkeypatch.setattr(model, "sample", drawn)


def checks(training: Training, stages: Sequence[int] = (0, 1, 2)) -> None:
    for stage in stages:
        training.enter(stage)
        for step in (STEPS // 2, STEPS):
            training.step(stage, step)
        training.end(stage)


def test_blurred_samples_of_a_coarse_level_are_no_collapse(
    tmp_path: Path, model: LAPGAN, digits: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_digits(model, digits, monkeypatch)
    training = Training(tmp_path, model, digits)
    checks(training)
    assert training.said == []
    found = training.run.watched()
    assert [entry["stage"] for entry in found] == [0, 0, 1, 1, 2, 2]
    for entry in found:
        assert entry["ms_ssim"] == pytest.approx(entry["ms_ssim_real"], abs=0.06)
    usual = [entry["ms_ssim_real"] for entry in found[::2]]
    assert usual[0] > usual[1] + 0.1 > usual[2] + 0.1  # the finer, the less alike


def test_against_whole_pictures_blurred_samples_would_look_like_a_collapse(
    tmp_path: Path, digits: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why reals are shown as levels so far could draw them."""
    model = LAPGAN(LAPGANConfig(**{**OPTIONS, "levels": "2,8,16"}), digits.shape)
    real_digits(model, digits, monkeypatch)
    training = Training(tmp_path, model, digits, seen=False)
    checks(training, [0])
    (entry, _) = training.run.watched()
    assert entry["ms_ssim"] > entry["ms_ssim_real"] + TOO_ALIKE
    assert "Samples collapse" in training.said[0]


@pytest.mark.parametrize("stages", [(0,), (0, 1), (0, 1, 2)])
def test_a_generator_that_draws_one_picture_is_found(
    tmp_path: Path, model: LAPGAN, digits: TrainingSet, stages: Sequence[int]
) -> None:
    """At whatever level one looks; and it is said once, with the options of the level that it is said at."""
    training = Training(tmp_path, model, digits)
    for stage in stages[:-1]:  # nothing is looked at
        training.enter(stage)
    with torch.no_grad():
        for part in model.levels:
            for weight in part.parameters():
                weight.zero_()
    last = stages[-1]
    checks(training, [last])
    collapse = [sentence for sentence in training.said if "Samples collapse" in sentence]
    assert len(collapse) == 1
    assert collapse[0].startswith(f"level {last} ({4 * 2**last} px), step {STEPS:,}")
    assert f"{last}.minibatch_std=true" in advised(collapse[0])
    entry = training.run.watched()[-1]
    assert entry["ms_ssim"] == pytest.approx(1)
    reals = model.seen(torch.from_numpy(digits.pictures(digits.spread(1000)[0])).permute(0, 3, 1, 2) / 127.5 - 1)
    assert entry["ms_ssim_real"] == pytest.approx(pair_similarity(to_uint8(reals), 256), abs=1e-5)
    if last < 2:
        before = len(training.said)
        checks(training, [last + 1])
        assert len(training.said) == before  # it has not been well in between


def test_distances_are_those_of_what_the_critic_sees() -> None:
    """In units of the data, pictures are farther apart."""
    made = LAPGAN(LAPGANConfig(**{**OPTIONS, "standardise": True}), DataShape(16, 16, 3))
    level = made.part(made.stages()[1])
    assert isinstance(level, Level)
    assert level.farthest == pytest.approx(2 * np.sqrt(3 * 64))
    level.standardise(torch.tensor([0.1, 0.0, -0.2]), torch.tensor([0.5, 0.25, 0.2]))
    black, white = (level.units(torch.full((1, 3, 8, 8), value)) for value in (-1.0, 1.0))
    assert level.farthest == pytest.approx(float(torch.dist(black, white)))
