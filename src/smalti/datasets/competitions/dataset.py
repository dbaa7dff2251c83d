"""A table as samples for a model: the class that each competition's dataset derives from."""

from __future__ import annotations

import functools
import logging
import operator
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smalti.contracts.violation import shown
from smalti.datasets.competitions.spec import DatasetSpec
from smalti.datasets.competitions.wordpiece import encode, read_tokenizer, train_wordpiece
from smalti.datasets.names import normal_name
from smalti.errors import NotFound, Refused
from smalti.store.commit import machine_errors, make_folder, write_file

if TYPE_CHECKING:
    import pandas as pd
    from tokenizers import Tokenizer

Sample = dict[str, Any]

_log = logging.getLogger("data.datasets")  # its users know `data` as the logger of all that loads data

MOST_TRAINING_TEXTS = 20_000  # a vocabulary learns nothing new from more rows of one table
_training = threading.RLock()  # of the module, so that a dataset can be pickled
_gathering = threading.local()  # its `texts`: those that the samples of a `dataset` want tokenized, in this thread


class KaggleDataset(ABC):
    """Samples of one split of a competition's data; ``len``, indices and iteration work as on a list.

    A subclass gives ``_load_data``, which sets ``self._data`` to a DataFrame; ``_validate_data``, which raises where
    that is not as it should be; and ``__getitem__``, which returns the sample of one row. The first two are called when
    the dataset is made. Between them whole numbers become Arrow's, so that a row has Python's ``int``, not numpy's,
    which MLX refuses. Indices below 0 count from the end, and ``transform`` is applied to what ``__getitem__`` returns;
    the subclass need not care for either.

    Attributes:
        spec: what the dataset holds.
        split: ``train``, ``validation`` or ``test``.
        transform: applied to each sample, if given.
        cache_dir: where the trained tokenizer is kept for the other splits, if given and ``spec.enable_caching``.
        id_column: the column of the ids; None: the column ``id``, or else the first whose name ends in ``Id`` or
            ``_id`` (any case, where the name is more than that) and whose values differ from each other.
    """

    id_column: str | None = None

    def __init__(
        self,
        spec: DatasetSpec,
        split: str = "train",
        transform: Callable[[Sample], Sample] | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        self.spec = spec
        self.split = split
        self.transform = transform
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self._data: pd.DataFrame | None = None
        self._tokenizer: Tokenizer | None = None
        self._load_data()
        self._data = _with_python_integers(self._data, type(self).__name__)
        self._validate_data()
        _log.debug("%s: %d samples in the %s split of %s", type(self).__name__, len(self), split, spec.competition_name)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__getitem__" in cls.__dict__ and not getattr(cls.__getitem__, "__isabstractmethod__", False):
            cls.__getitem__ = _indexed(cls.__getitem__)  # type: ignore[method-assign]

    @abstractmethod
    def _load_data(self) -> None:
        """Set ``self._data`` to the rows of this split, as a DataFrame."""

    @abstractmethod
    def _validate_data(self) -> None:
        """Raise an error where the rows are not as they should be."""

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Return the sample of one row, by name: text, token numbers, labels, metadata."""

    def __len__(self) -> int:
        return 0 if self._data is None else len(self._data)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def get_sample_by_id(self, sample_id: Any) -> Sample:
        """Return the sample whose row has this id.

        Raises:
            NotFound: no row has it.
            Refused: no column holds ids; name it in ``id_column``.
        """
        column = self._ids()
        rows = np.flatnonzero((column == sample_id).to_numpy(bool))
        if not rows.size:  # a command line and JSON have ids as text
            rows = np.flatnonzero((column.astype(str) == str(sample_id)).to_numpy(bool))
        if not rows.size:
            raise NotFound(
                f"no row of the {self.split} split of {self.spec.competition_name} has {column.name} "
                f"{shown(str(sample_id))}; its {len(column)} ids begin with {', '.join(map(str, column[:3]))}."
            )
        return self[int(rows[0])]

    def get_batch(self, indices: Sequence[int]) -> dict[str, Any]:
        """Return several samples as one: numbers of one shape become (B, ...) numpy arrays, anything else a list of B.

        Raises:
            Refused: there is no index, or the samples do not have the same names.
        """
        samples = [self[index] for index in indices]
        if not samples:
            raise Refused("a batch of no samples was asked for; give at least one index.")
        names = list(samples[0])
        for index, sample in zip(indices, samples, strict=True):
            if set(sample) != set(names):
                raise Refused(f"sample {index} has {sorted(sample)}, where sample {indices[0]} has {sorted(names)}.")
        return {name: _stacked([sample[name] for sample in samples]) for name in names}

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that ``_tokenize`` uses; every split of a dataset has that of the train split.

        It is the one that was set here; or the ``tokenizer.json`` that ``spec.tokenizer_backend`` names; or trained on
        the texts that the samples of the train split give to ``_tokenize`` (at most 20,000 rows, evenly spaced).

        Raises:
            Refused: the backend is neither ``wordpiece`` nor a file, or the train split cannot be read.
        """
        if self._gathered() is not None:
            raise Refused(f"{type(self).__name__} asks for its tokenizer to make a sample; call self._tokenize(text).")
        with _training:
            if self._tokenizer is None:
                self._tokenizer = self._made_tokenizer()
            return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def _tokenize(self, text: str) -> dict[str, list[int]]:
        """Return ``input_ids`` and ``attention_mask`` of ``spec.recommended_max_length`` integers each.

        Raises:
            Refused: there is no tokenizer and none can be trained; see ``tokenizer``.
        """
        length = self.spec.recommended_max_length
        if (texts := self._gathered()) is not None:
            texts.append(text)
            return {"input_ids": [0] * length, "attention_mask": [0] * length}
        return encode(self._tokenizer or self.tokenizer, text, length)

    def _made_tokenizer(self) -> Tokenizer:
        backend = self.spec.tokenizer_backend
        if backend != "wordpiece":
            if not backend.endswith(".json"):
                raise Refused(
                    f"{shown(backend)} is no tokenizer backend; spec.tokenizer_backend is 'wordpiece', trained on the "
                    "train split, or the path of a tokenizer.json."
                )
            return read_tokenizer(Path(backend))
        kept = self._kept_tokenizer()
        if self.split == "train":
            texts = self._texts()
            tokenizer = train_wordpiece(texts)
            _log.debug("%s: %d tokens from %d texts", type(self).__name__, tokenizer.get_vocab_size(), len(texts))
            if kept:
                _write(kept, tokenizer.to_str().encode())
            return tokenizer
        return read_tokenizer(kept) if kept and kept.is_file() else self._train_split().tokenizer

    def _kept_tokenizer(self) -> Path | None:
        if self.cache_dir is None or not self.spec.enable_caching:
            return None
        return self.cache_dir / f"{normal_name(self.spec.competition_name)}.tokenizer.json"

    def _train_split(self) -> KaggleDataset:
        try:
            return type(self)(self.spec, split="train")
        except (LookupError, OSError, TypeError, ValueError) as error:
            raise Refused(
                f"the {self.split} split of {self.spec.competition_name} has no tokenizer, and the train split, whose "
                f"texts it is trained on, cannot be read ({shown(' '.join(str(error).split()))}); "
                "set dataset.tokenizer, or make it readable."
            ) from error

    def _texts(self) -> list[str]:
        """Return the texts that the samples give to ``_tokenize``."""
        count = len(self)
        rows = np.linspace(0, count - 1, min(count, MOST_TRAINING_TEXTS)).astype(int).tolist() if count else []
        sample_of = getattr(type(self).__getitem__, "__wrapped__", type(self).__getitem__)
        texts: list[str] = []
        outside = dict(vars(_gathering))  # another dataset's, whose samples are made of this one's
        vars(_gathering).update(dataset=self, texts=texts)
        try:
            for row in rows:
                sample_of(self, row)
        finally:
            vars(_gathering).clear()
            vars(_gathering).update(outside)
        return texts

    def _gathered(self) -> list[str] | None:
        """Return where the texts go while this thread gathers those of this dataset, else None."""
        return _gathering.texts if getattr(_gathering, "dataset", None) is self else None

    def _ids(self) -> pd.Series[Any]:
        assert self._data is not None
        columns = [str(name) for name in self._data.columns]
        if self.id_column is not None:
            candidates = [name for name in columns if name == self.id_column]
        else:
            exact = [name for name in columns if name.lower() == "id"]
            candidates = exact + [name for name in columns if name.endswith(("Id", "ID", "_id")) and name not in exact]
        for name in candidates:
            if self._data[name].is_unique:
                return self._data[name]
        raise Refused(
            f"no column of {self.spec.competition_name} holds ids that differ from each other; set id_column to one of "
            f"{', '.join(map(shown, columns[:12]))}."
        )


def _with_python_integers(frame: Any, owner: str) -> pd.DataFrame:
    """Return the frame with whole numbers and truth values as Arrow holds them.

    A row of it then gives Python's ``int`` and ``bool``, which ``mx.array`` takes; those of numpy it refuses.
    """
    import pandas as pd
    import pyarrow as pa

    if not isinstance(frame, pd.DataFrame):
        found = "nothing" if frame is None else f"a {type(frame).__name__}"
        raise Refused(f"{owner}._load_data leaves {found} in self._data; let it set a DataFrame.")
    dtypes = {name: dtype for name, dtype in frame.dtypes.items() if isinstance(dtype, np.dtype)}
    whole = {name: dtype for name, dtype in dtypes.items() if dtype.kind in "iub"}
    return frame.astype({name: pd.ArrowDtype(pa.from_numpy_dtype(dtype)) for name, dtype in whole.items()})


def _indexed(sample_of: Callable[[Any, int], Sample]) -> Callable[[Any, int], Sample]:
    """Return a ``__getitem__`` that checks the index and applies the transform, once where one calls another's."""

    @functools.wraps(sample_of)
    def item(self: KaggleDataset, index: int) -> Sample:
        count = len(self)
        row = operator.index(index)
        if not -count <= row < count:
            raise IndexError(f"sample {row} is asked for, and the {self.split} split has {count}.")
        sample = sample_of(self, row % count)
        outermost = type(self).__getitem__ is item
        return self.transform(sample) if self.transform is not None and outermost else sample

    return item


def _stacked(values: list[Any]) -> Any:
    if isinstance(values[0], str | bytes | dict | None):
        return values
    arrays = [np.asarray(value) for value in values]
    same = all(array.shape == arrays[0].shape and array.dtype.kind in "biufc" for array in arrays)
    return np.stack(arrays) if same else values


def _write(path: Path, content: bytes) -> None:
    with machine_errors(f"keeping the tokenizer at {path}"):
        make_folder(path.parent)
        beside = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            write_file(beside, [content])
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
