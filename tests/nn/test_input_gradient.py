"""The explicit input gradient against autograd's double backward, closed forms and the SinGAN code's numbers."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gantool.losses.penalties import pixel_gradient_penalty
from gantool.nn.input_gradient import StandardizeBackward, input_gradient
from gantool.nn.norm import untracked

GOLDEN = Path(__file__).parents[1] / "golden" / "singan_generator.npz"
SLOPE = 0.2


class Critic(nn.Module):
    """Any number of blocks of convolution, batch norm and LeakyReLU, and a convolution to one channel."""

    def __init__(self, *widths, kernel=3, dtype=torch.float64):
        super().__init__()
        pairs = zip((3, *widths[:-1]), widths, strict=True)
        self.blocks = nn.ModuleList(
            nn.ModuleList((nn.Conv2d(i, o, kernel), nn.BatchNorm2d(o), nn.LeakyReLU(SLOPE))) for i, o in pairs
        )
        self.tail = nn.Conv2d(widths[-1], 1, kernel)
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for p in self.parameters():
                p.normal_(0, 0.3, generator=generator)
            for _, norm, _ in self.blocks:
                norm.weight += 1
                norm.bias += 0.4  # far from zero: most of the units are on
        self.to(dtype)

    def forward(self, x):
        for conv, norm, activation in self.blocks:
            x = activation(norm(conv(x)))
        return self.tail(x)

    def quick(self, image):
        return input_gradient([(conv, norm) for conv, norm, _ in self.blocks], self.tail, SLOPE, image)

    def plain(self, image):
        image = image.clone().requires_grad_()
        return torch.autograd.grad(self(image).sum(), image, create_graph=True)[0]


def picture(*shape, dtype=torch.float64, seed=5):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gradients(critic, gradient):
    """Of the penalty to every parameter that has one; the rest are zero."""
    critic.zero_grad()
    pixel_gradient_penalty(gradient).backward()
    return {k: torch.zeros_like(p) if p.grad is None else p.grad.clone() for k, p in critic.named_parameters()}


def assert_same(critic, image, tolerance):
    other = copy.deepcopy(critic)
    quick, plain = critic.quick(image), other.plain(image)
    assert plain.abs().max() > 0.01
    torch.testing.assert_close(quick, plain, rtol=tolerance, atol=tolerance * plain.abs().max().item())
    want = gradients(other, plain)
    for name, got in gradients(critic, quick).items():
        # Zero in exact arithmetic for what a norm takes out, for the last norm's bias and for the tail's.
        scale = want[name].abs().max().item() or 1.0
        if "0.bias" in name:
            scale = 1.0
        torch.testing.assert_close(got, want[name], rtol=0, atol=tolerance * scale, msg=lambda m, n=name: f"{n}: {m}")
    for (name, got), expected in zip(critic.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance, msg=name)


def standardize_backward(q, x, eps=1e-5):
    """The statistics as functions of x that autograd does not see, as inside a network."""
    with torch.no_grad():
        s = (x.var((0, 2, 3), unbiased=False) + eps).rsqrt()
        mean = x.mean((0, 2, 3))
    return StandardizeBackward.apply(q, x, mean, s)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_standardize_backward_is_the_formula(layout):
    q, x = (picture(2, 3, 4, 5, seed=seed).contiguous(memory_format=layout) for seed in (1, 2))
    x = 2 * x + 3
    over = {"dim": (0, 2, 3), "keepdim": True}
    s = (x.var(**over, unbiased=False) + 1e-5).rsqrt()
    u = (x - x.mean(**over)) * s
    want = s * (q - q.mean(**over) - u * (q * u).mean(**over))
    torch.testing.assert_close(standardize_backward(q, x), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("eps", [1e-5, 0.5])  # a large one makes mean(u^2) differ from 1
def test_gradients_of_standardize_backward_are_those_of_finite_differences(layout, eps):
    q, x = (picture(2, 3, 3, 4, seed=seed).contiguous(memory_format=layout).requires_grad_() for seed in (1, 2))
    assert torch.autograd.gradcheck(lambda q, x: standardize_backward(q, x, eps), (q, x))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("samples", [1, 3])
def test_value_weight_gradients_and_statistics_are_those_of_double_backward(layout, samples):
    critic = Critic(8, 8, 8, 8).to(memory_format=layout)
    assert_same(critic, picture(samples, 3, 17, 20).contiguous(memory_format=layout), 1e-10)


@pytest.mark.parametrize(("widths", "kernel"), [((4,), 3), ((5, 7, 6), 3), ((4, 6), 5), ((4, 6), 1)])
def test_other_depths_widths_and_kernels(widths, kernel):
    assert_same(Critic(*widths, kernel=kernel), picture(2, 3, 15, 16), 1e-10)


def test_single_precision():
    assert_same(Critic(8, 8, 8, 8, dtype=torch.float32), picture(1, 3, 24, 31, dtype=torch.float32), 1e-4)


def test_single_precision_with_means_far_from_zero():
    critic = Critic(8, 8, 8)
    with torch.no_grad():
        for conv, _, _ in critic.blocks:
            conv.bias += 100  # some fifty standard deviations
    image = picture(1, 3, 24, 31)
    want = gradients(critic, critic.plain(image))
    single = copy.deepcopy(critic).float()
    for name, got in gradients(single, single.quick(image.float())).items():
        if "0.bias" not in name:
            atol = 1e-3 * (want[name].abs().max().item() or 1.0)
            torch.testing.assert_close(got.double(), want[name], rtol=0, atol=atol, msg=name)


@pytest.mark.parametrize("case", ["eval", "one in eval", "cumulative average"])
def test_what_goes_by_double_backward(case):
    critic = Critic(4, 4, 4)
    norms = [norm for _, norm, _ in critic.blocks]
    critic.plain(picture(1, 3, 12, 12))  # statistics of its own
    if case == "cumulative average":
        norms[0].momentum = None
    for norm in norms if case == "eval" else norms[:1] if case == "one in eval" else []:
        norm.eval()
    assert_same(critic, picture(1, 3, 12, 12, seed=9), 1e-10)


def test_untracked_norms_keep_their_statistics():
    critic = Critic(4, 4)
    before = copy.deepcopy(dict(critic.named_buffers()))
    with untracked(critic):
        quick = critic.quick(picture(1, 3, 9, 9))
    assert all(torch.equal(before[k], b) for k, b in critic.named_buffers())
    torch.testing.assert_close(quick, critic.plain(picture(1, 3, 9, 9)))


def test_an_image_that_wants_a_gradient_and_a_convolution_without_bias():
    critic = Critic(4, 4)
    for conv, _, _ in critic.blocks:
        conv.bias = None
    image = picture(1, 3, 11, 12)
    want = critic.plain(image)
    torch.testing.assert_close(critic.quick(image.requires_grad_()), want)


def test_the_numbers_of_the_singan_code():
    golden = np.load(GOLDEN, allow_pickle=False)
    critic = Critic(8, 8, 8, 8, dtype=torch.float32)
    parts = ["conv", "norm"]
    blocks = ["head", "body.block1", "body.block2", "body.block3"]
    ours = {f"{official}.{part}": (k, j) for k, official in enumerate(blocks) for j, part in enumerate(parts)}

    def named(prefix):
        for key in golden.files:
            if key.startswith(prefix):
                name = key.removeprefix(prefix)
                module, _, leaf = name.rpartition(".")
                k, j = ours.get(module, (None, None))
                yield ("tail" if k is None else f"blocks.{k}.{j}") + f".{leaf}", torch.from_numpy(golden[key])

    critic.load_state_dict(dict(named("D/")))
    real, fake = (torch.from_numpy(golden[key]) for key in ("real", "train/G_out"))
    e = float(golden["gp_coef"])
    for image in (real, fake):
        critic(image)  # the penalty is the third of the recorded forward passes
    gradient = critic.quick(e * real + (1 - e) * fake)
    penalty = 0.1 * pixel_gradient_penalty(gradient)
    assert penalty.item() == pytest.approx(float(golden["train/gp"]), rel=1e-4)
    got = gradients(critic, gradient)
    compared = 0
    for name, want in named("train/D_grad_w_gp/"):
        if ".0.bias" in name:
            continue
        scale = want.abs().max().item()
        torch.testing.assert_close(0.1 * got[name], want, rtol=0, atol=1e-4 * scale, msg=name)
        compared += scale > 0
    assert compared == 12  # five convolutions, four gains, three biases: the last norm's cannot matter
    buffers = dict(critic.named_buffers())
    for name, want in named("train/D_buffers_after_real_fake_gp/"):
        torch.testing.assert_close(buffers[name].float(), want, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_same_on_cuda(layout):
    critic = Critic(6, 5).cuda().to(memory_format=layout)
    assert_same(critic, picture(1, 3, 21, 19).cuda().to(memory_format=layout), 1e-9)
