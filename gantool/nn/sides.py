"""Sides of pictures that networks of doubling layers can have. No torch here."""

from __future__ import annotations

from gantool.errors import ConfigError

SMALLEST_BASE, LARGEST_BASE = 4, 7
FEWEST = 2  # doublings


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
