"""Validation of a product file: its contract, and what its readers would do otherwise without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from smalti.contracts.builtin.product import PRODUCT, ProductContract
from smalti.contracts.result import ValidationResult
from smalti.contracts.violation import Violation, errors, shown
from smalti.errors import ContractBroken
from smalti.formats import DEFAULT_LIMITS, Limits
from smalti.products.container import load_layout
from smalti.products.layout import (
    ATTENUATION,
    DATASETS,
    DISTANCE,
    ENERGY,
    NUMBERS,
    RAW,
    RAW_DATASETS,
    REQUIRED,
    Layout,
)
from smalti.products.translation import conversions_of, missing_of_raw, parts_of, product_of

_NO_PRODUCT = Violation(
    "file.kind",
    "the file",
    "none of the arrays of a product",
    ", ".join(REQUIRED),
    "give a product; smalti validate says what another file is",
)
_REMEDIES = {
    "key.missing": "write the array under this name",
    "field.missing": "write it as an attribute of its dataset",
}


def validate_product(
    path: Path, contract: ProductContract = PRODUCT, limits: Limits = DEFAULT_LIMITS
) -> ValidationResult:
    """Read and validate a product file; a broken contract is the result, not an exception.

    Args:
        path: HDF5 or NPZ, of any Ptychodus from 0.7 on, or of PtychoPINN.
        contract: ``PRODUCT``, or one that asks for more or less.
        limits: what the file may ask for.

    Returns:
        The product, with the patterns that travel with it, and every violation, errors first.

    Raises:
        NotFound: there is no such file.
        Unavailable: the machine cannot read it.
    """
    try:
        layout = load_layout(path, DATASETS, limits)
    except ContractBroken as error:
        violations = tuple(v for v in error.violations if isinstance(v, Violation))
        return ValidationResult(None, violations, contract=contract.id, refusal=str(error))
    return validate_layout(layout, contract)


def validate_layout(layout: Layout, contract: ProductContract = PRODUCT) -> ValidationResult:
    """Validate what a product file holds; pure. See ``validate_product``."""
    if not layout.datasets.keys() & set(REQUIRED):
        return ValidationResult(None, (_NO_PRODUCT,), contract=contract.id)
    parts = parts_of(layout)
    of_file = (*layout.unread, *chain.from_iterable(check(layout) for check in _CHECKS))
    told = {violation.place for violation in of_file}
    kept = (v for v in contract.check(parts) if not (v.code == "field.missing" and v.place in told))
    violations = (*map(_in_a_file, kept), *(of_file if contract.every_reader else ()))
    product = None if errors(violations) else product_of(parts)
    in_order = tuple(sorted(violations, key=lambda violation: violation.severity != "error"))
    return ValidationResult(product, in_order, conversions_of(layout, parts), contract=contract.id)


def _in_a_file(violation: Violation) -> Violation:
    """Return a violation with the remedy that a product file has; it has no card that could name an array."""
    return replace(violation, remedy=_REMEDIES.get(violation.code, violation.remedy))


def _numbers(layout: Layout) -> Iterator[Violation]:
    """Yield root attributes that readers cannot do without, or cannot read."""
    for names in NUMBERS:
        required, value = names in (ENERGY, DISTANCE), layout.attribute(*names)
        if value is None and required:
            wanted, remedy = "this attribute", "write it; Ptychodus does not open the file without it"
            yield Violation("product.attribute_missing", names[0], "nothing", wanted, remedy)
        elif value is not None and not isinstance(value, int | float):
            yield Violation(
                "product.attribute_type", names[0], shown(repr(value)), "one number", "write it as one number"
            )
        elif value is not None and not np.isfinite(value):
            remedy = "state it, or write 0, which says unknown"
            yield _warning("field.not_finite", names[0], f"{value}", "a finite number", remedy)
        elif value == 0 and required:
            wanted, remedy = "a positive number: the wavelength follows from it", "state it, where it is known"
            yield _warning("product.unknown", names[0], "0, which says unknown", wanted, remedy)


def _names(layout: Layout) -> Iterator[Violation]:
    """Yield values that a newer or older Ptychodus would read differently."""
    for new, old in (ENERGY, ATTENUATION):
        first, second = layout.attribute(new), layout.attribute(old)
        if first is not None and second is not None and not np.array_equal(first, second):
            found = f"{first} and, as {old}, {second}"
            remedy = "write the one that is right under both names"
            yield Violation("product.names_disagree", new, found, "one value under both names", remedy)
        elif first is None and isinstance(second, int | float) and second:
            remedy = f"write {new} too"
            yield _warning("product.old_name", old, "no new name beside it", f"{new} too, for Ptychodus 1.7", remedy)


def _losses(layout: Layout) -> Iterator[Violation]:
    losses = layout.array("loss_values", "costs")
    if losses is not None and losses.size and not {"loss_epochs", "loss_values"} <= layout.datasets.keys():
        wanted, remedy = "both: Ptychodus 1.3 and later read both or none", "write both"
        yield _warning("product.losses_ignored", "loss_values", "losses without loss_epochs", wanted, remedy)


def _opr(layout: Layout) -> Iterator[Violation]:
    probe = layout.datasets.get("probe")
    attribute = None if probe is None else probe.attrs.get("opr_weights")
    dataset = layout.array("opr_weights")
    if dataset is None and attribute is not None:
        wanted = "a root dataset, for Ptychodus 1.3 and later"
        yield _warning("product.opr_attribute", "opr_weights", "an attribute of probe only", wanted, "write both")
    elif dataset is not None and attribute is not None and not np.array_equal(dataset, np.asarray(attribute)):
        found, wanted = "other weights than in the attribute of probe", "the same weights, for Ptychodus 1.0 to 1.2"
        remedy = "write the ones that are right in both places"
        yield Violation("product.names_disagree", "opr_weights", found, wanted, remedy)


def _raw(layout: Layout) -> Iterator[Violation]:
    """Yield what the patterns that travel with a product lack."""
    missing = missing_of_raw(layout)
    if missing and len(missing) < len(RAW_DATASETS):
        found, wanted = f"patterns without {', '.join(missing)}", f"{', '.join(RAW_DATASETS)}, or none of them"
        remedy = "write what is missing; until then the patterns are left out"
        yield _warning("product.raw_data", RAW, found, wanted, remedy)
    elif not missing and layout.attribute("unit", on=RAW_DATASETS[0]) is None:
        wanted, remedy = "an attribute unit: counts or amplitude", "write it"
        yield _warning("product.raw_unit", RAW_DATASETS[0], "patterns of an unknown unit", wanted, remedy)


def _warning(code: str, place: str, found: str, wanted: str, remedy: str) -> Violation:
    return Violation(code, place, found, wanted, remedy, "warning")


_CHECKS: tuple[Callable[[Layout], Iterator[Violation]], ...] = (_numbers, _names, _losses, _opr, _raw)
