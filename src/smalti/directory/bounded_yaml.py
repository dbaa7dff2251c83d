"""YAML from anywhere: a short file that would exhaust the machine, nested or merged without end, is refused."""

from __future__ import annotations

import re
from typing import Any

import yaml

MOST_VALUES = 1_000_000  # a short file of references to references can stand for any number
_MOST_LEVELS = 500  # one within another, far fewer than exhaust the C stack of the parser
_INDENTATION = re.compile(rb"^[ \t\0?:-]+", re.MULTILINE)  # of blocks; each level takes one character or more


class BoundedLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader that refuses mappings merged (``<<``) from ever more others."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what ``<<`` names in its place."""
        super().flatten_mapping(node)
        if len(node.value) > MOST_VALUES:
            raise yaml.YAMLError(f"a mapping of more than {MOST_VALUES} items")


def load(content: bytes, loader: type[BoundedLoader]) -> Any:
    """Return the document in YAML.

    Values that it refers to are the same object each time, so it may stand for more than there is in memory.

    Raises:
        YAMLError: it is none, or is nested so deep that reading it would end the process.
    """
    brackets = content.count(b"[") + content.count(b"{")
    if brackets + max(map(len, _INDENTATION.findall(content)), default=0) > _MOST_LEVELS:
        level = 0
        for event in yaml.parse(content, loader):
            level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if level > _MOST_LEVELS:
                raise yaml.YAMLError(f"it is nested more than {_MOST_LEVELS} deep")
    return yaml.load(content, loader)
