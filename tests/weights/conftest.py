"""A folder of weights of one's own, a catalogue with a made-up network, and a server on 127.0.0.1."""

import hashlib
import random
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gantool.weights import catalogue, download
from gantool.weights.catalogue import Edition

CONTENT = random.Random(0).randbytes(300_001)  # several chunks, and not a whole number of them
OLDER = random.Random(1).randbytes(1000)
SHA = hashlib.sha256(CONTENT).hexdigest()
ENTRY = catalogue.Weights(
    name="toy", title="A toy", file="toy-12345678.pth", url="http://127.0.0.1:9/toy.pth", size=len(CONTENT), sha256=SHA,
    licence="MIT", used_by=("fid",), others=(Edition("older.pth", hashlib.sha256(OLDER).hexdigest()[:8]),),
)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of the weights; nothing of this machine's is looked at, and pauses are short."""
    monkeypatch.setenv("GANTOOL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("GANTOOL_OFFLINE", raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.01)
    return tmp_path / "weights"


@pytest.fixture
def toy(monkeypatch):
    """Put the made-up network, changed as asked, into the catalogue; called again it is changed again."""
    known = catalogue.CATALOGUE

    def put(**changes):
        entry = replace(ENTRY, **changes)
        monkeypatch.setattr(catalogue, "CATALOGUE", (*known, entry))
        return entry

    put()
    return put


@dataclass
class Server:
    """What it serves and how; and what it was asked."""

    url: str
    content: bytes = CONTENT
    tag: str | None = '"v1"'
    ranges: bool = True
    length: bool = True
    answers: list = field(default_factory=list)  # codes, or functions of the handler, for the next requests
    break_after: list = field(default_factory=list)  # bytes after which the next replies end
    asked: list = field(default_factory=list)  # (path, Range, If-Range) of each request


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server.state
        server.asked.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        answer = server.answers.pop(0) if server.answers else 200
        if callable(answer):
            answer(self)
            return
        if answer != 200:
            self.send_error(answer)
            return
        start, body = 0, server.content
        asked, version = self.headers.get("Range"), self.headers.get("If-Range")
        if asked and server.ranges and version in (None, server.tag):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if server.tag:
            self.send_header("ETag", server.tag)
        if server.length:
            self.send_header("Content-Length", str(len(body) - start))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        end = start + server.break_after.pop(0) if server.break_after else len(body)
        self.wfile.write(body[start:end])
        if end < len(body):
            self.close_connection = True


@pytest.fixture
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.state = Server(f"http://127.0.0.1:{httpd.server_address[1]}/toy.pth")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield httpd.state
    httpd.shutdown()
    httpd.server_close()
