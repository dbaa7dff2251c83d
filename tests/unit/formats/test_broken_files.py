"""Files that must not be read: each is refused by name, with a reason, and with nothing but Smalti's errors."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import socket
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.contracts.violation import errors
from smalti.errors import ContractBroken, NotFound, Unavailable
from smalti.formats import Limits, read_arrays
from smalti.scans import read_scan, validate_scan
from tests.unit.formats.hostile.making import deflated_zeros

Arrays = dict[str, Any]
Breaker = Callable[[Path, Arrays], Any]


def npz(arrays: Arrays, **changes: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{k: v for k, v in {**arrays, **changes}.items() if v is not None})
    return buffer.getvalue()


def npy(array: Any, *, header: dict[str, Any] | None = None) -> bytes:
    """Return the bytes of a .npy file; ``header`` makes it claim something else than what is there."""
    buffer = io.BytesIO()
    if header is None:
        np.lib.format.write_array(buffer, array)
    else:
        honest = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(buffer, {**honest, **header})
        buffer.write(array.tobytes())
    return buffer.getvalue()


def zipped(members: list[tuple[str | zipfile.ZipInfo, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a duplicate name warns, and is the point
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def with_member(name: str | zipfile.ZipInfo, data: bytes | None = None, **kind: int) -> Breaker:
    content = npy(np.ones(3)) if data is None else data
    return lambda path, arrays: path.write_bytes(zipped([("xcoords.npy", npy(np.ones(3))), (name, content)], **kind))


def changed(**changes: Any) -> Breaker:
    return lambda path, arrays: path.write_bytes(npz(arrays, **changes))


def content(make: Callable[[bytes], bytes]) -> Breaker:
    return lambda path, arrays: path.write_bytes(make(npz(arrays)))


def symlink() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link.npy")
    info.external_attr = 0o120777 << 16
    return info


def flag_encrypted(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02") + 8
    return data[:at] + struct.pack("<H", 1) + data[at + 2 :]


def wrong_checksum(path: Path, arrays: Arrays) -> None:
    """Deflated data that inflate without complaint, to something else than was packed."""
    data = zipped([("xcoords.npy", npy(np.arange(9999.0)))], zipfile.ZIP_DEFLATED)
    at = data.index(b"PK\x01\x02") + 16
    path.write_bytes(data[:at] + bytes(4) + data[at + 4 :])


def flip(data: bytes) -> bytes:
    at = len(data) // 3
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def overlapping(path: Path, arrays: Arrays) -> None:
    """Two directory entries over one payload."""
    data = zipped([("xcoords.npy", npy(np.ones(20000))), ("ycoords.npy", npy(np.ones(3)))])
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    entry = bytearray(data[first:second].replace(b"xcoords", b"ycoords"))
    end = data.index(b"PK\x05\x06")
    path.write_bytes(data[:second] + bytes(entry) + data[end:])


def socket_file(path: Path, arrays: Arrays) -> None:
    home = Path.cwd()
    os.chdir(path.parent)  # a socket's path is limited to about 100 characters
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(home)


BROKEN: dict[str, tuple[Breaker, str, str]] = {
    # the file
    "folder": (lambda path, a: path.mkdir(), "file.not_regular", "found a folder"),
    "pipe": (lambda path, a: os.mkfifo(path), "file.not_regular", "found a named pipe"),
    "socket": (socket_file, "file.not_regular", "a device or socket"),
    "link": (lambda path, a: path.symlink_to(__file__), "file.not_regular", "found a symbolic link"),
    "dangling link": (lambda path, a: path.symlink_to("nowhere"), "file.not_regular", "symbolic link"),
    "empty": (lambda path, a: path.write_bytes(b""), "file.format", "found an empty file"),
    "text": (lambda path, a: path.write_text("x,y\n1,2\n"), "file.format", "bytes 78 2c 79 0a"),
    "hdf5": (lambda path, a: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "file.damaged", "wanted a whole HDF5 file"),
    "bare npy": (lambda path, a: path.write_bytes(npy(np.ones(3))), "key.missing", "found the arrays scan"),
    "pickle": (lambda path, a: path.write_bytes(b"\x80\x04cos\nsystem\n."), "file.format", "a Python pickle"),
    # the archive
    "cut in half": (content(lambda d: d[: len(d) // 2]), "file.damaged", "BadZipFile"),
    "cut bzip2": (content(lambda d: bz2.compress(d)[:-40]), "file.damaged", "EOFError"),
    "cut gzip": (content(lambda d: gzip.compress(d)[:-40]), "file.damaged", "EOFError"),
    "not bzip2": (lambda path, a: path.write_bytes(b"BZh9 no"), "file.damaged", "OSError: Invalid data stream"),
    "text in gzip": (lambda path, a: path.write_bytes(gzip.compress(b"text")), "file.format", "wanted an .npz archive"),
    "flipped bit": (content(flip), "file.damaged", "Bad CRC-32"),
    "wrong checksum": (wrong_checksum, "file.damaged", "member xcoords.npy: found damage (BadZipFile: Bad CRC-32"),
    "no members": (lambda path, a: path.write_bytes(zipped([])), "archive.members", "found 0 members"),
    "many members": (
        changed(**{f"a{i}": np.ones(1) for i in range(5000)}),
        "archive.members",
        "found 5006 members, wanted 1 to 4096",
    ),
    "same name twice": (with_member("xcoords.npy"), "archive.duplicate", "member xcoords.npy: found the same name"),
    "overlapping": (overlapping, "archive.overlap", "members of"),
    "absolute name": (with_member("/etc/x.npy"), "archive.member", "a name that leads out of the archive"),
    "parent name": (with_member("a/../../x.npy"), "archive.member", "a name that leads out of the archive"),
    "drive name": (with_member("C:x.npy"), "archive.member", "a name that leads out of the archive"),
    "newline in name": (with_member("a\nb.npy"), "archive.member", r"member a\nb.npy: found a name with control"),
    "link member": (with_member(symlink(), b"/etc/passwd"), "archive.member", "found a symbolic link"),
    "encrypted": (content(flag_encrypted), "archive.member", "found an encrypted member"),
    "lzma": (with_member("ycoords.npy", compression=zipfile.ZIP_LZMA), "archive.member", "compression method 14"),
    # a member
    "pickled member": (changed(xcoords=np.array({"a": 1}, dtype=object)), "member.dtype", "member xcoords.npy"),
    "structured": (changed(xcoords=np.zeros(2, "i4,f8")), "member.dtype", "an array of plain numbers or text"),
    "not npy": (with_member("ycoords.npy", b"hello, this is no array"), "file.damaged", "member ycoords.npy"),
    "no header": (with_member("ycoords.npy", b"\x93NUMPY\x01\x00\xff\xff{"), "file.damaged", "member ycoords.npy"),
    "hostile header": (
        with_member("ycoords.npy", npy(np.ones(3)).replace(b"'<f8'", b"'' * 9")),
        "file.damaged",
        "ycoords.npy",
    ),
    "header claims more": (
        with_member("ycoords.npy", npy(np.ones(3), header={"shape": (1 << 40,)})),
        "member.size",
        "found 24 bytes of data, wanted 8796093022208 bytes",
    ),
    "endless header": (
        with_member("ycoords.npy", npy(np.ones(3), header={"shape": (9**999,) * 4})),
        "member.size",
        "wanted 113804047052",
    ),
    "header claims less": (
        with_member("ycoords.npy", npy(np.ones(3), header={"shape": (2,)})),
        "member.size",
        "wanted 16",
    ),
    "negative shape": (
        with_member("ycoords.npy", npy(np.ones(3), header={"shape": (-3, -1)})),
        "member.size",
        "(-3, -1)",
    ),
    "trailing bytes": (with_member("ycoords.npy", npy(np.ones(3)) + b"more"), "member.size", "found 28 bytes"),
    # the scan
    "wrong key": (changed(diffraction=None, patterns=np.ones((12, 16, 16))), "key.missing", "diffraction or diff3d"),
    "fewer positions": (changed(xcoords=np.ones(11)), "dimension.mismatch", "N = 11, wanted N = 12"),
    "text for numbers": (changed(diffraction=np.array("no")), "array.dtype", "wanted floating-point values"),
    "empty stack": (changed(diffraction=np.ones((0, 16, 16), "f4")), "array.empty", "diffraction"),
    "NaN counts": (
        changed(diffraction=np.full((12, 16, 16), np.nan)),
        "array.not_finite",
        "256 pixels (all over the detector) that hold NaN or infinity in every pattern",
    ),
    "too large for float32": (changed(diffraction=np.full((12, 16, 16), 1e300)), "array.not_finite", "infinite"),
    "negative counts": (changed(diffraction=np.full((12, 16, 16), -1, "i2")), "array.below_minimum", "least being -1"),
    "fractional index": (changed(scan_index=np.arange(12) + 0.5), "array.dtype", "scan_index: found dtype float64"),
    "complex patterns": (changed(diffraction=np.ones((12, 16, 16), "c8")), "array.dtype", "complex64"),
    "amplitude of no unit": (
        changed(diffraction=np.linspace(0, 99.7, 3072).reshape(12, 16, 16)),
        "diffraction.quantity",
        "amplitude or counts: neither values nor squares are whole numbers, and ",
    ),
    "flat patterns": (changed(diffraction=np.full((12, 16, 16), 3, "u2")), "diffraction.dc", "centre or corner"),
    "cube": (
        changed(
            diffraction=np.ones((16, 16, 16), "f4"), xcoords=np.ones(16), ycoords=np.ones(16), scan_index=np.arange(16)
        ),
        "diffraction.stack_axis",
        "first or last: shape (16, 16, 16) with 16 positions",
    ),
    "tiny scan": (
        changed(xcoords=np.arange(12) * 1e-7, ycoords=np.ones(12)),
        "positions.unit",
        "12 positions that span 1.1e-06, 1e-07 from one to the next: in px, all probes would lie within one pixel",
    ),
}


@pytest.mark.parametrize(("breaker", "code", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_in_plain_sentences(
    tmp_path: Path, arrays: Arrays, breaker: Breaker, code: str, says: str
) -> None:
    path = tmp_path / "scan.npz"
    breaker(path, arrays)
    with pytest.raises(ContractBroken) as refusal:
        read_scan(path)
    sentences = {v.code: str(v) for v in refusal.value.violations}
    assert code in sentences
    assert says in sentences[code]
    assert str(refusal.value) == "\n".join(f"scan.npz: {v}" for v in refusal.value.violations)
    assert len(str(refusal.value)) < 2000
    assert {v.code for v in validate_scan(path).violations} >= set(sentences)


def test_a_sum_of_bad_things_is_told_at_once(tmp_path: Path, arrays: Arrays) -> None:
    path = tmp_path / "scan.npz"
    path.write_bytes(npz(arrays, diffraction=np.full((12, 16, 16), 3, "u2"), xcoords=np.ones(3), ycoords=None))
    with pytest.raises(ContractBroken) as refusal:
        read_scan(path)
    assert {v.code for v in refusal.value.violations} == {"key.missing", "dimension.mismatch", "diffraction.dc"}
    assert str(refusal.value).count("scan.npz: ") == 3


@pytest.mark.parametrize("name", ["none.npz", "file/none.npz", "x" * 300, "nul\0.npz"])
def test_a_file_that_is_not_there_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotFound, match="there is no file"):
        read_scan(tmp_path / name)


def test_a_file_that_the_machine_cannot_open_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(Unavailable, match="could not be opened: Too many levels of symbolic links"):
        read_scan(tmp_path / "loop" / "scan.npz")


@pytest.mark.parametrize(
    ("limits", "code", "wanted"),
    [
        (Limits(file_nbytes=1000), "file.too_large", "at most 1000 bytes"),
        (Limits(content_nbytes=9000), "archive.expansion", "at most 9000 bytes"),
        (Limits(members=2), "archive.members", "1 to 2"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress])
def test_limits_hold_in_every_wrapping(
    tmp_path: Path, arrays: Arrays, limits: Limits, code: str, wanted: str, pack: Any
) -> None:
    path = tmp_path / "scan.npz"
    path.write_bytes(pack(npz(arrays)))
    with pytest.raises(ContractBroken, match=wanted) as refusal:
        read_arrays(path, limits)
    assert code in {v.code for v in refusal.value.violations}


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress])
def test_a_bomb_is_refused_before_it_is_inflated(tmp_path: Path, pack: Any) -> None:
    path = tmp_path / "bomb.npz"
    stored = zipped([("xcoords.npy", npy(np.zeros(70 << 17)))])  # 70 MiB out of 70 kB
    path.write_bytes(deflated_zeros("xcoords.npy") if pack is bytes else pack(stored))
    with pytest.raises(ContractBroken, match="bytes or more out of") as refusal:
        read_arrays(path)
    assert {v.code for v in refusal.value.violations} == {"archive.expansion"}


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saves_is_read_back_equal(tmp_path: Path, pack: Any, save: Any) -> None:
    arrays = {
        "f": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "big": np.arange(5, dtype=">i2"),
        "none": np.empty((0, 3)),
        "scalar": np.array(3),
        "text": np.array(["a", "bc"]),
        "complex": np.ones((2, 1, 3), "c16"),
    }
    buffer = io.BytesIO()
    save(buffer, **arrays)
    path = tmp_path / "any.name"
    path.write_bytes(pack(buffer.getvalue()))
    read = read_arrays(path)
    assert list(read) == list(arrays)
    for key, array in arrays.items():
        assert read[key].dtype == array.dtype
        np.testing.assert_array_equal(read[key], array)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), wrap=st.sampled_from([bytes, bz2.compress, gzip.compress]))
def test_no_mutation_of_a_file_raises_anything_foreign(
    tmp_path: Path, arrays: Arrays, data: st.DataObject, wrap: Any
) -> None:
    small = npz(arrays, diffraction=arrays["diffraction"][:, :4, :4], probeGuess=None, objectGuess=None)
    mutated = bytearray(wrap(small))
    for _ in range(data.draw(st.integers(1, 8))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "mutated.npz"
    path.write_bytes(mutated[: data.draw(st.integers(0, len(mutated)))])
    outcome = validate_scan(path)
    assert (outcome.value is None) == bool(errors(outcome.violations))
