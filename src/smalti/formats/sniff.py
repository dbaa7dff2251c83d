"""What a file is, by its first bytes, and by its name where it is plain text; what it is instead, where we know."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from smalti.formats.source import Source

Form = Literal[
    "bzip2", "gzip", "zstd", "zip", "npy", "hdf5", "parquet", "arrow", "arrow stream", "safetensors",
    "csv", "tsv", "jsonl"
]  # fmt: skip

HEAD_NBYTES = 2048
_MAGIC: dict[bytes, Form] = {
    b"BZh": "bzip2",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x93NUMPY": "npy",
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow stream",
}
_SUFFIXES: dict[str, Form] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_HDF5_USER_BLOCKS = (512, 1024)
# What a file of that name should have been.
EXPECTED = {
    ".npz": "an .npz archive",
    ".npy": "a .npy array",
    ".h5": "an HDF5 file",
    ".hdf5": "an HDF5 file",
    ".cxi": "an HDF5 file",
    ".nxs": "an HDF5 file",
    ".hdf": "an HDF5 file",
    ".mat": "a MATLAB file of version 7.3",
    ".parquet": "a Parquet file",
    ".arrow": "an Arrow file",
    ".feather": "an Arrow file",
    ".safetensors": "a safetensors file",
    ".csv": "a table of text in UTF-8",
    ".tsv": "a table of text in UTF-8",
    ".jsonl": "one JSON object on each line, in UTF-8",
    ".ndjson": "one JSON object on each line, in UTF-8",
}
_WANTED = "NPZ, NPY, HDF5, CXI, CSV, TSV, Parquet, Arrow, JSON lines or safetensors, plain or in .bz2 .gz .zst .zip"
# First bytes -> what it is, what to do: formats that may hold arrays or tables, which are refused ...
_UNREAD: dict[bytes, tuple[str, str]] = {
    b"\x80\x02": ("a Python pickle, which can run code", "write it with numpy.savez"),
    b"\x80\x03": ("a Python pickle, which can run code", "write it with numpy.savez"),
    b"\x80\x04": ("a Python pickle, which can run code", "write it with numpy.savez"),
    b"\x80\x05": ("a Python pickle, which can run code", "write it with numpy.savez"),
    b"version https://git-lfs": ("a Git LFS pointer, not the data", "run git lfs pull and give the file it fetches"),
    b"/annex/objects/": ("a git-annex pointer, not the data", "run git annex get and give the file it fetches"),
    b"MATLAB 5.0": ("a MATLAB file before 7.3", "save it with -v7.3, or with scipy.io.loadmat and numpy.savez"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "export the sheet as CSV"),
    b"PARE": ("an encrypted Parquet file", "decrypt it first"),
    b"FEA1": ("a Feather file of version 1", "write it again with pyarrow.feather"),
    b"\xfd7zXZ\x00": ("an xz archive", "unpack it with xz -d"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it and give one file"),
    b"Rar!": ("a RAR archive", "unpack it and give one file"),
    b"\x04\x22\x4d\x18": ("an LZ4 file", "unpack it with lz4 -d"),
}
_TAR, _TAR_AT = b"ustar", 257
# ... and others, which are kept as bytes unless the file's name claims a format of the first kind.
_OTHER: dict[bytes, tuple[str, str]] = {
    b"<!DOCTYPE": ("a web page", "download the file itself, not the page about it"),
    b"<!doctype": ("a web page", "download the file itself, not the page about it"),
    b"<html": ("a web page", "download the file itself, not the page about it"),
    b"<?xml": ("an XML document", "export the data in one of these forms"),
    b"II*\x00": ("a TIFF image", "put the patterns in one stack with numpy.savez"),
    b"MM\x00*": ("a TIFF image", "put the patterns in one stack with numpy.savez"),
    b"%PDF": ("a PDF document", "give the data, not the report"),
    b"\x7fELF": ("a program", "give a data file"),
    b"MZ": ("a program", "give a data file"),
    b"#!": ("a script", "give a data file"),
    b"SQLite format 3": ("an SQLite database", "export the table as Parquet or CSV"),
    b"\xff\xfe": ("text in UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("text in UTF-16", "save it as UTF-8"),
}


def recognise(source: Source) -> Form:
    """Return what the content of ``source`` is; leaves it at its start.

    Raises:
        ContractBroken: it is nothing that is read here; the message says what it is, if that is known. Its code is
            ``file.unknown`` where neither the name nor the first bytes claim a format of arrays or tables.
    """
    head = source.file.read(HEAD_NBYTES)
    source.file.seek(0)
    if head[8:10] == b'{"' and suffix_of(source.name) not in _SUFFIXES:  # two short lines of JSON begin so too
        return "safetensors"  # behind a length of any value
    by_magic = next((form for magic, form in _MAGIC.items() if head.startswith(magic)), None)
    if by_magic is None and any(head.startswith(b"\x89HDF\r\n\x1a\n", at) for at in _HDF5_USER_BLOCKS):
        by_magic = "hdf5"
    if by_magic:
        return by_magic
    unread = next((what for magic, what in _UNREAD.items() if head.startswith(magic)), None)
    if head.startswith(_TAR, _TAR_AT):
        unread = ("a tar archive", "unpack it and give one file")
    other = next((what for magic, what in _OTHER.items() if head.startswith(magic)), None)
    suffix = suffix_of(source.name)
    by_name = _SUFFIXES.get(suffix)
    if head and by_name and not (unread or other):
        return by_name
    found, remedy = unread or other or _unknown(head)
    claims = suffix in EXPECTED or unread or not head.strip(b"\0")
    code = "file.format" if claims else "file.unknown"
    raise source.refuse(code, "the file", found, EXPECTED.get(suffix, _WANTED), remedy)


def suffix_of(name: str) -> str:
    """Return the ending of a name in lower case, without that of a wrapping.

    >>> suffix_of("Table.CSV.gz")
    '.csv'
    """
    path = PurePath(name.lower())
    return path.with_suffix("").suffix if path.suffix in (".bz2", ".gz", ".zst", ".zip") else path.suffix


def _unknown(head: bytes) -> tuple[str, str]:
    if not head:
        return "an empty file", "copy the file again from its source"
    if not head.strip(b"\0"):
        return "nothing but zeros, as after a copy that was cut short", "copy the file again from its source"
    return f"a file that begins with the bytes {head[:4].hex(' ')}", "write it with numpy.savez, h5py or as CSV"
