"""What every contract has: a name, a version, a digest, a page about itself, and a check of values in memory."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from smalti import canonical
from smalti.contracts.violation import Violation


class AnyContract(BaseModel):
    """What values must be, as data; it opens no file and changes nothing.

    Attributes:
        name: what it is asked for by.
        version: raised whenever it starts to accept or refuse something else; values record it.
        summary: what it is about, one or two sentences.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    version: Annotated[int, Field(ge=1)]
    summary: str

    @property
    def id(self) -> str:
        """Name and version, e.g. ``scan/1``: what a value that keeps it records."""
        return f"{self.name}/{self.version}"

    @property
    def digest(self) -> str:
        """Twelve digits that change with what the contract asks for; a new digest needs a new version."""
        asked = self.model_dump(mode="json", exclude={"summary": True})
        return hashlib.sha256(canonical.text(_without_words(asked), sort=True)).hexdigest()[:12]

    def describe(self) -> str:
        """Return the contract as a Markdown page."""
        raise NotImplementedError

    def check(self, value: Any) -> tuple[Violation, ...]:
        """Return every breach at once; empty when the contract is kept.

        Raises:
            Refused: ``value`` is of a type that this kind of contract does not check.
        """
        raise NotImplementedError


def _without_words(asked: Any) -> Any:
    match asked:
        case dict():
            return {key: _without_words(item) for key, item in asked.items() if key not in ("meaning", "remedy")}
        case list():
            return [_without_words(item) for item in asked]
        case _:
            return asked
