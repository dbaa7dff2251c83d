"""The registry of competitions: what is registered is found, by everybody, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from smalti.datasets import CompetitionMetadata, CompetitionType, DatasetRegistry, DatasetSpec
from smalti.errors import Damaged, NotFound, Refused, SmaltiError, Unavailable

PROGRAM = """
import sys
from smalti.datasets import CompetitionMetadata, DatasetRegistry, DatasetSpec
registry = DatasetRegistry(sys.argv[1])
sys.stdin.read(1)
for n in range(int(sys.argv[3])):
    name = f"{sys.argv[2]}-{n}"
    registry.register_competition(name, CompetitionMetadata(name, "ranking"), DatasetSpec(name, name, "ranking", n, 1))
"""
KIND = CompetitionType.BINARY_CLASSIFICATION


def described(name: str, kind: CompetitionType = KIND) -> tuple[CompetitionMetadata, DatasetSpec]:
    return CompetitionMetadata(name, kind, f"Predict {name}"), DatasetSpec(name, Path("data") / name, kind, 891, 10)


@pytest.fixture
def registry(tmp_path: Path) -> DatasetRegistry:
    return DatasetRegistry(tmp_path)


def test_what_is_registered_is_found_by_another_registry_of_the_same_root(registry: DatasetRegistry) -> None:
    metadata, spec = described("titanic")
    spec = replace(spec, target_column="Survived", class_distribution={"0": 549, "1": 342}, text_columns=("Name",))
    registry.register_competition(competition_name="titanic", metadata=metadata, spec=spec)
    found = DatasetRegistry(registry.root).get("titanic")
    assert (found.name, found.metadata, found.spec) == ("titanic", metadata, spec)


def test_a_competition_is_found_by_any_spelling_of_its_name(registry: DatasetRegistry) -> None:
    registry.register_competition("House Prices", *described("house_prices", CompetitionType.REGRESSION))
    assert registry.list_competitions() == ["house-prices"]
    assert registry.get("HOUSE_PRICES") == registry.get("house-prices")


def test_a_search_takes_type_and_pattern(registry: DatasetRegistry) -> None:
    registry.register_competition("titanic", *described("titanic"))
    registry.register_competition("house-prices", *described("house-prices", CompetitionType.REGRESSION))
    registry.register_competition("house-sales", *described("house-sales"))
    search = registry.search_competitions
    assert search() == registry.list_competitions() == ["house-prices", "house-sales", "titanic"]
    assert search(competition_type=CompetitionType.REGRESSION) == search("regression") == ["house-prices"]
    assert search(name_pattern="House*") == ["house-prices", "house-sales"]
    assert search(name_pattern="sale") == ["house-sales"]
    assert search(KIND, "house_?ales") == ["house-sales"]
    assert search(CompetitionType.RANKING) == []
    with pytest.raises(Refused, match="the types are"):
        search("guessing")


def test_registering_again_replaces(registry: DatasetRegistry) -> None:
    metadata, spec = described("titanic")
    registry.register_competition("titanic", metadata, spec)
    registry.register_competition("Titanic", replace(metadata, description="new"), spec)
    assert registry.list_competitions() == ["titanic"]
    assert registry.get("titanic").metadata.description == "new"


def test_an_unknown_competition_is_answered_with_those_there_are(registry: DatasetRegistry) -> None:
    registry.register_competition("titanic", *described("titanic"))
    with pytest.raises(
        NotFound, match=r"titanik is no competition .* did you mean titanic. The competitions are titanic"
    ):
        registry.get("titanik")


def test_three_things_that_disagree_are_refused(registry: DatasetRegistry) -> None:
    metadata, spec = described("titanic")
    with pytest.raises(Refused, match="titanic is to be registered with the spec of other"):
        registry.register_competition("titanic", metadata, replace(spec, competition_name="other"))
    with pytest.raises(Refused, match="binary_classification in its metadata and ranking in its spec"):
        registry.register_competition("titanic", metadata, described("titanic", CompetitionType.RANKING)[1])
    assert not (registry.root / "data").exists()


def test_processes_that_register_at_once_lose_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    started = [subprocess.Popen([*command, name, "15"], stdin=subprocess.PIPE, text=True) for name in ("a", "b", "c")]
    for process in started:
        assert process.stdin
        process.stdin.write("go")
        process.stdin.close()
    while any(process.poll() is None for process in started):
        DatasetRegistry(tmp_path).list_competitions()  # a reader never sees half a file
    assert [process.returncode for process in started] == [0, 0, 0]
    assert set(DatasetRegistry(tmp_path).list_competitions()) == {f"{p}-{n}" for p in "abc" for n in range(15)}
    assert not list((tmp_path / "data").glob("*.part"))


def test_reading_an_empty_place_writes_nothing(tmp_path: Path) -> None:
    empty = DatasetRegistry(tmp_path / "nowhere")
    assert empty.list_competitions() == empty.search_competitions() == []
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match=r"could not finish registering in .*registry\.json: .* nothing was changed"):
        DatasetRegistry(tmp_path).register_competition("titanic", *described("titanic"))
    assert DatasetRegistry(tmp_path).list_competitions() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into read-only folders")
def test_a_read_only_root_is_read_and_says_why_it_cannot_be_written(registry: DatasetRegistry) -> None:
    registry.register_competition("titanic", *described("titanic"))
    folder = registry.root / "data"
    (folder / ".registry.json.lock").unlink()
    folder.chmod(0o555)
    try:
        assert registry.list_competitions() == ["titanic"]
        with pytest.raises(Unavailable, match=r"registering in .*registry\.json: Permission denied"):
            registry.register_competition("other", *described("other"))
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"competitions": {}}',
        b'{"format": 1, "competitions": []}',
        b'{"format": 1, "competitions": {"x": {}}}',
        b'{"format": 1, "competitions": {"x": {"metadata": {"competition_name": "x", "competition_type": "no"}}}}',
        b'{"format": 99, "competitions": {}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_registry_is_one_sentence_and_stays_as_it_is(registry: DatasetRegistry, content: bytes) -> None:
    path = registry.root / "data" / "registry.json"
    path.parent.mkdir()
    path.write_bytes(content)
    for use in (
        registry.list_competitions,
        registry.search_competitions,
        lambda: registry.get("titanic"),
        lambda: registry.register_competition("titanic", *described("titanic")),
    ):
        with pytest.raises(SmaltiError, match=r"registry.json (is not a registry|has format 99)") as told:
            use()
        assert isinstance(told.value, Damaged | Refused)
        assert "\n" not in str(told.value)
    assert path.read_bytes() == content


def test_the_file_is_json_that_people_read(registry: DatasetRegistry) -> None:
    registry.register_competition("titanic", *described("titanic"))
    path = registry.root / "data" / "registry.json"
    entry = json.loads(path.read_text())["competitions"]["titanic"]
    assert entry["metadata"]["competition_type"] == "binary_classification"
    assert entry["spec"]["dataset_path"] == "data/titanic"
    assert os.access(path, os.W_OK)
