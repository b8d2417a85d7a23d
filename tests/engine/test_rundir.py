"""Run directories: never overwritten, written by one process at a time, readable whatever happened to them."""

from __future__ import annotations

import errno
import json
import os
import signal
import time

import pytest
import torch

from gantool.engine import rundir
from gantool.engine.devices import pick_device
from gantool.engine.rundir import RunDir, all_runs, find_run
from gantool.errors import NoSuchRun, RunError, UsageError


def test_runs_of_the_same_second_get_different_directories(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(rundir.time, "strftime", lambda _: "20260102-030405")
    made = [RunDir.create(tmp_path, "f", "a photo/é?", {"n": i}) for i in range(3)]
    ids = ["20260102-030405-a-photo-é", "20260102-030405-a-photo-é-2", "20260102-030405-a-photo-é-3"]
    assert [run.id for run in made] == ids
    assert [run.info()["n"] for run in made] == [0, 1, 2]
    assert [run.info()["id"] for run in made] == ids


def test_processes_at_once_get_different_directories(toy, tmp_path) -> None:
    start = time.time() + 0.3
    children = []
    for n in range(4):
        child = os.fork()
        if child == 0:
            try:
                time.sleep(max(0.0, start - time.time()))
                for i in range(10):
                    RunDir.create(tmp_path, "f", "x", {"by": [n, i]})
            finally:
                os._exit(0)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    made = [run.info()["by"] for run in all_runs(tmp_path)]
    assert sorted(made) == [[n, i] for n in range(4) for i in range(10)]


@pytest.mark.parametrize(
    ("name", "clean"), [("", "run"), ("...", "run"), ("../../etc", "etc"), ("x" * 200, "x" * 60), ("a b\nc", "a-b-c")]
)
def test_names_become_harmless(tmp_path, name: str, clean: str) -> None:
    run = RunDir.create(tmp_path, "f", name, {})
    assert run.path.parent == tmp_path / "f"
    assert run.id[16:] == clean


def test_places_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError):
        RunDir.create(tmp_path / "file", "f", "x", {})
    (tmp_path / "f").write_text("")
    with pytest.raises(RunError, match="is a file, not a folder"):
        RunDir.create(tmp_path, "f", "x", {})


# ---- the lock ----------------------------------------------------------------------------------------------


def holder(run: RunDir) -> int:
    """A process that holds the lock until it is killed."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with run.lock():
                os.write(told, b"x")
                time.sleep(60)
        finally:
            os._exit(0)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    os.close(told)
    return child


def test_one_process_at_a_time_and_the_lock_goes_with_a_kill(tmp_path) -> None:
    run = RunDir.create(tmp_path, "f", "x", {"status": "running"})
    assert not run.busy()
    assert run.status() == "killed"
    child = holder(run)
    try:
        assert run.busy()
        assert run.status() == "running"
        with pytest.raises(RunError, match="Another process is writing") as caught, run.lock():
            pass
        assert "Ctrl-C" in caught.value.hint
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert not run.busy()
    assert run.status() == "killed"
    with run.lock():
        assert run.busy()  # for others in this process too
    assert not run.busy()
    run.update(status="finished")
    assert run.status() == "finished"


def test_a_look_at_the_status_does_not_keep_anybody_from_training(tmp_path) -> None:
    """`busy` takes the lock for a moment; who wants it waits that long."""
    run = RunDir.create(tmp_path, "f", "x", {"status": "running"})
    child = os.fork()
    if child == 0:
        try:
            end = time.time() + 1.0
            while time.time() < end:
                run.busy()
        finally:
            os._exit(0)
    try:
        for _ in range(15):
            with run.lock():
                pass
    finally:
        os.waitpid(child, 0)


def test_a_look_at_the_status_makes_no_files(tmp_path) -> None:
    run = RunDir.create(tmp_path, "f", "x", {"status": "running"})
    assert run.status() == "killed"
    assert not run.busy()
    assert [p.name for p in run.path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("error", "busy"), [(errno.EACCES, False), (errno.EPERM, False), (errno.EROFS, False), (errno.EIO, True)]
)
def test_where_nothing_can_be_written_nobody_is_training(tmp_path, monkeypatch, error: int, busy: bool) -> None:
    run = RunDir.create(tmp_path, "f", "x", {"status": "running"})
    with run.lock():
        pass

    def refuse(*_args, **_kwargs):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(rundir.FileLock, "acquire", refuse)
    assert run.busy() is busy


# ---- run.json and the log ----------------------------------------------------------------------------------


def test_entries_of_run_json_change_one_by_one(tmp_path) -> None:
    run = RunDir.create(tmp_path, "f", "x", {"a": 1, "b": [2]})
    run.update(a=3, c=None)
    assert run.info() == {"schema": 1, "id": run.id, "family": "f", "a": 3, "b": [2], "c": None}


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"family": '])
def test_a_damaged_run_json_is_an_error_with_a_sentence(tmp_path, content: bytes) -> None:
    run = RunDir.create(tmp_path, "f", "x", {})
    (run.path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=r"run\.json"):
        run.info()


def test_the_later_entry_of_a_step_counts_and_torn_lines_do_not(tmp_path) -> None:
    run = RunDir.create(tmp_path, "f", "x", {})
    assert run.metrics() == []
    file = run.path / "metrics.jsonl"
    for total in (1, 2, 3):
        run.log({"total": total, "loss": total / 10})
    with open(file, "a") as log:
        log.write('{"total": 4, "lo')  # killed here
    for total in (3, 4, 5):
        run.log({"total": total, "loss": total * 10})
    with open(file, "ab") as log:
        log.write(b'[1]\n7\n"x"\n{"loss": 1}\n{"total": "x"}\n{"total": 1e999}\n\xff\xfe\n')
    assert [(e["total"], e["loss"]) for e in run.metrics()] == [(1, 0.1), (2, 0.2), (3, 30), (4, 40), (5, 50)]


# ---- finding -----------------------------------------------------------------------------------------------


def make(root, family: str, id: str) -> RunDir:
    folder = root / family / id
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"family": family, "id": id}))
    return RunDir(folder)


def test_runs_are_found_by_path_beginning_name_and_age(tmp_path) -> None:
    a = make(tmp_path, "f", "20260101-000000-sea")
    b = make(tmp_path, "g", "20260102-000000-tree")
    c = make(tmp_path, "f", "20260103-000000-tree")
    (tmp_path / "f" / "no-run").mkdir()
    assert [r.path for r in all_runs(tmp_path)] == [a.path, b.path, c.path]
    assert find_run(str(b.path), tmp_path / "elsewhere").path == b.path
    assert find_run("20260102", tmp_path).path == b.path
    assert find_run("sea", tmp_path).path == a.path
    assert find_run("latest", tmp_path).path == c.path
    for reference, words in (("tree", "2 runs fit"), ("2026", "3 runs fit"), ("moon", "No run is called 'moon'")):
        with pytest.raises(RunError, match=words):
            find_run(reference, tmp_path)
    with pytest.raises(RunError, match="is no run directory"):
        find_run(str(tmp_path / "f" / "no-run"), tmp_path)
    with pytest.raises(RunError, match="There are no runs in"):
        find_run("latest", tmp_path / "nothing")


def test_a_whole_name_goes_before_beginnings_and_a_part_of_it_opens_nothing(tmp_path) -> None:
    names = ["real", "a", "apples", "twice", "a-b", "2026"]
    runs = {name: make(tmp_path, "f", f"2026010{day}-000000-{name}") for day, name in enumerate(names, 1)}
    for reference, name in (("a", "a"), ("a-b", "a-b"), ("ap", "apples"), ("rea", "real"), ("2026", "2026")):
        assert find_run(reference, tmp_path).path == runs[name].path
    assert find_run("20260104-0", tmp_path).path == runs["twice"].path
    assert find_run("a b", tmp_path).path == runs["a-b"].path  # as the directory has it
    for part in ("c", "wi", "eal", "pples", "!"):
        with pytest.raises(NoSuchRun, match=f"No run is called '{part}'"):
            find_run(part, tmp_path)
    with pytest.raises(NoSuchRun) as caught:
        find_run("wice", tmp_path)
    assert caught.value.hint == "Did you mean 20260104-000000-twice? `gantool runs` lists them."
    with pytest.raises(NoSuchRun) as caught:
        find_run("", tmp_path)
    assert caught.value.hint == "`gantool runs` lists them."


def test_of_names_that_are_alike_the_most_alike_is_meant(tmp_path) -> None:
    for day, name in enumerate(["seaside", "seabirds", "sides"], 1):
        make(tmp_path, "f", f"2026010{day}-000000-{name}")
    with pytest.raises(NoSuchRun) as caught:
        find_run("seasidde", tmp_path)
    assert caught.value.hint == "Did you mean 20260101-000000-seaside? `gantool runs` lists them."
    with pytest.raises(NoSuchRun) as caught:
        find_run("de", tmp_path)  # of two that hold it the newest
    assert caught.value.hint == "Did you mean 20260103-000000-sides? `gantool runs` lists them."


def test_of_runs_with_the_same_name_none_is_guessed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(rundir.time, "strftime", lambda _: "20260102-030405")
    made = [RunDir.create(tmp_path, "f", "sea", {"name": "sea"}) for _ in range(2)]
    other = RunDir.create(tmp_path, "f", "sea-3", {"name": "sea-3"})
    with pytest.raises(RunError) as caught:
        find_run("sea", tmp_path)
    assert str(caught.value).startswith("2 runs fit 'sea': 20260102-030405-sea, 20260102-030405-sea-2.")
    assert "the newest is 20260102-030405-sea-2" in caught.value.hint
    assert find_run("sea-2", tmp_path).path == made[1].path
    assert find_run("sea-3", tmp_path).path == other.path
    assert find_run("20260102-030405-sea", tmp_path).path == made[0].path  # a whole id, though others begin so


# ---- devices -----------------------------------------------------------------------------------------------


def test_devices_that_do_not_exist_are_wrong_usage() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    for name in ("gpu", "cuda:x", "", "cpu0", "meta", "xla"):
        with pytest.raises(UsageError):
            pick_device(name)
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="CUDA was asked for"):
            pick_device("cuda")
        with pytest.raises(UsageError, match="CUDA was asked for"):
            pick_device("cuda:1")


def test_a_name_too_long_for_a_path_is_no_traceback(tmp_path):
    with pytest.raises(RunError, match="cannot be looked at"):
        find_run("x" * 300, tmp_path)
