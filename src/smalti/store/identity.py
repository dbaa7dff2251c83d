"""``store.json``: that there is a store, its format, and an id that tells it from all others."""

from __future__ import annotations

import json
import uuid

from smalti.errors import NotFound, Refused
from smalti.store.documents import Documents
from smalti.store.format.record import FORMAT
from smalti.store.objects.object_store import ObjectStore

KEY = "store.json"


def create(documents: Documents, objects: ObjectStore) -> None:
    """Make a store where there is none.

    Raises:
        Refused: there is one of another format.
    """
    try:
        check(documents)
    except NotFound:
        for address in objects.addresses():  # of what lost its store.json
            objects.record(address)  # raises where it is of another format
            break
        content = json.dumps({"format": FORMAT, "id": uuid.uuid4().hex}) + "\n"
        if not documents.create(KEY, content.encode()):
            check(documents)


def check(documents: Documents) -> str:
    """Return the id of the store that is there.

    Raises:
        NotFound: there is none.
        Refused: it is of a format that this version does not know.
    """
    try:
        content = documents.read(KEY)
    except NotFound:
        where = documents.location
        raise NotFound(
            f"there is no store at {where}; check the path and that its disk is mounted, or make one: smalti init "
            f"--store {where}"
        ) from None
    try:
        document = json.loads(content)
        found, name = document["format"], document["id"]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise Refused(f"{KEY} in {documents.location} is not what a store writes; restore it from a copy.") from error
    if found != FORMAT:
        raise Refused(
            f"the store at {documents.location} has the format {found!r}, and this version reads {FORMAT}; use a "
            "version that knows it."
        )
    return str(name)
