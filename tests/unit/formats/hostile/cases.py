"""Every hostile file there is, by name."""

from __future__ import annotations

from tests.unit.formats.hostile import archives, hdf5_files, tables

_FORMS = {"archive": archives.CASES, "hdf5": hdf5_files.CASES, "table": tables.CASES}
CASES = {f"{form}: {name}": case for form, cases in _FORMS.items() for name, case in cases.items()}
