"""Archives, good and hostile, made here: what is unpacked, what is refused, and that nothing is ever left behind."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.datasets.fetch import unpack
from smalti.errors import ContractBroken, NotFound, Refused

FILES = {"a.npz": b"\x93NUMPY" * 1000, "deep/er/b.csv": b"x,y\n1,2\n", "deep/empty": b"", "Läufe 7:30.txt": b"ok"}
TARS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


def entry(name: str, size: int = 0, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def tar(entries: Iterable[tuple[tarfile.TarInfo, bytes]], **settings: Any) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", **settings) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def tar_of(files: dict[str, bytes]) -> bytes:
    return tar([(entry(name, len(content)), content) for name, content in files.items()])


def zip_of(files: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content, compress_type=method)
    return made.getvalue()


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """Unpack bytes and return every file by its path; nothing else may be left beside archive and folder."""

    def unpacked(content: bytes, **limits: int) -> dict[str, bytes]:
        archive, folder = tmp_path / "archive", tmp_path / "folder"
        archive.write_bytes(content)
        try:
            paths = unpack(archive, folder, **limits)
        finally:
            assert {path.name for path in tmp_path.iterdir()} <= {"archive", "folder"}
        found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}
        assert paths == tuple(PurePosixPath(name) for name in sorted(found, key=PurePosixPath))
        assert not any(path.is_symlink() for path in folder.rglob("*"))
        return found

    return unpacked


Unpacked = Callable[..., dict[str, bytes]]


def refuses(unpacked: Unpacked, tmp_path: Path, content: bytes, match: str, **limits: int) -> None:
    with pytest.raises(ContractBroken, match=match) as caught:
        unpacked(content, **limits)
    assert str(caught.value).startswith("archive: ")
    assert "\n" not in str(caught.value)
    assert len(caught.value.violations) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("form", [*TARS, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_is_unpacked_whatever_it_is_packed_in(unpacked: Unpacked, form: str | int) -> None:
    packed = TARS[form](tar_of(FILES)) if isinstance(form, str) else zip_of(FILES.items(), form)
    assert unpacked(packed) == FILES


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_dialect_of_tar_is_read(unpacked: Unpacked, form: int) -> None:
    name = "/".join(["folder" * 15] * 2)
    assert unpacked(tar([(entry(name, 2), b"ok")], format=form)) == {name: b"ok"}


@pytest.mark.parametrize("form", ["tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
def test_what_several_compressors_wrote_one_after_another_is_one_archive(unpacked: Unpacked, form: str) -> None:
    content = tar_of(FILES)
    assert unpacked(TARS[form](content[:700]) + TARS[form](content[700:])) == FILES


def test_padding_between_xz_streams_is_none_of_the_content(unpacked: Unpacked) -> None:
    content = tar_of(FILES)
    assert unpacked(lzma.compress(content[:700]) + b"\0" * 8 + lzma.compress(content[700:]) + b"\0" * 4) == FILES


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}(/[0-9]{1,2}){0,2}\.x", fullmatch=True), st.binary(max_size=2000)))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_packed_is_what_is_unpacked(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    place = tmp_path_factory.mktemp("packed")
    for number, content in enumerate((tar_of(files), zip_of(files.items()), gzip.compress(tar_of(files), mtime=0))):
        (place / "archive").write_bytes(content)
        paths = unpack(place / "archive", place / str(number))
        assert {str(path): (place / str(number) / path).read_bytes() for path in paths} == files


def test_only_names_and_content_come_out_of_an_archive(unpacked: Unpacked, tmp_path: Path) -> None:
    folder = entry("bin/", type=tarfile.DIRTYPE, mode=0o7777)
    assert unpacked(tar([(folder, b""), (entry("bin/su", 2, mode=0o6755, uid=0, mtime=1), b"ok")])) == {"bin/su": b"ok"}
    assert stat.S_IMODE((tmp_path / "folder/bin/su").stat().st_mode) & 0o7111 == 0
    assert stat.S_IMODE((tmp_path / "folder/bin").stat().st_mode) & 0o7022 == 0
    assert (tmp_path / "folder/bin/su").stat().st_mtime > 1


def test_folders_may_be_named_or_only_implied_and_begin_with_a_dot(unpacked: Unpacked, tmp_path: Path) -> None:
    named = [(entry(name, type=tarfile.DIRTYPE), b"") for name in ("./", "./a/", "a", "b")]
    assert unpacked(tar([*named, (entry("./a/c//d", 2), b"ok")])) == {"a/c/d": b"ok"}
    assert (tmp_path / "folder/b").is_dir()


def test_names_are_brought_to_one_unicode_form(unpacked: Unpacked) -> None:
    assert unpacked(tar_of({"La\u0308ufe": b"ok"})) == {"L\u00e4ufe": b"ok"}


OUT = ["/etc/x", "../x", "a/../../x", "a/..", "C:/x", "C:x", "..\\x", "a\\b", "a\nb", "a\u202eb", "\x1b[2J"]
LONG = ["x" * 256, "ä" * 128, "/".join(["x" * 9] * 100)]


@pytest.mark.parametrize("name", [*OUT, *LONG])
@pytest.mark.parametrize("pack", [tar_of, lambda files: zip_of(files.items())], ids=["tar", "zip"])
def test_a_name_that_is_no_plain_relative_path_is_refused(
    unpacked: Unpacked, tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes], name: str
) -> None:
    refuses(unpacked, tmp_path, pack({"good": b"", name: b"x"}), "wanted a plain relative path")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["a", "a"], "the same name twice"),
        (["a", "./a"], "the same name twice"),
        (["."], "the same name twice"),
        (["L\u00e4ufe", "La\u0308ufe"], "the same name twice"),
        (["a", "a/b"], "the same name twice"),
        (["a/b", "a"], "the same name twice"),
        (["a", "A"], "differs from a by case only"),
        (["a/b", "A/c"], "differs from a by case only"),
        (["stra\u00dfe", "STRASSE"], "by case only"),
    ],
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_fall_together_somewhere_are_refused(
    unpacked: Unpacked, tmp_path: Path, kind: str, names: list[str], match: str
) -> None:
    files = [(name, b"x") for name in names]
    content = zip_of(files) if kind == "zip" else tar([(entry(name, 1), data) for name, data in files])
    refuses(unpacked, tmp_path, content, match)


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.CONTTYPE, b"V", b"Z"])
def test_devices_pipes_and_the_unknown_are_refused(unpacked: Unpacked, tmp_path: Path, kind: bytes) -> None:
    if kind == tarfile.CONTTYPE:
        assert unpacked(tar([(entry("a", type=kind), b"")])) == {"a": b""}  # POSIX: as an ordinary file
    else:
        refuses(unpacked, tmp_path, tar([(entry("a", type=kind), b"")]), "files, folders and links only")


def zip_link(name: str, target: str, kind: int = stat.S_IFLNK) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    return info, target.encode()


def test_a_device_in_a_zip_is_refused(unpacked: Unpacked, tmp_path: Path) -> None:
    refuses(unpacked, tmp_path, zip_of([zip_link("a", "", stat.S_IFCHR)]), "a device, pipe or socket")


def tar_link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=kind, linkname=target), b""


def test_a_link_to_a_file_of_the_archive_becomes_a_copy(unpacked: Unpacked) -> None:
    links = [tar_link("a/latest", "next"), tar_link("a/next", "../b/x"), tar_link("hard", "b/x", tarfile.LNKTYPE)]
    wanted = {"b/x": b"ok", "a/latest": b"ok", "a/next": b"ok", "hard": b"ok"}
    assert unpacked(tar([links[0], links[1], (entry("b/x", 2), b"ok"), links[2]])) == wanted


def test_a_link_in_a_zip_becomes_a_copy(unpacked: Unpacked) -> None:
    assert unpacked(zip_of([zip_link("a/l", "../x"), ("x", b"ok")])) == {"a/l": b"ok", "x": b"ok"}


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../archive", "a/../../x", "nothing", "l", "k", "folder", ".", "", "x\n", "\x1b[2J"]
)
@pytest.mark.parametrize("kind", ["symbolic", "hard", "zip"])
def test_a_link_to_anything_else_is_refused(unpacked: Unpacked, tmp_path: Path, target: str, kind: str) -> None:
    if kind == "zip":
        content = zip_of([zip_link("l", target), zip_link("k", "l"), ("folder/x", b"x")])
    else:
        form = tarfile.SYMTYPE if kind == "symbolic" else tarfile.LNKTYPE
        links = [tar_link("l", target, form), tar_link("k", "l", form)]
        content = tar([*links, (entry("folder/x", 1), b"x")])
    refuses(unpacked, tmp_path, content, "wanted links to files of the archive")


def test_nothing_is_written_through_a_link(unpacked: Unpacked, tmp_path: Path) -> None:
    out = tmp_path.parent / f"{tmp_path.name}-out"
    out.mkdir()
    content = tar([tar_link("l", str(out)), (entry("l/x", 1), b"x")])
    refuses(unpacked, tmp_path, content, "the same name twice")
    content = tar([tar_link("l", "."), (entry("l/x", 1), b"x")])
    refuses(unpacked, tmp_path, content, "the same name twice")
    assert not list(out.iterdir())


def test_copies_of_links_count(unpacked: Unpacked, tmp_path: Path) -> None:
    links = [tar_link(f"l{number}", "x") for number in range(9)]
    content = tar([(entry("x", 1000), b"x" * 1000), *links])
    assert len(unpacked(content, most_nbytes=10_000)) == 10
    (tmp_path / "folder").rename(tmp_path / "archive.away").rename(tmp_path.parent / f"{tmp_path.name}-away")
    refuses(unpacked, tmp_path, content, "10000 bytes or more", most_nbytes=9_999)


@pytest.mark.parametrize("form", ["tar", "tar.gz", "zip"])
def test_bytes_are_counted_while_they_are_written(unpacked: Unpacked, tmp_path: Path, form: str) -> None:
    files = {str(number): b"x" * 1000 for number in range(10)}
    content = zip_of(files.items()) if form == "zip" else TARS[form](tar_of(files))
    assert unpacked(content, most_nbytes=10_000) == files
    (tmp_path / "folder").rename(tmp_path.parent / f"{tmp_path.name}-away")
    refuses(unpacked, tmp_path, content, "10000 bytes or more out of .* wanted at most 9999 bytes", most_nbytes=9_999)


def test_a_bomb_is_refused_by_its_ratio(unpacked: Unpacked, tmp_path: Path) -> None:
    zeros = [(entry("zeros", 70 << 20).tobuf(), 1), (bytes(1 << 20), 70), (bytes(1024), 1)]
    packed = b"".join(gzip.compress(piece, mtime=0) * times for piece, times in zeros)
    bomb = zip_of([("zeros", bytes(70 << 20))])
    for content in (packed, bomb):
        refuses(unpacked, tmp_path, content, f"more out of {len(content)} stored, wanted at most 67108864")


def test_files_and_folders_are_counted(unpacked: Unpacked, tmp_path: Path) -> None:
    content = tar_of({f"folder/{number}": b"" for number in range(9)})
    assert len(unpacked(content, most_files=10)) == 9
    (tmp_path / "folder").rename(tmp_path.parent / f"{tmp_path.name}-away")
    refuses(unpacked, tmp_path, content, "more than 9 files and folders", most_files=9)
    refuses(unpacked, tmp_path, zip_of([("a/b/c/d", b"")]), "more than 3 files and folders", most_files=3)


def test_many_names_of_great_depth_take_no_time(unpacked: Unpacked, tmp_path: Path) -> None:
    deep = "/".join("x" * 400)
    began = time.monotonic()
    unpacked(tar_of({f"{deep}/{number}": b"" for number in range(300)}))
    assert time.monotonic() - began < 5


def test_a_declared_size_is_not_believed(unpacked: Unpacked, tmp_path: Path) -> None:
    huge = entry("a", 1 << 50).tobuf(tarfile.GNU_FORMAT)
    refuses(unpacked, tmp_path, huge + b"x" * 1024, "unexpected end of data")


def with_byte(content: bytes, offset: int, value: int) -> bytes:
    return content[:offset] + bytes([value]) + content[offset + 1 :]


def test_a_zip_with_a_password_overlaps_or_another_method_is_refused(unpacked: Unpacked, tmp_path: Path) -> None:
    content = zip_of([("a", b"x" * 100)], zipfile.ZIP_STORED)
    central = content.index(b"PK\x01\x02")
    refuses(unpacked, tmp_path, with_byte(content, central + 8, 1), "an encrypted member")
    refuses(
        unpacked,
        tmp_path,
        with_byte(content, central + 22, 1),
        "members of 65636 bytes that overlap.*pack it again with tar or zip",
    )
    refuses(unpacked, tmp_path, zip_of([("a", b"x")], zipfile.ZIP_LZMA), "compression method 14")


def test_a_zip_whose_table_of_contents_is_huge_is_not_read(unpacked: Unpacked, tmp_path: Path) -> None:
    content = zip_of([(f"{number:04}" + "x" * 250, b"") for number in range(5000)])
    refuses(unpacked, tmp_path, content, "a table of contents of", most_files=10)


def test_a_tar_header_without_end_is_not_read(unpacked: Unpacked, tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
        header = entry("h", 1 << 40, type=kind).tobuf(tarfile.GNU_FORMAT)
        refuses(unpacked, tmp_path, header + bytes(1 << 20), "a header that never ends")
    sparse = bytearray(entry("s", type=tarfile.GNUTYPE_SPARSE).tobuf())
    sparse[482] = 1  # the list of holes goes on in the next block
    sparse[148:156] = b"%06o\0 " % (sum(sparse[:148]) + sum(sparse[156:]) + 8 * 32)
    holes = (bytes(504) + b"\1" + bytes(7)) * 1000
    refuses(unpacked, tmp_path, bytes(sparse) + holes, "a header that never ends")
    many = b"".join(entry("h", 512, type=tarfile.XGLTYPE).tobuf() + b"9 a=bcde\n".ljust(512, b"\0") for _ in range(999))
    refuses(unpacked, tmp_path, many, "a header that never ends")


def test_a_header_never_leads_back(unpacked: Unpacked, tmp_path: Path) -> None:
    for nbytes in (-512, -1024):  # tarfile of Python 3.11.13 and older never ends: CVE-2025-8194
        back = entry("a", pax_headers={"size": f"{nbytes}"}).tobuf(tarfile.PAX_FORMAT)
        refuses(unpacked, tmp_path, back + tar_of(FILES), "begins inside an earlier one")


def test_a_header_of_digits_takes_no_time(unpacked: Unpacked, tmp_path: Path) -> None:
    header = entry("h", 8192, type=tarfile.XHDTYPE).tobuf() + b"1" * 8192
    refuses(unpacked, tmp_path, header, "a header made of digits")


def test_a_sparse_file_is_refused(unpacked: Unpacked, tmp_path: Path) -> None:
    sparse = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "a", "GNU.sparse.map": "0,0"}
    content = tar(
        [(entry("a", pax_headers={**sparse, "GNU.sparse.size": str(1 << 40)}), b"")], format=tarfile.PAX_FORMAT
    )
    refuses(unpacked, tmp_path, content, "a sparse file")


def test_a_tar_that_ends_early_is_refused(unpacked: Unpacked, tmp_path: Path) -> None:
    content = tar([(entry("a", 512), b"x" * 512), (entry("b", 512), b"y" * 512)])
    for nbytes in (100, 512, 700, 1024, 1500, 2048):
        refuses(unpacked, tmp_path, content[:nbytes], "the archive: found")
    assert len(unpacked(content[:2560])) == 2


def test_a_broken_header_is_not_taken_for_the_end(unpacked: Unpacked, tmp_path: Path) -> None:
    content = bytearray(tar([(entry("a", 512), b"x" * 512), (entry("b", 512), b"y" * 512)]))
    content[1024] ^= 1
    refuses(unpacked, tmp_path, bytes(content), "bad checksum")


def test_nothing_hides_behind_the_end_of_a_tar(unpacked: Unpacked, tmp_path: Path) -> None:
    refuses(unpacked, tmp_path, tar_of(FILES) + tar_of({"hidden": b"x"}), "more after the end")
    refuses(unpacked, tmp_path, gzip.compress(tar_of(FILES) + bytes(20 << 20)), "zeros without end")


@pytest.mark.parametrize("form", ["tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip"])
def test_damage_and_cuts_are_noticed(unpacked: Unpacked, tmp_path: Path, form: str) -> None:
    noise = bytes(byte * 97 % 251 for byte in range(5000))
    content = zip_of([("a", noise)]) if form == "zip" else TARS[form](tar_of({"a": noise}))
    for cut in (10, len(content) // 2, len(content) - 3):
        refuses(unpacked, tmp_path, content[:cut], "found damage")
    if form != "tar.zst":  # pyarrow writes zstd without a checksum
        flipped = with_byte(content, len(content) // 3, content[len(content) // 3] ^ 0x40)
        refuses(unpacked, tmp_path, flipped, "found")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + bytes(2000), gzip.compress(b"x,y\n1,2\n", mtime=0)])
def test_what_is_no_archive_is_refused(unpacked: Unpacked, tmp_path: Path, content: bytes) -> None:
    refuses(unpacked, tmp_path, content, "found damage .*wanted a whole zip or tar; copy the file again")


def test_an_xz_that_asks_for_a_giant_window_is_refused(unpacked: Unpacked, tmp_path: Path) -> None:
    greedy = lzma.compress(
        tar_of(FILES),
        filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 768 << 20, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3}],
    )
    refuses(unpacked, tmp_path, greedy, "Memory usage limit")


def test_a_folder_that_is_there_is_never_touched(unpacked: Unpacked, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert unpacked(tar_of(FILES)) == FILES
    with pytest.raises(Refused, match="is there already"):
        unpacked(tar_of({"a.npz": b"other"}))
    assert (tmp_path / "folder/a.npz").read_bytes() == FILES["a.npz"]
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        with pytest.raises(Refused, match="is there already"):
            unpack(tmp_path / "archive", tmp_path / name)


def test_a_missing_archive_and_a_link_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        unpack(tmp_path / "archive", tmp_path / "folder")
    (tmp_path / "archive").symlink_to("/etc/passwd")
    with pytest.raises(ContractBroken, match="a symbolic link"):
        unpack(tmp_path / "archive", tmp_path / "folder")
