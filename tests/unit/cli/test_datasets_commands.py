"""``smalti datasets``: what there is, under what terms, and how it comes into the store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from smalti import open_store
from smalti.cli.datasets import app
from smalti.datasets import CompetitionMetadata, DatasetRegistry, DatasetSpec
from smalti.datasets.fetchers import _registered
from smalti.errors import NotFound, Refused, SmaltiError
from smalti.formats.regular_file import sha256_of

CARD = ("--source", "counted here", "--licence", "CC0-1.0", "--version", "1")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.csv"
    path.write_text("n\n" + "\n".join(map(str, range(20))) + "\n")
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def refusal(*arguments: str | Path) -> SmaltiError:
    result = run(*arguments)
    assert isinstance(result.exception, SmaltiError), result.output
    assert "\n" not in result.stdout
    return result.exception


def test_the_list_has_what_can_be_fetched_what_is_registered_and_what_is_stored(numbers: Path) -> None:
    name = "House Sales"
    metadata = CompetitionMetadata(name, "regression", "Predict sales")  # type: ignore[arg-type]
    spec = DatasetSpec(name, Path("data"), "regression", 1, 1)  # type: ignore[arg-type]
    DatasetRegistry().register_competition(name, metadata, spec)
    assert run("add", numbers, "--name", "numbers", *CARD).exit_code == 0
    assert run("fetch", "iris").exit_code == 0
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["wikitext-103"]["where"] == ["can be fetched"]
    assert rows["titanic"]["where"] == rows["siemens-star"]["where"] == ["from a file of yours"]
    assert rows["house-sales"] == {"name": "house-sales", "title": "Predict sales", "where": ["registered"]}
    assert rows["numbers"]["where"] == ["in the store"]
    assert rows["iris"]["where"] == ["can be fetched", "in the store"]
    lines = run("list").stdout.splitlines()
    assert len(lines) == len(rows)
    assert any(line.startswith("iris ") and "150 iris flowers" in line for line in lines)


def test_a_value_without_a_card_does_not_hide_the_datasets(root: Path) -> None:
    open_store(root / "store").put(b"x", name="dataset/other")
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert "is not a dataset with its card" in rows["other"]["title"]
    assert "iris" in rows


def test_the_card_of_a_dataset_is_printed_as_yaml_and_as_json() -> None:
    card = yaml.safe_load(run("info", "Iris").stdout)
    assert card["licence"].startswith("CC BY 4.0")
    assert json.loads(run("info", "iris", "--json").stdout) == card


def test_of_a_competition_what_is_registered_is_printed() -> None:
    spec = DatasetSpec("sales", Path("data"), "ranking", 7, 1)  # type: ignore[arg-type]
    DatasetRegistry().register_competition("sales", CompetitionMetadata("sales", "ranking"), spec)  # type: ignore[arg-type]
    assert json.loads(run("info", "sales", "--json").stdout)["spec"]["num_samples"] == 7


@pytest.mark.parametrize("command", ["info", "fetch"])
def test_an_unknown_name_is_answered_with_those_like_it(command: str) -> None:
    error = refusal(command, "titanick")
    assert isinstance(error, NotFound)
    assert "did you mean titanic?" in str(error)


def test_a_fetched_dataset_is_in_the_store_with_its_card_and_nothing_new_the_second_time(root: Path) -> None:
    document = json.loads(run("fetch", "iris", "--json").stdout)
    assert document["name"] == "dataset/iris"
    assert document["new_bytes"] > 0
    stored = open_store(root / "store").get("dataset/iris")
    assert stored["data"].num_rows == 150
    assert stored["card"]["name"] == "iris"
    assert "nothing new" in run("fetch", "iris").stdout
    assert run("fetch", "iris", "--split", "test").stdout.startswith("dataset/iris/test  sha256:")
    assert open_store(root / "store").get("dataset/iris/test")["data"].num_rows == 15


def test_a_dataset_of_the_users_files_is_fetched_from_a_path(root: Path) -> None:
    with pytest.raises(NotFound, match=r"titanic is not here: .*kaggle\.com"):
        raise refusal("fetch", "titanic")
    with pytest.raises(Refused, match=r"iris cannot be fetched like this: .*'path'; it takes no options"):
        raise refusal("fetch", "iris", "--path", root)


def test_a_file_is_added_with_its_card_and_its_checksum(root: Path, numbers: Path) -> None:
    result = run("add", numbers, "--name", "Numbers", *CARD)
    assert result.stdout.startswith("dataset/numbers  sha256:")
    card = json.loads(run("info", "numbers", "--json").stdout)
    assert card["sha256"] == sha256_of(numbers)
    assert card["source"] == "counted here"
    assert open_store(root / "store").get("dataset/numbers")["data"]["n"].to_pylist() == list(range(20))


def test_another_store_is_named_by_an_option(tmp_path: Path, numbers: Path) -> None:
    run("add", numbers, "--name", "numbers", *CARD, "--store", tmp_path / "other")
    assert not (tmp_path / "store").exists()
    assert json.loads(run("info", "numbers", "--json", "--store", tmp_path / "other").stdout)["name"] == "numbers"


def test_what_is_stored_or_registered_is_not_fetched_and_the_way_to_it_is_said(root: Path, numbers: Path) -> None:
    run("add", numbers, "--name", "numbers", *CARD)
    assert "write it: smalti get dataset/numbers." in str(refusal("fetch", "Numbers"))
    spec = DatasetSpec("sales", Path("data"), "ranking", 7, 1)  # type: ignore[arg-type]
    DatasetRegistry().register_competition("sales", CompetitionMetadata("sales", "ranking"), spec)  # type: ignore[arg-type]
    assert "DatasetRegistry().create_dataset('sales')" in str(refusal("fetch", "sales"))


def test_the_name_of_a_dataset_that_comes_with_smalti_is_not_given_to_another(root: Path, numbers: Path) -> None:
    assert "give yours another name" in str(refusal("add", numbers, "--name", "Titanic", *CARD))
    assert not (root / "store").exists()


@pytest.mark.parametrize("left_out", ["--source", "--licence", "--version"])
def test_without_a_required_field_nothing_is_stored_and_the_card_to_write_is_shown(
    root: Path, numbers: Path, left_out: str
) -> None:
    at = CARD.index(left_out)
    error = refusal("add", numbers, "--name", "numbers", *CARD[:at], *CARD[at + 2 :])
    assert f"{left_out[2:]} is missing; write it like this:\nname: numbers" in str(error)
    assert not (root / "store").exists()


@pytest.mark.parametrize("beside", [True, False])
def test_a_card_file_says_what_the_options_do_not(tmp_path: Path, numbers: Path, beside: bool) -> None:
    card = tmp_path / ("numbers.csv.card.yaml" if beside else "elsewhere.yaml")
    card.write_text("name: counted\nsource: here\nversion: '1'\nlicence: CC0-1.0\nquality: [two are missing]\n")
    options = () if beside else ("--card", card)
    assert run("add", numbers, "--version", "2", *options).exit_code == 0
    found = json.loads(run("info", "counted", "--json").stdout)
    assert (found["version"], found["quality"]) == ("2", ["two are missing"])


def test_a_card_about_another_file_is_refused(root: Path, numbers: Path) -> None:
    (root / "card.yaml").write_text(f"name: n\nsource: s\nversion: v\nlicence: l\nsha256: {'a' * 64}\n")
    assert "and the card of n says aaaa" in str(refusal("add", numbers, "--card", root / "card.yaml"))
    assert not (root / "store").exists()


def test_a_card_of_one_file_is_no_card_of_a_folder(root: Path) -> None:
    (root / "mine").mkdir()
    (root / "mine" / "a.txt").write_text("a")
    (root / "mine.card.yaml").write_text(f"name: n\nsource: s\nversion: v\nlicence: l\nsha256: {'a' * 64}\n")
    assert "has the SHA-256 of one file, for a folder; write checksums" in str(refusal("add", root / "mine"))
    (root / "mine.card.yaml").write_text(
        f"name: n\nsource: s\nversion: v\nlicence: l\nchecksums: {{gone.txt: {'a' * 64}}}\n"
    )
    assert "gone.txt is in the card of n and not in" in str(refusal("add", root / "mine"))


def test_a_folder_is_added_with_the_checksum_of_each_file(root: Path) -> None:
    folder = root / "mine"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / f"{name}.csv").write_text("n\n1\n2\n")
    assert run("add", folder, "--name", "mine", *CARD).exit_code == 0
    assert json.loads(run("info", "mine", "--json").stdout)["checksums"] == {
        f"{name}.csv": sha256_of(folder / f"{name}.csv") for name in ("train", "test")
    }
    assert list(open_store(root / "store").get("dataset/mine")["data"]) == ["test", "train"]
    assert isinstance(refusal("add", root / "missing", "--name", "x", *CARD), NotFound)


def test_datasets_of_the_root_are_listed_and_a_broken_file_is_named(root: Path) -> None:
    folder = root / "data" / "datasets"
    folder.mkdir(parents=True)
    (folder / "broken.py").write_text("1 / 0")
    (folder / "mine.py").write_text(
        "from smalti.datasets import register_dataset\n@register_dataset\ndef fetch_mine(): ..."
    )
    (folder / "own.py").write_text(
        "from smalti.datasets import KaggleDataset\nclass OwnDataset(KaggleDataset):\n"
        "    def _load_data(self): ...\n    def _validate_data(self): ...\n    def __getitem__(self, index): ..."
    )
    (folder / "mine.card.yaml").write_text("name: mine\nsource: s\nversion: v\nlicence: l\ntitle: My own\n")
    try:
        result = run("list", "--json")
        where = {row["name"]: row["where"] for row in json.loads(result.stdout)}
        assert (where["mine"], where["own"]) == (["can be fetched"], ["a class of yours"])
        assert "own has a class in data/datasets and is not registered" in str(run("info", "own").exception)
        assert "broken.py: it does not run: line 1, ZeroDivisionError" in result.stderr
        assert json.loads(run("info", "mine", "--json").stdout)["title"] == "My own"
    finally:
        _registered.clear()


def test_the_command_is_part_of_smalti_and_ends_with_a_sentence(root: Path) -> None:
    command = [sys.executable, "-m", "smalti.cli", "datasets", "info", "titanick"]
    program = [sys.executable, "-c", "from smalti.cli import main; main()", *command[3:]]
    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 1
    assert done.stderr.startswith("smalti: titanick is no dataset that is known here; did you mean titanic?")
    assert "Traceback" not in done.stderr
