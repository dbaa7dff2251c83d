"""The gallery: one page of pictures and figures of all outputs, kept current, and a server that shows it."""

from smalti.gallery.entry import Entry
from smalti.gallery.update import update_gallery

__all__ = ["Entry", "update_gallery"]
