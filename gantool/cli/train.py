"""`gantool train` of one picture, one run each: with progress, signals and shares of a torchrun."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantool.cli.progress import Watcher, watching
from gantool.cli.ranks import finish_together, share
from gantool.cli.signals import Stopper
from gantool.cli.talk import Failure, Result, Talk
from gantool.errors import DataError, Diverged, GantoolError, Interrupted, MemoryShort
from gantool.wording import duration

if TYPE_CHECKING:
    from gantool.tasks.plan import Plan
    from gantool.tasks.runs import Run

ONE_PICTURE = (DataError, Diverged, MemoryShort)  # errors that say nothing about the other pictures

Item = tuple[Path, DataError | None]  # a picture, or why it is none


@dataclass(frozen=True)
class Job:
    """What `gantool train FAMILY` was asked for. `options` holds only the flags that were given.

    `data` is a list of pictures and folders, or the name of one set: as the family takes it.
    """

    family: str
    data: Any
    preset: str | None
    config: Path | None
    sets: Sequence[str]
    name: str | None
    out: Path
    background: str
    options: Mapping[str, Any]
    dry_run: bool

    def plan(self, data: str | Path, estimate: bool, say: Callable[[str], None], name: str | None = None) -> Plan:
        """The plan for the set, or for one of the pictures."""
        from gantool.tasks.plan import plan_training

        return plan_training(
            self.family, data, preset=self.preset, config=self.config, sets=self.sets, options=self.options,
            out=self.out, name=name or self.name, background=self.background, estimate=estimate, say=say,
        )  # fmt: skip


def train(talk: Talk, job: Job) -> Result:
    """One run for each picture. With several, one that fails is reported and the rest go on."""
    found = _expand(job.data)
    several, pictures = len(found) > 1, share(talk, found)
    show: list[Any] = []
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for index, (picture, problem) in enumerate(pictures):
        try:
            if problem is not None:
                raise problem
            name = f"{job.name}-{picture.stem}" if job.name and several else None
            plan = job.plan(picture, job.dry_run or not talk.quiet, talk.say, name)
            if job.dry_run:
                data, pieces = dry(plan, job)
                done.append(data)
                show += pieces
                continue
            if several:
                talk.say(f"Picture {index + 1} of {len(pictures)}")
            run = train_plan(talk, plan, job.preset, job.config)
            done.append(finished(talk, run))
        except ONE_PICTURE as error:
            if not several:  # then no other process has a picture either
                raise
            talk.error(error)
            problem_data = {"code": error.code, "message": error.what, "hint": error.hint}
            failed.append({"picture": str(picture), **problem_data})
        except Interrupted as error:
            left = [str(path) for path, _ in pictures[index + 1 :]]
            if left:
                talk.say(f"Not begun: {', '.join(left)}")
            raise Failure(error, {"runs": done, "failed": failed, "not_begun": left}) from error
    if several and pictures and not job.dry_run:
        talk.say(f"{len(done)} of {len(pictures)} pictures trained.")
    finish_together(bool(failed))
    data = {"plans" if job.dry_run else "runs": done, "failed": failed}
    if failed:
        what = f"{len(failed)} of {len(pictures)} pictures could not be trained."
        raise Failure(GantoolError(what, "Their errors stand above."), data)
    return Result(data, show)


def _expand(data: Sequence[Path]) -> list[Item]:
    """Pictures, and errors in the place of what is none; a folder stands for its pictures."""
    from gantool.data.image import list_pictures

    found: list[Item] = []
    for path in data:
        try:
            found += [(picture, None) for picture in list_pictures(path)]
        except DataError as error:
            found.append((path, error))
    return found


def dry(plan: Plan, job: Job) -> tuple[dict[str, Any], list[Any]]:
    """The plan as plain values, and as it is shown."""
    from gantool.cli.describe import option_table, plan_data, stage_table, summary

    lines = summary(plan, job.preset, job.config)
    pieces = [*lines, "", stage_table(plan), "", option_table(plan), "", "Dry run: nothing was written."]
    return plan_data(plan, job.preset, job.config), pieces


def train_plan(talk: Talk, plan: Plan, preset: str | None, config: Path | None) -> Run:
    """Say what will be trained, and train it. `preset` and `config` are the flags that were given."""
    from gantool.cli.describe import summary
    from gantool.tasks.train import start

    for line in summary(plan, preset, config) if not talk.quiet else ():
        talk.say(line)
    for name, entry in plan.options.table().items():
        if entry["origin"] != "default":
            talk.detail(f"  {name} = {entry['value']} ({entry['origin']})")

    def go(watcher: Watcher, stop: Stopper) -> Run:
        def created(run: Run) -> None:
            watcher.created(run)
            talk.say(f"  run       {run.path}")

        return start(plan, callbacks=[watcher], stop=stop, say=talk.say, created=created)

    return guarded(talk, go)


def guarded(talk: Talk, go: Callable[[Watcher, Stopper], Run]) -> Run:
    """Train with progress, and with Ctrl-C meaning "save and stop"."""
    watcher: Watcher | None = None
    try:
        with Stopper(talk.quiet) as stop, watching(talk) as watcher:
            return go(watcher, stop)
    except KeyboardInterrupt:
        run = watcher.run if watcher else None
        hint = f"Go on from the last save with: gantool resume {run.path}" if run else ""
        raise Interrupted("Stopped at once.", hint) from None


def finished(talk: Talk, run: Run) -> dict[str, Any]:
    """Say that a run is done and what comes next; its row."""
    row = run.summary()
    talk.say(f"Finished: {row['steps']:,} steps in {duration(row['seconds'])}.")
    if not talk.prefix:
        begun = " --coarse PICTURE" if "sample" in run.spec.tasks and not run.complete else ""
        talk.say(f"Next: {run.spec.next.format(run=run.path)}{begun}")
    talk.line(str(run.path))
    return row


def go_on(talk: Talk, run: Run, device: str | None) -> Run:
    """Finish a run; one that is finished is handed back."""
    from gantool.tasks.train import resume as resume_run

    def go(watcher: Watcher, stop: Stopper) -> Run:
        watcher.created(run)
        return resume_run(run, device=device, callbacks=[watcher], stop=stop, say=talk.say)

    if run.dir.status() != "finished":
        talk.say(f"Going on with {run.path}")
    return guarded(talk, go)
