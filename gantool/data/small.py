"""Which small picture belongs to which large one, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from gantool.data.pictures import Pictures
from gantool.errors import DataError

_NAMED = 3  # pictures without a partner that an error names


def plain_name(name: str, scale: int) -> str:
    """A picture's name without suffix and without what tells large from small: 0001x4.png is 0001.

    Source: how DIV2K (x4, x4m), Set5 and its like (_LR, _HR, _SRF_4) name theirs.
    """
    stem = str(PurePosixPath(name).with_suffix(""))
    return re.sub(
        rf"(_SRF_{scale})?([_-]?(LR|HR|GT|GTmod\d+)|[_-]?x{scale}[a-z]{{0,2}}|[_-]?LRbicx{scale})?$", "", stem
    )


def pair_small(names: Sequence[str], small: Pictures, scale: int, label: str) -> NDArray[np.int64]:
    """For each of the large pictures `names` the number of its small one in `small`, (N,).

    Raises:
        DataError: one has none, or several; `label` is what the large ones are called.
    """
    found: dict[str, list[int]] = {}
    for number, name in enumerate(small.names):
        found.setdefault(plain_name(name, scale), []).append(number)
    partners = [found.get(plain_name(name, scale), []) for name in names]
    wrong = [name for name, numbers in zip(names, partners, strict=True) if len(numbers) != 1]
    if wrong:
        listed = ", ".join(wrong[:_NAMED]) + (f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else "")
        raise DataError(
            f"{len(wrong)} of {len(names)} pictures in {label} have no small picture of their own in {small.label}: "
            f"{listed}.",
            f"Name them alike, as 0001.png and 0001.png or 0001x{scale}.png.",
        )
    return np.array([numbers[0] for numbers in partners], np.int64)
