"""Samples put together to a batch of numpy arrays: stacked, padded to few lengths, or refused; nothing is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.errors import Refused

Batch = dict[str, Any]  # name -> numpy array (B, ...), or a list of B values that are no numbers

SHORTEST_BUCKET = 8
INPUT_IDS, ATTENTION_MASK = "input_ids", "attention_mask"
SEQUENCE_KEYS = (INPUT_IDS, ATTENTION_MASK, "token_type_ids")
PAD_VALUES = {"labels": -100.0}  # what the losses of transformers and torch leave out


@dataclass(frozen=True, slots=True)
class Ragged:
    """Sequences of different lengths, end to end.

    Attributes:
        values: (sum of lengths, ...).
        lengths: (B,).
    """

    values: NDArray[Any]
    lengths: NDArray[np.int64]

    def rows(self) -> list[NDArray[Any]]:
        """Return the sequences one by one, as views."""
        return np.split(self.values, np.cumsum(self.lengths)[:-1]) if len(self.lengths) else []


Column = NDArray[Any] | Ragged | list[Any]
Columns = dict[str, Column]


@dataclass(frozen=True, slots=True)
class Padding:
    """How sequences are brought to one length.

    Attributes:
        padding: ``longest``, to the smallest bucket that holds the longest of the batch, or ``max_length``.
        max_length: the longest that is let through; None for any.
        truncation: cut what is longer than ``max_length`` instead of refusing it.
        bucket_lengths: the lengths that batches are padded to, ascending; by default 8, 16, 32, ... and ``max_length``.
        sequence_keys: whose values are sequences; values of other keys have to be of one shape.
        pad_values: key -> what fills up, 0 where a key is not named.
    """

    padding: Literal["longest", "max_length"] = "longest"
    max_length: int | None = None
    truncation: bool = False
    bucket_lengths: tuple[int, ...] | None = None
    sequence_keys: tuple[str, ...] = SEQUENCE_KEYS
    pad_values: Mapping[str, float] = field(default_factory=lambda: dict(PAD_VALUES))

    def __post_init__(self) -> None:
        if self.padding not in ("longest", "max_length"):
            raise Refused(f"padding={self.padding!r}; the choices are 'longest' and 'max_length'.")
        if self.padding == "max_length" and self.max_length is None:
            raise Refused("padding='max_length' needs a max_length.")
        if self.truncation and self.max_length is None:
            raise Refused("truncation=True needs a max_length to cut at.")
        lengths = self.bucket_lengths
        if lengths is not None and (not lengths or list(lengths) != sorted(set(lengths)) or lengths[0] < 1):
            raise Refused(f"bucket_lengths={lengths}; give lengths from 1 on, ascending.")

    def length_for(self, longest: int) -> int:
        """Return the length that a batch is padded to whose longest sequence, not cut yet, is ``longest``.

        Raises:
            Refused: it is longer than ``max_length`` or than the last bucket.
        """
        if self.max_length is not None and longest > self.max_length:
            if not self.truncation:
                raise Refused(
                    f"a sequence of length {longest} is longer than max_length={self.max_length}; set truncation=True "
                    "to cut it, or a larger max_length."
                )
            longest = self.max_length
        if self.padding == "max_length":
            assert self.max_length is not None
            return self.max_length
        if self.bucket_lengths is None:
            bucket = max(SHORTEST_BUCKET, 1 << max(0, longest - 1).bit_length())
            return bucket if self.max_length is None else min(bucket, self.max_length)
        fitting = [length for length in self.bucket_lengths if length >= longest]
        if not fitting:
            raise Refused(
                f"a sequence of length {longest} is longer than the last of bucket_lengths={self.bucket_lengths}; add "
                "a longer one, or set max_length and truncation=True."
            )
        return fitting[0]


def columns_of(
    samples: Sequence[Mapping[str, Any]], numbers: Sequence[int | str], sequence_keys: Sequence[str]
) -> Columns:
    """Return samples as columns: arrays (B, ...), sequences, or lists of what are no numbers.

    Python's integers become int32 where they fit, else int64, and its floats float32, as MLX makes of them.

    Args:
        numbers: of the samples in the dataset, for messages.

    Raises:
        Refused: a sample has no value for a key that others have, or values do not go together.
    """
    columns: Columns = {}
    for key in dict.fromkeys(chain.from_iterable(samples)):
        values = [sample.get(key) for sample in samples]
        missing = [number for number, value in zip(numbers, values, strict=True) if value is None]
        if missing and len(missing) < len(values):
            having = next(number for number, value in zip(numbers, values, strict=True) if value is not None)
            raise Refused(
                f"sample {missing[0]} has no {key!r}, but sample {having} has; give it to every sample or to none; "
                "a number that is missing may be NaN."
            )
        columns[key] = column_of(key, values, numbers, key in sequence_keys)
    return columns


def column_of(key: str, values: Sequence[Any], numbers: Sequence[int | str], is_sequence: bool) -> Column:
    """Return the values of one key as a column; see :func:`columns_of`."""
    arrays = [as_numbers(value) for value in values]
    if any(array is None for array in arrays):
        odd = [(n, v) for n, v, array in zip(numbers, values, arrays, strict=True) if array is None]
        if len(odd) < len(values):
            raise Refused(
                f"{key!r} of sample {odd[0][0]} is a {type(odd[0][1]).__name__}, in other samples it is numbers; give "
                "one of the two."
            )
        return list(values)
    found = [array for array in arrays if array is not None]
    narrow = not any(hasattr(value, "dtype") for value in values)
    if is_sequence and all(array.ndim for array in found):
        lengths = np.array([len(array) for array in found], np.int64)
        holding = [array for array in found if len(array)] or found[:1]
        if len({array.shape[1:] for array in holding}) > 1:
            raise _unequal(key, found, numbers, "sequences may differ in their length only")
        return Ragged(_narrowed(np.concatenate(holding), narrow), lengths)
    if len({array.shape for array in found}) > 1:
        raise _unequal(key, found, numbers, f"give one shape, or have it padded: sequence_keys=(..., {key!r})")
    return _narrowed(np.stack(found), narrow)


def collate(columns: Columns, padding: Padding) -> Batch:
    """Return a batch of columns: sequences padded, and ``attention_mask`` made where ids are sequences without one.

    Raises:
        Refused: a sequence is too long; see :class:`Padding`.
    """
    batch: Batch = {}
    for key, column in columns.items():
        if isinstance(column, Ragged):
            length = padding.length_for(int(column.lengths.max(initial=0)))
            batch[key] = pad(column, length, padding.pad_values.get(key, 0))
        elif key in padding.sequence_keys and isinstance(column, np.ndarray) and column.ndim > 1:
            too_long = padding.max_length is not None and column.shape[1] > padding.max_length
            batch[key] = column[:, : padding.length_for(column.shape[1])] if too_long else column
        else:
            batch[key] = column
    ids = columns.get(INPUT_IDS)
    if isinstance(ids, Ragged) and ATTENTION_MASK not in columns:
        length = batch[INPUT_IDS].shape[1]
        batch[ATTENTION_MASK] = (np.arange(length) < ids.lengths[:, None]).astype(np.int32)
    return batch


def check_keys(batch: Batch, before: frozenset[str] | None) -> frozenset[str]:
    """Return the keys of a batch, which are those of the batches before it.

    Raises:
        Refused: they are not: a batch without labels would be taken for something else than one with them.
    """
    keys = frozenset(batch)
    if before is not None and keys != before:
        raise Refused(
            f"a batch has the keys {sorted(keys)}, those before it had {sorted(before)}; give every sample the same "
            "keys."
        )
    return keys


def pad(column: Ragged, length: int, value: float) -> NDArray[Any]:
    """Return (B, length, ...): every sequence, cut or filled up with ``value``."""
    values, lengths = column.values, column.lengths
    padded = np.full((len(lengths), length, *values.shape[1:]), value, values.dtype)
    if lengths.max(initial=0) > length:
        starts = np.cumsum(lengths) - lengths
        values = values[np.arange(len(values)) - np.repeat(starts, lengths) < length]
    padded[np.arange(length) < lengths[:, None]] = values
    return padded


def is_mlx(value: Any) -> bool:
    """Tell whether a value is an array of MLX, without importing it."""
    return type(value).__module__ == "mlx.core" and type(value).__name__ == "array"


def as_numbers(value: Any) -> NDArray[Any] | None:
    """Return numbers as a numpy array; None for text, bytes, mappings and whatever else is none."""
    if isinstance(value, str | bytes | Mapping) or value is None:
        return None
    if is_mlx(value):
        return _of_mlx(value)
    try:
        array = np.asarray(value)
    except ValueError:  # lists of lists of different lengths
        return None
    return array if array.dtype.kind in "biufc" else None


def _of_mlx(value: Any) -> NDArray[Any]:
    import mlx.core as mx

    return np.asarray(value.astype(mx.float32) if value.dtype == mx.bfloat16 else value)


def _narrowed(array: NDArray[Any], narrow: bool) -> NDArray[Any]:
    if narrow and array.dtype == np.float64:
        return array.astype(np.float32)
    if narrow and array.dtype == np.int64:
        limits = np.iinfo(np.int32)
        if not array.size or (limits.min <= array.min() and array.max() <= limits.max):
            return array.astype(np.int32)
    return array


def _unequal(key: str, arrays: Sequence[NDArray[Any]], numbers: Sequence[int | str], remedy: str) -> Refused:
    other = next(i for i, array in enumerate(arrays) if array.shape != arrays[0].shape)
    return Refused(
        f"{key!r} has the shape {arrays[0].shape} in sample {numbers[0]} and {arrays[other].shape} in sample "
        f"{numbers[other]}; {remedy}."
    )
