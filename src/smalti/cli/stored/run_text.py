"""How runs and what they made of what are written for a person: a line, all that is known, and a tree."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from smalti.cli.answers import printable
from smalti.digest import PREFIX
from smalti.outputs.quantities import duration, moment
from smalti.runs.run_manifest import is_lost

if TYPE_CHECKING:
    from smalti.store import Hop, Manifest, Step

_BY_NAME = ("tags", "parameters", "metrics", "seeds", "code", "environment", "links")
_SHOWN_DIGITS = 12


def line(manifest: Manifest) -> str:
    """Return a run in one line: when it was recorded, what is said of it, and how much it used."""
    used = f"{len(manifest.inputs)} read, {len(manifest.outputs)} written"
    released = f"released {moment(manifest.released_at)}" if manifest.released_at else ""
    return "  ".join(filter(None, [manifest.run, described(manifest), used, released]))


def described(manifest: Manifest) -> str:
    """Return when a run was recorded, and its type, status and project as far as they are known."""
    said = [
        moment(manifest.created_at),
        manifest.run_type,
        status(manifest),
        printable(manifest.project),
    ]
    return "  ".join(filter(None, said))


def status(manifest: Manifest) -> str:
    """Return how a run stands: what it says, and whether that is so."""
    return f"{manifest.status}, but its process is gone" if is_lost(manifest) else manifest.status


def everything(manifest: Manifest, children: Sequence[str]) -> Iterator[str]:
    """Yield the lines that say all that is known of a run."""
    times = moment(manifest.created_at) + (f", written {manifest.revision} times" if manifest.revision > 1 else "")
    took = "" if manifest.duration_s is None else f", took {duration(manifest.duration_s)}"
    said = {
        "type": manifest.run_type,
        "status": status(manifest),
        "error": manifest.error,
        "project": manifest.project,
        "recorded": times,
        "started": moment(manifest.started_at),
        "ended": moment(manifest.ended_at) + took,
        "released": moment(manifest.released_at),
        "part of": manifest.parent,
        "children": ", ".join(children),
        "views": ", ".join(manifest.views),
    }
    yield manifest.run
    for name, text in said.items():
        if text:
            yield f"  {name:9} {printable(text)}"
    yield from _used(manifest.inputs, manifest.outputs, "  ")
    for step in manifest.steps:
        yield f"  step {printable(step.name)}{_took(step)}"
        yield from _used(step.inputs, step.outputs, "    ")
    for called in _BY_NAME:
        if values := getattr(manifest, called):
            yield f"  {called}"
            width = max(map(len, map(printable, values)))
            for name, value in values.items():
                yield f"    {printable(name):{width}}  {_value(value)}"
    if manifest.notes is not None:
        yield "  notes"
        yield from (f"    {text}" for text in json.dumps(manifest.notes, indent=2, ensure_ascii=False).splitlines())


def _used(inputs: Mapping[str, str], outputs: Mapping[str, str], indent: str) -> Iterator[str]:
    for did, values in (("read", inputs), ("wrote", outputs)):
        for name, address in values.items():
            yield f"{indent}{did:5}  {address}  {printable(name)}"


def _took(step: Step) -> str:
    at = f", started {moment(step.started_at)}" if step.started_at else ""
    return at + (f", took {duration(step.seconds)}" if step.seconds is not None else "")


def _value(value: Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


@dataclass
class _Node:
    """A step of a run in a tree, below the step that led to it."""

    run: str
    step: str
    ends: list[str] = field(default_factory=list)
    below: list[_Node] = field(default_factory=list)


def tree(
    hops: Sequence[Hop],
    others: Sequence[str],
    upstream: bool,
    name_of: Callable[[str], str],
    manifests: Mapping[str, Manifest | None],
) -> Iterator[str]:
    """Yield the lines of a tree of steps; each comes once, where it is nearest to the value that was asked about.

    Args:
        hops: nearest first.
        others: runs that used that value, but none of whose steps did.
        name_of: of an address, what to call it.
        manifests: of each run; None where it is gone.
    """
    nodes: dict[tuple[str, str], _Node] = {}
    came_by: dict[str, _Node] = {}  # far end of a hop -> the step that led there first
    roots: list[_Node] = []
    for hop in hops:
        near, far = (hop.wrote, hop.read) if upstream else (hop.read, hop.wrote)
        node = nodes.get((hop.run, hop.step))
        if node is None:
            node = nodes[hop.run, hop.step] = _Node(hop.run, hop.step)
            led_by = hop.by or near
            (came_by[led_by].below if led_by in came_by else roots).append(node)
        if far is not None and far not in node.ends:
            node.ends.append(far)
            came_by.setdefault(far, node)
    roots += [_Node(run, "") for run in others]
    waiting = [(node, 0) for node in reversed(roots)]
    while waiting:
        node, depth = waiting.pop()
        step = f" / {printable(node.step)}" if node.step else ""
        ends = ", ".join(map(name_of, node.ends))
        arrow = f"  {'<-' if upstream else '->'} {ends}" if ends else ""
        manifest = manifests[node.run]
        about = described(manifest) if manifest else "(its manifest is gone)"
        yield f"{'  ' * depth}{node.run}{step}  {about}{arrow}".rstrip()
        waiting += [(below, depth + 1) for below in reversed(node.below)]


def short(address: str) -> str:
    """Return an address in so many digits as a person compares."""
    return f"{PREFIX}{address.removeprefix(PREFIX)[:_SHOWN_DIGITS]}"
