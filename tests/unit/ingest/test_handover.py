"""Laws of handing over: every value comes back equal, and whatever else lies in the folder is refused."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti.codecs import BFloat16, Product, ProductMetadata, Scan, ScanMetadata, Stated
from smalti.codecs.product import ProductCodec, RawBundle
from smalti.codecs.scan import ScanCodec
from smalti.errors import Refused
from smalti.ingest import handover
from smalti.testing.tables import arrow_tables

DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="<"),
    hnp.unsigned_integer_dtypes(endianness="<"),
    hnp.floating_dtypes(endianness="<", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="<", sizes=(64, 128)),
    hnp.byte_string_dtypes(min_len=1, max_len=5),
    hnp.unicode_string_dtypes(endianness="<", min_len=1, max_len=5),
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@st.composite
def scans(draw: st.DrawFn) -> Scan:
    count, height, width, modes = (draw(st.integers(1, 4)) for _ in range(4))

    def array(dtype: str, *shape: int) -> Any:
        return draw(hnp.arrays(dtype, shape, elements=st.just(np.dtype(dtype).type(1)), fill=st.nothing()))

    def maybe(dtype: str, *shape: int) -> Any:
        return array(dtype, *shape) if draw(st.booleans()) else None

    stated = st.builds(Stated, value=st.floats(0, 1e5), assumed=st.booleans(), note=st.text(max_size=5))
    metadata = ScanMetadata(
        name=draw(NAMES),
        photon_energy_eV=draw(st.none() | stated),
        conversions=tuple(draw(st.lists(NAMES, max_size=2))),
    )
    return Scan(
        diffraction=draw(hnp.arrays("<f4", (count, height, width))),
        xcoords=draw(hnp.arrays("<f8", (count,))),
        ycoords=array("<f8", count),
        probe_guess=maybe("<c8", modes, height, width),
        object_guess=maybe("<c8", 5, 6),
        scan_index=array("<i8", count),
        metadata=metadata,
        bad_pixels=maybe("|b1", height, width),
        patches=maybe("<c8", count, height, width),
    )


def product() -> Product:
    positions = np.linspace(0, 1, 3)
    metadata = ProductMetadata(
        name="p", comments="two\nlines", probe_pixel_width_m=1e-8, probe_pixel_height_m=1e-8, object_pixel_width_m=1e-8,
        object_pixel_height_m=1e-8, object_center_x_m=0.0, object_center_y_m=0.0,
    )  # fmt: skip
    return Product(
        positions, positions, np.arange(3), np.ones((1, 2, 4, 4), np.complex64), np.ones((1, 8, 9), np.complex128),
        np.zeros(0), np.arange(2), np.ones(2), np.ones((3, 1)), metadata, contract="product/1",
        patterns=RawBundle(np.ones((3, 4, 4), np.uint16), "counts", positions, positions, np.arange(3)),
    )  # fmt: skip


def table() -> pa.Table:
    rows = [{"a": i, "b": None if i % 3 else f"text {i}", "c": [i] * (i % 4), "d": {"e": i / 7}} for i in range(40)]
    made = pa.Table.from_pylist(rows)
    words = pa.array(["u", "v"] * 20).dictionary_encode()
    return made.append_column("f", words).append_column("g", pa.nulls(40)).replace_schema_metadata({"made": "here"})


def handed_over(value: Any, mapped: bool = True) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        handover.write(value, Path(folder))
        return handover.read(Path(folder), mapped=mapped)  # the folder is gone before the value is used


def require_equal(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert not b.flags.writeable
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for name in a:
            require_equal(a[name], b[name])
    elif isinstance(a, Scan | Product | RawBundle):
        for field in fields(a):
            require_equal(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, pa.Table):
        assert a.schema.equals(b.schema, check_metadata=True)
        assert repr(a.to_pylist()) == repr(b.to_pylist())  # NaN is NaN
    else:
        assert a == b


@given(array=ARRAYS, mapped=st.booleans())
def test_an_array_comes_back_equal(array: Any, mapped: bool) -> None:
    require_equal(array, handed_over(array, mapped))


@given(st.dictionaries(NAMES, ARRAYS, max_size=4), st.booleans())
def test_arrays_by_name_come_back_equal_and_in_order(arrays: dict[str, Any], mapped: bool) -> None:
    require_equal(arrays, handed_over(arrays, mapped))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(scan=scans())
def test_a_scan_comes_back_equal(scan: Scan) -> None:
    require_equal(scan, handed_over(scan))


def test_a_product_comes_back_equal() -> None:
    require_equal(product(), handed_over(product()))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(given_table=arrow_tables().filter(lambda made: made.num_columns > 0), mapped=st.booleans())
def test_a_table_comes_back_equal(given_table: pa.Table, mapped: bool) -> None:
    require_equal(given_table, handed_over(given_table, mapped))


def test_a_table_of_several_batches_comes_back_equal() -> None:
    require_equal(large := pa.table({"a": range(50_000), "b": list("xyzw") * 12_500}), handed_over(large))


def test_a_scalar_comes_back_as_a_scalar() -> None:
    assert repr(handed_over({"n": np.float32(0.1)})["n"]) == "np.float32(0.1)"


def test_bfloat16_comes_back_as_it_is() -> None:
    back = handed_over({"w": BFloat16(np.arange(6, dtype=np.uint16).reshape(2, 3))})["w"]
    assert isinstance(back, BFloat16)
    np.testing.assert_array_equal(back.bits, np.arange(6).reshape(2, 3))


def test_the_form_of_every_array_of_a_class_is_known() -> None:
    every = np.ones(1)
    scan = Scan(every, every, every, every, every, every, ScanMetadata(name="s"), every, every)  # type: ignore[arg-type]
    assert ScanCodec().to_tree(scan).children.keys() == handover._FORMS["scan"].keys()
    metadata = product().metadata
    raw = RawBundle(every, "counts", every, every, every, bad_pixels=every)  # type: ignore[arg-type]
    made = Product(every, every, every, every, every, every, every, every, every, metadata, every, raw)  # type: ignore[arg-type]
    assert ProductCodec().to_tree(made).children.keys() == handover._FORMS["product"].keys()


# What a hostile process may leave


Change = Callable[[Any], Any]


def changed(folder: Path, value: Any, change: Change) -> Any:
    """Hand a value over, its description changed, and read it."""
    handover.write(value, folder)
    file = folder / "description.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    return handover.read(folder)


def array_header(**change: Any) -> Change:
    return lambda described: {**described, "header": {**described["header"], **change}}


def column_type(described: Any) -> Change:
    def change(table: Any) -> Any:
        table["header"]["columns"][0]["type"] = described
        return table

    return change


@pytest.mark.parametrize(
    "change",
    [
        array_header(dtype="|O"), array_header(dtype="<f8,<f8"), array_header(dtype=[["a", "<f8"]]),
        array_header(dtype=">f8"), array_header(dtype="<g"), array_header(dtype="<f16"), array_header(dtype="<U0"),
        array_header(dtype="<V8"), array_header(dtype="float64"), array_header(dtype="<m8"), array_header(dtype=None),
        array_header(shape=[4]), array_header(shape=[2]), array_header(shape=[-3, -1]), array_header(shape=[3.0]),
        array_header(shape=[True, 3]), array_header(shape="3"), array_header(shape=[1] * 33 + [3]),
        array_header(shape=[0, 1 << 62]), array_header(shape=None), array_header(kind="bytes"), array_header(more=1),
        array_header(kind="weights", tensors={}), lambda described: {**described, "nbytes": [24, 0]},
        lambda described: {**described, "nbytes": [1 << 62]}, lambda described: {**described, "nbytes": [-24]},
        lambda described: {**described, "nbytes": []}, lambda described: {**described, "nbytes": 24},
        lambda described: {**described, "nbytes": [True]}, lambda described: described["header"], lambda _: None,
        lambda _: [], lambda _: "", lambda _: 7, lambda _: {}, lambda described: {"type": None, "attrs": {}},
        lambda described: {"type": "raw", "attrs": {}, "children": [["content", described]]},
        lambda described: {"type": "checkpoint", "attrs": {}, "children": [["model", described]]},
        lambda described: {"type": "scan", "attrs": {"name": "x"}, "children": [["diffraction", described]]},
        lambda described: {"type": ["scan"], "attrs": {}, "children": [["a", described]]},
        lambda described: {"type": None, "attrs": {"a": 1}, "children": [["a", described]]},
        lambda described: {"type": None, "attrs": [], "children": [["a", described]]},
        lambda described: {"type": None, "attrs": {}, "children": [[1, described]]},
        lambda described: {"type": None, "attrs": {}, "children": [["a", described], ["a", described]]},
        lambda described: {"type": None, "attrs": {}, "children": {"a": described}},
    ],
)  # fmt: skip
def test_a_description_that_is_not_of_these_bytes_is_refused(tmp_path: Path, change: Change) -> None:
    with pytest.raises(Refused, match=r"^what was handed over is no value \(.*\); read the file again\.$"):
        changed(tmp_path, np.arange(3.0), change)


@pytest.mark.parametrize(
    "change",
    [
        column_type("object"), column_type({"memory_map": ["victim", "w"]}), column_type({"OSFile": ["victim", "w"]}),
        column_type({"list": {"name": "x", "type": "int64"}}), column_type("string"), column_type("int32[]"),
        column_type({"fixed_size_binary": -1}), column_type({"fixed_size_binary": 1 << 31}), column_type("decimal128"),
        column_type({"fixed_size_list": {"name": "x", "type": "int64"}, "size": -5}), column_type(None),
        column_type({"fixed_size_list": {"name": "x", "type": "int64"}, "size": 1 << 30}),
        column_type({"dictionary": "string", "index": "int64", "ordered": False}),
        array_header(rows=4), array_header(rows=-1), array_header(rows=3.0), array_header(batches=[1, 1]),
        array_header(batches=[]), array_header(batches=[4]), array_header(batches=[-1, 4]), array_header(columns=[]),
        array_header(batches=[0] * (1 << 22) + [3]), array_header(dictionaries=[1 << 60]), array_header(pandas={}),
        array_header(metadata=[1]), array_header(columns=[{}]), array_header(batches=[1 << 50]),
    ],
)  # fmt: skip
def test_a_table_that_is_not_in_these_bytes_is_refused(
    tmp_path: Path, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    victim = tmp_path / "victim"
    victim.write_text("whole")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Refused, match=r"^what was handed over is no value \(.*\); read the file again\.$"):
        changed(tmp_path / "folder", pa.table({"a": pa.array([1, 2, 3], pa.int64())}), change)
    assert victim.read_text() == "whole"


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (np.array([True, False]), b"\1\2"),
        (np.array(["a"]), b"\0\0\x11\0"),
        (pa.table({"a": ["x", "yz"]}), None),
        (pa.table({"a": pa.array(["x", "y"]).dictionary_encode()}), None),
    ],
)
def test_bytes_that_are_no_values_of_their_type_are_refused(tmp_path: Path, value: Any, content: bytes | None) -> None:
    handover.write(value, tmp_path)
    file = tmp_path / "content"
    was = file.read_bytes()
    file.write_bytes((content or b"\xff" * 192).ljust(64, b"\0").ljust(len(was), b"\xff")[: len(was)])
    with pytest.raises(Refused, match="no value"):
        handover.read(tmp_path)


def said_of_a_product(**change: Any) -> Change:
    return lambda described: {**described, "attrs": {**described["attrs"], **change}}


@pytest.mark.parametrize(
    "change",
    [
        said_of_a_product(contract=["product/1"]), said_of_a_product(raw_data={"unit": 5}),
        said_of_a_product(raw_data={"unit": "counts", "original_axis_order": {}}), said_of_a_product(raw_data=[]),
        said_of_a_product(raw_data={}), said_of_a_product(raw_data=None),
        said_of_a_product(raw_data={"unit": "x", "b": ""}),
    ],
)  # fmt: skip
def test_what_is_said_of_a_product_is_text(tmp_path: Path, change: Change) -> None:
    with pytest.raises(Refused, match="no value"):
        changed(tmp_path, product(), change)


def leave_nothing(folder: Path) -> None:
    (folder / "content").unlink()


def leave_a_link(folder: Path) -> None:
    (folder / "content").rename(folder.parent / "elsewhere")
    (folder / "content").symlink_to(folder.parent / "elsewhere")


def leave_a_linked_description(folder: Path) -> None:
    (folder / "description.json").rename(folder.parent / "elsewhere")
    (folder / "description.json").symlink_to(folder.parent / "elsewhere")


def leave_a_pipe(folder: Path) -> None:
    (folder / "description.json").unlink()
    os.mkfifo(folder / "description.json")


def leave_a_folder(folder: Path) -> None:
    leave_nothing(folder)
    (folder / "content").mkdir()


def leave_too_much(folder: Path) -> None:
    os.truncate(folder / "description.json", 1 << 32)


def leave_a_long_content(folder: Path) -> None:
    os.truncate(folder / "content", 1 << 32)


def leave_a_deep_description(folder: Path) -> None:
    (folder / "description.json").write_text("[" * 100_000)


def leave_a_name_twice(folder: Path) -> None:
    text = (folder / "description.json").read_text()
    (folder / "description.json").write_text(text.replace('{"header"', '{"header":{},"header"'))


@pytest.mark.parametrize(
    "leave",
    [
        leave_nothing, leave_a_link, leave_a_linked_description, leave_a_pipe, leave_a_folder, leave_too_much,
        leave_a_long_content, leave_a_deep_description, leave_a_name_twice,
    ],
)  # fmt: skip
def test_anything_but_two_regular_files_that_fit_is_refused(tmp_path: Path, leave: Callable[[Path], None]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    handover.write(np.arange(3.0), folder)
    leave(folder)
    with pytest.raises(Refused, match="no value"):
        handover.read(folder)


VALUES = {
    "scan": None,
    "product": product(),
    "arrays": {"a": np.arange(6).reshape(2, 3), "b": np.array("x")},
    "table": table(),
}


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_whatever_is_changed_it_is_refused_or_a_sound_value(data: st.DataObject) -> None:
    value = VALUES[data.draw(st.sampled_from(sorted(VALUES)))]
    value = data.draw(scans()) if value is None else value
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        handover.write(value, folder)
        if data.draw(st.booleans()):
            file = folder / "description.json"
            file.write_text(json.dumps(mutated(json.loads(file.read_text()), data)))
        else:
            file = folder / data.draw(st.sampled_from(["description.json", "content"]))
            damaged = bytearray(file.read_bytes())
            for _ in range(data.draw(st.integers(1, 3))):
                damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
            del damaged[data.draw(st.integers(1, len(damaged)) | st.just(len(damaged))) :]
            file.write_bytes(damaged)
        try:
            back = handover.read(folder)
        except Refused:
            return
    use(back)


def mutated(value: Any, data: st.DataObject) -> Any:
    """Replace one part of a JSON value, anywhere in it."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 4)):
        name = data.draw(st.sampled_from(sorted(value)))
        return {**value, name: mutated(value[name], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 4)):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], mutated(value[at], data), *value[at + 1 :]]
    sizes = st.sampled_from([-1, 0, 1, 2, 3, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, 1 << 64])
    words = st.sampled_from(["|O", "<f8", "<c16", "string", "int8", "binary", "null", "list", "array", "table", "scan"])
    return data.draw(
        st.one_of(sizes, st.none(), st.booleans(), st.floats(allow_nan=False), words, st.just([]), st.just({}))
    )


def use(value: Any) -> None:
    """Touch every byte of a value."""
    if isinstance(value, pa.Table):
        value.validate(full=True)
        repr(value.slice(0, 100).to_pylist())
        return
    parts = value if isinstance(value, dict) else {f.name: getattr(value, f.name) for f in fields(value)}
    for part in parts.values():
        if isinstance(part, np.ndarray):
            assert not part.dtype.hasobject
            part.tobytes()
            part.tolist()
