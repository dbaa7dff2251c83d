"""Read any value of a store by its format alone, described in ../design.md; what is read is verified up to its address.

    python reader.py STORE NAME-OR-ADDRESS

Arrays, tensors and rows come back as numpy arrays, bfloat16 as the float32 of the same value; a table as the bytes of
its Arrow file, which pyarrow.ipc.open_file reads.
"""

import base64
import hashlib
import json
import struct
import sys
import zlib
from decimal import Decimal
from pathlib import Path

import numpy as np
from blake3 import blake3

FANOUT, ENTRY = 64, struct.Struct("<32sQ")  # of the leaf table: entries of a node; id and size
RESTORED = {"float": float, "int": int, "tuple": tuple, "-0.0": lambda _: -0.0}  # what JSON does not tell apart


def canonical(value):
    """Return a JSON value as RFC 8785 spells it: keys by their UTF-16 units, numbers as in ECMAScript."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return b"{%s}" % b",".join(canonical(key) + b":" + canonical(value[key]) for key in keys)
    if isinstance(value, list | tuple):
        return b"[%s]" % b",".join(map(canonical, value))
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return json.dumps(value, ensure_ascii=False).encode()
    if value == 0:
        return b"0"
    sign, digits, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + exponent  # the number is 0.text * 10**point
    if len(text) <= point <= 21:
        text = text.ljust(point, "0")
    elif 0 < point <= 21:
        text = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{text}"
    else:
        text = f"{text[0]}{'.' * (len(text) > 1)}{text[1:]}e{point - 1:+d}"
    return ("-" * sign + text).encode()


def restore(header, types):
    """Return a header in which what JSON does not tell apart is what it was; types are by JSON Pointer, RFC 6901."""
    for pointer in sorted(types, key=len, reverse=True):
        *path, last = (name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:])
        parent = header
        for name in path:
            parent = parent[int(name) if isinstance(parent, list) else name]
        last = int(last) if isinstance(parent, list) else last
        parent[last] = RESTORED[types[pointer]](parent[last])
    return header


def check(found, wanted, what):
    if found != wanted:
        raise ValueError(f"{what} is not what was stored: {found!r} instead of {wanted!r}")


def sealed(path):
    """Return a document whose last field, ``check``, is the BLAKE3 digest of what is before it."""
    data = path.read_bytes()
    document = json.loads(data)
    check(data, data[:-77] + b',"check":"%s"}\n' % blake3(data[:-77] + b"}").hexdigest().encode(), path)
    return document


def read(path, start, nbytes):
    with path.open("rb") as file:
        file.seek(start)
        return file.read(nbytes)


def placed(entries, begin):
    """Return (id, size, where it begins) of entries that follow one another."""
    found = []
    for digest, size in entries:
        found.append((digest, size, begin))
        begin += size
    return found


def within(nodes, start, stop):
    return [node for node in nodes if node[2] < stop and node[2] + node[1] > start]


class Object:
    """One object: its record, checked against its address, and what of its content is asked for."""

    def __init__(self, store, address):
        self.store, self.folder = store, store / "data" / address[7:9] / address[7:]
        self.record = sealed(self.folder / "metadata.json")
        check(self.record["format"], 2, "the format")
        self.header, spelled = self.record["header"], canonical(self.record["header"])
        self.header = restore(self.header, self.header.pop("types", {}))
        self.top = placed(((bytes.fromhex(digest), size) for digest, size in self.record.get("leaves", ())), 0)
        top = b"" if self.header["kind"] == "bytes" else b"".join(ENTRY.pack(*node[:2]) for node in self.top)
        check("sha256:" + hashlib.sha256(spelled + top).hexdigest(), address, f"the record in {self.folder}")
        self.inside = base64.b64decode(self.record.get("content", ""))  # the file, where it is small
        recipe = self.folder / "recipe.json"
        self.recipe = sealed(recipe) if recipe.exists() else None

    def extents(self, start, stop):
        """Yield what a near-duplicate's content is put together from: object (None: itself), where in it, nbytes."""
        at = 0
        for source, first, nbytes in self.recipe["extents"]:
            low, high = max(start, at), min(stop, at + nbytes)
            if low < high:
                of = None if source < 0 else Object(self.store, self.recipe["sources"][source])
                yield of, first + low - at, high - low
            at += nbytes

    def leaves(self, start, stop):
        """Return (id, size, where it begins) of the leaves that hold some content, down one path of the table."""
        counts = [self.record.get("leaf_count", len(self.top))]
        while counts[-1] > FANOUT:
            counts.append(-(-counts[-1] // FANOUT))
        first, nodes = 0, self.top
        for level in range(len(counts) - 2, -1, -1):
            wanted = within(nodes, start, stop)
            first, begin = (first + nodes.index(wanted[0])) * FANOUT, wanted[0][2]
            above = sum(counts[level + 1 : -1]) * ENTRY.size  # leaves.bin has the highest level first
            if level == 0 and self.recipe:  # leaves.bin has its own new leaves only
                own = placed(ENTRY.iter_unpack(read(self.folder / "leaves.bin", above, -1)), 0)
                some = self.extents(begin, sum(wanted[-1][1:]))
                parts = [(of.leaves(at, at + n) if of else own, at, n) for of, at, n in some]
                below = [leaf[:2] for leaves, at, n in parts for leaf in leaves if at <= leaf[2] < at + n]
            else:
                nbytes = (min(first + len(wanted) * FANOUT, counts[level]) - first) * ENTRY.size
                below = list(ENTRY.iter_unpack(read(self.folder / "leaves.bin", above + first * ENTRY.size, nbytes)))
            for number, (digest, size, _) in enumerate(wanted):
                node = below[number * FANOUT : (number + 1) * FANOUT]
                check(blake3(b"".join(ENTRY.pack(*entry) for entry in node)).digest(), digest, "a node of leaves.bin")
                check(sum(entry[1] for entry in node), size, "a size in leaves.bin")
            nodes = placed(below, begin)
        return within(nodes, start, stop)

    def content(self, start, stop):
        """Return bytes of the content, verified leaf by leaf."""
        leaves = self.leaves(start, stop) if start < stop else []
        begin, end = (leaves[0][2], sum(leaves[-1][1:])) if leaves else (0, 0)
        data = self.unverified(begin, end)
        for digest, size, at in leaves:
            check(blake3(data[at - begin : at - begin + size]).digest(), digest, f"a leaf in {self.folder}")
        return data[start - begin : stop - begin]

    def unverified(self, start, stop):
        if self.recipe:  # delta.bin has the packed framing, then the new leaves
            delta, skipped = self.folder / "delta.bin", self.recipe["framing_nbytes"]
            parts = self.extents(start, stop)
            return b"".join(of.unverified(at, at + n) if of else read(delta, skipped + at, n) for of, at, n in parts)
        pieces, at = [], 0
        for offset, nbytes in self.record["buffers"]:
            low, high = offset + max(start - at, 0), offset + min(stop - at, nbytes)
            if low < high and self.inside:
                pieces.append(self.inside[low:high])
            elif low < high:
                pieces.append(read(self.folder / self.record["file"], low, high - low))
            at += nbytes
        return b"".join(pieces)

    def buffers(self):
        content, at, found = self.content(0, self.record["nbytes"]), 0, []
        if self.header["kind"] == "bytes":
            check(hashlib.sha256(content).hexdigest(), self.header["sha256"], f"the content of {self.folder}")
        for _, nbytes in self.record["buffers"]:
            found.append(content[at : at + nbytes])
            at += nbytes
        return found

    def file(self):
        """Return the ordinary file: the buffers, and around them the file format's own bytes, its framing."""
        spans = self.record["buffers"]
        if self.recipe:
            packed = read(self.folder / "delta.bin", 0, self.recipe["framing_nbytes"])
            framing = zlib.decompressobj().decompress(packed)
        else:
            whole = self.inside or (self.folder / self.record["file"]).read_bytes()
            starts, ends = [o for o, _ in spans] + [len(whole)], [0] + [o + n for o, n in spans]
            framing = b"".join(whole[a:b] for a, b in zip(ends, starts, strict=True))
        check(blake3(framing).hexdigest(), self.record["framing"], f"the framing in {self.folder}")
        pieces, at = [], 0
        for (offset, nbytes), buffer in zip(spans, self.buffers(), strict=True):
            pieces += [framing[: offset - at], buffer]
            framing, at = framing[offset - at :], offset + nbytes
        return b"".join([*pieces, framing])


def numpy_dtype(said):
    if isinstance(said, str):
        return np.dtype("<u2" if said == "bfloat16" else said)
    return np.dtype([(name, numpy_dtype(of), *map(tuple, shape)) for name, of, *shape in said])


def array(dtype, shape, data):
    values = np.ndarray(shape, numpy_dtype(dtype), data or b"")
    return (values.astype("<u4") << 16).view("<f4") if dtype == "bfloat16" else values


def find(store, reference):
    """Return the object of an address, or of the last version of a name."""
    check(json.loads((store / "store.json").read_text())["format"], 2, "the format of the store")
    if not reference.startswith("sha256:"):
        reference = sealed(max((store / "names" / reference).glob("@*.json")))["address"]
    return Object(store, reference)


def rows(store, reference, start, stop):
    """Return some rows of an array: only the leaves that hold them are read, and one path of the leaf table."""
    one = find(store, reference)
    row = one.record["nbytes"] // one.header["shape"][0]
    shape = [stop - start, *one.header["shape"][1:]]
    return array(one.header["dtype"], shape, one.content(start * row, stop * row))


def value(store, reference):
    """Return a value of any kind: a tree as a dict in its order, weights as a dict of arrays."""
    one = find(store, reference)
    header = one.header
    if header["kind"] == "tree":
        children = {name: value(store, child) for name, child in header["children"].items()}
        parts = header.get("attrs", {}) | children
        return {name: parts[name] for name in one.record.get("order", parts)}
    if header["kind"] == "json":
        return header["value"]
    if header["kind"] == "table":
        return one.file()
    if header["kind"] == "bytes":
        return one.buffers()[0]
    if header["kind"] == "array":
        return array(header["dtype"], header["shape"], one.buffers()[0])
    said = header["tensors"]  # weights lie in order of item size, the largest first, then of name
    names = sorted(said, key=lambda name: (-numpy_dtype(said[name]["dtype"]).itemsize, name))
    tensors = {name: array(**said[name], data=data) for name, data in zip(names, one.buffers(), strict=True)}
    return {name: tensors[name] for name in said}


if __name__ == "__main__":
    print(value(Path(sys.argv[1]), sys.argv[2]))
