"""Which files of a repository are which split."""

from __future__ import annotations

import pytest

from smalti.datasets.hub.layout import chosen, require_all_shards, splits
from smalti.errors import NotFound, Refused


def test_every_layout_of_the_hub_is_understood() -> None:
    paths = [
        "README.md",
        "data/train-00001-of-00002.parquet",
        "data/train-00000-of-00002.parquet",
        "data/test-00000-of-00001-0123456789abcdef.parquet",
        "validation.parquet",
        "wikitext-2-raw-v1/train-00000-of-00001.parquet",
        "en/US/test/0000.parquet",
        "en/US/test/0001.parquet",
        "partial/index",
        "0000.parquet",
    ]
    assert splits(paths) == {
        "default": {
            "train": ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
            "test": ["data/test-00000-of-00001-0123456789abcdef.parquet"],
            "validation": ["validation.parquet"],
        },
        "wikitext-2-raw-v1": {"train": ["wikitext-2-raw-v1/train-00000-of-00001.parquet"]},
        "en/US": {"test": ["en/US/test/0000.parquet", "en/US/test/0001.parquet"]},
    }


def test_what_is_the_only_one_need_not_be_named() -> None:
    assert chosen("a/b", {"default": {"train": []}}, None, None) == ("default", "train")


def test_what_is_there_is_listed_where_it_has_to_be_named() -> None:
    found = {"en": {"train": [], "test": []}, "de": {"train": []}}
    with pytest.raises(Refused, match="a/b has several configs; name one as config=: en, de"):
        chosen("a/b", found, None, "train")
    with pytest.raises(Refused, match="en of a/b has several splits; name one as split=: train, test"):
        chosen("a/b", found, "en", None)
    with pytest.raises(NotFound, match="a/b has no config 'fr'; it has en, de"):
        chosen("a/b", found, "fr", "train")
    with pytest.raises(NotFound, match="de of a/b has no split 'test'; it has train"):
        chosen("a/b", found, "de", "test")
    with pytest.raises(NotFound, match="has no Parquet file"):
        chosen("a/b", {}, None, None)


@pytest.mark.parametrize(
    "paths",
    [
        ["train-00000-of-00002.parquet"],
        ["train-00000-of-00002.parquet", "train-00002-of-00002.parquet"],
        ["train-00000-of-00001.parquet", "train-00000-of-00002.parquet"],
    ],
)
def test_a_split_with_files_missing_is_refused(paths: list[str]) -> None:
    with pytest.raises(Refused, match=r"a/b has \d of the \d files of"):
        require_all_shards("a/b", paths)


def test_a_whole_split_is_accepted() -> None:
    require_all_shards("a/b", ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"])
    require_all_shards("a/b", ["train.parquet"])
