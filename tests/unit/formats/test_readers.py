"""Legal files of every form are read as what they hold, whatever they are wrapped in."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
import pytest
from pyarrow import csv, parquet

from smalti.errors import ContractBroken
from smalti.formats import Content, Limits, TableContent, read_arrays, read_file
from smalti.scans import Card, validate_scan
from tests.unit.formats.hostile.making import npz, sound

TABLE = pyarrow.table({"number": [1, 2, 3], "share": [0.5, None, 1.5], "text": ["a", "b", 'c "d", e\nf']})
Wrap = Callable[[bytes], bytes]


def zipped(data: bytes, name: str = "inner") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def zstd(data: bytes) -> bytes:
    return bytes(pyarrow.Codec("zstd").compress(data, asbytes=True))


WRAPS: dict[str, Wrap] = {"": bytes, ".bz2": bz2.compress, ".gz": gzip.compress, ".zst": zstd, ".zip": zipped}


def hdf5(fill: Callable[[h5py.File], Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        fill(file)
    return buffer.getvalue()


def flat(file: h5py.Group) -> None:
    for key, array in sound().items():
        file[key] = array


def safetensors(arrays: dict[str, np.ndarray], **more: Any) -> bytes:
    table, data = dict(more), b""
    names = {"f": "F32", "d": "F64", "F": "C64"}
    for key, array in arrays.items():
        span = [len(data), len(data) + array.nbytes]
        table[key] = {"dtype": names[array.dtype.char], "shape": list(array.shape), "data_offsets": span}
        data += array.tobytes()
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def stored(write: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def arrow(stream: bool = False, compression: str | None = None) -> bytes:
    new = pyarrow.ipc.new_stream if stream else pyarrow.ipc.new_file
    buffer = io.BytesIO()
    with new(buffer, TABLE.schema, options=pyarrow.ipc.IpcWriteOptions(compression=compression)) as file:
        file.write_table(TABLE, max_chunksize=2)
    return buffer.getvalue()


def lines(table: pyarrow.Table) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in table.to_pylist())


SCANS: dict[str, bytes] = {
    "scan.npz": npz(),
    "compressed.npz": npz(compressed=True),
    "scan.h5": hdf5(flat),
    "user block.h5": hdf5(flat, userblock_size=1024),
    "newest.h5": hdf5(flat, libver="latest"),
    "scan.safetensors": safetensors(sound(), __metadata__={"format": "np"}),
}
TABLES: dict[str, bytes] = {
    "table.csv": stored(lambda out: csv.write_csv(TABLE, out)),
    "table.tsv": stored(lambda out: csv.write_csv(TABLE, out, csv.WriteOptions(delimiter="\t"))),
    "table.jsonl": lines(TABLE),
    "table.ndjson": lines(TABLE).rstrip(b"\n"),
    "table.parquet": stored(lambda out: parquet.write_table(TABLE, out)),
    "groups.parquet": stored(lambda out: parquet.write_table(TABLE, out, row_group_size=1, compression="zstd")),
    "table.arrow": arrow(),
    "table.feather": arrow(compression="lz4"),
    "table.arrows": arrow(stream=True),
}


@pytest.mark.parametrize("ending", WRAPS)
@pytest.mark.parametrize("name", SCANS)
def test_a_scan_is_the_same_in_every_form_and_wrapping(tmp_path: Path, name: str, ending: str) -> None:
    path = tmp_path / (name + ending)
    path.write_bytes(WRAPS[ending](SCANS[name]))
    read = read_arrays(path)
    assert read.keys() == sound().keys()
    for key, array in sound().items():
        np.testing.assert_array_equal(read[key], array)
        assert read[key].dtype == array.dtype
    assert validate_scan(path).value is not None


@pytest.mark.parametrize("ending", WRAPS)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_the_same_in_every_form_and_wrapping(tmp_path: Path, name: str, ending: str) -> None:
    path = tmp_path / (name + ending)
    path.write_bytes(WRAPS[ending](TABLES[name]) if ending != ".zip" else zipped(TABLES[name], name))
    read = read_file(path)
    assert isinstance(read, TableContent)
    assert read.table.to_pylist() == TABLE.to_pylist()


@pytest.mark.parametrize("change", [lambda a: a.astype(">f8"), np.asfortranarray, lambda a: a[::-1]])
def test_byte_order_and_memory_order_do_not_matter(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    wanted = {"diffraction": change(sound()["diffraction"])}
    for name, data in (("scan.npz", npz(**wanted)), ("scan.h5", hdf5(lambda f: f.update(wanted)))):
        (tmp_path / name).write_bytes(data)
        np.testing.assert_array_equal(read_arrays(tmp_path / name)["diffraction"], wanted["diffraction"])


@pytest.mark.parametrize(
    "options", [{"compression": "gzip", "shuffle": True, "fletcher32": True}, {"compression": "lzf"}]
)
def test_the_filters_inside_hdf5_are_read(tmp_path: Path, options: dict[str, Any]) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("diffraction", data=sound()["diffraction"], **options)

    (tmp_path / "scan.h5").write_bytes(hdf5(fill))
    np.testing.assert_array_equal(read_arrays(tmp_path / "scan.h5")["diffraction"], sound()["diffraction"])


def test_a_link_within_the_file_is_followed_and_text_is_left_out(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        flat(file.create_group("measured"))
        file["diffraction"] = h5py.SoftLink("/measured/diffraction")
        file["again"] = h5py.SoftLink("measured")
        file["measured/again"] = file["measured"]
        file["title"], file["name"] = "a scan", h5py.SoftLink("/title")
        file["same"] = file["measured/xcoords"]

    (tmp_path / "scan.h5").write_bytes(hdf5(fill))
    read = read_arrays(tmp_path / "scan.h5")
    assert set(read) == {"diffraction", "same", *(f"measured/{key}" for key in sound())}
    assert read["same"] is read["measured/xcoords"]
    assert read["diffraction"] is read["measured/diffraction"]


def test_a_product_gives_the_scan_it_carries(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["probe"], file["object"] = np.ones((1, 1, 16, 16), "c8"), np.ones((1, 40, 48), "c8")
        file["probe_position_x_m"] = np.ones(12)
        for key in ("diffraction", "xcoords", "ycoords"):
            file[f"raw_data/{key}"] = sound()[key]
        file["raw_data/probeGuess"], file["raw_data/objectGuess"] = file["probe"], file["object"]

    path = tmp_path / "product.h5"
    path.write_bytes(hdf5(fill))
    assert set(read_arrays(path)) == {"diffraction", "xcoords", "ycoords", "probeGuess", "objectGuess"}
    outcome = validate_scan(path)
    assert outcome.value is not None, outcome.violations
    assert outcome.value.object_guess.shape == (40, 48)


def cxi(translation: Any = None, unit: str | None = None, entry: str = "entry_1", ours: bool = True) -> bytes:
    def fill(file: h5py.File) -> None:
        one = "_1" if entry.endswith("_1") else ""
        group = file.create_group(entry)
        group[f"instrument{one}/detector{one}/data"] = np.rint(sound()["diffraction"] ** 2).astype("u2")
        group[f"data{one}/data"] = h5py.SoftLink(f"/{entry}/instrument{one}/detector{one}/data")
        group[f"data{one}/translation"] = translation
        group[f"instrument{one}/source{one}/energy"] = 1.602176634e-19 * 8000
        group[f"instrument{one}/detector{one}/distance"] = 2.0
        if unit:
            group[f"data{one}/translation"].attrs["units"] = unit
        if ours:
            group["image_1/data"] = np.ones((1, 1, 16, 16), "c8")
            group.create_group("ptychodus")

    return hdf5(fill)


@pytest.mark.parametrize("entry", ["entry_1", "entry"])
@pytest.mark.parametrize(("unit", "factor"), [(None, 1.0), ("m", 1.0), ("um", 1e-6), ("mm", 1e-3)])
def test_cxi_positions_come_under_both_of_their_meanings(
    tmp_path: Path, entry: str, unit: str | None, factor: float
) -> None:
    translation = np.random.default_rng(0).uniform(-1, 1, (12, 3))
    (tmp_path / "scan.cxi").write_bytes(cxi(translation, unit, entry))
    content = read_file(tmp_path / "scan.cxi")
    assert isinstance(content, Content)
    read = content.arrays
    np.testing.assert_allclose(read["positions_if_probe_moved"], translation[:, :2] * factor)
    np.testing.assert_array_equal(read["positions_if_sample_moved"], -read["positions_if_probe_moved"])
    assert content.physics["photon_energy_eV"].value == pytest.approx(8000)
    assert content.physics["detector_distance_m"].value == 2.0
    assert read["probeGuess"].shape == (1, 1, 16, 16)
    assert read["diffraction"].dtype == np.uint16


def test_a_card_says_what_moved_and_the_cxi_file_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "scan.cxi"
    path.write_bytes(cxi(np.random.default_rng(0).uniform(-1e-6, 1e-6, (12, 3)), ours=False))
    assert "positions_if_sample_moved" in " ".join(str(violation) for violation in validate_scan(path).violations)
    positions = {"key": "positions_if_sample_moved", "order": ["x", "y"], "unit": "m"}
    card = Card.model_validate(
        {
            "name": "mine", "source": "here", "version": "1", "licence": "CC0-1.0",
            "reading": {"positions": positions}, "physics": {"object_pixel_size_m": {"value": 1e-8}},
        }
    )  # fmt: skip
    outcome = validate_scan(path, card)
    assert outcome.value is not None, outcome.violations


@pytest.mark.parametrize("planes", [(), (1,), (12,)])
def test_a_cxi_mask_says_which_pixels_are_bad(tmp_path: Path, planes: tuple[int, ...]) -> None:
    path, mask = tmp_path / "scan.cxi", np.zeros((16, 16), "u4")
    mask[0, :4] = [0x1000, 0x8, 0x1008, 0x80000000]
    path.write_bytes(cxi(np.ones((12, 3)), ours=False))
    with h5py.File(path, "a") as file:
        file["entry_1/instrument_1/detector_1/mask"] = np.broadcast_to(mask, (*planes, 16, 16))
    bad = read_arrays(path)["bad_pixels"]
    assert bad.dtype == bool
    np.testing.assert_array_equal(np.argwhere(bad), [[0, 1], [0, 2], [0, 3]])


def test_bfloat16_is_widened_without_loss(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 3e38], "f4")
    data = (values.view("u4") >> 16).astype("<u2").tobytes()
    table = json.dumps({"x": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
    (tmp_path / "m.safetensors").write_bytes(len(table).to_bytes(8, "little") + table + data)
    read = read_arrays(tmp_path / "m.safetensors")["x"]
    np.testing.assert_array_equal(read.view("u4"), values.view("u4") & 0xFFFF0000)


def test_csv_with_a_byte_order_mark_and_dos_line_ends_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,x\r\n2,\r\n")
    read = read_file(tmp_path / "t.csv")
    assert isinstance(read, TableContent)
    assert read.table.to_pydict() == {"a": [1, 2], "b": ["x", ""]}


@pytest.mark.parametrize("name", ["Läufe\n.npz", "x" * 240 + ".npz", "no ending", ".npz"])
def test_the_name_does_not_decide_what_arrays_are(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(npz())
    assert read_arrays(tmp_path / name).keys() == sound().keys()


@pytest.mark.parametrize("name", [*SCANS, *TABLES])
def test_the_limit_on_content_holds_in_every_form(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes({**SCANS, **TABLES}[name])
    with pytest.raises(ContractBroken, match="at most 20 bytes"):
        read_file(path, Limits(content_nbytes=20))
