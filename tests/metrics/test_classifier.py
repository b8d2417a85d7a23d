"""Networks of the user's: published classifiers of digits by their accuracy, programs by what they compute."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gantool.errors import DataError, UsageError
from gantool.metrics.batches import collect
from gantool.metrics.classifier import Classifier

DATA = Path(__file__).parents[3] / "shared" / "data"
TANH = DATA / "weights/gan-metrics/models/lenet.pth"
RELU = DATA / "weights/csinva/mnist_classifier/weights/lenet_epoch=12_test_acc=0.991.pth"
# PyTorch would rather have torch.export; TorchScript files are around, and read as long as it reads them.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the data folder beside the repository")


def digits(n):
    images = gzip.decompress((DATA / "mnist/t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((DATA / "mnist/t10k-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)[:n]
    return pixels[..., None].repeat(3, 3), np.frombuffer(labels, np.uint8, offset=8)[:n]


def correct(classifier, n):
    pixels, labels = digits(n)
    found = collect(classifier(iter(pixels)))
    assert found.features.shape == (n, 84)
    return int((found.logits.argmax(1) == labels).sum()), found


@needs_data
def test_the_published_classifiers_read_the_test_digits_as_published():
    hits, found = correct(Classifier(TANH), 2000)
    assert hits == 1974  # 98.7 %
    assert np.abs(found.features).max() <= 1  # tanh
    hits, found = correct(Classifier(RELU), 10_000)
    assert hits == pytest.approx(9908, abs=1)  # 99.08 %
    assert found.features.min() == 0


@needs_data
def test_the_wrong_activation_shows():
    assert correct(Classifier(TANH, "relu"), 500)[0] < 350
    assert correct(Classifier(RELU, "tanh"), 500)[0] < 400


def lenet(activation):
    """A LeNet-5 of PyTorch's layers, under the names of the published files."""
    act = {"tanh": nn.Tanh, "relu": nn.ReLU}[activation]
    network = nn.Sequential()
    network.convnet = nn.Sequential()
    network.fc = nn.Sequential()
    for name, layer in (
        ("c1", nn.Conv2d(1, 6, 5)), ("a1", act()), ("s2", nn.MaxPool2d(2)),
        ("c3", nn.Conv2d(6, 16, 5)), ("a3", act()), ("s4", nn.MaxPool2d(2)),
        ("c5", nn.Conv2d(16, 120, 5)), ("a5", act()), ("flat", nn.Flatten()),
    ):  # fmt: skip
        network.convnet.add_module(name, layer)
    for name, layer in (("f6", nn.Linear(120, 84)), ("a6", act()), ("f7", nn.Linear(84, 10))):
        network.fc.add_module(name, layer)
    return network


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_lenet_of_the_users(tmp_path, activation):
    torch.manual_seed(0)
    network, path = lenet(activation), tmp_path / "lenet.pth"
    torch.save(network.state_dict(), path)
    with pytest.raises(UsageError, match="does not say which activation") as caught:
        Classifier(path)
    assert "tanh or relu" in caught.value.hint

    grey = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    classifier = Classifier(path, activation)
    found = collect(classifier(grey[..., None].repeat(3, 3)))
    with torch.no_grad():
        hidden = network.fc[:2](network.convnet(torch.from_numpy(grey)[:, None] / 255))
        np.testing.assert_allclose(found.features, hidden.numpy(), atol=1e-6)
        np.testing.assert_allclose(found.logits, network.fc[2](hidden).numpy(), atol=1e-6)
    assert classifier.description == f"LeNet-5 ({activation}), its 84 last hidden units"


class Means(nn.Module):
    """Features that can be worked out by hand: mean level of each channel; logits twice as much."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        features = x.float().mean((2, 3))
        return features, features * self.factor


def some_pictures(sizes):
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def check_means(found, pictures):
    means = np.stack([picture.mean((0, 1)) for picture in pictures])
    np.testing.assert_allclose(found.features, means, rtol=1e-5)
    np.testing.assert_allclose(found.logits, 2 * means, rtol=1e-5)


def test_torchscript_on_pictures_of_mixed_sizes(tmp_path):
    torch.jit.script(Means()).save(tmp_path / "means.pt")
    classifier = Classifier(tmp_path / "means.pt", batch=2)
    pictures = some_pictures([(9, 7)] * 3 + [(4, 4), (9, 7)])
    batches = list(classifier(pictures))
    assert [len(batch.features) for batch in batches] == [2, 1, 1, 1]
    check_means(collect(batches), pictures)
    assert classifier.description == "TorchScript"


def test_detectors_of_nvidias_kind_are_asked_for_features(tmp_path):
    class Detector(nn.Module):
        def forward(self, x, return_features: bool = False):
            means = x.float().mean((2, 3))
            return means if return_features else means.softmax(1)

    torch.jit.script(Detector()).save(tmp_path / "detector.pt")
    pictures = some_pictures([(5, 5)] * 2)
    found = collect(Classifier(tmp_path / "detector.pt")(pictures))
    np.testing.assert_allclose(found.features, [p.mean((0, 1)) for p in pictures], rtol=1e-5)
    assert found.logits is None


@pytest.mark.parametrize("fixed", [True, False])
def test_exported_programs(tmp_path, fixed):
    example = torch.zeros(4, 3, 6, 5, dtype=torch.uint8)
    shapes = None if fixed else {"x": {0: torch.export.Dim("n", min=1), 2: torch.export.Dim("h", min=2)}}
    torch.export.save(torch.export.export(Means(), (example,), dynamic_shapes=shapes), tmp_path / "means.pt2")
    classifier = Classifier(tmp_path / "means.pt2", batch=3)
    pictures = some_pictures([(6, 5)] * 7)
    batches = list(classifier(pictures))
    assert [len(batch.features) for batch in batches] == ([4, 3] if fixed else [3, 3, 1])
    check_means(collect(batches), pictures)
    with pytest.raises(DataError, match=r"fails on \d pictures of 9x6"):
        next(classifier(some_pictures([(6, 9)])))


def test_programs_that_give_something_else_are_refused(tmp_path):
    class Same(nn.Module):
        def forward(self, x):
            return x

    torch.jit.script(Same()).save(tmp_path / "same.pt")
    with pytest.raises(DataError, match=r"gives \(2, 3, 4, 4\) for 2 pictures, not a row of features"):
        next(Classifier(tmp_path / "same.pt")(some_pictures([(4, 4)] * 2)))
    with pytest.raises(UsageError, match="is a program"):
        Classifier(tmp_path / "same.pt", "tanh")


def test_wrong_files_are_refused(tmp_path):
    path = tmp_path / "network.pt"
    with pytest.raises(DataError, match="no file"):
        Classifier(path)
    path.write_bytes(b"PK\3\4 not a zip")
    with pytest.raises(DataError, match="damaged, or no file of PyTorch weights"):
        Classifier(path)
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(DataError, match="a network that gantool does not know") as caught:
        Classifier(path)
    assert "TorchScript" in caught.value.hint
    with pytest.raises(UsageError, match="no activation 'gelu'"):
        Classifier(path, "gelu")
    torch.jit.script(Means()).save(path)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DataError, match="damaged"):
        Classifier(path)
