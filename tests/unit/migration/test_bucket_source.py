"""Laws of a source that is a bucket, against a mock server: keys with an empty part, and servers that lie."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import Store
from smalti.errors import NotFound, Refused, Unavailable
from smalti.migration import plan_migration
from smalti.migration.sources.bucket import bucket_source
from smalti.migration.sources.read_only_bucket import ReadOnlyBucket

_BUCKET = "old-mltrack"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The endpoint of a mock server with a bucket."""
    pytest.importorskip("moto", reason="the mock S3 server is not installed: pip install 'moto[server]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(endpoint, timeout=5).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
        yield endpoint
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SMALTITESTACCESSKEY0")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture
def client(server: str, credentials: None) -> Any:
    """boto3's client, and an empty bucket."""
    boto3 = pytest.importorskip("boto3")
    client = boto3.client("s3", endpoint_url=server)
    client.create_bucket(Bucket=_BUCKET)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET):
        for found in page.get("Contents", ()):
            client.delete_object(Bucket=_BUCKET, Key=found["Key"])
    return client


def upload(client: Any, folder: Path) -> dict[str, bytes]:
    """Put a mirror into the bucket as MLtrack would have: a manifest's key has two slashes."""
    keys = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            key = path.relative_to(folder).as_posix().replace("/manifest.json", "//manifest.json")
            keys[key] = path.read_bytes()
            client.put_object(Bucket=_BUCKET, Key=key, Body=keys[key])
    return keys


def content(client: Any) -> dict[str, bytes]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET)
    keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
    return {key: client.get_object(Bucket=_BUCKET, Key=key)["Body"].read() for key in keys}


def test_a_bucket_and_its_mirror_become_the_same_runs(
    bring, store: Store, server: str, client: Any, v1_run: Path
) -> None:
    keys = upload(client, v1_run)
    assert "mltrack/experiments/7/runs/run_a//manifest.json" in keys
    from_bucket = bring(f"s3://{_BUCKET}", endpoint=server)
    assert not from_bucket.failed
    assert not from_bucket.brought[0].remarks, "its manifest was found"
    from_mirror = bring(v1_run)
    assert from_mirror.new_bytes == 0
    assert from_mirror.brought[0].values == from_bucket.brought[0].values
    assert content(client) == keys, "nothing in the source was touched"


def test_a_prefix_of_a_bucket_is_a_source(bring, store: Store, server: str, client: Any, v1_run: Path) -> None:
    upload(client, v1_run)
    client.put_object(Bucket=_BUCKET, Key="mltrack-other/experiments/7/runs/r/inputs/x", Body=b"x")
    report = bring(f"s3://{_BUCKET}/mltrack/", endpoint=server)
    assert [one.name for one in report.brought] == ["run_a"]


def test_keys_of_any_text_are_listed_over_many_pages_and_bad_ones_are_left(server: str, client: Any) -> None:
    odd = ["a b%20é+.txt", "x//y", "../up", "folder/", "a\\b", "dup/k", "dup//k"]
    keys = [*odd, *(f"many/{n:04}" for n in range(10))]
    for key in keys:
        client.put_object(Bucket=_BUCKET, Key=key, Body=key.encode())
    listed = ReadOnlyBucket(f"s3://{_BUCKET}", server, page_keys=4).listed()
    assert [found.key for found in listed] == sorted(keys, key=str.encode)
    source = bucket_source(f"s3://{_BUCKET}", server)
    assert len(source.files) == 10 + 3
    assert source.read("a b%20é+.txt") == "a b%20é+.txt".encode()
    assert source.read("x/y") == b"x//y"
    assert len(source.left) == 3
    with source.local("many/0007") as file:
        assert (file.name, file.read_bytes()) == ("0007", b"many/0007")
    assert not file.exists()


def test_what_is_wrong_with_a_bucket_is_one_sentence(server: str, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="there is no s3://none-such"):
        bucket_source("s3://none-such", server)
    with pytest.raises(NotFound, match="nothing below s3://old-mltrack/empty"):
        bucket_source(f"s3://{_BUCKET}/empty", server)
    with pytest.raises(Refused, match="names no bucket"):
        bucket_source("s3://UPPER", server)
    with pytest.raises(Refused, match="not encrypted"):
        bucket_source(f"s3://{_BUCKET}", "http://192.0.2.1")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Refused, match="nobody"):
        bucket_source(f"s3://{_BUCKET}", server)
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Refused, match=r"set AWS_ACCESS_KEY_ID|Partial"):
        bucket_source(f"s3://{_BUCKET}", server)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(Refused, match="set AWS_ACCESS_KEY_ID"):
        bucket_source(f"s3://{_BUCKET}", server)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(NotFound, match=r"boto3 is not installed.*pip install 'smalti\[mltrack\]'"):
        bucket_source(f"s3://{_BUCKET}", server)


def test_credentials_of_a_profile_are_used(
    bring, server: str, client: Any, v1_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(client, v1_run)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    said = "[profile lab]\nregion = us-east-1\naws_access_key_id = OFTHEPROFILE\naws_secret_access_key = secret\n"
    (tmp_path / "config").write_text(f"{said}endpoint_url = {server}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert [one.name for one in bring(f"s3://{_BUCKET}").brought] == ["run_a"], "the server is that of the profile"


_LISTING = (
    "<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Contents><Key>{key}</Key><Size>{size}</Size>"
    "</Contents></ListBucketResult>"
)
_ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
_BOMB = f'<!DOCTYPE l [<!ENTITY e0 "xxxxxxxxxx">{_ENTITIES}]><l>&e8;</l>'


@pytest.mark.parametrize(
    ("listing", "body", "why"),
    [
        ("<html>", b"", "could not be read"),
        (_BOMB, b"", "could not be read"),
        (_LISTING.format(key="experiments/1/runs/r/manifest.json", size="x"), b"", "is none of S3's"),
        (_LISTING.format(key="experiments/1/runs/r/manifest.json", size="99"), b"{}", "came as 2 bytes"),
    ],
)
def test_a_server_that_lies_is_not_believed(
    credentials: None, listing: str, body: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            sent = listing.encode() if "list-type" in self.path else body
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as lying:
        thread = threading.Thread(target=lying.serve_forever, args=(0.01,))
        thread.start()
        try:
            plan = plan_migration("s3://bucket", endpoint=f"http://127.0.0.1:{lying.server_port}")
            said = plan.failed[0].why
        except Unavailable as error:
            said = str(error)
        finally:
            lying.shutdown()
            thread.join()
    assert why in said


def test_an_array_of_a_bucket_is_compared_with_what_came(bring, store: Store, server: str, client: Any, v1) -> None:
    v1.data("7", "r", "inputs", "x", np.arange(100_000), "20250301_120000")
    upload(client, v1.root)
    bring(f"s3://{_BUCKET}", endpoint=server)
    assert store.get(store.manifest("r").inputs["x"]).sum() == np.arange(100_000).sum()
