"""Batch norm over the batches of two processes, against one process with the whole batch."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from gantool.nn.norm import synchronize_batch_norm

CUTS = {"halves": [3, 3], "unequal parts": [5, 2]}

# Run by each of two processes with its part of each batch, and by one with the whole: outputs, gradients, derivatives
# of gradients, statistics.
WORK = """
import sys
import torch, torch.distributed as dist
from torch import nn
from gantool.nn.norm import evaluating, synchronize_batch_norm, untracked

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.flat = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 36, 5)
        self.last = nn.BatchNorm1d(5, momentum=None, affine=False)
        self.out = nn.Linear(5, 1)
    def forward(self, x):
        return self.out(self.last(self.flat(torch.tanh(self.norm(self.conv(x))).flatten(1))).sin()).squeeze(1)

def work(given, rank, world):
    net = Net().double()
    names = list(net.state_dict())
    net.load_state_dict(given["net"])
    synchronize_batch_norm(net)
    assert list(net.state_dict()) == names
    assert isinstance(net.norm, nn.BatchNorm2d)
    parts = given["cuts"] if world > 1 else [sum(given["cuts"])]
    x = given["x"].split(parts)[rank].clone().requires_grad_()
    with untracked(net):
        first = net(x)
    y = net(x)
    # The mean over the whole batch: each process adds its share.
    share = world * len(x) / len(given["x"])
    (share * y.square().mean()).backward(retain_graph=True)
    found = {"y": y.detach(), "untracked": first.detach(), "dx": x.grad.clone() / world}
    found["dw"] = {n: p.grad.clone() for n, p in net.named_parameters()}
    net.zero_grad()
    [slope] = torch.autograd.grad(y.sum(), x, create_graph=True)
    penalty = share * (slope.flatten(1).norm(dim=1) - 1).square().mean()
    penalty.backward()
    found["slope"] = slope.detach()
    found["ddw"] = {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in net.named_parameters()}
    found["statistics"] = {n: b.clone() for n, b in net.named_buffers()}
    with evaluating(net):
        if rank == 0:  # alone: nobody is waited for
            found["evaluated"] = net(given["x"]).detach()
    assert net.norm.training
    return found

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, rank = sys.argv[1], int(sys.argv[2])
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    given = torch.load(f"{folder}/given.pt", weights_only=True)
    torch.save({name: work(case, rank, 2) for name, case in given.items()}, f"{folder}/{rank}.pt")
"""


@pytest.fixture(scope="module")
def given():
    """For each way to cut it, a network and a batch."""
    torch.manual_seed(3)
    cases = {}
    for name, cuts in CUTS.items():
        net = nn.ModuleDict(
            {
                "conv": nn.Conv2d(3, 4, 3),
                "norm": nn.BatchNorm2d(4),
                "flat": nn.Linear(4 * 36, 5),
                "last": nn.BatchNorm1d(5, momentum=None, affine=False),
                "out": nn.Linear(5, 1),
            }
        ).double()
        nn.init.normal_(net["norm"].weight), nn.init.normal_(net["norm"].bias)
        x = 5 + torch.randn(sum(cuts), 3, 8, 8, dtype=torch.float64)
        cases[name] = {"net": net.state_dict(), "x": x, "cuts": cuts}
    return cases


@pytest.fixture(scope="module")
def found(given, tmp_path_factory):
    """What each of two processes found, for each way to cut the batch."""
    folder = tmp_path_factory.mktemp("processes")
    torch.save(given, folder / "given.pt")
    (folder / "work.py").write_text(WORK)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    words = [sys.executable, str(folder / "work.py"), str(folder)]
    started = [subprocess.Popen([*words, str(rank)], env=environment) for rank in range(2)]
    assert [process.wait(timeout=60) for process in started] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("cuts", CUTS)
def test_two_processes_are_one_with_the_whole_batch(given, found, cuts):
    alone = {"__name__": "work"}
    exec(WORK, alone)
    whole, parts = alone["work"](given[cuts], 0, 1), [process[cuts] for process in found]

    def same(found, expected):
        assert expected.double().abs().max() > 1e-6
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)

    for name in ("y", "untracked", "dx", "slope"):
        same(torch.cat([part[name] for part in parts]), whole[name])
    for name in ("dw", "ddw"):
        for key, expected in whole[name].items():
            mean = (parts[0][name][key] + parts[1][name][key]) / 2
            torch.testing.assert_close(mean, expected, rtol=1e-6, atol=1e-10)
        assert whole[name]["conv.weight"].abs().max() > 1e-6
    for part in parts:
        for key, expected in whole["statistics"].items():
            same(part["statistics"][key], expected)
    same(parts[0]["evaluated"], whole["evaluated"])


def test_alone_nothing_changes():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm1d(3))
    synchronize_batch_norm(net)
    assert [type(norm) for norm in net] == [nn.BatchNorm2d, nn.BatchNorm1d]
