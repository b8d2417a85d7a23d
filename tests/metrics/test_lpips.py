"""LPIPS against recorded numbers, torchmetrics' implementation on the same random networks, and its own promises."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.errors import DataError
from gantool.metrics.lpips import BACKBONES, Lpips, layer_distances, unit_length

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "lpips_heads.npz")
PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "weights" / "lpips" / "lpips" / "weights" / "v0.1"
NETS = list(BACKBONES)


def golden(key: str) -> torch.Tensor:
    return torch.from_numpy(GOLDEN[key]).double()


def heads_of(net: str) -> dict[str, torch.Tensor]:
    names = [f"lin{i}.model.1.weight" for i in range(len(BACKBONES[net].channels))]
    return {name: torch.from_numpy(GOLDEN[f"{net}/heads/{name}"]) for name in names}


def random_backbone(net: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights in torchvision's names that keep the size of what passes through; the classifier is not looked at."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in BACKBONES[net].build(weights=None).state_dict().items() if "features" in k}
    state = {}
    for name, shape in shapes.items():
        gain = (2 / shape[1:].numel()) ** 0.5 if len(shape) == 4 else 0.1
        state[name] = torch.randn(shape, generator=generator) * gain
    return state | {"classifier.1.weight": torch.zeros(2, 2)}


def random_lpips(net: str) -> Lpips:
    return Lpips(net, random_backbone(net), heads_of(net))


def pictures(n: int, height: int = 40, width: int = 48, seed: int = 1) -> torch.Tensor:
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("net", NETS)
def test_recorded_numbers(net: str) -> None:
    layers = range(len(BACKBONES[net].channels))
    a, b = ([golden(f"{net}/features{side}_{layer}") for layer in layers] for side in (0, 1))
    heads = [head.double() for head in heads_of(net).values()]
    per_layer = layer_distances(a, b, heads)
    torch.testing.assert_close(per_layer, golden(f"out/{net}/per_layer"), rtol=2e-6, atol=1e-9)
    torch.testing.assert_close(per_layer.sum(0), golden(f"out/{net}/distance").flatten(), rtol=2e-6, atol=0)
    plain = layer_distances(a, b, [torch.ones_like(head) for head in heads]).sum(0)
    torch.testing.assert_close(plain, golden(f"out/{net}/unweighted_distance").flatten(), rtol=2e-6, atol=0)
    corner = unit_length(a[0])[:, :, :2, :2]
    torch.testing.assert_close(corner, golden(f"out/{net}/normalized_feature0_0"), rtol=2e-6, atol=1e-9)


def test_the_recorded_input_scaling() -> None:
    lpips = random_lpips("alex")
    scaled = (torch.from_numpy(GOLDEN["image"]) - lpips.shift) / lpips.scale
    torch.testing.assert_close(scaled, torch.from_numpy(GOLDEN["out/scaled_image"]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("net", NETS)
def test_torchmetrics_on_the_same_weights(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchmetrics.functional.image import lpips as theirs  # after gantool made torchvision importable

    def empty_features(*_: object) -> torch.nn.Module:
        with torch.device("meta"):
            return BACKBONES[net].build(weights=None).features

    monkeypatch.setattr(theirs, "_get_tv_model_features", empty_features)
    model = theirs._LPIPS(pretrained=False, net=net, pnet_rand=True)
    state = {k.removeprefix("features."): v for k, v in random_backbone(net).items()}
    backbone = {k: state[k.split(".", 1 if net != "squeeze" else 2)[-1]] for k in model.net.state_dict()}
    model.net.load_state_dict(backbone, assign=True)
    model.load_state_dict({f"net.{k}": v for k, v in backbone.items()} | heads_of(net), strict=False)
    a, b = pictures(3), pictures(3, seed=2)
    a[2] = b[2] + 0.01 * a[2]
    expected = model(a, b).flatten()
    found = random_lpips(net).distance(a, b)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    assert expected.min() < 0.1 * expected.max()  # a small distance was among them


@pytest.mark.parametrize("net", NETS)
def test_equal_is_zero_and_order_does_not_matter(net: str) -> None:
    lpips = random_lpips(net)
    a, b = pictures(2), pictures(2, seed=2)
    assert lpips.distance(a, a).tolist() == [0, 0]
    torch.testing.assert_close(lpips(a, b), lpips(b, a), rtol=1e-6, atol=0)
    nearer = lpips(a, a + 0.1 * (b - a))
    assert (nearer < lpips(a, b)).all()
    assert (nearer > 0).all()


@pytest.mark.parametrize("net", NETS)
def test_the_least_size(net: str) -> None:
    lpips, least = random_lpips(net), BACKBONES[net].least
    a, b = pictures(1, least, least), pictures(1, least, least, seed=2)
    assert lpips.distance(a, b).isfinite().all()
    with pytest.raises(DataError, match=f"{least} pixels or more, these have {least}x{least - 1}"):
        lpips.distance(a[:, :, 1:], b[:, :, 1:])
    with pytest.raises(RuntimeError):  # the limit is the network's, not ours
        lpips.layers(a[:, :, 1:])


def test_gradients_reach_the_pictures_and_no_weight() -> None:
    lpips = random_lpips("alex")
    a, b = pictures(1).double().requires_grad_(), pictures(1, seed=2).double()
    lpips.double().distance(a, b).sum().backward()
    assert not any(p.requires_grad for p in lpips.parameters())
    step = torch.zeros_like(a)
    step[0, 1, 20, 20] = 1e-5
    with torch.no_grad():
        slope = (lpips.distance(a + step, b) - lpips.distance(a - step, b)).item() / 2e-5
    assert a.grad is not None
    assert a.grad[0, 1, 20, 20].item() == pytest.approx(slope, rel=1e-3)


def test_the_mean_over_pairs() -> None:
    lpips = random_lpips("alex")
    x = pictures(5, 32, 33)
    every = [lpips.distance(x[i : i + 1], x[j : j + 1]).item() for i, j in itertools.combinations(range(5), 2)]
    result = lpips.pairwise_mean(x, pairs=100, batch=3)
    assert result.pairs == 10
    assert result.mean == pytest.approx(np.mean(every), rel=1e-5)
    some = lpips.pairwise_mean(list(x), pairs=4, seed=1)
    assert some.pairs == 4
    possible = [np.mean(four) for four in itertools.combinations(every, 4)]
    assert np.min(np.abs(np.array(possible) - some.mean)) < 1e-5
    assert some == lpips.pairwise_mean(x, pairs=4, seed=1) != lpips.pairwise_mean(x, pairs=4, seed=2)
    assert lpips.pairwise_mean(x[:1].expand(4, 3, 32, 33), pairs=6).mean == 0
    with pytest.raises(DataError, match="two or more"):
        lpips.pairwise_mean(x[:1], pairs=1)
    with pytest.raises(DataError, match="33x32 and 33x31"):
        lpips.pairwise_mean([x[0], x[1][:, :-1]], pairs=1)


def test_from_files(tmp_path: Path) -> None:
    torch.save(random_backbone("alex"), tmp_path / "alexnet.pth")
    torch.save(heads_of("alex"), tmp_path / "alex.pth")
    lpips = Lpips.from_files("alex", tmp_path / "alexnet.pth", tmp_path / "alex.pth")
    a, b = pictures(2), pictures(2, seed=2)
    assert torch.equal(lpips.distance(a, b), random_lpips("alex").distance(a, b))
    half = {k: v.half() for k, v in random_backbone("alex").items()}
    assert Lpips("alex", half, heads_of("alex")).distance(a, b).dtype == torch.float32


def test_wrong_files(tmp_path: Path) -> None:
    backbone, heads = tmp_path / "backbone.pth", tmp_path / "heads.pth"
    torch.save(random_backbone("squeeze"), backbone)
    torch.save(heads_of("squeeze"), heads)
    assert Lpips.from_files("squeeze", backbone, heads).net == "squeeze"
    with pytest.raises(DataError, match=r"backbone.pth does not hold torchvision's AlexNet: features.0.weight is"):
        Lpips.from_files("alex", backbone, heads)
    with pytest.raises(DataError, match=r"heads.pth does not hold torchvision's .*: there is no features.0.weight"):
        Lpips.from_files("squeeze", heads, heads)
    with pytest.raises(DataError, match=r"backbone.pth does not hold LPIPS's heads .*: there is no lin0.model.1"):
        Lpips.from_files("squeeze", backbone, backbone)
    with pytest.raises(
        DataError, match=r"The heads' state_dict does not hold LPIPS's heads of AlexNet: lin1.model.1.weight is"
    ):
        Lpips("alex", random_backbone("alex"), heads_of("squeeze"))
    torch.save([1, 2], heads)
    with pytest.raises(DataError, match="no weights by name"):
        Lpips.from_files("squeeze", backbone, heads)
    heads.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="damaged"):
        Lpips.from_files("squeeze", backbone, heads)
    with pytest.raises(DataError, match="There is no file"):
        Lpips.from_files("squeeze", backbone, tmp_path / "none.pth")
    with pytest.raises(ValueError, match="alex, vgg, squeeze"):
        Lpips("resnet", {}, {})


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published heads are not here")
@pytest.mark.parametrize("net", NETS)
def test_the_published_heads_load(net: str, tmp_path: Path) -> None:
    torch.save(random_backbone(net), tmp_path / "backbone.pth")
    lpips = Lpips.from_files(net, tmp_path / "backbone.pth", PUBLISHED / f"{net}.pth")
    a, b = pictures(2), pictures(2, seed=2)
    assert torch.equal(lpips.distance(a, b), random_lpips(net).distance(a, b))  # the record's are v0.1's


def test_what_cannot_be_compared() -> None:
    lpips = random_lpips("squeeze")
    with pytest.raises(DataError, match="48x40 and 47x40"):
        lpips.distance(pictures(2), pictures(2)[..., :-1])
    with pytest.raises(ValueError, match="as many"):
        lpips.distance(pictures(2), pictures(3))
    with pytest.raises(ValueError, match="floating"):
        lpips.distance(pictures(1).byte(), pictures(1).byte())
    with pytest.raises(ValueError, match="3, H, W"):
        lpips.distance(pictures(1)[:, :1], pictures(1)[:, :1])
