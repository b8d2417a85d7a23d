"""pix2pix against three recorded iterations of its PyTorch port, in three set-ups, and its losses and penalty."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gantool.data.batches import Batch
from gantool.data.translator_layouts import port_modules
from gantool.engine.model import Context
from gantool.families.pix2pix.config import Pix2PixConfig
from gantool.families.pix2pix.model import GAMES, Pix2Pix
from gantool.family import DataShape
from gantool.losses.penalties import gradient_penalty
from gantool.nn.patchgan import PatchGAN

FOLDER = Path(__file__).parents[1] / "golden"
TRAIN, FORWARD = (np.load(FOLDER / f"pix2pix_{name}.npz") for name in ("train", "forward"))

SETUPS = {
    "A": {"size": 64, "layers": 6, "width_g": 2, "norm": "batch", "patch": 70, "loss": "bce"},
    "B": {"size": 32, "arch": "resnet", "blocks": 2, "norm": "instance", "dropout": 0.0, "patch": 34, "loss": "lsgan"},
    "C": {"size": 32, "layers": 5, "norm": "batch", "patch": 1, "loss": "wasserstein"},
}


def golden(name, file=TRAIN):
    return torch.from_numpy(file[name]).double()


def close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6 * float(wanted.abs().max()))


def network_weights(network, prefix):
    """The recorded state of a network under our names."""
    found = {}
    for ours, theirs in port_modules(network, dropout=False).items():
        for key in network.state_dict():
            name = f"{prefix}/{theirs}{key.removeprefix(ours)}"
            if key.rpartition(".")[0] == ours and name in TRAIN.files:
                found[key] = golden(name)
    return found


def widths(run):
    """Channels next to the picture of both networks, as they were recorded."""
    g = next(
        TRAIN[k].shape[0] for k in (f"{run}/init/G/model.model.0.weight", f"{run}/init/G/model.1.weight") if k in TRAIN
    )
    d = next(TRAIN[k].shape[0] for k in (f"{run}/init/D/model.0.weight", f"{run}/init/D/net.0.weight") if k in TRAIN)
    return {"width_g": g, "width_d": d}


class Injected(Context):
    """Hands out the recorded masks of dropout, in order."""

    def uniform(self, count, *shape):
        mask = self.masks.pop(0)
        assert mask.shape == (count, *shape)
        return mask


@pytest.mark.parametrize("run", SETUPS)
def test_three_iterations(run):
    options = {**SETUPS[run], **widths(run)}
    x = golden(f"{run}/real_A0")
    config = Pix2PixConfig(load_size=options["size"], batch=len(x), steps=3, **options)
    model = Pix2Pix(config, DataShape(options["size"], options["size"], count=3, given=3)).double()
    players = {"G": model.generator, "D": model.discriminator}
    for letter, network in players.items():
        weights = network_weights(network, f"{run}/init/{letter}")
        assert weights.keys() == network.state_dict().keys()
        network.load_state_dict(weights)
    (stage,) = model.stages()
    model.enter(stage)
    ctx = Injected(torch.device("cpu"), torch.Generator(), stage, dtype=torch.float64)
    ctx.masks = [golden(f"{run}/mask{i}_0") for i in range(3)] if run == "A" else []
    for step in range(3):
        ctx.step = 0  # the recorded rates do not fall
        batch = Batch(golden(f"{run}/real_B{step}"), None, golden(f"{run}/real_A{step}"))
        found = model.train_step(iter([batch]), ctx)
        for ours, theirs in (("d_loss", "D"), ("adversarial", "G_GAN"), ("g_loss", "G")):
            close(found[ours], golden(f"{run}/loss_{theirs}")[step])
        close(100 * found["l1"], golden(f"{run}/loss_G_L1")[step])
        if step == 0:
            for ours, theirs in port_modules(model.generator, dropout=False).items():
                for name, parameter in model.generator.named_parameters():
                    recorded = f"{run}/step1/gradG/{theirs}{name.removeprefix(ours)}"
                    if name.rpartition(".")[0] == ours and not vanishing(run, name, model.generator):
                        close(parameter.grad, golden(recorded))
            compare(run, model.discriminator, f"{run}/step1/D")
    assert not ctx.masks
    for letter, network in players.items():
        compare(run, network, f"{run}/final/{letter}")


def vanishing(run, name, network):
    """Biases before instance norm: their gradient is rounding noise, and Adam makes steps of that."""
    module, _, kind = name.rpartition(".")
    if run != "B" or kind != "bias":
        return False
    names = [key for key, _ in network.named_modules()]
    following = names[names.index(module) + 1] if names.index(module) + 1 < len(names) else ""
    return type(dict(network.named_modules()).get(following)).__name__ == "InstanceNorm2d"


def compare(run, network, prefix):
    recorded, own, compared = network_weights(network, prefix), network.state_dict(), 0
    for key, value in recorded.items():
        if not vanishing(run, key, network):
            close(own[key].double(), value)
            compared += 1
    assert compared >= len(own) // 2


@pytest.mark.parametrize(("ours", "theirs"), [("bce", "vanilla"), ("lsgan", "lsgan"), ("wasserstein", "wgangp")])
def test_losses(ours, theirs):
    loss = GAMES[ours]
    for kind in ("real", "fake"):
        scores = golden(f"loss/pred_{kind}", FORWARD)
        close(loss.real(scores), golden(f"loss/{theirs}_pred_{kind}_target_real", FORWARD))
        close(loss.generator(scores), golden(f"loss/{theirs}_pred_{kind}_target_real", FORWARD))
        close(loss.fake(scores), golden(f"loss/{theirs}_pred_{kind}_target_fake", FORWARD))


def test_gradient_penalty():
    network = PatchGAN(6, 70, 4, norm="instance").double()
    names = {theirs: ours for ours, theirs in port_modules(network).items()}
    prefix = "nlayer3_instance/w/"
    network.load_state_dict(
        {
            f"{names[key.removeprefix(prefix).rpartition('.')[0]]}.{key.rpartition('.')[2]}": golden(key, FORWARD)
            for key in FORWARD.files
            if key.startswith(prefix)
        }
    )
    x, y = golden("x32", FORWARD), golden("y32", FORWARD)
    alpha = golden("gp/alpha", FORWARD)[..., None, None]
    penalty = gradient_penalty(network, torch.cat([x, y], 1), torch.cat([y, x], 1), 1 - alpha)
    close(10 * penalty, golden("gp/mixed_c1_l10", FORWARD))
    norms = golden("gp/grad_norms", FORWARD)
    close(penalty, (norms - 1).square().mean())
