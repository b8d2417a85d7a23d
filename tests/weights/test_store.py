"""Finding and taking in."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

from gantool.errors import DataError, RunError, UsageError
from gantool.weights import store
from gantool.weights.store import MissingWeights, find, import_file, torch_hub_dir, weights_dir

from .conftest import CONTENT, OLDER, SHA

OWN = b"weights of one's own"


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def source(tmp_path, toy):
    return put(tmp_path / "from a colleague.bin", CONTENT)


def test_where_the_folder_is(monkeypatch, tmp_path):
    assert weights_dir() == tmp_path / "weights"
    monkeypatch.delenv("GANTOOL_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert weights_dir() == tmp_path / "xdg" / "gantool" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the specification tells to ignore
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert weights_dir() == tmp_path / ".cache" / "gantool" / "weights"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert weights_dir() == tmp_path / "Library" / "Caches" / "gantool" / "weights"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    assert weights_dir() == tmp_path / "Local" / "gantool" / "weights"


def test_torch_hubs_folder_is_torchs_own(monkeypatch, tmp_path):
    import torch

    for setting in ({"TORCH_HOME": "~/t"}, {"XDG_CACHE_HOME": str(tmp_path)}, {}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in setting.items():
            monkeypatch.setenv(name, value)
        assert torch_hub_dir() == Path(torch.hub.get_dir()) / "checkpoints"


@pytest.mark.usefixtures("toy")
def test_missing_weights_say_what_to_bring():
    with pytest.raises(MissingWeights) as caught:
        find("toy")
    for part in ("toy-12345678.pth", "300,001 bytes", SHA, "http://127.0.0.1:9/toy.pth"):
        assert part in caught.value.what
    assert "`gantool weights fetch toy`" in caught.value.hint
    assert "`gantool weights import FILE`" in caught.value.hint
    assert not weights_dir().exists()  # looking makes no folders


def test_import_recognises_a_file_whatever_its_name(source, folder):
    found = import_file(source)
    assert found.path == folder / "toy-12345678.pth"
    assert (found.sha256, found.name, found.verified) == (SHA, "toy", True)
    assert found.path.read_bytes() == source.read_bytes() == CONTENT
    assert find("toy") == found
    assert import_file(found.path) == found  # itself
    assert os.listdir(folder) == ["toy-12345678.pth"]


def test_another_edition_keeps_its_name(tmp_path, folder, toy):
    found = import_file(put(tmp_path / "x", OLDER), "toy")
    assert found.path == folder / "older.pth"
    assert found.verified
    assert find("toy").sha256 == hashlib.sha256(OLDER).hexdigest()
    newer = import_file(put(tmp_path / "y", CONTENT))
    assert find("toy") == newer  # the preferred one comes first


def test_import_mends_a_damaged_file(source, folder):
    put(folder / "toy-12345678.pth", CONTENT[:-1])
    with pytest.raises(DataError, match=rf"is damaged: its sha256 is [0-9a-f]{{64}}, not {SHA}") as caught:
        find("toy")
    assert not isinstance(caught.value, MissingWeights)
    assert find(import_file(source).name).verified


@pytest.mark.parametrize("words", [(), ("toy",)])
def test_an_unknown_file_is_refused(tmp_path, folder, toy, words):
    file = put(tmp_path / "own.pth", OWN)
    with pytest.raises(DataError, match=hashlib.sha256(OWN).hexdigest()) as caught:
        import_file(file, *words)
    assert "--unverified" in caught.value.hint
    assert not folder.exists()


def test_an_unknown_file_that_is_wanted(tmp_path, folder, toy, source):
    published = import_file(source)
    file = put(tmp_path / "own.pth", OWN)
    found = import_file(file, "toy", unverified=True)
    assert found.path == folder / "toy.unverified.pth"
    assert (found.name, found.verified) == ("toy", False)
    assert found.path.read_bytes() == OWN
    assert find("toy") == found  # it was asked for, so it comes first
    assert import_file(file, "toy", unverified=True) == found
    with pytest.raises(DataError, match="There are other unverified weights for toy already"):
        import_file(put(tmp_path / "more.pth", b"other"), "toy", unverified=True)
    assert found.path.read_bytes() == OWN
    found.path.unlink()
    assert find("toy") == published


def test_a_published_file_stays_verified_whatever_is_said(source):
    assert import_file(source, "toy", unverified=True).verified


def test_what_import_refuses(tmp_path, source):
    with pytest.raises(UsageError, match="need a name"):
        import_file(source, unverified=True)
    with pytest.raises(UsageError, match="no weights called 'tou'"):
        import_file(source, "tou")
    with pytest.raises(DataError, match="holds toy, not vgg19"):
        import_file(source, "vgg19", unverified=True)
    with pytest.raises(DataError, match=r"There is no file .*gone"):
        import_file(tmp_path / "gone")
    with pytest.raises(DataError, match="is a folder"):
        import_file(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe is not a regular file"):
        import_file(tmp_path / "pipe")
    for path in ("a" * 300, f"{'a' * 300}/b"):
        with pytest.raises(DataError, match="name too long"):
            import_file(path)
        with pytest.raises(DataError, match="name too long"):
            find(path)
    with pytest.raises(DataError, match="There is no file"):
        find("a\0b")
    with pytest.raises(DataError, match="is empty"):
        import_file(put(tmp_path / "empty", b""), "toy", unverified=True)


def test_a_file_that_changes_while_it_is_copied(source, folder, monkeypatch):
    monkeypatch.setattr(store, "_chunks", lambda path: iter([CONTENT, b"more"]))
    with pytest.raises(DataError, match="changed while it was copied"):
        import_file(source)
    assert os.listdir(folder) == []


def test_no_space_for_the_copy(source, folder, monkeypatch):
    def full(path):
        yield CONTENT[:1000]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_chunks", full)
    with pytest.raises(RunError, match="No space left on device"):
        import_file(source)
    assert os.listdir(folder) == []


def test_torch_hubs_folder_is_looked_at(tmp_path, folder, toy):
    hub = put(torch_hub_dir() / "toy-12345678.pth", CONTENT)
    found = find("toy")
    assert (found.path, found.verified) == (hub, True)
    assert not folder.exists()
    hub.write_bytes(CONTENT[:-1])  # another program's matter: not damaged, just no such file
    with pytest.raises(MissingWeights):
        find("toy")
    put(torch_hub_dir() / "older.pth", OLDER)
    assert find("toy").path.name == "older.pth"


def test_a_path_of_ones_own(tmp_path, source):
    assert find(source) == store.Found(source, SHA, "toy", True)
    assert find(str(source), wanted="toy").verified
    with pytest.raises(DataError, match="holds toy, not vgg19"):
        find(source, wanted="vgg19")
    own = put(tmp_path / "own.pth", OWN)
    digest = hashlib.sha256(OWN).hexdigest()
    assert find(own, wanted="toy") == store.Found(own, digest, "toy", False)
    assert find(own) == store.Found(own, digest, "own.pth", False)
    with pytest.raises(MissingWeights, match=r"There is no file .*gone\.pth\. .*inception-2015"):
        find(str(tmp_path / "gone.pth"))
    with pytest.raises(MissingWeights, match=r"There is no file .*gone\.pth\. Check the path\.$"):
        find(tmp_path / "gone.pth")


def test_large_files_are_hashed_once(source, folder, monkeypatch):
    monkeypatch.setattr(store, "SMALL", 1000)
    hashed = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: hashed.append(Path(file.name)) or real(file, name))
    path = import_file(source).path
    hashed.clear()
    assert find("toy").sha256 == find("toy").sha256 == SHA
    assert hashed == [path]
    os.utime(path, ns=(0, 0))  # touched: hashed again
    assert find("toy").sha256 == SHA
    assert hashed == [path, path]
    content = bytearray(CONTENT)
    content[0] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        find("toy")
    (folder / store.MEMORY).write_text("{torn")  # costs a hash, no more
    path.write_bytes(CONTENT)
    assert find("toy").sha256 == SHA
    (folder / store.MEMORY).write_text('{"' + str(path) + '": 3}')
    assert find("toy").sha256 == SHA


def test_a_memory_that_cannot_be_written_is_no_error(source, folder, monkeypatch):
    monkeypatch.setattr(store, "SMALL", 1000)
    put(folder, b"a file where the folder should be")
    assert find(source).sha256 == SHA
    with pytest.raises(RunError):
        import_file(source)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_cannot_be_read(source):
    source.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        find(source)
