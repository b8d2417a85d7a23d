"""Exported networks, run by the programs that they are for, give the numbers of the originals."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import gantool
from gantool import registry
from gantool.cli import main as command
from gantool.data.enlarger_files import read_enlarger, save_enlarger
from gantool.data.translator_files import read_translator, save_translator, translation_in
from gantool.data.translator_layouts import port_modules
from gantool.engine.trainer import build
from gantool.errors import DataError, RunError, UsageError
from gantool.family import DataShape, SampleRequest, Translation
from gantool.nn.enlarger import Enlarger
from gantool.nn.inference import RowConv2d, prepare_for_inference, row_by_row
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.resnet_translator import ResNetTranslator
from gantool.nn.rrdb import RRDBNet
from gantool.nn.srresnet import SRResNet
from gantool.nn.translator import Translator
from gantool.nn.unet import UNet
from gantool.options import resolve
from gantool.tasks import export as exporting
from gantool.tasks.export import export
from gantool.tasks.exporters import draws, enlarges, onnx_bytes, pt2_bytes, translates
from gantool.tasks.runs import new_model

CLOSE = {"rtol": 0, "atol": 1e-4}


def lived_in(network: Any) -> Any:
    """With statistics of batch norm as training leaves them."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_enlarger(lived_in(SRResNet(4, 4, 1)), file)
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    random, root = np.random.default_rng(1), tmp_path_factory.mktemp("sets")
    for i in range(6):
        file = root / "animals" / ("cat", "owl")[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(file)
    return gantool.train("acgan", root / "animals", preset="tiny", seed=1, device="cpu", out=root / "runs")


def run_onnx(content: bytes, *inputs: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return torch.from_numpy(session.run(None, dict(zip(names, (x.numpy() for x in inputs), strict=True)))[0])


def run_pt2(content: bytes, *inputs: torch.Tensor) -> torch.Tensor:
    return torch.export.load(io.BytesIO(content)).module()(*inputs)


def one_of_three(network: RRDBNet) -> RRDBNet:
    """With one dense block where there are three alike: the exporter takes its time for each layer."""
    network.body = network.body[0].rdb1
    return network


@pytest.mark.parametrize(
    "network",
    [SRResNet(4, 4, 1), MSRResNet(3, 4, 1), RRDBNet(2, 4, 0, 2), one_of_three(RRDBNet(4, 4, 1, 2))],
    ids=["srresnet x4", "msrresnet x3", "rrdb x2", "rrdb x4"],
)
def test_any_size_and_batch_of_what_enlarges(network: Enlarger) -> None:
    """With the weights of MSRResNet's and RRDBNet's start; tests/nn compare the networks with recorded values.

    What RRDBNet does to begin with when it enlarges twice is tried without a block, since x4 has one.
    """
    lived_in(network)
    row_by_row(network)
    traced = enlarges(network)
    content, packed = onnx_bytes(traced, {}), pt2_bytes(traced, {})
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    for shape in ((1, 3, 10, 16), (3, 3, 40, 12), (1, 3, 64, 66)):
        x = torch.rand(shape, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            expected = network(x)
        torch.testing.assert_close(run_onnx(content, x), expected, **CLOSE)
        torch.testing.assert_close(run_pt2(packed, x), expected, **CLOSE)


@pytest.mark.parametrize(
    ("network", "mode"),
    [(UNet(layers=2, width=2), "paper"), (ResNetTranslator(1, 3, blocks=1, width=2, norm="batch"), "eval")],
)
def test_any_size_and_batch_of_what_translates(network: Translator, mode: Any) -> None:
    """Down to the smallest, of which one pixel is left inside a U-Net; ONNX, which takes longest, of one network."""
    lived_in(network)
    traced = translates(network, mode)
    runs: list[tuple[Any, bytes]] = [(run_pt2, pt2_bytes(traced, {}))]
    if mode == "paper":
        content = onnx_bytes(traced, {})
        graph = onnx.load_from_string(content).graph
        assert [node.op_type for node in graph.node].count("InstanceNormalization") == 1
        runs.append((run_onnx, content))
    step, least = network.multiple, network.least
    assert traced.multiples == {"height": step, "width": step}
    for batch, height, width in ((1, least, least), (3, least + step, least + 5 * step), (2, least, 40)):
        x = torch.rand(batch, network.inputs, height, width, generator=torch.Generator().manual_seed(2)) * 2 - 1
        with torch.no_grad():
            expected = network.tested(mode)(x)
            for run_it, packed in runs:
                torch.testing.assert_close(run_it(packed, x), expected, **CLOSE)
    assert mode == "paper" or not [m for m in traced.module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def test_one_size_of_what_translates_need_be_no_multiple() -> None:
    network = lived_in(UNet(layers=2, width=2))
    traced = translates(network, "eval", (5, 7))
    assert traced.described()["outputs"]["translated"]["shape"] == ["batch", 3, 5, 7]
    assert traced.multiples == {}
    x = torch.rand(3, 3, 5, 7)
    with torch.no_grad():
        torch.testing.assert_close(run_pt2(pt2_bytes(traced, {}), x), network(x), **CLOSE)


def test_folding_changes_the_copy_alone() -> None:
    network = lived_in(SRResNet(4, 8, 1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    traced = enlarges(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not [m for m in traced.module.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_kernels_computed_row_by_row_are_exported_as_one_convolution() -> None:
    ready = prepare_for_inference(SRResNet(4, 8, 1))
    assert isinstance(ready.tail, RowConv2d)
    graph = onnx.load_from_string(onnx_bytes(enlarges(ready), {})).graph
    kernels = [a.ints for node in graph.node if node.op_type == "Conv" for a in node.attribute if a.name == "pads"]
    assert len(kernels) == 1 + 2 + 1 + 2 + 1
    assert list(kernels[-1]) == [4, 4, 4, 4]


def test_one_size_where_it_must_be_fixed() -> None:
    network = lived_in(SRResNet(2, 8, 1))
    traced = enlarges(network, (12, 20))
    assert traced.described()["inputs"]["image"]["shape"] == ["batch", 3, 12, 20]
    content = onnx_bytes(traced, {})
    session = onnxruntime.InferenceSession(content)
    assert session.get_inputs()[0].shape == ["batch", 3, 12, 20]
    x = torch.rand(3, 3, 12, 20)
    with torch.no_grad():
        torch.testing.assert_close(run_onnx(content, x), network(x), **CLOSE)


@pytest.mark.parametrize("family", ["gan", "dcgan", "cgan", "acgan", "lapgan"])
def test_what_draws_from_noise_and_labels(family: str) -> None:
    spec = registry.get(family)
    config = resolve(spec.config, ("tiny", spec.presets["tiny"].values)).config
    classes = 0 if spec.classes == "unused" else 4
    shape = DataShape(config.size, config.size, 3, classes, 10)
    model, same = (new_model(spec, config, shape, 0, torch.device("cpu")) for _ in range(2))
    for each in (model, same):
        build(each, len(each.stages()) - 1)
        each.load_state_dict(model.state_dict())
    traced = draws(model)
    content, packed = onnx_bytes(traced, {}), pt2_bytes(traced, {})
    assert list(traced.inputs) == (["noise", "label"] if classes else ["noise"])
    for seeds in ([7], [3, 4, 5]):
        labels = [seed % 4 for seed in seeds] if classes else None
        expected = same.sample(SampleRequest(seeds, labels=labels))
        inputs = [same.latent(seeds), *([torch.tensor(labels)] if labels else [])]
        torch.testing.assert_close(run_onnx(content, *inputs), expected, **CLOSE)
        torch.testing.assert_close(run_pt2(packed, *inputs), expected, **CLOSE)
    kept = torch.export.load(io.BytesIO(packed)).state_dict
    assert kept
    assert not [name for name in kept if "discriminator" in name]


def test_a_run_tells_what_it_wrote(run) -> None:
    found = export(run)
    assert found.path == run.path / "exports" / "acgan.onnx"
    assert found.difference is not None
    assert found.difference < 1e-5
    (entry,) = onnx.load(found.path).metadata_props
    about = json.loads(entry.value)
    assert about == found.about
    assert (about["family"], about["run"], about["classes"]) == ("acgan", run.id, ["cat", "owl"])
    assert about["inputs"]["label"] == {"shape": ["batch"], "type": "int64", "range": "classes, 0 to 1"}
    assert about["outputs"]["image"]["shape"] == ["batch", 3, 16, 16]
    with pytest.raises(RunError, match=r"exists already"):
        export(run)
    before = found.path.stat().st_mtime_ns
    assert export(run, overwrite=True).path.stat().st_mtime_ns != before
    assert [file.name for file in found.path.parent.iterdir()] == ["acgan.onnx"]


def test_weights_alone_of_what_draws(run, tmp_path: Path) -> None:
    found = export(run, to=tmp_path / "g.safetensors")
    assert (found.format, found.difference) == ("safetensors", None)
    model = run.load("cpu")
    with safe_open(found.path, framework="pt") as file:
        about = json.loads(file.metadata()["gantool"])
        assert about["options"]["ngf"] == run.config.ngf
        assert about["shape"] == run.info["shape"]
        for name, value in model.drawing.state_dict().items():
            assert torch.equal(file.get_tensor(name), value)


def test_a_file_of_weights_there_and_back(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    original = read_enlarger(weights)
    copy = export(weights, "safetensors").path
    assert copy == Path("small.safetensors")
    again = read_enlarger(copy)
    assert again.options == original.options
    for name, value in original.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    packed = export(weights, "pt2")
    assert packed.difference is not None
    assert packed.difference < 1e-6
    extra = {"gantool": ""}
    program = torch.export.load(packed.path, extra_files=extra).module()
    assert json.loads(extra["gantool"]) == packed.about
    x = torch.rand(1, 3, 9, 31)
    with torch.no_grad():
        torch.testing.assert_close(program(x), original(x), rtol=0, atol=1e-6)


def test_a_run_that_enlarges(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(4):
        noise = np.random.default_rng(i).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((40, 40), Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{i}.png")
    run = gantool.train("srgan", tmp_path / "photos", preset="tiny", seed=1, device="cpu", out=tmp_path / "runs")
    found = export(run, "onnx", tmp_path / "net.onnx")
    assert (found.about["family"], found.about["run"]) == ("srgan", run.id)
    x = torch.rand(1, 3, 11, 14, generator=torch.Generator().manual_seed(1))
    expected = (run.load("cpu").enlarge(2 * x - 1) + 1) / 2
    torch.testing.assert_close(run_onnx(found.path.read_bytes(), x), expected, **CLOSE)
    weights = export(run, "safetensors")
    assert weights.path == run.path / "exports" / "srgan.safetensors"
    again, kept = read_enlarger(weights.path).state_dict(), run.load("cpu").drawing.state_dict()
    assert again.keys() == kept.keys()
    assert all(torch.equal(again[name], kept[name]) for name in kept)


@pytest.fixture(scope="module")
def translating(tmp_path_factory) -> tuple[Any, Translator]:
    """A run that translates, and its network."""
    root = tmp_path_factory.mktemp("translators")
    network = lived_in(UNet(3, 1, layers=2, width=2))
    save_translator(network, root / "grey.safetensors", Translation("rgb", "grey", (24, 24)))
    return gantool.import_run("pix2pix", root / "grey.safetensors", out=root / "runs"), network


def test_a_run_that_translates(translating, capfd: pytest.CaptureFixture[str]) -> None:
    run, network = translating
    assert command.run(["export", str(run.path), "-f", "pt2", "--test-mode", "eval"]) == 0
    said = capfd.readouterr()
    assert said.out == f"{run.path / 'exports' / 'pix2pix.pt2'}\n"
    assert said.err.splitlines()[:-1] == [
        "Input image: batch x 3 x height x width, float32; RGB, -1 to 1.",
        "Output translated: batch x 1 x height x width, float32; grey, -1 to 1.",
        "The height must be a multiple of 4.",
        "The width must be a multiple of 4.",
        "It drops nothing, and its norms are those of --test-mode eval.",
    ]
    extra = {"gantool": ""}
    program = torch.export.load(said.out.strip(), extra_files=extra).module()
    about = json.loads(extra["gantool"])
    assert (about["family"], about["test_mode"], about["dropout"]) == ("pix2pix", "eval", 0.0)
    assert Translation.of(about["translation"]) == Translation("rgb", "grey", (24, 24))
    x = torch.rand(1, 3, 8, 12)
    with torch.no_grad():
        torch.testing.assert_close(program(x), network(x), **CLOSE)


def test_weights_of_translators_there_and_back(translating, tmp_path: Path) -> None:
    """From a run, and from the port's file, which says nothing of pictures."""
    run, network = translating
    for given, told in ((run, Translation("rgb", "grey", (24, 24))), (tmp_path / "latest_net_G.pth", None)):
        modules = port_modules(network)
        theirs = {f"{modules[k.rpartition('.')[0]]}.{k.rpartition('.')[2]}": v for k, v in network.state_dict().items()}
        torch.save(theirs, tmp_path / "latest_net_G.pth")
        found = export(given, to=tmp_path / f"{told is None}.safetensors")
        assert found.about["options"] == network.options
        again, kept = read_translator(found.path).state_dict(), network.state_dict()
        assert again.keys() == kept.keys()
        assert all(torch.equal(again[name], kept[name]) for name in kept)
        assert translation_in(found.path) == told
    with pytest.raises(UsageError, match="have a --test-mode"):
        export(run, to=tmp_path / "w.safetensors", test_mode="eval")


def test_what_is_no_single_network_and_what_has_no_size(run, picture: Path, weights: Path, tmp_path: Path) -> None:
    single = gantool.train("singan", picture, preset="tiny", iterations=1, device="cpu", out=tmp_path / "runs")
    with pytest.raises(UsageError, match=r"no single network.*can be exported: .*dcgan"):
        export(single)
    with pytest.raises(UsageError, match="Only networks that enlarge or translate"):
        export(run, size="32x32")
    with pytest.raises(UsageError, match="have a --test-mode"):
        export(weights, test_mode="paper")
    with pytest.raises(UsageError, match="no format 'tflite'"):
        export(run, "tflite")
    with pytest.raises(UsageError, match=r"What format .*net\.xyz is to have cannot be told"):
        export(weights, to=tmp_path / "net.xyz")
    with pytest.raises(RunError, match="Create the folder"):
        export(weights, to=tmp_path / "gone" / "net.pt2")
    assert not list(tmp_path.glob("net*"))


def test_missing_packages_are_one_sentence(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "NEEDED", ("onnx", "no_such_package"))
    with pytest.raises(RunError) as caught:
        export(weights, to=tmp_path / "net.onnx")
    assert caught.value.what == "ONNX files need packages that are not installed: no_such_package."
    assert 'pip install "gantool[export]"' in caught.value.hint
    export(weights, to=tmp_path / "net.pt2")


def test_the_command_says_what_goes_in_and_nothing_else(
    weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    """In this process; warnings would go to stderr in one of its own."""
    assert command.run(["export", str(weights), "-o", str(tmp_path / "net.onnx")]) == 0
    said = capfd.readouterr()
    assert said.out == f"{tmp_path / 'net.onnx'}\n"
    assert not [str(warning.message) for warning in recwarn]
    lines = said.err.splitlines()
    assert lines[0] == "Input image: batch x 3 x height x width, float32; RGB, 0 to 1."
    assert lines[1] == "Output enlarged: batch x 3 x 4 height x 4 width, float32; RGB, about 0 to 1: clamp it."
    assert lines[2].startswith("Tried: it differs from the original by at most ")
    assert len(lines) == 3


def test_unknown_weights_may_have_been_meant_for_either(tmp_path: Path) -> None:
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match="holds no known network") as caught:
        export(tmp_path / "other.pth", to=tmp_path / "net.onnx")
    assert all(word in (caught.value.hint or "") for word in ("Real-ESRGAN", "CycleGAN"))
