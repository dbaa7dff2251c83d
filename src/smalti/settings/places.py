"""Where things lie below a root, and which folder that is; known without the class of all settings, mostly."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from smalti.settings.names import ALSO, BUCKET, IN_ENVIRONMENT, IN_YAML, PREFIX, ROOT, is_known, is_meant_for_us

_ROOT = PREFIX + ROOT.upper()
_SAY_WHERE = frozenset((_ROOT, *(f"{prefix}{BUCKET.upper()}" for prefix in (PREFIX, ALSO))))
_YAML = ".smalti.yml"
_DOTENV_NAME = re.compile(rb"(?i)(?:smalti|mltrack)_\w*")
_YAML_NAME = re.compile(r"(\w+)\s*:(?:\s|$)")


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
    def store_place(self) -> str:
        """The store that is meant where none is named."""
        return str(self.store)

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

    Where nothing that it reads names the root or a bucket, or what it would refuse, the root is the folder that is
    found, and pydantic, which takes long to import, is not needed to say so.

    Raises:
        Refused: what is set is no setting, or cannot be its value.
    """
    if _takes_the_class():
        from smalti.settings.declared import Settings

        return Settings()
    return _Found(find_root(Path.cwd()))


def _takes_the_class() -> bool:
    """Tell whether anything may name the root or a bucket, or be refused; in doubt it may."""
    if any(name.upper() in _SAY_WHERE or (is_meant_for_us(name) and not is_known(name)) for name in os.environ):
        return True
    try:
        spelled = {name.decode().upper() for file in dotenv_files() for name in _DOTENV_NAME.findall(file.read_bytes())}
        lines = [line for file in yaml_files() for line in file.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        return True  # what cannot be read may say anything
    return bool(spelled - (IN_ENVIRONMENT - _SAY_WHERE)) or not all(map(_names_no_place, lines))


def _names_no_place(line: str) -> bool:
    """Tell whether a line of ``.smalti.yml`` plainly is about neither the root nor a bucket, or about nothing."""
    if not line.strip() or line.startswith("#"):
        return True
    named = _YAML_NAME.match(line)
    return named is not None and named[1] in IN_YAML - {ROOT, BUCKET}


def dotenv_files() -> tuple[Path, ...]:
    """Return the ``.env`` files that are read: the root's, and the current folder's, which has the last word."""
    root = Path(os.environ.get(_ROOT) or find_root(Path.cwd()))
    return tuple(file for file in dict.fromkeys((root / ".env", Path.cwd() / ".env")) if file.is_file())


def yaml_files() -> tuple[Path, ...]:
    """Return the ``.smalti.yml`` that is read, if there is one: the nearest, at or above the current folder."""
    here = Path.cwd()
    found = (folder / _YAML for folder in (here, *here.parents))
    return tuple(file for file in found if file.is_file())[:1]


def find_root(start: Path) -> Path:
    """Return the nearest folder at or above ``start`` with ``workspace.yaml`` or ``.git`` in it, else ``start``."""
    folders = (start, *start.parents)
    return next((f for f in folders if (f / "workspace.yaml").is_file() or (f / ".git").exists()), start)
