"""Laws of the restore drill: what comes back is whole and compared; a byte changed or an object gone is said."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from smalti import Product, Store, open_store
from smalti.cli import app
from smalti.errors import NotFound
from smalti.products.drill import drill


@pytest.fixture
def store(tmp_path: Path, product: Product) -> Store:
    store = open_store(tmp_path / "store")
    store.put(product, name="ptychodus_product/star")
    store.put({"x": np.arange(20_000), "note": "one"}, name="table/one")
    return store


@pytest.fixture
def backup(store: Store, tmp_path: Path) -> Store:
    backup = open_store(tmp_path / "backup")
    store.push(backup)
    return backup


def test_a_product_and_another_value_come_back_and_are_equal_to_what_stands(store: Store, backup: Store) -> None:
    report = drill(store, backup, random.Random(1))
    assert report.clean
    assert {one.kind for one in report.restored} == {"product", "tree"}
    for one in report.restored:
        assert one.digest == store.resolve(one.name)
        assert one.stands == "equal to what stands here"
        assert one.objects > 1
        assert one.at == store.versions(one.name)[0].at
    assert report.names == 2


def test_nothing_is_left_and_neither_store_is_written_to(store: Store, backup: Store, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    (tmp_path / "scratch").mkdir()
    drill(store, backup, random.Random(1), folder=tmp_path / "scratch")
    (tmp_path / "scratch").rmdir()  # it is empty
    assert sorted(tmp_path.rglob("*")) == before


def test_what_has_gone_on_here_since_the_backup_is_said(store: Store, backup: Store) -> None:
    store.put({"x": np.arange(3)}, name="table/one")
    store.put({"x": np.arange(4)}, name="table/one")
    store.forget("ptychodus_product/star")
    stands = {one.name: one.stands for one in drill(store, backup, random.Random(1)).restored}
    assert stands == {
        "table/one": "an earlier version; 2 came here since",
        "ptychodus_product/star": "not here under this name",
    }


def _change_a_byte(folder: Path) -> None:
    for path in folder.iterdir():
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.chmod(0o644)
        path.write_bytes(content)


def _remove(folder: Path) -> None:
    folder.parent.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("spoil", [_change_a_byte, _remove])
@pytest.mark.parametrize("child", [False, True])
def test_a_backup_with_a_changed_byte_or_a_lost_object_fails_the_drill_and_says_which(
    store: Store, backup: Store, spoil: Callable[[Path], None], child: bool
) -> None:
    record = store.record("table/one")
    address = record.children["x"] if child else record.address
    spoil(next(Path(backup.place, "data").rglob(address.removeprefix("sha256:"))))
    backup = open_store(backup.place)
    reports = [drill(store, backup, random.Random(seed)) for seed in range(4)]
    problems = [one for report in reports for one in report.restored if one.problem]
    assert problems
    assert {one.name for one in problems} == {"table/one"}
    assert any(address in one.problem for one in problems)
    assert not any(report.clean for report in reports if any(one.name == "table/one" for one in report.restored))


def test_a_backup_that_is_not_there_or_empty_is_said(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no store at"):
        drill(store, open_store(tmp_path / "nowhere"), random.Random(1))
    empty = open_store(tmp_path / "empty")
    empty.init()
    with pytest.raises(NotFound, match="has nothing to restore: none of 0 names"):
        drill(store, empty, random.Random(1))


def test_values_that_are_too_large_are_passed_over(store: Store, backup: Store) -> None:
    (one,) = drill(store, backup, random.Random(1), most_nbytes=100_000).restored
    assert one.kind == "product"


def test_the_command_says_what_came_back_and_ends_with_1_where_it_did_not(
    store: Store, backup: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = CliRunner()
    done = run.invoke(app, ["drill", backup.place, "--store", store.place])
    assert done.exit_code == 0, done.output
    assert done.output.count("equal to what stands here") == 2
    _change_a_byte(next(Path(backup.place, "data").rglob(store.resolve("table/one").removeprefix("sha256:"))))
    monkeypatch.setenv("SMALTI_BACKUP_URL", backup.place)
    assert run.invoke(app, ["drill", "--store", store.place]).exit_code == 1
    monkeypatch.delenv("SMALTI_BACKUP_URL")
    refused = run.invoke(app, ["drill", "--store", store.place]).exception
    assert "no backup is named" in str(refused)
