"""Which store a command means: what is named, else the bucket that is set, else the folder of the root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smalti import open_store
from smalti.cli.answers import the_store
from smalti.errors import Refused
from smalti.runs import FlexibleDataStore
from smalti.settings import Settings, places


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root without anything in it, which is the current folder."""
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("AWS_")]:  # then a bucket is refused at once
        monkeypatch.delenv(name)
    return tmp_path


def test_a_command_reads_the_store_that_the_library_writes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert the_store(None).place == FlexibleDataStore().store.place == str(root / "store")
    monkeypatch.setenv("MLTRACK_S3_BUCKET", "lab")
    with pytest.raises(Refused, match="credentials for s3://lab/mltrack") as of_the_library:
        FlexibleDataStore()
    with pytest.raises(Refused) as of_a_command:
        the_store(None)
    assert str(of_a_command.value) == str(of_the_library.value)
    assert the_store(str(root / "store")).place == str(root / "store"), "what is named counts"


@pytest.mark.parametrize("name", ["SMALTI_S3_BUCKET", "MLTRACK_S3_BUCKET"])
@pytest.mark.parametrize("where", ["environment", ".env", ".smalti.yml"])
def test_a_bucket_is_found_wherever_it_is_set(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, where: str
) -> None:
    monkeypatch.delenv("SMALTI_ROOT")
    if where == "environment":
        monkeypatch.setenv(name, "lab")
    else:
        (root / where).write_text(f"{name}=lab\n" if where == ".env" else "s3_bucket: lab\n")
    assert places().store_place == Settings().store_place == "s3://lab/mltrack"


def test_where_there_are_two_stores_the_one_that_is_meant_is_said(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    open_store(root / "store").put(b"1", "one")
    the_store(None)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("SMALTI_S3_BUCKET", "lab")
    with pytest.raises(Refused, match="credentials"):
        the_store(None)
    said = capsys.readouterr().err
    assert "the store is s3://lab/mltrack, as s3_bucket is set" in said
    assert f"--store {root / 'store'} means the folder" in said
