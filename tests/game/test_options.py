"""Options of the game: which do not fit together, and how many updates they ask for."""

import pytest

from gantool.errors import ConfigError
from gantool.game.options import GameConfig


@pytest.mark.parametrize("loss", ["hinge", "wasserstein"])
@pytest.mark.parametrize(
    ("flag", "remedy"),
    [
        ("--label-smoothing", {"label_smoothing": 0.1}),
        ("--soft-labels", {"soft_labels": 0.9}),
        ("--flip-labels", {"flip_labels": 0.05}),
    ],
)
def test_remedies_of_targets_need_targets(loss, flag, remedy):
    with pytest.raises(ConfigError) as caught:
        GameConfig(loss=loss, **remedy)
    assert flag in caught.value.what
    assert loss in caught.value.what
    for other in ("bce", "lsgan"):
        assert other in caught.value.hint
        GameConfig(loss=other, **remedy)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"label_smoothing": 0.1, "soft_labels": 0.9}, "both set the target"),
        ({"ada": 0.6}, "there is none"),
        ({"ada": 0.6, "diffaugment": "color", "loss": "wasserstein"}, "tells nothing"),
        ({"batch": 10, "accumulate": 4}, "4 equal parts"),
        ({"momentum_end": 0.7}, "--optimizer sgd"),
        ({"diffaugment": "colour"}, "colour"),
    ],
)
def test_what_does_not_fit_together(values, what):
    with pytest.raises(ConfigError, match=what) as caught:
        GameConfig(**values)
    assert caught.value.hint


def test_what_does():
    GameConfig(batch=12, accumulate=4, optimizer="sgd", momentum_end=0.7, label_smoothing=0.1, flip_labels=0.1)
    GameConfig(ada=0.6, diffaugment="color,cutout", loss="lsgan", soft_labels=1.0)


def test_critic_updates_of_the_wgan_code():
    updates = [GameConfig(d_steps=5, critic_bursts=True).discriminator_updates(step) for step in range(1001)]
    assert [step for step, count in enumerate(updates) if count == 100] == [*range(25), 500, 1000]
    assert set(updates) == {5, 100}
    assert {GameConfig(d_steps=5).discriminator_updates(step) for step in range(30)} == {5}
    assert GameConfig(d_steps=200, critic_bursts=True).discriminator_updates(0) == 200


def test_steps_of_epochs():
    assert GameConfig(steps=77).generator_steps(1000) == 77
    assert GameConfig(steps=77, epochs=3, batch=10).generator_steps(1000) == 300
    assert GameConfig(epochs=3, batch=10, d_steps=5).generator_steps(1000) == 60  # each update of D takes a batch
    assert GameConfig(epochs=0.01, batch=10).generator_steps(20) == 1
