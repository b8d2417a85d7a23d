"""Which picture comes when, and what chance does to it: functions of the seed and of the picture's number in the run.

Nothing here has a state, so that a run can go on from any place, on any number of processes and threads, and meet the
same pictures with the same flips.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

FLIP, TOP, LEFT, TURN = 0, 1, 2, 3
"""Streams of `uniform` that training sets draw from."""


class Order:
    """The endless sequence of a set's indices: every epoch is a permutation of its own.

    Number p of the sequence, from 0, is `permutation(seed, p // length, length)[p % length]`.
    """

    def __init__(self, seed: int, length: int) -> None:
        self.seed, self.length = seed, length
        self._known: dict[int, NDArray[np.int64]] = {}  # the newest epochs

    def indices(self, start: int, count: int) -> NDArray[np.int64]:
        """Numbers `start` to `start + count - 1` of the sequence, (count,) int64; they may span several epochs."""
        parts = []
        while count > 0:
            epoch, place = divmod(start, self.length)
            part = self._epoch(epoch)[place : place + count]
            parts.append(part)
            start, count = start + len(part), count - len(part)
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._known:
            if len(self._known) > 1:  # a batch needs one or two; those of a million pictures take 8 MB each
                del self._known[min(self._known)]
            self._known[epoch] = permutation(self.seed, epoch, self.length)
        return self._known[epoch]


def permutation(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """The indices 0 to `length - 1` in an order that depends on `seed` and `epoch` alone.

    By sorting random words: NumPy keeps a bit generator's words the same for ever, but not `Generator.permutation`.
    """
    words = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(length)
    return np.argsort(words, kind="stable").astype(np.int64, copy=False)


def uniform(seed: int, stream: int, start: int, count: int) -> NDArray[np.float64]:
    """Draws in [0, 1), (count,) float64, for the pictures `start` to `start + count - 1` of the sequence.

    Each depends on `seed`, `stream` and the picture's number alone.
    """
    key = int(splitmix64(seed, np.array([stream], np.uint64))[0])
    words = splitmix64(key, np.arange(start, start + count, dtype=np.uint64))
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def splitmix64(seed: int, numbers: Words) -> Words:
    """Outputs `numbers`, counted from 0, of SplitMix64 begun at `seed` (Steele, Lea and Flood 2014, figure 17)."""
    z = np.uint64(seed) + (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)  # modulo 2**64, as all of it
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
