"""The catalogue against what the publishers' own packages state."""

import importlib.util
import re
from pathlib import Path

import pytest

from gantool.errors import UsageError
from gantool.nn.vision import models
from gantool.weights.catalogue import CATALOGUE, FULL, get, names, recognise
from gantool.weights.store import sha256_of


def test_entries_are_complete():
    assert names() == list(dict.fromkeys(names()))
    files = [edition.file for weights in CATALOGUE for edition in weights.editions]
    assert len(files) == len(set(files))  # they lie in one folder
    for weights in CATALOGUE:
        assert weights.url.startswith("https://")
        assert weights.url.endswith("/" + weights.file)
        assert weights.licence in ("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause")
        assert weights.used_by
        for edition in weights.editions:
            assert re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", edition.sha256)
            stated = re.search(r"-([0-9a-f]{8})\.pth$", edition.file)  # torch hub's convention
            assert stated is None or edition.sha256.startswith(stated[1])


@pytest.mark.parametrize(
    ("name", "enum"),
    [
        ("inception-torchvision", "Inception_V3_Weights"),
        ("vgg19", "VGG19_Weights"),
        ("vgg16", "VGG16_Weights"),
        ("alexnet", "AlexNet_Weights"),
        ("squeezenet", "SqueezeNet1_1_Weights"),
    ],
)
def test_torchvision_says_the_same(name, enum):
    stated, ours = getattr(models, enum).IMAGENET1K_V1, get(name)
    assert ours.url == stated.url
    assert ours.size / 2**20 == pytest.approx(stated.meta["_file_size"], abs=0.0006)  # MiB, to three places


def test_the_packages_of_fid_say_the_same():
    ours = get("inception-2015")
    from pytorch_fid.inception import FID_WEIGHTS_URL
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert ours.url == URL_INCEPTION_V3
    assert ours.editions[1].file == FID_WEIGHTS_URL.rsplit("/", 1)[1]


@pytest.mark.parametrize("net", ["alex", "vgg", "squeeze"])
def test_the_linear_layers_of_lpips(net):
    """torchmetrics carries the published files in its wheel."""
    package = importlib.util.find_spec("torchmetrics")
    file = Path(package.origin).parent / "functional" / "image" / "lpips_models" / f"{net}.pth"
    ours = get(f"lpips-{net}")
    assert len(ours.sha256) == FULL
    assert sha256_of(file) == ours.sha256
    assert file.stat().st_size == ours.size
    assert recognise(sha256_of(file)) is ours


def test_older_editions_are_recognised_too():
    assert recognise("1a9a5a14f40645a370184bd54f4e8e631351e71399112b43ad0294a79da290c8").name == "inception-torchvision"
    assert recognise("f364aa15" + "0" * 56).name == "squeezenet"  # no more of its digits are known
    assert recognise("1a9a5a14" + "0" * 56) is None
    assert recognise("0" * 64) is None


def test_an_unknown_name():
    with pytest.raises(UsageError, match="There are: inception-2015, inception-torchvision, vgg19"):
        get("vgg18")
