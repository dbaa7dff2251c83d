"""TLS is verified on every download: by authority, by name, by date; and nothing turns that off."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets.fetch import Patience, download
from smalti.errors import Refused, Unavailable

pytest.importorskip("cryptography", reason="certificates are made with cryptography, which moto brings")
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

QUICK = Patience(idle_s=2, total_s=5, attempts=2, backoff_s=0)
DAY = datetime.timedelta(days=1)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/plain" else 200)
        self.send_header("Location", "http://localhost/") if self.path == "/plain" else None
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that does not like the certificate hangs up."""


def certificate(folder: Path, name: str, ends: datetime.timedelta) -> Path:
    """Make a certificate that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - 9 * DAY)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    plain = serialization.NoEncryption(), serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(plain[1], serialization.PrivateFormat.PKCS8, plain[0]) + made.public_bytes(plain[1])
    )
    return path


Serve = Callable[[str, datetime.timedelta], Any]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Serve https with a certificate for a name; this machine trusts it."""

    @contextmanager
    def serving(name: str, ends: datetime.timedelta) -> Iterator[str]:
        pem = certificate(tmp_path, name, ends)
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        with Server(("127.0.0.1", 0), Handler) as server:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield f"https://localhost:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join()

    return serving


def test_a_certificate_that_is_trusted_for_the_name_is_accepted(serve: Serve, tmp_path: Path) -> None:
    with serve("localhost", DAY) as origin:
        assert download(f"{origin}/a", tmp_path / "a", allow=[origin], patience=QUICK).nbytes == 2


def test_a_certificate_that_nobody_vouches_for_is_refused(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve("localhost", DAY) as origin:
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(Refused, match=r"certificate of localhost is not accepted \(self"):
            download(f"{origin}/a", tmp_path / "a", allow=[origin], patience=QUICK)


def test_a_certificate_for_another_name_is_refused(serve: Serve, tmp_path: Path) -> None:
    with (
        serve("data.example", DAY) as origin,
        pytest.raises(Refused, match=r"not accepted \(Hostname mismatch"),
    ):
        download(f"{origin}/a", tmp_path / "a", allow=[origin], patience=QUICK)


def test_a_certificate_that_has_expired_is_refused(serve: Serve, tmp_path: Path) -> None:
    with serve("localhost", -DAY) as origin, pytest.raises(Refused, match=r"not accepted \(certificate has expired"):
        download(f"{origin}/a", tmp_path / "a", allow=[origin], patience=QUICK)


def test_a_redirect_from_https_to_http_is_refused(serve: Serve, tmp_path: Path) -> None:
    with serve("localhost", DAY) as origin, pytest.raises(Refused, match="neither https nor file"):
        download(f"{origin}/plain", tmp_path / "a", allow=[origin], patience=QUICK)


def test_a_redirect_from_https_to_http_is_refused_where_http_is_allowed_too(serve: Serve, tmp_path: Path) -> None:
    with serve("localhost", DAY) as origin, pytest.raises(Refused, match="redirects to plain http"):
        download(f"{origin}/plain", tmp_path / "a", allow=[origin, "http://localhost"], patience=QUICK)


def test_a_server_that_speaks_no_tls_is_unavailable(tmp_path: Path) -> None:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        origin = f"https://localhost:{server.server_address[1]}"
        with pytest.raises(Unavailable, match="could not be read"):
            download(f"{origin}/a", tmp_path / "a", allow=[origin], patience=QUICK)
        server.shutdown()
        thread.join()
