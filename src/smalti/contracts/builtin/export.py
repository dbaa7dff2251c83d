"""The contracts of a scan that is exported as a product: positions, probe and object, with the patterns or without."""

from __future__ import annotations

from smalti.contracts.builtin.scan import FOOTPRINT, SCAN, ScanContract

_GUESSES = ("probeGuess", "objectGuess")
_OF_A_PRODUCT = ("xcoords", "ycoords", *_GUESSES, "scan_index")


class ExportContract(ScanContract):
    """A contract on a scan whose probe and object are known, so that nothing of it is left to be reconstructed.

    Probe and object keep the width of their numbers. Whether the probes lie on the object is left to the contract of
    the product, for which an object that some probes overhang is a warning.
    """


EXPORT = ExportContract(
    name="export",
    version=1,
    summary="A scan with probe and object that is exported as a product with its patterns. Where the probes lie on the "
    "object is validated in the product.",
    arrays=tuple(spec.model_copy(update={"required": spec.required or spec.key in _GUESSES}) for spec in SCAN.arrays),
    rules=tuple(rule for rule in SCAN.rules if rule != FOOTPRINT),
)

EXPORT_WITHOUT_PATTERNS = ExportContract(
    name="export-without-patterns",
    version=1,
    summary="Positions, probe and object of a scan that are exported as a product. Patterns are neither needed nor "
    "read.",
    arrays=tuple(spec for spec in EXPORT.arrays if spec.key in _OF_A_PRODUCT),
    rules=tuple(rule for rule in EXPORT.rules if set(rule.needs) <= set(_OF_A_PRODUCT)),
)
