"""Where things lie below a root, and which folder that is; known without the class of all settings, mostly."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_ROOT = "SMALTI_ROOT"


class Places:
    """Where things lie; every path follows from ``root``."""

    root: Path

    @property
    def raw(self) -> Path:
        """Where raw files arrive."""
        return self.root / "data" / "raw"

    @property
    def interim(self) -> Path:
        """Where views of values on the way to what is trained on lie."""
        return self.root / "data" / "interim"

    @property
    def processed(self) -> Path:
        """Where views of values that are ready to be trained on lie."""
        return self.root / "data" / "processed"

    @property
    def external(self) -> Path:
        """Where datasets of others are kept, up to ``cache_quota``."""
        return self.root / "data" / "external"

    @property
    def quarantine(self) -> Path:
        """Where rejected files wait to be mended."""
        return self.root / "data" / "quarantine"

    @property
    def store(self) -> Path:
        """The content-addressed store."""
        return self.root / "store"

    @property
    def outputs(self) -> Path:
        """Where the pictures, figures and logs of each scan are written."""
        return self.root / "outputs"

    @property
    def products(self) -> Path:
        """Where Ptychodus products are written."""
        return self.outputs / "ptychodus_products"


@dataclass(frozen=True)
class _Found(Places):
    root: Path


def places() -> Places:
    """Return where things lie, as ``Settings()`` says.

    Where nothing that it reads so much as mentions the root, it is the folder that is found, and pydantic, which takes
    long to import, is not needed to say so.
    """
    if _is_mentioned():
        from smalti.settings.declared import Settings

        return Settings()
    return _Found(find_root(Path.cwd()))


def _is_mentioned() -> bool:
    if any(name.upper() == _ROOT for name in os.environ):
        return True
    try:
        return any(_ROOT.lower().encode() in file.read_bytes().lower() for file in dotenv_files())
    except OSError:
        return True  # what cannot be read may say anything


def dotenv_files() -> tuple[Path, ...]:
    """Return the ``.env`` files that are read: the root's, and the current folder's, which has the last word."""
    root = Path(os.environ.get("SMALTI_ROOT") or find_root(Path.cwd()))
    return tuple(file for file in dict.fromkeys((root / ".env", Path.cwd() / ".env")) if file.is_file())


def find_root(start: Path) -> Path:
    """Return the nearest folder at or above ``start`` with ``workspace.yaml`` or ``.git`` in it, else ``start``."""
    folders = (start, *start.parents)
    return next((f for f in folders if (f / "workspace.yaml").is_file() or (f / ".git").exists()), start)
