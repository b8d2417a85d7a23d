"""Folders and files of the PyTorch port of pix2pix and CycleGAN, read and imported as models of ours."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gantool
from gantool import registry
from gantool.cli import main as command
from gantool.data.translator_files import read_judge, read_translator, save_translator
from gantool.data.translator_layouts import port_modules
from gantool.errors import DataError
from gantool.families.pix2pix.config import Pix2PixConfig
from gantool.families.pix2pix.model import Pix2Pix
from gantool.families.pix2pix.official import read_official
from gantool.family import DataShape, Translation
from gantool.nn.patchgan import PatchGAN
from gantool.nn.resnet_translator import ResNetTranslator
from gantool.nn.translator import Translator
from gantool.nn.unet import UNet
from gantool.options import resolve
from gantool.tasks.report import report

TRAIN_OPT = """----------------- Options ---------------
               batch_size: 4                             \t[default: 1]
                    beta1: 0.6                           \t[default: 0.5]
          checkpoints_dir: ./checkpoints                 \t[default: ]
                crop_size: 128                           \t[default: 256]
                direction: BtoA                          \t[default: AtoB]
                 gan_mode: lsgan                         \t[default: vanilla]
                lambda_L1: 50.0                          \t[default: 100.0]
                load_size: 143                           \t[default: 286]
                       lr: 0.0001                        \t[default: 0.0002]
                 n_epochs: 10
           n_epochs_decay: 5
               no_dropout: True                          \t[default: False]
                  no_flip: True                          \t[default: False]
               preprocess: scale_width_and_crop          \t[default: resize_and_crop]
----------------- End -------------------
"""


def ported(network: Translator | PatchGAN, dropout: bool = True) -> dict[str, Tensor]:
    """Random weights and statistics under the port's names."""
    generator, modules = torch.Generator().manual_seed(1), port_modules(network, dropout=dropout)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.add_(0.1 * torch.rand(value.shape, generator=generator) + name.endswith("running_var"))
    return {f"{modules[n.rpartition('.')[0]]}.{n.rpartition('.')[2]}": v for n, v in network.state_dict().items()}


def checkpoint(
    folder: Path, generator: Translator, judge: PatchGAN | None = None, options: str = "", epoch: str = "latest"
) -> Path:
    """As the port writes it."""
    folder.mkdir(exist_ok=True)
    torch.save(ported(generator, bool(generator.dropout)), folder / f"{epoch}_net_G.pth")
    if judge is not None:
        torch.save(ported(judge), folder / f"{epoch}_net_D.pth")
    if options:
        (folder / "train_opt.txt").write_text(options)
    return folder


def model_of(found: Any) -> Pix2Pix:
    """As a run would have it."""
    spec = registry.get("pix2pix")
    config = resolve(Pix2PixConfig, ("preset", spec.preset(found.preset).values), ("files", found.values)).config
    model = Pix2Pix(config, found.shape)
    kept = {name: value for name, value in model.state_dict().items() if name.startswith(found.fresh)}
    model.load_state_dict({**kept, **found.tensors})
    return model


def same(ours: nn.Module, theirs: nn.Module) -> None:
    assert type(ours) is type(theirs)
    a, b = ours.state_dict(), theirs.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in b)


NETWORKS = [
    (UNet(layers=3, width=2), PatchGAN(6, 16, 3)),
    (UNet(1, 3, layers=2, width=1, norm="instance"), PatchGAN(3, 1, 2, norm="instance")),
    (UNet(3, 1, layers=7, width=1), PatchGAN(4, 70, 1)),
    (ResNetTranslator(blocks=2, width=2), PatchGAN(6, 34, 2)),
    (ResNetTranslator(blocks=1, width=1, norm="instance", dropout=0.0), PatchGAN(6, 286, 1, norm="instance")),
]


@pytest.mark.parametrize(("generator", "judge"), NETWORKS)
def test_both_players_of_a_folder(tmp_path: Path, generator: Translator, judge: PatchGAN) -> None:
    found = read_official(checkpoint(tmp_path / "edges", generator, judge))
    assert (found.name, found.preset, found.picture) == ("edges", "port", None)
    side = 128 if generator.options.get("layers") == 7 else 256
    assert (found.values["size"], found.values["load_size"]) == (side, round(side * 286 / 256))
    takes, gives = ("grey" if n == 1 else "rgb" for n in (generator.inputs, generator.outputs))
    translation = Translation(takes, gives, (side, side))
    assert found.shape == DataShape(side, side, generator.outputs, given=generator.inputs, translation=translation)
    assert found.values["conditional"] == (judge.options["inputs"] != generator.outputs)
    model = model_of(found)
    assert model.generator.options == generator.options
    same(model.generator, generator)
    same(model.discriminator, judge)
    assert model.translation == translation
    assert "no options next to it" in found.notes[-1]
    assert ("dropout" in found.notes[-1]) == isinstance(generator, UNet)


def test_options_next_to_it(tmp_path: Path) -> None:
    found = read_official(checkpoint(tmp_path / "maps", UNet(layers=3, width=2), PatchGAN(6, 16, 2), TRAIN_OPT))
    told = {
        "batch": 4, "beta1": 0.6, "size": 128, "load_size": 143, "direction": "BtoA", "loss": "lsgan", "l1": 50.0,
        "lr_g": 1e-4, "lr_d": 1e-4, "epochs": 10.0, "decay_epochs": 5.0, "dropout": 0.0, "flip": False,
        "preprocess": "scale_width_and_crop",
    }  # fmt: skip
    assert {name: found.values[name] for name in told} == told
    assert found.shape.translation == Translation("rgb", "rgb", (128, 143), "width")
    assert found.notes[-1] == "train_opt.txt next to it was read."
    config = model_of(found).config
    assert (config.loss, config.flip, config.updates(8)) == ("lsgan", False, 30)


def test_options_of_2017(tmp_path: Path) -> None:
    text = (
        "------------ Options -------------\nbatchSize: 2\nfineSize: 64\nloadSize: 64\nwhich_direction: BtoA\n"
        "resize_or_crop: crop\nno_lsgan: True\nniter: 3\nniter_decay: 0\nno_dropout: False\n"
    )
    folder = checkpoint(tmp_path / "old", ResNetTranslator(blocks=1, width=1))
    (folder / "opt.txt").write_text(text)
    found = read_official(folder)
    told = {"batch": 2, "size": 64, "load_size": 64, "direction": "BtoA", "preprocess": "crop", "loss": "bce"}
    assert {name: found.values[name] for name in told} == told
    assert (found.values["epochs"], found.values["decay_epochs"], found.values["dropout"]) == (3.0, 0.0, 0.5)
    assert found.shape.translation == Translation(size=(64, 64), fit="none")
    assert found.notes[-1] == "opt.txt next to it was read. As the port has them by default: lr."


@pytest.mark.parametrize(
    "text",
    [
        "crop_size: 7000000\nload_size: -4\nlr: nan\nbeta1: inf\ndirection: up\ngan_mode: ralsgan\nno_flip: maybe\n",
        "crop_size: 2\nbatch_size: zwei\npreprocess: fold\nlambda_L1: -3\nn_epochs: 1e999\nniter: \n",
        "\0\xff: \n" * 300_000 + "crop_size: 64\n",
        "crop_size" * 200_000,
        "load_size: 32\n",
    ],
)
def test_options_that_make_no_sense_are_left_out(tmp_path: Path, text: str) -> None:
    found = read_official(checkpoint(tmp_path / "odd", UNet(layers=2, width=1), options=text))
    config = model_of(found).config
    plain = resolve(Pix2PixConfig, ("preset", registry.get("pix2pix").preset("port").values)).config
    for name in ("lr_g", "beta1", "direction", "loss", "flip", "batch", "preprocess", "l1", "epochs", "size"):
        wanted = 24 if name == "size" and "crop_size: 2\n" in text else getattr(plain, name)
        assert getattr(config, name) == wanted, name


def test_a_folder_has_one_last_generator(tmp_path: Path) -> None:
    folder = tmp_path / "facades"
    for epoch, width in (("5", 1), ("100", 2), ("20", 3)):
        checkpoint(folder, UNet(layers=2, width=width), epoch=epoch)
    assert read_official(folder).values["width_g"] == 2
    with pytest.raises(DataError, match=r"has no latest_net_G\.pth") as error:
        read_official(tmp_path)
    assert error.value.hint == "Name the generator's file."
    checkpoint(folder, UNet(layers=2, width=4))
    found = read_official(folder)
    assert (found.values["width_g"], found.file) == (4, folder / "latest_net_G.pth")
    with pytest.raises(DataError) as error:
        read_official(tmp_path)
    assert error.value.hint == f"Did you mean {folder / 'latest_net_G.pth'}?"


def test_cyclegan_has_two_of_each(tmp_path: Path) -> None:
    """G_A's own judge sees pictures alone."""
    generator, judge = (
        ResNetTranslator(blocks=1, width=1, norm="instance", dropout=0.0),
        PatchGAN(3, 16, 2, norm="instance"),
    )
    torch.save(ported(generator, False), tmp_path / "latest_net_G_A.pth")
    torch.save(ported(judge), tmp_path / "latest_net_D_A.pth")
    with pytest.raises(DataError) as error:
        read_official(tmp_path)
    assert error.value.hint == f"Did you mean {tmp_path / 'latest_net_G_A.pth'}?"
    found = read_official(tmp_path / "latest_net_G_A.pth")
    assert found.values["conditional"] is False
    same(model_of(found).discriminator, judge)


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (PatchGAN(5, 16, 2), "judges pictures of 5 channels"),
        (PatchGAN(6, 16, 2, norm="instance"), "has norms instance, and the generator batch"),
        (UNet(layers=2, width=1), "is no discriminator"),
    ],
)
def test_discriminators_that_do_not_fit_are_left_out_and_said(tmp_path: Path, judge: Any, said: str) -> None:
    found = read_official(checkpoint(tmp_path / "x", UNet(layers=2, width=2), judge))
    assert not [name for name in found.tensors if name.startswith("discriminator.")]
    assert any("a new one takes its place" in note and said in note for note in found.notes)
    model_of(found)


def test_single_files_and_what_this_program_saved(tmp_path: Path) -> None:
    network = UNet(3, 1, layers=2, width=2, dropped="first", upsample="resize", dropout=0.25)
    told = Translation("labels", "grey", (48, 64), "none", 16)
    save_translator(network, tmp_path / "mine.safetensors", told)
    found = read_official(tmp_path / "mine.safetensors")
    assert (found.name, found.values["dropped"], found.values["upsample"]) == ("mine", "first", "resize")
    assert (found.values["input_kind"], found.values["bits"], found.values["size"]) == ("labels", 16, 48)
    assert found.shape.translation == told
    assert any("No discriminator" in note for note in found.notes)
    assert found.notes[-1].endswith("As the port has them by default: direction, lr.")
    same(model_of(found).generator, network)
    torch.save(ported(UNet(layers=2, width=1)), tmp_path / "facades_label2photo.pth")
    assert read_official(tmp_path / "facades_label2photo.pth").name == "facades_label2photo"


@pytest.mark.parametrize(
    ("network", "said"),
    [(UNet(4, 3, layers=2, width=1), "takes pictures of 4 channels"), (UNet(3, 2, layers=2, width=1), "gives")],
)
def test_other_channels_are_refused(tmp_path: Path, network: Translator, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_official(checkpoint(tmp_path / "x", network))


# --- imported -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    return checkpoint(root / "facades", UNet(layers=3, width=2), PatchGAN(6, 16, 2), "crop_size: 64\ndirection: BtoA\n")


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> gantool.Run:
    return gantool.import_run("pix2pix", folder, out=tmp_path_factory.mktemp("runs"))


def test_a_run_translates_as_the_file_does(folder: Path, run: gantool.Run) -> None:
    weights = folder / "latest_net_G.pth"
    x = torch.rand(1, 3, 40, 24) * 2 - 1
    model, network = run.load("cpu"), read_translator(weights)
    assert isinstance(model, Pix2Pix)
    with torch.no_grad():
        torch.testing.assert_close(model.translate(x, mode="eval"), network(x), rtol=0, atol=1e-5)
    same(model.discriminator, read_judge(folder / "latest_net_D.pth"))
    assert (run.info["status"], run.info["name"], run.config.direction) == ("finished", "facades", "BtoA")
    assert run.info["data"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert model.translation == Translation(size=(64, 64))


def test_without_pairs_there_is_nothing_to_show(run: gantool.Run, tmp_path: Path) -> None:
    assert not (run.path / "previews").exists()
    page = Path(report(run, to=tmp_path / "page.html")).read_text(encoding="utf-8")
    assert "On real pictures" not in page


def test_the_command_and_what_is_not_finite(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert command.run(["import", "pix2pix", str(folder), "--name", "walls", "--out", str(tmp_path)]) == 0
    said = capfd.readouterr()
    assert said.out.endswith("-walls\n")
    lines = said.err.splitlines()
    assert lines[0] == "A U-Net of 3 layers each way, from rgb to rgb, for pictures of 64 pixels."
    assert lines[-1] == f"Next: gantool translate {said.out.strip()} photo.jpg"
    weights = ported(UNet(layers=2, width=2, norm="instance"))
    weights["model.model.0.bias"].fill_(1e38)
    weights["model.model.1.model.1.weight"].fill_(1e38)
    weights["model.model.1.model.3.weight"][::2] *= -1  # infinite, less infinite
    torch.save(weights, tmp_path / "wild.pth")
    with pytest.raises(DataError, match="not finite"):
        gantool.import_run("pix2pix", tmp_path / "wild.pth", out=tmp_path)
