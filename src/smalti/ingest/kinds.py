"""The kinds of file that arrive, one declaration for each: how it is recognised, its contract, where it goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from smalti.contracts.base import AnyContract
from smalti.contracts.builtin.checkpoint import WEIGHTS
from smalti.contracts.builtin.product import PRODUCT
from smalti.contracts.builtin.scan import SCAN
from smalti.contracts.registry import declared
from smalti.contracts.tables.table import TABLE
from smalti.contracts.violation import Violation, shown
from smalti.errors import Refused
from smalti.formats.sniff import EXPECTED, Form, suffix_of
from smalti.settings import dotenv_files, yaml_files

TABLE_FORMS: frozenset[Form] = frozenset({"csv", "tsv", "jsonl", "parquet", "arrow", "arrow stream"})
_SCAN_NAMES = frozenset({name for spec in SCAN.arrays for name in (spec.key, *spec.aliases)})
_TABLE_SUFFIXES = {".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather"}
_PRODUCT_NAMES = frozenset({"probe_position_x_m", "probe_position_y_m", "probe", "object"})


@dataclass(frozen=True, slots=True)
class Outline:
    """What a kind may ask about a file: its format and its names, no values.

    Attributes:
        form: its format; None where it is none that is read here.
        names: of the arrays in it, or of the columns of a table.
    """

    form: Form | None
    names: frozenset[str] = frozenset()

    @property
    def is_table(self) -> bool:
        """Whether the format holds a table."""
        return self.form in TABLE_FORMS


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file.

    Attributes:
        name: what a card calls it (``kind: table``), and the end of the name of its raw asset: ``raw_table``.
        about: one sentence for people.
        contract: what a file of this kind must keep; None where it is kept as bytes.
        fits: whether a file may be of this kind, by its outline alone.
        partitions: the name of the Dagster partitions that its keys become.
    """

    name: str
    about: str
    contract: AnyContract | None
    fits: Callable[[Outline], bool]
    partitions: str

    @property
    def raw(self) -> str:
        """The asset, and the first part of the store name, under which the originals are kept."""
        return f"raw_{self.name}"

    @property
    def contract_id(self) -> str:
        """The contract that a file of this kind records, e.g. ``scan/2``; ``file/1`` where it is only bytes."""
        return self.contract.id if self.contract else f"{self.name}/1"


def _is_product(outline: Outline) -> bool:
    return outline.form in ("zip", "hdf5") and outline.names >= _PRODUCT_NAMES


def _is_weights(outline: Outline) -> bool:
    return outline.form == "safetensors" and not outline.names & _SCAN_NAMES


def _is_scan(outline: Outline) -> bool:
    arrays = outline.form is not None and not outline.is_table
    return arrays and not _is_product(outline) and not _is_weights(outline)


SCAN_KIND = Kind("scan", "A ptychography scan: patterns, positions, first guesses.", SCAN, _is_scan, "scan")
TABLE_KIND = Kind(
    "table",
    "A table: CSV, TSV, JSON lines, Parquet or Arrow.",
    TABLE,
    lambda outline: outline.is_table,
    "dataset",
)
CHECKPOINT_KIND = Kind("checkpoint", "The weights of a network, as safetensors.", WEIGHTS, _is_weights, "checkpoint")
PRODUCT_KIND = Kind(
    "product",
    "A Ptychodus product, whichever program wrote it.",
    PRODUCT,
    _is_product,
    "product",
)
FILE_KIND = Kind("file", "Any other file, kept as bytes.", None, lambda outline: outline.form is None, "file")

OURS = (SCAN_KIND, TABLE_KIND, CHECKPOINT_KIND, PRODUCT_KIND, FILE_KIND)


def kinds() -> tuple[Kind, ...]:
    """Return every kind: ours, then those declared in the file that ``SMALTI_CONTRACTS`` names, read once a process.

    Raises:
        NotFound, Refused: that file cannot be read, or one of its kinds has the name of another.
    """
    return _kinds(os.environ.get("SMALTI_CONTRACTS"), (*dotenv_files(), *yaml_files()))


@lru_cache(8)
def _kinds(_contracts: str | None, _files: tuple[Path, ...]) -> tuple[Kind, ...]:
    """Ask the settings, which takes a millisecond, once for each state of what decides them."""
    yours = declared(Kind)
    names = [kind.name for kind in (*OURS, *yours)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refused(f"there is a kind of file called {twice[0]} already; give yours another name.")
    return (*OURS, *yours)


def kind_named(name: str) -> Kind:
    """Return the kind of this name; raises Refused where there is none."""
    every = {kind.name: kind for kind in kinds()}
    if name not in every:
        raise Refused(f"{shown(name)} is no kind of file; the kinds are {', '.join(every)}.")
    return every[name]


def claimed_kind(filename: str) -> Kind:
    """Return the kind that a file's name claims, for one that cannot be read."""
    suffix = suffix_of(filename)
    if suffix in _TABLE_SUFFIXES:
        return TABLE_KIND
    if suffix == ".safetensors":
        return CHECKPOINT_KIND
    return SCAN_KIND if suffix in EXPECTED else FILE_KIND


def recognise_kind(outline: Outline, stated: str | None, among: Iterable[Kind], card_name: str) -> Kind | Violation:
    """Return the kind of a file, or the violation that says why none was chosen; pure.

    What the card states is taken. Otherwise one kind must fit; a kind that a user declared goes before the built-in
    kind of the same format, and between two that fit nothing is guessed.

    Args:
        stated: the card's ``kind``, if it has one.
        card_name: the file name of the card, for the remedy.
    """
    every = {kind.name: kind for kind in among}
    if stated is not None:
        if stated in every:
            return every[stated]
        wanted = f"one of {', '.join(every)}"
        return Violation("card.value", "kind", shown(repr(stated)), wanted, f"correct kind in {card_name}")
    fitting = [kind for kind in every.values() if kind.fits(outline)]
    declared_by_user = [kind for kind in fitting if kind not in OURS]
    candidates = declared_by_user or fitting
    if len(candidates) == 1:
        return candidates[0]
    names = [kind.name for kind in candidates] or list(every)
    found = f"a file that could be {' or '.join(names)}" if candidates else "a file of no known kind"
    return Violation("file.kind", "the file", found, "one kind", f"write kind: {names[0]} in {card_name}")
