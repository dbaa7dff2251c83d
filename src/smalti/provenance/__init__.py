"""What a value was made from, told to others: a report page and an RO-Crate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.provenance.crate.export import Exported, export_crate
    from smalti.provenance.crate.importing import Imported, import_crate
    from smalti.provenance.report.report import report_page

# Where each name lives; imported when first used.
_HOME = {
    "Exported": "smalti.provenance.crate.export",
    "Imported": "smalti.provenance.crate.importing",
    "export_crate": "smalti.provenance.crate.export",
    "import_crate": "smalti.provenance.crate.importing",
    "report_page": "smalti.provenance.report.report",
}

__all__ = ["Exported", "Imported", "export_crate", "import_crate", "report_page"]

__getattr__ = lazy_names(__name__, _HOME)
