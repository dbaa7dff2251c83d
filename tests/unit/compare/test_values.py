"""Laws of comparing whole values: trees, scans, products, reconstructions, folders, raw files, and two kinds."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smalti import Product, RawFile, Reconstruction, Scan, Store, Tree, open_store
from smalti.codecs import Folder, ProductMetadata, ScanMetadata, Stated
from smalti.compare import Comparison, DocumentDifference, FileDifference, compare, page, summary, text
from smalti.errors import NotFound

RANDOM = np.random.default_rng(0)
N = 30


@pytest.fixture
def store() -> Store:
    return open_store("memory:")


def compared(store: Store, before: Any, after: Any, **how: Any) -> Comparison:
    return compare(store, store.put(before), store.put(after), **how)


def told(store: Store, before: Any, after: Any) -> str:
    return "\n".join(text(compared(store, before, after)))


@pytest.fixture
def scan() -> Scan:
    metadata = ScanMetadata(
        name="star",
        photon_energy_eV=Stated(value=8800),
        detector_distance_m=Stated(value=2.0),
        detector_pixel_size_m=Stated(value=75e-6),
    )
    places = RANDOM.random((2, N)) * 50
    patterns = RANDOM.random((N, 16, 16), np.float32)
    return Scan(patterns, *places, np.ones((1, 16, 16), np.complex64), None, np.arange(N), metadata)


def test_equal_values_are_equal(store: Store, scan: Scan) -> None:
    found = compared(store, scan, scan)
    assert (found.equal, text(found), summary(found)) == (True, ["equal"], "Equal.")


def test_children_are_named_that_came_went_and_changed(store: Store) -> None:
    found = compared(store, {"a": b"1", "gone": b"2", "d": {"x": b"3"}}, {"a": b"1", "came": b"4", "d": {"x": b"5"}})
    assert [(one.happened, one.path) for one in found.differences] == [
        ("added", "came"),
        ("changed", "d/x"),
        ("removed", "gone"),
    ]
    assert found.same == 1


def test_a_scalar_and_an_array_of_one_number_are_told_apart(store: Store) -> None:
    assert "m  scalar float64 -> array float64 ()" in told(store, {"m": np.float64(1)}, {"m": np.array(1.0)}).replace(
        ", 8 B", ""
    )
    assert "scalar float32, 4 B" in told(store, np.float32(1), np.float32(2))
    assert "1 -> 2" in told(store, np.float32(1), np.float32(2))


def test_two_kinds_are_said_to_be_two_kinds(store: Store, scan: Scan) -> None:
    assert "array int64 (3,), 24 B -> table of 3 rows, 1 columns" in told(
        store, np.arange(3), pd.DataFrame({"x": [1, 2, 3]})
    )
    assert "scan, " in told(store, scan, b"x")
    assert "bytes, 1 B" in told(store, scan, b"x")


def test_a_scan_is_told_in_physical_units(store: Store, scan: Scan) -> None:
    metadata = scan.metadata.model_copy(update={"photon_energy_eV": Stated(value=9000, assumed=True)})
    moved = replace(scan, xcoords=scan.xcoords + 0.5, metadata=metadata)
    said = told(store, scan, moved)
    assert "photon_energy_eV.value: 8.8 keV -> 9 keV (+2.27 %)" in said
    assert "photon_energy_eV.assumed: false -> true" in said
    assert "30 of 30 positions moved, by 0.5 px (117 nm) at most" in said
    assert "object pixel 234.819 nm -> 229.6 nm (-2.22 %)" in said


def test_a_scan_within_a_tree_is_told_in_physical_units_too(store: Store, scan: Scan) -> None:
    moved = replace(scan, ycoords=scan.ycoords + 1)
    found = compared(store, {"first": scan, "x": b"1"}, {"first": moved, "x": b"1"})
    notes = {difference.path: difference.notes for difference in found.differences}
    assert "30 of 30 positions moved, by 1 px (235 nm) at most" in notes["first"][0]


def test_other_many_positions_are_said(store: Store, scan: Scan) -> None:
    fewer = replace(
        scan, **{name: getattr(scan, name)[1:] for name in ("diffraction", "xcoords", "ycoords", "scan_index")}
    )
    assert "30 positions became 29" in told(store, scan, fewer)


def test_a_foreign_tree_that_calls_itself_a_scan_is_compared_all_the_same(store: Store) -> None:
    before, after = (Tree({"xcoords": b"x", "ycoords": y}, {}, "scan") for y in (b"1", b"2"))
    assert "the positions could not be compared" in told(store, before, after)


def test_a_product_is_told_in_metres_and_its_object_by_amplitude_and_phase(store: Store, scan: Scan) -> None:
    sizes = {f"{what}_pixel_{side}_m": 1e-8 for what in ("probe", "object") for side in ("width", "height")}
    metadata = ProductMetadata(**sizes, object_center_x_m=0.0, object_center_y_m=0.0, photon_energy_eV=8800.0)
    image = np.exp(1j * RANDOM.random((1, 40, 40)))
    product = Product(
        scan.xcoords * 1e-8, scan.ycoords * 1e-8, np.arange(N), np.ones((1, 1, 8, 8), complex), image, np.zeros(0),
        np.arange(3), np.array([3.0, 2.0, 1.0]), None, metadata,
    )  # fmt: skip
    other = replace(
        product,
        probe_position_x_m=product.probe_position_x_m + 3e-9,
        object=image * np.exp(0.1j),
        metadata=metadata.model_copy(update={"detector_object_distance_m": 2.0}),
    )
    said = told(store, product, other)
    assert "detector_object_distance_m: 2 m (added)" in said
    assert "30 of 30 positions moved, by 3 nm at most" in said
    assert "as a whole the phase is turned by 0.1 rad, correlation 1" in said


def test_a_reconstruction_is_told_by_metrics_and_positions(store: Store, scan: Scan) -> None:
    made = Reconstruction(
        np.ones((20, 20), np.complex64), np.ones((1, 8, 8), np.complex64), scan.xcoords, scan.ycoords, 0.0, 0.0,
        np.array([1.0, 0.5]), {"r_factor": 0.2}, {"seed": 1},
    )  # fmt: skip
    said = told(store, made, replace(made, metrics={"r_factor": 0.1}, ycoords=scan.ycoords - 2, loss=np.ones(3)))
    assert "metrics.r_factor: 0.2 -> 0.1 (-50 %)" in said
    assert "30 of 30 positions moved, by 2 px at most" in said


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def test_raw_files_are_compared_by_the_arrays_inside(store: Store) -> None:
    stack = RANDOM.random((5, 4, 4))
    changed = stack.copy()
    changed[3] += 1
    before = RawFile("scan.npz", npz(diffraction=stack, xcoords=np.arange(5.0)), {"energy_eV": 8800})
    after = RawFile("scan.npz", npz(diffraction=changed, xcoords=np.arange(5.0), new=np.ones(2)), {"energy_eV": 8801})
    found = compared(store, before, after)
    inside = found.differences[1].content
    assert isinstance(inside, FileDifference)
    assert [(one.happened, one.path) for one in inside.inside] == [("changed", "diffraction"), ("added", "new")]
    assert inside.same == 1
    assert "rows: 1 changed (now 5): 3:4" in "\n".join(text(found))
    assert page(found, store).count("<img") == 3, "before, after and the difference of the frame that differs"


def test_a_file_that_is_not_what_its_name_says_is_compared_as_bytes(store: Store) -> None:
    said = told(store, {"a.npz": b"\x00nothing"}, {"a.npz": b"\x00nothing else"})
    assert "8 B -> 13 B" in said


def test_a_folder_is_compared_file_by_file(store: Store) -> None:
    before = {"r.md": b"one\ntwo\n", "c.json": b'{"a": 1}', "t.csv": b"id,x\n1,2\n2,3\n", "s.json": b'{"a": 1}'}
    after = {"r.md": b"one\n2\n", "c.json": b'{"a": 2}', "t.csv": b"id,x\n1,2\n2,4\n", "s.json": b'{ "a":1 }'}
    said = told(store, Folder(before), Folder(after))
    assert "-two" in said
    assert "a: 1 -> 2" in said
    assert "row 2, x: 3 -> 4" in said
    assert "the JSON is the same, spelled in another way" in said


def test_json_that_no_store_could_hold_is_compared_as_text(store: Store) -> None:
    assert "+NaN" in told(store, {"a.json": b"1\n"}, {"a.json": b"NaN\n"})


def test_of_very_many_values_the_rest_is_said_not_to_have_been_read(store: Store) -> None:
    found = compared(store, {f"{i:04}": b"%d" % i for i in range(600)}, {f"{i:04}": b"x%d" % i for i in range(600)})
    assert len(found.differences) == 600
    assert found.differences[-1].notes == ("its content was not compared: more than 500 values differ",)
    assert len(summary(found).splitlines()) <= 20
    assert "differences more" in summary(found)


def test_a_key_is_used_by_the_tables_that_have_it_and_refused_where_none_has(store: Store) -> None:
    frame = pd.DataFrame({"k": [1, 2], "x": [1, 2]})
    other = pd.DataFrame({"y": [1, 2]})
    found = compared(store, {"a": frame, "b": other}, {"a": frame.assign(x=5), "b": other * 2}, key="k")
    assert "the key was not used" in found.differences[1].notes[0]
    with pytest.raises(NotFound, match="no column 'k'"):
        compared(store, {"b": other}, {"b": other * 2}, key="k")
    with pytest.raises(NotFound, match="no table differs"):
        compared(store, b"1", b"2", key="k")


def test_attributes_of_a_tree_are_a_document(store: Store) -> None:
    (found,) = compared(store, {"a": 1, "l": [1, 2]}, {"a": 2, "l": [0, 1, 2]}).differences
    assert isinstance(found.content, DocumentDifference)
    assert [change.path for change in found.content.changes] == ["a", "l[0]"]


def test_progress_is_told(store: Store) -> None:
    seen: list[tuple[int, int]] = []
    before, after = {"a": b"1", "b": b"2"}, {"a": b"3", "b": b"4"}
    compared(store, before, after, progress=lambda p: seen.append((p.objects, p.of_objects)))
    assert seen == [(1, 2), (2, 2)]
