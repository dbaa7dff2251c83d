"""Values that stay whether or not they have a name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from smalti.digest import PREFIX, is_address
from smalti.errors import Damaged, NotFound
from smalti.store.documents import Documents
from smalti.store.format.sealed import seal, unseal

_FOLDER = "pins/"


class Pins:
    """The pins of one store, kept as documents ``pins/<hex>.json``."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def add(self, address: str) -> None:
        """Pin a value; nothing happens when it is pinned already."""
        self._documents.create(_key(address), seal({"address": address}))

    def remove(self, address: str) -> None:
        """Take a pin away; nothing happens when there is none."""
        self._documents.remove(_key(address))

    def keys(self) -> Iterator[str]:
        """Yield the key of every pin's document, in order."""
        return self._documents.keys(_FOLDER)

    def read(self, key: str) -> str:
        """Return the address that a pin keeps.

        Raises:
            Damaged: its document is not what was written.
            NotFound: it was taken away.
        """
        address = unseal(self._documents.read(key), f"the pin {key}").get("address")
        if not isinstance(address, str) or not is_address(address) or _key(address) != key:
            raise Damaged(f"the pin {key} holds {address!r}; pin the value again.")
        return address

    def all(self) -> list[str]:
        """Return the addresses that are pinned; a pin taken away meanwhile counts no more."""
        found = []
        for key in self.keys():
            with suppress(NotFound):
                found.append(self.read(key))
        return found


def _key(address: str) -> str:
    return f"{_FOLDER}{address.removeprefix(PREFIX)}.json"
