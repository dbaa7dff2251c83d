"""Large files and folders under version control: a pointer file in git, the content in the store."""

from smalti.tracking.checkout import CheckedOut, checkout, write_contents
from smalti.tracking.contents import Changes, stored_contents
from smalti.tracking.pointer import Pointer, data_path, is_tracked, pointer_path, read, tracked_below
from smalti.tracking.stat_cache import StatCache
from smalti.tracking.status import Status, status
from smalti.tracking.track import Tracked, track
from smalti.tracking.work_tree import Put, put_path

__all__ = [
    "Changes",
    "CheckedOut",
    "Pointer",
    "Put",
    "StatCache",
    "Status",
    "Tracked",
    "checkout",
    "data_path",
    "is_tracked",
    "pointer_path",
    "put_path",
    "read",
    "status",
    "stored_contents",
    "track",
    "tracked_below",
    "write_contents",
]
