"""A dataset from a URL: there whole or not at all, fetched once, and the same ever after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.datasets.external import ExternalCache
from smalti.datasets.external.names import checked_name, file_name, joined_name
from smalti.errors import ContractBroken, Damaged, NotFound, Refused, Unavailable
from tests.unit.datasets.external.conftest import FILES, zipped

Get = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes]]


def test_an_archive_is_unpacked_into_a_folder_of_its_name(get: Get, tree: Tree, tmp_path: Path) -> None:
    assert get() == tmp_path / "data" / "external" / "custom"
    assert tree(tmp_path / "data" / "external" / "custom") == FILES


def test_its_files_are_read_only(get: Get) -> None:
    assert (get() / "table.csv").stat().st_mode & 0o222 == 0


def test_what_it_is_and_where_it_came_from_lies_beside_it(get: Get, server: Any, tmp_path: Path) -> None:
    get("/data.zip?token=hunter2", licence="CC0-1.0", source="a survey of 1912")
    text = (tmp_path / "data" / "external" / "custom.source.json").read_text()
    said = json.loads(text)
    assert "hunter2" not in text
    assert said["url"] == f"{server.origin}/data.zip"
    assert said["sha256"] == hashlib.sha256(server.content).hexdigest()
    assert said["nbytes"] == len(server.content)
    assert (said["licence"], said["source"], said["files"]) == ("CC0-1.0", "a survey of 1912", 2)
    assert said["retrieved"].endswith("Z")


def test_the_digest_of_the_files_is_what_sha256sum_gives(get: Get, cache: ExternalCache) -> None:
    lines = "".join(f"{hashlib.sha256(FILES[name]).hexdigest()}  {name}\n" for name in sorted(FILES))
    get()
    assert cache.source("custom").files_sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_what_is_there_is_found_without_the_network(get: Get, server: Any) -> None:
    first = get()
    server.asked.clear()
    assert get() == first
    assert not server.asked


def test_a_file_that_is_no_archive_lies_in_the_folder_under_a_clean_name(get: Get, server: Any, tree: Tree) -> None:
    server.content = b"1,2\n"
    assert tree(get("/a%20b/t%C3%A4ble.csv?x=/../y")) == {"t_ble.csv": b"1,2\n"}


def test_a_zip_that_is_a_format_of_its_own_is_not_unpacked(get: Get, server: Any, tree: Tree) -> None:
    assert tree(get("/scan.npz")) == {"scan.npz": server.content}


def test_an_archive_without_a_name_is_unpacked_where_that_is_said(get: Get, tree: Tree) -> None:
    assert tree(get("/give?id=3", unpacked=True)) == FILES


@given(st.text())
def test_a_file_name_is_always_one_plain_part_of_a_path(text: str) -> None:
    name = file_name(f"https://example.org/{text}")
    assert name == Path(name).name
    assert checked_name(name.removesuffix(".source.json").removesuffix(".repository.json") or "a")


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4), st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_other_parts_make_another_name(one: list[str], other: list[str]) -> None:
    assert (joined_name("x", *one) == joined_name("x", *other)) == (one == other)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a.source.json", "x" * 151, "é", "a\n"])
def test_a_name_that_is_no_plain_folder_is_refused(get: Get, server: Any, name: str) -> None:
    with pytest.raises(Refused, match="cannot name a dataset"):
        get(name=name)
    assert not server.asked


def test_a_missing_page_is_an_error_and_no_dataset(get: Get, server: Any, tree: Tree, tmp_path: Path) -> None:
    server.answer = lambda handler: handler.head(404)
    with pytest.raises(NotFound, match=r"there is no http.*/data\.zip \(status 404\)"):
        get()
    assert tree(tmp_path / "data") == {}


def test_a_lost_network_leaves_what_came_and_the_next_call_goes_on(
    get: Get, server: Any, tree: Tree, cache: ExternalCache, tmp_path: Path
) -> None:
    server.content = zipped({"a.bin": bytes(200_000)})
    server.answer = lambda handler: handler.give(cut=50_000) if "Range" not in handler.headers else handler.head(503)
    with pytest.raises(Unavailable, match="bytes are kept, try again later"):
        get()
    assert cache.find("custom") is None, "a part of a file is no dataset"
    assert tree(tmp_path / "data" / "external") == {}
    server.answer = lambda handler: handler.give()
    server.asked.clear()
    assert tree(get()) == {"a.bin": bytes(200_000)}
    assert server.asked[0]["range"] == "bytes=49999-"


def test_a_download_that_could_not_be_unpacked_for_lack_of_room_is_not_repeated(
    get: Get, server: Any, tree: Tree, settings: Any
) -> None:
    small = settings.model_copy(update={"cache_quota": "5kB"})
    with pytest.raises(Refused, match=r"may hold 5\.0KB, and custom needs"):
        get(settings=small)
    server.asked.clear()
    assert tree(get()) == FILES
    assert not server.asked


def test_a_wrong_checksum_is_refused_and_nothing_is_there(get: Get, cache: ExternalCache) -> None:
    with pytest.raises(Refused, match=r"wanted 0{64}"):
        get(sha256="0" * 64)
    assert cache.find("custom") is None
    assert get()


def test_content_that_changed_at_the_source_is_refused_until_it_is_named(get: Get, server: Any, tree: Tree) -> None:
    folder = get()
    server.content = zipped({"table.csv": b"new"})
    sha256 = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(Refused, match=rf"has changed since .*force=True and sha256='{sha256}'"):
        get(force=True)
    assert tree(folder) == FILES
    with pytest.raises(Refused, match="replace it with force=True"):
        get(sha256=sha256)
    assert tree(get(sha256=sha256, force=True)) == {"table.csv": b"new"}
    assert tree(get()) == {"table.csv": b"new"}


def test_what_was_evicted_is_compared_when_it_comes_again(get: Get, server: Any, cache: ExternalCache) -> None:
    get()
    cache.quota_nbytes = 1500
    cache.make_room()
    assert cache.find("custom") is None
    server.content = zipped({"table.csv": b"new"})
    with pytest.raises(Refused, match="has changed since"):
        get()


def test_another_url_for_the_same_name_is_refused(get: Get, server: Any, tree: Tree) -> None:
    get()
    with pytest.raises(Refused, match=r"was fetched from .*/data\.zip, and .*/other\.zip may be something else"):
        get("/other.zip")
    with pytest.raises(Refused, match="may be something else"):
        get("/data.zip?id=2")
    assert tree(get("/data.zip?signature=2", sha256=hashlib.sha256(server.content).hexdigest())) == FILES
    server.content = zipped({"other.csv": b"1"})
    assert tree(get("/other.zip", force=True)) == {"other.csv": b"1"}


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "table.csv").unlink(), "table.csv is missing"),
        (lambda folder: (folder / "new.csv").write_text("x"), "new.csv was added"),
        (lambda folder: _rewrite(folder / "table.csv", b"x" * 4000), "table.csv was changed"),
        (lambda folder: _rewrite(folder / "table.csv", b"x"), "table.csv was changed"),
        (lambda folder: _link(folder / "table.csv"), "table.csv was changed"),
    ],
)
def test_files_that_are_not_as_they_were_fetched_are_named(get: Get, harm: Callable[[Path], object], said: str) -> None:
    harm(get())
    with pytest.raises(Damaged, match=said):
        get()


def test_a_touched_file_is_read_again_and_found_sound(get: Get) -> None:
    folder = get()
    (folder / "table.csv").touch()
    assert get() == folder


def test_changed_files_are_replaced_by_force_and_added_ones_never(get: Get, tree: Tree) -> None:
    folder = get()
    _rewrite(folder / "table.csv", b"x")
    assert tree(get(force=True)) == FILES
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(Refused, match=r"holds files that were not fetched, such as mine\.txt"):
        get(force=True)
    assert (folder / "mine.txt").read_text() == "mine"


def test_a_folder_that_was_not_fetched_is_never_replaced(get: Get, tmp_path: Path) -> None:
    mine = tmp_path / "data" / "external" / "custom"
    mine.mkdir(parents=True)
    for force in (False, True):
        with pytest.raises(Refused, match="was not fetched by Smalti"):
            get(force=force)


def test_a_link_that_leads_elsewhere_is_never_replaced(get: Get, tmp_path: Path, tree: Tree) -> None:
    folder = get()
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert tree(get()) == FILES
    with pytest.raises(Refused, match="is no folder of its own"):
        get(force=True)
    assert tree(tmp_path / "elsewhere") == FILES


def test_a_hostile_archive_leaves_nothing_and_is_downloaded_anew(get: Get, server: Any, tree: Tree) -> None:
    server.content = zipped({"../escape": b"x"})
    with pytest.raises(ContractBroken, match="leads out of the folder"):
        get()
    server.content, server.etag = zipped(FILES), '"v2"'
    assert tree(get()) == FILES


def test_an_empty_archive_is_refused(get: Get, server: Any) -> None:
    server.content = zipped({})
    with pytest.raises(Refused, match="holds no file"):
        get()


def test_a_lost_list_of_files_is_made_again(get: Get, tmp_path: Path) -> None:
    folder = get()
    (tmp_path / "data" / "external" / ".cache" / "files" / "custom").write_text("{")
    assert get() == folder
    (tmp_path / "data" / "external" / ".cache" / "files" / "custom").unlink()
    _rewrite(folder / "table.csv", b"x")
    with pytest.raises(Damaged, match="the list of its files is gone"):
        get()


def test_a_record_that_cannot_be_read_is_named(get: Get, tmp_path: Path) -> None:
    get()
    (tmp_path / "data" / "external" / "custom.source.json").write_text("{}")
    with pytest.raises(Damaged, match=r"custom\.source\.json does not say where"):
        get()


def test_a_place_that_cannot_be_written_to_is_one_sentence(get: Get, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match=r"could not finish .*custom.*: Not a directory at .*data") as caught:
        get()
    assert "\n" not in str(caught.value)


def test_raw_data_is_never_touched(get: Get, tree: Tree, tmp_path: Path) -> None:
    raw = tmp_path / "data" / "raw"
    raw.mkdir(parents=True)
    (raw / "custom").mkdir()
    (raw / "custom" / "table.csv").write_bytes(b"raw")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in raw.rglob("*")}
    get()
    get(force=True)
    assert tree(raw) == {"custom/table.csv": b"raw"}
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in raw.rglob("*")} == before


def _rewrite(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def _link(path: Path) -> None:
    other = path.with_suffix(".other")
    path.rename(other.parent.parent / other.name)
    path.symlink_to(other.parent.parent / other.name)
