"""What a migration would store: runs with their values, named values, and what cannot be brought and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from smalti.canonical import Json
from smalti.migration.sources.source import Left
from smalti.migration.values.forms import Form


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of the source, in the form that it is stored in."""

    path: str
    form: Form
    nbytes: int


@dataclass(frozen=True, slots=True)
class FolderPart:
    """Files as they lie in a folder, each as bytes; ``executable`` names those that may be executed."""

    entries: Mapping[str, FilePart | FolderPart]
    executable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TreePart:
    """Named values, and what is said of them as JSON."""

    children: Mapping[str, Part]
    attrs: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class MadePart:
    """A value that is made of what the source says and lies in no file: a document, or a table by its columns."""

    value: Json = None
    columns: Mapping[str, tuple[str, list[float] | list[int] | list[str]]] | None = None


Part = FilePart | FolderPart | TreePart | MadePart


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a run besides its values; times are ISO 8601 in UTC, "" where they are not known.

    Attributes:
        model: what the model is called, where it is shown by that.
        views: how it is organised: by_project, by_date, by_type, by_model, flat.
        notes: where it came from, and what has no field of its own.
    """

    project: str = ""
    run_type: str = "experiment"
    model: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Json] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    created_at: str = ""
    started_at: str = ""
    ended_at: str = ""
    status: str = "finished"
    parent: str = ""
    code: Mapping[str, Json] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    views: tuple[str, ...] = ("by_project",)
    notes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run to be: what it is called in the store, and what each of its values is made of.

    Attributes:
        source: where it lies in the source.
        hints: path of a file -> the hash that the source has for it, which is only a hint.
        remarks: what of it is brought in another way than one might expect, or not at all.
    """

    run: str
    source: str
    inputs: Mapping[str, Part]
    outputs: Mapping[str, Part]
    facts: Facts
    hints: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NamedValue:
    """A value that is no part of a run in the source, and the name it gets.

    Attributes:
        facts: what is known of how it came to be, where that is more than its name; kept in a manifest.
    """

    name: str
    source: str
    part: Part
    facts: Facts | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run whose description cannot be read, and why as a sentence."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a source holds, parents before children."""

    kind: str
    place: str
    runs: tuple[PlannedRun, ...] = ()
    values: tuple[NamedValue, ...] = ()
    failed: tuple[FailedRun, ...] = ()
    left: tuple[Left, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all that can be brought from such a source is in the plan."""
        return not self.failed and not any(left.is_failure for left in self.left)

    @property
    def files(self) -> int:
        """How many files of the source are brought."""
        return len(self._sizes())

    @property
    def nbytes(self) -> int:
        """Their size; a file that is part of several values counts once."""
        return sum(self._sizes().values())

    def _sizes(self) -> dict[str, int]:
        return {file.path: file.nbytes for part in self.parts() for file in files_of(part)}

    def parts(self) -> Iterator[Part]:
        """Yield what every value is made of."""
        for run in self.runs:
            yield from run.inputs.values()
            yield from run.outputs.values()
        yield from (value.part for value in self.values)


def files_of(part: Part) -> Iterator[FilePart]:
    """Yield the files that a value is made of."""
    if isinstance(part, FilePart):
        yield part
    elif isinstance(part, FolderPart):
        for entry in part.entries.values():
            yield from files_of(entry)
    elif isinstance(part, TreePart):
        for child in part.children.values():
            yield from files_of(child)


def folder_part(files: Mapping[str, tuple[str, int, bool]]) -> FolderPart:
    """Return a folder out of its files: path within it -> path in the source, size, and whether it is executable."""
    entries: dict[str, FilePart | FolderPart] = {}
    below: dict[str, dict[str, tuple[str, int, bool]]] = {}
    executable = set()
    for path, (where, nbytes, may_run) in sorted(files.items()):
        name, _, rest = path.partition("/")
        if rest:
            below.setdefault(name, {})[rest] = (where, nbytes, may_run)
            continue
        entries[name] = FilePart(where, "bytes", nbytes)
        if may_run:
            executable.add(name)
    entries.update({name: folder_part(inner) for name, inner in below.items()})
    return FolderPart(dict(sorted(entries.items())), frozenset(executable))
