"""What a store promises, as a dictionary, and a machine that holds any store against it."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, MutableMapping
from typing import Any

import numpy as np
from hypothesis import assume, event, note
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from smalti.codecs import Weights
from smalti.errors import Damaged, NotFound
from smalti.store import Ref, Store
from smalti.testing import strategies
from smalti.testing.damage import DAMAGES


def form(value: Any) -> Hashable:
    """Return what makes a value the value it is: two values are equal to a store if and only if their forms are.

    Arrays count by dtype, shape and bytes, not by memory layout or byte order; NaNs by their bits; a scalar of numpy is
    no array. Of what JSON does not tell apart all counts: integers and floats, the sign of zero, lists and tuples. The
    order of a mapping does not count.
    """
    if isinstance(value, Mapping | Weights):
        kind, items = ("weights", value.tensors) if isinstance(value, Weights) else ("tree", value)
        return kind, frozenset((name, form(item)) for name, item in items.items())
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        array = array.astype(array.dtype.newbyteorder("<"), order="C")
        return "scalar" if isinstance(value, np.generic) else "array", array.dtype.str, array.shape, array.tobytes()
    if isinstance(value, bytes | bytearray | memoryview):
        return "bytes", bytes(value)
    if isinstance(value, list | tuple):
        return ("tuple" if isinstance(value, tuple) else "list"), tuple(map(form, value))
    if isinstance(value, float):
        return "float", value.hex()
    if value is None or isinstance(value, bool | int | str):
        return type(value).__name__, value
    raise TypeError(f"{value!r} has no form: a model knows arrays, weights, bytes, JSON and mappings of them")


class StoreMachine(RuleBasedStateMachine):
    """Puts, names, reads, damages and repairs at random; a store agrees with a dictionary all the while.

    Subclass it, override ``open_place``, and let pytest find ``Subclass.TestCase``.
    """

    known = Bundle("known")
    large = Bundle("large")

    def open_place(self) -> tuple[Store, MutableMapping[str, bytes]]:
        """Return an empty store and its bytes by key, to be reached past it."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.store, self.stored = self.open_place()
        self.values: dict[str, Any] = {}  # address -> value
        self.addresses: dict[Hashable, str] = {}  # form -> address
        self.below: dict[str, set[str]] = {}  # address -> itself and every object it needs
        self.names: dict[str, list[str]] = {}  # name -> addresses, oldest first
        self.damaged: set[str] = set()  # addresses whose own bytes are not what was written
        self.written: dict[str, bytes] = {}  # key of a damaged object -> what was written there
        self.collected: set[str] = set()  # addresses that gc removed

    @rule(target=known, value=strategies.values())
    def put(self, value: Any) -> str:
        return self._put(value, None)

    @initialize(targets=(known, large), value=strategies.large_arrays())
    def begin_with_a_large_value(self, value: Any) -> str:
        return self._put(value, None)

    @rule(targets=(known, large), value=strategies.large_arrays())
    def put_large(self, value: Any) -> str:
        return self._put(value, None)

    @rule(target=known, value=strategies.values(), name=strategies.names())
    def put_under_a_name(self, value: Any, name: str) -> str:
        return self._put(value, name)

    @rule(targets=(known, large), address=large, data=st.data())
    def put_a_near_duplicate(self, address: str, data: st.DataObject) -> str:
        return self._put(data.draw(strategies.edits(self.values[address])), None)

    @rule(target=known, address=known, layout=st.sampled_from(strategies.LAYOUTS))
    def put_again(self, address: str, layout: Any) -> str:
        value = self.values[address]
        return self._put(layout(value) if isinstance(value, np.ndarray) else value, None)

    @rule(target=known, children=st.dictionaries(st.sampled_from("abc"), known, min_size=1, max_size=3))
    def put_a_tree_of_what_is_there(self, children: dict[str, str]) -> str:
        return self._put({name: self.values[address] for name, address in children.items()}, None)

    @rule(address=known, name=strategies.names())
    def give_a_known_value_a_name(self, address: str, name: str) -> None:
        self._put(self.values[address], name)

    def _put(self, value: Any, name: str | None) -> str:
        address = self.addresses.get(form(value))
        ref = self.store.put(value, name)
        if address is not None:
            assert ref.digest == address, "an equal value has another address"
        else:
            assert ref.digest not in self.values, "another value has this address"
        if not self.damaged and not isinstance(value, Mapping):  # a new tree may consist of what is there
            present = set().union(*self.below.values()) - self.collected
            assert (ref.new_bytes == 0) == (ref.digest in present)
        assert form(self.store.get(ref)) == form(value), "what was put comes back changed"
        repaired = self.below.get(ref.digest, set()) & self.damaged
        event(f"put: {'repair' if repaired else 'new' if address is None else 'again'}")
        if address is None and 0 < ref.new_bytes < ref.nbytes // 2:
            event("put: most of it was there already")
        self.values[ref.digest], self.addresses[form(value)] = value, ref.digest
        self.below[ref.digest] = self._needs(ref.digest)
        self._is_sound(self.below[ref.digest])
        self.collected -= self.below[ref.digest]
        if name is not None:
            versions = self.names.setdefault(name, [])
            versions += [ref.digest] if versions[-1:] != [ref.digest] else []
        return ref.digest

    def _needs(self, address: str) -> set[str]:
        return {address}.union(*(self._needs(child) for child in self.store.record(address).children.values()))

    @rule(address=known, data=st.data())
    def get(self, address: str, data: st.DataObject) -> None:
        hexadecimal = address.removeprefix("sha256:")
        digits = data.draw(st.integers(8, 64))
        called = [name for name, versions in self.names.items() if versions[-1] == address]
        references: dict[str, Ref | str] = {
            "address": address,
            "digits": hexadecimal[:digits],
            "prefix": address[: 7 + digits],
            "ref": Ref(address, "", 0),
        }
        if called:
            references["name"] = called[0]
        how = data.draw(st.sampled_from(sorted(references)))
        try:
            value = self.store.get(references[how])
        except (Damaged, NotFound) as error:
            note(str(error))
            self._is_explained(address)
            event(f"get by {how}: refused, it is damaged or collected")
        else:
            assert form(value) == form(self.values[address])
            event(f"get by {how}")

    @rule(address=large, data=st.data())
    def open_and_slice(self, address: str, data: st.DataObject) -> None:
        array = self.values[address]
        key = data.draw(hnp.basic_indices(array.shape, allow_newaxis=False))
        try:
            found = self.store.open(address)[key]
        except (Damaged, NotFound):
            self._is_explained(address)
            event("slice: refused, it is damaged or collected")
        else:
            assert form(found) == form(array[key])
            event("slice")

    def _is_explained(self, address: str) -> None:
        """A read may fail only where something was collected, or damaged and ``fsck`` says so."""
        if not self.below[address] & self.collected:
            assert self.damaged
            assert self.below[address] & {problem.place for problem in self.store.fsck(full=True).problems}

    @rule(data=st.data(), kind=st.sampled_from([*sorted(DAMAGES), "delete", "swap"]), seed=st.integers(0, 2**32))
    def damage(self, data: st.DataObject, kind: str, seed: int) -> None:
        keys = [key for key in self.stored if key.startswith("data/")]
        assume(keys)
        key = data.draw(st.sampled_from(keys))
        reached = {key}
        if kind == "swap":
            reached.add(data.draw(st.sampled_from(keys)))
        before = {key: self.stored[key] for key in reached}
        if kind == "delete":
            del self.stored[key]
        elif kind == "swap":
            self.stored.update(zip(before, reversed(before.values()), strict=True))
        else:
            self.stored[key] = DAMAGES[kind](self.stored[key], random.Random(seed))
        assume(any(self.stored.get(key) != content for key, content in before.items()))
        self.written = before | self.written
        for address in map(_address, reached):  # a second damage may undo the first
            written = {key: content for key, content in self.written.items() if _address(key) == address}
            if all(self.stored.get(key) == content for key, content in written.items()):
                self._is_sound({address})
            else:
                self.damaged.add(address)
        event(f"damage: {kind} {key.rsplit('/', 1)[-1]}")

    def _is_sound(self, addresses: set[str]) -> None:
        self.damaged -= addresses
        self.written = {key: content for key, content in self.written.items() if _address(key) in self.damaged}

    @precondition(lambda self: self.names)
    @rule(data=st.data())
    def forget_a_name(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.names)))
        self.store.forget(name)
        del self.names[name]
        event("forget a name")

    @rule()
    def collect(self) -> None:
        """Without patience, so that what was condemned by the collection before goes now."""
        try:
            report = self.store.gc(dry_run=False, grace_seconds=0)
        except Damaged:
            assert self.damaged
            event("gc: refused, something is damaged")
            return
        removed = {item.address for item in report.unneeded if item.state == "removed"}
        needed = set().union(*(self.below[a] for versions in self.names.values() for a in versions))
        assert not removed & needed, "something a name leads to was removed"
        self.collected |= removed
        self._is_sound(removed)
        assert self.damaged or self.store.fsck(full=True).clean
        event(f"gc: {'something' if removed else 'nothing'} removed")

    @precondition(lambda self: self.damaged)
    @rule()
    def repair(self) -> None:
        """Put every value again: nothing damaged is left."""
        for value in list(self.values.values()):
            self._put(value, None)
        assert not self.damaged
        assert self.store.fsck(full=True).clean
        event("everything repaired")

    @rule()
    def fsck(self) -> None:
        report = self.store.fsck(full=True)
        found = {problem.place: problem for problem in report.problems}
        for address in self.damaged - found.keys():
            assert self._is_gone(address), f"{address} is damaged, and fsck did not find it"
        for address in found.keys() - self.damaged:  # what is put together from damaged objects is damaged too
            try:
                self.store.get(address)
            except Damaged:
                continue
            raise AssertionError(f"a false alarm: {found[address]}")
        for problem in report.problems:
            needing = {n for n, versions in self.names.items() if any(problem.place in self.below[a] for a in versions)}
            assert set(problem.names) <= needing
        event(f"fsck: {min(len(found), 3)} problems or more")

    def _is_gone(self, address: str) -> bool:
        """Tell whether nothing is left of an object and nothing that could say so needs it."""
        hexadecimal = address.removeprefix("sha256:")
        left = any(hexadecimal in key for key in self.stored)
        telling = {a for a in self.below if a not in self.damaged and address in self.below[a] - {a}}
        return not left and not telling and not any(address in self.below[a] for v in self.names.values() for a in v)

    @invariant()
    def names_and_versions_are_those_given(self) -> None:
        assert {v.name: v.address for v in self.store.names()} == {n: v[-1] for n, v in self.names.items()}
        for name, versions in self.names.items():
            assert [v.address for v in self.store.versions(name)] == versions


def _address(key: str) -> str:
    return f"sha256:{key.split('/')[2]}"
