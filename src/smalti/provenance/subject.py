"""What a report or a crate is about: a value or a run, and everything upstream and downstream of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from smalti.compare.runs import RUN
from smalti.errors import Ambiguous, NotFound, Refused

if TYPE_CHECKING:
    from smalti.store import Hop, Manifest, Store


@dataclass(frozen=True, slots=True)
class Subject:
    """A value or a run.

    Attributes:
        reference: what was asked for.
        address: of the value; "" where it is a run.
        run: the manifest of the run; None where it is a value.
    """

    reference: str
    address: str = ""
    run: Manifest | None = None

    @property
    def addresses(self) -> list[str]:
        """The value itself, or what the run wrote; of a run that wrote nothing, what it read."""
        if self.run is None:
            return [self.address]
        wrote = dict.fromkeys(a for part in (self.run.whole, *self.run.steps) for a in part.outputs.values())
        return list(
            wrote or dict.fromkeys(a for part in (self.run.whole, *self.run.steps) for a in part.inputs.values())
        )


def subject_of(store: Store, reference: str) -> Subject:
    """Return the value or the run that a reference means; ``run:NAME`` means a run in any case.

    Raises:
        NotFound: it means neither.
        Ambiguous: it means several values, or a value and a run.
    """
    if reference.startswith(RUN):
        return Subject(reference, run=store.manifest(reference.removeprefix(RUN)))
    run = None
    with suppress(NotFound, Refused):  # not one part, so no run's name
        run = store.manifest(reference)
    try:
        address = store.resolve(reference)
    except Ambiguous:
        raise
    except NotFound as error:
        if run is None and not store.exists():
            raise
        if run is None:
            raise NotFound(
                f"{reference!r} is neither a name, nor a digest (8 digits or more), nor a run in the store at "
                f"{store.place}; smalti ls and smalti runs list show what there is."
            ) from error
        return Subject(reference, run=run)
    if run is not None:
        raise Ambiguous(f"{reference!r} is a run and the value {address}; give {RUN}{reference}, or the digest.")
    if not any(True for _ in store.runs_of(address)):
        store.record(address)  # raises where there is neither a value nor a run that tells of one
    return Subject(reference, address)


def lineage_of(
    store: Store, addresses: Iterable[str], direction: Literal["upstream", "downstream"], depth: int | None = None
) -> list[Hop]:
    """Return the hops that lead up or down from some values, each once; see :meth:`Store.lineage`."""
    found: dict[tuple[str, str, str | None, str | None], Hop] = {}
    followed: set[str] = set()
    for address in addresses:
        if address in followed:
            continue
        hops = store.lineage(address, direction, depth)
        for hop in hops:
            found.setdefault((hop.run, hop.step, hop.read, hop.wrote), hop)
        if depth is None:  # then all that was come upon was followed to its end
            followed.update(a for hop in hops if (a := hop.read if direction == "upstream" else hop.wrote))
        followed.add(address)
    return list(found.values())
