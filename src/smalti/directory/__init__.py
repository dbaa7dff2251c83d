"""A folder of arrays, tables and configuration with attribute access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.directory.context import (
    check_size_on_init,
    context,
    delete_if_exists,
    enforce_config_match,
    get_check_size_on_init,
    get_default_scope,
    get_root_dir,
    get_scope,
    reset_scope,
    root,
    set_root_context,
    set_root_dir,
    set_scope,
    set_verbosity_level,
)
from smalti.directory.errors import (
    ConfigWarning,
    ImplementationWarning,
    MetadataError,
    MetadataParseError,
    MetadataValidationError,
    ModifiedWarning,
)
from smalti.directory.namespaces import Namespace, merge, namespacify
from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.directory.diff import DirectoryDiff, assert_equal_attributes, assert_equal_directories
    from smalti.directory.directory import Directory
    from smalti.directory.hdf5.arrays import ArrayFile
    from smalti.directory.metadata import read_meta, write_meta

# Where the names live that need numpy or YAML; imported when first used, so that ``import smalti.directory`` is light.
_HOME = {
    "ArrayFile": "smalti.directory.hdf5.arrays",
    "Directory": "smalti.directory.directory",
    "DirectoryDiff": "smalti.directory.diff",
    "assert_equal_attributes": "smalti.directory.diff",
    "assert_equal_directories": "smalti.directory.diff",
    "read_meta": "smalti.directory.metadata",
    "write_meta": "smalti.directory.metadata",
}

__all__ = [
    "ArrayFile",
    "ConfigWarning",
    "Directory",
    "DirectoryDiff",
    "ImplementationWarning",
    "MetadataError",
    "MetadataParseError",
    "MetadataValidationError",
    "ModifiedWarning",
    "Namespace",
    "assert_equal_attributes",
    "assert_equal_directories",
    "check_size_on_init",
    "context",
    "delete_if_exists",
    "enforce_config_match",
    "get_check_size_on_init",
    "get_default_scope",
    "get_root_dir",
    "get_scope",
    "merge",
    "namespacify",
    "read_meta",
    "reset_scope",
    "root",
    "set_root_context",
    "set_root_dir",
    "set_scope",
    "set_verbosity_level",
    "write_meta",
]

__getattr__ = lazy_names(__name__, _HOME)
