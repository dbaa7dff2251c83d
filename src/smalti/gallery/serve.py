"""A server of the gallery for this machine alone: it only reads, and nothing outside of its folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote_to_bytes, urlsplit

from smalti.errors import Unavailable
from smalti.gallery.page import POLICY
from smalti.notebook.words import readable, visible
from smalti.outputs.folder import PAGE

HOST = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost")  # by which this machine is asked for; others are of somebody else's pages
_OTHER_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_PLAIN = "text/plain; charset=utf-8"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".png": "image/png",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    **dict.fromkeys((".csv", ".txt", ".log", ".md"), _PLAIN),
}
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_IDLE_SECONDS = 30.0


def open_server(folder: Path, port: int) -> GalleryServer:
    """Return a server of a folder that listens at once; 0 is any free port.

    Raises:
        Unavailable: another program listens on the port; the message names one that is free.
    """
    try:
        return GalleryServer(folder, port)
    except OSError as error:
        if port == 0:
            raise Unavailable(f"no port of {HOST} can be listened on: {error.strerror}.") from error
        with GalleryServer(folder, 0) as other:
            free = other.server_port
        raise Unavailable(
            f"port {port} of {HOST} cannot be listened on: {error.strerror}; --port {free} is free."
        ) from error


class GalleryServer(ThreadingHTTPServer):
    """Serves one folder; ``url`` is where."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """Where a browser finds the gallery."""
        return f"http://{HOST}:{self.server_port}/"

    def hosts(self) -> set[str]:
        """Return what a request may say that it is for; a page of somebody else whose name leads here says another."""
        return {f"{name}:{self.server_port}" for name in _NAMES}

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a browser that goes away is no error."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; whatever else is asked is refused."""

    server: GalleryServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "smalti", ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        """Answer with a file, or with the list of a folder."""
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        """Answer with what do_GET would say of it."""
        self._answer(with_content=False)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer that something is not to be had, in one line, and end the connection."""
        status = HTTPStatus(code)
        status = HTTPStatus.METHOD_NOT_ALLOWED if status is HTTPStatus.NOT_IMPLEMENTED else status
        content = f"{status.value} {status.phrase}\n".encode()
        self.close_connection = True
        more = {"Allow": "GET, HEAD"} if status is HTTPStatus.METHOD_NOT_ALLOWED else {}
        self._head(status, _PLAIN, len(content), {**more, "Connection": "close"})
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""

    def _answer(self, with_content: bool) -> None:
        if self.headers.get_all("Host") is None or set(self.headers.get_all("Host", [])) - self.server.hosts():
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        if self.headers.get("Content-Length") or self.headers.get("Transfer-Encoding"):
            self.close_connection = True  # what is sent along is not read, and would be taken for the next request
        parts = _parts(self.path)
        descriptor = None if parts is None else _opened(self.server.folder, parts or [PAGE])
        if descriptor is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with (
            os.fdopen(descriptor, "rb") if stat.S_ISREG(os.fstat(descriptor).st_mode) else _Folder(descriptor) as found
        ):
            if isinstance(found, _Folder):
                self._list(found, parts or [], with_content)
            else:
                self._send(found, (parts or [PAGE])[-1], with_content)

    def _send(self, file: BinaryIO, name: str, with_content: bool) -> None:
        nbytes = os.fstat(file.fileno()).st_size
        ending = Path(name).suffix.lower()
        kind = _KINDS.get(ending, "application/octet-stream")
        more = {} if ending in _KINDS else {"Content-Disposition": "attachment"}
        self._head(
            HTTPStatus.OK, kind, nbytes, more, is_gallery=name == PAGE and self.path.split("?")[0] in ("/", f"/{PAGE}")
        )
        if with_content:
            sent = 0
            while sent < nbytes and (piece := file.read(min(1 << 20, nbytes - sent))):
                self.wfile.write(piece)
                sent += len(piece)
            self.close_connection |= sent < nbytes  # it became shorter meanwhile

    def _list(self, folder: _Folder, parts: list[str], with_content: bool) -> None:
        if not urlsplit(self.path).path.endswith("/"):
            place = "/" + "/".join(quote(part, safe="") for part in parts) + "/"
            self._head(HTTPStatus.MOVED_PERMANENTLY, _PLAIN, 0, {"Location": place})
            return
        content = _listing("/".join(parts), folder.entries()).encode()
        self._head(HTTPStatus.OK, _KINDS[".html"], len(content))
        if with_content:
            self.wfile.write(content)

    def _head(
        self, status: HTTPStatus, kind: str, nbytes: int, more: dict[str, str] | None = None, is_gallery: bool = False
    ) -> None:
        self.send_response(status)
        said = {
            "Content-Type": kind,
            "Content-Length": str(nbytes),
            "Content-Security-Policy": POLICY if is_gallery else _OTHER_POLICY,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-cache",
        }
        for name, value in (said | (more or {})).items():
            self.send_header(name, value)
        self.end_headers()


class _Folder:
    """An open folder."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> _Folder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def entries(self) -> list[tuple[str, int | None]]:
        """Return name and size of what may be served of it, folders (without a size) first."""
        found: list[tuple[str, int | None]] = []
        with os.scandir(self._descriptor) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.is_symlink():
                    continue
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
                        found.append((entry.name, status.st_size if stat.S_ISREG(status.st_mode) else None))
        return sorted(found, key=lambda one: (one[1] is not None, one[0]))


def _parts(target: str) -> list[str] | None:
    """Return the names that lead to what is asked for; None where a name is hidden, or no name."""
    try:
        path = unquote_to_bytes(urlsplit(target).path).decode()
    except ValueError:
        return None
    parts = [part for part in path.split("/") if part]
    if not path.startswith("/") or any(part.startswith(".") or "\0" in part or "\\" in part for part in parts):
        return None
    return parts


def _opened(folder: Path, parts: Iterable[str]) -> int | None:
    """Return a descriptor of a file or folder below a folder, no link followed; None where there is no such thing."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    for part in parts:
        try:
            inner = os.open(part, _OPEN, dir_fd=descriptor)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        descriptor = inner
    if not (stat.S_ISREG(mode := os.fstat(descriptor).st_mode) or stat.S_ISDIR(mode)):
        os.close(descriptor)
        return None
    return descriptor


def _listing(path: str, entries: Iterable[tuple[str, int | None]]) -> str:
    rows = "".join(
        f'<tr><td><a href="{quote(name, safe="")}{"/" if nbytes is None else ""}">{escape(visible(name))}</a></td>'
        f"<td>{'' if nbytes is None else readable(nbytes)}</td></tr>"
        for name, nbytes in entries
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(visible(path))}</title><style>:root{{color-scheme:light dark}}body{{font:15px/1.6 system-ui,"
        "sans-serif;margin:24px}td{padding:1px 24px 1px 0}td+td{text-align:right;opacity:.75}</style></head>"
        f'<body><p><a href="/">all outputs</a></p><h1>{escape(visible(path))}</h1><table>{rows}</table></body></html>\n'
    )
