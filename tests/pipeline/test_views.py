"""The views of assets in data/interim and data/processed: what they say of a table and of a scan."""

import logging
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import yaml

from resources.published import publish_output
from smalti import open_store

CARD = {"name": "mine", "licence": "CC0", "version": "2", "physics": {"far_field": True}, "reading": {}}


@pytest.mark.parametrize(("asset", "raw"), [("table", "raw_table"), ("scan", "raw_scan")])
def test_a_view_has_the_version_of_the_card_and_of_a_table_nothing_about_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asset: str, raw: str
) -> None:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    store = open_store(tmp_path / "store")
    store.put({"content": b"raw", "card": CARD, "filename": "mine.csv"}, name=f"{raw}/mine")
    ref = store.put({"values": np.arange(3)}, name=f"{asset}/mine")
    folder = publish_output(dg.get_dagster_logger(), store, asset, "mine", ref)  # type: ignore[arg-type]
    assert folder == tmp_path / "data" / "interim" / "mine"
    card = yaml.safe_load((folder / "card.yaml").read_text())
    assert card["licence"] == "CC0"
    assert ("physics" in card) == (asset == "scan")
    assert "Version: 2." in (folder / "README.md").read_text()


def test_a_view_that_cannot_be_made_is_told_of_and_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    store = open_store(tmp_path / "store")
    ref = store.put({"values": np.arange(3)}, name="table/mine")  # whose raw file nobody knows
    assert publish_output(logging.getLogger(), store, "table", "mine", ref) is None  # type: ignore[arg-type]
    assert "raw_table/mine" in caplog.text
