"""Laws of the gallery's server: it shows its folder to this machine, reads only, and nothing outside of the folder."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from smalti.errors import Unavailable
from smalti.gallery.serve import GalleryServer, open_server
from smalti.gallery.update import update_gallery

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs with files of many kinds, and a secret beside them that links lead to."""
    root = tmp_path_factory.mktemp("root")
    (root / "secret.txt").write_text("secret")
    (root / "secrets").mkdir()
    (root / "secrets" / "a.txt").write_text("secret")
    outputs = root / "outputs"
    (outputs / "run 7" / "logs").mkdir(parents=True)
    (outputs / "run 7" / "metrics.csv").write_text("metric,value\n")
    (outputs / "run 7" / "<b>.png").write_bytes(b"png")
    (outputs / "run 7" / "product.h5").write_bytes(bytes(range(256)) * 10_000)
    (outputs / "run 7" / ".parts.json").write_text("{}")
    (outputs / "page.html").write_text("<script>alert(1)</script>")
    (outputs / "link.txt").symlink_to("../secret.txt")
    (outputs / "linked").symlink_to("../secrets")
    os.mkfifo(outputs / "pipe")
    update_gallery(outputs, [])
    return outputs


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[GalleryServer]:
    with open_server(folder, 0) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def asked(server: GalleryServer, target: str, method: str = "GET", host: str | None = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.putrequest(method, target, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_the_gallery_and_its_files_are_served_with_headers_that_confine_them(server, folder) -> None:
    status, headers, page = asked(server, "/")
    assert (status, page) == (200, (folder / "index.html").read_bytes())
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"].startswith("default-src 'none'; img-src 'self' data:; style-src 'sha256-")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    status, headers, content = asked(server, "/run%207/product.h5")
    assert (status, content) == (200, (folder / "run 7" / "product.h5").read_bytes())
    assert headers["content-disposition"] == "attachment"
    assert asked(server, "/run%207/metrics.csv?x=1")[1]["content-type"] == "text/plain; charset=utf-8"


def test_another_page_in_the_folder_may_run_no_script(server) -> None:
    status, headers, _ = asked(server, "/page.html")
    assert status == 200
    assert "script-src" not in headers["content-security-policy"]
    assert headers["content-security-policy"].startswith("default-src 'none'")


def test_a_folder_is_listed_without_what_is_hidden_and_names_are_escaped(server) -> None:
    status, _, page = asked(server, "/run%207/")
    assert status == 200
    assert re.findall(r'<td><a href="([^"]+)">', page.decode()) == ["logs/", "%3Cb%3E.png", "metrics.csv", "product.h5"]
    assert b"<b>" not in page
    assert asked(server, "/run%207/logs")[1]["location"] == "/run%207/logs/"


@pytest.mark.parametrize(
    "target",
    [
        "/../secret.txt",
        "/run%207/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/run%207/..%5c..%5csecret.txt",
        "//etc/passwd",
        "/link.txt",
        "/linked/a.txt",
        "/linked/",
        "/pipe",
        "/run%207/.parts.json",
        "/.gallery/lock",
        "/nothing",
        "/index.html/x",
        "/a%00b",
        "/%ff",
        "http://127.0.0.1/../secret.txt",
    ],
)
def test_nothing_outside_of_the_folder_and_nothing_hidden_is_served(server, target) -> None:
    status, _, content = asked(server, target)
    assert status == 404
    assert b"secret" not in content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_it_only_reads(server, method) -> None:
    status, headers, _ = asked(server, "/", method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_head_says_what_get_would(server) -> None:
    status, headers, content = asked(server, "/run%207/product.h5", "HEAD")
    assert (status, headers["content-length"], content) == (200, "2560000", b"")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}"])
def test_a_request_for_another_host_is_refused(server, host) -> None:
    status, _, content = asked(server, "/", host=host.format(port=server.server_port))
    assert (status, content) == (421, b"421 Misdirected Request\n")
    assert asked(server, "/", host=f"localhost:{server.server_port}")[0] == 200


def test_what_is_no_request_is_answered_and_the_next_one_too(server) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as wire:
        wire.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert b"400" in wire.recv(1000)
    assert asked(server, "/")[0] == 200


def test_what_is_sent_along_with_a_request_is_not_taken_for_another_request(server) -> None:
    host = f"Host: 127.0.0.1:{server.server_port}\r\n"
    inner = f"GET /page.html HTTP/1.1\r\n{host}\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as wire:
        wire.sendall(f"GET / HTTP/1.1\r\n{host}Content-Length: {len(inner)}\r\n\r\n{inner}".encode())
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 200") == 1


def test_a_port_that_is_taken_is_told_of_with_one_that_is_free(server, folder) -> None:
    with pytest.raises(Unavailable, match=r"port \d+ of 127\.0\.0\.1 cannot be listened on: .*; --port \d+ is free"):
        open_server(folder, server.server_port)


def command(root: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "SMALTI_ROOT": str(root)}
    return subprocess.Popen(
        [sys.executable, "-c", "from smalti.cli import main; main()", "gallery", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_says_where_it_serves_and_ends_quietly_with_an_interrupt(folder) -> None:
    with command(folder.parent, "--port", "0") as running:
        assert running.stdout is not None
        said = running.stdout.readline()
        port = int(said.split(":")[2].split("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert (running.returncode, out.strip(), err) == (0, "", "")
    assert said == f"http://127.0.0.1:{port}/ shows {folder}; Ctrl-C ends it.\n"


def test_without_outputs_the_command_says_what_to_do(tmp_path) -> None:
    with command(tmp_path) as running:
        out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (1, "")
    assert err == (
        f"smalti: {tmp_path / 'outputs'} is not there yet; materialize an asset of a scan or table first, "
        "e.g. with `make run`.\n"
    )
