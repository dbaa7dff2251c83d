"""Errors and warnings of directories: each error is one of Smalti's and the built-in one that is documented for it."""

from __future__ import annotations

import sys
import warnings

from smalti.errors import NotFound, Refused


class EntryMissing(NotFound, FileNotFoundError):
    """There is no such entry, or no such directory."""


class AttributeMissing(NotFound, AttributeError):
    """There is no such attribute."""


class PlaceTaken(Refused, FileExistsError):
    """Something else is at the path: a file, another type, another configuration."""


class WrongType(Refused, TypeError):
    """A value or argument is of a type that cannot be taken."""


class AttributeTaken(Refused, AttributeError):
    """An attribute of the class has this name, so an entry of this name is reached only by ``directory[name]``."""


class MetadataError(Refused):
    """A ``_meta.yaml`` cannot be used."""


class MetadataParseError(MetadataError):
    """A ``_meta.yaml`` is not YAML."""


class MetadataValidationError(MetadataError):
    """A ``_meta.yaml`` lacks a field, or a field is of the wrong kind."""


class ConfigWarning(Warning):
    """A stored configuration is replaced, or its type is not known here."""


class ModifiedWarning(Warning):
    """A directory is passed over in a search because it was modified after it was built."""


class ImplementationWarning(Warning):
    """A class has a build method and declares no configuration."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line outside this package that led here."""
    frame, level = sys._getframe(1), 2
    package = __name__.rpartition(".")[0]
    while frame.f_back and str(frame.f_globals.get("__name__", "")).startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
