"""How values show themselves in a notebook: a tree with shapes and small pictures, as HTML."""

from __future__ import annotations

from smalti.notebook.entry import Entry, html, readable, visible
from smalti.notebook.pictures import thumbnail
from smalti.notebook.values import entry_of, shown

__all__ = ["Entry", "entry_of", "html", "readable", "shown", "thumbnail", "visible"]
