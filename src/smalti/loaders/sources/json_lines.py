"""JSON lines: one object a line, found by reading the file once, parsed when they are asked for."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from smalti.errors import NotFound, Refused
from smalti.loaders.buffers import Buffers
from smalti.loaders.cache import AdaptiveCache
from smalti.loaders.sources.samples import nbytes_of
from smalti.loaders.sources.source import Sample, regular_cuts


class JsonLinesSource:
    """A file of JSON lines; empty lines are no samples. In memory are 8 bytes a line."""

    bound_to_thread = False

    def __init__(self, path: Path, cache: AdaptiveCache | None = None) -> None:
        """
        Raises:
            NotFound: there is no such file.
        """
        if not path.is_file():
            raise NotFound(f"there is no file {path}; name the file of JSON lines to read.")
        self._path, self._cache = path, cache
        starts, hashed, at = array("q"), blake3(), 0
        with path.open("rb") as file:
            for line in file:
                hashed.update(line)
                if not line.isspace():
                    starts.append(at)
                at += len(line)
        self._starts = np.frombuffer(starts, np.int64) if starts else np.zeros(0, np.int64)
        self._nbytes = at
        self._digest = f"blake3:{hashed.hexdigest()}"

    @property
    def what(self) -> str:
        return f"{len(self)} lines of {self._path}"

    @property
    def digests(self) -> Mapping[str, str]:
        return {"file": self._digest}

    @property
    def row_nbytes(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, rows: NDArray[np.int64], buffers: Buffers) -> list[Sample]:
        numbers = rows.tolist()
        with self._path.open("rb") as file:
            descriptor = file.fileno()
            if self._cache is None:
                return [self._line(descriptor, number) for number in numbers]
            return [self._cache.get(n, partial(self._line, descriptor, n), nbytes_of) for n in numbers]

    def read_range(self, start: int, stop: int, buffers: Buffers) -> list[Sample]:
        return self.read(np.arange(start, stop, dtype=np.int64), buffers)

    def cuts(self, samples: int) -> Sequence[int]:
        return regular_cuts(len(self), samples)

    def _line(self, descriptor: int, number: int) -> Sample:
        start = int(self._starts[number])
        stop = int(self._starts[number + 1]) if number + 1 < len(self._starts) else self._nbytes
        line = os.pread(descriptor, stop - start, start)
        try:
            sample = json.loads(line)
        except ValueError as error:
            why = f"{error.msg}, at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else error
            raise Refused(f"sample {number} of {self._path} is no JSON ({why}); mend that line.") from error
        if not isinstance(sample, dict):
            raise Refused(f"sample {number} of {self._path} is a JSON {type(sample).__name__}; each line is an object.")
        return sample
