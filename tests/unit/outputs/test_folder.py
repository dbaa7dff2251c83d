"""Laws of the output folder: old or new at every step, never outside of its place, never over what is not ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smalti.errors import Refused, Unavailable
from smalti.outputs.folder import read_contents, write_parts
from smalti.outputs.parts import Part

NAME = "star-7"
SHARED = {"params.json", "logs/debug.log", ".parts.json"}


def part(asset: str, content: bytes = b"", made_from: dict[str, str] | None = None, *files: str) -> Part:
    """Return a part whose digest is its content; its file is its name, unless others are given."""
    return Part(
        asset, content.decode() or asset, made_from or {}, files=dict.fromkeys(files or (f"{asset}.png",), content)
    )


def write(folder: Path, *parts: Part, name: str = NAME) -> Path:
    return write_parts(folder, "scan", name, parts, before_parts=("metrics.csv", "frc.png", "logs"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def own(folder: Path) -> dict[str, bytes]:
    """Return the files that are no shared ones."""
    return {path: content for path, content in contents(folder).items() if path.split("older/")[-1] not in SHARED}


def test_a_part_that_is_written_again_leaves_the_others_and_replaces_all_its_own(tmp_path) -> None:
    write(tmp_path, part("solved", b"1", None, "a.png", "logs/b.txt"), part("frc", b"f", {"solved": "1"}))
    folder = write(tmp_path, part("solved", b"1", None, "a.png"))
    assert own(folder) == {"a.png": b"1", "frc.png": b"f"}
    assert not (folder / "logs" / "b.txt").exists()
    assert {path.name for path in tmp_path.iterdir()} == {NAME, ".lock"}


def test_what_was_made_from_another_version_is_moved_aside_and_comes_back_with_it(tmp_path) -> None:
    first, second = part("scan", b"s1"), part("scan", b"s2")
    write(tmp_path, first, part("solved", b"r", {"scan": "s1"}), part("frc", b"f", {"solved": "r", "more": "x"}))
    folder = write(tmp_path, second)
    assert own(folder) == {"scan.png": b"s2", "older/solved.png": b"r", "older/frc.png": b"f"}
    assert json.loads((folder / "params.json").read_text())["digests"] == {"scan": "s2"}
    assert json.loads((folder / "older" / "params.json").read_text())["digests"]["frc"] == "f"
    assert own(write(tmp_path, first)) == {"scan.png": b"s1", "solved.png": b"r", "frc.png": b"f"}
    write(tmp_path, second)
    assert own(write(tmp_path, part("solved", b"r2", {"scan": "s2"}))) == {
        "scan.png": b"s2",
        "solved.png": b"r2",
        "older/frc.png": b"f",
    }


def test_versions_are_compared_where_they_are_stated_and_digests_elsewhere(tmp_path) -> None:
    write(
        tmp_path, Part("scan", "d1", version="arrays"), Part("solved", "r", {"scan": "d1"}, versions={"scan": "arrays"})
    )
    folder = write(tmp_path, Part("scan", "d2", version="arrays"))
    found = read_contents(folder)
    assert found is not None
    assert list(found.current()) == ["scan", "solved"]
    assert json.loads((folder / "params.json").read_text())["digests"]["scan"] == "d2"


def test_files_that_others_put_there_stay_also_while_it_is_written(tmp_path) -> None:
    folder = write(tmp_path, part("scan", b"1"))
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    (folder / "link").symlink_to("notes")
    inode = (folder / "notes" / "mine.txt").stat().st_ino
    write(tmp_path, part("scan", b"2"))
    assert (folder / "notes" / "mine.txt").stat().st_ino == inode
    assert (folder / "link").readlink() == Path("notes")
    assert (folder / "scan.png").read_bytes() == b"2"


def test_a_file_of_others_with_the_name_of_an_output_is_refused_and_nothing_changes(tmp_path) -> None:
    folder = write(tmp_path, part("scan", b"1"))
    (folder / "frc.png").write_bytes(b"mine")
    before = contents(folder)
    with pytest.raises(Refused, match=r"frc\.png is a file of yours with the name of an output; move it away"):
        write(tmp_path, part("frc", b"f"))
    assert contents(folder) == before


def test_an_output_that_somebody_removed_stays_removed(tmp_path) -> None:
    folder = write(tmp_path, part("scan", b"1"), part("frc", b"f"))
    (folder / "frc.png").unlink()
    assert own(write(tmp_path, part("scan", b"2"))) == {"scan.png": b"2"}


@pytest.mark.parametrize("name", ["../../etc/passwd", "", ".a/b\\c", "x" * 400])
def test_a_name_from_outside_is_never_a_path(tmp_path, name) -> None:
    outputs = tmp_path / "here" / "outputs"
    folder = write(outputs, part("scan"), name=name)
    assert folder.parent == outputs
    assert folder.resolve() == outputs.resolve() / folder.name
    assert not folder.name.startswith(".")
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"outputs"}
    assert write(outputs, part("scan"), name=name) == folder


def test_the_name_of_the_gallery_is_refused(tmp_path) -> None:
    with pytest.raises(Refused, match=r"would take the place of .*Index\.html, the gallery"):
        write(tmp_path, part("scan"), name="Index.html")


def make_products(target: Path) -> None:
    target.mkdir()
    (target / "star.h5").write_bytes(b"a product")


def make_file(target: Path) -> None:
    target.write_bytes(b"mine")


def make_link(target: Path) -> None:
    target.symlink_to(target.parent)


def make_other_scan(target: Path) -> None:
    target.mkdir()
    (target / "params.json").write_text('{"scan": "Star-7"}')


def make_dataset(target: Path) -> None:
    write_parts(target.parent, "dataset", NAME, [part("table")])


def make_broken_folder(target: Path) -> None:
    target.mkdir()
    (target / "params.json").write_text("{")


@pytest.mark.parametrize(
    "make", [make_products, make_file, make_link, make_other_scan, make_dataset, make_broken_folder]
)
def test_anything_else_in_its_place_is_not_touched(tmp_path, make) -> None:
    make(tmp_path / NAME)
    before = {path.name: path.lstat().st_mtime_ns for path in tmp_path.iterdir()}
    with pytest.raises(Refused, match=r"star-7 is not an older folder of outputs of scan 'star-7'"):
        write(tmp_path, part("scan"))
    assert {p.name: p.lstat().st_mtime_ns for p in tmp_path.iterdir() if p.name in before} == before
    assert {p.name for p in tmp_path.iterdir()} == {*before, ".lock"}


def test_a_folder_that_was_written_before_there_were_parts_is_taken_over(tmp_path) -> None:
    folder = tmp_path / NAME
    (folder / "logs").mkdir(parents=True)
    for path in ("metrics.csv", "frc.png", "logs/debug.log", "notes.txt"):
        (folder / path).write_text("old")
    (folder / "params.json").write_text(json.dumps({"scan": NAME}))
    write(tmp_path, part("scan", b"new"))
    assert own(folder) == {"scan.png": b"new", "notes.txt": b"old"}


def test_at_every_step_the_folder_is_the_old_or_the_new_one(tmp_path) -> None:
    """Observed whenever Python is about to open, link, rename or remove anything."""
    folder = write(tmp_path, part("scan", b"1"), part("frc", b"f", {"scan": "1"}))
    old = contents(folder)
    seen: list[dict[str, bytes]] = []
    looking = True

    def look(event: str, _: object) -> None:
        nonlocal looking
        if looking and event in {"open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir", "shutil.rmtree"}:
            looking = False  # what follows is an event, too
            seen.append(contents(folder))
            looking = True

    sys.addaudithook(look)
    write(tmp_path, part("scan", b"2"))
    looking = False
    new = contents(folder)
    assert len(seen) > len(old)
    assert [found for found in seen if found not in (new, old)] == []
    assert seen[0] == old
    assert seen[-1] == new


def test_a_writer_that_is_killed_leaves_the_old_or_the_new_folder_and_the_next_one_cleans_up(tmp_path) -> None:
    """A child process writes again and again and is killed at moments that nobody chose."""
    code = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from smalti.outputs.folder import write_parts
        from smalti.outputs.parts import Part
        print("ready", flush=True)
        for n in range(10**6):
            one = b"%d" % n
            parts = [Part("scan", str(n), files={"a.png": one, "logs/b.png": one, "c.png": one})]
            write_parts(Path(sys.argv[1]), "scan", "star-7", parts)
        """
    )
    folder = write(tmp_path, part("frc", b"f"))
    for delay in (0.02, 0.05, 0.11):
        writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        found = own(folder)
        assert found.pop("frc.png") == b"f"
        assert len(set(found.values())) <= 1
        assert len(found) in (0, 3)
    write(tmp_path, part("scan", b"last"))
    assert {path.name for path in tmp_path.iterdir()} == {NAME, ".lock"}


def test_writers_of_different_parts_at_once_lose_nothing(tmp_path) -> None:
    with ThreadPoolExecutor(4) as writers:
        list(writers.map(lambda n: write(tmp_path, part(f"part{n}", b"%d" % n)), range(8)))
    assert own(tmp_path / NAME) == {f"part{n}.png": b"%d" % n for n in range(8)}


def test_two_parts_with_one_file_are_refused(tmp_path) -> None:
    write(tmp_path, part("scan", b"1", None, "a.png"))
    with pytest.raises(Refused, match=r"a\.png is to be a file of frc, and belongs to scan"):
        write(tmp_path, part("frc", b"1", None, "a.png"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_told_of(tmp_path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Unavailable, match="star-7"):
        write(tmp_path, part("scan"))
