"""A DVC repository written by hand, in the layouts that DVC 2 and DVC 3 document."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest


class HandMade:
    """Attributes:
    root: the repository.
    layout: 3, or 2, in which the MD5 of text is of its line ends as Unix has them.
    """

    def __init__(self, root: Path, layout: int) -> None:
        self.root = root
        self.layout = layout
        (root / ".dvc" / "cache").mkdir(parents=True)
        (root / ".dvc" / "config").write_text(
            "[core]\n    remote = storage\n['remote \"storage\"']\n    url = https://me:secret@example.org/dvc/\n"
        )

    def place(self, md5: str) -> Path:
        """Return where the cache keeps an object."""
        folder = self.root / ".dvc" / "cache" / ("files/md5" if self.layout == 3 else ".")
        return folder / md5[:2] / md5[2:]

    def cached(self, content: bytes, suffix: str = "") -> str:
        """Put an object into the cache and return its MD5."""
        hashed = (
            content.replace(b"\r\n", b"\n") if self.layout == 2 and not suffix and b"\0" not in content else content
        )
        md5 = hashlib.md5(hashed).hexdigest() + suffix
        self.place(md5).parent.mkdir(parents=True, exist_ok=True)
        self.place(md5).write_bytes(content)
        self.place(md5).chmod(0o444)
        return md5

    def listing(self, files: dict[str, bytes]) -> str:
        """Put a folder into the cache and return its MD5."""
        entries = [{"md5": self.cached(content), "relpath": path} for path, content in sorted(files.items())]
        return self.cached(json.dumps(entries).encode(), ".dir")

    def out(self, path: str, md5: str, **more: Any) -> str:
        """Return an entry of ``outs``."""
        fields = {"md5": md5, "size": 1, **({"hash": "md5"} if self.layout == 3 else {}), "path": path, **more}
        return "- " + "\n  ".join(f"{name}: {value}" for name, value in fields.items()) + "\n"

    def add(self, path: str, content: bytes | dict[str, bytes], **more: Any) -> None:
        """Track a file or folder as ``dvc add`` does."""
        md5 = self.listing(content) if isinstance(content, dict) else self.cached(content)
        self.write(f"{path}.dvc", "outs:\n" + self.out(Path(path).name, md5, **more))

    def write(self, path: str, text: str) -> None:
        """Write a metafile."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)


@pytest.fixture(params=[2, 3], ids=["DVC 2", "DVC 3"])
def dvc(tmp_path: Path, request: pytest.FixtureRequest) -> HandMade:
    """An empty repository of either layout."""
    return HandMade(tmp_path / "theirs", request.param)
