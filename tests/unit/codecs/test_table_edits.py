"""Laws of near-duplicate tables and of lazy ones: edits move few leaves, and a part is read without the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from smalti import Store, open_store
from smalti.codecs import CODECS, LazyTable
from smalti.errors import Damaged, NotFound, Refused
from smalti.store.format.record import Record
from smalti.store.objects.hashing import record_of
from smalti.store.values import Encoded

Frame = pd.DataFrame


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def encoded(table: Any) -> Encoded:
    result = CODECS.encode(table)
    assert isinstance(result, Encoded)
    return result


def record(table: Any) -> Record:
    return record_of(encoded(table))


def log_of(rows: int, seed: int) -> Frame:
    random = np.random.default_rng(seed)
    return Frame(
        {
            "id": np.arange(rows) + seed * 10**9,
            "value": random.normal(size=rows),
            "name": [f"item {i}" for i in random.integers(0, 10**6, rows)],
            "kind": pd.Categorical.from_codes(random.integers(0, 5, rows), list("abcde")),
            "ok": random.random(rows) < 0.5,
            "maybe": pd.array(random.integers(0, 9, rows), "Int64").map(lambda x: x or pd.NA).astype("Int64"),
        }
    )


def new_share(before: Any, after: Any) -> float:
    """New bytes of ``after`` as a share of its size."""

    def leaves(found: Record) -> dict[bytes, int]:
        ids = (found.leaf_ids[i : i + 32] for i in range(0, len(found.leaf_ids), 32))
        return dict(zip(ids, found.leaf_sizes.tolist(), strict=True))

    known, wanted = leaves(record(before)), leaves(record(after))
    return sum(size for leaf, size in wanted.items() if leaf not in known) / sum(wanted.values())


@pytest.fixture(scope="module")
def log() -> Frame:
    return log_of(200_000, 0)


def test_rows_added_or_removed_anywhere_leave_almost_all_leaves_as_they_were(log: Frame) -> None:
    few = log_of(100, 1)
    assert new_share(log, pd.concat([log, few], ignore_index=True)) < 0.03
    assert new_share(log, pd.concat([log[:90_001], few, log[90_001:]], ignore_index=True)) < 0.05
    assert new_share(log, pd.concat([log[:90_001], log[90_008:]], ignore_index=True)) < 0.05


def test_a_column_added_removed_or_changed_leaves_the_others_as_they_were(log: Frame) -> None:
    other = log.assign(value=log["value"] * 2)
    assert new_share(log, other) == pytest.approx(8 * len(log) / record(log).nbytes, rel=0.01)
    assert new_share(log, log.assign(more=log["value"] > 0)) < 0.01
    assert new_share(log, log[["id", "name"]]) == 0


def test_a_table_that_no_column_identifies_is_cut_by_all_of_them() -> None:
    codes = np.random.default_rng(0).integers(0, 4, (12, 100_000)).astype(np.int8)
    survey = Frame({f"q{i}": column for i, column in enumerate(codes)})
    assert new_share(survey, pd.concat([survey[:50_001], survey[:3], survey[50_001:]], ignore_index=True)) < 0.2


def test_a_table_in_several_batches_comes_back(store: Store, log: Frame) -> None:
    assert len(encoded(log).header["batches"]) > 20  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(store.get(store.put(log)), log)
    table = pa.Table.from_pandas(log, preserve_index=False)
    assert store.get(store.put(table)).equals(table)
    path = store.file(store.put(log))
    assert path is not None
    assert pa.ipc.open_file(path).read_all().num_rows == len(log)


def test_a_lazy_table_gives_rows_and_columns_like_the_whole(store: Store, log: Frame) -> None:
    lazy = store.open(store.put(log))
    assert isinstance(lazy, LazyTable)
    assert (len(lazy), lazy.schema.names) == (len(log), list(log.columns))
    for rows in (slice(0, 5), slice(99_990, 120_000), slice(-7, None), slice(5, 5), slice(9, 3), slice(None)):
        pd.testing.assert_frame_equal(lazy[rows], log[rows])
    assert lazy.column("name").to_pylist() == log["name"].tolist()
    pd.testing.assert_frame_equal(lazy.to_pandas(), log)
    assert lazy.to_arrow().num_rows == len(log)
    assert store.put(lazy).new_bytes == 0


def test_the_batches_of_a_lazy_table_are_the_whole(store: Store, log: Frame) -> None:
    few = log[:50_000]
    batches = list(store.open(store.put(few)).batches())
    assert len(batches) > 3
    assert {len(batch) <= 16384 for batch in batches} == {True}
    pd.testing.assert_frame_equal(pd.concat(batches).astype(few.dtypes), few)
    table = pa.table({"x": range(50_000)})
    assert pa.concat_tables(store.open(store.put(table)).batches()).equals(table)


def test_columns_are_read_by_name_in_the_order_given_and_nothing_else(store: Store, log: Frame) -> None:
    table = pa.Table.from_pandas(log[:50_000], preserve_index=False).replace_schema_metadata({"a": "b"})
    ref = store.put(table)
    lazy = store.open(ref)
    for names in (["name", "id"], ["kind"], []):
        assert lazy.to_arrow(names).equals(table.select(names), check_metadata=True)
    assert lazy.to_arrow([]).num_rows == len(table)
    with pytest.raises(NotFound, match="no column 'y'"):
        lazy.to_arrow(["id", "y"])
    path = store.file(ref)
    assert path is not None
    content = bytearray(path.read_bytes())
    content[content.index(log["value"].to_numpy()[10_000:10_004].tobytes())] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    assert store.open(ref).to_arrow(["name", "id"]).equals(table.select(["name", "id"]), check_metadata=True)
    with pytest.raises(Damaged):
        store.open(ref).to_arrow(["id", "value"])


def test_a_lazy_arrow_table_gives_arrow_rows(store: Store) -> None:
    table = pa.table({"x": range(100_000), "s": ["a", None] * 50_000})
    lazy = store.open(store.put(table))
    assert lazy[70_000:70_010].equals(table[70_000:70_010])
    assert lazy.to_pandas().equals(table.to_pandas())
    with pytest.raises(NotFound, match=r"no column 'y' .* \['x', 's'\]"):
        lazy.column("y")
    for key in (3, slice(0, 9, 2), "x"):
        with pytest.raises(Refused, match="indexed by a range of rows"):
            lazy[key]


def test_a_column_and_a_slice_read_and_verify_only_their_own_leaves(store: Store, log: Frame) -> None:
    ref = store.put(log)
    path = store.file(ref)
    assert path is not None
    content = bytearray(path.read_bytes())
    content[content.index(log["value"].to_numpy()[100_000:100_004].tobytes())] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    lazy = store.open(ref)
    assert lazy.column("id").to_pylist()[-1] == log["id"].iloc[-1]
    pd.testing.assert_frame_equal(lazy[:50_000], log[:50_000])
    with pytest.raises(Damaged):
        lazy[100_000:100_001]
    with pytest.raises(Damaged):
        lazy.column("value")
