"""The class of all settings."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from smalti.errors import Refused
from smalti.settings.names import check_dotenv, check_environment, check_given
from smalti.settings.places import Places, dotenv_files, find_root, yaml_files


@cache
def _is_time_zone(name: str) -> bool:
    """Tell whether the system's database has it; to list that takes 5 ms, and settings are read many times."""
    from zoneinfo import available_timezones

    return name in available_timezones()


def _also_of_mltrack(name: str) -> AliasChoices:
    return AliasChoices(f"SMALTI_{name}", f"MLTRACK_{name}")


class Settings(BaseSettings, Places):
    """Where things lie, and what reaching private data takes; every path follows from ``root``.

    The environment comes before ``.env`` files, and that of the current folder before that of the root; last comes the
    nearest ``.smalti.yml`` at or above the current folder, which may hold all but secrets. A value that is set to
    nothing counts as not set; a name that begins as ours do, ``SMALTI_`` or ``MLTRACK_``, and is no setting is refused.
    Secrets are shown as asterisks; :mod:`smalti.datasets.credentials` uses them.

    Attributes:
        root: the folder of data, store and outputs.
        s3_bucket, s3_prefix: the store of :class:`smalti.runs.FlexibleDataStore` and of the command line when no
            place is given, instead of ``store``; also ``MLTRACK_S3_BUCKET`` and ``MLTRACK_S3_PREFIX``.
        dagster_url: where people open Dagster; the manifests of its runs link there.
        default_run_type, default_storage_mode: of runs for which nobody says; see :mod:`smalti.runs`; also
            ``MLTRACK_DEFAULT_RUN_TYPE`` and ``MLTRACK_DEFAULT_STORAGE_MODE``.
        s3_endpoint: URL of an S3 server that is not AWS.
        remote: the store that ``smalti push`` and ``pull`` mean when none is named: a folder or a URL.
        backup_url: the store that the nightly backup pushes everything to, and the restore drill takes values from: a
            folder, best on another machine's disk, or a URL.
        time_zone: the zone of the hours at which schedules run, such as ``Europe/Berlin``; by default UTC.
        on_failure: a command that is given one sentence on its standard input when a run has failed for good.
        raw_url: ``s3://bucket/prefix`` where raw files arrive too, if there is one.
        contracts: a Python file with contracts of yours; it is run, so name one that you trust.
        disable_memoize: compute what could be read from the store.
        memoize_key_mode: what a memoized result is found by: dataset, data or full; see ``smalti.memoize``.
        op_outputs_days: how long outputs of ops stay, for an execution from the failure of their run.
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

    s3_bucket: str | None = Field(default=None, validation_alias=_also_of_mltrack("S3_BUCKET"))
    s3_prefix: str = Field(default="mltrack", validation_alias=_also_of_mltrack("S3_PREFIX"))
    s3_endpoint: str | None = None
    default_run_type: str = Field(default="experiment", validation_alias=_also_of_mltrack("DEFAULT_RUN_TYPE"))
    dagster_url: str = "http://127.0.0.1:3000"
    default_storage_mode: str = Field(default="by_project", validation_alias=_also_of_mltrack("DEFAULT_STORAGE_MODE"))
    remote: str | None = None
    backup_url: str | None = None
    time_zone: str = "UTC"
    on_failure: str | None = None
    raw_url: str | None = None
    contracts: Path | None = None
    disable_memoize: bool = False
    memoize_key_mode: str = "data"
    op_outputs_days: float = Field(default=14, ge=0)
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

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if not _is_time_zone(name):
            raise ValueError(f"{name!r} is no time zone of the IANA database; write one such as Europe/Berlin")
        return name

    @property
    def store_place(self) -> str:
        """The store that is meant where none is named: the bucket where one is set, else the folder of the root."""
        return f"s3://{self.s3_bucket}/{self.s3_prefix.strip('/')}".rstrip("/") if self.s3_bucket else str(self.store)

    def __init__(self, **values: Any) -> None:
        """Read all that is set; ``values`` come before it.

        Raises:
            Refused: a name is no setting, or a value cannot be its value.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise Refused(
                f"the setting {where} has no possible value: {first['msg']}; mend it where it is set."
            ) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the files that there are now, not when this module was imported; refuse names that mean nothing."""
        assert isinstance(init_settings, InitSettingsSource)
        check_given(init_settings.init_kwargs, _ALIASES)
        check_environment(os.environ)
        for file in dotenv_files():
            check_dotenv(dotenv_values(file), file)
        sources = init_settings, env_settings, DotEnvSettingsSource(settings_cls, env_file=dotenv_files())
        if shared := yaml_files():
            from smalti.settings.shared_file import read_shared  # few have one, and YAML takes a while to import

            return *sources, InitSettingsSource(settings_cls, read_shared(shared))
        return sources


def _aliases() -> set[str]:
    """Return the names that stand for a setting instead of its own with the prefix."""
    found: set[str] = set()
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        found |= (
            {str(one) for one in alias.choices} if isinstance(alias, AliasChoices) else {str(alias)} if alias else set()
        )
    return found


_ALIASES = _aliases()
