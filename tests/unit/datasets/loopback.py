"""A real server on this machine, which fails in every way that a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Server(ThreadingHTTPServer):
    """Answers each request as ``answer`` says, and keeps what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave()

    def behave(self) -> None:
        """Forget what was asked, and answer as a good server."""
        self.answer: Callable[[Handler], None] = lambda handler: handler.give()
        self.asked: list[dict[str, str]] = []
        self.etag = '"v1"'
        self.content = CONTENT

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is what many tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        self.server.asked.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
        self.close_connection = True
        self.server.answer(self)

    def head(self, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def give(self, *, cut: int | None = None, ranges: bool = True) -> None:
        """Give the content as a good server does; ``cut`` hangs up after so many bytes."""
        content, wish = self.server.content, self.headers.get("Range")
        if wish and ranges and self.headers.get("If-Range") == self.server.etag:
            start = int(wish.removeprefix("bytes=").removesuffix("-"))
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.head(206, Content_Length=len(content) - start, Content_Range=span, ETag=self.server.etag)
            content = content[start:]
        else:
            self.head(200, Content_Length=len(content), ETag=self.server.etag)
        self.wfile.write(content[:cut])

    def give_chunked(self, content: bytes, *, end: bool = True) -> None:
        """Give content in pieces, without saying how much there is."""
        self.head(200, Transfer_Encoding="chunked", ETag='"v1"')
        for at in range(0, len(content), 100_000):
            piece = content[at : at + 100_000]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if end:
            self.wfile.write(b"0\r\n\r\n")


@contextmanager
def two_servers() -> Iterator[tuple[Server, Server]]:
    """Run two servers, each an origin of its own."""
    with Server() as one, Server() as other:
        threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in (one, other)]
        for thread in threads:
            thread.start()
        yield one, other
        for server, thread in zip((one, other), threads, strict=True):
            server.shutdown()
            thread.join()
