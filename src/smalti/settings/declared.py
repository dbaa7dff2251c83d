"""The class of all settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from smalti.settings.places import Places, dotenv_files, find_root


class Settings(BaseSettings, Places):
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
