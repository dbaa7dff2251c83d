"""Settings hold in every thread that has none of its own, and end with their block."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smalti.directory import (
    Directory,
    delete_if_exists,
    get_root_dir,
    get_scope,
    reset_scope,
    root,
    set_root_context,
    set_root_dir,
    set_scope,
    set_verbosity_level,
)
from smalti.errors import Refused


def test_a_new_thread_has_the_root_of_the_main_thread(tmp_path: Path) -> None:
    set_root_dir(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(get_root_dir).result() == tmp_path
        with set_root_context(tmp_path / "inner"):
            assert pool.submit(lambda: Directory("a").path).result() == tmp_path / "inner" / "a"
        assert pool.submit(get_root_dir).result() == tmp_path


def test_that_something_is_deleted_never_holds_in_another_thread() -> None:
    Directory("a").x = 1
    with delete_if_exists(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: Directory("a").x[()]).result() == 1
    assert list(Directory("a")) == ["x"]


def test_a_root_that_a_thread_sets_is_its_own(root: Path, tmp_path: Path) -> None:
    seen = []

    def work(name: str) -> None:
        set_root_dir(tmp_path / name)
        barrier.wait()
        seen.append((name, get_root_dir().name))

    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=work, args=[name]) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [("a", "a"), ("b", "b")]
    assert get_root_dir() == root


def test_a_root_that_a_task_sets_is_its_own(root: Path, tmp_path: Path) -> None:
    async def work(name: str) -> str:
        set_root_dir(tmp_path / name)
        await asyncio.sleep(0)
        return get_root_dir().name

    async def both() -> list[str]:
        return await asyncio.gather(work("a"), work("b"))

    assert asyncio.run(both()) == ["a", "b"]
    assert get_root_dir() == root


def test_no_root_is_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_root_dir(None)
    monkeypatch.chdir(tmp_path)
    assert get_root_dir() == Path()
    assert Directory("a").path == tmp_path / "a"


def test_blocks_end_also_when_they_fail_and_may_be_nested(root: Path, tmp_path: Path) -> None:
    with set_root_context(tmp_path / "outer"):
        with pytest.raises(KeyError), set_root_context(tmp_path / "inner"):
            raise KeyError
        assert get_root_dir() == tmp_path / "outer"
    assert get_root_dir() == root


@pytest.mark.parametrize(
    ("precedence", "alone", "with_root", "in_context"),
    [(1, "own", "root", "context"), (2, "own", "own", "context"), (3, "own", "own", "own")],
)
def test_a_decorated_function_has_its_own_root_according_to_its_precedence(
    precedence: int, alone: str, with_root: str, in_context: str, root: Path, tmp_path: Path
) -> None:
    from smalti.directory import root as rooted

    where = rooted(tmp_path / "own", precedence)(lambda: get_root_dir().name)  # type: ignore[arg-type]
    assert where() == with_root
    with set_root_context(tmp_path / "context"):
        assert where() == in_context
    set_root_dir(None)
    assert where() == alone
    assert get_root_dir() == Path()


def test_the_root_is_as_before_after_a_decorated_function_failed(root: Path, tmp_path: Path) -> None:
    from smalti.directory import root as rooted

    @rooted(tmp_path / "own")
    def fails() -> None:
        raise KeyError

    @rooted(tmp_path / "own")
    async def waits() -> Path:
        await asyncio.sleep(0)
        return get_root_dir()

    with pytest.raises(KeyError):
        fails()
    assert get_root_dir() == root
    assert asyncio.run(waits()) == tmp_path / "own"


def test_a_decorated_class_has_its_own_root(tmp_path: Path) -> None:
    @root(tmp_path / "own")
    class Rooted(Directory):
        def __init__(self, n: int = 1) -> None:
            self.x = n

    @root(tmp_path / "own")
    class Ordinary:
        def __init__(self, n: int) -> None:
            self.root, self.n = get_root_dir(), n

    assert Rooted(n=2).path.parent == tmp_path / "own"
    assert (Ordinary(3).root, Ordinary(3).n) == (tmp_path / "own", 3)


def test_what_cannot_be_decorated_is_refused() -> None:
    def generator() -> object:
        yield 1

    with pytest.raises(Refused, match="1, 2 or 3, not 4"):
        root("x", 4)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="a function or a class, not 3"):
        root("x")(3)  # type: ignore[type-var]
    with pytest.raises(Refused, match="its body runs later"):
        root("x")(generator)
    with pytest.raises(ValueError, match="0, 1 or 2, not 3"):
        set_verbosity_level(3)  # type: ignore[arg-type]


def test_the_scope_decides_what_a_type_may_name() -> None:
    class Known(Directory):
        def __init__(self, n: int = 1) -> None:
            self.x = n

    set_scope({"Short": Known, "Directory": Directory})
    built = Known(n=2)
    assert built.config.type == "Short"
    assert type(Directory(built.path)) is Known
    reset_scope(Known)
    assert get_scope() == {Known.__qualname__: Known}


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, smalti.directory; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "pandas", "h5py", "pyarrow", "yaml", "asyncio"} & set(loaded.split("'"))
