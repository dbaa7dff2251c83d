"""The names that settings go by in the environment, ``.env`` and ``.smalti.yml``; one that means nothing is refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from smalti.errors import Refused

PREFIX, ALSO = "SMALTI_", "MLTRACK_"
ROOT, BUCKET = "root", "s3_bucket"
PLAIN = frozenset(
    (
        ROOT,
        BUCKET,
        "s3_prefix",
        "s3_endpoint",
        "default_run_type",
        "default_storage_mode",
        "remote",
        "backup_url",
        "time_zone",
        "on_failure",
        "raw_url",
        "contracts",
        "disable_memoize",
        "memoize_key_mode",
        "cache_quota",
        "op_outputs_days",
        "allowed_origins",
        "dagster_url",
    )
)  # in the environment with the prefix
OF_MLTRACK = frozenset(("s3_bucket", "s3_prefix", "default_run_type", "default_storage_mode"))  # with that prefix too
OF_OTHERS = frozenset(("hub_endpoint", "dataset_username", "kaggle_username", "kaggle_config_dir"))  # see declared
SECRET = frozenset(("dataset_api_key", "huggingface_token", "kaggle_key"))
IN_ENVIRONMENT = frozenset((*(PREFIX + name.upper() for name in PLAIN), *(ALSO + name.upper() for name in OF_MLTRACK)))
IN_YAML = PLAIN | OF_OTHERS
_READ_ELSEWHERE = frozenset(("SMALTI_BLAS", "SMALTI_CACHE"))  # by smalti.compute, before there are settings
_OF_TESTS = "SMALTI_TEST_"


def is_meant_for_us(name: str) -> bool:
    """Tell whether a name of the environment claims to be a setting."""
    return name.upper().startswith((PREFIX, ALSO))


def is_known(name: str) -> bool:
    """Tell whether such a name of the environment is read by anything."""
    upper = name.upper()
    return upper in IN_ENVIRONMENT or upper in _READ_ELSEWHERE or upper.startswith(_OF_TESTS)


def check_environment(names: Iterable[str]) -> None:
    """Refuse a name of the environment that claims to be a setting and is none.

    Raises:
        Refused: with the nearest name that is one.
    """
    for name in names:
        if is_meant_for_us(name) and not is_known(name):
            _refuse(f"the environment sets {name}", name.upper(), IN_ENVIRONMENT | _READ_ELSEWHERE)


def check_dotenv(names: Iterable[str], file: Path) -> None:
    """Refuse a name in a ``.env`` file that claims to be a setting and is none.

    Raises:
        Refused: with the nearest name that is one.
    """
    for name in names:
        upper = name.upper()
        if is_meant_for_us(name) and upper not in IN_ENVIRONMENT:
            if is_known(name):
                raise Refused(f"{file} sets {name}, which is read from the environment alone; export it there.")
            _refuse(f"{file} sets {name}", upper, IN_ENVIRONMENT)


def check_yaml(names: Iterable[object], file: Path) -> None:
    """Refuse a name in ``.smalti.yml`` that is no setting, or a secret.

    Raises:
        Refused: with the nearest name that is one, or where a secret belongs.
    """
    for name in names:
        if name in SECRET:
            raise Refused(
                f"{file} holds {name}, a secret, which others who read the file would see; set it in the environment, "
                "or in a .env file that git ignores."
            )
        if name not in IN_YAML:
            _refuse(f"{file} sets {name}", str(name), IN_YAML)


def check_given(names: Iterable[str], also: Iterable[str]) -> None:
    """Refuse a keyword argument that is no setting.

    Raises:
        Refused: with the nearest name that is one.
    """
    valid = IN_YAML | SECRET
    for name in names:
        if name not in valid and name not in also:
            _refuse(f"Settings({name}=...) was asked for", name, valid)


def _refuse(what: str, name: str, valid: Iterable[str]) -> NoReturn:
    from difflib import get_close_matches

    (nearest,) = get_close_matches(name, sorted(valid), n=1, cutoff=0)
    raise Refused(f"{what}, but there is no setting of that name; the nearest is {nearest}.")
