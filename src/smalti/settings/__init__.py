"""The settings of a Smalti root, from the environment, ``.env`` and ``.smalti.yml``, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smalti.settings.places import Places, dotenv_files, find_root, places, yaml_files

if TYPE_CHECKING:
    from smalti.settings.declared import Settings

__all__ = ["Places", "Settings", "dotenv_files", "find_root", "places", "yaml_files"]


def __getattr__(name: str) -> Any:
    if name != "Settings":
        raise AttributeError(f"module 'smalti.settings' has no attribute {name!r}; it offers {', '.join(__all__)}")
    from smalti.settings.declared import Settings  # pydantic takes long to import

    return Settings
