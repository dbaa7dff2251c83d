"""A folder of arrays, tables, files and folders, used like an object: ``d.images = array``, ``d.images.mean()``."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from smalti import notebook
from smalti.directory import frames, io, views
from smalti.directory.building.arguments import resolved
from smalti.directory.building.build import construct, delete_folder, instance, open_at
from smalti.directory.building.declared import auto_doc
from smalti.directory.context import context
from smalti.directory.diff import DirectoryDiff
from smalti.directory.errors import (
    AttributeMissing,
    AttributeTaken,
    ConfigWarning,
    EntryMissing,
    ImplementationWarning,
    ModifiedWarning,
    WrongType,
    warn,
)
from smalti.directory.hdf5.arrays import ArrayFile
from smalti.directory.metadata import MANUALLY_WRITTEN, META, is_done, read_meta, write_meta
from smalti.directory.namespaces import Namespace, diff, namespacify
from smalti.errors import Refused
from smalti.store.commit import machine_errors

if TYPE_CHECKING:
    from pandas import DataFrame

    from smalti.store import Store

__all__ = ["ConfigWarning", "Directory", "DirectoryDiff", "ImplementationWarning", "ModifiedWarning"]

D = TypeVar("D", bound="Directory")
_GIB = 1024**3


class _MadeByNew(type):
    """Leaves ``__init__`` alone, which is the build method and runs only when a directory is built."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls.__new__(cls, *args, **kwargs)  # type: ignore[arg-type]


class Directory(metaclass=_MadeByNew):
    """A folder whose entries are read and written as attributes or items.

    Arrays are HDF5 files (``name.h5``, dataset ``data``), tables are CSV files, paths are copied, mappings and
    directories become folders. ``d.note__txt`` is the file ``note.txt``. An entry that does not exist is an empty
    directory; nothing is on disk before the first write. Every write replaces its file in one step.

    Args:
        path: a ``Path``, or a name relative to the root directory (``set_root_dir``); a name that begins with ``.`` or
            ``~`` is a path, ``@/name`` is relative to the root.
        config: what it is built from, also as keyword arguments; stored in ``_meta.yaml``. Without a path, a directory
            of equal configuration below the root is found or, when there is none, built.

    A derived class declares defaults in an inner class ``Config``, or as those of its build method ``__init__``.

    Raises:
        WrongType: the arguments are in no valid form.
        PlaceTaken: another type, another configuration or a file is at the path, or its build was stopped.
        EntryMissing: nothing is at the path, and no configuration says how to build it.
    """

    class Config:
        """The configuration of a derived class: values are defaults, annotations are types."""

    path: Path
    _config: Namespace

    def __new__(cls: type[D], *args: Any, **kwargs: Any) -> D:
        return construct(cls, args, kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Fill the directory; a derived class that needs building overrides it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__doc__ = auto_doc(cls)

    def __reduce__(self) -> tuple[Any, ...]:
        return instance, (type(self), self.path, dict(self._config))

    def __copy__(self: D) -> D:
        return instance(type(self), self.path, self._config)

    def __deepcopy__(self: D, memo: dict[int, Any]) -> D:
        return self.__copy__()

    # -- What _meta.yaml says

    @property
    def meta(self) -> Namespace:
        """What ``_meta.yaml`` says; ``config`` None and ``status`` "done" where there is none."""
        return read_meta(self.path)

    @property
    def config(self) -> Any:
        """The stored configuration, else the one it was opened with; assigning replaces it, with a warning."""
        return self.meta.config or self._config

    @config.setter
    def config(self, value: Mapping[str, Any]) -> None:
        if not isinstance(value, Mapping):
            raise WrongType(f"a configuration is a mapping, not of type {type(value).__name__}; give a dict.")
        passed = namespacify(value)
        changes = diff(passed, self.config, "passed", "stored")
        warn(f"the configuration of {self.path} is replaced. Diff is: {changes}", ConfigWarning)
        with machine_errors(f"making {self.path}"):
            self.path.mkdir(parents=True, exist_ok=True)
        write_meta(self.path / META, passed, MANUALLY_WRITTEN, self.modified)

    @property
    def status(self) -> str:
        """``running`` while it is built, ``done``, ``stopped`` or ``manually written``."""
        return str(self.meta.status)

    @property
    def modified(self) -> bool:
        """Whether it was written to after it was built."""
        return bool(self.meta.get("modified", False))

    # -- Entries

    def __len__(self) -> int:
        return len(io.names_in(self.path))

    def __iter__(self) -> Iterator[str]:
        return iter(io.names_in(self.path))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in io.names_in(self.path)

    def keys(self) -> Iterator[str]:
        """Return the names of the entries, sorted; names that begin with ``_`` or ``.`` are left out."""
        return iter(self)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Return the names and entries."""
        return ((key, self[key]) for key in self)

    def __getitem__(self, key: str) -> Any:
        if not isinstance(key, str) and not self.path.exists():
            raise EntryMissing(f"{self.path}.h5 does not exist, so there is no array to take {key!r} of.")
        path = io.path_of(self.path, key)
        found = io.form_at(path)
        if found is None or found[0] == "folder":
            return open_at(Directory, Path(path))
        return io.read(found)

    def __setitem__(self, key: str, value: object) -> None:
        path = Path(io.path_of(self.path, key))
        if isinstance(value, Directory):
            io.copy_directory(self.path, key, value)
        elif isinstance(value, Mapping):
            io.check(key, value)
            io.make_folder_at(self.path, key)
            child = open_at(Directory, path)
            for name, item in value.items():
                child[name] = item
            io.remove_others(path, None)
        else:
            io.check(key, value)
            io.write(self.path, key, value)
        self._mark_modified()

    def __delitem__(self, key: str) -> None:
        io.delete(self.path, key)

    def __truediv__(self, key: str) -> Any:
        return self[key]

    def __getattr__(self, name: str) -> Any:
        if name[0] == "_" and (name[:2] == "__" or io.form_at(io.path_of(self.path, _key(name))) is None):
            raise AttributeMissing(f"{type(self).__qualname__} has no attribute {name!r}.")
        return self[_key(name)]

    def __setattr__(self, name: str, value: object) -> None:
        known = getattr(type(self), name, None)
        settable = hasattr(known, "__set__") and getattr(known, "fset", True) is not None
        if name[:2] == "__" or settable:
            object.__setattr__(self, name, value)
        elif hasattr(Directory, name) or name in {"path", "_config"}:
            raise AttributeTaken(
                f"{name!r} is an attribute of every directory; for an entry write directory[{name!r}]."
            )
        else:
            self[_key(name)] = value

    def __delattr__(self, name: str) -> None:
        del self[_key(name)]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(key.replace(".", "__") for key in self)})

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise EntryMissing(f"{self.path} is a directory, and there is no array {self.path}.h5.")

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        array, method = f"{self.path.parent}.h5", self.path.name
        raise WrongType(f"there is no array {array} whose method {method!r} could be called, nor has a directory one.")

    def extend(self, key: str, value: object) -> None:
        """Append to an entry, which is created when it does not exist.

        Arrays are joined on axis 0, tables by rows, files (from a ``Path``) by bytes, mappings and directories
        entry by entry.

        Raises:
            WrongType: the entry has another form, or another shape or type than what is appended.
        """
        if isinstance(value, Mapping | Directory):
            io.check_folder(self.path, key)
            child = open_at(Directory, Path(io.path_of(self.path, key)))
            for name, item in value.items():
                child.extend(name, item)
        else:
            io.extend(self.path, key, value)
        self._mark_modified()

    def update(self, other: Mapping[str, Any] | Directory, suffix: str = "") -> None:
        """Write those entries of another directory or mapping that are not here; ``suffix`` is added to each name."""
        present = set(self)
        for key in other:
            if key + suffix not in present:
                self[key + suffix] = other[key]

    # -- As a whole

    @property
    def parent(self) -> Directory:
        """The directory that this one is in."""
        return open_at(Directory, self.path.absolute().parent)

    @property
    def size(self) -> int:
        """The size of all its files, in bytes."""
        return views.size_nbytes(self.path)

    @property
    def is_empty(self) -> bool:
        """Whether it has no entries."""
        return len(self) == 0

    def mtime(self) -> datetime.datetime:
        """Return when the folder was last changed, in local time.

        Raises:
            EntryMissing: it does not exist.
        """
        if not self.path.exists():
            raise EntryMissing(f"{self.path} does not exist yet, so it was never changed.")
        return datetime.datetime.fromtimestamp(self.path.stat().st_mtime)

    def move(self, dst: str | Path) -> Directory:
        """Move the folder to where nothing is, a path or name as of the constructor, and return it there.

        Raises:
            PlaceTaken: something is there.
            EntryMissing: there is no folder to move.
        """
        target = resolved(dst)
        io.move_folder(self.path, target)
        return open_at(Directory, target)

    def rmtree(self, y_n: str | None = None) -> None:
        """Delete the folder and all in it, when ``y_n`` or the answer to the question is ``y``."""
        reply = input(f"delete {self.path} recursively, y/n?") if y_n is None else y_n
        if reply.strip().lower() == "y" and self.path.exists():
            delete_folder(self.path)

    def check_size(
        self, warning_at: int = 20 * _GIB, print_size: bool = False, *, raise_on_warning: bool = False
    ) -> int:
        """Return the size in bytes, with a ``ResourceWarning`` from ``warning_at`` bytes on.

        Raises:
            Refused: it is larger than that, and ``raise_on_warning``.
        """
        return views.checked_size(self.path, warning_at, print_size, raise_on_warning)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Directory):
            raise Refused(f"a directory is compared with another one, not with what is of type {type(other).__name__}.")
        return self.path == other.path or DirectoryDiff(self, other).equal()

    __hash__ = None  # type: ignore[assignment]  # equality is that of the content

    def diff(self, other: Any = None, to: Any = None, store: Store | None = None) -> Any:
        """Return the differences from another directory, as lines by the two names; or from a version of this one.

        Args:
            other: a directory; a version, from which changes are told; None for the version that the files are of.
            to: the version to which they are told; None for the files as they are.
            store: that holds the versions.
        """
        if isinstance(other, Directory):
            return DirectoryDiff(self, other).diff()
        from smalti.directory import versions

        return versions.diff(self.path, store=store, version=other, other=to)

    # -- Versions

    def commit(self, message: str, store: Store | None = None) -> Any:
        """Store the present files as a version, and return it."""
        from smalti.directory import versions

        return versions.commit(self.path, message, store)

    def log(self, store: Store | None = None) -> Any:
        """Return the versions, the newest first."""
        from smalti.directory import versions

        return versions.log(self.path, store)

    def checkout(self, version: Any, store: Store | None = None, force: bool = False) -> Any:
        """Write the files as they were in a version; what was changed since the last commit only with ``force``."""
        from smalti.directory import versions

        return versions.checkout(self.path, version, store, force=force)

    # -- Tables

    @classmethod
    def from_df(cls: type[D], df: DataFrame, dtypes: Mapping[str, Any], *args: Any, **kwargs: Any) -> D:
        """Return a directory with one array for each column of a table that is not in it yet.

        Args:
            df: the table.
            dtypes: of each column; text is stored as byte strings: ``"S"``, or ``"S50"`` for at most 50 bytes.
            args: of the directory.
            kwargs: of the directory.

        Raises:
            Refused: a column has no dtype, or does not fit into it.
        """
        columns = frames.columns_of(df, dtypes)
        directory = cls(*args, **kwargs)
        directory.update(columns)
        return directory

    def to_df(self, dtypes: Mapping[str, Any] | None = None) -> DataFrame:
        """Return the arrays of the commonest length as columns; see ``frames.frame_of``."""
        return frames.frame_of(self.to_dict(), dtypes)

    def to_dict(self) -> dict[str, Any]:
        """Return the arrays in memory, by name."""
        return {key: value[...] for key, value in self.items() if isinstance(value, ArrayFile)}

    # -- Views

    def __repr__(self) -> str:
        return views.text(self.path, context.verbosity_level.get())

    def _repr_html_(self) -> str:
        return notebook.html(views.entry_of(self.path, f"{self.path.name}/"))

    def tree(
        self,
        level: int = -1,
        length_limit: int | None = None,
        verbose: bool = True,
        last_modified: bool = True,
        limit_to_directories: bool = False,
    ) -> None:
        """Print a drawn tree; see ``views.tree``."""
        print(views.tree(self.path, level, length_limit, verbose, last_modified, limit_to_directories))

    # -- Numbered directories

    def _count(self) -> int:
        """Return how many of ``0000``, ``0001``, ... (hexadecimal) there are before the first that is missing."""
        return next(count for count in itertools.count() if not (self.path / f"{count:04x}").exists())

    def _next(self) -> Directory:
        """Return the first numbered directory that is missing, with the configuration of this one."""
        return Directory(self.path / f"{self._count():04x}", self.config)

    def _mark_modified(self) -> None:
        """Record in ``_meta.yaml`` that a directory whose build is done was written to."""
        if is_done(self.path):
            write_meta(self.path / META, self.config, self.status, modified=True)


def _key(name: str) -> str:
    return name.replace("__", ".")


_auto_doc = auto_doc  # the name that datamate has for it
