"""Checkpoints: killed, torn, damaged and on a full disk, a run ends with the weights of one that was left alone."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable

import pytest
import torch

import gantool.files
from gantool.engine.checkpoint import KEEP, find_checkpoint, read_newest, read_weights
from gantool.engine.rundir import RunDir
from gantool.errors import Interrupted, RunError


def names(path) -> list[str]:
    return sorted(p.name for p in (path / "checkpoints").glob("*"))


def stop_after(trainer, total: int):
    trainer.stop = lambda: trainer.progress.state.total == total
    with pytest.raises(Interrupted):
        trainer.fit()


# ---- what is kept ------------------------------------------------------------------------------------------


def test_the_last_rolling_ones_and_every_stages_end_are_kept(toy, tmp_path) -> None:
    path = tmp_path / "run"
    stop_after(toy.trainer(path), 4)
    assert names(path) == ["latest.json", "step-0000003", "step-0000004"]
    stop_after(toy.trainer(path), 9)
    assert names(path) == ["latest.json", "step-0000007-end", "step-0000008", "step-0000009"]
    toy.trainer(path).fit()
    assert [n for n in names(path) if n.endswith("-end")] == [f"step-00000{n}-end" for n in ("07", "12", "18")]
    assert KEEP == 2


def test_a_checkpoint_that_is_removed_while_it_is_read(toy, tmp_path) -> None:
    """Its training process goes on and saves: the next one is read."""
    path = tmp_path / "run"
    stop_after(toy.trainer(path), 4)
    read: list[str] = []

    def weights(checkpoint):
        read.append(checkpoint.name)
        if len(read) == 1:
            stop_after(toy.trainer(path), 6)
        return read_weights(checkpoint)

    found = read_newest(path / "checkpoints", weights)
    assert found is not None
    assert found[1].total == 6
    assert read == ["step-0000004", "step-0000006"]
    assert found[0].keys() == read_weights(path / "checkpoints" / "step-0000006").keys()


def test_what_cannot_be_read_and_is_still_there_is_an_error(toy, tmp_path) -> None:
    path = tmp_path / "run"
    stop_after(toy.trainer(path), 4)

    def weights(checkpoint):
        (checkpoint / "model.safetensors").unlink()
        return read_weights(checkpoint)

    with pytest.raises(RunError, match=r"model\.safetensors cannot be read: No such file"):
        read_newest(path / "checkpoints", weights)


def test_old_checkpoints_go_at_once(toy, tmp_path, monkeypatch) -> None:
    """Who lists them meanwhile never finds half of one."""
    path = tmp_path / "run"
    stop_after(toy.trainer(path), 3)
    unlink, halves = os.unlink, []

    def watched(*args, **options):
        unlink(*args, **options)
        kept = [folder for folder in (path / "checkpoints").glob("step-*") if folder.suffix != ".tmp"]
        halves.append([len(list(folder.iterdir())) for folder in kept])

    monkeypatch.setattr(os, "unlink", watched)
    stop_after(toy.trainer(path), 5)
    assert len(halves) >= 8  # two were removed
    assert {count for look in halves for count in look} == {4}


def test_the_names_of_many_steps_are_sorted_as_numbers(toy, tmp_path) -> None:
    path = tmp_path / "run"
    stop_after(toy.trainer(path, save_every=1e9), 3)
    folder = path / "checkpoints"
    (folder / "step-0000003").rename(folder / "step-9999999")
    shutil.copytree(folder / "step-9999999", folder / "step-10000000")
    found = find_checkpoint(folder)
    assert found is not None
    assert found[0].name == "step-10000000"


# ---- kill -9 at every operation on files -------------------------------------------------------------------

OPERATIONS = ("fsync", "replace", "mkdir", "rmdir", "unlink")


def kill_at(count: int, tear: bool = False) -> None:
    """After `count` more operations on files, this process dies before the next one."""
    left = [count]

    def guard(name: str) -> None:
        original: Callable[..., object] = getattr(os, name)

        def guarded(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                if tear and name == "fsync":  # what is not synced may be lost or half there
                    os.ftruncate(args[0], os.fstat(args[0]).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        setattr(os, name, guarded)

    for name in OPERATIONS:
        guard(name)


def test_killed_at_every_operation_of_a_save(toy, tmp_path, never_stopped) -> None:
    """A save is some twenty operations; the one before each of them is the last."""
    start = tmp_path / "start"
    stop_after(toy.trainer(start), 9)
    operations = 0
    while True:
        path = tmp_path / f"run{operations}"
        shutil.copytree(start, path)
        status = toy.in_a_child(
            lambda path=path, n=operations: (
                trainer := toy.trainer(path),
                kill_at(n, tear=n % 2 == 1),
                stop_after(trainer, 10),
            )
        )
        if not os.WIFSIGNALED(status):
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        said: list[str] = []
        found = find_checkpoint(path / "checkpoints", said.append)
        assert found is not None
        assert found[1].total in (9, 10)
        assert said == []  # a kill alone damages nothing that counts
        toy.trainer(path, save_every=1e9).fit()
        assert toy.newest(path) == never_stopped
        assert not list((path / "checkpoints").rglob("*.tmp"))
        operations += 1
    assert os.WEXITSTATUS(status) == 0
    assert operations >= 15


def test_killed_before_the_first_checkpoint(toy, tmp_path, never_stopped) -> None:
    for operations in (0, 3, 7):
        path = tmp_path / f"run{operations}"
        status = toy.in_a_child(lambda path=path, n=operations: (t := toy.trainer(path), kill_at(n), t.fit()))
        assert os.WIFSIGNALED(status)
        assert find_checkpoint(path / "checkpoints") is None
        toy.trainer(path).fit()
        assert toy.newest(path) == never_stopped


def test_killed_again_and_again(toy, tmp_path, never_stopped) -> None:
    path = tmp_path / "run"
    kills = 0
    for operations in (25, 47, 61, 80, 33, 29, 90, 41):
        status = toy.in_a_child(lambda n=operations: (t := toy.trainer(path), kill_at(n), t.fit()))
        kills += os.WIFSIGNALED(status)
    assert kills >= 4
    toy.trainer(path).fit()
    assert toy.newest(path) == never_stopped


# ---- damage ------------------------------------------------------------------------------------------------


def truncate(part):
    def damage(folder) -> None:
        content = (folder / part).read_bytes()
        (folder / part).write_bytes(content[: len(content) // 2])

    return damage


def flip(part, place=-5):
    def damage(folder) -> None:
        content = bytearray((folder / part).read_bytes())
        content[place] ^= 0x10
        (folder / part).write_bytes(bytes(content))

    return damage


def remove(part):
    return lambda folder: (folder / part).unlink()


def write(part, content: bytes):
    return lambda folder: (folder / part).write_bytes(content)


def change(**values):
    def damage(folder) -> None:
        record = json.loads((folder / "state.json").read_text())
        (folder / "state.json").write_text(json.dumps(record | values))

    return damage


DAMAGES = {
    "model torn": truncate("model.safetensors"),
    "model bit": flip("model.safetensors"),
    "model gone": remove("model.safetensors"),
    "model empty": write("model.safetensors", b""),
    "optim torn": truncate("optim.safetensors"),
    "optim bit": flip("optim.safetensors", 100),
    "rng gone": remove("rng.safetensors"),
    "rng bit": flip("rng.safetensors"),
    "state gone": remove("state.json"),
    "state torn": truncate("state.json"),
    "state no text": write("state.json", b"\xff\x00\xff"),
    "state a list": write("state.json", b"[1, 2]"),
    "state a number": write("state.json", b"3"),
    "state empty": write("state.json", b"{}"),
    "other schema": change(schema=99),
    "other step": change(step=1),
    "other schedule": change(schedule=[7, 5, 2]),
    "no digests": change(sha256=3),
}


@pytest.fixture
def stopped(toy, tmp_path):
    """A run stopped after step 10, with whole checkpoints of steps 9 and 10 and of the first stage's end."""
    stop_after(toy.trainer(tmp_path / "run"), 10)
    return tmp_path / "run"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over(toy, stopped, never_stopped, damage: str) -> None:
    DAMAGES[damage](stopped / "checkpoints" / "step-0000010")
    said: list[str] = []
    trainer = toy.trainer(stopped, save_every=1e9, say=said.append)
    trainer.fit()
    assert len(said) == 1
    assert said[0].startswith("Checkpoint step-0000010 is passed over: ")
    assert trainer.progress.session_steps == 18 - 9
    assert toy.newest(stopped) == never_stopped
    assert "damaged-step-0000010" in names(stopped)  # nothing is deleted


def test_two_damaged_ones_fall_back_to_the_stages_end(toy, stopped, never_stopped) -> None:
    for name in ("step-0000009", "step-0000010"):
        flip("model.safetensors")(stopped / "checkpoints" / name)
    said: list[str] = []
    toy.trainer(stopped, say=said.append).fit()
    assert [line.split()[1] for line in said] == ["step-0000010", "step-0000009"]
    assert toy.newest(stopped) == never_stopped


def test_none_whole_is_an_error_and_loses_nothing(toy, stopped) -> None:
    for folder in (stopped / "checkpoints").glob("step-*"):
        flip("model.safetensors")(folder)
    before = names(stopped)
    with pytest.raises(RunError, match=r"No checkpoint in .* can be read") as caught:
        toy.trainer(stopped).fit()
    assert caught.value.hint
    assert names(stopped) == before


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'{"name": "step-0000001"}', b"[]", None])
def test_latest_json_is_for_others_only(toy, stopped, never_stopped, content) -> None:
    latest = stopped / "checkpoints" / "latest.json"
    latest.unlink() if content is None else latest.write_bytes(content)
    said: list[str] = []
    toy.trainer(stopped, say=said.append).fit()
    assert said == []
    assert toy.newest(stopped) == never_stopped


def test_leftovers_of_a_kill_are_ignored_and_cleared(toy, stopped, never_stopped) -> None:
    folder = stopped / "checkpoints"
    shutil.copytree(folder / "step-0000010", folder / "step-0000099.tmp")
    shutil.copytree(folder / "step-0000010", folder / "step-0000011.tmp")
    (folder / ".0123456789abcdef.tmp").write_bytes(b"half of latest.json")
    toy.trainer(stopped).fit()
    assert toy.newest(stopped) == never_stopped
    assert not list(folder.glob("*.tmp"))


def test_a_damaged_one_is_written_anew_when_training_comes_by(toy, stopped) -> None:
    """It must not pass for the new one, nor take the place of a whole one among those that are kept."""
    flip("model.safetensors")(stopped / "checkpoints" / "step-0000010")
    said: list[str] = []
    stop_after(toy.trainer(stopped, say=said.append), 10)
    assert len(said) == 1
    assert names(stopped) == ["damaged-step-0000010", "latest.json", "step-0000007-end", "step-0000009", "step-0000010"]
    found = find_checkpoint(stopped / "checkpoints", said.append)
    assert found is not None
    assert found[1].total == 10
    assert len(said) == 1
    flip("model.safetensors")(stopped / "checkpoints" / "step-0000010")
    stop_after(toy.trainer(stopped), 10)
    assert "damaged-step-0000010-2" in names(stopped)


def test_a_reader_never_changes_anything(stopped) -> None:
    flip("model.safetensors")(stopped / "checkpoints" / "step-0000010")
    before = names(stopped)
    found = find_checkpoint(stopped / "checkpoints")
    assert found is not None
    assert found[0].name == "step-0000009"
    assert names(stopped) == before


def test_a_reader_looks_again_when_training_prunes_meanwhile(stopped, monkeypatch) -> None:
    from gantool.engine import checkpoint

    folder, original, read = stopped / "checkpoints", checkpoint._read_whole, []

    def pruned(path):
        read.append(path.name)
        if len(read) == 1:  # the training process goes on: all that was listed is gone
            shutil.copytree(folder / "step-0000010", folder / "step-0000011")
            for name in ("step-0000007-end", "step-0000009", "step-0000010"):
                shutil.rmtree(folder / name)
        return original(path)

    monkeypatch.setattr(checkpoint, "_read_whole", pruned)
    said: list[str] = []
    found = find_checkpoint(folder, said.append)
    assert found is not None
    assert found[0].name == "step-0000011"
    assert said == []


def test_a_random_state_of_another_kind_of_device_is_no_error(toy, stopped) -> None:
    """As when a run of a GPU (16 bytes of state) is resumed on the CPU."""
    from safetensors.torch import save

    from gantool.engine.checkpoint import load_training

    content = save({"generator": torch.zeros(16, dtype=torch.uint8)})
    (stopped / "checkpoints" / "step-0000010" / "rng.safetensors").write_bytes(content)
    trainer = toy.trainer(stopped)
    for stage in trainer.model.stages()[:2]:
        trainer.model.enter(stage)
    load_training(stopped / "checkpoints" / "step-0000010", trainer.model, trainer.generator)
    assert torch.randn((), generator=trainer.generator).isfinite()


# ---- a full disk -------------------------------------------------------------------------------------------


def full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class HalfFile:
    """A file on a disk that becomes full in the middle of a write."""

    def __init__(self, file) -> None:
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *args) -> None:
        self.file.close()

    def write(self, data) -> None:
        self.file.write(data[: len(data) // 2])
        full()

    def __getattr__(self, name):
        return getattr(self.file, name)


def full_from(patch, operation: str, after: int) -> None:
    """After `after` operations the disk is full."""
    if operation == "write":
        left = [after]

        def opened(file, mode="r", **more):
            left[0] -= "x" in mode
            return HalfFile(open(file, mode, **more)) if left[0] < 0 and "x" in mode else open(file, mode, **more)

        patch.setattr(gantool.files, "open", opened, raising=False)
        return
    original, left = getattr(os, operation), [after]

    def limited(*args, **kwargs):
        left[0] -= 1
        return full() if left[0] < 0 else original(*args, **kwargs)

    patch.setattr(os, operation, limited)


@pytest.mark.parametrize("operation", ["write", "fsync", "mkdir", "replace"])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 4, 5])
def test_a_full_disk_costs_no_checkpoint(toy, stopped, never_stopped, monkeypatch, operation: str, after: int) -> None:
    with monkeypatch.context() as patch:
        trainer = toy.trainer(stopped)
        full_from(patch, operation, after)
        try:
            stop_after(trainer, 11)
        except BaseException as error:
            failed: BaseException | None = error
        else:
            failed = None
    if failed is not None:
        assert type(failed) is RunError, failed
        assert os.strerror(errno.ENOSPC) in failed.what
        assert "space" in failed.hint
    else:
        assert operation in ("mkdir", "replace") or after > 4
    said: list[str] = []
    found = find_checkpoint(stopped / "checkpoints", said.append)
    assert found is not None
    assert found[1].total in (10, 11)
    assert said == []
    assert failed is None or not list((stopped / "checkpoints").glob("step-*.tmp"))
    toy.trainer(stopped, save_every=1e9).fit()
    assert toy.newest(stopped) == never_stopped


def test_a_limit_on_the_size_of_files(toy, stopped, never_stopped) -> None:
    """The system itself refuses to write more than 1000 bytes into a file."""

    def work() -> None:
        trainer = toy.trainer(stopped)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with pytest.raises(RunError, match=r"The checkpoint could not be written.*File too large"):
            trainer.fit()

    assert toy.in_a_child(work) == 0
    assert names(stopped) == ["latest.json", "step-0000007-end", "step-0000009", "step-0000010"]
    toy.trainer(stopped).fit()
    assert toy.newest(stopped) == never_stopped


def test_a_disk_that_is_really_full(toy, tmp_path, never_stopped) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a small disk here")
    try:
        path = disk / "run"
        stop_after(toy.trainer(path), 8)
        whole = names(path)
        with open(disk / "ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(bytes(1024)):
                pass
        with pytest.raises(RunError, match="No space left on device") as caught:
            toy.trainer(path, log_every=1).fit()
        assert "intact" in caught.value.hint
        assert names(path) == whole
        (disk / "ballast").unlink()
        toy.trainer(path).fit()
        assert toy.newest(path) == never_stopped
        assert all(entry["total"] > 0 for entry in RunDir(path).metrics())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_log_that_cannot_be_written_costs_its_lines_only(toy, tmp_path, never_stopped) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "metrics.jsonl").mkdir()
    toy.trainer(path, log_every=1).fit()
    assert toy.newest(path) == never_stopped
