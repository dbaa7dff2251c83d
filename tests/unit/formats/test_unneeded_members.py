"""What nobody asked for never refuses a file: it is skipped, said, and neither followed, unpickled nor inflated."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalti.errors import ContractBroken
from smalti.formats import Content, Limits, read_arrays, read_file
from smalti.scans import Card, validate_scan
from tests.unit.formats.hostile.making import deflated_zeros, npy, npz, sound, zipped

NAMES = frozenset({"diffraction", "xcoords", "ycoords", "probeGuess", "objectGuess", "scan_index", "bad_pixels"})


def content_of(path: Path, wanted: frozenset[str] = NAMES) -> Content:
    content = read_file(path, wanted=wanted)
    assert isinstance(content, Content)
    return content


def skipped(content: Content) -> dict[str, str]:
    return {member.name: member.reason for member in content.skipped}


def hdf5(path: Path, fill: Callable[[h5py.File], Any]) -> Path:
    with h5py.File(path, "w") as file:
        for key, array in sound().items():
            file[key] = array
        fill(file)
    return path


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((12, 16, 16), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "diffraction", (12, 16, 16))
    file.create_virtual_dataset("extra", layout)


def huge_chunk(file: h5py.File) -> None:
    file.create_dataset("extra", (12, 16, 16), "f4", maxshape=(None, None, None), chunks=(1 << 16, 64, 64))


def plugin_filter(file: h5py.File) -> None:
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((4,))
    creation.set_filter(40000, h5py.h5z.FLAG_OPTIONAL)
    h5py.h5d.create(file.id, b"extra", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((12,)), creation)


UNNEEDED: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    "compound": (lambda f: f.create_dataset("extra", data=np.zeros(3, [("t", "f8"), ("i", "i4")])), "nobody asked"),
    "null": (lambda f: f.create_dataset("extra", data=h5py.Empty("f4")), "no values at all"),
    "text": (lambda f: f.create_dataset("extra", data="a scan"), "text"),
    "texts": (lambda f: f.create_dataset("extra", data=[b"a", b"b"]), "text"),
    "ragged": (lambda f: f.create_dataset("extra", (3,), h5py.vlen_dtype("f4")), "nobody asked"),
    "references": (lambda f: f.create_dataset("extra", (3,), h5py.ref_dtype), "nobody asked"),
    "external link": (lambda f: f.__setitem__("extra", h5py.ExternalLink("/etc/passwd", "/")), "/etc/passwd"),
    "external data": (lambda f: f.create_dataset("extra", (4,), "f4", external=[("other", 0, 16)]), "the file other"),
    "virtual": (virtual, "maps other files"),
    "broken link": (lambda f: f.__setitem__("extra", h5py.SoftLink("/nowhere")), "where there is nothing"),
    "circle": (lambda f: f.__setitem__("extra", h5py.SoftLink("/extra")), "in a circle"),
    "terabytes": (lambda f: f.create_dataset("extra", (1 << 20, 1 << 20), "f4"), "nobody asked"),
    "unwritten": (lambda f: f.create_dataset("extra", (12,), "f4"), "nobody asked"),
    "a huge chunk": (huge_chunk, "nobody asked"),
    "a plugin's filter": (plugin_filter, "nobody asked"),
}


@pytest.mark.parametrize(("fill", "says"), UNNEEDED.values(), ids=UNNEEDED)
def test_an_unneeded_dataset_is_skipped_and_the_scan_is_read(
    tmp_path: Path, fill: Callable[[h5py.File], Any], says: str
) -> None:
    path = hdf5(tmp_path / "scan.h5", fill)
    content = content_of(path)
    assert content.arrays.keys() == sound().keys()
    assert says in skipped(content)["extra"]
    assert validate_scan(path).value is not None


@pytest.mark.parametrize("name", [name for name in UNNEEDED if not name.startswith("text")])
def test_the_same_dataset_refuses_the_file_where_everything_is_asked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContractBroken):
        read_arrays(hdf5(tmp_path / "scan.h5", UNNEEDED[name][0]))


def test_what_leads_out_of_the_file_is_never_opened(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["extra"] = h5py.ExternalLink("other.h5", "/diffraction")
        file["through"] = h5py.SoftLink("/extra")
        virtual(file.create_group("virtual"))
        file.create_dataset("outside", (4,), "f4", external=[("other.h5", 0, 16)])

    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["diffraction"] = np.full((12, 16, 16), 7.0, "f4")
    content = content_of(hdf5(tmp_path / "scan.h5", fill))
    assert content.arrays.keys() == sound().keys()
    assert set(skipped(content)) == {"extra", "through", "virtual/extra", "outside"}
    for name in ("extra", "through", "outside"):
        with pytest.raises(ContractBroken, match=r"other\.h5"):
            read_file(tmp_path / "scan.h5", wanted={name})


def test_the_bounds_count_what_is_read_and_not_what_is_there(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        for i in range(70):
            file[f"motors/m{i:02d}"] = float(i)
            file[f"columns/c{i:02d}"] = np.ones(12)

    path = hdf5(tmp_path / "scan.h5", fill)
    content = content_of(path)
    assert len(content.arrays) == Limits().members
    assert len(content.arrays) + len(content.skipped) == 4 + 140
    assert content.arrays.keys() > sound().keys()
    with pytest.raises(ContractBroken, match="144 datasets, wanted at most 64"):
        read_arrays(path)


def test_what_nobody_asked_for_is_left_out_before_it_makes_a_file_too_large(tmp_path: Path) -> None:
    room = Limits(content_nbytes=sum(array.nbytes for array in sound().values()) + 2000)
    hdf5(tmp_path / "scan.h5", lambda file: file.create_dataset("column", data=np.ones(12_000)))
    (tmp_path / "scan.npz").write_bytes(npz(column=np.ones(12_000)))
    for name in ("scan.h5", "scan.npz"):
        content = read_file(tmp_path / name, room, NAMES)
        assert isinstance(content, Content)
        assert content.arrays.keys() == sound().keys()


def test_only_what_may_hold_positions_is_read_unasked(tmp_path: Path) -> None:
    offered = {"table": (12, 2), "with z": (12, 3), "column": (12,), "row": (1, 12), "in a stack": (1, 12, 2)}
    others = {"number": (), "one": (1,), "stack": (12, 4, 4), "wide": (12, 9), "long": (600_000,)}

    def fill(file: h5py.File) -> None:
        for name, shape in {**offered, **others}.items():
            file[name] = np.zeros(shape)
        file["complex"] = np.zeros(12, "c8")

    content = content_of(hdf5(tmp_path / "scan.h5", fill))
    assert content.arrays.keys() == {*sound(), *offered}
    assert set(skipped(content)) == {*others, "complex"}
    archive = tmp_path / "scan.npz"
    archive.write_bytes(npz(**{name: np.zeros(shape) for name, shape in {**offered, **others}.items()}))
    assert content_of(archive).arrays.keys() == {*sound(), *offered}


def test_positions_in_one_table_are_still_named_in_the_hint(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["scan"] = np.stack([file["ycoords"][()], file["xcoords"][()]], 1)
        del file["xcoords"], file["ycoords"]

    result = validate_scan(hdf5(tmp_path / "scan.h5", fill))
    assert "scan of 12 x 2 numbers may hold both" in " ".join(map(str, result.violations))


@pytest.mark.parametrize("name", ["entry/measurement/Eiger/data", "/entry/measurement/Eiger/data"])
def test_a_card_names_datasets_by_their_path_in_any_group(tmp_path: Path, name: str) -> None:
    path = tmp_path / "nanomax.h5"
    with h5py.File(path, "w") as file:
        file["entry/measurement/Eiger/data"] = np.rint(sound()["diffraction"] ** 2).astype("u2")
        for letter in "xy":
            file[f"entry/measurement/pseudo/{letter}"] = sound()[f"{letter}coords"]
    positions = {f"{letter}coords": f"entry/measurement/pseudo/{letter}" for letter in "xy"}
    reading = {"diffraction": {"key": name}, "positions": positions}
    card = Card.model_validate({"name": "a", "source": "a", "version": "1", "licence": "CC0-1.0", "reading": reading})
    result = validate_scan(path, card)
    assert result.value is not None, result.violations
    np.testing.assert_array_equal(result.value.diffraction, sound()["diffraction"])


MEMBERS: dict[str, tuple[str, bytes, str]] = {
    "PtychoPINN's metadata": ("_metadata.npy", b"", "pickled Python objects"),
    "structured": ("log.npy", npy(np.zeros(3, "i4,f8")), "shape (3,)"),
    "text file": ("README.txt", b"measured at night", "not that of an array"),
    "folder": ("folder/", b"", "a folder"),
    "damaged": ("dark.npy", b"no array at all", "damage"),
    "a header that lies": ("dark.npy", npy(np.ones(3), shape=(1 << 40,)), "shape (1099511627776,)"),
    "a short column": ("dark.npy", npy(np.ones(3), shape=(4,)), "24 bytes of data"),
}


@pytest.mark.parametrize(("name", "data", "says"), MEMBERS.values(), ids=MEMBERS)
def test_an_unneeded_member_is_skipped_and_the_scan_is_read(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    path = tmp_path / "scan.npz"
    if name == "_metadata.npy":
        buffer = io.BytesIO()
        np.save(buffer, np.array(json.dumps({"schema_version": "1.0.0"}), dtype=object), allow_pickle=True)
        data = buffer.getvalue()
    path.write_bytes(npz())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, data)
    content = content_of(path)
    assert content.arrays.keys() == sound().keys()
    assert says in skipped(content)[name.removesuffix(".npy")]
    assert validate_scan(path).value is not None
    with pytest.raises(ContractBroken):
        read_arrays(path)


@pytest.mark.parametrize("name", ["../dark.npy", "/dark.npy", "a\nb.npy", "C:dark.npy", "diffraction.npy"])
def test_a_hostile_name_refuses_the_archive_whoever_asked(tmp_path: Path, name: str) -> None:
    path = tmp_path / "scan.npz"
    path.write_bytes(zipped(*((f"{key}.npy", npy(array)) for key, array in sound().items()), (name, npy(np.ones(3)))))
    with pytest.raises(ContractBroken, match="member "):
        read_file(path, wanted=NAMES)


def test_an_unneeded_bomb_is_not_inflated(tmp_path: Path) -> None:
    path = tmp_path / "scan.npz"
    path.write_bytes(deflated_zeros("dark.npy"))
    with zipfile.ZipFile(path, "a") as archive:
        for key, array in sound().items():
            archive.writestr(f"{key}.npy", npy(array))
    assert skipped(content_of(path)) == {"dark": "nobody asked for it"}
    with pytest.raises(ContractBroken, match="bytes or more out of"):
        read_arrays(path)


LEFT = {
    "__MACOSX/._scan.npz": b"\0\5\x16\7",
    "__MACOSX/": b"",
    ".DS_Store": b"Bud1",
    "data/.DS_Store": b"Bud1",
    "._scan.npz": b"\0\5\x16\7",
    "Thumbs.db": b"",
    "desktop.ini": b"",
}


@pytest.mark.parametrize("name", [*LEFT, None])
@pytest.mark.parametrize("folder", ["", "data/"])
def test_what_a_system_leaves_in_a_zip_is_not_seen(tmp_path: Path, name: str | None, folder: str) -> None:
    left = LEFT if name is None else {name: LEFT[name]}
    members = [(folder, b"")] if folder else []
    path = tmp_path / "scan.zip"
    path.write_bytes(zipped(*members, (f"{folder}scan.npz", npz()), *left.items()))
    assert read_arrays(path).keys() == sound().keys()
    assert validate_scan(path).value is not None


@pytest.mark.parametrize("name", LEFT)
def test_what_a_system_leaves_in_an_archive_of_arrays_is_not_seen(tmp_path: Path, name: str) -> None:
    path = tmp_path / "scan.npz"
    path.write_bytes(npz())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, LEFT[name])
    assert read_arrays(path).keys() == sound().keys()


def test_a_zip_of_two_files_is_still_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(("a.csv", b"a\n1\n"), ("b.csv", b"a\n1\n"), (".DS_Store", b"")))
    with pytest.raises(ContractBroken, match=r"member a\.csv"):
        read_file(tmp_path / "a.zip", wanted=NAMES)


def test_an_unneeded_tensor_of_unknown_dtype_is_skipped(tmp_path: Path) -> None:
    spans = {"x": ("F8_E4M3", [24], 0, 24), "xcoords": ("F64", [3], 24, 48), "table": ("F32", [2, 2], 48, 64)}
    spans |= {"stack": ("F32", [2, 2, 4], 64, 128)}
    table = {n: {"dtype": d, "shape": s, "data_offsets": [a, b]} for n, (d, s, a, b) in spans.items()}
    text = json.dumps(table).encode()
    data = bytes(24) + np.arange(3.0).tobytes() + np.arange(4, dtype="f4").tobytes() + bytes(64)
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    content = content_of(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(content.arrays["xcoords"], [0, 1, 2])
    np.testing.assert_array_equal(content.arrays["table"], [[0, 1], [2, 3]])
    assert set(skipped(content)) == {"x", "stack"}
    with pytest.raises(ContractBroken, match="F8_E4M3"):
        read_arrays(tmp_path / "a.safetensors")


def sparse_counts() -> np.ndarray:
    """80 MiB of counts, nearly all of them zero."""
    counts = np.zeros((320, 256, 256), "u4")
    counts[np.arange(320), 128, 120 + np.arange(320) % 16] = 3
    return counts


def test_sparse_counts_that_deflate_a_thousand_times_are_read(tmp_path: Path) -> None:
    counts = sparse_counts()
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        options = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
        file.create_dataset("diffraction", data=counts, chunks=(16, 256, 256), **options)
    np.savez_compressed(tmp_path / "scan.npz", diffraction=counts)
    for name in ("scan.h5", "scan.npz"):
        assert counts.nbytes > 500 * (tmp_path / name).stat().st_size
        np.testing.assert_array_equal(read_file(tmp_path / name, wanted=NAMES).arrays["diffraction"], counts)


def test_more_than_a_gibibyte_needs_a_file_of_a_five_hundredth() -> None:
    limits = Limits()
    assert limits.allowed(1000, declared=True) == 1 << 30
    assert limits.allowed(1000) == 64 << 20
    assert limits.allowed(1 << 22, declared=True) == limits.allowed(1 << 22) == 500 << 22
    assert Limits(content_nbytes=9000).allowed(1000, declared=True) == 9000
