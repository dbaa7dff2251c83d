"""A proxy on loopback before an S3 server: it passes requests on, remembers them, and does them harm as told."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_ANSWER_SECONDS = 30


@dataclass
class Exchange:
    """One request and the reply that a fault may change.

    Attributes:
        sent: the body of the request.
        asks: how many times the server is asked; the last reply counts.
        short: the server is sent half of the body, then nothing more.
        status: of the reply; 0 is no reply at all. Set before the server is asked, it is not asked.
        body: of the reply.
        cut: half of it is passed on, then nothing more.
        reset: the connection is reset instead of closed.
        etag: replaces that of the reply.
    """

    method: str
    path: str
    headers: dict[str, str]
    sent: bytes = b""
    asks: int = 1
    short: bool = False
    status: int = 0
    body: bytes = b""
    cut: bool = False
    reset: bool = False
    etag: str = ""


@dataclass
class Fault:
    """What happens to the requests it fits, ``times`` of them: before they reach the server, or to its reply."""

    fits: Callable[[Exchange], bool]
    before: Callable[[Exchange], None] = lambda _: None
    after: Callable[[Exchange], None] = lambda _: None
    times: float = 1


@dataclass
class Wire:
    """The line to a server, and what happens on it."""

    target: str
    endpoint: str = ""
    faults: list[Fault] = field(default_factory=list)
    seen: list[Exchange] = field(default_factory=list)

    def harm(self, method: str, key: str, times: float = 1, **what: Callable[[Exchange], None]) -> Fault:
        self.faults.append(Fault(lambda e: e.method == method and key in e.path, times=times, **what))
        return self.faults[-1]

    def fetched(self, name: str) -> list[tuple[int, int]]:
        """Return the ranges asked of keys of that name since the wire was cleared, apart from ends."""
        asked = [e.headers["range"] for e in self.seen if e.method == "GET" and e.path.endswith(name)]
        ranges = (re.fullmatch(r"bytes=(\d+)-(\d+)", r) for r in asked if not r.startswith("bytes=-"))
        return sorted((int(r[1]), int(r[2]) + 1) for r in ranges)

    @staticmethod
    def answer(status: int, code: str) -> Callable[[Exchange], None]:
        """Let the server not be asked: reply in its place."""

        def reply(exchange: Exchange) -> None:
            exchange.status = status
            exchange.body = f"<Error><Code>{code}</Code><StringToSign>canary-token</StringToSign></Error>".encode()

        return reply

    @staticmethod
    def lose_reply(exchange: Exchange) -> None:
        exchange.status = 0

    @staticmethod
    def ignore_condition(exchange: Exchange) -> None:
        exchange.headers.pop("if-none-match", None)

    @staticmethod
    def flip_a_bit(exchange: Exchange) -> None:
        exchange.body = with_a_bit_flipped(exchange.body, len(exchange.body) // 2, 0)

    @staticmethod
    def flip_a_bit_of_what_is_sent(exchange: Exchange) -> None:
        exchange.sent = with_a_bit_flipped(exchange.sent, len(exchange.sent) // 2, 0)

    @staticmethod
    def cut(exchange: Exchange) -> None:
        exchange.cut = True

    @contextlib.contextmanager
    def running(self) -> Iterator[Wire]:
        """Listen until the context ends."""
        state, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def handle_any(self) -> None:
                self.close_connection = True
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {k.lower(): v for k, v in self.headers.items()}
                exchange = Exchange(self.command, self.path, headers, body)
                with lock:
                    state.seen.append(exchange)
                    fault = next((f for f in state.faults if f.times > 0 and f.fits(exchange)), Fault(lambda _: True))
                    fault.times -= 1
                fault.before(exchange)
                answered = {"content-type": "application/xml"}
                if not exchange.status:
                    for _ in range(exchange.asks):
                        answered = state._ask(exchange)
                fault.after(exchange)
                with contextlib.suppress(ConnectionError):  # whoever asked may have given up
                    self.reply(exchange, answered)

            def reply(self, exchange: Exchange, headers: dict[str, str]) -> None:
                if exchange.reset:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    return
                if not exchange.status:
                    return
                self.send_response(exchange.status)
                if exchange.etag:
                    headers = {k: v for k, v in headers.items() if k.lower() != "etag"} | {"ETag": exchange.etag}
                for name, value in headers.items():
                    if name.lower() not in {"content-length", "connection", "transfer-encoding", "date", "server"}:
                        self.send_header(name, value)
                nbytes = headers.get("Content-Length", "0") if self.command == "HEAD" else len(exchange.body)
                self.send_header("Content-Length", str(nbytes))
                self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(exchange.body[: len(exchange.body) // 2 if exchange.cut else None])

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
            state.endpoint = f"http://127.0.0.1:{proxy.server_port}"
            thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
            thread.start()
            yield state
            proxy.shutdown()
            thread.join()

    def _ask(self, exchange: Exchange) -> dict[str, str]:
        """Pass a request on; a server that does not answer it leaves no reply."""
        onward = http.client.HTTPConnection(urlsplit(self.target).netloc, timeout=_ANSWER_SECONDS)
        try:
            sent = exchange.sent[: len(exchange.sent) // 2] if exchange.short else exchange.sent
            onward.request(exchange.method, exchange.path, sent, exchange.headers)
            if exchange.short:
                onward.sock.shutdown(socket.SHUT_WR)
            reply = onward.getresponse()
            exchange.status, exchange.body = reply.status, reply.read()
            return dict(reply.getheaders())
        except (OSError, http.client.HTTPException):
            exchange.status = 0
            return {}
        finally:
            onward.close()


def with_a_bit_flipped(body: bytes, at: int, bit: int) -> bytes:
    """Return a body with one bit of one byte changed; nothing can happen to an empty one."""
    return body[:at] + bytes([body[at] ^ 1 << bit]) + body[at + 1 :] if body else body
