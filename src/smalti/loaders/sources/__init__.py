"""What a dataset may be: arrays, tables, files, stored values, or an object that gives samples by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs import BFloat16, LazyArray, LazyTable
from smalti.errors import Refused
from smalti.loaders.cache import AdaptiveCache
from smalti.loaders.collate import is_mlx
from smalti.loaders.sources.source import Block, Sample, Source
from smalti.store import Tree

__all__ = ["Block", "Sample", "Source", "source_of"]

_ONLY = "data"  # what the values of a dataset that is one array are called
_WANTED = (
    "an array, a mapping or stored tree of arrays of one length, a table of pandas or pyarrow, what store.open gives, "
    "a file (.npy, .parquet, .jsonl), or an object with __len__ and __getitem__"
)


def source_of(dataset: Any, sequence_keys: Sequence[str], cache: AdaptiveCache | None = None) -> Source:
    """Return a dataset as what a loader reads from.

    Raises:
        Refused: it is nothing of which samples can be read by number.
        NotFound: it is the name of a file that is not there.
    """
    if isinstance(dataset, str | Path):
        return _of_file(Path(dataset), cache)
    if isinstance(dataset, LazyTable):
        from smalti.loaders.sources.tables import TableSource

        return TableSource(dataset)
    if (type(dataset).__module__.split(".")[0], type(dataset).__name__) in {
        ("pandas", "DataFrame"),
        ("pyarrow", "Table"),
    }:
        from smalti.loaders.sources.tables import TableSource, as_arrow

        return TableSource(as_arrow(dataset))
    if isinstance(dataset, BFloat16):
        raise Refused("a dataset of bfloat16 has no dtype in numpy; load its .bits and view them in the training step.")
    columns = _columns(dataset)
    if columns is not None:
        from smalti.loaders.sources.arrays import ArraySource

        return ArraySource(columns, cache)
    given = type(dataset)
    if hasattr(given, "__len__") and any(hasattr(given, name) for name in ("__getitem__", "__getitems__", "get_batch")):
        from smalti.loaders.sources.samples import SampleSource

        return SampleSource(dataset, sequence_keys, cache)
    hint = "; stream what can only be iterated with StreamingPipeline" if hasattr(dataset, "__iter__") else ""
    raise Refused(f"a {given.__name__} is no dataset; give {_WANTED}{hint}.")


def _columns(dataset: Any) -> dict[str, NDArray[Any] | LazyArray] | None:
    """Return a dataset that consists of arrays as such, else None."""
    if isinstance(dataset, np.ndarray | LazyArray) or is_mlx(dataset):
        return {_ONLY: _array(dataset)}
    if isinstance(dataset, Tree):
        dataset = dataset.children
    if not isinstance(dataset, Mapping):
        return None
    odd = sorted(str(name) for name, v in dataset.items() if not (isinstance(v, np.ndarray | LazyArray) or is_mlx(v)))
    if odd:
        kinds = {name: type(dataset[name]).__name__ for name in odd if name in dataset}
        raise Refused(f"a mapping is a dataset where all its values are arrays, but these are not: {kinds}.")
    return {str(name): _array(value) for name, value in dataset.items()}


def _array(value: Any) -> NDArray[Any] | LazyArray:
    return value if isinstance(value, LazyArray) else np.asarray(value)


def _of_file(path: Path, cache: AdaptiveCache | None) -> Source:
    if path.suffix == ".parquet":
        from smalti.loaders.sources.tables import ParquetSource

        return ParquetSource(path)
    if path.suffix in (".jsonl", ".ndjson"):
        from smalti.loaders.sources.json_lines import JsonLinesSource

        return JsonLinesSource(path, cache)
    if path.suffix == ".npy":
        from smalti.loaders.sources.arrays import ArraySource

        try:
            mapped = np.load(path, mmap_mode="r")
        except (ValueError, OSError) as error:
            raise Refused(f"{path} is no .npy file that can be mapped ({error}).") from error
        return ArraySource({_ONLY: mapped}, cache)
    raise Refused(
        f"{path} is no dataset; a file is one with the ending .npy, .parquet, .jsonl or .ndjson. Read a CSV with "
        "pandas.read_csv and give the table."
    )
