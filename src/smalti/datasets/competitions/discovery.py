"""Dataset classes found by where they lie and what they are called; a file that does not run is named, not fatal."""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from smalti.contracts.violation import shown
from smalti.datasets.names import name_of_class
from smalti.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smalti.datasets.competitions.dataset import KaggleDataset

FOLDER = "datasets"
ENDING = "_dataset.py"


@dataclass(frozen=True, slots=True)
class Failure:
    """A file, or a class in it, that cannot be used, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{shown(str(self.path))}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found below a folder.

    Attributes:
        classes: dataset classes by the name of their dataset, e.g. ``house-prices`` for ``HousePricesDataset``.
        failures: what looks like a dataset and cannot be used.
    """

    classes: Mapping[str, type[KaggleDataset]] = field(default_factory=lambda: MappingProxyType({}))
    failures: tuple[Failure, ...] = ()


def discover(folder: Path) -> Discovery:
    """Run the files that may hold datasets, and return the classes that do.

    These are the files ``*_dataset.py`` at or below ``folder``, and every Python file in a folder ``datasets``; hidden
    ones, and those that begin with ``_``, are left out. A dataset is a class ``*Dataset`` that derives from
    ``KaggleDataset`` and is defined in the file. The files are run: name only a folder that you trust.

    Raises:
        NotFound: there is no such folder.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {shown(str(folder))} to look for datasets in; name one that exists.")
    classes: dict[str, type[KaggleDataset]] = {}
    failures: list[Failure] = []
    for path in candidates(folder):
        module = _run(path)
        if isinstance(module, Failure):
            failures.append(module)
            continue
        for found in _dataset_classes(module):
            name = name_of_class(found.__name__)
            if lacking := sorted(getattr(found, "__abstractmethods__", ())):
                failures.append(Failure(path, f"class {found.__name__} does not define {', '.join(lacking)}"))
            elif name in classes:
                first = sys.modules[classes[name].__module__].__file__
                failures.append(Failure(path, f"class {found.__name__} is in {shown(str(first))} already"))
            else:
                classes[name] = found
    return Discovery(MappingProxyType(classes), tuple(failures))


def candidates(folder: Path) -> Iterator[Path]:
    """Yield the files that may hold datasets, in order."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        here = Path(place)
        inside = here.resolve().name == FOLDER
        for name in sorted(files):
            if name.startswith((".", "_")):
                continue
            if name.endswith(ENDING) or (inside and name.endswith(".py")):
                yield here / name


def _run(path: Path) -> ModuleType | Failure:
    """Run a file once for each content it has had, and return its module."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return Failure(path, f"it cannot be read ({error.strerror})")
    name = f"smalti_datasets_{hashlib.sha256(str(path.resolve()).encode() + content).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        return Failure(path, "it is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses looks classes up there
    try:
        exec(compile(content, str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        return Failure(path, f"it does not run: {_line_in(path, error)}{type(error).__name__}: {_told(error)}")
    return module


def _dataset_classes(module: ModuleType) -> Iterator[type[KaggleDataset]]:
    from smalti.datasets.competitions.dataset import KaggleDataset

    for value in vars(module).values():
        own = inspect.isclass(value) and value.__module__ == module.__name__
        if own and value.__name__.endswith("Dataset") and issubclass(value, KaggleDataset):
            yield value


def _told(error: BaseException) -> str:
    return shown(" ".join(str(error).split()))


def _line_in(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}, "
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"line {lines[-1]}, " if lines else ""
