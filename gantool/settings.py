"""How a run is carried out, whatever the family: the options that every `gantool train` has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gantool.options import opt

RUN = "Run"
MOST = 64  # devices, each with a process


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of the run itself; none of them is a hyper-parameter of a family.

    `seed` None draws one and records it. Times are in seconds.
    """

    seed: int | None = opt(None, "seed of all randomness (none: draw one)", group=RUN, ge=0, le=2**31 - 1)
    device: str = opt("auto", "auto, cpu, cuda, cuda:1, mps", group=RUN)
    devices: int = opt(1, "processes that share each batch, one a GPU (or on the CPU)", group=RUN, ge=1, le=MOST)
    precision: Literal["fp32", "bf16"] = opt("fp32", "bf16: faster on GPUs, and coarser", group=RUN)
    compile: bool = opt(False, "compile the networks: minutes at first, faster then", group=RUN)
    max_time: float | None = opt(None, "fit the schedule to this time", group=RUN, gt=0)
    save_every: float = opt(60.0, "seconds between checkpoints (0: each step)", group=RUN, ge=0)
    log_every: int = opt(25, "steps between log entries", group=RUN, ge=1)
    preview_every: int | None = opt(None, "steps between sheets of samples (none: 20 in all)", group=RUN, ge=1)
    eval: str = opt("", "measure while training: METRIC@STEPS,... as in sifid@500", group=RUN)
    eval_features: str | None = opt(None, "classifier whose features fid, kid, ... take, not Inception's", group=RUN)
    eval_samples: int | None = opt(None, "samples drawn for each measurement", group=RUN, ge=1)
