"""Opening an address, and what its failures mean: worth another attempt, or one final sentence."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, InvalidURL
from typing import Any
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from gantool._version import __version__
from gantool.errors import DataError

SCHEMES = ("https", "http", "file")
TIMEOUT = 30.0  # seconds without a byte
PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP answers that may be other ones in a moment


class Broken(Exception):
    """This attempt failed, another may not; the message is a clause that says why."""


class BeyondEnd(Broken):
    """The server has fewer bytes than were to be skipped."""


def scheme(url: str) -> str:
    """Of an address: one of `SCHEMES`. Raises DataError for anything else."""
    try:
        found = urlsplit(url).scheme.lower()
    except ValueError:
        found = ""
    if found not in SCHEMES:
        raise DataError(
            f"{url} is no address to download from.", "Give one that begins with https://, http:// or file:."
        )
    return found


def open_url(url: str, headers: Mapping[str, str], hint: str) -> Any:
    """The response, as `urllib.request.urlopen` gives it; redirects are followed, proxies are the environment's.

    Raises:
        Broken, BeyondEnd: another attempt may succeed.
        DataError: none will; `hint` is what to do instead.
    """
    # Of urllib's handlers only those for `SCHEMES`: a redirect leads to no other kind either.
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler, request.UnknownHandler, request.HTTPHandler, request.HTTPSHandler,
        request.HTTPDefaultErrorHandler, request.HTTPRedirectHandler, request.FileHandler, request.HTTPErrorProcessor,
    ):  # fmt: skip
        opener.add_handler(handler())
    agent = {"User-Agent": f"gantool/{__version__}", "Accept-Encoding": "identity"}
    with reaching(url, hint):
        return opener.open(request.Request(url, headers={**agent, **headers}), timeout=TIMEOUT)


@contextmanager
def reaching(url: str, hint: str) -> Iterator[None]:
    """Failures inside, of `open_url` or of reading the response, as `open_url` raises them."""
    try:
        yield
    except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
        raise _meaning(error, url, hint) from error


def _meaning(error: Exception, url: str, hint: str) -> Exception:
    peer = _peer(url)
    if isinstance(error, HTTPError):
        error.close()
        answer = f"{error.code} {error.reason}".strip()
        if error.code == 416:
            return BeyondEnd("the file on the server is shorter than what has come so far")
        if error.code in PASSING:
            return Broken(f"{peer} answers {answer}")
        return DataError(f"{url} cannot be had: {peer} answers {answer}.", hint)
    reason = error.reason if isinstance(error, URLError) else error
    match reason:
        case TimeoutError():
            return Broken(f"nothing came from {peer} for {TIMEOUT:g} s")
        case socket.gaierror():
            return DataError(f"There is no network, or no {peer}: its address could not be found.", hint)
        case ConnectionRefusedError():
            return DataError(f"{peer} refuses the connection.", hint)
        case ssl.SSLCertVerificationError():
            what = f"The certificate of {peer} is not trusted: {reason.verify_message}."
            return DataError(what, f"If your network has certificates of its own, name them in SSL_CERT_FILE. {hint}")
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            return DataError(f"There is no network: {peer} cannot be reached.", hint)
        case InvalidURL():
            pass
        case ConnectionError() | HTTPException():
            return Broken(f"the connection to {peer} broke")
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return DataError(f"{url} cannot be had: {text}.", hint)


def _peer(url: str) -> str:
    """Whom we talk to, for sentences."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or "this machine"
        proxy = request.getproxies().get(parts.scheme)
        if proxy and not request.proxy_bypass(host):
            return f"{host} (through the proxy {urlsplit(proxy).hostname or proxy})"
    except ValueError:
        return "the server"
    return host
