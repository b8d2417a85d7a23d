"""Files of networks that translate: the port's names and what is around them, our own, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gantool.data.enlarger_files import read_enlarger, save_enlarger
from gantool.data.translator_files import (
    holds_translator,
    pictures_of,
    read_judge,
    read_translator,
    save_translator,
    translation_in,
)
from gantool.data.translator_layouts import port_modules
from gantool.errors import DataError, RunError
from gantool.family import Translation
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.patchgan import PatchGAN
from gantool.nn.resnet_translator import ResNetTranslator
from gantool.nn.translator import Translator
from gantool.nn.unet import UNet

FOLDER = Path(__file__).parents[1] / "golden"
FORWARD, SEVEN = (np.load(FOLDER / f"pix2pix_{name}.npz") for name in ("forward", "unet7"))
KEYS = json.loads((FOLDER / "pix2pix_keys.json").read_text())
State = dict[str, Tensor]


def recorded(case: str) -> State:
    """Weights under the port's names."""
    file = SEVEN if case.startswith("unet7") else FORWARD
    state = {k.removeprefix(f"{case}/w/"): torch.from_numpy(file[k]) for k in file.files if k.startswith(f"{case}/w/")}
    return {name: value.long() if name.endswith("tracked") else value for name, value in state.items()}


def golden(key: str) -> Tensor:
    return torch.from_numpy((SEVEN if key.startswith(("unet7", "x128")) else FORWARD)[key])


def saved(tmp_path: Path, content: Any, name: str = "latest_net_G.pth") -> Path:
    torch.save(content, tmp_path / name)
    return tmp_path / name


def lived_in(network: nn.Module) -> nn.Module:
    """With weights, biases and statistics that are all different, in evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.add_(0.1 * torch.rand(value.shape, generator=generator) + name.endswith("running_var"))
    return network.eval()


def ported(network: Translator | PatchGAN, dropout: bool = True) -> State:
    """Its weights under the port's names."""
    modules = port_modules(network, dropout=dropout)
    return {
        f"{modules[place]}.{part}": value
        for name, value in network.state_dict().items()
        for place, _, part in [name.rpartition(".")]
    }


def same(found: nn.Module, expected: nn.Module) -> None:
    assert type(found) is type(expected)
    assert not found.training
    if isinstance(expected, Translator):
        assert isinstance(found, Translator)
        assert found.options == expected.options
    ours, theirs = found.state_dict(), expected.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


# ---- the port's ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("case", ["unet5", "resnet2"])
def test_recorded_outputs(tmp_path: Path, case: str, norm: str) -> None:
    network = read_translator(saved(tmp_path, recorded(f"{case}_{norm}")))
    assert (network.options["width"], network.options["norm"]) == (4, norm)
    assert network.options["layers" if case == "unet5" else "blocks"] == int(case[-1])
    found = network(golden("x32"))
    torch.testing.assert_close(found, golden(f"{case}_{norm}/eval/out"), rtol=0, atol=1e-5)


def test_recorded_outputs_of_seven_layers(tmp_path: Path) -> None:
    network = read_translator(saved(tmp_path, recorded("unet7_batch")))
    torch.testing.assert_close(network(golden("x128")), golden("unet7_batch/eval/out"), rtol=0, atol=1e-5)
    masks = [golden(f"unet7_batch/mask{i}") for i in range(2)]
    dropped = network.train()(golden("x128"), masks)  # as the port tests
    torch.testing.assert_close(dropped, golden("unet7_batch/train_dropout/out"), rtol=0, atol=1e-5)


GENERATORS = {
    "unet_256": lambda norm, dropout: UNet(layers=8, norm=norm),
    "resnet_9blocks": lambda norm, dropout: ResNetTranslator(blocks=9, norm=norm, dropout=0.5 if dropout else 0.0),
}


@pytest.mark.parametrize("name", [name for name in KEYS["state_dict"] if not name.startswith("D_")])
def test_recorded_names_at_full_width(tmp_path: Path, name: str) -> None:
    """Each tensor is its own number, spread over the recorded shape: the file is small, and what goes where is seen."""
    shapes = KEYS["state_dict"][name]
    state = {
        key: torch.tensor(0) if key.endswith("tracked") else torch.tensor(float(i + 1)).expand(shape)
        for i, (key, shape) in enumerate(shapes)
    }
    plain, _, norm = name.removesuffix("_dropout").rpartition("_")
    with torch.device("meta"):
        expected = GENERATORS[plain](norm, name.endswith("_dropout"))
    found = read_translator(saved(tmp_path, state))
    assert found.options == expected.options
    assert sum(p.numel() for p in found.parameters()) == KEYS["parameter_counts"][f"{plain}_{norm}"]
    theirs = ported(found, name.endswith("_dropout"))
    assert theirs.keys() == state.keys()
    assert all(torch.equal(theirs[key].flatten()[-1:], state[key].flatten()[-1:]) for key in state)


MADE = [
    UNet(layers=7, width=2),
    UNet(layers=8, width=1),
    UNet(1, 3, layers=5, width=3, norm="instance"),
    UNet(4, 2, layers=2, width=3),
    ResNetTranslator(blocks=6, width=2),
    ResNetTranslator(blocks=9, width=1, norm="instance", dropout=0.0),
    ResNetTranslator(3, 1, blocks=1, width=2, dropout=0.0),
    ResNetTranslator(1, 4, blocks=2, width=2, norm="instance"),
]


@pytest.mark.parametrize("network", MADE)
def test_layers_blocks_widths_channels_norms_and_dropout_are_told(tmp_path: Path, network: Translator) -> None:
    lived_in(network)
    state = ported(network, bool(network.dropout))
    same(read_translator(saved(tmp_path, state)), network)
    before_counters = {name: value for name, value in state.items() if not name.endswith("tracked")}
    for name, value in network.state_dict().items():
        if name.endswith("tracked"):
            value.zero_()
    same(read_translator(saved(tmp_path, before_counters)), network)  # saved by PyTorch 0.4.0


@pytest.mark.parametrize(
    "network", [UNet(layers=5, width=2, norm="none"), ResNetTranslator(blocks=1, width=2, norm="none", dropout=0.0)]
)
def test_without_norms_the_port_has_no_biases(tmp_path: Path, network: Translator) -> None:
    """But for the last layer's and, beside instance norm alone, those of the encoder's ends."""
    kept = "model.model.3.bias" if isinstance(network, UNet) else "model.18.bias"
    lived_in(network)
    state = {name: value for name, value in ported(network, False).items() if name == kept or name.endswith("weight")}
    assert kept in state
    for place, name in port_modules(network, dropout=False).items():
        if f"{name}.bias" != kept:
            network.get_submodule(place).bias.data.zero_()
    same(read_translator(saved(tmp_path, state)), network)


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("network", [UNet(layers=5, width=2, norm="instance"), MADE[-1]])
def test_early_files_of_instance_norm(tmp_path: Path, network: Translator, counted: bool) -> None:
    """They hold statistics that instance norm does not use."""
    lived_in(network)
    state, said = ported(network), []
    for place, module in network.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            name = port_modules(network)[place]
            state[f"{name}.running_mean"] = torch.zeros(module.num_features)
            state[f"{name}.running_var"] = torch.ones(module.num_features)
            if counted:
                state[f"{name}.num_batches_tracked"] = torch.tensor(5)
    same(read_translator(saved(tmp_path, state), said.append), network)
    assert len(said) == 1
    assert "statistics of instance norm" in said[0]
    read_translator(saved(tmp_path, ported(network)), said.append)
    assert len(said) == 1


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {"state_dict": s, "epoch": 5},
        lambda s: {"model": s},
        lambda s: {"netG": s, "netD": {"model.0.weight": torch.zeros(1)}, "epoch": 3},
        lambda s: {"G": {f"module._orig_mod.{k}": v for k, v in s.items()}, "D": {}},
        lambda s: {f"netG.{k}": v for k, v in s.items()} | {"netD.model.0.weight": torch.zeros(1)},
        lambda s: {k: v.double() for k, v in s.items()},
        lambda s: {k: v if k.endswith("tracked") else nn.Parameter(v) for k, v in s.items()},
    ],
)
def test_wrappers_and_prefixes(tmp_path: Path, wrap: Callable[[State], Any]) -> None:
    network = lived_in(UNet(layers=3, width=2))
    same(read_translator(saved(tmp_path, wrap(ported(network)))), network)
    save_file({k: v.contiguous() for k, v in ported(network).items()}, tmp_path / "foreign.safetensors")
    same(read_translator(tmp_path / "foreign.safetensors"), network)


def test_reading_leaves_random_numbers_alone(tmp_path: Path) -> None:
    path = saved(tmp_path, ported(MADE[0]))
    before = torch.get_rng_state()
    read_translator(path)
    assert torch.equal(before, torch.get_rng_state())


# ---- discriminators -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("case", ["nlayer1", "nlayer3", "pixel"])
def test_recorded_scores(tmp_path: Path, case: str, norm: str) -> None:
    network = read_judge(saved(tmp_path, recorded(f"{case}_{norm}"), "latest_net_D.pth"))
    pair = torch.cat([golden("x32"), golden("y32")], 1)
    torch.testing.assert_close(network(pair), golden(f"{case}_{norm}/eval/out"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("patch", [1, 16, 34, 70, 142, 286])
def test_every_patch(tmp_path: Path, patch: int, norm: str) -> None:
    network = lived_in(PatchGAN(4, patch, 2, norm=norm))
    state = ported(network)
    if norm == "none":
        ends = {"net.0.bias"} if patch == 1 else {"model.0.bias", list(state)[-1]}
        state = {name: value for name, value in state.items() if name in ends or name.endswith("weight")}
        for place, name in port_modules(network).items():
            if f"{name}.bias" not in ends:
                network.get_submodule(place).bias.data.zero_()
    same(read_judge(saved(tmp_path, state)), network)


def test_a_discriminator_in_place_of_a_generator_and_the_other_way_round(tmp_path: Path) -> None:
    for case in ("nlayer3_batch", "pixel_instance"):
        refused(saved(tmp_path, recorded(case)), "seems to hold a discriminator of pix2pix")
        with pytest.raises(DataError) as caught:
            read_translator(saved(tmp_path, recorded(case)))
        assert "latest_net_G.pth" in caught.value.hint
    for case in ("unet5_batch", "resnet2_instance"):
        with pytest.raises(DataError, match="is no discriminator of the PyTorch port"):
            read_judge(saved(tmp_path, recorded(case)))
    seven = {f"model.{3 * i}.weight": torch.zeros(1, 1, 4, 4) for i in range(9)}
    with pytest.raises(DataError, match="it has 9 convolutions, not 3 to 7"):
        read_judge(saved(tmp_path, seven))


# ---- our own ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "network",
    [*MADE[:3], UNet(layers=3, width=2, norm="none", dropout=0.25, dropped="first", upsample="resize"), MADE[-2]],
)
def test_what_was_saved_comes_back(tmp_path: Path, network: Translator) -> None:
    path = tmp_path / "mine.safetensors"
    save_translator(lived_in(network), path)
    same(read_translator(path), network)
    assert translation_in(path) is None
    with pytest.raises(RunError, match="exists already"):
        save_translator(network, path)
    told = Translation("labels", "grey", (64, 96), "width", 16, ((255, 0, 0), (0, 0, 7)))
    save_translator(network, path, told, overwrite=True)
    assert translation_in(path) == told
    same(read_translator(path), network)


def test_what_is_not_saved(tmp_path: Path) -> None:
    network = UNet(layers=2, width=2)
    altered = network.tested("eval").network
    with pytest.raises(ValueError, match="not as it was built"):
        save_translator(altered, tmp_path / "w.safetensors")
    network.up[-1][0].bias.data[0] = torch.nan
    with pytest.raises(ValueError, match=r"bias is not finite"):
        save_translator(network, tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


OWN = {"inputs": 3, "outputs": 3, "dropout": 0.5, "layers": 2, "width": 2, "norm": "batch", "dropped": "first"}


def own(**changes: Any) -> str:
    return json.dumps({"network": "UNet", "options": OWN | changes})


@pytest.mark.parametrize(
    ("description", "what"),
    [
        ("{", "does not know"),
        ('{"gantool": "1.0"}', "does not translate"),
        ('{"network": "GLEAN", "options": {}}', "does not know to translate pictures: GLEAN"),
        ('{"network": "UNet", "options": 5}', "does not know"),
        ('{"network": "ResNetTranslator", "options": {"blocks": 1000000000, "dropout": 0}}', "does not know"),
        (own(layers=1), "does not know"),
        (own(layers=300_000), "does not know"),
        (own(width=-2), "does not know"),
        (own(width=1e9), "does not know"),
        (own(width=10**40), "does not know"),
        (own(dropout=1), "does not know"),
        (own(dropout=float("nan")), "does not know"),
        (own(dropout="0.5"), "does not know"),
        (own(norm="group"), "does not know"),
        (own(upsample=[]), "does not know"),
        (own(colour=3), "does not know"),
        (own(width=3), "incomplete or altered"),
        (own(layers=3), "incomplete or altered"),
        (own(norm="instance"), "incomplete or altered"),
        ("[" * 100_000, "does not know"),
    ],
)
def test_descriptions_that_do_not_fit(tmp_path: Path, description: str, what: str) -> None:
    path = tmp_path / "w.safetensors"
    save_file(UNet(layers=2, width=2).state_dict(), path, {"gantool": description})
    with pytest.raises(DataError, match=what):
        read_translator(path)


@pytest.mark.parametrize("told", [5, {"takes": "infrared"}, {"size": [1]}, {"palette": [[1, 2]]}, {"bits": 12}])
def test_pictures_that_are_described_in_other_words(tmp_path: Path, told: Any) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"gantool": json.dumps({"translation": told})})
    with pytest.raises(DataError, match="in the words of this version"):
        translation_in(path)


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (UNet(layers=8, width=1), Translation(size=(256, 256))),
        (UNet(1, 3, layers=7, width=1), Translation("grey", "rgb", (128, 128))),
        (UNet(3, 1, layers=5, width=1), Translation("rgb", "grey", (256, 256))),
        (ResNetTranslator(blocks=1, width=1), Translation(size=(256, 256))),
    ],
)
def test_what_is_assumed_of_pictures(tmp_path: Path, network: Translator, found: Translation) -> None:
    assert pictures_of(saved(tmp_path, ported(network)), network) == found
    told = Translation(found.takes, found.gives, (40, 50), "none", 16)
    save_translator(network, tmp_path / "w.safetensors", told)
    assert pictures_of(tmp_path / "w.safetensors", network) == told
    save_translator(network, tmp_path / "w.safetensors", Translation("grey", "grey"), overwrite=True)
    with pytest.raises(DataError, match="what its weights do not"):
        pictures_of(tmp_path / "w.safetensors", network)
    with pytest.raises(DataError, match="takes pictures of 4 channels"):
        pictures_of(tmp_path / "w.safetensors", UNet(4, 3, layers=2, width=1))


@pytest.mark.parametrize("told", ["", "7", "[]", "{", "[" * 100_000, '{"network": "UNet"}'])
def test_what_files_do_not_say_of_pictures(tmp_path: Path, told: str) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors", {"gantool": told})
    assert translation_in(tmp_path / "w.safetensors") is None
    assert translation_in(saved(tmp_path, {"a": torch.zeros(1)})) is None
    assert translation_in(tmp_path / "missing.safetensors") is None


def test_checkpoints_of_ours_need_their_description(tmp_path: Path) -> None:
    for network in (UNet(layers=2, width=2), ResNetTranslator(blocks=1, width=2)):
        state = {f"generator.{k}": v for k, v in network.state_dict().items()}
        refused(saved(tmp_path, state), "without its description", "gantool export")


def test_networks_of_another_purpose_are_named(tmp_path: Path) -> None:
    network = MSRResNet(2, 4, 1)
    save_enlarger(network, tmp_path / "e.safetensors")
    refused(tmp_path / "e.safetensors", "does not know to translate pictures: MSRResNet")
    refused(saved(tmp_path, network.state_dict()), "a network that enlarges pictures", "gantool superres")
    save_translator(UNet(layers=2, width=2), tmp_path / "t.safetensors")
    for path in (tmp_path / "t.safetensors", saved(tmp_path, recorded("unet5_batch"))):
        with pytest.raises(DataError, match=r"generator of pix2pix|to enlarge pictures: UNet"):
            read_enlarger(path)
        assert holds_translator(path)
    assert holds_translator(saved(tmp_path, recorded("nlayer3_batch")))  # to say what it is
    assert not holds_translator(tmp_path / "e.safetensors")
    assert not holds_translator(saved(tmp_path, {"model.0.weight": torch.zeros(1), "net.26.weight": torch.zeros(1)}))


# ---- refusals -----------------------------------------------------------------------------------------------


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        read_translator(path)
    for part in (path.name, *parts):
        assert part in str(caught.value), caught.value
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_what_is_no_file_of_weights(tmp_path: Path) -> None:
    refused(tmp_path / "missing.pth", "There is no file")
    (tmp_path / "empty.pth").touch()
    refused(tmp_path / "empty.pth", "is empty")
    (tmp_path / "noise.pth").write_bytes(bytes(range(200)))
    refused(tmp_path / "noise.pth", "damaged")
    (tmp_path / "facades.t7").write_bytes(bytes(range(200)))
    refused(tmp_path / "facades.t7", "of Lua Torch")
    refused(tmp_path, "is a folder")


@pytest.mark.parametrize("kept", [8, 100, 2000])
def test_torn_files(tmp_path: Path, kept: int) -> None:
    whole = saved(tmp_path, recorded("unet5_batch"))
    (tmp_path / "torn.pth").write_bytes(whole.read_bytes()[:kept])
    refused(tmp_path / "torn.pth", "damaged")


def test_code_is_not_executed(tmp_path: Path) -> None:
    refused(saved(tmp_path, UNet(layers=2, width=2)), "more than weights", "UNet")


def changed(case: str, **changes: Tensor | None) -> State:
    given = {name.replace("__", "."): value for name, value in changes.items()}
    return {k: v for k, v in (recorded(case) | given).items() if v is not None}


INNER = "model__model__1__model__3__model__1__weight"
HUGE = torch.zeros(1).expand(1 << 20, 1 << 20)  # a few bytes in the file


@pytest.mark.parametrize(
    ("case", "changes", "parts"),
    [
        ("unet5_batch", {"model__model__0__weight": None}, ("looks like a U-Net", "lacks model.model.0.weight")),
        ("unet5_batch", {"model__model__3__weight": None}, ("lacks model.model.3.weight",)),
        ("unet5_batch", {INNER: None}, ("lacks model.model.1.model.3.model.1.weight",)),
        ("unet5_batch", {INNER: torch.rand(8, 8, 3, 3)}, ("3.model.1.weight is 8x8x3x3, not 16x8x4x4",)),
        ("unet5_batch", {"model__model__0__weight": torch.rand(4)}, ("do not fit together",)),
        ("unet5_batch", {"model__model__0__weight": torch.rand(1 << 20, 1)}, ("looks like a U-Net",)),
        ("unet5_batch", {INNER: HUGE}, ("is no state_dict",)),
        ("unet5_batch", {"model__model__0__bias": torch.rand(4)}, ("also has model.model.0.bias",)),
        ("unet5_batch", {"attention__weight": torch.rand(4)}, ("also has attention.weight",)),
        ("unet5_batch", {"down__0__0__weight": torch.rand(4)}, ("twice",)),
        ("unet5_batch", {INNER: torch.full((16, 8, 4, 4), torch.nan)}, ("is not finite",)),
        ("unet5_instance", {"model__model__1__model__2__weight": torch.rand(8)}, ("gains but no statistics",)),
        ("resnet2_batch", {"model__10__conv_block__1__weight": None}, ("lacks model.10.conv_block.1.weight",)),
        ("resnet2_batch", {"model__11__conv_block__5__weight": None}, ("lacks model.11.conv_block.5.weight",)),
        ("resnet2_batch", {"model__1__weight": None}, ("lacks model.1.weight",)),
        ("resnet2_batch", {"model__19__weight": None}, ("lacks model.19.weight",)),
        ("resnet2_batch", {"model__7__conv_block__1__weight": torch.rand(1)}, ("begin at model.7, not at model.10",)),
        ("resnet2_batch", {"model__12__conv_block__1__weight": torch.rand(1)}, ("lacks model.20.weight",)),
    ],
)
def test_half_matching_files(tmp_path: Path, case: str, changes: Any, parts: tuple[str, ...]) -> None:
    refused(saved(tmp_path, changed(case, **changes)), *parts)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ([1, 2], ("a list",)),
        ({}, ("no weights",)),
        ({"a.weight": torch.rand(4, 3, 3, 3)}, ("1 tensor (a.weight 4x3x3x3)", "CycleGAN")),
        ({"model.16.conv_block.1.weight": torch.rand(1)}, ("model.16, as those of pix2pixHD's",)),
        ({"model1_1.0.weight": torch.rand(1)}, ("pix2pixHD's local enhancer",)),
        ({"scale0_layer0.0.weight": torch.rand(1)}, ("a discriminator of pix2pixHD",)),
        ({"layer0.0.weight": torch.rand(1)}, ("a discriminator of pix2pixHD",)),
        ({"model.10.conv_block.1.weight": torch.rand(1), "model.4.filt": torch.rand(1)}, ("looks like a residual",)),
        ({"main.0.weight": torch.rand(1)}, ("a DCGAN",)),
        ({"features.34.weight": torch.rand(1)}, ("VGG",)),
        ({f"model.{'9' * 5000}.conv_block.1.weight": torch.rand(1)}, ("holds no known",)),
        ({"model.model.1.model." + 5000 * "3.model." + "1.weight": torch.rand(1)}, ("5002 layers",)),
    ],
)
def test_other_content_is_described(tmp_path: Path, content: Any, parts: tuple[str, ...]) -> None:
    refused(saved(tmp_path, content), *parts)
