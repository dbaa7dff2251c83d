"""What a process runs on: interpreter, installed packages, machine."""

from __future__ import annotations

import functools
import os
import platform
import re
import sys
from collections.abc import Iterable
from contextlib import suppress

from smalti.canonical import Json

_INSTALLED = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info$")


@functools.cache
def environment() -> dict[str, Json]:
    """Return interpreter, packages and class of machine; the same for all processes of one environment on one machine.

    The packages are those that are installed where this process looks for modules, imported or not.
    """
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "host_class": host_class(),
        "packages": dict(sorted(_packages(sys.path).items())),
    }


@functools.cache
def host_class() -> str:
    """Return what kind of machine this is, such as ``Linux-x86_64-16cpu-128GB``; equal machines, equal text."""
    memory = ""
    with suppress(ValueError, OSError, AttributeError):
        memory = f"-{round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9)}GB"
    return f"{platform.system()}-{platform.machine()}-{os.cpu_count()}cpu{memory}"


def _packages(folders: Iterable[str]) -> dict[str, Json]:
    """Return name -> version, by the names of the folders that installers leave; reading their contents takes long."""
    found: dict[str, Json] = {}
    for folder in folders:
        with suppress(OSError):
            for name in os.listdir(folder or "."):  # noqa: PTH208
                if match := _INSTALLED.fullmatch(name):
                    found.setdefault(match["name"].replace("_", "-").lower(), match["version"])
    return found
