"""Few colours: against numbers recorded from the official code, and against colours that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from gantool.data.quantize import palette, to_palette

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "singan_quantization.npz", allow_pickle=False)


def test_triples_are_the_official_palette() -> None:
    centers, quantised = palette(torch.from_numpy(GOLDEN["image"]), 5, "triples")
    theirs = GOLDEN["n_init10/centers"]
    order = [int(np.argmin(np.abs(centers - center).sum(1))) for center in theirs]
    assert sorted(order) == list(range(5))
    assert np.abs(centers[order] - theirs).max() < 1e-6
    assert np.abs(quantised.numpy() - GOLDEN["n_init10/quantised"]).max() < 1e-6


def test_painting_with_given_centers_is_the_official_one() -> None:
    painted = to_palette(torch.from_numpy(GOLDEN["paint"]), GOLDEN["injected/centers"].astype(np.float64), "triples")
    assert np.abs(painted.numpy() - GOLDEN["quant2centers/quantised"]).max() < 1e-6
    nearest = GOLDEN["injected/centers"][GOLDEN["quant2centers/nearest_given_center_labels"].astype(int)]
    assert np.abs(painted.numpy().reshape(-1, 3) - nearest).max() > 0.1  # it is not simply the nearest


COLOURS = np.array([[-0.9, -0.8, 0.7], [0.8, 0.9, -0.9], [0.1, 0.0, 0.0], [0.9, -0.9, -0.9], [-0.5, 0.9, 0.9]])


def picture(seed: int) -> tuple[torch.Tensor, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 5, (24, 31))
    values = COLOURS[labels] + random.normal(0, 0.02, (24, 31, 3))
    return torch.from_numpy(values).permute(2, 0, 1)[None].float(), labels


def test_the_colours_of_a_picture_are_found() -> None:
    image, labels = picture(0)
    centers, quantised = palette(image, 5)
    order = [int(np.argmin(np.abs(centers - colour).sum(1))) for colour in COLOURS]
    assert np.abs(centers[order] - COLOURS).max() < 0.02
    painted = quantised[0].permute(1, 2, 0).numpy()
    assert np.abs(painted - COLOURS[labels]).max() < 0.02
    assert quantised.dtype == image.dtype


def test_a_picture_in_other_hues_gets_the_given_colours() -> None:
    image, labels = picture(1)
    painted = to_palette(image * 0.8 + 0.1, COLOURS)[0].permute(1, 2, 0).numpy()
    assert np.abs(painted - COLOURS[labels]).max() < 1e-6
