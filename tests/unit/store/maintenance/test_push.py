"""Laws of what a push carries: chosen names as they stand, directories whole, and nothing into what is not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.errors import NotFound, Refused
from smalti.store.documents import Documents
from smalti.store.names import Names


@pytest.fixture
def here() -> Store:
    return open_store("memory:")


@pytest.fixture
def there() -> Store:
    return open_store("memory:")


def test_a_chosen_name_brings_what_it_stands_for_now_and_when(here: Store, there: Store) -> None:
    for number in (10, 20, 30):
        here.put(np.arange(number), name="training")
    here.push(there, ["training"])
    assert there.versions("training") == here.versions("training")[-1:]
    assert there.fsck().clean
    here.push(there)
    assert there.versions("training") == here.versions("training"), "the others come to their places"


def test_a_chosen_name_stands_there_for_what_it_does_here(here: Store, there: Store) -> None:
    there.put(b"theirs", name="name")
    here.put(b"ours", name="name")
    for _ in range(2):
        here.push(there, ["name"])
        assert [bytes(there.get(version.address)) for version in there.versions("name")] == [b"theirs", b"ours"]
    here.put(b"theirs", name="name")  # the same value again, on its own
    here.push(there, ["name"])
    assert [version.version for version in there.versions("name")] == [1, 2, 3]
    assert there.fsck().clean


def test_a_directory_brings_all_its_versions(here: Store, there: Store) -> None:
    for number in range(3):
        here.put({"n": number}, name="directories/fly")
    here.push(there, ["directories/fly"])
    assert there.versions("directories/fly") == here.versions("directories/fly")
    there.put({"n": "there"}, name="directories/fly")
    here.put({"n": "here"}, name="directories/fly")
    here.push(there, ["directories/fly"])
    assert [there.get(version.address)["n"] for version in there.versions("directories/fly")] == [
        0,
        1,
        2,
        "there",
        "here",
    ]


def test_a_store_that_is_not_there_is_made_by_a_push_and_missed_by_all_else(here: Store, tmp_path: Path) -> None:
    here.put(b"value", name="name")
    missing = open_store(tmp_path / "unmounted")
    for act in (here.pull, here.verify, missing.push):
        with pytest.raises(NotFound, match="there is no store at"):
            act(missing if act != missing.push else here)
    assert not (tmp_path / "unmounted").exists()
    here.push(missing)
    assert here.verify(missing).clean


def test_a_run_that_is_kept_there_is_not_released_by_a_push(here: Store, there: Store) -> None:
    ref = here.put(b"made")
    here.add_manifest("run", outputs={"x": ref})
    here.push(there)
    here.release("run")
    here.push(there)
    assert not there.manifest("run").released_at
    assert there.gc().roots == {ref.digest: "the run run"}
    assert here.verify(there).clean, "it keeps more, not less"


def test_several_names_and_runs_that_differ_are_said_in_one_sentence_each(here: Store, there: Store) -> None:
    for store, content in ((here, b"ours"), (there, b"theirs")):
        for name in ("a", "b"):
            store.put(content, name=name)
        store.add_manifest("run", outputs={"x": store.put(content)})
    with pytest.raises(
        Refused, match=r"but the name 'a' .* 2 more were left .* the name 'b' .* the run 'run' has another"
    ):
        here.push(there)
    assert len(here.verify(there).problems) == 3


def test_a_version_of_another_store_is_checked_before_it_is_written(here: Store) -> None:
    here.put(b"value", name="name")
    names = Names(Documents(here._backend))
    (version,) = here.versions("name")
    for wrong in (
        {"name": "../name"}, {"name": 3}, {"version": 0}, {"version": True}, {"version": 10**6}, {"version": 1.0},
        {"address": "sha256:../.."}, {"address": None}, {"at": "yesterday\n"}, {"at": 3},
    ):  # fmt: skip
        with pytest.raises(Refused):
            names.bring(replace(version, **{"version": 2, **wrong}))
    assert not names.bring(version), "there is one of that number"
    assert names.bring(replace(version, version=2))
    assert [one.version for one in here.versions("name")] == [1, 2]
