"""How values show themselves in a notebook: a tree with shapes and small pictures, as HTML."""

from __future__ import annotations

from smalti.notebook.entry import Entry, html, readable, visible
from smalti.notebook.pictures import thumbnail

__all__ = ["Entry", "html", "readable", "thumbnail", "visible"]
