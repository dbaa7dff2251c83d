"""Versions of a directory by content, in a store: commit, log, checkout, diff."""

from smalti.directory.versions.difference import Differences
from smalti.directory.versions.history import CheckedOut, Version, checkout, commit, diff, log

__all__ = ["CheckedOut", "Differences", "Version", "checkout", "commit", "diff", "log"]
