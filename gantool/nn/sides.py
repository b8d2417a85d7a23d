"""Sides of pictures that networks of doubling, or of halving layers can have. No torch here."""

from __future__ import annotations

from gantool.errors import ConfigError

SMALLEST_BASE, LARGEST_BASE = 4, 7
FEWEST = 2  # doublings
PATCHES = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}
"""Of PatchGAN: by the side of the patch that a score sees, in pixels, how many convolutions of stride 2 there are."""


def doublings(side: int) -> tuple[int, int] | None:
    """(base, k) with side = base * 2^k, base of 4 to 7 pixels and k of 2 or more; None where there are none.

    64 is 4 * 2^4, 28 is 7 * 2^2.
    """
    for base in range(SMALLEST_BASE, LARGEST_BASE + 1):
        k = (side // base).bit_length() - 1
        if k >= FEWEST and base << k == side:
            return base, k
    return None


def check_side(side: int) -> None:
    """Raises ConfigError, which names the nearest sides, unless `side` has doublings."""
    if doublings(side) is None:
        below = [n for n in range(SMALLEST_BASE << FEWEST, side) if doublings(n)][-1:]
        above = next(n for n in range(side, 2 * side + 17) if doublings(n))
        raise ConfigError(
            f"These networks double the side from 4 to 7 pixels up, and never come to {side}.",
            f"Take --size {' or '.join(str(n) for n in (*below, above))}.",
        )


def least_side(patch: int) -> int:
    """Pixels of the shortest side on which a PatchGAN gives a score, and its norms have what to normalise."""
    halvings = PATCHES[patch]
    return 3 * 2**halvings if halvings else 2  # three pixels before the two of stride 1, each of which takes one
