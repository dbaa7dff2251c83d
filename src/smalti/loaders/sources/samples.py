"""Datasets of Python: ``__len__`` and ``__getitem__``, or many samples at once by ``get_batch`` or ``__getitems__``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused, SmaltiError
from smalti.loaders.buffers import Buffers
from smalti.loaders.cache import AdaptiveCache
from smalti.loaders.collate import Columns, column_of, is_mlx
from smalti.loaders.sources.source import Block, Sample, regular_cuts


class SampleSource:
    """A dataset whose samples are mappings; the quick way is ``get_batch(indices) -> {name: array (B, ...)}``.

    ``get_batch`` is given an int64 array and may also return lists, of arrays or of anything, or a list of samples, as
    ``__getitems__``, which is given a list of int. A loader's transform may write to what it returns. With a cache,
    samples of ``__getitem__`` are kept as they are read first: a dataset that draws random numbers would give the same
    ones again.
    """

    def __init__(self, dataset: Any, sequence_keys: Sequence[str], cache: AdaptiveCache | None = None) -> None:
        self._dataset = dataset
        self._sequence_keys = sequence_keys
        self._cache = cache
        self._at_once = getattr(dataset, "get_batch", None) or getattr(dataset, "__getitems__", None)
        self._passes_list = not hasattr(dataset, "get_batch")
        self._probed: dict[int, Any] = {}
        self._bound: bool | None = None

    @property
    def what(self) -> str:
        return f"{len(self)} samples of {type(self._dataset).__name__}"

    @property
    def digests(self) -> Mapping[str, str]:
        """What the dataset itself says: its attribute ``digest``, where it has one."""
        digest = getattr(self._dataset, "digest", None)
        return {"dataset": digest} if isinstance(digest, str) else {}

    @property
    def bound_to_thread(self) -> bool:
        """Whether the first sample holds arrays of MLX; it is read to find out, once."""
        if self._bound is None:
            self._bound = False
            if self._at_once is None and len(self):
                try:
                    sample = self._dataset[0]
                except Exception:  # who reads it will see it again and say which sample it is
                    return False
                self._probed[0] = sample
                self._bound = isinstance(sample, Mapping) and any(is_mlx(value) for value in sample.values())
        return self._bound

    @property
    def row_nbytes(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self, rows: NDArray[np.int64], buffers: Buffers) -> Block:
        numbers = rows.tolist()
        if self._at_once is None:
            return [self._sample(number) for number in numbers]
        some = f"samples {', '.join(map(str, numbers[:8]))}{', ...' if len(numbers) > 8 else ''}"
        read, given = self._at_once, numbers if self._passes_list else rows
        found = _named(some, lambda: read(given))
        if isinstance(found, Mapping):
            return self._columns(found, numbers)
        if not isinstance(found, list | tuple) or len(found) != len(numbers):
            raise Refused(
                f"{self.what} gave a {type(found).__name__} for {len(numbers)} samples; give a mapping of arrays, or "
                "a list of as many samples."
            )
        return [self._checked(sample, number) for sample, number in zip(found, numbers, strict=True)]

    def read_range(self, start: int, stop: int, buffers: Buffers) -> Block:
        return self.read(np.arange(start, stop, dtype=np.int64), buffers)

    def cuts(self, samples: int) -> Sequence[int]:
        return regular_cuts(len(self), samples)

    def _sample(self, number: int) -> Sample:
        if self._cache is None:
            return self._load(number)
        cached: Sample = self._cache.get(number, lambda: self._load(number), nbytes_of)
        return cached

    def _load(self, number: int) -> Sample:
        found = self._probed.pop(number, None)
        if found is None:
            found = _named(f"sample {number}", lambda: self._dataset[number])
        return self._checked(found, number)

    def _checked(self, sample: Any, number: int) -> Sample:
        if not isinstance(sample, Mapping):
            raise Refused(
                f"sample {number} is a {type(sample).__name__}; a sample is a mapping, such as "
                "{'input_ids': [...], 'labels': 1}."
            )
        return sample

    def _columns(self, found: Mapping[str, Any], numbers: list[int]) -> Columns:
        columns: Columns = {}
        for name, values in found.items():
            if not hasattr(values, "__len__") or len(values) != len(numbers):
                raise Refused(f"{name!r} of {self.what} is not {len(numbers)} long, one for each sample asked for.")
            if isinstance(values, np.ndarray) and values.dtype != object:
                columns[name] = values
            elif is_mlx(values):
                columns[name] = np.asarray(values)
            else:
                columns[name] = column_of(name, list(values), numbers, name in self._sequence_keys)
        return columns


def nbytes_of(value: Any) -> int:
    """Return about how much memory a sample takes."""
    if isinstance(value, Mapping):
        return sys.getsizeof(value) + sum(nbytes_of(item) for item in value.values())
    if isinstance(value, list | tuple):
        return sys.getsizeof(value) + (len(value) * nbytes_of(value[0]) if value else 0)
    return sys.getsizeof(value) if not hasattr(value, "nbytes") else 128 + int(value.nbytes)


def _named(which: str, read: Callable[[], Any]) -> Any:
    """Read, and let what goes wrong say what was read."""
    try:
        return read()
    except SmaltiError as error:
        raise type(error)(f"{which}: {error}") from error
    except Exception as error:
        raise Refused(f"{which} cannot be read: {type(error).__name__}: {error}") from error
