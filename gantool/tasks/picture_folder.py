"""Before and after the pictures of a folder: whether results can be written, and which are there already."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable

from gantool.errors import ConfigError, DataError, RunError
from gantool.files import check_target, write_error
from gantool.tasks.picture_line import Job, Outcome
from gantool.tasks.picture_names import Item, Plan

MOST_WORKERS = 64
DEFAULT_WORKERS = 4


def check_values(quality: int | None, workers: int | None) -> None:
    """Raises ConfigError for a quality or a number of threads that cannot be."""
    if quality is not None and not 1 <= quality <= 100:
        raise ConfigError(f"There is no quality {quality}.", "Use 1 to 100.")
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise ConfigError(f"{workers} workers cannot be.", f"Use 1 to {MOST_WORKERS}.")


def make_ready(plan: Plan, overwrite: bool) -> None:
    """Create the folder of the results, and see that it can be written to, before anything is computed."""
    ones = plan.items if plan.folder is None else ()
    for item in ones if not overwrite else ():
        if os.path.exists(item.result):  # False where the name is too long
            raise RunError(f"{item.result} exists already.", "Give another name with --to, or add --overwrite.")
    try:
        plan.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=plan.root):
            pass
    except FileExistsError as error:
        raise RunError(f"{plan.root} is a file, not a folder.", "Name another folder with --to.") from error
    except OSError as error:
        raise write_error(plan.root if plan.folder is not None else plan.items[0].result, error) from error
    for item in ones:
        check_target(item.result, overwrite=True)


def without_done(job: Job, outcome: Outcome, others_differ: str, say: Callable[[str], None]) -> list[Item]:
    """The pictures that are still to be made; the others are put where they belong.

    Args:
        others_differ: what may differ in results that are not taken, for people: "model, factor or quality".

    Raises:
        RunError: there are results of another model, or made in another way.
    """
    plan, journal = outcome.plan, job.journal
    if journal is None or job.overwrite:
        return list(plan.items)
    todo, others = [], 0
    for item in plan.items:
        try:
            if not item.result.exists():
                todo.append(item)
                continue
            wanted = job.made_of(item, plan.root)
            found = journal.find(item.result, wanted.result)
        except OSError:  # it cannot be looked at: reading it will say why
            todo.append(item)
            continue
        if found is None:
            what = f"{item.result} exists already, and not as it was made here."
            outcome.failed.append((item, DataError(what, "Move it away, or add --overwrite.")))
        elif found.job != wanted.job:
            others += 1
        elif not found.same_source(wanted):
            what = f"{item.name} has changed since {item.result} was made."
            outcome.failed.append((item, DataError(what, "Add --overwrite to make it anew.")))
        else:
            outcome.skipped.append(item)
    if others:
        which = "one result" if others == 1 else f"{others} results"
        raise RunError(
            f"{plan.folder} holds {which} of another {others_differ}.",
            "Name another folder with --to, or add --overwrite to make them anew.",
        )
    if outcome.skipped:
        say(f"{len(outcome.skipped)} of {len(plan.items)} are done already.")
    return todo
