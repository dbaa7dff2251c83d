"""``.smalti.yml``: settings that everybody who works in a folder shares; never secrets."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from smalti.errors import Refused, Unavailable
from smalti.settings.names import check_yaml

_PATHS = ("root", "contracts", "kaggle_config_dir")
_URL_OR_PATH = "remote"


def read_shared(files: Iterable[Path]) -> dict[str, Any]:
    """Return what the files say; paths in one are relative to its folder.

    Raises:
        Refused: a file is not a mapping of settings to values, or is somebody else's in a folder that anybody may
            write to.
        Unavailable: it cannot be read.
    """
    said: dict[str, Any] = {}
    for file in files:
        said |= _read(file)
    return said


def _read(file: Path) -> dict[str, Any]:
    try:
        _check_trusted(file)
        document = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise Unavailable(f"{file} cannot be read: {error.strerror}; mend its permissions or remove it.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(
            f"{file} is not YAML: {' '.join(str(error).split())}; write lines such as: remote: data."
        ) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise Refused(f"{file} is not a mapping; write lines such as: default_run_type: production.")
    check_yaml(document, file)
    for name, value in document.items():
        if not (value is None or isinstance(value, str | int | float | bool)):
            raise Refused(
                f"{file} gives {name} a {type(value).__name__}; a setting is one text, number or truth value."
            )
    return {name: _placed(name, value, file.parent) for name, value in document.items() if value not in (None, "")}


def _check_trusted(file: Path) -> None:
    """Refuse what a stranger may have put above the current folder, as in /tmp: it can name code that is run."""
    owner = file.stat().st_uid
    if owner not in (0, os.getuid()) and file.parent.stat().st_mode & stat.S_IWOTH:
        raise Refused(
            f"{file} belongs to another user and lies where anybody may write, so it is not trusted; work in a folder "
            "of your own, with a .smalti.yml of its own."
        )


def _placed(name: str, value: Any, folder: Path) -> Any:
    if name in _PATHS or (name == _URL_OR_PATH and "://" not in str(value)):
        return str(folder / Path(str(value)).expanduser())
    return value
