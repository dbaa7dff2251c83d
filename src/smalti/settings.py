"""The settings of a Smalti root, from the environment and ``.env``, in one place."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict


class Settings(BaseSettings):
    """Where things lie, and what reaching private data takes; every path follows from ``root``.

    The environment comes before ``.env`` files, and that of the current folder before that of the root. A value that is
    set to nothing counts as not set. Secrets are shown as asterisks; :mod:`smalti.datasets.credentials` uses them.

    Attributes:
        root: the folder of data, store and outputs.
        s3_endpoint: URL of an S3 server that is not AWS.
        remote: the store that ``smalti push`` and ``pull`` mean when none is named: a folder or a URL.
        raw_url: ``s3://bucket/prefix`` where raw files arrive too, if there is one.
        contracts: a Python file with contracts of yours; it is run, so name one that you trust.
        disable_memoize: compute what could be read from the store.
        memoize_key_mode: what a memoized result is found by: dataset, data or full; see ``smalti.memoize``.
        cache_quota: how large ``data/external`` may grow, such as 50GB or 500MiB.
        allowed_origins: servers that downloads may reach although they are not on the public internet or speak plain
            http, between commas: ``http://data.beamline:8080,https://mirror.institute``.
        hub_endpoint: the Hugging Face hub, or a mirror of it (``HF_ENDPOINT``).
        dataset_api_key, dataset_username: for private datasets (``DATASET_API_KEY``, ``DATASET_USERNAME``).
        huggingface_token: for gated and private datasets of the hub (``HUGGINGFACE_TOKEN``, else ``HF_TOKEN``).
        kaggle_username, kaggle_key: of an account at Kaggle (``KAGGLE_USERNAME``, ``KAGGLE_KEY``).
        kaggle_config_dir: the folder of ``kaggle.json``, which is read where those two are not set.
    """

    model_config = SettingsConfigDict(
        env_prefix="SMALTI_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    s3_endpoint: str | None = None
    remote: str | None = None
    raw_url: str | None = None
    contracts: Path | None = None
    disable_memoize: bool = False
    memoize_key_mode: str = "data"
    cache_quota: str = "50GB"
    allowed_origins: str = ""
    hub_endpoint: str = Field(default="https://huggingface.co", validation_alias="HF_ENDPOINT")
    dataset_api_key: SecretStr | None = Field(default=None, validation_alias="DATASET_API_KEY")
    dataset_username: str | None = Field(default=None, validation_alias="DATASET_USERNAME")
    huggingface_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("HUGGINGFACE_TOKEN", "HF_TOKEN")
    )
    kaggle_username: str | None = Field(default=None, validation_alias="KAGGLE_USERNAME")
    kaggle_key: SecretStr | None = Field(default=None, validation_alias="KAGGLE_KEY")
    kaggle_config_dir: Path = Field(
        default_factory=lambda: Path.home() / ".kaggle", validation_alias="KAGGLE_CONFIG_DIR"
    )
    root: Path = Field(default_factory=lambda: find_root(Path.cwd()))

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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the ``.env`` files that there are now, not when this module was imported."""
        return init_settings, env_settings, DotEnvSettingsSource(settings_cls, env_file=dotenv_files())


def dotenv_files() -> tuple[Path, ...]:
    """Return the ``.env`` files that are read: the root's, and the current folder's, which has the last word."""
    root = Path(os.environ.get("SMALTI_ROOT") or find_root(Path.cwd()))
    return tuple(file for file in dict.fromkeys((root / ".env", Path.cwd() / ".env")) if file.is_file())


def find_root(start: Path) -> Path:
    """Return the nearest folder at or above ``start`` with ``workspace.yaml`` or ``.git`` in it, else ``start``."""
    folders = (start, *start.parents)
    return next((f for f in folders if (f / "workspace.yaml").is_file() or (f / ".git").exists()), start)
