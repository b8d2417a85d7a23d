"""Content loss and total variation, against recorded numbers of leftthomas/SRGAN and direct computations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gantool.errors import DataError
from gantool.losses.content import LAYERS, content_loss, vgg_features
from gantool.losses.pixel import total_variation
from gantool.nn.vision import models

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sr_networks.npz")
EXACT = {"rtol": 1e-6, "atol": 1e-8}  # the file is a float32 rounding of float64 computations


def given(name: str) -> torch.Tensor:
    return torch.tensor(GOLDEN[f"srgan_loss/{name}"]).double()


def recorded_features() -> nn.Module:
    names = {"0.weight": "c1.weight", "0.bias": "c1.bias", "3.weight": "c2.weight", "3.bias": "c2.bias"}
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1))
    network.load_state_dict({ours: given(f"features_w/{theirs}") for ours, theirs in names.items()})
    return network.double().requires_grad_(False)


def test_recorded_losses_and_the_gradient_of_their_sum() -> None:
    features, fake, real = recorded_features(), given("out_images").requires_grad_(), given("target_images")
    perception = content_loss(features, fake, real, scale=1)
    variation = total_variation(fake)
    torch.testing.assert_close(perception, given("perception"), **EXACT)
    torch.testing.assert_close(variation, given("tv"), **EXACT)
    image, adversarial = (fake - real).square().mean(), (1 - given("out_labels")).mean()
    total = image + 0.001 * adversarial + 0.006 * perception + 2e-8 * variation
    torch.testing.assert_close(total, given("total"), **EXACT)
    total.backward()
    torch.testing.assert_close(fake.grad, given("grad"), **EXACT)


def test_features_are_scaled_as_the_paper_has_it() -> None:
    features, fake, real = recorded_features(), given("out_images"), given("target_images")
    direct = (features(fake) / 12.75 - features(real) / 12.75).square().mean()
    torch.testing.assert_close(content_loss(features, fake, real), direct)
    ratio = content_loss(features, fake, real) / content_loss(features, fake, real, scale=1)
    assert ratio.item() == pytest.approx(0.006, rel=0.03)  # "approximately 0.006"


def test_equal_pictures_cost_nothing_and_only_the_fake_gets_a_gradient() -> None:
    features, real = recorded_features(), given("target_images").requires_grad_()
    assert content_loss(features, real, real).item() == 0
    fake = given("out_images").requires_grad_()
    content_loss(features, fake, real).backward()
    assert fake.grad is not None
    assert real.grad is None


def test_total_variation_of_a_ramp() -> None:
    ramp = torch.arange(5.0).repeat(2, 3, 4, 1)  # 1 from column to column, 0 from row to row
    assert total_variation(ramp).item() == 2


def test_missing_weights_name_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTOOL_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    with pytest.raises(DataError) as caught:
        vgg_features("vgg54")
    for way in ("gantool weights fetch vgg19", "gantool weights import FILE", "--content mse"):
        assert way in caught.value.hint
    assert "574,673,361 bytes" in caught.value.what
    with pytest.raises(DataError, match=r"no file .*own\.pth"):
        vgg_features("vgg22", tmp_path / "own.pth")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "own.pth"
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in models.vgg19(weights=None).features[:9].state_dict().items()}
    torch.save({f"features.{name}": torch.full(shape, 0.01) for name, shape in shapes.items()}, file)
    network = vgg_features("vgg22", file)
    assert len(network.layers) == 9
    assert set(LAYERS) == {"vgg22", "vgg54"}
