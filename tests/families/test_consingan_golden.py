"""ConSinGAN against numbers recorded from the official code (tests/golden/README.md)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gantool.engine.model import Context
from gantool.families.consingan.config import ConSinGANConfig
from gantool.families.consingan.model import ConSinGAN
from gantool.families.consingan.networks import Critic, Generator
from gantool.families.consingan.pyramid import make_pyramid
from gantool.family import DataShape
from gantool.losses.penalties import pixel_gradient_penalty
from gantool.nn.resize import axis_taps, resize_array, resize_single_image, truncate_to_levels
from gantool.nn.single_image import noise_walk

GOLDEN = Path(__file__).parents[1] / "golden"


def load(name: str) -> Any:
    return np.load(GOLDEN / f"consingan_{name}.npz", allow_pickle=False)


def t(array: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def error(ours: Tensor, golden: Any) -> float:
    """max|a - b| / max|b|, the measure of the golden files."""
    theirs = t(np.asarray(golden, dtype=np.float64))
    return float((ours.detach().double() - theirs).abs().max() / theirs.abs().max().clamp_min(1e-30))


def weights(data: Any, prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): t(data[key]) for key in data.files if key.startswith(prefix)}


# --- pyramid, resize, parameter counts ------------------------------------------------------------------

CASES = [c for c in json.loads((GOLDEN / "consingan_pyramids.json").read_text())["cases"] if "error" not in c]


def test_pyramid_sizes_are_exact_for_every_recorded_case() -> None:
    assert len(CASES) == 59
    for case in CASES:
        pyramid = make_pyramid(
            (case["H"], case["W"]),
            case["train_stages"],
            case["min_size"],
            case["max_size"],
            geometric=case["mode"] == "harmonization",
        )
        assert [list(size) for size in pyramid.sizes] == case["sizes"], case
        assert list(pyramid.scales) == case["scales"]
        assert pyramid.first_scale == case["scale1"]


@pytest.mark.parametrize("stages", range(1, 10))
@pytest.mark.parametrize("batch_norm", [False, True])
def test_parameter_counts(stages: int, batch_norm: bool) -> None:
    counts = json.loads((GOLDEN / "consingan_param_counts.json").read_text())["counts"]
    expected = counts[f"stages{stages}_bn{int(batch_norm)}"]
    model = ConSinGAN(ConSinGANConfig(stages=stages, batch_norm=batch_norm), DataShape(167, 250))
    for stage in model.stages():
        model.enter(stage)
    assert model.network_sizes() == {"generator": expected["G"], "critic": expected["D"]}
    trained = sum(p.numel() for p in model.generator.parameters() if p.requires_grad)
    assert trained == expected["G_trainable_at_last_stage_depth3"]


def levels(image: Tensor) -> Any:
    return truncate_to_levels(image)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("picture", ["crop", "rand"])
def test_resize(picture: str) -> None:
    data = load("resize")
    image = t(data[picture])
    assert np.array_equal(levels(image), data[f"{picture}_uint8"])
    checked = 0
    for i, scale in enumerate(data["scales"]):
        if f"{picture}_scale{i}" in data.files:
            assert error(resize_single_image(image, scale=float(scale)), data[f"{picture}_scale{i}"]) < 1e-6
            checked += 1
    for i, (h, w) in enumerate(data["shapes"]):
        if f"{picture}_shape{i}" in data.files:
            ours = resize_single_image(image, size=(int(h), int(w)))
            assert error(ours, data[f"{picture}_shape{i}"]) < 1e-6
            checked += 1
    twice = resize_single_image(resize_single_image(image, scale=0.75), scale=1 / 0.75)
    assert error(twice, data[f"{picture}_twice_0.75"]) < 1e-6
    assert checked >= 9


def test_resize_kernel_and_truncated_levels() -> None:
    data = load("resize")
    image = t(data["rand"])[0].permute(1, 2, 0).double().numpy()
    for scale, name in ((0.75, "0.75"), (1 / 0.75, "1.3333")):
        golden = data[f"rand_unquantised_scale{name}"]
        assert error(t(resize_array(image, scale=scale)), golden) < 1e-6
    for length, target in ((61, 31), (80, 60), (37, 50)):
        ours, index = axis_taps(length, target, target / length, target < length)
        golden_weights = data[f"contrib_{length}_{target}_weights"]
        golden_index = data[f"contrib_{length}_{target}_index"].astype(int)
        dense = np.zeros((2, target, length))
        for row in range(target):
            np.add.at(dense[0, row], index[row], ours[row])
            inside = golden_weights[row] != 0
            np.add.at(dense[1, row], golden_index[row][inside], golden_weights[row][inside])
        assert np.abs(dense[0] - dense[1]).max() < 1e-6


def test_truncation_loses_the_levels_that_the_reference_loses() -> None:
    data = load("resize")
    image = ((t(data["levels"]).float() / 255 - 0.5) * 2).reshape(1, 1, 1, 256)
    assert np.array_equal(levels(image).ravel(), data["levels_after_official_roundtrip"])


# --- networks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["generation", "retarget", "harmonization"])
@pytest.mark.parametrize("state", ["bn0_eval", "bn1_train", "bn1_eval"])
def test_generator_values_and_gradients(mode: str, state: str) -> None:
    data, tag = load("generator"), f"{mode}_{state}"
    net = Generator(8, 3, "lrelu", 0.05, state.startswith("bn1"), noisy_border=mode == "generation")
    for _ in range(3):
        net.grow()
    net.load_state_dict(weights(data, f"{state[:3]}_w/"))
    net.train(state.endswith("train"))
    kind = "gen" if mode == "generation" else "ret"
    noises = [t(data[f"noise_{kind}{i}"]).requires_grad_() for i in range(4)]
    out = net(noises, t(data["noise_amp"]), [(int(h), int(w)) for h, w in data["sizes"]])
    assert error(out, data[f"{tag}/out"]) < 1e-4
    out.sum().backward()

    noise_norms = torch.stack([z.grad.norm() for z in noises if z.grad is not None])
    assert error(noise_norms, data[f"{tag}/grad_noise_norms"]) < 1e-4
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    # The gradient of a bias that feeds a batch norm in training is zero; what is stored is rounding.
    void = {n for n in gradients if n.endswith("conv.bias")} if state == "bn1_train" else set()
    names = list(data[f"param_names_{state[:3]}"])
    norms = data[f"{tag}/grad_w_norms"]
    kept = [i for i, name in enumerate(names) if name not in void]
    ours = torch.stack([gradients[names[i]].norm() for i in kept])
    assert error(ours, norms[kept]) < 1e-4
    for name, gradient in weights(data, f"{tag}/grad_w/").items():
        if name not in void:
            assert error(gradients[name], gradient) < 1e-4, name
    for name, value in weights(data, f"{tag}/buffers_after/").items():
        assert error(net.state_dict()[name], value) < 1e-4, name


def make_critic(data: Any) -> Critic:
    critic = Critic(8, 3, "lrelu", 0.05)
    critic.load_state_dict(weights(data, "w/"))
    return critic


def test_critic_scores_and_losses() -> None:
    data = load("discriminator")
    critic = make_critic(data)
    real, fake = t(data["real"]), t(data["fake"]).requires_grad_()
    assert error(critic(real), data["out_real"]) < 1e-4
    assert error(critic(fake), data["out_fake"]) < 1e-4
    (adversarial,) = torch.autograd.grad(-critic(fake).mean(), fake)
    assert error(adversarial, data["adv_grad_fake"]) < 1e-4

    mix = float(data["gp_coef"][0])
    scores = critic(torch.cat([real, fake.detach()])).mean((1, 2, 3))
    gradient = critic.input_gradient(mix * real + (1 - mix) * fake.detach())
    total = scores[1] - scores[0] + float(data["lambda_grad"]) * pixel_gradient_penalty(gradient)
    assert error(total, data["errD_total"]) < 1e-4
    total.backward()
    for name, p in critic.named_parameters():
        if name == "tail.bias":  # real and fake scores cancel: exactly 0 there, rounding here
            assert float(p.grad.abs()) < 1e-6
        else:
            assert error(p.grad, data[f"total_grad/{name}"]) < 1e-4, name


@pytest.mark.parametrize("i", [0, 1, 2])
def test_penalty_without_double_backward(i: int) -> None:
    data = load("discriminator")
    critic = make_critic(data)
    mix = float(data["gp_coef"][i])
    gradient = critic.input_gradient(mix * t(data["real"]) + (1 - mix) * t(data["fake"]))
    if i == 0:
        assert error(gradient, data["gp0_input_gradient"]) < 1e-4
        assert error(gradient.norm(dim=1), data["gp0_pixel_norms"]) < 1e-4
    penalty = float(data["lambda_grad"]) * pixel_gradient_penalty(gradient)
    assert error(penalty, data[f"gp{i}"]) < 1e-4
    penalty.backward()
    for name, p in critic.named_parameters():
        golden = data[f"gp{i}_grad/{name}"]
        if name.endswith("bias"):  # a piecewise linear critic's input gradient does not know its biases
            assert p.grad is None
            assert np.abs(golden).max() < 1e-12
        else:
            assert error(p.grad, golden) < 1e-4, name


@pytest.mark.parametrize("activation", ["elu", "prelu", "selu"])
def test_penalty_of_other_activations_is_the_double_backward(activation: Any) -> None:
    torch.manual_seed(0)
    critic = Critic(4, 2, activation, 0.3).double()
    image = torch.rand(1, 3, 16, 18, dtype=torch.float64)
    gradient = critic.input_gradient(image)
    step = 1e-6
    probe = torch.zeros_like(image)
    probe[0, 1, 7, 9] = step
    numeric = (critic(image + probe).sum() - critic(image - probe).sum()) / (2 * step)
    assert float((gradient[0, 1, 7, 9] - numeric).detach()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("activation", ["lrelu", "elu", "prelu", "selu"])
def test_weight_gradients_of_the_penalty_are_finite_differences(activation: Any) -> None:
    torch.manual_seed(0)
    critic = Critic(4, 2, activation, 0.3).double()
    with torch.no_grad():
        for p in critic.parameters():  # larger than at the start, so that every weight counts
            p.copy_(torch.randn_like(p) * 0.3)
    image = torch.rand(1, 3, 12, 14, dtype=torch.float64) * 2 - 1

    def penalty() -> Tensor:
        return pixel_gradient_penalty(critic.input_gradient(image))

    penalty().backward()
    step, rng, compared = 1e-7, np.random.default_rng(0), 0
    for name, p in critic.named_parameters():
        if p.grad is None:
            assert name.endswith("bias"), name
            continue
        values, gradient = p.data.view(-1), p.grad.view(-1)
        for i in rng.choice(values.numel(), min(4, values.numel()), replace=False):
            own = float(values[i])
            ends = []
            for there in (own + step, own - step):
                values[i] = there
                ends.append(float(penalty().detach()))
            values[i] = own
            numeric = (ends[0] - ends[1]) / (2 * step)
            assert float(gradient[i]) == pytest.approx(numeric, rel=1e-5, abs=1e-6), (name, i)
            compared += 1
    assert compared >= 16


# --- the whole training -----------------------------------------------------------------------------------


class Recorded(Context):
    """A context whose random draws come from the golden file, in the official order."""

    def feed(self, data: Any, k: int) -> None:
        self.levels = [t(data[f"s{k}/draw_noise_level{j}"]).double() for j in range(k + 1)]
        self.mixes = t(data[f"s{k}/draw_gp_coef"]).double()
        self.noise_calls = self.mix_calls = 0

    def randn(self, channels: int, height: int, width: int) -> Tensor:
        if self.opening is not None:
            noise, self.opening = self.opening, None
        else:
            level = self.noise_calls % len(self.levels)
            noise = self.levels[level][self.step][None]
            self.noise_calls += 1
        assert noise.shape == (1, channels, height, width)
        return noise

    def rand(self) -> Tensor:
        i = self.mix_calls % self.mixes.shape[1]
        self.mix_calls += 1
        return self.mixes[self.step, i]

    opening: Tensor | None = None


def new_trainee(data: Any, iterations: int) -> ConSinGAN:
    config = ConSinGANConfig(stages=3, channels=8, train_depth=2, max_size=64, iterations=iterations)
    model = ConSinGAN(config, DataShape(50, 64)).double()
    assert model.sizes == [tuple(data[f"real{i}"].shape[2:]) for i in range(3)]
    model.real.copy_(t(data["real2"]))
    model.reals = {0: t(data["real0"]).double(), 1: t(data["real1"]).double()}
    model.load_state_dict(
        {
            **{f"generator.{k}": v for k, v in weights(data, "init/G/").items()},
            **{f"critic.{k}": v for k, v in weights(data, "init/D/").items()},
        },
        strict=False,
    )
    return model


def stages_of_run(data: Any, run: str, n: int) -> Iterator[tuple[int, ConSinGAN, dict[str, list[Tensor]]]]:
    """Train end to end in float64, and hand out model and losses after every stage."""
    model = new_trainee(data, n)
    for stage in model.stages():
        k = stage.index
        ctx = Recorded(torch.device("cpu"), torch.Generator(), stage, dtype=torch.float64)
        ctx.feed(data, k)
        model.enter(stage)
        if k == 0:
            model.fixed_noise(0).copy_(model.real_at(0))
        else:
            ctx.opening = t(data[f"s{k}/draw_z_opt"]).double()
            model.prepare(stage, None, ctx)  # type: ignore[arg-type]
        assert error(model.noise_amps[k], data[f"{run}/s{k}/noise_amp"]) < 1e-6
        log: dict[str, list[Tensor]] = {}
        for ctx.step in range(n):
            log.setdefault("picture", []).append(model.reconstruct())  # as this iteration's losses see it
            for name, value in model.train_step(None, ctx).items():
                log.setdefault(name, []).append(value)
            rates = [g["lr"] for g in model.optimizers["generator"].param_groups]
            log.setdefault("generator_rate", []).append(torch.tensor(rates[-1]))  # the tail's
            log.setdefault("critic_rate", []).append(torch.tensor(model.optimizers["critic"].param_groups[0]["lr"]))
            if ctx.step == 0:
                assert rates == pytest.approx(list(data[f"{run}/s{k}/lr_groups_first_iteration"]), rel=1e-6)
                if f"{run}/s{k}/after_iter1/D/tail.bias" in data.files:
                    check_weights(model, data, f"{run}/s{k}/after_iter1", 1e-6)
        yield k, model, log
        for module in (model.generator, model.critic):  # the recorded runs round to float32 between stages
            for p in module.parameters():
                p.data.copy_(p.data.float().double())


def check_weights(model: ConSinGAN, data: Any, prefix: str, tolerance: float) -> None:
    for letter, module in (("G", model.generator), ("D", model.critic)):
        golden = weights(data, f"{prefix}/{letter}/")
        own = module.state_dict()
        assert golden.keys() == own.keys()
        for name, value in golden.items():
            assert error(own[name], value) < tolerance, (prefix, letter, name)


def test_training_trajectory_end_to_end() -> None:
    data, run = load("trajectory"), "A_niter15_f64"
    seen = 0
    for k, model, log in stages_of_run(data, run, 15):
        prefix = f"{run}/s{k}"
        # Of the critic's three updates an iteration we log the last one.
        pairs = {
            "critic_real": data[f"{prefix}/errD_real"][:, -1],
            "critic_fake": data[f"{prefix}/errD_fake"][:, -1],
            "penalty": data[f"{prefix}/gp"][:, -1],
            "adversarial": data[f"{prefix}/errG"],
            "reconstruction": data[f"{prefix}/rec_loss"],
            "generator_rate": data[f"{prefix}/lr_G_top"],
            "critic_rate": data[f"{prefix}/lr_D"],
        }
        for name, golden in pairs.items():
            assert error(torch.stack(log[name]), golden) < 1e-6, (k, name)
        check_weights(model, data, f"{prefix}/final", 1e-6)
        assert error(log["picture"][0], data[f"{prefix}/rec_iter1"]) < 1e-6
        assert error(log["picture"][-1], data[f"{prefix}/rec_last"]) < 1e-6
        seen += 1
    assert seen == 3


def test_milestone_that_modern_pytorch_skips_is_hit_by_truncation() -> None:
    """0.8 * 12 = 9.6: the official code under torch 1.1 decays from iteration 10; we round down, and decay at 9.

    The first nine iterations of a stage must then agree with both recorded variants.
    """
    data, run = load("trajectory"), "B_niter12_bisect_f64"
    for k, _, log in stages_of_run(data, run, 12):
        if k == 0:
            golden = data[f"{run}/s0/rec_loss"]
            assert error(torch.stack(log["reconstruction"])[:10], golden[:10]) < 1e-6
            for name in ("generator_rate", "critic_rate"):
                assert [float(rate) for rate in log[name]] == pytest.approx([5e-4] * 9 + [5e-5] * 3)
            break


def test_logged_config_of_the_trajectory_is_the_papers() -> None:
    published = dict(
        stages=6,
        max_size=250,
        iterations=2000,
        train_depth=3,
        lr_scale=0.1,
        channels=64,
        layers=3,
        activation="lrelu",
        slope=0.05,
        batch_norm=False,
        lr_g=5e-4,
        lr_d=5e-4,
        beta1=0.5,
        beta2=0.999,
        decay=0.1,
        decay_at=0.8,
        critic_steps=3,
        generator_steps=3,
        penalty=0.1,
        reconstruction=10.0,
        noise_amp=0.1,
        penalty_every=1,
        crop=0,
    )
    config = dataclasses.asdict(ConSinGANConfig())
    assert {name: config[name] for name in published} == published
    assert ConSinGANConfig().coarsest == 25
    assert ConSinGANConfig(mode="animation").coarsest == 20


# --- animation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0, 1, 2])
def test_animation(start: int) -> None:
    data = load("animation")
    net = Generator(8, 3, "lrelu", 0.05, False, noisy_border=True)
    net.grow()
    net.grow()
    net.load_state_dict(weights(data, "w/"))
    sizes = [(int(h), int(w)) for h, w in data["sizes"]]
    draws = iter([[t(data[f"noise_call{c}_stage{i}"]) for i in range(3)] for c in range(5)])
    walk = noise_walk([t(data[f"fixed_noise{i}"]) for i in range(3)], draws, 0.1, 0.9, start)
    frames = 0
    for frame, noises in enumerate(walk):
        for i, noise in enumerate(noises):
            name = f"start{start}/z_frame{frame}_stage{i}"
            if name in data.files:
                assert error(noise, data[name]) < 1e-5
        with torch.no_grad():
            picture = net(noises, t(data["noise_amp"]), sizes)
        if start == 1:
            assert error(picture, data[f"start1/sample_frame{frame}"]) < 1e-5
        assert np.array_equal(levels(picture), data[f"start{start}/uint8_frame{frame}"])
        frames += 1
    assert frames == 4
