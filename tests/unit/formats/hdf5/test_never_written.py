"""Values that were never written are refused by their numbers, and a file that a writer has open as a whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.contracts.violation import Violation
from smalti.errors import ContractBroken
from smalti.formats import Content, read_arrays, read_file
from tests.unit.formats.hostile.making import sound

NAMES = frozenset({"diffraction", "xcoords", "ycoords", "probeGuess", "scan_index"})


def refusal(path: Path, wanted: frozenset[str] | None = NAMES) -> Violation:
    with pytest.raises(ContractBroken) as error:
        read_file(path, wanted=wanted)
    [violation] = error.value.violations
    assert isinstance(violation, Violation)
    return violation


def stack(path: Path, written: list[int], shape: tuple[int, ...] = (12, 16, 16), step: int = 1, **options: Any) -> None:
    """A file whose patterns were written in the chunks with these numbers."""
    with h5py.File(path, "w") as file:
        patterns = file.create_dataset("diffraction", shape, "u2", chunks=(step, *shape[1:]), **options)
        for chunk in written:
            patterns[chunk * step : (chunk + 1) * step] = 1
        file["xcoords"] = np.arange(12.0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(2, 12), step=st.integers(1, 5), data=st.data(), packed=st.sampled_from([{}, {"compression": 1}])
)
def test_patterns_that_were_never_written_are_named(
    tmp_path: Path, count: int, step: int, data: st.DataObject, packed: dict[str, Any]
) -> None:
    step = min(step, count)
    chunks = range(-(-count // step))
    written = data.draw(st.lists(st.sampled_from(chunks), unique=True))
    stack(tmp_path / "scan.h5", written, (count, 3, 3), step, **packed)
    if len(written) == len(chunks):
        assert (read_arrays(tmp_path / "scan.h5")["diffraction"] == 1).all()
        return
    violation = refusal(tmp_path / "scan.h5")
    said, named = re.fullmatch(r"(.*): patterns? (.*) (?:were|was) never written", violation.found).groups()
    assert (violation.code, violation.place) == ("hdf5.never_written", "dataset diffraction")
    assert said == f"{len(written)} of {len(chunks)} chunks written"
    if "more ranges" not in named:
        ends = [part.split(" to ") for part in named.split(", ")]
        absent = {i for first, *last in ends for i in range(int(first), int((last or [first])[0]) + 1)}
        assert absent == {i for i in range(count) if i // step not in written}


def test_the_last_chunk_is_named_no_further_than_the_patterns_go(tmp_path: Path) -> None:
    stack(tmp_path / "scan.h5", [0, 1], (10, 4, 4), step=4)
    assert "2 of 3 chunks written: patterns 8 to 9 were never written" in str(refusal(tmp_path / "scan.h5"))


def test_a_pattern_of_which_a_part_is_absent_is_named_too(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("diffraction", (4, 8, 8), "u2", chunks=(1, 4, 8))[:, :4] = 1
    assert "4 of 8 chunks written: parts of patterns 0 to 3 were" in str(refusal(tmp_path / "scan.h5"))


def test_one_pattern_is_told_in_the_singular(tmp_path: Path) -> None:
    stack(tmp_path / "scan.h5", list(range(11)))
    assert refusal(tmp_path / "scan.h5").found == "11 of 12 chunks written: pattern 11 was never written"


def test_many_ranges_are_counted(tmp_path: Path) -> None:
    stack(tmp_path / "scan.h5", list(range(0, 12, 2)))
    assert "patterns 1, 3, 5, 7 and 2 more ranges were never written" in str(refusal(tmp_path / "scan.h5"))


def test_positions_that_were_never_written_are_refused_as_values(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("xcoords", (10,), "f8", chunks=(5,))[:5] = 1
    assert "values 5 to 9 were never written" in str(refusal(tmp_path / "scan.h5"))


@pytest.mark.parametrize("wanted", [NAMES, None])
def test_data_in_one_piece_that_were_never_written_are_refused(tmp_path: Path, wanted: frozenset[str] | None) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("diffraction", (4, 4, 4), "f4")
    violation = refusal(tmp_path / "scan.h5", wanted)
    assert (violation.code, violation.found) == ("hdf5.never_written", "0 bytes of data: it was never written")


def test_what_nobody_asked_for_may_be_unwritten(tmp_path: Path) -> None:
    stack(tmp_path / "scan.h5", list(range(12)))
    with h5py.File(tmp_path / "scan.h5", "a") as file:
        file.create_dataset("spare", (12,), "f8", chunks=(3,))
        file.create_dataset("dark", (12, 16, 16), "f8", chunks=(3, 16, 16))
    content = read_file(tmp_path / "scan.h5", wanted=NAMES)
    assert isinstance(content, Content)
    assert set(content.arrays) == {"diffraction", "xcoords"}
    assert {skipped.name for skipped in content.skipped} == {"spare", "dark"}


@pytest.mark.parametrize(
    "shrink", [lambda d: d.resize(5, axis=0), lambda d: d.resize(0, axis=0), lambda d: d.resize(12, axis=0)]
)
def test_a_dataset_that_was_cut_to_what_was_written_is_read(
    tmp_path: Path, shrink: Callable[[h5py.Dataset], None]
) -> None:
    stack(tmp_path / "scan.h5", list(range(12)), maxshape=(None, 16, 16))
    with h5py.File(tmp_path / "scan.h5", "a") as file:
        shrink(file["diffraction"])
        length = len(file["diffraction"])
    np.testing.assert_array_equal(read_arrays(tmp_path / "scan.h5")["diffraction"], np.ones((length, 16, 16)))


@pytest.mark.parametrize("swmr", [True, False])
@pytest.mark.parametrize("user_block", [0, 512, 1024])
def test_a_copy_of_a_file_that_a_writer_has_open_is_refused(tmp_path: Path, swmr: bool, user_block: int) -> None:
    being_written, copy = tmp_path / "writing.h5", tmp_path / "scan.h5"
    with h5py.File(being_written, "w", libver="latest", userblock_size=user_block) as file:
        for key, array in sound().items():
            file[key] = array
        if swmr:
            file.swmr_mode = True
        file.flush()
        shutil.copy(being_written, copy)
    violation = refusal(copy)
    assert violation.code == "hdf5.open_for_writing"
    assert violation.found == f"a file that a{' SWMR' if swmr else ''} writer has not closed"
    assert "try again once the writer has closed it" in violation.remedy
    assert read_arrays(being_written).keys() == sound().keys()  # closed now


def test_a_file_that_a_writer_has_locked_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w", locking=True) as file:
        for key, array in sound().items():
            file[key] = array
        file.flush()
        assert refusal(path).code == "hdf5.open_for_writing"
    assert read_arrays(path).keys() == sound().keys()


def test_reading_beside_another_reader_is_no_writing(tmp_path: Path) -> None:
    stack(tmp_path / "scan.h5", list(range(12)))
    with h5py.File(tmp_path / "scan.h5", "r", locking=True):
        assert len(read_arrays(tmp_path / "scan.h5")["diffraction"]) == 12
