"""Directories are built once, by one builder, and a builder that died blocks nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti.directory import Directory, ImplementationWarning, ModifiedWarning, write_meta
from smalti.directory.building import lease
from smalti.directory.metadata import META
from smalti.errors import Refused

REPOSITORY = Path(__file__).parents[3]
calls: list[str] = []


class Slow(Directory):
    """Takes its time."""

    def __init__(self, seconds: float = 0.0, n: int = 1) -> None:
        calls.append("built")
        time.sleep(seconds)
        self.x = np.arange(n)


class Broken(Directory):
    """Fails."""

    def __init__(self, n: int = 1) -> None:
        self.x = n
        raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def test_an_equal_configuration_is_found_and_not_built_again() -> None:
    first = Slow(n=2)
    assert Slow(n=2).path == Slow({"n": 2.0}).path == Slow(seconds=0, n=np.int64(2)).path == first.path
    assert calls == ["built"]
    assert Slow(n=3).path != first.path


def test_one_that_another_program_put_there_is_found(root: Path) -> None:
    Slow(n=2)
    (root / "of another").mkdir()
    write_meta(root / "of another" / META, {"type": "Slow", "seconds": 0.0, "n": 5}, "done")
    assert Slow(n=5).path == root / "of another"


def test_one_that_was_changed_or_deleted_by_hand_is_not_taken_for_what_it_was() -> None:
    first, second = Slow(n=2), Slow(n=3)
    write_meta(first.path / META, {"type": "Slow", "seconds": 0.0, "n": 99}, "done")
    second.rmtree("y")
    assert Slow(n=99).path == first.path
    assert Slow(n=2).path == second.path
    assert len(calls) == 3


def test_one_whose_metadata_are_broken_hides_no_other(root: Path) -> None:
    first = Slow(n=2)
    (root / "bad").mkdir()
    (root / "bad" / META).write_text("{")
    assert Slow(n=2).path == first.path
    assert Slow(n=3).path.name == "Slow_0001"


def test_the_search_in_a_root_of_many_is_remembered_on_disk_and_only_a_cache(root: Path) -> None:
    for number in range(70):
        folder = root / f"d{number}"
        folder.mkdir()
        write_meta(folder / META, {"type": "Slow", "seconds": 0.0, "n": number}, "done")
    assert Slow(n=1000).path.name == "Slow_0000"
    cache = root / ".smalti" / "configs.json"
    assert len(json.loads(cache.read_text())) == 70
    assert Slow(n=42).path.name == "d42"
    cache.write_text("{broken")
    program = (
        "import sys; from tests.unit.directory.test_building import Slow; from smalti.directory import set_root_dir\n"
        "set_root_dir(sys.argv[1]); print(Slow(n=43).path.name)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(root)], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert found.stdout == "d43\n"


def test_a_root_that_may_not_be_written_is_searched_all_the_same(root: Path) -> None:
    first = Slow(n=2)
    root.chmod(0o500)
    try:
        assert Slow(n=2).path == first.path
    finally:
        root.chmod(0o700)


def test_what_was_modified_is_passed_over_and_that_is_said() -> None:
    first = Slow(n=2)
    first.more = 1
    with pytest.warns(ModifiedWarning, match="modified after it was built"):
        second = Slow(n=2)
    assert second.path != first.path


def test_a_build_that_fails_is_stopped_and_not_reused(root: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Broken("a")
    assert Directory("a").status == "stopped"
    assert sorted(path.name for path in (root / "a").iterdir()) == [META, "x.h5"]
    with pytest.raises(FileExistsError, match="was stopped mid-build") as raised:
        Broken("a", n=1)
    assert isinstance(raised.value, Refused)


def test_while_it_is_built_its_status_says_so_and_writes_do_not_modify_it() -> None:
    seen = []

    class Looks(Directory):
        def __init__(self, n: int = 1) -> None:
            self.x = n
            seen.append((self.status, self.modified, self.config.n))

    assert Looks(n=4).status == "done"
    assert seen == [("running", False, 4)]


def test_many_threads_that_want_the_same_get_the_same(root: Path) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(Slow(seconds=0.2).path)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert set(found) == {root / "Slow_0000"}
    assert calls == ["built"]


def test_many_processes_that_want_the_same_build_it_once(root: Path) -> None:
    program = (
        "import sys; from tests.unit.directory.test_building import Slow; from smalti.directory import set_root_dir\n"
        "set_root_dir(sys.argv[1]); print(Slow(seconds=0.5).path.name)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(root)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        for _ in range(4)
    ]
    assert {process.communicate()[0] for process in processes} == {"Slow_0000\n"}
    assert sorted(path.name for path in root.iterdir()) == ["Slow_0000"]


def killed_builder(root: Path, where: str) -> None:
    """Leave what a builder leaves that is killed in its work."""
    program = (
        "import os, signal, sys; from tests.unit.directory.test_building import Slow\n"
        "from smalti.directory import set_root_dir\n"
        "class Killed(Slow):\n"
        "    def __init__(self, n: int = 1):\n"
        "        self.x = 1\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "set_root_dir(sys.argv[1]); Killed(*sys.argv[2:])"
    )
    arguments = [where] if where else []
    subprocess.run([sys.executable, "-c", program, str(root), *arguments], check=False, cwd=REPOSITORY)


class Killed(Directory):
    """The class of what a killed builder leaves."""

    def __init__(self, n: int = 1) -> None:
        self.x = n


def test_a_dead_builder_is_a_clear_error_where_its_path_is_given(root: Path) -> None:
    killed_builder(root, "a")
    assert Directory("a").status == "running"
    with pytest.raises(FileExistsError, match="was stopped mid-build; delete it, or give delete_if_exists=True"):
        Killed("a", n=1)
    assert Killed("a", n=1, delete_if_exists=True).x[()] == 1


def test_a_dead_builder_is_built_again_elsewhere_where_a_configuration_is_given(root: Path) -> None:
    killed_builder(root, "")
    assert Killed(n=1).path == root / "Killed_0001"
    assert Directory("Killed_0000").status == "stopped"


def left_running(root: Path, owner: lease.Owner | None, age_s: float) -> Path:
    """Return a directory whose metadata say running, last touched some time ago."""
    folder = root / "a"
    folder.mkdir()
    write_meta(folder / META, {"type": "Killed", "n": 1}, "running")
    then = time.time() - age_s
    if owner:
        (folder / lease.LEASE).write_text(json.dumps({"pid": owner.pid, "host": owner.host, "started": owner.started}))
        os.utime(folder / lease.LEASE, (then, then))
    os.utime(folder / META, (then, then))
    return folder


def test_a_builder_on_another_host_is_dead_when_its_lease_is_old(root: Path) -> None:
    left_running(root, lease.Owner(1, "elsewhere", ""), 2 * lease.TIMEOUT_S)
    with pytest.raises(FileExistsError, match="stopped mid-build"):
        Killed("a", n=1)


def test_a_process_of_the_same_number_that_began_later_is_not_the_builder(root: Path) -> None:
    this = lease.this_process()
    folder = left_running(root, lease.Owner(this.pid, this.host, "1" + this.started), 0)
    assert not lease.is_alive(folder, lease.owner_of(folder) or this)


def test_a_directory_left_running_by_a_program_without_leases_is_a_clear_error(root: Path) -> None:
    left_running(root, None, 2 * lease.TIMEOUT_S)
    with pytest.raises(FileExistsError, match="nothing says who builds it"):
        Killed("a", n=1)
    assert Killed(n=1).path == root / "Killed_0000"


def test_a_living_builder_is_waited_for_and_its_directory_not_deleted(root: Path) -> None:
    folder = left_running(root, lease.this_process(), 2 * lease.TIMEOUT_S)
    with pytest.raises(FileExistsError, match=f"process {os.getpid()} on .* is building it"):
        Killed("a", n=1, delete_if_exists=True)
    timer = threading.Timer(0.2, write_meta, [folder / META, {"type": "Killed", "n": 1}, "done"])
    timer.start()
    assert Killed("a", n=1).status == "done"
    timer.join()


def test_a_lease_is_renewed_while_the_directory_is_built(tmp_path: Path) -> None:
    lease.take(tmp_path)
    os.utime(tmp_path / lease.LEASE, (0, 0))
    with lease.renewed(tmp_path, timeout_s=0.1):
        while lease.idle_s(tmp_path / lease.LEASE) > 60:
            time.sleep(0.01)
    assert not (tmp_path / lease.LEASE).exists()


def test_a_build_method_that_asks_for_itself_is_refused_and_does_not_wait_for_ever() -> None:
    class Self(Directory):
        def __init__(self, n: int = 1) -> None:
            Self(n=n)

    with pytest.raises(ValueError, match="asked for by its own build method"):
        Self()


class Forms:
    """Build methods of every form."""

    class Nothing(Directory):
        class Config:
            n: int

        def __init__(self) -> None:
            self.x = self.config.n

    class Whole(Directory):
        class Config:
            n: int

        def __init__(self, conf: Any) -> None:
            self.x = conf.n

    class Fields(Directory):
        class Config:
            n: int

        def __init__(self, n: int, m: int = 1) -> None:
            self.x = n * m


@pytest.mark.parametrize("cls", [Forms.Nothing, Forms.Whole, Forms.Fields])
def test_a_build_method_takes_nothing_the_whole_configuration_or_its_fields(cls: Callable[..., Any]) -> None:
    assert cls(n=3).x[()] == 3


def test_a_field_that_the_build_method_wants_and_is_not_given_is_named() -> None:
    with pytest.raises(TypeError, match="takes n, which the configuration does not have; it has type, m"):
        Forms.Fields(m=2)


def test_defaults_of_the_class_and_of_the_build_method_are_one_configuration() -> None:
    class Both(Directory):
        class Config:
            tau: float = 2.0
            same: int = 1

        def __init__(self, n: int = 3, same: int = 1) -> None:
            self.x = n

    assert Both(n=4).config == {"type": Both.__qualname__, "tau": 2.0, "same": 1, "n": 4}


def test_defaults_that_contradict_each_other_are_refused_when_the_class_is_defined() -> None:
    with pytest.raises(ValueError, match=r"conflicting defaults .*'n' is 1 and 2"):

        class Conflict(Directory):
            class Config:
                n: int = 1

            def __init__(self, n: int = 2) -> None:
                self.x = n


def test_a_build_method_without_a_configuration_is_warned_of_and_does_not_run() -> None:
    class Undeclared(Directory):
        def __init__(self) -> None:
            raise AssertionError

    with pytest.warns(ImplementationWarning, match="declares no configuration"):
        assert not Undeclared().path.exists()


def test_a_class_that_builds_nothing_is_not_written_until_it_differs_from_its_defaults() -> None:
    class Plain(Directory):
        class Config:
            n: int = 1

        def __init__(self, n: int = 1) -> None:
            """Nothing to do."""

    class Declared(Directory):
        class Config:
            n: int = 1

    assert not Plain().path.exists()
    assert not Declared(n=1).path.exists()
    assert Declared(n=2).path.exists()


def test_the_docstring_says_how_the_class_is_called() -> None:
    assert "Slow(seconds=0.0, n=1)" in str(Slow.__doc__)
    assert "seconds: float, n: int" in str(Slow.__doc__)
    assert str(Slow.__doc__).startswith("Takes its time.")


def test_a_builder_that_ended_and_was_not_waited_for_is_dead(root: Path) -> None:
    started = "import sys; from smalti.directory.building import lease; print(lease.this_process().started); "
    with subprocess.Popen(
        [sys.executable, "-c", f"{started}sys.stdout.flush(); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as builder:
        assert builder.stdout
        began = builder.stdout.readline().decode().strip()
        owner = lease.Owner(builder.pid, lease.this_process().host, began)
        assert lease.is_alive(root, owner)
        builder.kill()
        os.waitid(os.P_PID, builder.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is left as it is
        assert not lease.is_alive(root, owner)
