"""What a comparison finds: a list of differences, each with what changed in the content, in the terms of its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from smalti.canonical import Json
from smalti.store.maintenance.diff import RowChange

Happened = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One place in a JSON document.

    Attributes:
        path: as one would write it: ``optimizer.betas[1]``; empty for the whole. An item of a list has the number it
            has afterwards, one that was removed the number it had.
        before, after: None also where there was nothing: ``happened`` says which.
        unit: of both, where the name of the field ends in one: ``eV``, ``m``, ``s``, ``deg``.
    """

    path: str
    happened: Happened
    before: Json = None
    after: Json = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class DocumentDifference:
    """Where two JSON documents differ; ``more`` counts the places beside those listed."""

    changes: tuple[ValueChange, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class ComplexDifference:
    """How complex arrays differ as they are: neither was shifted, scaled or turned to fit the other.

    Attributes:
        amplitude_mean, amplitude_max: of the absolute difference of the amplitudes, over all elements that were read.
        phase_rms_rad: of the phase of ``after`` against ``before``, weighted with the product of the amplitudes.
        phase_overall_rad: the one phase by which ``after`` is turned on the whole.
        correlation: 0 to 1; 1 where both differ by one complex factor only.
    """

    amplitude_mean: float
    amplitude_max: float
    phase_rms_rad: float
    phase_overall_rad: float
    correlation: float


@dataclass(frozen=True, slots=True)
class ElementsDifference:
    """How the elements of two arrays differ that stand in the same place, or in rows that correspond.

    Attributes:
        compared: elements that were read and compared; all others are equal.
        changed: those that differ in value.
        spelling: those that are equal but not to the bit: the sign of a zero, which NaN it is.
        max_abs: largest absolute difference of two finite elements; exact for integers, in ``unit`` for times.
        before_at_max, after_at_max: the two elements, and where they are in each array.
        index_before, index_after: where that is in each array.
        mean_abs: mean absolute difference over the finite elements that changed.
        max_rel: largest difference relative to the element before, where that is not 0.
        nan_came, nan_gone: elements that are NaN (NaT) only afterwards, only before.
        infinite_came, infinite_gone: the same of infinities.
        true_came, true_gone: the same of true, in arrays of truths.
        unit: of times and durations, e.g. ``ns``.
        complex: more about complex numbers.
    """

    compared: int
    changed: int
    spelling: int = 0
    max_abs: float | int | None = None
    before_at_max: Any = None
    after_at_max: Any = None
    index_before: tuple[int, ...] = ()
    index_after: tuple[int, ...] = ()
    mean_abs: float | None = None
    max_rel: float | None = None
    nan_came: int = 0
    nan_gone: int = 0
    infinite_came: int = 0
    infinite_gone: int = 0
    true_came: int = 0
    true_gone: int = 0
    unit: str = ""
    complex: ComplexDifference | None = None


@dataclass(frozen=True, slots=True)
class ArrayDifference:
    """How two arrays differ.

    Attributes:
        dtypes, shapes: before and after.
        rows: which rows differ, as numpy slices them: the first hundred ranges; where one of the two ranges is empty,
            rows were inserted or deleted.
        ranges: how many ranges there are.
        rows_changed, rows_inserted, rows_deleted: how many; a row that was replaced by another number of rows counts
            as deleted and inserted.
        elements: how those elements differ that could be compared; None where none could.
        note: how elements were compared, or why they were not, where that is not plain.
    """

    dtypes: tuple[str, str]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    rows: tuple[RowChange, ...] = ()
    ranges: int = 0
    rows_changed: int = 0
    rows_inserted: int = 0
    rows_deleted: int = 0
    elements: ElementsDifference | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ColumnDifference:
    """A column that both tables have.

    Attributes:
        types: before and after, as Arrow calls them.
        cells: how many cells changed; None where they could not be compared.
        max_abs, mean_abs: of the difference of numbers, over the cells that changed and hold one before and after.
    """

    name: str
    types: tuple[str, str]
    cells: int | None
    max_abs: float | None = None
    mean_abs: float | None = None


@dataclass(frozen=True, slots=True)
class CellChange:
    """One cell: which row (its key, or its number before and after), which column, and both values as text."""

    row: str
    column: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class TableDifference:
    """How two tables differ.

    Attributes:
        rows: how many there are before and after.
        key: the columns that say which rows correspond; empty where they were matched by content and place.
        matching: in words, how rows were matched.
        columns_added, columns_removed: name and type.
        columns_moved: whether the columns that both have come in another order.
        columns: those that both have and that differ.
        rows_added, rows_removed, rows_changed: how many.
        rows_moved: rows that both have, as they are, in another order.
        added, removed: the keys, or the numbers, of the first of them.
        cells: the first cells that changed.
        cells_changed: how many.
        about: what differs beside columns and rows: index, labels, attributes of a DataFrame, metadata.
    """

    rows: tuple[int, int]
    key: tuple[str, ...] = ()
    matching: str = ""
    columns_added: tuple[tuple[str, str], ...] = ()
    columns_removed: tuple[tuple[str, str], ...] = ()
    columns_moved: bool = False
    columns: tuple[ColumnDifference, ...] = ()
    rows_added: int = 0
    rows_removed: int = 0
    rows_changed: int = 0
    rows_moved: int = 0
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    cells: tuple[CellChange, ...] = ()
    cells_changed: int = 0
    about: DocumentDifference = DocumentDifference(())


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """One tensor of weights, with Euclidean norms; ``relative`` is that of the difference over that before.

    Attributes:
        values: of a tensor of one real element, the two.
        max_abs: largest absolute difference of two elements.
    """

    name: str
    happened: Happened
    dtypes: tuple[str | None, str | None]
    shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    norm_before: float | None = None
    norm_after: float | None = None
    norm_difference: float | None = None
    relative: float | None = None
    max_abs: float | None = None
    values: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class WeightsDifference:
    """How two sets of named tensors differ; ``total`` is how many tensors there are afterwards."""

    tensors: tuple[TensorDifference, ...]
    total: int


@dataclass(frozen=True, slots=True)
class BytesDifference:
    """How two sequences of bytes differ.

    Attributes:
        sizes: before and after, in bytes.
        first: where they begin to differ; None where one is the beginning of the other.
        lines: a unified diff where both are text in UTF-8 of at most 1 MiB, its first lines.
        lines_added, lines_removed: in the whole of it; None where there is no such diff.
        more: how many lines of the diff are left out.
    """

    sizes: tuple[int, int]
    first: int | None = None
    lines: tuple[str, ...] = ()
    lines_added: int | None = None
    lines_removed: int | None = None
    more: int = 0


@dataclass(frozen=True, slots=True)
class FileDifference:
    """How two files differ that hold arrays or a table: by what is in them.

    Attributes:
        name: what the file is called.
        sizes: before and after, in bytes.
        inside: the arrays that differ, or the table.
        same: how many arrays do not differ.
    """

    name: str
    sizes: tuple[int, int]
    inside: tuple[Difference, ...]
    same: int = 0


Content = ArrayDifference | TableDifference | WeightsDifference | DocumentDifference | BytesDifference | FileDifference


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that was added, removed or changed.

    Attributes:
        path: the names of the children that lead there, joined by ``/``; empty for the values themselves.
        happened: what happened to it.
        what: what it is, with its size; of two kinds, both.
        before, after: the addresses; None where there was nothing, and for what lies inside a file.
        content: how the content differs; None for what was added or removed, and between two kinds.
        notes: what that means physically, and what could not be read or was not compared.
    """

    path: str
    happened: Happened
    what: str
    before: str | None = None
    after: str | None = None
    content: Content | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that differs between two values; ``same`` counts the children that do not.

    Attributes:
        before, after: the addresses.
        what: what both are; of two kinds, both.
        differences: in order of the paths.
    """

    before: str
    after: str
    what: str
    differences: tuple[Difference, ...]
    same: int = 0

    @property
    def equal(self) -> bool:
        return self.before == self.after
