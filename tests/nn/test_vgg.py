"""VGG19's features: which layers, against torchvision's own network; what weights are taken."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantool.errors import DataError
from gantool.nn.vgg import VggFeatures
from gantool.nn.vision import models


def random_state(layers: int = 36) -> dict[str, torch.Tensor]:
    """Weights in torchvision's names that keep the size of what passes through."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in models.vgg19(weights=None).features[:layers].state_dict().items()}
    return {
        f"features.{name}": torch.randn(shape, generator=generator)
        * ((2 / shape[1:].numel()) ** 0.5 if len(shape) == 4 else 0.1)
        for name, shape in shapes.items()
    }


def pictures(n: int = 2, side: int = 32) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(("pool", "conv", "channels", "convs"), [(2, 2, 128, 4), (5, 4, 512, 16), (1, 1, 64, 1)])
def test_the_layer_is_the_activation_of_the_convolution_asked_for(
    pool: int, conv: int, channels: int, convs: int
) -> None:
    features = VggFeatures(random_state(), pool, conv)
    kinds = [type(layer) for layer in features.layers]
    assert kinds[-2:] == [nn.Conv2d, nn.ReLU]
    assert kinds.count(nn.Conv2d) == convs
    assert kinds.count(nn.MaxPool2d) == pool - 1
    found = features(pictures())
    assert found.shape == (2, channels, 32 // features.least, 32 // features.least)
    assert found.min() == 0
    with torch.device("meta"):
        following = models.vgg19(weights=None).features[len(kinds)]
    assert isinstance(following, nn.MaxPool2d) == ((pool, conv) != (1, 1))


def test_torchvisions_network_on_pictures_normalised_as_its_weights_want() -> None:
    state = random_state(9)
    reference = models.vgg19(weights=None, init_weights=False).features[:9]
    reference.load_state_dict({k.removeprefix("features."): v for k, v in state.items()})
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = ((pictures() + 1) / 2 - mean[:, None, None]) / deviation[:, None, None]
    torch.testing.assert_close(VggFeatures(state, 2, 2)(pictures()), reference(normalised), rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_pictures_and_nothing_else() -> None:
    features = VggFeatures(random_state(9), 2, 2).train()
    x = pictures().requires_grad_()
    features(x).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0
    assert not features.training
    assert all(not p.requires_grad and p.grad is None for p in features.parameters())
    assert not [name for name in features.state_dict() if "mean" in name or "deviation" in name]


def test_weights_with_and_without_the_classifier_or_the_prefix() -> None:
    state = random_state(9)
    expected = VggFeatures(state, 2, 2)(pictures())
    bare = {name.removeprefix("features."): value for name, value in state.items()}
    for content in (state | {"classifier.0.weight": torch.zeros(2, 2)}, bare):
        assert torch.equal(VggFeatures(content, 2, 2)(pictures()), expected)


def test_weights_of_something_else_are_refused() -> None:
    with pytest.raises(DataError, match=r"does not hold torchvision's VGG19: there is no features.10.weight"):
        VggFeatures(random_state(9), 5, 4)
    with pytest.raises(DataError, match=r"features.0.weight is \(2, 2\) instead of \(64, 3, 3, 3\)"):
        VggFeatures({"features.0.weight": torch.zeros(2, 2)}, 2, 2)
    with pytest.raises(ValueError, match="no convolution 3 before max-pooling 2"):
        VggFeatures(random_state(), 2, 3)
