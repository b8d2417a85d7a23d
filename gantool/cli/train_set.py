"""`gantool train` of a family of sets: one run, in one process or in several that share each batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gantool.cli.command import words_given
from gantool.cli.ranks import rank_and_world
from gantool.cli.talk import Failure, Launched, Result, Talk
from gantool.cli.train import Job, dry, finished, train_plan
from gantool.errors import Interrupted, UsageError
from gantool.options import parse_sets, read_toml
from gantool.settings import MOST


def train_set(talk: Talk, job: Job) -> Result:
    """Train on the set. With --devices above 1, this process only starts those that do."""
    share_out(talk, _devices(job), dry_run=job.dry_run)
    from gantool.tasks.train import together

    with together(job.family) as world:
        plan = job.plan(job.data, world.first and (job.dry_run or not talk.quiet), talk.say)
        if job.dry_run:
            data, pieces = dry(plan, job)
            return Result({"plans": [data], "failed": []}, pieces)
        try:
            run = train_plan(talk, plan, job.preset, job.config)
        except Interrupted as error:
            raise Failure(error, {"runs": [], "failed": [], "not_begun": []}) from error
        return Result({"runs": [finished(talk, run)], "failed": []})


def share_out(talk: Talk, devices: int, *, dry_run: bool = False) -> None:
    """Start `devices` processes of this command, wait for them, and end as they did; or go on as one of them.

    Raises:
        Launched: they have ended, with their exit code.
        UsageError: torchrun started another number of processes.
    """
    rank, world = rank_and_world()
    if world > 1:
        if rank:
            talk.quiet = talk.silent = True
        if devices not in (1, world):
            refusal = UsageError(f"--devices is {devices}, and torchrun started {world} processes.", "Leave it out.")
            refusal.quiet = rank > 0
            raise refusal
    elif devices > 1 and not dry_run:
        from gantool.cli.launch import launch

        raise Launched(launch(devices, words_given()))


def _devices(job: Job) -> int:
    """As asked for: by the flag, else by --set, else by the file. Other values are refused when all are checked."""
    named: list[dict[str, Any]] = [dict(job.options), dict(parse_sets(job.sets))]
    if job.config:
        table = read_toml(Path(job.config)).get("run")
        named.append(table if isinstance(table, dict) else {})
    found = next((values["devices"] for values in named if "devices" in values), 1)
    asked = int(found) if str(found).isdecimal() and len(str(found)) < 9 else 1
    return asked if asked <= MOST else 1
