"""What two processes agree on, and what becomes of one whose peer has gone."""

import os
import signal
import time

import pytest
import torch
from torch import nn

from gantool.engine.world import World, current_world, join_world
from gantool.errors import Diverged, GantoolError, Interrupted, PeerLost
from gantool.nn.ranks import is_loss

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forked")


@pytest.fixture
def two(in_processes):
    """Call `work(rank)` in two processes; what each returned, and how it ended."""
    return lambda work: in_processes(2, work)


def all_that_is_agreed(rank):
    assert current_world() == World()
    with join_world() as world:
        assert (world.rank, world.size, world.first) == (rank, 2, rank == 0)
        assert current_world() is world
        with join_world(torch.device("cpu")) as again:
            assert again is world
        a, b = torch.tensor([1.0, 5.0]) * (rank + 1), torch.tensor(2.0 + rank, dtype=torch.float64)
        c = torch.arange(12.0).view(1, 3, 2, 2).to(memory_format=torch.channels_last)
        expected = c * 1.5
        c *= rank + 1
        world.average([a, b, c])
        assert a.tolist() == [1.5, 7.5]
        assert b.item() == 2.5
        assert torch.equal(c, expected)
        p, unused = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.ones(3))
        p.grad = torch.full((2, 2), 1.0 + 2 * rank)
        world.average_gradients([p, unused])
        assert p.grad.tolist() == [[2, 2], [2, 2]]
        assert unused.grad is None
        told = [torch.full((2,), 3.0 + rank, requires_grad=True), torch.tensor(7 + rank), torch.tensor([not rank])]
        world.broadcast(told)
        assert [t.tolist() for t in told] == [[3, 3], 7, [True]]
        assert world.any(rank == 1, False, True) == (True, False, True)
        assert world.broadcast_object({"rank": rank, "list": [None, 1.5]}) == {"rank": 0, "list": [None, 1.5]}
        assert world.gather_objects(("of", rank)) == ([("of", 0), ("of", 1)] if rank == 0 else None)
        world.barrier()
        net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        with torch.no_grad():
            for tensor in net.state_dict().values():
                tensor.fill_(1)
        assert world.parameters_agree(net)
        if rank == 1:
            net[1].running_mean[0] += 1e-6
        assert not world.parameters_agree(net)
    assert current_world() == World()
    assert not torch.distributed.is_initialized()
    return "agreed"


def test_two_processes_agree(two):
    assert two(all_that_is_agreed) == [("agreed", 0)] * 2


@pytest.mark.parametrize(
    "wait",
    [
        lambda world: world.average([torch.zeros(3)]),
        lambda world: world.any(True),
        lambda world: world.broadcast_object(1),
        lambda world: world.gather_objects(1),
        lambda world: world.parameters_agree(nn.Linear(1, 1)),
    ],
    ids=["average", "any", "broadcast", "gather", "agree"],
)
def test_a_peer_that_is_killed_is_noticed_at_once(two, wait):
    def until_it_is_lost(rank):
        with join_world() as world:
            world.barrier()
            if rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            for _ in range(100):  # what is sent into the void is noticed later
                wait(world)

    def work(rank):
        began = time.monotonic()
        with pytest.raises(PeerLost) as caught:
            until_it_is_lost(rank)
        assert time.monotonic() - began < 20
        error = caught.value
        return error.code, error.exit_code, error.quiet, error.what

    said = str(("peer_lost", 1, True, "Another process of this training has ended."))
    assert two(work) == [(said, 0), (None, -signal.SIGKILL)]


def how_it_ends(failing, rank, error=Diverged):
    try:
        with join_world() as world:
            world.barrier()
            if rank in failing:
                time.sleep(0.3 * (rank == 0))
                raise error("Not finite.")
            world.barrier()
    except GantoolError as error:
        return f"{error.code}, {'quiet' if error.quiet else 'speaks'}"


def test_one_speaks_where_all_have_the_same_to_say(two):
    found = two(lambda rank: how_it_ends({0, 1}, rank))
    assert sorted(found) == [("diverged, quiet", 0), ("diverged, speaks", 0)]


def test_of_an_interruption_the_first_process_speaks(two):
    """The other one does not know yet how the first has left the run."""
    found = two(lambda rank: how_it_ends({0, 1}, rank, Interrupted))
    assert found == [("interrupted, speaks", 0), ("interrupted, quiet", 0)]


@pytest.mark.parametrize("who", [0, 1])
def test_the_one_that_fails_speaks(two, who):
    found = two(lambda rank: how_it_ends({who}, rank))
    assert found[who] == ("diverged, speaks", 0)
    assert found[1 - who] == ("peer_lost, quiet", 0)


def test_gradients_of_other_sizes_are_found_when_looking_for_mistakes(two, monkeypatch):
    monkeypatch.setenv("GANTOOL_DEBUG", "1")

    def work(rank):
        p = nn.Parameter(torch.zeros(2 + rank))
        p.grad = torch.ones(2 + rank)
        with join_world() as world, pytest.raises(RuntimeError, match=f"{2 + rank} numbers"):
            world.average_gradients([p])
        return "found"

    assert two(work) == [("found", 0)] * 2


def test_mistakes_stay_mistakes(two):
    def work(rank):
        with join_world() as world, pytest.raises(RuntimeError) as caught:
            world.average([torch.zeros(2, dtype=torch.float8_e4m3fn)])
        return isinstance(caught.value, PeerLost)

    assert two(work) == [("False", 0)] * 2


@pytest.mark.parametrize(
    ("error", "loss"),
    [
        (RuntimeError("[/x/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1"), True),
        (
            RuntimeError("[enforce fail at gloo/transport/tcp/pair.cc:446] op.preamble.length <= op.nbytes. 8 vs 4"),
            False,
        ),
        (RuntimeError("the connection of these shapes timed out"), False),
        (torch.distributed.DistBackendError("NCCL error: ncclRemoteError: a remote process exited prematurely"), True),
        (torch.distributed.DistBackendError("NCCL error: ncclInvalidUsage: Duplicate GPU detected"), False),
        (torch.distributed.DistNetworkError("Failed to recv, got 0 bytes. Connection was likely closed."), True),
        (OSError("Connection reset by peer"), False),
    ],
)
def test_what_is_taken_for_a_lost_peer(error, loss):
    assert is_loss(error) is loss


def test_a_lost_peer_is_one_wherever_it_is_noticed(two):
    def work(rank):
        with pytest.raises(PeerLost), join_world() as world:  # noqa: PT012
            world.barrier()
            if rank == 1:
                os._exit(9)
            for _ in range(100):
                torch.distributed.all_reduce(torch.zeros(1))  # as in compiled code
        return "lost"

    assert two(work) == [("lost", 0), (None, 9)]


def test_nobody_comes(monkeypatch, two):
    from datetime import timedelta

    from gantool.engine import world as module

    monkeypatch.setattr(module, "MEETING", timedelta(seconds=1))

    def work(rank):
        if rank == 1:
            return "stays away"
        with pytest.raises(GantoolError, match=r"did not meet at 127\.0\.0\.1") as caught, join_world():
            pass
        return caught.value.quiet

    assert two(work) == [("False", 0), ("stays away", 0)]


def test_alone_nothing_happens():
    with join_world() as world:
        assert world == current_world() == World(0, 1)
        tensor = torch.tensor([1.0, 2.0])
        world.average([tensor])
        world.broadcast([tensor])
        world.barrier()
        assert tensor.tolist() == [1, 2]
        assert world.any(True, False) == (True, False)
        assert world.broadcast_object("a") == "a"
        assert world.gather_objects("a") == ["a"]
        assert world.parameters_agree(nn.Linear(1, 1))
        assert not torch.distributed.is_initialized()
