"""What running out of memory looks like, and what it becomes."""

import pytest
import torch

from gantool.engine.devices import enough_memory, is_memory_error
from gantool.errors import MemoryShort


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("whatever"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
        RuntimeError("could not create a primitive"),
    ],
)
def test_what_allocators_say_is_one_sentence(error: Exception) -> None:
    assert is_memory_error(error)
    with pytest.raises(MemoryShort) as caught, enough_memory("Close a window."):
        raise error
    assert (caught.value.what, caught.value.hint) == ("The memory does not suffice for this.", "Close a window.")
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [RuntimeError("bad shape"), ValueError("out of memory")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert not is_memory_error(error)
    with pytest.raises(type(error)) as caught, enough_memory(""):
        raise error
    assert caught.value is error


def test_an_allocator_that_has_no_room_is_known() -> None:
    with pytest.raises(MemoryShort), enough_memory("Ask for less."):
        torch.empty(1 << 50)
