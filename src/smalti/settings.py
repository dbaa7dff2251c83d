"""The settings of a Smalti root, from the environment and ``.env``, in one place."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things lie; every path follows from ``root``.

    Attributes:
        root: the folder of data, store and outputs.
        s3_endpoint: URL of an S3 server that is not AWS.
        remote: the store that ``smalti push`` and ``pull`` mean when none is named: a folder or a URL.
        raw_url: ``s3://bucket/prefix`` where raw files arrive too, if there is one.
        contracts: a Python file with contracts of yours; it is run, so name one that you trust.
        disable_memoize: compute what could be read from the store.
        memoize_key_mode: what a memoized result is found by: dataset, data or full; see ``smalti.memoize``.
    """

    model_config = SettingsConfigDict(env_prefix="SMALTI_", env_file=".env", extra="ignore", frozen=True)

    s3_endpoint: str | None = None
    remote: str | None = None
    raw_url: str | None = None
    contracts: Path | None = None
    disable_memoize: bool = False
    memoize_key_mode: str = "data"
    root: Path = Field(default_factory=lambda: find_root(Path.cwd()))

    @property
    def raw(self) -> Path:
        """Where raw files arrive."""
        return self.root / "data" / "raw"

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


def find_root(start: Path) -> Path:
    """Return the nearest folder at or above ``start`` with ``workspace.yaml`` or ``.git`` in it, else ``start``."""
    folders = (start, *start.parents)
    return next((f for f in folders if (f / "workspace.yaml").is_file() or (f / ".git").exists()), start)
