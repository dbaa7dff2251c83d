"""Laws of the tables that runs are found in: they say what the documents say, and read no more of them than changed."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.errors import Refused, Unavailable
from smalti.store import Use
from smalti.store.backends.local.backend import LocalBackend
from smalti.store.backends.memory import MemoryBackend
from smalti.store.cache import Cache
from smalti.store.documents import Documents
from smalti.store.manifests import Manifests, Step
from smalti.store.manifests.local_index import LocalManifests
from tests.forked_process import ForkedProcess, Say

VALUES = [f"sha256:{number:064x}" for number in range(8)]
SOME = st.dictionaries(st.sampled_from("abc"), st.sampled_from(VALUES), max_size=3)
STEPS = st.lists(st.builds(Step, st.sampled_from(["one", "two", ""]), SOME, SOME), max_size=2)


class CountedManifests(LocalManifests):
    """Manifests of which it is known how many were read."""

    reads = 0

    def read(self, key: str):  # type: ignore[no-untyped-def]
        self.reads += 1
        return super().read(key)


@pytest.fixture
def manifests(tmp_path: Path) -> CountedManifests:
    """Five runs in a chain: each reads what the one before it wrote; the tables are complete."""
    found = CountedManifests(LocalBackend(tmp_path))
    for number in range(5):
        found.add(f"run_{number}", inputs={"x": VALUES[number]}, outputs={"y": VALUES[number + 1]})
    assert found.uses(VALUES[1]) == [Use("run_0", "wrote"), Use("run_1", "read")]
    found.reads = 0
    return found


def past(manifests: LocalManifests) -> Manifests:
    """Return a way to the manifests that knows of no tables."""
    return Manifests(Documents(LocalBackend(manifests._folders[0].parent)))


def parts_of(address: str) -> list[str]:
    """Let every second value consist of the one after it, and of the last one."""
    number = VALUES.index(address)
    return [VALUES[number + 1], VALUES[-1]] if number % 2 == 0 else []


def answers(manifests: Manifests) -> dict[object, object]:
    """Return everything that can be asked."""
    found: dict[object, object] = {"newest": manifests.newest(), "finished": manifests.newest(status="finished")}
    for parts, value in itertools.product((None, parts_of), VALUES):
        found["uses", parts, value] = manifests.uses(value, parts)
        found["released", value] = manifests.released_uses(value)
        for direction, depth in itertools.product(("upstream", "downstream"), (None, 2)):
            found[direction, depth, parts, value] = manifests.lineage(value, direction, depth, parts)  # type: ignore[arg-type]
    for run in ("p", "q", "r"):
        found["children", run] = manifests.children(run)
    return found


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("pqr"), SOME, SOME, STEPS, st.sampled_from(["", "p", "q"])),
        st.tuples(st.just("update"), st.sampled_from("pqr"), SOME, SOME, STEPS, st.sampled_from(["", "finished"])),
        st.tuples(st.just("release"), st.sampled_from("pqr")),
        st.tuples(st.just("remove"), st.sampled_from("pqr")),
        st.tuples(st.just("ask")),
    ),
    max_size=10,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, by_whom=st.lists(st.booleans(), min_size=10, max_size=10))
def test_the_tables_say_what_the_documents_say(tmp_path: Path, changes: list[tuple], by_whom: list[bool]) -> None:
    root = tmp_path / os.urandom(8).hex()
    ours, bare = LocalManifests(LocalBackend(root)), Manifests(Documents(LocalBackend(root)))
    for (act, *what), through_the_store in zip(changes, by_whom, strict=False):
        writer = ours if through_the_store else bare
        try:
            if act == "add":
                run, inputs, outputs, steps, parent = what
                writer.add(run, inputs=inputs, outputs=outputs, steps=tuple(steps), parent=parent)
            elif act == "update":
                run, inputs, outputs, steps, status = what
                writer.update(run, inputs=inputs, outputs=outputs, steps=tuple(steps), status=status)
            elif act == "release":
                writer.release(what[0])
            elif act == "remove":
                (root / "manifests" / f"{what[0]}.json").unlink(missing_ok=True)
            else:
                ours.uses(VALUES[0])
        except (Refused, LookupError):
            continue
    assert answers(ours) == answers(bare)


def test_one_manifest_put_there_past_the_store_is_the_only_one_read(manifests: CountedManifests) -> None:
    past(manifests).add("new", inputs={"x": VALUES[1]})
    assert Use("new", "read") in manifests.uses(VALUES[1])
    assert manifests.reads == 1
    past(manifests).update("new", outputs={"y": VALUES[7]})
    assert manifests.uses(VALUES[7]) == [Use("new", "wrote")]
    assert manifests.reads == 2
    past(manifests).release("new")
    assert manifests.released_uses(VALUES[7]) == [Use("new", "wrote")]
    assert manifests.reads == 3
    (manifests._folders[1] / "new.json").unlink()
    assert manifests.uses(VALUES[7]) == []
    assert manifests.reads == 3, "what is gone takes no reading"


def test_what_is_written_through_the_store_is_not_read_to_be_found(manifests: CountedManifests) -> None:
    manifests.add("new", inputs={"x": VALUES[5]}, outputs={"y": VALUES[6]})
    manifests.update("new", outputs={"z": VALUES[7]})
    assert [hop.wrote for hop in manifests.lineage(VALUES[5], "downstream")] == [VALUES[6], VALUES[7]]
    manifests.release("new")
    with pytest.raises(Refused):
        manifests.update("new", status="finished")
    assert manifests.released_uses(VALUES[7]) == [Use("new", "wrote")]
    assert LocalManifests(LocalBackend(manifests._folders[0].parent)).uses(VALUES[7]) == [Use("new", "wrote")]
    assert manifests.reads == 1, "a release looks for an earlier one"


def test_a_copy_of_the_folder_is_read_anew_and_then_believed(manifests: CountedManifests, tmp_path: Path) -> None:
    copy = tmp_path.with_name(f"{tmp_path.name}-copy")
    shutil.copytree(tmp_path, copy)
    (copy / "manifests" / "run_0.json").unlink()
    found = CountedManifests(LocalBackend(copy))
    assert found.uses(VALUES[1]) == [Use("run_1", "read")]
    assert found.uses(VALUES[2]) == [Use("run_1", "wrote"), Use("run_2", "read")]
    assert found.reads == 4


def test_while_another_holds_the_tables_every_manifest_is_read(manifests: CountedManifests, tmp_path: Path) -> None:
    """As where the disk is full: what cannot be noted is found all the same."""
    with closing(sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)) as other:
        manifests._cache._open().execute("PRAGMA busy_timeout = 50")
        other.execute("BEGIN IMMEDIATE")
        past(manifests).add("new", inputs={"x": VALUES[1]})
        assert Use("new", "read") in manifests.uses(VALUES[1])
        other.execute("ROLLBACK")
    assert Use("new", "read") in manifests.uses(VALUES[1])


def test_a_change_that_cannot_be_noted_is_made_and_found(manifests: CountedManifests, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)) as other:
        manifests._cache._open().execute("PRAGMA busy_timeout = 50")
        other.execute("BEGIN IMMEDIATE")
        manifests.add("new", inputs={"x": VALUES[1]})
        other.execute("ROLLBACK")
    assert Use("new", "read") in manifests.uses(VALUES[1])


def test_tables_emptied_while_they_are_filled_are_not_believed(tmp_path: Path) -> None:
    class Emptied(LocalManifests):
        left = 2

        def read(self, key: str):  # type: ignore[no-untyped-def]
            if self.left:
                self.left -= 1
                for path in tmp_path.glob("index.sqlite*"):
                    path.unlink()
            return super().read(key)

    for number in range(5):
        Manifests(Documents(LocalBackend(tmp_path))).add(f"run_{number}", inputs={"x": VALUES[number]})
    manifests = Emptied(LocalBackend(tmp_path))
    assert [manifests.uses(VALUES[number]) for number in range(5)] == [[Use(f"run_{n}", "read")] for n in range(5)]
    assert not manifests.left


@pytest.fixture
def read_only(disk_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with manifests that the user this test runs as may not write to, and a cache folder of the user's."""
    for number in range(3):
        Manifests(Documents(LocalBackend(disk_path / "store"))).add(f"run_{number}", inputs={"x": VALUES[number]})
    cache = disk_path.with_name(f"{disk_path.name}-cache")
    cache.mkdir()
    cache.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    folders = [disk_path, *(path for path in disk_path.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield disk_path / "store"
    finally:
        if is_root:
            os.seteuid(0)
        for folder in folders:
            folder.chmod(0o755)
        shutil.rmtree(cache)


def test_a_folder_that_may_only_be_read_is_indexed_for_the_user(read_only: Path) -> None:
    found = CountedManifests(LocalBackend(read_only))
    assert [found.uses(VALUES[n]) for n in range(3)] == [[Use(f"run_{n}", "read")] for n in range(3)]
    assert found.reads == 3
    again = CountedManifests(LocalBackend(read_only))
    assert again.uses(VALUES[0]) == [Use("run_0", "read")]
    assert again.reads == 0, "the user's own tables are still there"
    assert not list(read_only.glob("index.sqlite*"))
    with pytest.raises(Unavailable):
        again.add("new")


def test_where_no_cache_may_be_kept_either_it_is_in_memory(read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (str(read_only), "/dev/null/nowhere", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", place)
        found = CountedManifests(LocalBackend(read_only))
        assert [found.uses(VALUES[n]) for n in range(3)] == [[Use(f"run_{n}", "read")] for n in range(3)]
        assert found.reads == 3


def test_where_case_is_ignored_a_run_of_the_same_letters_is_refused() -> None:
    class Folded(MemoryBackend):
        """Files as macOS keeps them: found in any case, listed as they were first spelled."""

        def _there(self, key: str) -> str:
            return next((there for there in self.documents if there.casefold() == key.casefold()), key)

        def read(self, key: str) -> bytes:
            return super().read(self._there(key))

        def put(self, key: str, content: bytes, *, was: bytes | None = None, synced: bool = True) -> bool:
            return super().put(self._there(key), content, was=was, synced=synced)

        def delete(self, key: str, *, synced: bool = True) -> None:
            super().delete(self._there(key), synced=synced)

    manifests = Manifests(Documents(Folded()))
    manifests.add("Train", inputs={"x": VALUES[0]})
    with pytest.raises(Refused, match="the run 'Train' has another manifest already"):
        manifests.add("train", inputs={"x": VALUES[0]})
    manifests.release("Train")
    with pytest.raises(Refused, match="the run 'Train' has another manifest already"):
        manifests.add("train", inputs={"x": VALUES[0]})
    assert manifests.uses(VALUES[0]) == [Use("Train", "read")]


def test_writers_killed_at_any_moment_lose_no_change_and_leave_tables_that_tell_the_truth(tmp_path: Path) -> None:
    LocalManifests(LocalBackend(tmp_path)).add("run")
    acknowledged: set[str] = set()
    for turn in range(6):

        def write(say: Say, turn: int = turn) -> None:
            mine = LocalManifests(LocalBackend(tmp_path))
            for number in itertools.count(1000 * turn):
                mine.update("run", tags={str(number): "said"})
                mine.add(f"run_{number}", inputs={"x": VALUES[number % 8]})
                mine.release(f"run_{number}")
                say(f"{number}")

        writers = [ForkedProcess(write), ForkedProcess(lambda say, turn=turn: write(say, turn + 100))]
        for writer in writers:
            writer.release()
        for writer in writers:
            writer.wait_until_it_speaks()
        time.sleep(random.uniform(0, 0.05))
        for writer in writers:
            writer.kill()
        acknowledged |= {number for writer in writers for number in writer.finish().said}
        found, true = LocalManifests(LocalBackend(tmp_path)), Manifests(Documents(LocalBackend(tmp_path)))
        assert acknowledged <= found.get("run").tags.keys()
        assert all(found.get(f"run_{number}").released_at for number in acknowledged)
        assert found.newest() == true.newest()
        assert [found.uses(value) for value in VALUES] == [true.uses(value) for value in VALUES]
        assert [found.released_uses(value) for value in VALUES] == [true.released_uses(value) for value in VALUES]


@pytest.mark.parametrize("writers", [2])
def test_those_who_ask_while_others_write_never_miss_what_was_acknowledged(tmp_path: Path, writers: int) -> None:
    LocalManifests(LocalBackend(tmp_path)).add("first", inputs={"x": VALUES[0]})

    def write(first: int) -> Callable[[Say], None]:
        def act(say: Say) -> None:
            mine = LocalManifests(LocalBackend(tmp_path))
            for number in range(first, first + 40):
                mine.add(f"run_{number}", inputs={"x": VALUES[0]})
                assert Use(f"run_{number}", "read") in LocalManifests(LocalBackend(tmp_path)).uses(VALUES[0])

        return act

    processes = [ForkedProcess(write(1000 * (1 + number))) for number in range(writers)]
    for process in processes:
        process.release()
    assert [process.finish().ended for process in processes] == [0] * writers
    assert len(LocalManifests(LocalBackend(tmp_path)).uses(VALUES[0])) == 1 + 40 * writers


def test_a_forked_process_opens_the_tables_anew(tmp_path: Path) -> None:
    """SQLite forbids what was opened before a fork after it: its locks belong to the parent."""
    cache = Cache(tmp_path / "index.sqlite")
    with cache.transaction() as before:
        before.execute("INSERT INTO manifests VALUES ('of the parent')")

    def act(say: Say) -> None:
        with cache.transaction() as db:
            (said,) = db.execute("SELECT as_of FROM manifests").fetchone()
            say(f"{said}, {'the same' if db is before else 'another'} connection")
            db.execute("DELETE FROM manifests")

    child = ForkedProcess(act)
    child.release()
    assert child.finish().said == ["of the parent, another connection"]
    with cache.transaction() as db:
        assert db is before
        assert db.execute("SELECT count(*) FROM manifests").fetchone() == (0,)
