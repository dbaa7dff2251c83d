"""Which Parquet files of a repository are which configuration and split, by the layouts that the hub has.

    <config>/<split>-00000-of-00002.parquet          what `push_to_hub` writes; `data` is the default
    <config>/<split>-00000-of-00002-<hash>.parquet   what it wrote before
    <config>/<split>.parquet                         by hand
    <config>/<split>/0000.parquet                    the branch `refs/convert/parquet`

Source: https://huggingface.co/docs/hub/datasets-file-names-and-splits and .../docs/dataset-viewer/parquet.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from smalti.contracts.violation import shown
from smalti.errors import NotFound, Refused

DEFAULT_CONFIG = "default"

_SHARD = re.compile(r"([A-Za-z0-9_.]+?)-(\d{5})-of-(\d{5})(?:-[0-9a-f]{16})?\.parquet")
_WHOLE = re.compile(r"([A-Za-z][A-Za-z0-9_.]*)\.parquet")
_CONVERTED = re.compile(r"\d{4}\.parquet")
_NOT_A_CONFIG = {"", ".", "data"}

Splits = dict[str, dict[str, list[str]]]


def splits(paths: Iterable[str]) -> Splits:
    """Return configuration -> split -> its files, in order; files that are of no split are left out.

    >>> splits(["a/train-00000-of-00001.parquet", "data/test.parquet", "README.md"])
    {'a': {'train': ['a/train-00000-of-00001.parquet']}, 'default': {'test': ['data/test.parquet']}}
    """
    found: Splits = defaultdict(lambda: defaultdict(list))
    for path in sorted(paths):
        folder, name = PurePosixPath(path).parent, PurePosixPath(path).name
        if match := _SHARD.fullmatch(name) or _WHOLE.fullmatch(name):
            split = match[1]
        elif _CONVERTED.fullmatch(name) and len(folder.parts) >= 2:
            folder, split = folder.parent, folder.name
        else:
            continue
        config = DEFAULT_CONFIG if str(folder) in _NOT_A_CONFIG else str(folder)
        found[config][split].append(path)
    return {config: dict(of) for config, of in found.items()}


def chosen(repository: str, found: Splits, config: str | None, split: str | None) -> tuple[str, str]:
    """Return the configuration and split that are wanted; what is not said is taken where there is only one.

    Raises:
        NotFound: there is no such one, or there is no Parquet file at all.
        Refused: there are several, and it was not said which.
    """
    if not found:
        raise NotFound(f"{repository} has no Parquet file of a split; try revision='refs/convert/parquet'.")
    config = _one_of(f"{repository}", "config", config, list(found))
    return config, _one_of(f"{config} of {repository}", "split", split, list(found[config]))


def require_all_shards(repository: str, paths: list[str]) -> None:
    """Refuse a split of which files are missing.

    Raises:
        Refused: the names say that there are others.
    """
    matches = [_SHARD.fullmatch(PurePosixPath(path).name) for path in paths]
    numbers = [(int(match[2]), int(match[3])) for match in matches if match]
    of = max((of for _, of in numbers), default=0)
    if numbers and sorted(numbers) != [(number, of) for number in range(of)]:
        raise Refused(f"{repository} has {len(numbers)} of the {of} files of {paths[0]}; name another revision.")


def _one_of(where: str, what: str, wanted: str | None, there: list[str]) -> str:
    listed = ", ".join(shown(name) for name in there)
    if wanted is None and len(there) > 1:
        raise Refused(f"{where} has several {what}s; name one as {what}=: {listed}.")
    if wanted is not None and wanted not in there:
        raise NotFound(f"{where} has no {what} {shown(wanted)!r}; it has {listed}.")
    return wanted or there[0]
