"""Files of pytorch/examples, of the WGAN code and of a fully connected GAN, read as models of ours."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.data.state_dicts import read_state_dict
from gantool.errors import DataError
from gantool.families.dcgan.config import PRESETS as DCGAN_PRESETS
from gantool.families.dcgan.config import DCGANConfig
from gantool.families.dcgan.networks import Discriminator, Generator
from gantool.families.dcgan.official import read_official
from gantool.families.gan.config import PRESETS as GAN_PRESETS
from gantool.families.gan.config import GANConfig
from gantool.families.gan.networks import Discriminator as MLPDiscriminator
from gantool.families.gan.networks import Generator as MLPGenerator
from gantool.families.gan.official import read_official as read_mlp
from gantool.family import DataShape
from gantool.options import resolve

GOLDEN = Path(__file__).parents[1] / "golden"
CSINVA = Path(__file__).parents[3] / "shared/data/weights/csinva"


def part(name, prefix):
    arrays = np.load(GOLDEN / f"{name}.npz")
    found = {key.removeprefix(prefix): torch.tensor(arrays[key]) for key in arrays.files if key.startswith(prefix)}
    return {key: value.long() if key.endswith("tracked") else value for key, value in found.items()}


def golden(name, key):
    return torch.tensor(np.load(GOLDEN / f"{name}.npz")[key])


def saved(folder, generator, discriminator=None, number=7):
    """The generator's file, as pytorch/examples names it."""
    torch.save(generator, folder / f"netG_epoch_{number}.pth")
    if discriminator is not None:
        torch.save(discriminator, folder / f"netD_epoch_{number}.pth")
    return folder / f"netG_epoch_{number}.pth"


def networks_of(found, config_type, presets, networks):
    """G and D as a run would have them, with the tensors that were read."""
    config = resolve(config_type, ("preset", presets[found.preset].values), ("file", found.values)).config
    filled = []
    for player, network in zip(("generator", "discriminator"), networks, strict=True):
        module, prefix = network(config, found.shape), f"{player}."
        tensors = {k.removeprefix(prefix): v for k, v in found.tensors.items() if k.startswith(prefix)}
        if tensors:
            module.load_state_dict(tensors)
        filled.append(module)
    return filled


def convolutional(found):
    return networks_of(found, DCGANConfig, DCGAN_PRESETS, (Generator, Discriminator))


def connected(found):
    return networks_of(found, GANConfig, GAN_PRESETS, (MLPGenerator, MLPDiscriminator))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_files_of_pytorch_examples_draw_and_judge_as_there(tmp_path, prefix):
    networks = [{prefix + k: v for k, v in part("dcgan", f"w/{player}/").items()} for player in "GD"]
    found = read_official(saved(tmp_path, *networks))
    assert found.name == "netG_epoch_7"
    assert found.shape == DataShape(64, 64, 3)
    assert found.values == {
        "arch": "examples",
        "size": 64,
        "colour": "rgb",
        "nz": 12,
        "ngf": 4,
        "ndf": 4,
        "widest": 8,
        "norm_g": "batch",
        "norm_d": "batch",
        "extra_layers": 0,
    }
    generator, discriminator = (network.eval() for network in convolutional(found))
    fake = generator(golden("dcgan", "z")[:, :, 0, 0])
    torch.testing.assert_close(fake, golden("dcgan", "G_eval/fake"), atol=2e-6, rtol=0)
    probability = discriminator(golden("dcgan", "x")).sigmoid()
    torch.testing.assert_close(probability, golden("dcgan", "D_eval/prob"), atol=1e-6, rtol=0)


@pytest.mark.parametrize("options", [{"size": 32, "ngf": 6}, {"size": 128, "ngf": 3}, {"size": 28, "widest": 1}])
@pytest.mark.parametrize("channels", [1, 3])
def test_sides_widths_and_channels_are_found_from_the_shapes(tmp_path, options, channels):
    config = DCGANConfig(nz=9, ndf=5, **{"ngf": 4, **options})
    shape = DataShape(config.size, config.size, channels)
    written = Generator(config, shape), Discriminator(config, shape)
    found = read_official(saved(tmp_path, *(network.state_dict() for network in written)))
    assert found.shape == shape
    assert (found.values["nz"], found.values["ngf"], found.values["ndf"]) == (9, config.ngf, 5)
    assert found.values["colour"] == {1: "grey", 3: "rgb"}[channels]
    for ours, theirs in zip(convolutional(found), written, strict=True):
        for name, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value)


def test_a_generator_alone_leaves_the_discriminator_new(tmp_path):
    found = read_official(saved(tmp_path, part("dcgan", "w/G/")))
    assert not any(name.startswith("discriminator.") for name in found.tensors)
    assert found.fresh == ("discriminator.",)
    assert any("No discriminator" in note for note in found.notes)


def test_a_discriminator_that_does_not_fit_is_left_out_and_said(tmp_path):
    weights = part("dcgan", "w/D/")
    del weights["main.5.weight"]
    found = read_official(saved(tmp_path, part("dcgan", "w/G/"), weights))
    assert not any(name.startswith("discriminator.") for name in found.tensors)
    assert any("left out" in note for note in found.notes)
    convolutional(found)


def test_files_from_before_batch_norm_counted_are_read(tmp_path):
    weights = {k: v for k, v in part("dcgan", "w/G/").items() if not k.endswith("tracked")}
    generator, _ = convolutional(read_official(saved(tmp_path, weights)))
    fake = generator.eval()(golden("dcgan", "z")[:, :, 0, 0])
    torch.testing.assert_close(fake, golden("dcgan", "G_eval/fake"), atol=2e-6, rtol=0)


@pytest.mark.parametrize(("suffix", "extra"), [("", 0), ("_extra1", 1)])
def test_files_of_the_wgan_code_are_read_and_the_critic_turned_round(tmp_path, suffix, extra):
    found = read_official(saved(tmp_path, part("wgan", f"w/G{suffix}/"), part("wgan", f"w/D{suffix}/")))
    assert found.preset == "wgan"
    assert found.values["extra_layers"] == extra
    generator, critic = convolutional(found)
    fake = generator(golden("wgan", "z")[:, :, 0, 0])
    torch.testing.assert_close(fake, golden("wgan", f"forward_train/G{suffix}"), atol=2e-6, rtol=0)
    score = critic(golden("wgan", "x")).mean()  # theirs is low on reals, ours high
    torch.testing.assert_close(score, -golden("wgan", f"forward_train/D{suffix}")[0], atol=1e-6, rtol=1e-5)


def test_a_generator_without_batch_norm_is_read(tmp_path):
    found = read_official(saved(tmp_path, part("wgan", "w/G_nobn/")))
    assert found.values["norm_g"] == "none"
    fake = convolutional(found)[0](golden("wgan", "z")[:, :, 0, 0])
    torch.testing.assert_close(fake, golden("wgan", "forward_train/G_nobn"), atol=2e-6, rtol=0)


def test_the_wgan_codes_mlps_are_read(tmp_path):
    found = read_mlp(saved(tmp_path, part("wgan", "w/MLP_G/"), part("wgan", "w/MLP_D/")))
    assert found.shape == DataShape(16, 16, 3)
    assert (found.values["nz"], found.values["hidden_g"], found.values["hidden_d"]) == (8, "12,12,12", "12,12,12")
    generator, critic = connected(found)
    fake = generator(golden("wgan", "z")[:, :, 0, 0])
    torch.testing.assert_close(fake, golden("wgan", "forward_train/MLP_G"), atol=5e-6, rtol=1e-5)
    score = critic(golden("wgan", "x16")).mean()
    torch.testing.assert_close(score, -golden("wgan", "forward_train/MLP_D")[0], atol=1e-6, rtol=1e-5)


@pytest.mark.skipif(not CSINVA.is_dir(), reason="needs ../shared/data")
def test_published_weights_draw_digits_that_a_published_classifier_knows():
    """It is sure of what it sees in most of them, sees all ten classes, and the critic finds them near the border."""
    found = read_mlp(CSINVA / "mnist_gan_mlp/weights/G--300.ckpt")
    assert found.shape == DataShape(28, 28, 1)
    generator, discriminator = connected(found)
    z = torch.randn(500, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fake = generator(z)
        seen = lenet()(fake).softmax(1)
        assert 0.02 < discriminator(fake).sigmoid().mean() < 0.8
    assert (seen.amax(1) > 0.9).float().mean() > 0.75
    assert len(seen.argmax(1).unique()) == 10


def lenet():
    """The classifier of the same collection: its weights, as a function of pictures (N, 1, 28, 28) in [-1, 1]."""
    (file,) = (CSINVA / "mnist_classifier/weights").glob("lenet*.pth")
    w = list(read_state_dict(file).values())
    functional = torch.nn.functional

    def classify(x):
        h = functional.interpolate((x + 1) / 2, size=(32, 32), mode="bilinear", align_corners=False)
        h = functional.max_pool2d(functional.conv2d((h - 0.1307) / 0.3081, w[0], w[1]).relu(), 2)
        h = functional.max_pool2d(functional.conv2d(h, w[2], w[3]).relu(), 2)
        h = functional.conv2d(h, w[4], w[5]).relu().flatten(1)
        return functional.linear(functional.linear(h, w[6], w[7]).relu(), w[8], w[9])

    return classify


# --- files that are not what they should be -----------------------------------------------------------------


def spoiled(key, change):
    weights = part("dcgan", "w/G/")
    weights[key] = change(weights[key])
    return weights


BAD = {
    "a discriminator": (lambda: part("dcgan", "w/D/"), "is a discriminator"),
    "a list": (lambda: [1, 2], "no state_dict"),
    "nothing": (dict, "no state_dict"),
    "numbers": (lambda: {"a": 1}, "no state_dict"),
    "linear layers": (lambda: part("wgan", "w/MLP_G/"), "no row of convolutions"),
    "a layer less": (lambda: {k: v for k, v in part("dcgan", "w/G/").items() if "main.1." not in k}, "layers"),
    "no gain": (lambda: {k: v for k, v in part("dcgan", "w/G/").items() if k != "main.4.weight"}, "does not fit"),
    "another width": (lambda: spoiled("main.3.weight", lambda w: w[:, :7]), "main.3.weight is 32 x 7 x 4 x 4"),
    "another kernel": (lambda: spoiled("main.6.weight", lambda w: w[:, :, :2, :2]), "another architecture"),
    "two channels": (lambda: spoiled("main.12.weight", lambda w: w[:, :2]), "to 2 channels"),
    "not finite": (lambda: spoiled("main.3.weight", lambda w: w * float("nan")), "main.3.weight is not finite"),
    "negative variance": (lambda: spoiled("main.1.running_var", lambda v: -v - 1), "no variance"),
    "whole numbers": (lambda: spoiled("main.3.weight", lambda w: w.long()), "int64"),
    "a sparse layer": (lambda: spoiled("main.3.weight", lambda w: w.to_sparse()), "no state_dict"),
    "code": (lambda: {"main.0.weight": Path("x")}, "would execute code"),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_are_something_else_are_named(tmp_path, name):
    make, said = BAD[name]
    with pytest.raises(DataError) as error:
        read_official(saved(tmp_path, make()))
    assert said in error.value.what
    assert "netG_epoch_7.pth" in error.value.what
    assert error.value.hint


def test_a_torn_file_is_said_to_be_torn(tmp_path):
    file = saved(tmp_path, part("dcgan", "w/G/"))
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(DataError, match="damaged"):
        read_official(file)


def test_a_folder_names_its_last_generator(tmp_path):
    for number in (3, 24):
        saved(tmp_path, {}, number=number)
    with pytest.raises(DataError) as error:
        read_official(tmp_path)
    assert "netG_epoch_24.pth" in error.value.hint


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"0.weight": torch.zeros(5, 3), "2.weight": torch.zeros(785, 5)}, "785 numbers"),
        ({"0.weight": torch.zeros(5, 3), "2.weight": torch.zeros(784, 6)}, "another architecture"),
        ({"0.weight": torch.zeros(5, 3)}, "linear layers"),
        ({"0.weight": torch.zeros(5, 3, 4, 4), "1.weight": torch.zeros(5)}, "linear layers"),
    ],
)
def test_connected_networks_that_do_not_fit_are_named(tmp_path, weights, said):
    with pytest.raises(DataError) as error:
        read_mlp(saved(tmp_path, weights))
    assert said in error.value.what
