"""The real download code against a server on 127.0.0.1."""

import errno
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gantool.errors import DataError, UsageError
from gantool.weights import download, remote
from gantool.weights.download import fetch

from .conftest import CONTENT, SHA

SIZE, HALF = len(CONTENT), 150_000
FILE = "toy-12345678.pth"

pytestmark = pytest.mark.usefixtures("toy")


class Talk(list):
    """Collects what is said."""

    def __call__(self, sentence):
        self.append(sentence)


def files(folder):
    """What lies in the folder, locks aside."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def ranges(server):
    return [asked[1] for asked in server.asked]


def broken_after(server, count, folder):
    """A first process got `count` bytes and then nothing more."""
    server.break_after, server.answers = [count], [200, 404]
    with pytest.raises(DataError, match="404"):
        fetch("toy", url=server.url)
    server.asked.clear()
    assert (folder / f"{FILE}.part").read_bytes() == CONTENT[:count]


def test_a_plain_transfer(server, folder):
    said, progress = Talk(), []
    found = fetch("toy", url=server.url, say=said, progress=lambda *pair: progress.append(pair))
    assert found.path == folder / FILE
    assert found.path.read_bytes() == CONTENT
    assert (found.sha256, found.name, found.verified) == (SHA, "toy", True)
    assert files(folder) == [FILE]
    assert progress[0] == (0, SIZE)
    assert progress[-1] == (SIZE, SIZE)
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)
    assert len(said) == 1  # before it begins: what, how large, which hash, from where, where to
    for part in (FILE, f"{SIZE:,} bytes", f"sha256 {SHA}", server.url, str(folder)):
        assert part in said[0]
    assert ranges(server) == [None]


def test_what_is_there_is_not_fetched_again(server, folder):
    fetch("toy", url=server.url)
    said = Talk()
    assert fetch("toy", url=server.url, say=said).path == folder / FILE
    assert said == [f"toy is on this machine already: {folder / FILE}"]
    assert len(server.asked) == 1


def test_a_damaged_file_is_replaced(server, folder):
    folder.mkdir()
    (folder / FILE).write_bytes(CONTENT[:-1])
    assert fetch("toy", url=server.url).path.read_bytes() == CONTENT


def test_the_publishers_address_is_the_default(server, toy):
    toy(url=server.url)
    assert fetch("toy").path.read_bytes() == CONTENT


def test_an_unknown_name(server):
    with pytest.raises(UsageError, match=r"no weights called 'toi'"):
        fetch("toi", url=server.url)


def test_a_broken_transfer_is_resumed_by_the_same_process(server):
    server.break_after = [HALF, 70_000]
    said = Talk()
    assert fetch("toy", url=server.url, say=said).path.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=150000-", "bytes=220000-"]
    assert [asked[2] for asked in server.asked] == [None, '"v1"', '"v1"']
    assert f"the connection ended after 150,000 of {SIZE:,} bytes" in said[1]
    assert said[2] == "Going on after 150,000 bytes."


def test_a_broken_transfer_is_resumed_by_the_next_process(server, folder):
    broken_after(server, HALF, folder)
    progress = []
    assert fetch("toy", url=server.url, progress=lambda *pair: progress.append(pair)).path.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=150000-"]
    assert progress[0] == (HALF, SIZE)
    assert files(folder) == [FILE]


def test_a_server_that_ignores_ranges(server, folder):
    broken_after(server, HALF, folder)
    server.ranges = False
    said = Talk()
    assert fetch("toy", url=server.url, say=said).path.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=150000-"]  # asked for the rest, took the whole
    assert len(said) == 1


def test_a_file_that_changed_meanwhile_is_begun_anew(server, folder):
    old = bytes(SIZE)
    server.content, server.tag, server.break_after, server.answers = old, '"v0"', [HALF], [200, 404]
    with pytest.raises(DataError):
        fetch("toy", url=server.url)
    assert (folder / f"{FILE}.part").read_bytes() == old[:HALF]
    server.content, server.tag = CONTENT, '"v1"'
    server.asked.clear()
    assert fetch("toy", url=server.url).path.read_bytes() == CONTENT
    assert server.asked == [("/toy.pth", "bytes=150000-", '"v0"')]


@pytest.mark.parametrize("tag", [None, 'W/"v1"'])
def test_pieces_that_do_not_fit_are_begun_anew(server, folder, tag):
    """Nothing says that the file has changed; the hash sees it."""
    server.content, server.tag, server.break_after, server.answers = bytes(SIZE), tag, [HALF], [200, 404]
    with pytest.raises(DataError):
        fetch("toy", url=server.url)
    server.content = CONTENT
    server.asked.clear()
    said = Talk()
    assert fetch("toy", url=server.url, say=said).path.read_bytes() == CONTENT
    assert server.asked == [("/toy.pth", "bytes=150000-", None), ("/toy.pth", None, None)]
    assert "starting anew" in said[2]


def test_a_mirror_goes_on_with_what_came_from_elsewhere(server, folder):
    broken_after(server, HALF, folder)
    assert fetch("toy", url=server.url.replace("toy.pth", "mirror.pth")).path.read_bytes() == CONTENT
    assert server.asked == [("/mirror.pth", "bytes=150000-", None)]


def test_a_whole_part_is_only_verified(server, folder):
    folder.mkdir()
    (folder / f"{FILE}.part").write_bytes(CONTENT)
    assert fetch("toy", url=server.url).path.read_bytes() == CONTENT
    assert server.asked == []


def test_a_server_that_sends_another_part(server, folder):
    broken_after(server, HALF, folder)

    def other(handler):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{SIZE - 1}/{SIZE}")
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.answers = [other]
    said = Talk()
    assert fetch("toy", url=server.url, say=said).path.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=150000-", None]
    assert "since the server sent another part than it was asked for" in said[1]


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_part_that_is_too_long_is_begun_anew(server, folder, toy, size):
    toy(size=size)  # unknown: the server refuses the range with 416
    folder.mkdir()
    (folder / f"{FILE}.part").write_bytes(CONTENT + b"more")
    assert fetch("toy", url=server.url).path.read_bytes() == CONTENT
    assert ranges(server) == ([None] if size else ["bytes=300005-", None])


def test_neither_size_nor_length_nor_all_digits_are_needed(server, toy):
    toy(size=None, sha256=SHA[:8])
    server.length = False
    progress, said = [], Talk()
    found = fetch("toy", url=server.url, say=said, progress=lambda *pair: progress.append(pair))
    assert found.path.read_bytes() == CONTENT
    assert progress[-1] == (SIZE, None)
    assert f"size unknown, sha256 beginning with {SHA[:8]}" in said[0]


def test_a_wrong_hash_leaves_nothing(server, folder):
    server.content = bytes(SIZE)
    with pytest.raises(DataError) as caught:
        fetch("toy", url=server.url)
    assert hashlib.sha256(bytes(SIZE)).hexdigest() in caught.value.what
    assert SHA in caught.value.what
    assert files(folder) == []
    assert len(server.asked) == 1


def test_a_wrong_size_is_seen_before_the_bytes(server, folder):
    server.content = b"<html>Please log in.</html>"
    with pytest.raises(DataError, match=r"has 27 bytes, but toy-12345678.pth as published has 300,001\."):
        fetch("toy", url=server.url)
    assert files(folder) == []


def test_more_bytes_than_published_without_a_length(server, folder):
    server.content, server.length = CONTENT + b"more", False
    with pytest.raises(DataError, match="has more bytes"):
        fetch("toy", url=server.url)
    assert files(folder) == []


def test_not_found(server, folder):
    server.answers = [404]
    with pytest.raises(DataError, match=r"cannot be had: 127\.0\.0\.1 answers 404 Not Found\.") as caught:
        fetch("toy", url=server.url)
    assert caught.value.hint == f"Bring {FILE} from another machine, then `gantool weights import FILE`."
    assert len(server.asked) == 1
    assert files(folder) == []


def test_a_server_in_trouble_is_asked_again(server):
    server.answers = [500, 503]
    said = Talk()
    assert fetch("toy", url=server.url, say=said).path.read_bytes() == CONTENT
    assert len(server.asked) == 3
    assert said[1:] == [
        "Trying again in 0.01 s, since 127.0.0.1 answers 500 Internal Server Error.",
        "Trying again in 0.02 s, since 127.0.0.1 answers 503 Service Unavailable.",
    ]


def test_a_server_in_lasting_trouble_is_given_up(server, folder):
    server.answers = [500] * 9
    with pytest.raises(DataError, match=r"could not be downloaded: 127\.0\.0\.1 answers 500") as caught:
        fetch("toy", url=server.url)
    assert len(server.asked) == download.ATTEMPTS
    assert "Bring" in caught.value.hint


def test_attempts_count_only_while_nothing_new_comes(server):
    """More breaks than attempts, each with something new."""
    server.break_after = [30_000] * 9
    assert fetch("toy", url=server.url).path.read_bytes() == CONTENT
    assert len(server.asked) == 10


def test_a_server_that_never_gets_beyond_a_point_is_given_up(server, folder):
    server.ranges, server.break_after = False, [HALF] * 20
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        fetch("toy", url=server.url)
    assert len(server.asked) == download.ATTEMPTS
    assert caught.value.hint.startswith("What has come is kept")
    assert files(folder) == [f"{FILE}.part", f"{FILE}.part.json"]


def test_a_silent_server(server, monkeypatch):
    monkeypatch.setattr(remote, "TIMEOUT", 0.2)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    server.answers = [lambda handler: time.sleep(0.6)] * 2
    with pytest.raises(DataError, match=r"nothing came from 127\.0\.0\.1 for 0\.2 s"):
        fetch("toy", url=server.url)


def test_a_server_that_falls_silent_is_asked_for_the_rest(server, monkeypatch):
    monkeypatch.setattr(remote, "TIMEOUT", 0.2)

    def stall(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        handler.wfile.write(CONTENT[: 2 * download.CHUNK])
        time.sleep(0.6)
        handler.close_connection = True

    server.answers = [stall]
    assert fetch("toy", url=server.url).path.read_bytes() == CONTENT
    assert ranges(server)[1] in (f"bytes={2 * download.CHUNK}-", f"bytes={download.CHUNK}-")


def test_connection_refused(folder):
    with socket.socket() as free:  # a port on which nobody listens
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/toy.pth"
        with pytest.raises(DataError, match=r"^127\.0\.0\.1 refuses the connection\. Bring toy"):
            fetch("toy", url=url)
    assert files(folder) == []


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "There is no network, or no weights.example"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "There is no network: weights.example cannot be"),
    ],
)
def test_no_network(monkeypatch, reason, text):
    def fail(*_, **__):
        raise reason

    monkeypatch.setattr(socket, "create_connection", fail)
    with pytest.raises(DataError, match=text):
        fetch("toy", url="http://weights.example/toy.pth")


def test_offline_by_wish(server, monkeypatch, folder):
    monkeypatch.setenv("GANTOOL_OFFLINE", "1")
    with pytest.raises(DataError, match="is not downloaded, because GANTOOL_OFFLINE is set"):
        fetch("toy", url=server.url)
    assert server.asked == []
    monkeypatch.setenv("GANTOOL_OFFLINE", "0")
    assert fetch("toy", url=server.url).path.read_bytes() == CONTENT


def test_redirects_keep_the_range(server, folder):
    broken_after(server, HALF, folder)

    def elsewhere(handler):
        handler.send_response(302)
        handler.send_header("Location", "/signed?key=1")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers = [elsewhere]
    assert fetch("toy", url=server.url).path.read_bytes() == CONTENT
    assert server.asked == [
        ("/toy.pth", "bytes=150000-", '"v1"'),
        ("/signed?key=1", "bytes=150000-", '"v1"'),
    ]


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/toy.pth"])
def test_a_redirect_leads_nowhere_else(server, target):
    def elsewhere(handler):
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers = [elsewhere]
    with pytest.raises(DataError, match="cannot be had"):
        fetch("toy", url=server.url)


def test_a_proxy_of_the_environment(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/toy.pth"))
    assert fetch("toy", url="http://weights.example/toy.pth").path.read_bytes() == CONTENT
    assert server.asked[0][0] == "http://weights.example/toy.pth"


def test_a_proxy_in_trouble_is_named(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/toy.pth"))
    server.answers = [403]
    with pytest.raises(DataError, match=r"weights\.example \(through the proxy 127\.0\.0\.1\) answers 403 Forbidden"):
        fetch("toy", url="http://weights.example/toy.pth")


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/toy.pth", "data:,toy", "toy.pth", "http://[broken/toy.pth", "https:", "http://a b/"]
)
def test_addresses_that_are_none(url, folder):
    with pytest.raises(DataError):
        fetch("toy", url=url)


def test_a_file_address(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("GANTOOL_OFFLINE", "1")  # which needs no network
    (tmp_path / "share.pth").write_bytes(CONTENT)
    assert fetch("toy", url=(tmp_path / "share.pth").as_uri()).path.read_bytes() == CONTENT
    assert (tmp_path / "share.pth").exists()


def test_a_file_address_without_a_file(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        fetch("toy", url=(tmp_path / "gone.pth").as_uri())


def test_no_space_is_seen_beforehand(server, folder, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=SIZE - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match=r"There is no space for toy.* 300,001 bytes are needed"):
        fetch("toy", url=server.url)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=SIZE))
    assert fetch("toy", url=server.url).verified


def test_the_disk_fills_up(server, folder, monkeypatch):
    written = 0
    real = download._write

    def full(file, chunk):
        nonlocal written
        written += len(chunk)
        if written > HALF:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file, chunk)

    monkeypatch.setattr(download, "_write", full)
    with pytest.raises(DataError, match="There is no space for toy") as caught:
        fetch("toy", url=server.url)
    assert "GANTOOL_WEIGHTS" in caught.value.hint
    kept = 2 * download.CHUNK
    assert (folder / f"{FILE}.part").read_bytes() == CONTENT[:kept]
    monkeypatch.setattr(download, "_write", real)  # some was freed
    assert fetch("toy", url=server.url).path.read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={kept}-"]


def test_an_unbuffered_file_may_take_less(tmp_path):
    class Slow:
        def __init__(self):
            self.got = b""

        def write(self, data):
            self.got += bytes(data[:3])
            return min(3, len(data))

    file = Slow()
    download._write(file, b"0123456789")
    assert file.got == b"0123456789"


def test_two_at_once(server, folder):
    """Threads: the lock is the file's, so they are as strange to each other as processes."""
    first = threading.Event()

    def slowly(handler):
        first.set()
        time.sleep(0.5)
        handler.send_response(200)
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.answers = [slowly]
    said = Talk()
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(fetch, "toy", url=server.url)
        assert first.wait(5)
        two = pool.submit(fetch, "toy", url=server.url, say=said)
        assert one.result() == two.result()
    assert len(server.asked) == 1
    assert said == [f"Another process is downloading {FILE}; waiting for it."]
    assert (folder / FILE).read_bytes() == CONTENT


PROGRAM = """
import sys
from dataclasses import replace
from gantool.cli.main import main
from gantool.weights import catalogue
catalogue.CATALOGUE += (
    catalogue.Weights("toy", "A toy", "{file}", "{url}", {size}, "{sha}", "MIT", ("fid",)),
)
main(["weights", "fetch", "toy"])
"""


def test_ctrl_c_keeps_what_has_come(server, folder):
    held = threading.Event()

    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(SIZE))
        handler.send_header("ETag", server.tag)
        handler.end_headers()
        handler.wfile.write(CONTENT[:HALF])
        handler.wfile.flush()
        held.wait(20)
        handler.close_connection = True

    server.answers = [half]
    code = PROGRAM.format(file=FILE, url=server.url, size=SIZE, sha=SHA)
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    part = folder / f"{FILE}.part"
    whole = HALF // download.CHUNK * download.CHUNK
    end = time.monotonic() + 20
    while time.monotonic() < end and not (part.is_file() and part.stat().st_size >= whole):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    held.set()
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1] == "Interrupted. `gantool weights fetch toy` goes on from here."
    assert files(folder) == [f"{FILE}.part", f"{FILE}.part.json"]
    kept = part.stat().st_size
    assert whole <= kept <= HALF
    assert fetch("toy", url=server.url).path.read_bytes() == CONTENT
    assert server.asked[-1] == ("/toy.pth", f"bytes={kept}-", '"v1"')


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(server, folder):
    folder.mkdir(mode=0o500)
    with pytest.raises(Exception, match="Permission denied"):
        fetch("toy", url=server.url)
