"""Measuring what enlarges, against published figures and direct computations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantool.cli import main as command
from gantool.data.image import load_picture
from gantool.errors import DataError, UsageError
from gantool.metrics.psnr_ssim import psnr, ssim
from gantool.nn.enlarger import Enlarger
from gantool.nn.imresize import imresize
from gantool.tasks.evaluate import superres as measuring
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.evaluate.superres import evaluate_superres, prepare

SHARED = Path(__file__).parents[3] / "shared" / "data"
SET5 = SHARED / "sr" / "Set5"
LEFTTHOMAS = SHARED / "weights" / "leftthomas-srgan" / "netG_epoch_4_100.pth"


class Nearest(Enlarger):
    """Repeats pixels."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__(factor)
        self.layer = torch.nn.Upsample(scale_factor=factor, mode="nearest")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GANTOOL_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures in colour and one of one channel."""
    random, root = np.random.default_rng(0), tmp_path / "set"
    root.mkdir()
    for number, mode in enumerate(("RGB", "L", "RGB")):
        noise = Image.fromarray(random.integers(0, 256, (9, 8, 3), dtype=np.uint8))
        noise.resize((40 + number, 48), Image.Resampling.BICUBIC).convert(mode).save(root / f"{number}.png")
    return root


def test_figures_are_those_of_the_pictures_enlarged_by_hand(folder: Path) -> None:
    found = evaluate_superres(folder, Nearest(), options=EvalOptions(device="cpu"))
    assert found.protocol["scale"] == 2
    assert found.protocol["small pictures"] == "made by MATLAB's bicubic"
    assert found.protocol["grey pictures"] == 1
    assert found.protocol["lpips"].startswith("not measured: the weights alexnet are not on this machine")
    assert [row["picture"] for row in found.pairs] == ["0", "1", "2"]
    for row, name in zip(found.pairs, ("0", "1", "2"), strict=True):
        large = load_picture(folder / f"{name}.png").pixels[:, : 42 if name == "2" else 40]
        grey = name == "1"  # one channel is its own luma: not squeezed into 16 to 235
        large = large[..., 0] if grey else large
        small = imresize(np.ascontiguousarray(large), 0.5)
        for end, result in (("", small.repeat(2, 0).repeat(2, 1)), (" bicubic", imresize(small, 2))):
            assert row[f"psnr{end}"] == pytest.approx(psnr(large, result, crop=2, y=not grey), abs=1e-6)
            assert row[f"ssim{end}"] == pytest.approx(ssim(large, result, crop=2, y=not grey), abs=1e-6)
    mean = sum(row["psnr"] for row in found.pairs) / 3
    assert found.value == pytest.approx(mean)
    assert list(found.values) == ["psnr", "ssim", "psnr bicubic", "ssim bicubic"]


def test_without_a_model_bicubic_alone(folder: Path) -> None:
    with_model = evaluate_superres(folder, Nearest(), options=EvalOptions(device="cpu"))
    alone = evaluate_superres(folder, scale=2)
    assert alone.values == {name: with_model.values[f"{name} bicubic"] for name in ("psnr", "ssim")}


def test_lpips_where_its_weights_are(folder: Path, tmp_path: Path) -> None:
    from gantool.metrics.lpips import BACKBONES, Lpips

    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in BACKBONES["alex"].build(weights=None).state_dict().items() if "features" in k}
    torch.save({k: torch.randn(s, generator=generator) * 0.05 for k, s in shapes.items()}, tmp_path / "alex.pth")
    channels = BACKBONES["alex"].channels
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1, generator=generator) for i, c in enumerate(channels)}
    torch.save(heads, tmp_path / "heads.pth")
    options = EvalOptions(weights=tmp_path / "alex.pth", heads=tmp_path / "heads.pth", device="cpu")
    found = evaluate_superres(folder, Nearest(), options=options)
    assert list(found.values)[:3] == ["psnr", "ssim", "lpips"]
    network = Lpips.from_files("alex", tmp_path / "alex.pth", tmp_path / "heads.pth")
    large = load_picture(folder / "0.png").pixels[:48, :40]
    result = imresize(np.ascontiguousarray(large), 0.5).repeat(2, 0).repeat(2, 1)
    a, b = (torch.from_numpy(x.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1 for x in (large, result))
    assert found.pairs[0]["lpips"] == pytest.approx(network.distance(a, b).item(), rel=1e-4)
    assert any("not a published file" in warning for warning in found.warnings)


def test_what_is_prepared_gives_the_same_and_is_made_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = prepare(folder, 2)
    first = evaluate_superres(ready, Nearest(), options=EvalOptions(device="cpu"))
    whole = evaluate_superres(folder, Nearest(), options=EvalOptions(device="cpu"))
    assert (first.values, first.pairs, first.warnings) == (whole.values, whole.pairs, whole.warnings)
    assert whole.protocol.pop("model").keys() == {"name", "fingerprint"}
    assert first.protocol.pop("model") == {"name": "Nearest"}
    assert first.protocol == whole.protocol
    monkeypatch.setattr(measuring, "imresize", None)  # bicubic's figures are known
    again = evaluate_superres(ready, Nearest(), options=EvalOptions(device="cpu"))
    assert again.values == whole.values
    assert evaluate_superres(ready).values == {name: whole.values[f"{name} bicubic"] for name in ("psnr", "ssim")}
    with pytest.raises(UsageError, match="The model enlarges 3 times, not 2"):
        evaluate_superres(ready, Nearest(3))


def test_what_does_not_fit(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="The model enlarges 2 times, not 4"):
        evaluate_superres(folder, Nearest(), 4)
    Image.new("RGB", (9, 9)).save(folder / "small.png")
    with pytest.raises(DataError, match=r"small\.png.*SSIM looks through windows of 11x11"):
        evaluate_superres(folder, scale=2)
    found = evaluate_superres(folder, scale=2, options=EvalOptions(skip_bad=True))
    assert len(found.pairs) == 3
    assert found.warnings[0].startswith("1 of 4 pictures were left out")


def test_the_command(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["eval", "superres", "--data", str(folder), "--scale", "2"]
    assert command.run([*words, "--json", "--fail-below", "90"]) == 3
    told = capfd.readouterr()
    assert "is beyond the limit that was set" in told.err
    data = json.loads(told.out)["data"]
    assert data["metric"] == "superres"
    assert command.run(words) == 0
    shown = capfd.readouterr()
    assert shown.out.splitlines()[0] == f"psnr  {data['value']:.6g}   higher is better"
    assert "picture  psnr" in shown.out


@pytest.mark.skipif(not SET5.is_dir(), reason="needs Set5")
def test_set5_by_bicubic_as_published() -> None:
    found = evaluate_superres(SET5)
    assert found.values["psnr"] == pytest.approx(28.42, abs=0.02)
    assert found.values["ssim"] == pytest.approx(0.8104, abs=0.002)
    assert found.protocol["small pictures"] == "as given"


@pytest.mark.skipif(not LEFTTHOMAS.is_file(), reason="needs Set5 and weights")
def test_set5_by_published_weights() -> None:
    found = evaluate_superres(SET5, LEFTTHOMAS, options=EvalOptions(device="cpu"))
    assert found.value == pytest.approx(30.66, abs=0.01)
    assert found.protocol["scale"] == 4
