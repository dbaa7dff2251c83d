"""How values show themselves in a notebook: a tree with shapes and small pictures, as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.notebook.entry import Entry, html
    from smalti.notebook.pictures import thumbnail
    from smalti.notebook.values import entry_of, shown
    from smalti.notebook.words import readable, visible

# Where each name lives; imported when first used: the command line wants the words alone.
_HOME = {
    "Entry": "smalti.notebook.entry",
    "entry_of": "smalti.notebook.values",
    "html": "smalti.notebook.entry",
    "readable": "smalti.notebook.words",
    "shown": "smalti.notebook.values",
    "thumbnail": "smalti.notebook.pictures",
    "visible": "smalti.notebook.words",
}

__all__ = ["Entry", "entry_of", "html", "readable", "shown", "thumbnail", "visible"]

__getattr__ = lazy_names(__name__, _HOME)
