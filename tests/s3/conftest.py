"""S3 servers for one session, on loopback: moto, a quick mock, and a real single-node Ceph with its RADOS gateway.

Ceph's daemons come from Debian's packages ceph-mon, ceph-osd, ceph-mgr, radosgw and ceph-common, which `make test-s3`
installs. They run as the user of the tests, hold everything in a temporary folder and are ended with the session.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from smalti.codecs import CODECS
from smalti.store import Store
from smalti.store.backends.s3.backend import S3Backend
from smalti.store.backends.s3.bucket import Bucket
from smalti.store.backends.s3.index import S3Index
from smalti.store.documents import Documents
from smalti.store.identity import KEY
from smalti.store.manifests.bucket_index import BucketManifests
from smalti.store.objects.object_store import ObjectStore
from smalti.testing.damage import NOTES
from tests.s3.wire import Wire

_PROGRAMS = ("ceph", "ceph-authtool", "ceph-mgr", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_COMMAND_SECONDS = 120
_START_SECONDS = 180
_STOP_SECONDS = 20
_CAPABILITIES: Mapping[str, tuple[str, ...]] = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *", "mds", "allow *"),
    "mgr.x": ("mon", "allow profile mgr", "osd", "allow *"),
    "osd.0": ("mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *"),
    "client.rgw": ("mon", "allow rw", "osd", "allow rwx"),
}
_CONFIG = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{ports[0]},v1:127.0.0.1:{ports[1]}]
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
bluestore_block_size = 4294967296
osd_memory_target = 939524096
ms_bind_port_min = {ports[3]}
ms_bind_port_max = {last_port}
run_dir = {folder}/run
admin_socket = {folder}/run/$name.asok
pid_file = {folder}/run/$name.pid
keyring = {folder}/keyring
log_file = {folder}/log/$name.log
mon_data = {folder}/mon
osd_data = {folder}/osd
mgr_data = {folder}/mgr

[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{ports[2]}
"""


@dataclass(frozen=True)
class Server:
    """An S3 server that runs, and who may use it."""

    endpoint: str
    access_key: str
    secret_key: str

    @property
    def credentials(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self) -> Any:
        """Return a way to the server that is not the store's."""
        keys = {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key}
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", **keys)


class BucketBytes(MutableMapping[str, bytes]):
    """What lies below one prefix, key -> bytes, read and written without asking the store.

    ``store.json``, and what is there to be tried, to be young, to be removed or to be checked is left out.
    """

    NOT_STORED = (KEY, "probe", "clock", "touched/", "removing/", "writing/", *NOTES)

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def __getitem__(self, key: str) -> bytes:
        found = self._bucket.get(key)
        if found is None:
            raise KeyError(key)
        return found.content

    def __setitem__(self, key: str, content: bytes) -> None:
        self._bucket.put(key, [content])

    def __delitem__(self, key: str) -> None:
        self._bucket.delete(key)

    def __iter__(self) -> Iterator[str]:
        return (f["path"] for f in list(self._bucket.list("")) if not f["path"].startswith(self.NOT_STORED))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def holds(self, key: str) -> bool:
        """Tell whether there is a key, also of those that are left out."""
        return self._bucket.head(key) is not None


def store_over(backend: S3Backend, **manifests: Any) -> Store:
    """Return a store over a backend, as ``open_store`` makes it."""
    documents = Documents(backend)
    return Store(backend, CODECS, S3Index(backend), BucketManifests(documents, backend.identity, **manifests))


def store_at(url: str, endpoint: str) -> Store:
    """Return another opening of the store there."""
    return store_over(S3Backend.at(url, endpoint))


@pytest.fixture(scope="session")
def bucket_name() -> str:
    return "smalti-tests"


@pytest.fixture(scope="session")
def moto(bucket_name: str) -> Iterator[Server]:
    """A mock server, in memory; it lets everybody in."""
    pytest.importorskip("moto", reason="the mock S3 server is not installed: pip install 'moto[server]'")
    (port,) = _free_ports(1)
    server = Server(f"http://127.0.0.1:{port}", "SMALTITESTACCESSKEY0", uuid.uuid4().hex)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert _answers(server.endpoint)
        server.client().create_bucket(Bucket=bucket_name)
        yield server
    finally:
        _stop(process)


@pytest.fixture(params=["rgw" if os.environ.get("SMALTI_TEST_S3") == "1" else "moto"])
def server(request: pytest.FixtureRequest) -> Server:
    """The server under test: the mock, or the real one in `make test-s3`."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def url(server: Server, bucket_name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A place nobody has used, with the server's credentials in the environment, and a cache folder of its own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**server.credentials, "XDG_CACHE_HOME": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    return f"s3://{bucket_name}/{uuid.uuid4().hex}/store"


@pytest.fixture
def endpoint(request: pytest.FixtureRequest, server: Server) -> str:
    """Where to ask: behind the wire in a test that has one."""
    return str(request.getfixturevalue("wire").endpoint) if "wire" in request.fixturenames else server.endpoint


@pytest.fixture
def backend(url: str, endpoint: str) -> S3Backend:
    """The backend under test, at a place where no store is yet."""
    return S3Backend.at(url, endpoint)


@pytest.fixture
def store(backend: S3Backend) -> Store:
    """An empty store over the backend under test."""
    store = store_over(backend)
    store.init()
    return store


@pytest.fixture
def objects(store: Store, backend: S3Backend) -> ObjectStore:
    """The same store's objects."""
    return ObjectStore(backend, S3Index(backend))


@pytest.fixture
def documents(store: Store, backend: S3Backend) -> Documents:
    """The same store's documents."""
    return Documents(backend)


@pytest.fixture
def stored(server: Server, url: str) -> BucketBytes:
    """A way past the store."""
    return BucketBytes(Bucket(url, server.endpoint))


@pytest.fixture(scope="session")
def rgw(bucket_name: str) -> Iterator[Server]:
    """A RADOS gateway of its own, with one user."""
    if os.environ.get("SMALTI_TEST_S3") != "1":
        pytest.skip("needs a Ceph RADOS gateway: run `make test-s3`")
    missing = [name for name in _PROGRAMS if not shutil.which(name)]
    if missing:
        pytest.fail(f"{', '.join(missing)} not installed; `make test-s3` installs what is needed")
    with (
        tempfile.TemporaryDirectory(prefix="smalti-rgw-", ignore_cleanup_errors=True) as folder,
        contextlib.ExitStack() as daemons,
    ):
        server = _start(Path(folder), daemons)
        server.client().create_bucket(Bucket=bucket_name)
        yield server


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    """A proxy before the server."""
    with Wire(server.endpoint).running() as state:
        yield state


def _start(folder: Path, daemons: contextlib.ExitStack) -> Server:
    for name in ("run", "log", "mon", "osd", "mgr"):
        (folder / name).mkdir()
    ports = _free_ports(24)
    fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
    config, keyring = folder / "ceph.conf", folder / "keyring"
    config.write_text(_CONFIG.format(folder=folder, fsid=fsid, ports=ports, last_port=ports[-1]))

    def run(program: str, *arguments: str) -> None:
        command = [program, "-c", str(config), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
        if done.returncode:
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")

    def daemon(program: str, *arguments: str) -> None:
        with (folder / "log" / f"{program}.out").open("wb") as out:
            command = [program, "-c", str(config), *arguments, "-f"]
            process = subprocess.Popen(command, stdout=out, stderr=out)
        daemons.callback(_stop, process)

    run("ceph-authtool", "--create-keyring", str(keyring))
    for name, capabilities in _CAPABILITIES.items():
        pairs = zip(capabilities[::2], capabilities[1::2], strict=True)
        options = [text for subject, what in pairs for text in ("--cap", subject, what)]
        run("ceph-authtool", str(keyring), "--gen-key", "-n", name, *options)
    at = f"[v2:127.0.0.1:{ports[0]},v1:127.0.0.1:{ports[1]}]"
    run("monmaptool", "--create", "--clobber", "--addv", "a", at, "--fsid", fsid, str(folder / "monmap"))
    run("ceph-mon", "-i", "a", "--mkfs", "--monmap", str(folder / "monmap"), "--keyring", str(keyring))
    daemon("ceph-mon", "-i", "a")
    run("ceph", "auth", "import", "-i", str(keyring))
    daemon("ceph-mgr", "-i", "x")
    run("ceph", "osd", "new", osd)
    run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd, "--keyring", str(keyring))
    daemon("ceph-osd", "-i", "0")
    daemon("radosgw", "-n", "client.rgw")
    endpoint = f"http://127.0.0.1:{ports[2]}"
    if not _answers(endpoint):
        ends = {path.name: path.read_text(errors="replace")[-2000:] for path in sorted((folder / "log").iterdir())}
        pytest.fail(f"the gateway did not answer within {_START_SECONDS} s: {ends}")
    server = Server(endpoint, "SMALTITESTACCESSKEY0", uuid.uuid4().hex)
    user = ("--uid=smalti", "--display-name=smalti")
    keys = (f"--access-key={server.access_key}", f"--secret-key={server.secret_key}")
    run("radosgw-admin", "user", "create", *user, *keys)
    return server


def _answers(endpoint: str) -> bool:
    """Wait until a server answers, whatever it says."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(endpoint, timeout=5).close()
            return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            time.sleep(0.1)
    return False


def _free_ports(count: int) -> list[int]:
    """Return free ports, one after the other: the daemons are given a range of them."""
    for first in range(20_000 + os.getpid() % 5_000, 32_000, count):
        if all(_is_free(port) for port in range(first, first + count)):
            return list(range(first, first + count))
    raise RuntimeError(f"there are no {count} free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as one, contextlib.suppress(OSError):
        one.bind(("127.0.0.1", port))
        return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
