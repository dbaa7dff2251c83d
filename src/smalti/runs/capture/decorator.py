"""``@capture_flexible_data``: every call of a function is a run, with what it was given and what it gave."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

from smalti.errors import Refused
from smalti.runs.capture.recording import Recorder, checked_options
from smalti.runs.flexible_store import FlexibleDataStore
from smalti.runs.run_types import RunType
from smalti.runs.storage_modes import StorageMode

F = TypeVar("F", bound=Callable[..., Any])


@overload
def capture_flexible_data(function: F, /) -> F: ...
@overload
def capture_flexible_data(
    function: None = None,
    /,
    *,
    store_inputs: bool = ...,
    store_outputs: bool = ...,
    input_params: Iterable[str] | None = ...,
    output_param: str | None = ...,
    run_type: RunType | str | None = ...,
    storage_modes: Iterable[StorageMode | str] | str | None = ...,
    project: str | None = ...,
    s3_bucket: str | None = ...,
    s3_prefix: str | None = ...,
    root: str | Path | None = ...,
    store: FlexibleDataStore | None = ...,
    tags: Mapping[str, str] | None = ...,
    model: str | None = ...,
) -> Callable[[F], F]: ...
def capture_flexible_data(
    function: Callable[..., Any] | None = None,
    /,
    *,
    store_inputs: bool = True,
    store_outputs: bool = True,
    input_params: Iterable[str] | None = None,
    output_param: str | None = None,
    run_type: RunType | str | None = None,
    storage_modes: Iterable[StorageMode | str] | str | None = None,
    project: str | None = None,
    s3_bucket: str | None = None,
    s3_prefix: str | None = None,
    root: str | Path | None = None,
    store: FlexibleDataStore | None = None,
    tags: Mapping[str, str] | None = None,
    model: str | None = None,
) -> Any:
    """Record every call of a function as a run of its own; with or without arguments, on methods and async functions.

    Of the arguments, defaults included, small JSON becomes parameters; arrays, tables, bytes and whatever else the
    store takes become inputs, stored as they are before the call. What it refuses (a model, a connection) is noted by
    its type, in ``notes["not_stored"]``, and so is what is called like a secret. The result becomes the output
    ``result``; of a tuple, ``result_0``, ``result_1``, ... or the names of its fields.

    The run says ``running`` before the function begins, so that a process that is killed leaves it behind; it says
    ``finished``, ``failed`` with the exception, or ``stopped`` (Ctrl-C, a cancelled task, a generator that was left)
    afterwards. The exception itself is raised unchanged.

    A generator's run begins with its first value and ends with its last. Each value is kept before it is handed on:
    data as ``yielded_0000``, ``yielded_0001``, ..., the first thousand, and small JSON together, as a list called
    ``yielded``, the first ten thousand; the metric ``yielded`` counts all. What it returns is ``result``.

    Captured functions that are called in one another are parts of the outer run, in its store unless they name one; so
    are those in ``asyncio.to_thread`` and in tasks. A thread of your own has no outer run, unless it is started with
    ``contextvars.copy_context().run``.

    A store that cannot be written raises before the function is called. After that, whatever cannot be recorded is a
    ``RuntimeWarning``, and the result is returned all the same.

    Args:
        store_inputs, store_outputs: off, data is noted by type and not stored.
        input_params: only these arguments are stored as data.
        output_param: what the result is called; of a mapping that has such a key, only that item is stored.
        run_type, storage_modes, project, tags, model: as in ``FlexibleDataStore.create_run``.
        s3_bucket, s3_prefix, root: where the runs are recorded, as in ``FlexibleDataStore``; or ``store``, one that is
            open. By default where the outer run is, else where ``FlexibleDataStore()`` is.

    Raises:
        Refused: there is no such run type, mode, pattern or argument, or what is decorated is no function.
    """
    options = checked_options(
        input_params,
        run_type,
        storage_modes,
        store_inputs=store_inputs,
        store_outputs=store_outputs,
        output_param=output_param,
        project=project,
        tags=dict(tags or {}),
        model=model,
        s3_bucket=s3_bucket,
        s3_prefix=s3_prefix,
        root=root,
        store=store,
    )

    def decorate(target: Any) -> Any:
        if isinstance(target, staticmethod | classmethod):
            return type(target)(decorate(target.__func__))
        if inspect.isclass(target) or not callable(target):
            raise Refused(f"capture_flexible_data records the calls of functions; {target!r} is none.")
        return _captured(target, Recorder(target, options))

    return decorate if function is None else decorate(function)


def _captured(function: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    """Return a function of the same kind that records its calls."""
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        def yield_later(*args: Any, **kwargs: Any) -> Any:
            bound, generator = recorder.bind(args, kwargs), function(*args, **kwargs)
            return _drive_async(recorder, bound, generator) if bound else generator

        return yield_later
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def yield_now(*args: Any, **kwargs: Any) -> Any:
            bound, generator = recorder.bind(args, kwargs), function(*args, **kwargs)
            return _drive(recorder, bound, generator) if bound else generator

        return yield_now
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            if (bound := recorder.bind(args, kwargs)) is None:
                return await function(*args, **kwargs)
            recording = recorder.begin(bound)
            try:
                with recording.active():
                    result = await function(*args, **kwargs)
            except BaseException as error:
                recording.fail(error)
                raise
            recording.finish(result)
            return result

        return wait

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if (bound := recorder.bind(args, kwargs)) is None:
            return function(*args, **kwargs)
        recording = recorder.begin(bound)
        try:
            with recording.active():
                result = function(*args, **kwargs)
        except BaseException as error:
            recording.fail(error)
            raise
        recording.finish(result)
        return result

    return call


def _drive(
    recorder: Recorder, bound: inspect.BoundArguments, generator: Generator[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    """Hand on what a generator yields and what it is sent, and record it; it is the active run only while it works."""
    recording = recorder.begin(bound)
    step = functools.partial(next, generator)
    try:
        while True:
            with recording.active():
                try:
                    value = step()
                except StopIteration as end:
                    result = end.value
                    break
            recording.take(value)
            try:
                sent = yield value
            except GeneratorExit:
                with recording.active():
                    generator.close()
                raise
            except BaseException as error:
                step = functools.partial(generator.throw, error)
            else:
                step = functools.partial(generator.send, sent)
    except BaseException as error:
        recording.fail(error)
        raise
    recording.finish(result)
    return result


async def _drive_async(
    recorder: Recorder, bound: inspect.BoundArguments, generator: AsyncGenerator[Any, Any]
) -> AsyncGenerator[Any, Any]:
    """Do the same for an async generator, which returns nothing."""
    recording = recorder.begin(bound)
    step: Callable[[], Any] = functools.partial(anext, generator)
    try:
        while True:
            with recording.active():
                try:
                    value = await step()
                except StopAsyncIteration:
                    break
            recording.take(value)
            try:
                sent = yield value
            except GeneratorExit:
                with recording.active():
                    await generator.aclose()
                raise
            except BaseException as error:
                step = functools.partial(generator.athrow, error)
            else:
                step = functools.partial(generator.asend, sent)
    except BaseException as error:
        recording.fail(error)
        raise
    recording.finish(None)
