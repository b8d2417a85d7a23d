"""Inception's features against torch-fidelity and pytorch-fid with the same random weights, in the published format."""

import os
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_fid import fid_score
from pytorch_fid import inception as pytorch_fid
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from gantool.errors import DataError
from gantool.metrics.batches import collect, in_background
from gantool.metrics.frechet import Moments, frechet_distance
from gantool.metrics.inception import LAYERS, PROTOCOLS, InceptionFeatures, bilinear, resize_299


@pytest.fixture(scope="module")
def ours(inception_file):
    """Our network, by protocol and layer."""
    return cache(lambda protocol, layer=2048: InceptionFeatures(inception_file, protocol, layer=layer, batch=4))


@pytest.fixture(scope="module")
def torch_fidelity(inception_file):
    """torch-fidelity's features of pictures, by name; a network that stops after the last one asked for."""

    @torch.no_grad()
    def features(pictures, *names):
        network = FeatureExtractorInceptionV3("inception", list(names), feature_extractor_weights_path=inception_file)
        found = [network(torch.from_numpy(picture.transpose(2, 0, 1))[None]) for picture in pictures]
        return {name: torch.cat(parts).numpy() for name, parts in zip(names, zip(*found, strict=True), strict=True)}

    return features


@pytest.fixture(scope="module")
def theirs(torch_fidelity):
    """torch-fidelity's features of `MIXED`."""
    return torch_fidelity(MIXED, "64", "192", "768", "2048", "logits_unbiased")


def pytorch_fid_network(inception_file, dims, monkeypatch):
    monkeypatch.setattr(
        pytorch_fid, "load_state_dict_from_url", lambda *args, **kwargs: torch.load(inception_file, weights_only=True)
    )
    return pytorch_fid.InceptionV3([pytorch_fid.InceptionV3.BLOCK_INDEX_BY_DIM[dims]]).eval()


def pictures(n, sides, seed=0, contrast=1.0):
    """Coloured noise of several grains: their features differ from picture to picture."""
    random = np.random.default_rng(seed)
    found = []
    for i in range(n):
        height, width = sides[i % len(sides)]
        grain = int(random.integers(1, 6))
        noise = random.normal(random.uniform(60, 190, 3), contrast * 60, (-(-height // grain), -(-width // grain), 3))
        whole = noise.repeat(grain, 0).repeat(grain, 1)[:height, :width]
        found.append(whole.clip(0, 255).astype(np.uint8))
    return found


MIXED = pictures(5, [(32, 40), (299, 299), (17, 90), (350, 301), (64, 64)])


def apart(a, b):
    assert a.shape == b.shape
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def test_features_of_the_last_layer_and_logits_are_torch_fidelitys(ours, theirs):
    mine = collect(ours("torch-fidelity")(MIXED))
    assert apart(mine.features, theirs["2048"]) < 2e-6
    assert apart(mine.logits, theirs["logits_unbiased"]) < 2e-6
    assert apart(mine.features[:1], mine.features[1:2]) > 0.05  # pictures can be told apart at all


@pytest.mark.parametrize("layer", LAYERS[:3])
def test_features_of_earlier_layers_are_torch_fidelitys(ours, theirs, layer):
    mine = collect(ours("torch-fidelity", layer)(MIXED))
    assert apart(mine.features, theirs[str(layer)]) < 2e-6
    assert mine.logits is None


def test_features_are_pytorch_fids(ours, inception_file, monkeypatch):
    network = pytorch_fid_network(inception_file, 2048, monkeypatch)
    with torch.no_grad():
        parts = [network(torch.from_numpy(p.transpose(2, 0, 1))[None] / 255)[0][..., 0, 0] for p in MIXED]
    theirs = torch.cat(parts).numpy()
    assert apart(collect(ours("pytorch-fid")(MIXED)).features, theirs) < 2e-6
    assert apart(collect(ours("torch-fidelity")(MIXED)).features, theirs) > 1e-3  # the protocols do differ


def fid(network, real, fake):
    statistics = []
    for side in (real, fake):
        moments = Moments(network.dimension)
        for batch in network(side):
            moments.add(batch.features)
        statistics.append(moments.statistics(network.protocol.ddof))
    return frechet_distance(*statistics)


# 64 features and more pictures than that: the others' matrix square roots of 2048 features take minutes together.
SETS = pictures(66, [(8, 8)], seed=1), pictures(66, [(8, 8)], seed=2, contrast=0.6)


def test_fid_is_torch_fidelitys(ours, torch_fidelity):
    statistics = [fid_features_to_statistics(torch.from_numpy(torch_fidelity(side, "64")["64"])) for side in SETS]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert theirs > 0.01
    assert fid(ours("torch-fidelity", 64), *SETS) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.filterwarnings("ignore:The `disp` argument is deprecated", "ignore:Matrix is singular")
def test_fid_is_pytorch_fids(ours, inception_file, monkeypatch):
    network = pytorch_fid_network(inception_file, 64, monkeypatch)
    with torch.no_grad():
        features = [
            network(torch.from_numpy(np.stack(side).transpose(0, 3, 1, 2)) / 255)[0].mean((2, 3)).numpy()
            for side in SETS
        ]
    statistics = [(side.mean(0), np.cov(side.astype(np.float64), rowvar=False)) for side in features]
    theirs = fid_score.calculate_frechet_distance(*statistics[0], *statistics[1])
    assert fid(ours("pytorch-fid", 64), *SETS) == pytest.approx(theirs, rel=1e-4)


def test_ddof_is_the_only_difference_of_nvidias_covariance(ours):
    one, other = ours("torch-fidelity", 64), ours("nvidia", 64)
    n, few = 8, SETS[0][:8]
    moments = Moments(64)
    for a, b in zip(one(few), other(few), strict=True):
        np.testing.assert_array_equal(a.features, b.features)
        moments.add(a.features)
    sigma = moments.statistics(other.protocol.ddof).sigma
    np.testing.assert_allclose(sigma, moments.statistics(one.protocol.ddof).sigma * (n - 1) / n, rtol=1e-12)


def test_a_picture_of_inceptions_size_is_scaled_alike_by_clean_and_torch_fidelity(ours):
    found = [collect(ours(name, 64)(MIXED[1:2])).features for name in ("clean", "torch-fidelity", "pytorch-fid")]
    assert apart(found[0], found[1]) < 1e-6
    assert apart(found[2], found[1]) > 1e-4  # (x - 127.5) / 127.5


@pytest.mark.parametrize("size", [(32, 32), (17, 90), (299, 299), (700, 411), (1, 5)])
def test_tensorflows_resize_is_torch_fidelitys_bit_for_bit(size):
    x = np.random.default_rng(3).integers(0, 256, (1, 3, *size), dtype=np.uint8)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(torch.from_numpy(x).float(), (299, 299), align_corners=False)
    np.testing.assert_array_equal(bilinear(x, (299, 299), centres=False), theirs)


@pytest.mark.parametrize("size", [(32, 32), (17, 90), (299, 299), (700, 411), (1, 5)])
def test_pytorchs_resize(size):
    x = np.random.default_rng(3).integers(0, 256, (1, 3, *size), dtype=np.uint8)
    theirs = F.interpolate(torch.from_numpy(x).double(), (299, 299), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(bilinear(x, (299, 299), centres=True), theirs, rtol=0, atol=0.02)


@pytest.mark.parametrize("size", [(40, 56), (299, 299), (640, 455)])
def test_cleans_resize_is_bicubic_smoothed_and_not_rounded(size):
    picture = np.random.default_rng(4).integers(0, 256, (*size, 3), dtype=np.uint8)
    x = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].double()
    expected = F.interpolate(x, (299, 299), mode="bicubic", align_corners=False, antialias=True).clamp(0, 255)[0]
    found = resize_299(picture, "pil-bicubic")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    if size != (299, 299):
        assert np.abs(found - found.round()).max() > 0.4


def test_features_do_not_depend_on_the_batch(ours, inception_file):
    sevens = InceptionFeatures(inception_file, "torch-fidelity", layer=64, batch=7)
    few = SETS[0][:9]
    batches = list(sevens(few))
    assert [len(batch.features) for batch in batches] == [7, 2]
    assert apart(collect(batches).features, collect(ours("torch-fidelity", 64)(few)).features) < 1e-6


def test_pictures_are_not_gathered(ours):
    made = 0

    def endless():
        nonlocal made
        while True:
            made += 1
            yield SETS[0][0]

    for i, _ in enumerate(ours("torch-fidelity", 64)(endless())):
        assert made <= 4 * (i + 2) + 1  # this batch of 4 and the next
        if i == 3:
            break


def test_errors_of_the_pictures_arrive(ours):
    def broken():
        yield from SETS[0][:5]
        raise DataError("The sixth is damaged.")

    batches = ours("torch-fidelity", 64)(broken())
    assert len(next(batches).features) == 4
    with pytest.raises(DataError, match="sixth"):
        next(batches)
    with pytest.raises(ValueError, match=r"uint8, got float64 \(8, 8, 3\)"):
        next(ours("torch-fidelity", 64)([np.zeros((8, 8, 3))]))


def test_what_is_made_in_the_background_keeps_its_order():
    assert list(in_background(range(20))) == list(range(20))
    assert list(in_background([])) == []


def test_protocols():
    assert list(PROTOCOLS) == ["torch-fidelity", "pytorch-fid", "clean", "nvidia"]
    assert {name: protocol.ddof for name, protocol in PROTOCOLS.items() if protocol.ddof != 1} == {"nvidia": 0}
    assert [protocol.resize for protocol in PROTOCOLS.values()] == [
        "tf1-bilinear", "torch-bilinear", "pil-bicubic", "tf1-bilinear",
    ]  # fmt: skip
    assert {protocol.kid_subsets * protocol.kid_subset_size for protocol in PROTOCOLS.values()} == {100_000}


class Opens:
    """What a hostile file would do when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_wrong_files_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(DataError, match="no file"):
        InceptionFeatures(path)
    path.write_bytes(b"not weights")
    with pytest.raises(DataError, match="damaged, or no file of PyTorch weights"):
        InceptionFeatures(path)
    torch.save({"fc.weight": torch.zeros(1000, 2048)}, path)
    with pytest.raises(DataError, match=r"FID's Inception .*, but of torchvision's Inception, it seems"):
        InceptionFeatures(path)
    torch.save({"layer.weight": torch.zeros(3)}, path)
    with pytest.raises(DataError, match=r"does not hold the weights of FID's Inception \(2015-12-05, 1008 classes\)\."):
        InceptionFeatures(path)
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="no network's weights"):
        InceptionFeatures(path)
    torch.save({"fc.weight": Opens(tmp_path / "opened")}, path)
    with pytest.raises(DataError, match="would execute code"):
        InceptionFeatures(path)
    assert not (tmp_path / "opened").exists()


def test_weights_saved_without_batch_counters_load(inception_file, ours, tmp_path):
    """As older PyTorch wrote them."""
    state = torch.load(inception_file, weights_only=True)
    path = tmp_path / "old.pth"
    torch.save({key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}, path)
    found = collect(InceptionFeatures(path, layer=64)(SETS[0][:2]))
    np.testing.assert_allclose(
        found.features, collect(ours("torch-fidelity", 64)(SETS[0][:2])).features, rtol=1e-6, atol=1e-7
    )
