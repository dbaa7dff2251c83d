"""A Hugging Face hub on this machine: the parts of its interface that reading a dataset takes.

Source: https://huggingface.co/docs/hub/api, and what `huggingface_hub` asks for.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

WIKITEXT = "Salesforce/wikitext"


def parquet(texts: Sequence[str]) -> bytes:
    """Return a Parquet file with one column of text."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": list(texts)}), buffer)
    return buffer.getvalue()


class Hub(ThreadingHTTPServer):
    """Repositories: name -> revision -> files. A commit is the digest of its files."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reset()

    def reset(self) -> None:
        """Forget what was asked, and hold one repository as that of wikitext is laid out."""
        self.asked: list[dict[str, str]] = []
        self.token: str | None = None  # what a gated repository wants
        self.small: set[str] = set()  # files that Git keeps itself
        self.fails = 0  # status of every answer
        self.cut: int | None = None  # where every file breaks off
        files = {"README.md": b"---\nlicense: cc-by-sa-3.0\n---\n"}
        for config in ("wikitext-2-raw-v1", "wikitext-103-raw-v1"):
            for split in ("train", "validation", "test"):
                shards = 2 if (config, split) == ("wikitext-103-raw-v1", "train") else 1
                for shard in range(shards):
                    path = f"{config}/{split}-{shard:05}-of-{shards:05}.parquet"
                    files[path] = parquet([f"{config} {split} {shard} {row}" for row in range(100)])
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {WIKITEXT: {"main": files}}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commit(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Return the digest and files of a branch or commit."""
        for name, files in self.repositories[repository].items():
            digest = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
            if revision in (name, digest):
                return digest, files
        return None


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, path = self.server, unquote(urlsplit(self.path).path)
        hub.asked.append({"path": path, **{name.lower(): value for name, value in self.headers.items()}})
        if hub.fails:
            return self._answer(hub.fails, b"")
        is_api = path.startswith("/api/datasets/")
        place = path.removeprefix("/api").removeprefix("/datasets/")
        repository, _, rest = place.partition("/revision/" if is_api else "/resolve/")
        if repository not in hub.repositories:
            return self._refuse(401, "RepoNotFound", "Repository not found")
        revision, _, file = (rest, "", "") if is_api else rest.partition("/")
        if (found := hub.commit(repository, revision)) is None:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        commit, files = found
        if is_api:
            return self._answer(200, json.dumps(self._info(repository, commit, files)).encode())
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self._refuse(403 if "Authorization" in self.headers else 401, "GatedRepo", "Access is restricted")
        return self._give(files[file], commit)

    def _info(self, repository: str, commit: str, files: dict[str, bytes]) -> dict[str, Any]:
        siblings = []
        for name, content in files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            large = name.endswith(".parquet") and name not in self.server.small
            lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            siblings.append({"rfilename": name, "size": len(content), "blobId": blob} | ({"lfs": lfs} if large else {}))
        card = {"license": ["cc-by-sa-3.0", "gfdl"]}
        return {"id": repository, "sha": commit, "private": False, "siblings": siblings, "cardData": card}

    def _give(self, content: bytes, commit: str) -> None:
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        more = {"X-Repo-Commit": commit, "ETag": etag}
        start = 0
        if (wish := self.headers.get("Range")) and self.headers.get("If-Range") == etag:
            start = int(wish.removeprefix("bytes=").removesuffix("-"))
            more["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        more["Content-Length"] = str(len(content) - start)
        self._answer(206 if start else 200, content[start : self.server.cut], **more)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._answer(status, b"", **{"X-Error-Code": code, "X-Error-Message": message})

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.close_connection = True
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a hub."""
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.01,))
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
