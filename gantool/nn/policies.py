"""Names of the augmentations that the discriminator's pictures can go through. No torch here."""

from __future__ import annotations

from gantool.errors import ConfigError

POLICIES = ("color", "translation", "cutout", "flip")


def parse_policy(text: str) -> tuple[str, ...]:
    """ "color,cutout" to the names it lists, in the order they are applied; "" to none.

    Raises:
        ConfigError: there is no such augmentation.
    """
    named = [part.strip() for part in text.split(",") if part.strip()]
    for name in named:
        if name not in POLICIES:
            raise ConfigError(
                f"There is no augmentation {name!r}.", f"--diffaugment takes {', '.join(POLICIES)}, with commas."
            )
    return tuple(name for name in POLICIES if name in named)
