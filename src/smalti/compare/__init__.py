"""What differs between two values, read from their content: rows, columns, tensors, fields in physical units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.compare.differences import (
        ArrayDifference,
        BytesDifference,
        CellChange,
        ColumnDifference,
        Comparison,
        ComplexDifference,
        Difference,
        DocumentDifference,
        ElementsDifference,
        FileDifference,
        TableDifference,
        TensorDifference,
        ValueChange,
        WeightsDifference,
    )
    from smalti.compare.display.page import page
    from smalti.compare.display.words import summary, text
    from smalti.compare.runs import RUN, compare_runs
    from smalti.compare.values import compare

_DIFFERENCES = "smalti.compare.differences"
_HOME = {
    "ArrayDifference": _DIFFERENCES,
    "BytesDifference": _DIFFERENCES,
    "CellChange": _DIFFERENCES,
    "ColumnDifference": _DIFFERENCES,
    "Comparison": _DIFFERENCES,
    "ComplexDifference": _DIFFERENCES,
    "Difference": _DIFFERENCES,
    "DocumentDifference": _DIFFERENCES,
    "ElementsDifference": _DIFFERENCES,
    "FileDifference": _DIFFERENCES,
    "RUN": "smalti.compare.runs",
    "TableDifference": _DIFFERENCES,
    "TensorDifference": _DIFFERENCES,
    "ValueChange": _DIFFERENCES,
    "WeightsDifference": _DIFFERENCES,
    "compare": "smalti.compare.values",
    "compare_runs": "smalti.compare.runs",
    "page": "smalti.compare.display.page",
    "summary": "smalti.compare.display.words",
    "text": "smalti.compare.display.words",
}

__all__ = [
    "RUN",
    "ArrayDifference",
    "BytesDifference",
    "CellChange",
    "ColumnDifference",
    "Comparison",
    "ComplexDifference",
    "Difference",
    "DocumentDifference",
    "ElementsDifference",
    "FileDifference",
    "TableDifference",
    "TensorDifference",
    "ValueChange",
    "WeightsDifference",
    "compare",
    "compare_runs",
    "page",
    "summary",
    "text",
]

__getattr__ = lazy_names(__name__, _HOME)
