"""Noise, labels, samples and ways between them."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from gantool.errors import UsageError
from gantool.families.acgan.config import ACGANConfig
from gantool.families.acgan.model import ACGAN
from gantool.families.cgan.config import CGANConfig
from gantool.families.cgan.model import CGAN
from gantool.families.dcgan.config import DCGANConfig
from gantool.families.dcgan.model import DCGAN
from gantool.families.gan.config import GANConfig
from gantool.families.gan.model import GAN
from gantool.family import DataShape, InterpolateRequest, SampleRequest
from gantool.game.options import GameConfig
from gantool.game.sampling import Sampling, _slerp


class Identity(nn.Module):
    """Draws its noise as a picture of one row, moved by the label."""

    def __init__(self, scale=0.1):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.seen = []

    def forward(self, z, y=None):
        self.seen.append((z, y, self.training))
        image = self.scale * z[:, None, None, :]
        return image if y is None else image + 0.01 * y.view(-1, 1, 1, 1)


class Drawn(Sampling):
    def __init__(self, classes=0, nz=8, average=False, **values):
        super().__init__()
        self.config, self.shape = GameConfig(nz=nz, **values), DataShape(1, nz, 1, classes)
        self.generator, self.average = Identity(), Identity(0.2) if average else None


# --- noise --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("noise", "law"), [("normal", ("norm", ())), ("uniform", ("uniform", (-1, 2)))])
def test_noise_of_neighbouring_seeds_is_as_if_drawn_together(noise, law):
    z = Drawn(nz=20, noise=noise).latent(range(500)).numpy()
    assert z.shape == (500, 20)
    assert stats.kstest(z.ravel(), *law).pvalue > 0.01
    assert stats.kstest(z[:, 0], *law).pvalue > 0.01  # the first numbers of seeds in a row, too
    correlations = np.corrcoef(z[:-1, 0], z[1:, 0])[0, 1], np.corrcoef(z[:, 0], z[:, 1])[0, 1]
    assert max(map(abs, correlations)) < 4 / math.sqrt(500)


def test_a_seed_has_its_noise():
    drawn = Drawn()
    z = drawn.latent([5, 2, 5])
    assert torch.equal(z[0], z[2])
    assert torch.equal(z[1:2], drawn.latent([2]))
    assert not torch.equal(z[0], z[1])


# --- labels -------------------------------------------------------------------------------------------------


def labels_seen(drawn, request):
    drawn.sample(request)
    return torch.cat([y for _, y, _ in drawn.generator.seen])[: len(request.seeds)].tolist()


def test_labels_go_round_with_the_seeds():
    assert labels_seen(Drawn(classes=3), SampleRequest([0, 1, 2, 3, 7])) == [0, 1, 2, 0, 1]
    assert labels_seen(Drawn(classes=3), SampleRequest([0, 1, 2], labels=[2, 2, 0])) == [2, 2, 0]


def test_labels_that_there_are_not():
    for labels, said in (([0, 3], "no class 3"), ([-1, 0], "no class -1")):
        with pytest.raises(UsageError, match=said) as caught:
            Drawn(classes=3).sample(SampleRequest([0, 1], labels=labels))
        assert "0 to 2" in caught.value.hint
    with pytest.raises(UsageError, match="no classes"):
        Drawn().sample(SampleRequest([0], labels=[0]))
    with pytest.raises(ValueError, match="1 labels for 2 seeds"):
        Drawn(classes=3).sample(SampleRequest([0, 1], labels=[0]))


# --- samples ------------------------------------------------------------------------------------------------


def test_samples_are_those_of_the_generator_or_its_average():
    for average, scale in ((False, 0.1), (True, 0.2)):
        drawn = Drawn(average=average)
        expected = (scale * drawn.latent(range(20))).clamp(-1, 1)
        assert torch.equal(drawn.sample(SampleRequest(range(20)))[:, 0, 0], expected)
    drawn.train()
    drawn.sample(SampleRequest([0]))
    assert not drawn.average.seen[-1][2]  # in evaluation
    assert drawn.average.training  # and afterwards as before


def test_pictures_stay_in_range():
    drawn = Drawn(nz=64)
    nn.init.constant_(drawn.generator.scale, 2.0)
    found = drawn.sample(SampleRequest(range(20)))
    assert (found.min(), found.max()) == (-1, 1)


@pytest.mark.parametrize(("request_", "said"), [
    (SampleRequest([0], size=(64, 64)), "8x1 pixels only"),
    (SampleRequest([0], start_scale=1), "no scales"),
])  # fmt: skip
def test_what_cannot_be_drawn(request_, said):
    with pytest.raises(UsageError, match=said):
        Drawn().sample(request_)
    assert Drawn().sample(SampleRequest([0], size=(1, 8))).shape == (1, 1, 1, 8)


FAMILIES = {
    "gan": (GAN, GANConfig, {"hidden_g": "48,160", "hidden_d": "16", "size": 16}),
    "dcgan": (DCGAN, DCGANConfig, {"size": 32, "ngf": 12}),
    "radford": (DCGAN, DCGANConfig, {"arch": "radford", "size": 16, "ngf": 8}),
    "cgan": (CGAN, CGANConfig, {"arch": "projection", "size": 32, "ngf": 8}),
    "mlp": (CGAN, CGANConfig, {"arch": "mlp", "size": 16}),
    "acgan": (ACGAN, ACGANConfig, {"arch": "digits", "size": 28, "ngf": 16, "ndf": 4}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seeds_picture_does_not_depend_on_what_stands_beside_it(name):
    kind, config, values = FAMILIES[name]
    torch.manual_seed(0)
    classes = 3 if name in ("cgan", "mlp", "acgan") else 0
    config = config(nz=32, **values)
    model = kind(config, DataShape(config.size, config.size, 3, classes))
    for norm in model.modules():  # as if trained
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
    seeds = [3, 141, 59, 26, 5, 35, 8, 97, 932, 38, 46, 264, 33, 83, 27, 950, 28, 84, 19]

    def draw(seeds):
        return model.sample(SampleRequest(seeds, labels=[1] * len(seeds) if classes else None))

    whole = draw(seeds)
    for i, seed in enumerate(seeds):
        assert torch.equal(draw([seed])[0], whole[i]), seed
    for count in (2, 7, 15, 17):
        assert torch.equal(draw(seeds[:count]), whole[:count]), count
    assert torch.equal(draw(seeds[::-1]), whole.flip(0))


def test_previews():
    plain = Drawn()
    assert torch.equal(plain.preview(), plain.sample(SampleRequest(range(64))))
    assert torch.equal(plain.preview([4, 9]), plain.sample(SampleRequest([4, 9])))
    rows = Drawn(classes=3).preview().view(3, 8, 8)
    noise = 0.1 * Drawn().latent(range(8))
    for label in range(3):
        torch.testing.assert_close(rows[label], (noise + 0.01 * label).clamp(-1, 1))
    assert len(Drawn(classes=3).preview([4, 9])) == 6
    assert len(Drawn(classes=100).preview()) == 16 * 8


# --- ways ---------------------------------------------------------------------------------------------------


def angle(a, b):
    return math.acos(max(-1, min(1, float(a @ b / (a.norm() * b.norm())))))


def test_slerp_of_unit_vectors():
    a, b = torch.tensor([1.0, 0, 0], dtype=torch.float64), torch.tensor([0.6, 0.8, 0], dtype=torch.float64)
    whole = angle(a, b)
    for k in range(11):
        point = _slerp(a, b, k / 10)
        assert point.norm().item() == pytest.approx(1, rel=1e-12)
        assert angle(a, point) == pytest.approx(whole * k / 10, abs=1e-7)
        assert point[2] == 0
        # In their plane, the point at angle t from a is (cos t, sin t).
        expected = [math.cos(whole * k / 10), math.sin(whole * k / 10)]
        assert point[:2].tolist() == pytest.approx(expected, abs=1e-12)


def test_slerp_of_other_lengths():
    a, b = torch.tensor([2.0, 0], dtype=torch.float64), torch.tensor([0, 6.0], dtype=torch.float64)
    assert _slerp(a, b, 0).tolist() == pytest.approx([2, 0])
    assert _slerp(a, b, 1).tolist() == pytest.approx([0, 6], abs=1e-12)
    assert _slerp(a, b, 0.25).norm().item() == pytest.approx(3)
    assert _slerp(a, b, 0.5).tolist() == pytest.approx([4 / math.sqrt(2)] * 2)


@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0, -2.0])
def test_slerp_where_there_is_no_arc(factor):
    a = torch.tensor([0.3, -0.4])
    for t in (0.0, 0.25, 1.0):
        torch.testing.assert_close(_slerp(a, factor * a, t), (1 - t + t * factor) * a)


def way(drawn, request):
    frames = list(drawn.interpolate(request))
    assert all(frame.shape == (1, 1, 1, 8) for frame in frames)
    return torch.cat(frames)[:, 0, 0]


def test_a_way_passes_its_seeds():
    drawn = Drawn()
    z = drawn.latent([3, 5, 4])
    points = way(drawn, InterpolateRequest([3, 5, 4], 4)) / 0.1
    assert len(points) == 9
    torch.testing.assert_close(points[::4], z)
    for k in range(1, 4):
        expected = _slerp(z[1], z[2], k / 4)
        torch.testing.assert_close(points[4 + k], expected)
        assert angle(z[1], points[4 + k]) == pytest.approx(angle(z[1], z[2]) * k / 4, abs=1e-3)


@pytest.mark.parametrize("values", [{"noise": "uniform"}, {"noise": "normal", "spherical": False}])
def test_straight_ways(values):
    drawn = Drawn(noise=values["noise"])
    a, b = drawn.latent([3, 5])
    points = way(drawn, InterpolateRequest([3, 5], 4, spherical=values.get("spherical", True))) / 0.1
    torch.testing.assert_close(points[1], 0.75 * a + 0.25 * b)


def test_labels_change_half_way():
    drawn = Drawn(classes=3)
    list(drawn.interpolate(InterpolateRequest([3, 5, 7], 4, labels=[0, 2, 1])))
    assert [int(y[0]) for _, y, _ in drawn.generator.seen] == [0, 0, 0, 2, 2, 2, 2, 1, 1]


def test_ways_that_lead_nowhere():
    for request_ in (InterpolateRequest([1], 4), InterpolateRequest([1, 2], 0)):
        with pytest.raises(UsageError, match="way"):
            list(Drawn().interpolate(request_))
