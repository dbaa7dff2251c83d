"""One call of a captured function on its way into the store: begun before it, finished after it."""

from __future__ import annotations

import inspect
import os
import re
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smalti.canonical import Json
from smalti.errors import Refused, SmaltiError
from smalti.runs.capture.arguments import as_parameter, fields_of, sort_arguments, type_name
from smalti.runs.capture.results import MOST_ITEMS, items_of, named_outputs
from smalti.runs.circumstances.code_version import folder_of_the_program
from smalti.runs.confidential import without_keys
from smalti.runs.data_reference import DataReference
from smalti.runs.flexible_store import FlexibleDataStore
from smalti.runs.mlflow_link import tag_with_data
from smalti.runs.run_manifest import ACTIVE, FINISHED, RunManifest, outcome_of
from smalti.runs.run_types import RunType, run_type_of
from smalti.runs.storage_modes import StorageMode, pattern_of
from smalti.store import Ref

MOST_YIELDED = 1000  # values that are stored each by itself
MOST_YIELDED_SMALL = 10_000  # values that are stored together
_LONGEST_NAME = 80
_LONGEST_TRACEBACK = 8000
_YIELDED = "yielded"


@dataclass(frozen=True, slots=True)
class Options:
    """How the calls of a function are recorded; see :func:`smalti.runs.capture_flexible_data`."""

    store_inputs: bool
    store_outputs: bool
    input_params: frozenset[str] | None
    output_param: str | None
    run_type: RunType | None
    storage_modes: tuple[StorageMode | str, ...] | None
    project: str | None
    tags: Mapping[str, str]
    model: str | None
    s3_bucket: str | None
    s3_prefix: str | None
    root: str | Path | None
    store: FlexibleDataStore | None


def checked_options(
    input_params: Iterable[str] | None,
    run_type: RunType | str | None,
    storage_modes: Iterable[StorageMode | str] | str | None,
    **others: Any,
) -> Options:
    """Return options.

    Raises:
        Refused: there is no such type, mode or pattern.
    """
    modes = (storage_modes,) if isinstance(storage_modes, str) else storage_modes
    if modes is not None:
        modes = tuple(modes)
        for mode in modes:
            pattern_of(mode)
    if isinstance(input_params, str):
        input_params = (input_params,)
    return Options(
        input_params=None if input_params is None else frozenset(input_params),
        run_type=None if run_type is None else run_type_of(run_type),
        storage_modes=modes,
        **others,
    )


class Recorder:
    """Records the calls of one function."""

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        self._signature = inspect.signature(function)
        self._options = options
        self._name = f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"
        self._code_folder = _folder_of(function)
        self._source = _source_of(function)
        self._opened: FlexibleDataStore | None = None
        self._lock = threading.Lock()
        self._check_names()

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
        """Return arguments by name; None where the function does not take them, which it says best itself."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:
            return None
        bound.apply_defaults()
        return bound

    def begin(self, bound: inspect.BoundArguments) -> Recording:
        """Store the inputs and write down that the call begins.

        Raises:
            Unavailable, Refused: the store cannot be used; the function has not been called.
        """
        options, store = self._options, self._store()
        arguments = sort_arguments(bound, options.input_params, options.store_inputs)
        keeper = Keeper(store, dict(arguments.noted))
        for name, value in arguments.data.items():
            keeper.keep(name, value)
            if name in keeper.noted and (fields := fields_of(value)) is not None:  # a configuration
                del keeper.noted[name]
                arguments.add_parameter(name, fields)
                keeper.noted.update(arguments.noted)
        now = datetime.now(UTC)
        short = re.sub(r"[^A-Za-z0-9-]+", "_", self._name.rpartition(".")[2]).strip("_-")[:_LONGEST_NAME] or "call"
        said = {
            "inputs": keeper.kept,
            "parameters": arguments.parameters,
            "tags": options.tags,
            "code": {"function": self._name},
            "notes": keeper.notes(),
        }
        manifest = store.begin(
            f"{short}_{now:%Y%m%d_%H%M%S}_{os.urandom(4).hex()}",
            options.run_type,
            options.project,
            options.storage_modes,
            options.model,
            None,
            said,
            self._code_folder,
            source=self._source,
            durable=False,
        )
        return Recording(store, manifest, options, keeper.noted)

    def _store(self) -> FlexibleDataStore:
        """Return where to record: as the decorator says, else where the outer run is, else the default."""
        options, active = self._options, ACTIVE.get()
        if options.store is not None:
            return options.store
        named = any(place is not None for place in (options.s3_bucket, options.s3_prefix, options.root))
        if active is not None and active._store is not None and not named:
            return active._store
        with self._lock:
            if self._opened is None:
                self._opened = FlexibleDataStore(options.s3_bucket, options.s3_prefix, root=options.root)
            return self._opened

    def _check_names(self) -> None:
        parameters = self._signature.parameters
        if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
            return
        if wrong := sorted((self._options.input_params or frozenset()) - parameters.keys()):
            raise Refused(
                f"input_params names {wrong[0]!r}, but {self._name} takes {', '.join(parameters) or 'no arguments'}."
            )


class Keeper:
    """Puts values into the store, or notes by type what it refuses."""

    def __init__(self, store: FlexibleDataStore, noted: dict[str, str]) -> None:
        self.kept: dict[str, Ref | str] = {}
        self.noted = noted
        self._store = store

    def keep(self, name: str, value: Any) -> None:
        """Store a value; one that cannot be stored whole item by item; what the store refuses is noted by its type.

        Raises:
            Unavailable: the machine did not let it be written.
        """
        if self._put(name, value):
            return
        items = items_of(name, value)
        if items:
            del self.noted[name]
        if len(items) > MOST_ITEMS:
            self.noted[name] = f"{type_name(value)}: of its {len(items)} items only the first {MOST_ITEMS} are stored"
        for called, item in items[:MOST_ITEMS]:
            self._put(called, item)

    def notes(self) -> Json:
        """Return what was not stored, as the notes of a manifest."""
        return {"not_stored": dict(self.noted)} if self.noted else None

    def _put(self, name: str, value: Any) -> bool:
        try:
            if isinstance(value, DataReference | Ref):
                self.kept[name] = self._store.store.resolve(value.digest)
            else:
                self.kept[name] = self._store.store.put(value)
        except OSError:  # of the machine or the store, not of the value
            raise
        except Exception as error:  # refused, or its own: a value that is not what its type promises
            why = str(error) if isinstance(error, SmaltiError) else f"reading it raises {type(error).__name__}: {error}"
            self.noted[name] = f"{type_name(value)}: {why}"
            return False
        return True


@dataclass(slots=True)
class Recording:
    """A run that was begun.

    Attributes:
        store: where it is recorded.
        manifest: its own.
        options: how it is.
        noted: what could not be stored so far, by type.
        yielded: how many values the function has yielded.
        small: those of them that are small JSON.
        kept: those that are stored.
    """

    store: FlexibleDataStore
    manifest: RunManifest
    options: Options
    noted: dict[str, str]
    yielded: int = 0
    small: list[Json] = field(default_factory=list)
    kept: dict[str, Ref | str] = field(default_factory=dict)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let runs that begin in here be parts of this one."""
        token = ACTIVE.set(self.manifest)
        try:
            yield
        finally:
            ACTIVE.reset(token)

    def take(self, value: Any) -> None:
        """Keep a yielded value before it is handed on: its consumer may change it."""
        number, self.yielded = self.yielded, self.yielded + 1
        if not self.options.store_outputs or value is None:
            return
        if (plain := as_parameter(value)) is not None:
            if len(self.small) < MOST_YIELDED_SMALL:
                self.small.append(plain)
        elif number < MOST_YIELDED:
            with self._never_in_the_way("a yielded value"):
                keeper = Keeper(self.store, self.noted)
                keeper.keep(f"{_YIELDED}_{number:04}", value)
                self.kept |= keeper.kept

    def finish(self, result: Any) -> None:
        """Store the result and write down that the call has finished; whatever prevents that is a warning only."""
        self._end(FINISHED, "", result)

    def fail(self, error: BaseException) -> None:
        """Write down how the call ended; the exception is the caller's to raise again."""
        status, text = outcome_of(error)
        if isinstance(error, GeneratorExit):
            text = f"nobody took more than the {self.yielded} values that it yielded"
        lines = without_keys("".join(traceback.format_exception(error)))[-_LONGEST_TRACEBACK:]
        self._end(status, text, None, lines if isinstance(error, Exception) else "")

    def _end(self, status: str, error: str, result: Any, lines: str = "") -> None:
        keeper = Keeper(self.store, self.noted)
        with self._never_in_the_way("its end"):
            try:
                if self.options.store_outputs:
                    for name, value in named_outputs(result, self.options.output_param).items():
                        keeper.keep(name, value)
                    if self.small:
                        keeper.keep(_YIELDED, self.small)
            except (SmaltiError, OSError) as problem:
                error = f"its outputs could not be stored: {problem}"
                self._warn("its outputs", problem)
            outputs = {**self.kept, **keeper.kept}
            notes: dict[str, Json] = {**({"traceback": lines} if lines else {}), **(keeper.notes() or {})}  # type: ignore[dict-item]
            metrics = {_YIELDED: self.yielded} if self.yielded else {}
            self.store.finish_run(self.manifest, status, error, outputs=outputs, notes=notes or None, metrics=metrics)
            kept = self.manifest._kept
            if kept is not None:
                called = {f"inputs/{name}": address for name, address in kept.inputs.items()}
                tag_with_data(
                    self.manifest.links, called | {f"outputs/{name}": address for name, address in kept.outputs.items()}
                )

    @contextmanager
    def _never_in_the_way(self, what: str) -> Iterator[None]:
        """Turn whatever prevents recording into a warning: what the function gave must not be lost to it."""
        try:
            yield
        except Exception as error:
            self._warn(what, error)

    def _warn(self, what: str, error: Exception) -> None:
        warnings.warn(
            f"{what} of the run {self.manifest.run_id} could not be recorded in {self.store.store.place}: {error}",
            RuntimeWarning,
            stacklevel=2,
        )


def _source_of(function: Callable[..., Any]) -> bytes:
    """Return the source of a function, which no commit holds where it is from a notebook; b"" where there is none."""
    try:
        return inspect.getsource(inspect.unwrap(function)).encode()
    except (OSError, TypeError, UnicodeEncodeError, SyntaxError):
        return b""


def _folder_of(function: Callable[..., Any]) -> Path:
    """Return the folder of a function's source, else of the program."""
    try:
        source = Path(inspect.getsourcefile(inspect.unwrap(function)) or "")
    except TypeError:
        return folder_of_the_program()
    return source.absolute().parent if source.is_file() else folder_of_the_program()
