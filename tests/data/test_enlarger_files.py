"""Files of networks that enlarge: every layout of names, what wraps them, our own, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gantool.data.enlarger_files import read_enlarger, save_enlarger
from gantool.errors import DataError, RunError
from gantool.metrics.psnr_ssim import psnr
from gantool.nn.enlarger import Enlarger
from gantool.nn.inference import prepare_for_inference
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.rrdb import RRDBNet
from gantool.nn.srresnet import SRResNet

TESTS = Path(__file__).parents[1]
GOLDEN = np.load(TESTS / "golden" / "sr_networks.npz")
KEYS = json.loads((TESTS / "golden" / "sr_keys.json").read_text())
SHARED = TESTS.parents[1] / "shared" / "data"
SET5 = SHARED / "sr" / "Set5" / "image_SRF_4"
PUBLISHED = SHARED / "weights" / "leftthomas-srgan" / "netG_epoch_4_100.pth"
State = dict[str, Tensor]


def recorded(case: str) -> State:
    """Weights under their program's names."""
    keys = [key for key in GOLDEN.files if key.startswith(f"{case}/w/")]
    return {key.removeprefix(f"{case}/w/"): torch.from_numpy(GOLDEN[key]) for key in keys}


def noisy(network: Enlarger, seed: int = 0) -> Enlarger:
    """With weights, biases, slopes and statistics that are all different, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.add_(0.1 * torch.rand(value.shape, generator=generator) + (name.endswith("running_var")))
    return network.eval()


def saved(tmp_path: Path, content: Any, name: str = "w.pth") -> Path:
    torch.save(content, tmp_path / name)
    return tmp_path / name


def renamed(network: Enlarger, *rules: tuple[str, str]) -> State:
    """Our names to another program's."""
    result = {}
    for name, value in network.state_dict().items():
        new = next((re.sub(old, to, name) for old, to in rules if re.fullmatch(old, name)), None)
        assert new is not None, name
        result[new] = value
    assert len(result) == len(network.state_dict())
    return result


def same(found: Enlarger, expected: Enlarger, side: int = 6) -> None:
    assert type(found) is type(expected)
    assert found.options == expected.options
    assert not found.training
    assert all(value.dtype in (torch.float32, torch.int64) for value in found.state_dict().values())
    assert all(not value.is_meta for value in found.state_dict().values())
    x = torch.rand(2, 3, side, side + 1)
    torch.testing.assert_close(found(x), expected(x), rtol=0, atol=0)


# ---- layouts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["msrresnet_x2", "msrresnet_x3", "msrresnet_x4", "rrdbnet_x4", "rrdbnet_x2"])
def test_basicsr_gives_its_recorded_numbers(tmp_path: Path, case: str) -> None:
    network = read_enlarger(saved(tmp_path, {"params": recorded(case)}))
    assert network.factor == int(case[-1])
    assert (network.options["channels"], network.options["blocks"]) == (8, 2)
    found = network(torch.from_numpy(GOLDEN["x"]))
    torch.testing.assert_close(found, torch.from_numpy(GOLDEN[f"{case}/out"]), rtol=0, atol=1e-4)


def test_basicsr_at_factor_one(tmp_path: Path) -> None:
    network = read_enlarger(saved(tmp_path, {"params": recorded("rrdbnet_x1")}))
    assert network.options == {"factor": 1, "channels": 8, "blocks": 2, "growth": 4, "unshuffle": 4}
    found = network(torch.from_numpy(GOLDEN["x16"]))
    torch.testing.assert_close(found, torch.from_numpy(GOLDEN["rrdbnet_x1/out"]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("factor", [2, 4])
def test_leftthomas_gives_its_recorded_numbers(tmp_path: Path, factor: int) -> None:
    network = read_enlarger(saved(tmp_path, recorded(f"srgan_g{factor}")))
    assert network.factor == factor
    assert network.options["last"] == "tanh"
    assert network.options["trunk_end"] == "norm"
    found = network(torch.from_numpy(GOLDEN["x"]))
    torch.testing.assert_close(found, torch.from_numpy(GOLDEN[f"srgan_g{factor}/eval/out"]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "name", [name for name in KEYS["state_dict"] if name.startswith(("left", "MSR", "RRDBNet_x4"))]
)
def test_recorded_names_at_full_width(tmp_path: Path, name: str) -> None:
    """Names and shapes as the programs print them."""
    if name == "leftthomas_D":
        return
    torch.manual_seed(0)
    state = {
        key: torch.zeros((), dtype=torch.int64) if key.endswith("tracked") else torch.rand(shape)
        for key, shape in KEYS["state_dict"][name]
    }
    network = read_enlarger(saved(tmp_path, state))
    assert network.factor == int(name[-1])
    assert sum(p.numel() for p in network.parameters()) == KEYS["parameter_counts"][name]
    for theirs, ours in zip(state.values(), network.state_dict().values(), strict=True):
        assert torch.equal(theirs, ours)


LEFTTHOMAS = (
    (r"head\.(.*)", r"block1.\1"),
    *((rf"blocks\.{k}\.norm(.*)", rf"block{k + 2}.bn\1") for k in range(5)),
    *((rf"blocks\.{k}\.(.*)", rf"block{k + 2}.\1") for k in range(5)),
    (r"trunk\.(.*)", r"block7.\1"),
    (r"stages\.(\d)\.0\.(.*)", r"block8.\1.conv.\2"),
    (r"stages\.(\d)\.2\.(.*)", r"block8.\1.prelu.\2"),
)
LORNATANG = (
    (r"head\.(.*)", r"conv1.\1"),
    (r"blocks\.(\d+)\.conv1\.(.*)", r"trunk.\1.rcb.0.\2"),
    (r"blocks\.(\d+)\.norm1\.(.*)", r"trunk.\1.rcb.1.\2"),
    (r"blocks\.(\d+)\.prelu\.(.*)", r"trunk.\1.rcb.2.\2"),
    (r"blocks\.(\d+)\.conv2\.(.*)", r"trunk.\1.rcb.3.\2"),
    (r"blocks\.(\d+)\.norm2\.(.*)", r"trunk.\1.rcb.4.\2"),
    (r"trunk\.(.*)", r"conv2.\1"),
    (r"stages\.(.*)", r"upsampling.\1"),
    (r"tail\.(.*)", r"conv3.\1"),
)


def lornatang(network: Enlarger) -> State:
    state = renamed(network, *LORNATANG)
    return {re.sub(r"^upsampling\.(\d)\.", r"upsampling.\1.upsample_block.", k): v for k, v in state.items()}


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("end", ["norm", "prelu"])
def test_leftthomas_of_any_year(tmp_path: Path, factor: int, end: Any) -> None:
    network = noisy(SRResNet(factor, 6, 5, slopes="layer", trunk_end=end, last="tanh"))
    stages = factor.bit_length() - 1
    state = renamed(network, *LEFTTHOMAS, (r"tail\.(.*)", rf"block8.{stages}.\1"))
    same(read_enlarger(saved(tmp_path, state)), network)
    before_counters = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    same(read_enlarger(saved(tmp_path, before_counters)), network)  # saved by PyTorch 0.3


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_lornatang(tmp_path: Path, factor: int) -> None:
    network = noisy(SRResNet(factor, 6, 3, slopes="layer", bias=False))
    state = lornatang(network)
    assert {"conv1.0.weight", "trunk.0.rcb.0.weight", "upsampling.0.upsample_block.0.bias", "conv3.bias"} < state.keys()
    same(read_enlarger(saved(tmp_path, {"epoch": 3, "state_dict": state, "best_psnr": 30.1})), network)
    early = {re.sub(r"^conv(\d)", r"conv_block\1", name): value for name, value in state.items()}
    same(read_enlarger(saved(tmp_path, early)), network)


RDB = r"body\.(\d+)\.rdb(\d)\.conv(\d)\.(.*)"
FIRST_ESRGAN = ((r"conv_first\.(.*)", r"model.0.\1"), (RDB, r"model.1.sub.\1.RDB\2.conv\3.0.\4"))


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_esrgans_first_code(tmp_path: Path, factor: int) -> None:
    """Each upsampling is three numbers (upsample, convolution, activation), as is what follows (two and one)."""
    network = noisy(RRDBNet(factor, 6, 2, 3, unshuffle=1))
    n = network.stages
    ends = [(rf"conv_up{k}\.(.*)", rf"model.{3 * k}.\1") for k in range(1, n + 1)]
    ends += [(r"conv_hr\.(.*)", rf"model.{3 * n + 2}.\1"), (r"conv_last\.(.*)", rf"model.{3 * n + 4}.\1")]
    state = renamed(network, *FIRST_ESRGAN, (r"conv_body\.(.*)", r"model.1.sub.2.\1"), *ends)
    if factor == 4:
        assert {"model.3.weight", "model.6.weight", "model.8.weight", "model.10.weight"} < state.keys()
    same(read_enlarger(saved(tmp_path, state)), network)


def test_esrgan_of_2019(tmp_path: Path) -> None:
    network = noisy(RRDBNet(4, 6, 2, 3))
    state = renamed(
        network,
        (RDB, r"RRDB_trunk.\1.RDB\2.conv\3.\4"),
        (r"conv_body\.(.*)", r"trunk_conv.\1"),
        (r"conv_up(.*)", r"upconv\1"),
        (r"conv_hr\.(.*)", r"HRconv.\1"),
        (r"conv_(first|last)(.*)", r"conv_\1\2"),
    )
    same(read_enlarger(saved(tmp_path, state)), network)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_other_names_of_msrresnet(tmp_path: Path, factor: int) -> None:
    network = noisy(MSRResNet(factor, 6, 2))
    kept = (r"(conv_first|conv_last)(.*)", r"\1\2")
    in_2019 = renamed(network, kept, (r"body(.*)", r"recon_trunk\1"), (r"conv_hr(.*)", r"HRconv\1"), (r"(up.*)", r"\1"))
    same(read_enlarger(saved(tmp_path, in_2019)), network)
    mm = renamed(
        network, kept, (r"body(.*)", r"trunk_net\1"), (r"(conv_hr.*)", r"\1"), (r"upconv(\d)", r""),
        (r"upconv(\d)\.(.*)", r"upsample\1.upsample_conv.\2"),
    )  # fmt: skip
    both = {f"generator.{k}": v for k, v in mm.items()} | {"discriminator.conv1.weight": torch.zeros(1)}
    same(read_enlarger(saved(tmp_path, {"meta": {"iter": 5}, "state_dict": both})), network)


# ---- what is around the weights ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"params_ema": s, "params": {k: v + 1 for k, v in s.items()}},
        lambda s: {"params-ema": s},
        lambda s: {"state_dict": {k: v + 1 for k, v in s.items()}, "ema_state_dict": s, "epoch": 1},
        lambda s: {"state_dict": s, "ema_state_dict": None},
        lambda s: {"state_dict": s, "ema_state_dict": {}},
        lambda s: {"model_state_dict": s},
        lambda s: {"model": {"state_dict": s}},
        lambda s: {"net": s},
        lambda s: {"anything": s},
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {f"netG.{k}": v for k, v in s.items()} | {"netD.0.weight": torch.zeros(1)},
        lambda s: {f"generator.{k}": v + 1 for k, v in s.items()} | {f"generator_ema.{k}": v for k, v in s.items()},
        lambda s: {f"module._orig_mod.generator.{k}": v for k, v in s.items()},
        lambda s: {f"generator.module.{k}": v for k, v in s.items()},
        lambda s: {"n_averaged": torch.tensor(7), **{f"module.{k}": v for k, v in s.items()}},
        lambda s: {k: nn.Parameter(v) for k, v in s.items()},
        lambda s: {k: v.double() for k, v in s.items()},
    ],
)
def test_wrappers_and_prefixes(tmp_path: Path, wrap: Callable[[State], Any]) -> None:
    network = noisy(MSRResNet(4, 4, 1))
    same(read_enlarger(saved(tmp_path, wrap(dict(network.state_dict())))), network)


def test_half_precision_and_old_containers(tmp_path: Path) -> None:
    network = noisy(RRDBNet(4, 4, 1, 2))
    for name, value in network.state_dict().items():
        network.get_parameter(name).data = value.half().float()
    half = {name: value.half() for name, value in network.state_dict().items()}
    same(read_enlarger(saved(tmp_path, half)), network)
    torch.save(half, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    same(read_enlarger(tmp_path / "old.pth"), network)
    save_file(half, tmp_path / "foreign.safetensors")
    same(read_enlarger(tmp_path / "foreign.safetensors"), network)


def test_reading_leaves_random_numbers_alone(tmp_path: Path) -> None:
    path = saved(tmp_path, noisy(MSRResNet(2, 4, 1)).state_dict())
    before = torch.get_rng_state()
    read_enlarger(path)
    assert torch.equal(before, torch.get_rng_state())


# ---- our own -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "network",
    [
        SRResNet(4, 6, 2),
        SRResNet(3, 6, 2, norm="none", slopes="layer", last="tanh"),
        SRResNet(2, 6, 2, trunk_end="prelu", bias=False),
        MSRResNet(3, 6, 2),
        RRDBNet(2, 6, 2, 3, unshuffle=1),
    ],
)
def test_what_was_saved_comes_back(tmp_path: Path, network: Enlarger) -> None:
    path = tmp_path / "mine.safetensors"
    save_enlarger(noisy(network), path)
    same(read_enlarger(path), network)
    with safe_open(path, framework="pt") as file:
        told = json.loads(file.metadata()["gantool"])
    assert told == {"network": type(network).__name__, "options": network.options}
    with pytest.raises(RunError, match="exists already"):
        save_enlarger(network, path)
    save_enlarger(network, path, overwrite=True)


def test_what_is_not_saved(tmp_path: Path) -> None:
    network = SRResNet(2, 4, 1)
    with pytest.raises(ValueError, match="not as it was built"):
        save_enlarger(prepare_for_inference(network), tmp_path / "w.safetensors")
    network.tail.bias.data[0] = torch.nan
    with pytest.raises(ValueError, match=r"tail\.bias is not finite"):
        save_enlarger(network, tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("description", "what"),
    [
        ("{", "does not know"),
        ('{"gantool": "1.0", "options": {"width": 64}}', "does not enlarge"),
        ("[1]", "does not enlarge"),
        ("7", "does not know"),
        ('["network"]', "does not know"),
        ('{"network": "GLEAN", "options": {}}', "does not know"),
        ('{"network": ["SRResNet"], "options": {}}', "does not know"),
        ('{"network": "MSRResNet", "options": {"factor": 2, "channels": 4}}', "does not know"),
        ('{"network": "MSRResNet", "options": {"factor": 2, "channels": 4, "blocks": 1000000000}}', "does not know"),
        ('{"network": "MSRResNet", "options": {"factor": 2, "channels": -4, "blocks": 1}}', "does not know"),
        ('{"network": "MSRResNet", "options": {"factor": 2, "channels": 1e9, "blocks": 1}}', "does not know"),
        (f'{{"network": "MSRResNet", "options": {{"factor": 2, "channels": {10**40}, "blocks": 1}}}}', "does not know"),
        ('{"network": "MSRResNet", "options": {"factor": 7, "channels": 4, "blocks": 1}}', "does not know"),
        ('{"network": "MSRResNet", "options": {"factor": 2, "channels": 4, "blocks": 1, "x": 2}}', "does not know"),
        ('{"network": "MSRResNet", "options": {"factor": 2, "channels": 5, "blocks": 1}}', "incomplete or altered"),
        ('{"network": "MSRResNet", "options": {"factor": 2, "channels": 4, "blocks": 2}}', "incomplete or altered"),
        ('{"network": "MSRResNet", "options": {"factor": 2, "channels": 4, "blocks": 0}}', "incomplete or altered"),
        ("[" * 100_000, "does not know"),
    ],
)
def test_descriptions_that_do_not_fit(tmp_path: Path, description: str, what: str) -> None:
    path = tmp_path / "w.safetensors"
    save_file(MSRResNet(2, 4, 1).state_dict(), path, {"gantool": description})
    with pytest.raises(DataError, match=what):
        read_enlarger(path)


def test_checkpoints_of_ours(tmp_path: Path) -> None:
    """The average enlarges. An SRResNet needs its description: `last` is in no weight."""
    network = noisy(MSRResNet(2, 4, 1))
    state = {f"average.{k}": v for k, v in network.state_dict().items()}
    state |= {f"generator.{k}": v + 1 for k, v in network.state_dict().items()}
    save_file(state | {"large": torch.zeros(3, dtype=torch.uint8)}, tmp_path / "model.safetensors")
    same(read_enlarger(tmp_path / "model.safetensors"), network)
    state = {f"generator.{k}": v for k, v in SRResNet(2, 4, 1).state_dict().items()}
    refused(saved(tmp_path, state), "without its description", "gantool export")


# ---- refusals ----------------------------------------------------------------------------------------------


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        read_enlarger(path)
    for part in (path.name, *parts):
        assert part in str(caught.value), caught.value
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_what_is_no_file_of_weights(tmp_path: Path) -> None:
    refused(tmp_path / "missing.pth", "There is no file")
    (tmp_path / "empty.pth").touch()
    refused(tmp_path / "empty.pth", "is empty")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    refused(tmp_path / "a.png", "is a PNG picture")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    refused(tmp_path / "a.jpg", "is a JPEG picture")
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html>Sign in</html>")
    refused(tmp_path / "page.pth", "web page")
    (tmp_path / "pointer.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    refused(tmp_path / "pointer.pth", "Git LFS")
    (tmp_path / "noise.pth").write_bytes(bytes(range(200)))
    refused(tmp_path / "noise.pth", "damaged")
    (tmp_path / "text.pth").write_text("hello")
    refused(tmp_path / "text.pth", "damaged")
    refused(tmp_path, "is a folder", "empty.pth")
    (tmp_path / "none").mkdir()
    refused(tmp_path / "none", "is a folder", "Give a file")


@pytest.mark.parametrize("kept", [1, 8, 9, 100, 2000])
def test_torn_files(tmp_path: Path, kept: int) -> None:
    network = MSRResNet(2, 4, 1)
    save_enlarger(network, tmp_path / "whole.safetensors")
    saved(tmp_path, network.state_dict(), "whole.pth")
    for kind in ("safetensors", "pth"):
        path = tmp_path / f"torn.{kind}"
        path.write_bytes((tmp_path / f"whole.{kind}").read_bytes()[:kept])
        refused(path, "damaged")


def test_code_is_not_executed(tmp_path: Path) -> None:
    refused(saved(tmp_path, MSRResNet(2, 4, 1)), "more than weights", "MSRResNet")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ([1, 2], ("a list",)),
        (torch.zeros(3), ("a Tensor",)),
        ({}, ("no weights",)),
        ({"epoch": 5, "optimizers": [], "schedulers": []}, ("no weights", "epoch, optimizers, schedulers")),
        ({"a.weight": torch.rand(4, 3, 3, 3)}, ("1 tensor (a.weight 4x3x3x3)", "Real-ESRGAN")),
        ({"conv_first.weight": torch.zeros(4, 3, 3, 3, dtype=torch.int32)}, ("int32",)),
        ({"Mixed_5b.branch1x1.conv.weight": torch.rand(64, 192, 1, 1)}, ("Inception",)),
        ({"features.34.weight": torch.rand(1), "classifier.6.weight": torch.rand(1)}, ("VGG",)),
        ({"features.0.weight": torch.rand(64, 3, 3, 3), "classifier.2.weight": torch.rand(1)}, ("a discriminator",)),
        ({"conv0_0.weight": torch.rand(64, 3, 3, 3), "linear1.weight": torch.rand(1)}, ("a discriminator of BasicSR",)),
        ({"body.0.weight": torch.rand(64, 3, 3, 3), "body.1.weight": torch.rand(64)}, ("SRVGGNetCompact",)),
        ({"conv_first.weight": torch.rand(1), "conv_after_body.weight": torch.rand(1)}, ("BasicSR other than",)),
        ({f"layer{k}": torch.rand(2, 2) for k in range(9)}, ("9 tensors", "layer3 2x2, ...)")),
    ],
)
def test_other_content_is_described(tmp_path: Path, content: Any, parts: tuple[str, ...]) -> None:
    refused(saved(tmp_path, content), *parts)


def test_a_discriminator_is_named(tmp_path: Path) -> None:
    state = {
        key: torch.zeros((), dtype=torch.int64) if key.endswith("tracked") else torch.ones(shape)
        for key, shape in KEYS["state_dict"]["leftthomas_D"]
        if key != "net.24.weight"
    }
    refused(saved(tmp_path, state, "netD_epoch_4_100.pth"), "the discriminator of leftthomas/SRGAN", "54 tensors")


def changed(state: State, **changes: Tensor | None) -> State:
    given = {name.replace("__", "."): value for name, value in changes.items()}
    return {k: v for k, v in (dict(state) | given).items() if v is not None}


@pytest.mark.parametrize(
    ("case", "changes", "parts"),
    [
        ("msrresnet_x4", {"conv_hr__bias": None}, ("looks like MSRResNet", "lacks conv_hr.bias")),
        ("msrresnet_x4", {"body__0__conv1__weight": None}, ("lacks body.0.conv1.weight",)),
        ("msrresnet_x4", {"conv_last__weight": None}, ("lacks conv_last.weight",)),
        ("msrresnet_x4", {"upconv1__weight": None}, ("lacks",)),
        ("msrresnet_x4", {"upconv3__weight": torch.rand(32, 8, 3, 3)}, ("also has upconv3.weight",)),
        ("msrresnet_x4", {"body__2__conv1__weight": torch.rand(8, 8, 3, 3)}, ("lacks body.2.conv1.bias",)),
        ("msrresnet_x4", {"body__7__conv1__weight": torch.rand(8, 8, 3, 3)}, ("lacks body.2.conv1",)),
        ("msrresnet_x4", {"attention__weight": torch.rand(8)}, ("also has attention.weight",)),
        ("msrresnet_x4", {"conv_hr__weight": torch.rand(8, 8, 1, 1)}, ("conv_hr.weight is 8x8x1x1, not 8x8x3x3",)),
        ("msrresnet_x4", {"conv_first__weight": torch.rand(8, 1, 3, 3)}, ("from 1 to 3 channels",)),
        ("msrresnet_x4", {"conv_last__weight": torch.rand(4, 8, 3, 3)}, ("from 3 to 4 channels",)),
        ("msrresnet_x4", {"conv_first__weight": torch.rand(8)}, ("do not fit together",)),
        ("msrresnet_x3", {"upconv1__weight": torch.rand(25 * 8, 8, 3, 3)}, ("enlarges by 5",)),
        ("rrdbnet_x4", {"conv_up2__weight": None}, ("also has conv_up2.bias", "looks like RRDBNet")),
        ("rrdbnet_x4", {"body__0__rdb1__conv1x1__weight": torch.rand(4, 8, 1, 1)}, ("conv1x1",)),
        ("rrdbnet_x4", {"conv_first__weight": torch.rand(8, 27, 3, 3)}, ("4/3",)),
        ("rrdbnet_x4", {"conv_first__weight": torch.rand(8, 2, 3, 3)}, ("from 2 to 3",)),
        ("srgan_g4", {"block8__3__conv__weight": torch.rand(16, 4, 3, 3)}, ("looks like leftthomas/SRGAN", "lacks")),
        ("srgan_g4", {"block4__bn1__weight": None}, ("lacks blocks.2.norm1.weight",)),
        ("srgan_g4", {"block3__prelu__weight": torch.rand(4)}, ("block3.prelu.weight is 4, not 1",)),
        ("srgan_g4", {"block5__extra__weight": torch.rand(4)}, ("also has block5.extra.weight",)),
    ],
)
def test_half_matching_files(tmp_path: Path, case: str, changes: Any, parts: tuple[str, ...]) -> None:
    refused(saved(tmp_path, changed(recorded(case), **changes)), *parts)


def test_two_names_for_one_layer(tmp_path: Path) -> None:
    state = lornatang(noisy(SRResNet(2, 4, 1, slopes="layer", bias=False)))
    refused(saved(tmp_path, state | {"conv_block1.0.weight": state["conv1.0.weight"]}), "twice")


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    state = recorded("srgan_g4")
    for name, value in (("block3.conv1.weight", torch.nan), ("block3.bn1.running_var", -1.0)):
        broken = {k: v.clone() for k, v in state.items()}
        broken[name].view(-1)[0] = value
        refused(saved(tmp_path, broken), name)


def test_few_bytes_that_claim_many_numbers(tmp_path: Path) -> None:
    state = changed(recorded("msrresnet_x4"), conv_hr__weight=torch.zeros(1).expand(1 << 15, 1 << 15))
    refused(saved(tmp_path, state), "no state_dict")


# ---- a published file --------------------------------------------------------------------------------------


@pytest.mark.skipif(not (PUBLISHED.is_file() and SET5.is_dir()), reason="needs ../shared/data beside the project")
def test_the_published_file_on_set5() -> None:
    """30.66 dB on luma, 4 pixels cut off, measured before by other code."""
    network = read_enlarger(PUBLISHED)
    assert network.options == {
        "factor": 4, "channels": 64, "blocks": 5, "norm": "batch", "slopes": "layer", "trunk_end": "prelu",
        "bias": True, "last": "tanh",
    }  # fmt: skip
    assert sum(p.numel() for p in network.parameters()) + 10 * 2 * 64 == 735_372  # with the running statistics
    values = []
    for number in range(1, 6):
        small, large = (
            np.asarray(Image.open(SET5 / f"img_{number:03}_SRF_4_{kind}.png").convert("RGB")) for kind in ("LR", "HR")
        )
        with torch.inference_mode():
            enlarged = network.enlarge(torch.from_numpy(small.copy()).permute(2, 0, 1)[None] / 127.5 - 1)
        found = ((enlarged[0] + 1) * 127.5).clamp(0, 255).round().byte().permute(1, 2, 0).numpy()
        values.append(psnr(found, large, crop=4, y=True))
    assert np.mean(values) == pytest.approx(30.66, abs=0.02)


@pytest.mark.parametrize("name", ["net.onnx", "net.pt2"])
def test_exports_for_other_programs_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="is a network for other programs") as caught:
        read_enlarger(saved(tmp_path, {}, name))
    assert "safetensors" in caught.value.hint
