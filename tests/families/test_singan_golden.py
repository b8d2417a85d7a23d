"""SinGAN against numbers recorded from the official code (tests/golden/README.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gantool.data.image import to_tensor
from gantool.engine.model import Context
from gantool.families.singan.chain import climb, enlarge
from gantool.families.singan.config import SinGANConfig
from gantool.families.singan.model import SinGAN
from gantool.families.singan.networks import Discriminator, Generator, pad_margin
from gantool.families.singan.pyramid import enlarging_steps, make_pyramid, pyramid_of_sizes
from gantool.family import DataShape
from gantool.losses.penalties import pixel_gradient_penalty
from gantool.nn.resize import resize_single_image

GOLDEN = Path(__file__).parents[1] / "golden"
PYRAMIDS = json.loads((GOLDEN / "singan_pyramids.json").read_text())


def load(name: str) -> Any:
    return np.load(GOLDEN / f"singan_{name}.npz", allow_pickle=False)


def t(array: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def error(ours: Tensor, golden: Any) -> float:
    """max|a - b| / max|b|, the measure of the golden files."""
    theirs = t(np.asarray(golden, dtype=np.float64))
    return float((ours.detach().double() - theirs).abs().max() / theirs.abs().max().clamp_min(1e-30))


def weights(data: Any, prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): t(data[key]) for key in data.files if key.startswith(prefix)}


def dead_bias(name: str) -> bool:
    """A convolution's bias in front of batch norm in training mode: its gradient is zero but for rounding."""
    return name.endswith("conv.bias")


# --- pyramid and parameters -------------------------------------------------------------------------------


def test_pyramids_are_exact_for_every_recorded_case() -> None:
    assert len(PYRAMIDS["train"]) == 51
    for case in PYRAMIDS["train"]:
        pyramid = make_pyramid((case["H"], case["W"]), case["min_size"], case["max_size"], case["scale_factor_init"])
        assert [list(size) for size in pyramid.sizes] == case["sizes"], case
        assert pyramid.factor == case["scale_factor"]
        assert pyramid.first_scale == case["scale1"]
        config = SinGANConfig()
        assert [config.width(k) for k in range(len(pyramid.sizes))] == case["nfc"]


def test_pyramids_for_enlarging_are_exact_and_the_same_for_portraits() -> None:
    landscape = [case for case in PYRAMIDS["super_resolution"] if case["W"] >= case["H"]]
    assert len(landscape) >= 9
    for case in landscape:
        steps, scale = enlarging_steps(case["sr_factor"])
        assert (steps, scale) == (case["iter_num"], case["in_scale"])
        size = (case["H"], case["W"])
        pyramid = make_pyramid(size, case["min_size_used"], case["max_size"], 1 / scale, enlarging=True)
        assert [list(size) for size in pyramid.sizes] == case["train_sizes"], case
        assert pyramid.factor == case["train_scale_factor"]
        turned = make_pyramid(size[::-1], case["min_size_used"], case["max_size"], 1 / scale, enlarging=True)
        assert [size[::-1] for size in turned.sizes] == list(pyramid.sizes)  # the official code slips here


def test_a_pyramid_is_found_again_from_its_sizes() -> None:
    for case in PYRAMIDS["train"]:
        sizes = tuple(tuple(size) for size in case["sizes"])
        found = pyramid_of_sizes(sizes)
        assert found.sizes == sizes
        assert abs(found.factor - case["scale_factor"]) < 0.01


@pytest.mark.parametrize("channels", ["32", "64", "128"])
def test_parameter_counts(channels: str) -> None:
    expected = PYRAMIDS["param_counts_per_scale_by_nfc"][channels]
    for network, name in ((Generator, "G"), (Discriminator, "D")):
        assert sum(p.numel() for p in network(int(channels), 5, 0.2).parameters()) == expected[name]


# --- one scale --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_one_scale(mode: str) -> None:
    data = load("generator")
    g, d = Generator(8, 5, 0.2), Discriminator(8, 5, 0.2)
    g.load_state_dict(weights(data, "G/"))
    d.load_state_dict(weights(data, "D/"))
    g.train(mode == "train")
    d.train(mode == "train")

    previous = pad_margin(t(data["prev"]), 5)
    assert error(previous, data["prev_padded"]) == 0
    noise = float(data["noise_amp"]) * pad_margin(t(data["noise"]), 5)
    assert error(noise + previous, data["noise_in_padded"]) < 1e-6
    noise.requires_grad_()
    previous.requires_grad_()
    fake = g(noise, previous)
    assert error(fake, data[f"{mode}/G_out"]) < 1e-4
    names = [name for name, _ in g.named_parameters()]
    gradients = torch.autograd.grad(fake.sum(), [noise, previous, *g.parameters()])
    # The official network takes noise + previous as its first input and previous as its second.
    assert error(gradients[0], data[f"{mode}/G_grad_x"]) < 1e-4
    assert error(gradients[1] - gradients[0], data[f"{mode}/G_grad_y"]) < 1e-4
    for name, gradient in zip(names, gradients[2:], strict=True):
        if mode == "eval" or not dead_bias(name):
            assert error(gradient, data[f"{mode}/G_grad_w/{name}"]) < 1e-4, name
    for name, buffer in g.named_buffers():
        assert error(buffer, data[f"{mode}/G_buffers_after/{name}"]) < 1e-5, name

    real = t(data["real"])
    scores = d(real)
    assert error(scores, data[f"{mode}/D_out_real"]) < 1e-4
    for (name, _), gradient in zip(
        d.named_parameters(), torch.autograd.grad(scores.sum(), list(d.parameters())), strict=True
    ):
        if mode == "eval" or not dead_bias(name):
            assert error(gradient, data[f"{mode}/D_grad_w_sum_real/{name}"]) < 1e-4, name
    assert error(d(fake.detach()), data[f"{mode}/D_out_fake"]) < 1e-4
    mix = float(data["gp_coef"])
    penalty = 0.1 * pixel_gradient_penalty(d.input_gradient(mix * real + (1 - mix) * fake.detach()))
    assert error(penalty, data[f"{mode}/gp"]) < 1e-4
    penalty.backward()
    for name, parameter in d.named_parameters():
        if (mode == "eval" or not dead_bias(name)) and name != "tail.bias":
            golden = data[f"{mode}/D_grad_w_gp/{name}"]
            if np.abs(golden).max() > 1e-12:
                assert error(parameter.grad, golden) < 1e-4, name
    for name, buffer in d.named_buffers():
        assert error(buffer, data[f"{mode}/D_buffers_after_real_fake_gp/{name}"]) < 1e-5, name


# --- through the scales -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def multi() -> Any:
    data = load("multiscale_sample")
    sizes = tuple(tuple(data[f"real{i}"].shape[2:]) for i in range(4))
    config = SinGANConfig(channels=8, max_channels=8, sizes=sizes)
    model = SinGAN(config, DataShape(41, 53))
    for stage in model.stages():
        model.enter(stage)
    object.__setattr__(model.pyramid, "factor", float(data["scale_factor"]))
    for k in range(4):
        model.generators[k].load_state_dict(weights(data, f"G{k}/"))
    model.generators.eval()
    model.noise_amps.copy_(t(data["noise_amp"]))
    model.real.copy_(t(data["real3"]))
    model.z_opt.copy_(t(data["Z_opt0"]))
    return data, model


def drawn(data: Any, case: str, count: int) -> list[Tensor]:
    return [pad_margin(t(data[f"{case}/noise{i}"]), 5).expand(-1, 3, -1, -1) for i in range(count)]


def run(data: Any, model: SinGAN, case: str, noises: list[Tensor], below: Tensor, sizes: Any) -> Tensor:
    first = 4 - len(noises)
    with torch.no_grad():
        return climb(
            list(model.generators)[first : first + len(noises)],
            model.noise_amps[first : first + len(noises)].unbind(),
            noises,
            model.pyramid.factor,
            below,
            sizes,
        )


@pytest.mark.parametrize(("case", "start"), [("generate_full", 0), ("generate_start1", 1), ("generate_start2", 2)])
def test_sampling_from_any_scale(multi: Any, case: str, start: int) -> None:
    data, model = multi
    noises = drawn(data, case, 4)
    noises[:start] = model._fixed_noises(start) if start else []
    out = run(data, model, case, noises, torch.zeros(1, 3, 24, 31), model.sizes)
    assert error(out, data[f"{case}/result"]) < 1e-4


def test_sampling_at_another_size(multi: Any) -> None:
    data, model = multi
    case = "generate_h1.5_v1"
    sizes = [tuple(data[f"{case}/noise{i}"].shape[2:]) for i in range(4)]  # 1.5 times as wide
    assert model.sizes_for((82, 106)) == [(2 * h, 2 * w) for h, w in model.sizes]
    # The official code begins from zeros of the size trained on, cut and stretched to the noise: zeros.
    out = run(data, model, case, drawn(data, case, 4), torch.zeros(1, 3, *sizes[0]), sizes)
    assert error(out, data[f"{case}/result"]) < 1e-4


@pytest.mark.parametrize("kind", ["rand", "rec"])
def test_pictures_from_below(multi: Any, kind: str) -> None:
    data, model = multi
    case = f"draw_concat_{kind}"
    noises = drawn(data, case, 3) if kind == "rand" else model._fixed_noises(3)
    with torch.no_grad():
        x = model._climb(noises, model.sizes[:3], torch.zeros(1, 3, 24, 31))
    assert error(x, data[f"{case}/step2_out"]) < 1e-4
    assert error(enlarge(x, model.pyramid.factor, model.sizes[3]), data[f"{case}/result"]) < 1e-4


@pytest.mark.parametrize("start", [1, 2])
def test_injection(multi: Any, start: int) -> None:
    data, model = multi
    case = f"inject_start{start}"
    image = resize_single_image(t(data["ref"]), size=(41, 53))
    assert error(image, data[f"{case}/ref_resized"]) < 1e-5
    below = model.injected(image, start)
    assert error(below, data[f"{case}/in_s"]) < 1e-5
    out = run(data, model, case, drawn(data, case, 4 - start), below, model.sizes[start:])
    assert error(out, data[f"{case}/result"]) < 1e-4


def test_enlarging(multi: Any) -> None:
    data, model = multi
    case = "super_resolution_x2"
    steps, scale = enlarging_steps(2)
    first = resize_single_image(model.real, scale=scale)
    assert error(first, data[f"{case}/real_sr0"]) < 1e-5
    with torch.no_grad():
        out = climb(
            [model.generators[3]] * steps,
            [float(model.noise_amps[3])] * steps,
            drawn(data, case, 3),
            1 / scale,
            first,
            [None] * steps,
        )
    height, width = 82, 106
    assert error(out[:, :, :height, :width], data[f"{case}/result"]) < 1e-4


# --- a whole training -------------------------------------------------------------------------------------


class Recorded(Context):
    """A context whose random draws come from the golden file."""

    def feed(self, data: Any, k: int) -> None:
        self.k = k
        self.noise = t(data[f"s{k}/draw_noise"]).double()
        self.z_opt = t(data["s0/draw_z_opt"]).double()
        self.below = [t(data[f"s{k}/draw_prev_level{j}"]).double() for j in range(k)]
        self.mixes = t(data[f"s{k}/draw_gp_coef"]).double()
        self.calls = self.mix_calls = 0

    def randn(self, channels: int, height: int, width: int, count: int = 1) -> Tensor:
        """Scale 0: z_opt, noise; scale k: noise, then one batch for each scale below."""
        order = [self.z_opt[self.step][None], self.noise[self.step][None]] if self.k == 0 else []
        if self.k:
            order = [self.noise[self.step][None], *(level[self.step] for level in self.below)]
        out = order[self.calls % len(order)]
        self.calls += 1
        assert out.shape == (count, channels, height, width)
        return out

    def rand(self) -> Tensor:
        self.mix_calls += 1
        return self.mixes[self.step, (self.mix_calls - 1) % self.mixes.shape[1]]


VARIANTS = {
    "gsteps1_noextra": {"generator_steps": 1},
    "gsteps3_recompute_noextra": {"generator_steps": 3},
    "gsteps3_legacy_noextra": {"generator_steps": 3, "generator_loop": "legacy"},
}


def to_float32(module: torch.nn.Module) -> None:
    """The recording rounded weights to float32 at the end of each scale."""
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.float().double())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("k", [0, 1, 2])
def test_training_of_each_scale(variant: str, k: int) -> None:
    data = load("trajectory")
    golden = f"{variant}_f64/s{k}"
    config = SinGANConfig(
        channels=8, max_channels=8, max_size=64, scale_factor=0.5, iterations=12, decay=1.0, **VARIANTS[variant]
    )
    model = SinGAN(config, DataShape(50, 64)).double()
    assert model.pyramid.factor == float(data["scale_factor"])
    single = SinGAN(config, DataShape(50, 64))  # levels are truncated in float32
    single.take_picture(to_tensor(data["source_uint8"].astype(np.uint8)))
    for i in range(3):
        assert error(single.real_at(i), data[f"real{i}"]) < 1e-6
        model.reals[i] = t(data[f"real{i}"]).double()
    stages = model.stages()
    for stage in stages[: k + 1]:
        model.enter(stage)
    for i in range(k):
        model.generators[i].load_state_dict(weights(data, f"{variant}_f64/s{i}/final/G/"))
        model.noise_amps[i] = float(data[f"{variant}_f64/s{i}/noise_amp"])
    start = f"{variant}_f64/s{k - 1}/final" if k else "init"
    model.generators[k].load_state_dict(weights(data, f"{start}/G/"))
    model.discriminator.load_state_dict(weights(data, f"{start}/D/"))
    if k:
        model.z_opt.copy_(model._padded(t(data["s0/draw_z_opt"][-1:]).double()))

    ctx = Recorded(model.device, torch.Generator(), stages[k], dtype=torch.float64)
    ctx.feed(data, k)
    if k:
        model.prepare(stages[k], None, ctx)  # type: ignore[arg-type]
        assert error(model.noise_amps[k], data[f"{golden}/noise_amp"]) < 1e-6
        model.noise_amps[k] = float(data[f"{golden}/noise_amp"])
    names = {"critic_real": "errD_real", "critic_fake": "errD_fake", "penalty": "gp"}
    last = {"adversarial": "errG", "reconstruction": "rec_loss"}
    for ctx.step in range(12):
        losses = model.train_step(None, ctx)
        for ours, theirs in {**names, **last}.items():
            assert error(losses[ours], data[f"{golden}/{theirs}"][ctx.step, -1]) < 1e-6, (ctx.step, ours)
    to_float32(model.generators[k])
    to_float32(model.discriminator)
    for network, name in ((model.generators[k], "G"), (model.discriminator, "D")):
        for key, value in network.state_dict().items():
            if name == "D" and ("running" in key or "tracked" in key):
                continue  # never used
            limit = 1e-5 if "bias" in key or "running" in key else 1e-6
            assert error(value, data[f"{golden}/final/{name}/{key}"]) < limit, (name, key)
