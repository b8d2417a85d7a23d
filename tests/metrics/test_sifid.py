"""SIFID against numbers of the published code, and its deeper layers against torchvision's own network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gantool.errors import DataError
from gantool.metrics import sifid
from gantool.metrics.sifid import LAYER_NAMES, Sifid
from gantool.nn.vision import models

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "singan_sifid.npz")
PICTURES = {name: GOLDEN[f"img{name}_uint8"].astype(np.uint8) for name in "ABC"}


def torchvision_network():
    """torchvision's whole network: random weights that keep activations of order 1, statistics not the defaults."""
    network = models.inception_v3(weights=None, init_weights=False, transform_input=False).eval()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, generator=random)
            elif isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1, generator=random)
                module.running_var.uniform_(0.5, 1.5, generator=random)
                module.weight.uniform_(0.7, 1.3, generator=random)
                module.bias.normal_(0, 0.1, generator=random)
    return network


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The network, and a file of its weights in the published format."""
    network = torchvision_network()
    path = tmp_path_factory.mktemp("weights") / "inception_v3_google.pth"
    torch.save(network.state_dict(), path)
    return network, path


@pytest.fixture(scope="module")
def stem(tmp_path_factory):
    """A file with the first three blocks only: the golden numbers' weights."""
    path = tmp_path_factory.mktemp("weights") / "stem.pth"
    torch.save({key[2:]: torch.from_numpy(GOLDEN[key]) for key in GOLDEN if key.startswith("w/")}, path)
    return path


@pytest.mark.parametrize("at_once", [2**16, 50])  # in one piece, and in strips of two rows or of one
@pytest.mark.parametrize("name", ["A", "C"])
def test_features_are_the_published_codes(stem, monkeypatch, name, at_once):
    monkeypatch.setattr(sifid, "_AT_ONCE", at_once)
    parts = list(Sifid(stem).features(PICTURES[name]))
    expected = GOLDEN[f"jpg/{name}/features"]
    assert len(parts) == ({"A": 8, "C": 20}[name] if at_once == 50 else 1)
    np.testing.assert_allclose(torch.cat(parts).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_statistics_are_the_published_codes(stem, name):
    found = Sifid(stem).statistics(PICTURES[name])
    np.testing.assert_allclose(found.mu, GOLDEN[f"jpg/{name}/mu"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.sigma, GOLDEN[f"jpg/{name}/sigma"], rtol=0, atol=1e-5)
    assert found.n == GOLDEN[f"jpg/{name}/n_positions"]


def test_sifid_is_the_published_codes(stem):
    network = Sifid(stem)
    for pair in ("AB", "AC", "BC"):
        found = network(*(PICTURES[name] for name in pair))
        assert found == pytest.approx(float(GOLDEN[f"jpg/sifid_{pair}"]), rel=1e-5)
        assert network(*(PICTURES[name] for name in reversed(pair))) == pytest.approx(found, rel=1e-9)
    assert network(PICTURES["A"], PICTURES["A"]) < 1e-9


@pytest.mark.parametrize(
    ("layer", "module"), [(64, "Conv2d_2b_3x3"), (192, "Conv2d_4a_3x3"), (768, "Mixed_6e"), (2048, "Mixed_7c")]
)
def test_layers_are_torchvisions(whole, layer, module):
    network, path = whole
    picture = np.random.default_rng(0).integers(0, 256, (83, 110, 3), dtype=np.uint8)
    maps = []
    hook = network.get_submodule(module).register_forward_hook(lambda module, inputs, output: maps.append(output))
    with torch.no_grad():
        network(torch.from_numpy(picture.transpose(2, 0, 1).copy())[None] / 255 * 2 - 1)
    hook.remove()
    expected = maps[0][0].flatten(1).T.numpy()
    found = torch.cat(list(Sifid(path, layer).features(picture))).numpy()
    assert found.shape == expected.shape
    assert found.shape[1] == layer
    assert np.linalg.norm(found - expected) < 2e-6 * np.linalg.norm(expected)


def test_layers_have_names():
    assert LAYER_NAMES[64] == "before the first max-pool, as published"
    assert sorted(LAYER_NAMES) == [64, 192, 768, 2048]


@pytest.mark.parametrize("layer", [64, 192, 768, 2048])
def test_too_small_a_picture_is_refused_and_the_smallest_that_is_named_works(whole, layer):
    network = Sifid(whole[1], layer)
    with pytest.raises(DataError, match=f"5x6 pixels is too small for SIFID at layer {layer}") as caught:
        network.statistics(np.zeros((6, 5, 3), np.uint8))
    side = int(caught.value.hint.split("x")[0].split()[-1])
    picture = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    assert network.statistics(picture).n == 4
    with pytest.raises(DataError, match="too small"):
        network.statistics(picture[1:, 1:])


def test_a_file_of_the_first_blocks_serves_layer_64_only(stem):
    with pytest.raises(DataError, match=r"lacks weights .* layer 192 needs, such as Conv2d_3b_1x1\.conv\.weight") as e:
        Sifid(stem, 192)
    assert "take layer 64" in e.value.hint


def test_wrong_files_are_refused(stem, tmp_path):
    path = tmp_path / "weights.pth"
    state = torch.load(stem, weights_only=True)
    torch.save(state | {"fc.weight": torch.zeros(1008, 2048)}, path)
    with pytest.raises(DataError, match="torchvision's Inception, but of FID's Inception, it seems"):
        Sifid(path)
    torch.save(state | {"Conv2d_1a_3x3.conv.weight": torch.zeros(32, 1, 3, 3)}, path)
    with pytest.raises(DataError, match=r"does not hold the weights of torchvision's Inception\."):
        Sifid(path)
    torch.save({"features.0.weight": torch.zeros(3)}, path)
    with pytest.raises(DataError, match="does not hold the weights of torchvision's Inception"):
        Sifid(path)
    with pytest.raises(ValueError, match="layer must be one of"):
        Sifid(stem, 65)
