"""Laws of stores that nobody trusts: nothing they hold is written elsewhere, ends a process, or passes for another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti import Store, Weights, canonical, open_store
from smalti.codecs import CODECS
from smalti.errors import Damaged, SmaltiError
from smalti.store.backends.memory import MemoryBackend
from smalti.store.format import leaf_table
from smalti.store.format.recipe import LEAST_SAVED_NBYTES
from smalti.store.format.record import address_of
from smalti.store.format.sealed import seal_spelled, unseal

EXAMPLES = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
ADDRESS = "sha256:" + "0" * 64
LIES = [
    None, True, -1, 0, 1, 64, 65, 2**31, 10**18, 2**63, 1.5, "", "|O", "O", "<M8[D]", "i4,O", "null", "string",
    "../../../../planted.sh", "/tmp/planted", "data.npy", "tree", "array", "table", "bytes", [], {}, [[]], [0],
    [10**18], [-1], [10**18, 0], [2**40, 2**40], {"x": ADDRESS}, ADDRESS, [ADDRESS], "0" * 64,
]  # fmt: skip
HOSTILE = st.one_of(
    st.sampled_from(LIES),
    st.integers(-(2**64), 2**64),
    st.text(max_size=5),
)


def hostile_source() -> tuple[Store, MemoryBackend]:
    """Return a store of every kind of object, whose files may be written over."""
    backend = MemoryBackend()
    store = Store(backend, CODECS)
    rng = np.random.default_rng(0)
    rows = rng.random((200, 512))
    changed = rows.copy()
    changed[3] = 0
    table = pa.table({"a": [1, None, 3], "b": ["x", "y", None], "c": pa.array(["u", "v", "u"]).dictionary_encode()})
    parts = {
        "rows": rows, "changed": changed, "few": np.arange(5), "table": table, "frame": table.to_pandas(),
        "weights": Weights({"w": np.ones((3, 2), np.float32)}), "raw": b"raw bytes", "more": rng.bytes(5000),
        "list": [1, 2.0, (3,)], "structure": np.zeros(3, [("x", "<i4"), ("y", "<f8", (2,))]),
    }  # fmt: skip
    store.put(parts, name="everything/here")
    store.put(b"second", name="everything/here")
    store.pin(store.put(b"pinned"))
    store.add_manifest("run", inputs={"x": "everything/here"}, views=["by/project"], tags={"a": "b"})
    store.add_manifest("part", outputs={"y": "everything/here"}, parent="run")
    store.release("part")
    return store, backend


def documents_of(backend: MemoryBackend) -> list[str]:
    """Return the keys of all sealed documents: those of names, pins and runs, records and recipes."""
    sealed = [f"data/{a[7:9]}/{a[7:]}/{n}" for a, files in backend.files.items() for n in files if n.endswith(".json")]
    return sorted([*sealed, *(key for key in backend.documents if key != "store.json" and not key.startswith("runs/"))])


def read(backend: MemoryBackend, key: str) -> bytes:
    return backend.read(key)


def write(backend: MemoryBackend, key: str, content: bytes) -> None:
    if key.startswith("data/"):
        _, _, digits, name = key.split("/")
        backend.files[f"sha256:{digits}"][name] = content
    else:
        backend.documents[key] = content


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in a JSON document."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


@st.composite
def lies(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with something in it replaced, added or taken away."""
    changed: Any = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 2))):
        found = list(places(changed))
        if not found:
            break
        *above, last = draw(st.sampled_from(found))
        holder = changed
        for key in above:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                holder[last] = deepcopy(draw(HOSTILE))
            case "remove":
                del holder[last]
            case "add" if isinstance(holder, dict):
                holder[draw(st.sampled_from(["file", "recipe", "x", "../x", "types", "content", "views"]))] = deepcopy(
                    draw(HOSTILE)
                )
    return dict(changed)


def resealed(document: dict[str, Any]) -> bytes:
    return seal_spelled(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace"))


def taken(target: Store, act: Callable[[], Any]) -> bool:
    """Do it; whatever comes of it, the target is sound, all of it can be read, and each value has its own address."""
    try:
        act()
        went = True
    except SmaltiError:
        went = False
    root = Path(target.place)
    assert [path.name for path in root.parent.iterdir()] == [root.name], "something was written beside the store"
    assert target.fsck(full=True).clean
    for address in target._objects.addresses():
        value = target.get(address)
        target.open(address)
        if target.record(address).kind in {"array", "bytes", "weights", "json"}:
            assert target.put(value).digest == address, "what came in is another value than its address says"
    return went


def all_ways(target: Store, source: Store) -> bool:
    pulled = taken(target, lambda: target.pull(source))
    return taken(target, lambda: target.fsck(repair_from=source)) and pulled


@EXAMPLES
@given(st.data())
def documents_that_lie(data: st.DataObject) -> None:
    """Change a document, seal it anew, and where it is a record, give it the address that it says."""
    source, backend = hostile_source()
    key = data.draw(st.sampled_from(documents_of(backend)))
    document = unseal(read(backend, key), key)
    changed = resealed(data.draw(lies(document)))
    write(backend, key, changed)
    with tempfile.TemporaryDirectory() as folder:
        target = open_store(Path(folder) / "store")
        target.init()
        all_ways(target, source)


@EXAMPLES
@given(st.data())
def headers_that_lie(data: st.DataObject) -> None:
    """Change the header of an object, give it the address that belongs to it, and name that."""
    source, backend = hostile_source()
    address = data.draw(st.sampled_from(sorted(backend.files)))
    files = dict(backend.files[address])
    document = unseal(files["metadata.json"], "")
    document["header"] = data.draw(lies({"header": document["header"]})).get("header", {})
    hang(source, backend, document, files)
    with tempfile.TemporaryDirectory() as folder:
        target = open_store(Path(folder) / "store")
        target.init()
        all_ways(target, source)


@EXAMPLES
@given(st.data())
def files_that_lie(data: st.DataObject) -> None:
    """Change any file of an object."""
    source, backend = hostile_source()
    address = data.draw(st.sampled_from(sorted(backend.files)))
    name = data.draw(st.sampled_from(sorted(backend.files[address])))
    content = backend.files[address][name]
    start = data.draw(st.integers(0, len(content)))
    new = data.draw(st.binary(max_size=50))
    backend.files[address][name] = content[:start] + new + content[start + data.draw(st.integers(0, 50)) :]
    with tempfile.TemporaryDirectory() as folder:
        target = open_store(Path(folder) / "store")
        target.init()
        all_ways(target, source)


def hang(source: Store, backend: MemoryBackend, document: dict[str, Any], files: dict[str, bytes]) -> str:
    """Put an object where its own address says, as whoever means harm would, and name it."""
    header = document["header"]
    try:
        entries = [leaf_table.entry(bytes.fromhex(leaf), nbytes) for leaf, nbytes in document.get("leaves", ())]
        address = address_of(header, canonical.canonical_bytes(header), b"".join(entries))
    except Exception:  # such a header has no address
        address = "sha256:" + "1" * 64
    backend.files[address] = {**files, "metadata.json": resealed(document)}
    backend.leases[address] = 1.0
    backend.documents["names/hostile/@000001.json"] = resealed(
        {"name": "hostile", "version": 1, "address": address, "at": "2026-01-01T00:00:00+00:00"}
    )
    return address


@pytest.mark.parametrize("law", ["documents_that_lie", "headers_that_lie", "files_that_lie"])
def test_nothing_that_lies_crashes_writes_elsewhere_or_passes_for_what_it_is_not(law: str, tmp_path: Path) -> None:
    run_apart(law, tmp_path)


def run_apart(law: str, folder: Path) -> None:
    """Run a law in a process of its own: what ends the process is seen as well."""
    code = f"import runpy; runpy.run_path({__file__!r})[{law!r}]()"
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=folder, check=False
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-3000:]}"


def one_object(header: dict[str, Any], content: bytes, nbytes: int | None = None) -> tuple[Store, str]:
    """Return a hostile store with one object of that header, whose leaves are those of its content."""
    backend = MemoryBackend()
    source = Store(backend, CODECS)
    source.init()
    size = len(content) if nbytes is None else nbytes
    document = {
        "format": 2, "header": header, "nbytes": size, "file": "data.npy", "buffers": [[0, size]],
        "framing": blake3(b"").hexdigest(), "leaves": [[blake3(content).hexdigest(), size]],
    }  # fmt: skip
    return source, hang(source, backend, document, {"data.npy": content})


ATTACKS = {
    "objects": {"kind": "array", "dtype": "|O", "shape": [2]},
    "objects in fields": {"kind": "array", "dtype": [["a", "|O"], ["b", "<i8"]], "shape": [1]},
    "objects by text": {"kind": "array", "dtype": "O,i8", "shape": [1]},
    "a shape of 1e18": {"kind": "array", "dtype": "<f8", "shape": [10**18]},
    "a negative shape": {"kind": "array", "dtype": "<f8", "shape": [-1, -2]},
    "a shape of nothing": {"kind": "array", "dtype": "|V0", "shape": [10**18, 10**18]},
    "many axes": {"kind": "array", "dtype": "<f8", "shape": [1] * 100 + [2]},
    "weights of objects": {"kind": "weights", "tensors": {"w": {"dtype": "|O8", "shape": [2]}}},
    "another SHA-256": {"kind": "bytes", "nbytes": 16, "sha256": "0" * 64},
    "rows without end": {
        "kind": "table", "columns": [{"name": "a", "type": "null"}], "rows": 10**18, "batches": [10**18],
        "dictionaries": [],
    },
    "offsets that lead elsewhere": {
        "kind": "table", "columns": [{"name": "a", "type": "string"}], "rows": 1, "batches": [1], "dictionaries": [],
    },
    "a kind that nobody knows": {"kind": "program", "path": "/bin/sh"},
}  # fmt: skip


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_a_header_that_describes_no_value_is_refused_by_name(attack: str, tmp_path: Path) -> None:
    source, address = one_object(ATTACKS[attack], bytes(range(16)))
    target = open_store(tmp_path / "store")
    target.init()
    with pytest.raises(Damaged, match=address):
        target.pull(source)
    assert not list(target.names())
    assert address in {problem.place for problem in source.fsck(full=True).problems}


def test_content_that_is_said_to_be_larger_than_any_disk_is_refused(tmp_path: Path) -> None:
    header = {"kind": "array", "dtype": "|u1", "shape": [10**15]}
    source, _ = one_object(header, b"few", 10**15)
    target = open_store(tmp_path / "store")
    target.init()
    with pytest.raises(SmaltiError):
        target.pull(source)


@pytest.mark.parametrize("count", [65, 4096, 4097, 2**40, 2**61])
def test_a_number_of_leaves_that_is_a_lie_is_refused(count: int, tmp_path: Path) -> None:
    source, backend = hostile_source()
    first = source.versions("everything/here")[0]
    address = source.record(first.address).children["rows"]
    files = backend.files[address]
    files["metadata.json"] = resealed(unseal(files["metadata.json"], "") | {"leaf_count": count})
    (target := open_store(tmp_path / "store")).init()
    with pytest.raises(Damaged, match=address):
        target.pull(source)


def test_recipes_that_lead_in_a_circle_or_to_more_pieces_than_anybody_keeps_are_refused(tmp_path: Path) -> None:
    source, backend = hostile_source()
    children = source.record(source.versions("everything/here")[0].address).children
    near = next(address for address in backend.files if "recipe.json" in backend.files[address])
    whole = next(children[name] for name in ("rows", "changed") if children[name] != near)
    nbytes = source.record(whole).nbytes
    for extents in (
        [[0, 0, nbytes]],
        [[0, 0, 1]] * 10**4 + [[0, 0, nbytes - 10**4]],
        [[0, 0, 0]] * 10**4 + [[0, 0, nbytes]],
    ):
        for address, other in ((near, whole), (whole, near)):
            document = {"framing_nbytes": 0, "sources": [other], "extents": extents}
            backend.files[address]["recipe.json"] = resealed(document)
            backend.files[address]["delta.bin"] = b""
        (target := open_store(tmp_path / "store")).init()
        with pytest.raises(Damaged):
            target.pull(source)


def test_framing_that_unpacks_to_more_than_belongs_to_it_is_refused(tmp_path: Path) -> None:
    source, backend = hostile_source()
    near = next(address for address in backend.files if "recipe.json" in backend.files[address])
    recipe = unseal(backend.files[near]["recipe.json"], "")
    bomb = zlib.compress(bytes(64 * 2**20), 9)
    bomb = bomb.ljust(-(-len(bomb) // 4096) * 4096, b"\0")
    own = backend.files[near]["delta.bin"][recipe["framing_nbytes"] :]
    backend.files[near] |= {"delta.bin": bomb + own, "recipe.json": resealed(recipe | {"framing_nbytes": len(bomb)})}
    (target := open_store(tmp_path / "store")).init()
    with pytest.raises(Damaged, match=near):
        target.pull(source)
    assert source.record(near).nbytes >= LEAST_SAVED_NBYTES
