"""Laws of what a confined child does: what the disk does to it is not the fault of the file."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from smalti.errors import Unavailable
from smalti.ingest import confined, handover
from tests.unit.formats.hostile.making import npz


def request(folder: Path) -> dict[str, str | None]:
    (folder / "scan.npz").write_bytes(npz())
    missing = dict.fromkeys(("contract", "card", "accepted_schema"))
    return {**missing, "path": str(folder / "scan.npz"), "handover": str(folder / "absent" / "0")}


def test_a_value_that_cannot_be_written_is_the_fault_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(
        Unavailable, match=r"^what was read could not be written to .*: No such file or directory; free "
    ):
        confined.validate(request(tmp_path))


def test_a_value_larger_than_the_limit_on_files_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(value: object, folder: Path) -> None:
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(handover, "write", write)
    with pytest.raises(OSError, match="File too large"):
        confined.validate(request(tmp_path))
