"""Hostile and broken archives, arrays and wrappings: .npz, .npy, .zip, .gz, .bz2, .zst."""

from __future__ import annotations

import bz2
import gzip
import os
import socket
import struct
import zipfile
from pathlib import Path

import numpy as np
import pyarrow

from tests.unit.formats.hostile.making import Case, changed, deflated_zeros, holding, npy, npz, sound, zipped

ONES = npy(np.ones(3))
ZEROS = npy(np.zeros(70 << 17))  # 70 MiB that deflate to 70 kB


def member(name: str | zipfile.ZipInfo, data: bytes = ONES, says: str = "", method: int = zipfile.ZIP_STORED) -> Case:
    return Case(holding(zipped(("xcoords.npy", ONES), (name, data), method=method)), says)


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


def entry_changed(data: bytes, at: int, value: bytes) -> bytes:
    """Overwrite part of the first entry in a table of contents."""
    start = data.index(b"PK\x01\x02") + at
    return data[:start] + value + data[start + len(value) :]


def overlapping() -> bytes:
    """Two directory entries over one payload."""
    data = zipped(("xcoords.npy", npy(np.ones(20000))), ("ycoords.npy", ONES))
    first = data.index(b"PK\x01\x02")
    second, end = data.index(b"PK\x01\x02", first + 4), data.index(b"PK\x05\x06")
    return data[:second] + data[first:second].replace(b"xcoords", b"ycoords") + data[end:]


def endless_table() -> bytes:
    """A hundred thousand entries for one array."""
    data = zipped(("x.npy", ONES))
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    table = data[start:end] * 100_000
    return data[:start] + table + data[end : end + 12] + struct.pack("<LLH", len(table), start, 0)


def endless_table_told_by_zip64() -> bytes:
    """The same, whose length is told in the record of zip64 alone."""
    data = endless_table()
    start, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 100_000, 100_000, end - start, start)
    where = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    told = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:end] + record + where + told


def endless_table_with_two_ends() -> bytes:
    """The same, in whose last record a second one seems to begin."""
    data = endless_table()
    end = data.rindex(b"PK\x05\x06")
    return data[: end + 4] + b"PK\x05\x06" + data[end + 8 :]


def bound_socket(path: Path) -> None:
    home = Path.cwd()
    os.chdir(path.parent)  # a socket's path is limited to about 100 characters
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(home)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20 << 30)


def zstd(data: bytes) -> bytes:
    return bytes(pyarrow.Codec("zstd").compress(data, asbytes=True))


FILES = {
    "nothing": Case(lambda path: None, "there is no file"),
    "folder": Case(lambda path: path.mkdir(), "a folder"),
    "pipe": Case(os.mkfifo, "a named pipe"),
    "socket": Case(bound_socket, "a device or socket"),
    "link": Case(lambda path: path.symlink_to(__file__), "a symbolic link"),
    "dangling link": Case(lambda path: path.symlink_to("nowhere"), "a symbolic link"),
    "link to itself": Case(lambda path: path.symlink_to(path.name), "a symbolic link"),
    "link to a device": Case(lambda path: path.symlink_to("/dev/zero"), "a symbolic link"),
    "empty": Case(holding(b""), "an empty file"),
    "zeros": Case(holding(bytes(99)), "nothing but zeros"),
    "noise": Case(holding(np.random.default_rng(3).bytes(999)), "a file that begins with the bytes"),
    "20 GB, sparse": Case(sparse, "at most 17179869184 bytes"),
    "pickle": Case(holding(b"\x80\x04cos\nsystem\n."), "a Python pickle"),
    "Git LFS pointer": Case(holding(b"version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"),
    "web page": Case(holding(b"<!DOCTYPE html><html>404</html>"), "download the file itself"),
    "MATLAB 5": Case(holding(b"MATLAB 5.0 MAT-file" + bytes(200)), "save it with -v7.3"),
    "TIFF": Case(holding(b"II*\x00" + bytes(50)), "a TIFF image"),
    "Excel": Case(holding(zipped(("[Content_Types].xml", b"<x/>"), ("xl/a.xml", b"<x/>"))), "as CSV"),
    "PyTorch": Case(holding(zipped(("archive/data.pkl", b"\x80\x02."), ("archive/data/0", b"0"))), "can run code"),
    "tar": Case(holding(bytes(257) + b"ustar\x0000" + bytes(248)), "a tar archive"),
    "xz": Case(holding(b"\xfd7zXZ\x00" + bytes(50)), "xz -d"),
    "program": Case(holding(b"\x7fELF" + bytes(50)), "a program"),
}

ARCHIVES = {
    "cut in half": Case(lambda path: path.write_bytes(npz()[:4000]), "copy the file again"),
    "cut by a byte": Case(lambda path: path.write_bytes(npz()[:-1]), "copy the file again"),
    "only a beginning": Case(holding(b"PK\x03\x04 cut short"), "copy the file again"),
    "flipped bit": Case(lambda path: path.write_bytes(npz().replace(b"\x00\x00\x80?", b"\x00\x00\x81?", 1)), "CRC"),
    "no members": Case(holding(zipped()), "0 members"),
    "5000 members": Case(changed(**{f"a{i}": np.ones(1) for i in range(5000)}), "1 to 4096"),
    "100,000 entries": Case(holding(endless_table()), "a table of contents of"),
    "100,000 entries, zip64": Case(holding(endless_table_told_by_zip64()), "a table of contents of"),
    "100,000 entries, two ends": Case(holding(endless_table_with_two_ends()), "a table of contents of"),
    "same name twice": member("xcoords.npy", says="the same name twice"),
    "overlapping": Case(holding(overlapping()), "overlap"),
    "absolute name": member("/etc/x.npy", says="leads out of the archive"),
    "parent name": member("a/../../x.npy", says="leads out of the archive"),
    "backslash name": member("..\\x.npy", says="leads out of the archive"),
    "drive name": member("C:x.npy", says="leads out of the archive"),
    "newline in name": member("a\nb.npy", says=r"member a\nb.npy"),
    "right-to-left name": member("a\u202eb.npy", says=r"member a\u202eb.npy"),
    "endless name": member("x" * 60_000 + ".npy", says="60004 characters"),
    "scripts alone": Case(holding(zipped(("a.py", b"import os"), ("b.py", b""))), "not that of an array"),
    "folders alone": Case(holding(zipped(("a/", b""), ("b/", b""))), "a folder"),
    "link member": member(link("link.npy"), b"/etc/passwd", says="a symbolic link"),
    "lzma": member("ycoords.npy", method=zipfile.ZIP_LZMA, says="compression method 14"),
    "encrypted": Case(lambda path: path.write_bytes(entry_changed(npz(), 8, b"\1\0")), "an encrypted member"),
    "wrong checksum": Case(lambda path: path.write_bytes(entry_changed(npz(True), 16, bytes(4))), "CRC"),
    "declares 4 GB": Case(lambda path: path.write_bytes(entry_changed(npz(), 24, b"\xf0\xff\xff\xff")), "wanted"),
    "deflate bomb": Case(holding(deflated_zeros("xcoords.npy")), "at most"),
}

MEMBERS = {
    "pickled array": Case(changed(xcoords=np.array({"a": 1}, dtype=object)), "pickled Python objects"),
    "structured": Case(changed(xcoords=np.zeros(2, "i4,f8")), "plain numbers or text"),
    "dates": Case(changed(xcoords=np.zeros(2, "M8[s]")), "plain numbers or text"),
    "not npy": member("ycoords.npy", b"hello, this is no array", says="member ycoords.npy"),
    "no header": member("ycoords.npy", b"\x93NUMPY\x01\x00\xff\xff{", says="member ycoords.npy"),
    "code in header": member("ycoords.npy", ONES.replace(b"'<f8'", b"exit()"), says="member ycoords.npy"),
    "deep header": member(
        "ycoords.npy", b"\x93NUMPY\x01\x00\x10\x27" + b"(" * 9_999 + b"\n", says="member ycoords.npy"
    ),
    "declares 8 TB": member("ycoords.npy", npy(np.ones(3), shape=(1 << 40,)), says="wanted 8796093022208 bytes"),
    "declares endlessly much": member("ycoords.npy", npy(np.ones(3), shape=(9**999,) * 4), says="24 bytes of data"),
    "declares less": member("ycoords.npy", npy(np.ones(3), shape=(2,)), says="wanted 16 bytes"),
    "negative shape": member("ycoords.npy", npy(np.ones(3), shape=(-3, -1)), says="(-3, -1)"),
    "trailing bytes": member("ycoords.npy", ONES + b"more", says="28 bytes"),
    "no items": member("ycoords.npy", npy(np.ones(3), descr="|V0"), says="member ycoords.npy"),
    "npy that declares 8 TB": Case(holding(npy(np.ones(3), shape=(1 << 40,))), "8796093022208", "diffraction.npy"),
    "npy cut short": Case(holding(ONES[:-3]), "21 bytes of data", "diffraction.npy"),
    "npy of objects": Case(holding(npy(np.ones(3), descr="|O")), "pickled Python objects", "diffraction.npy"),
    "npy of version 9": Case(holding(b"\x93NUMPY\x09\x00" + bytes(99)), "copy the file again", "diffraction.npy"),
    "npy alone": Case(holding(npy(sound()["diffraction"])), "wanted xcoords", "diffraction.npy"),
}

WRAPPINGS = {
    "cut bzip2": Case(lambda path: path.write_bytes(bz2.compress(npz())[:-40]), "a whole bzip2 file"),
    "cut gzip": Case(lambda path: path.write_bytes(gzip.compress(npz())[:-40]), "a whole gzip file"),
    "cut zstd": Case(lambda path: path.write_bytes(zstd(npz())[:-40]), "copy the file again"),
    "not bzip2": Case(holding(b"BZh9 no"), "a whole bzip2 file"),
    "not zstd": Case(holding(b"\x28\xb5\x2f\xfd no"), "a whole zstd file"),
    "text in gzip": Case(holding(gzip.compress(b"text")), "74 65 78 74"),
    "nothing in gzip": Case(holding(gzip.compress(b"")), "an empty file"),
    "gzip bomb": Case(holding(gzip.compress(ZEROS)), "at most"),
    "bzip2 bomb": Case(holding(bz2.compress(ZEROS)), "at most"),
    "zstd bomb": Case(holding(zstd(ZEROS)), "at most"),
    "zip bomb": Case(holding(zipped(("scan.csv", ZEROS), method=zipfile.ZIP_DEFLATED)), "at most"),
    "wrapped twice": Case(lambda path: path.write_bytes(gzip.compress(bz2.compress(npz()))), "unpack it once"),
    "zip in zip": Case(lambda path: path.write_bytes(zipped(("a.zip", zipped(("b.csv", b"a\n"))))), "unpack it once"),
    "zip of two tables": Case(holding(zipped(("a.csv", b"a\n1"), ("b.csv", b"a\n1"))), "member a.csv"),
    "zip of a parent": Case(holding(zipped(("../a.csv", b"a\n1"))), "leads out of the archive", "a.csv.zip"),
    "zip of a link": Case(holding(zipped((link("a.csv"), b"/etc/passwd"))), "a symbolic link", "a.csv.zip"),
    "zip of a folder": Case(holding(zipped(("a/", b""))), "a folder", "a.csv.zip"),
    "pickle in gzip": Case(holding(gzip.compress(b"\x80\x04cos\nsystem\n.")), "a Python pickle"),
}

CASES = {**FILES, **ARCHIVES, **MEMBERS, **WRAPPINGS}
