"""The code blocks of a document, each with the heading it stands under, and the way each is run.

Of Python only import lines are changed: the modules that the document names become those that hold the same names here.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

_FENCE = re.compile(r"^(\s*)```(\w*)\s*$")
_HEADING = re.compile(r"^#+\s+(.*?)\s*$")
_IMPORT = re.compile(r"^from (\S+) import (.+)$")
_IMPORT_WHOLE = re.compile(r"^import (\S+)$")

# Module of a document -> where its names are here; a mapping where they are in several modules.
MODULES: dict[str, str | dict[str, str]] = {
    "data.core.base": "smalti.datasets",
    "data.core.metadata": "smalti.datasets",
    "data.core.registry": "smalti.datasets",
    "data.datasets.titanic": "smalti.datasets.titanic",
    "data.loaders.memory": "smalti.loaders.memory",
    "data.loaders.mlx_loader": "smalti.loaders.mlx_loader",
    "data.loaders.streaming": "smalti.loaders.streaming",
    "data.templates.converters": "smalti.templates.converters",
    "data.templates.engine": "smalti.templates.engine",
    "datamate": "smalti",
    "mltrack.data_store_v2": "smalti.runs",
    "neuromosaic.utils.storage_manager": {
        "download_dataset": "smalti.datasets",
        "fetch_dataset": "smalti.datasets",
        "register_dataset": "smalti.datasets",
        "save_checkpoint": "smalti.training",
    },
}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        key: its heading, and its number under that, from 1.
        language: what the fence says; empty for a tree of folders or a file.
        text: without the fence and without the indent of the fence.
    """

    key: str
    language: str
    text: str


def blocks_of(document: str) -> dict[str, Block]:
    """Return the blocks of a Markdown document by key, in order."""
    found: dict[str, Block] = {}
    numbers: Counter[str] = Counter()
    heading, lines = "", iter(document.splitlines())
    for line in lines:
        if titled := _HEADING.match(line):
            heading = titled[1]
        elif opened := _FENCE.match(line):
            body = []
            for inner in lines:
                if inner.strip() == "```":
                    break
                body.append(inner)
            else:
                raise ValueError(f"the block under {heading!r} is not closed")
            numbers[heading] += 1
            key = f"{heading} {numbers[heading]}"
            found[key] = Block(key, opened[2], textwrap.dedent("\n".join(body)))
    return found


def with_our_imports(code: str, instead: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the code with the modules of its import lines changed, and nothing else.

    Args:
        instead: modules of the document that are taken from somewhere else than ``MODULES`` says.
    """
    modules = {**MODULES, **instead}
    return "\n".join(_changed(line, modules) for line in code.splitlines())


def _changed(line: str, modules: Mapping[str, str | dict[str, str]]) -> str:
    whole = _IMPORT_WHOLE.match(line)
    if whole and whole[1] in modules:
        return f"import {modules[whole[1]]} as {whole[1]}"
    imported = _IMPORT.match(line)
    if not imported or imported[1] not in modules:
        return line
    home = modules[imported[1]]
    names = [name.strip() for name in imported[2].split(",")]
    if isinstance(home, str):
        return f"from {home} import {', '.join(names)}"
    return "; ".join(f"from {home[name]} import {name}" for name in names)


def run(block: Block, names: Mapping[str, Any], instead: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Run a Python block with the names that the document has given before it; return all names afterwards."""
    assert block.language == "python"
    module = ModuleType("a_document")
    vars(module).update(names)
    sys.modules[module.__name__] = module  # dataclasses look their names up there
    try:
        exec(compile(with_our_imports(block.text, instead), f"<{block.key}>", "exec"), vars(module))
    finally:
        del sys.modules[module.__name__]
    return vars(module)


def names_in_tree(block: Block) -> list[str]:
    """Return the files and folders of a drawn tree, each by its path below the first line."""
    path: list[str] = []
    found = []
    for line in block.text.splitlines()[1:]:
        drawn = re.match(r"^([│\s]*)(?:├──|└──)\s*(\S+)", line)
        if drawn:
            depth = len(drawn[1]) // 4
            path[depth:] = [drawn[2].rstrip("/")]
            found.append("/".join(path))
    return found


def read(folder: Path, name: str) -> dict[str, Block]:
    """Return the blocks of one document."""
    return blocks_of((folder / name).read_text(encoding="utf-8"))
