"""Lineage as a graph of values and steps in layers, from what was there first down to what came last, and its folding.

Pure: no store is asked for anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from smalti.store import Hop

MOST_IN_LAYER = 5
MOST_LAYERS = 21  # odd: layers of values and of steps take turns


class Node(NamedTuple):
    """A value (``step`` is None), or a step of a run (``value`` is "")."""

    value: str = ""
    run: str = ""
    step: str | None = None


class Fold(NamedTuple):
    """Nodes that are not drawn one by one.

    Attributes:
        layer: of what is left, the layer that it stands in.
        values, steps: how many of each it stands for.
    """

    layer: int
    values: int
    steps: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in layers, and what leads to what.

    Attributes:
        layers: the first layer holds what nothing else led to.
        edges: from a node to one that was made from it, or that read it.
    """

    layers: tuple[tuple[Node | Fold, ...], ...]
    edges: frozenset[tuple[Node | Fold, Node | Fold]]


def graph_of(hops: Iterable[Hop], alone: Iterable[str] = ()) -> Graph:
    """Return the graph of some hops.

    Args:
        alone: values that are drawn even where no hop leads to them.
    """
    edges: dict[tuple[Node, Node], None] = {}
    nodes: dict[Node, None] = {Node(address): None for address in alone}
    for hop in hops:
        step = Node(run=hop.run, step=hop.step)
        nodes[step] = None
        if hop.read is not None:
            edges[Node(hop.read), step] = None
        if hop.wrote is not None:
            edges[step, Node(hop.wrote)] = None
    for edge in edges:
        nodes |= dict.fromkeys(edge)
    depth = _depths(list(nodes), list(edges))
    layers: list[list[Node]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        layers[depth[node]].append(node)
    return Graph(tuple(map(tuple, _untangled(layers, edges))), frozenset(edges))


def folded(graph: Graph, keep: Iterable[str] = (), most_in_layer: int = MOST_IN_LAYER) -> Graph:
    """Return a graph that fits a page: of wide layers some nodes, of many layers the first and the last ones.

    Args:
        keep: values that are drawn in any case.
        most_in_layer: so many nodes of a layer at most, what is folded among them.
    """
    kept_values = set(keep)
    stands_for: dict[Node | Fold, Node | Fold] = {}
    layers: list[tuple[Node | Fold, ...]] = []
    count = len(graph.layers)
    first, last = (count, count) if count <= MOST_LAYERS else (MOST_LAYERS // 2, count - MOST_LAYERS // 2)
    between = [node for layer in graph.layers[first:last] for node in layer]
    for number, layer in enumerate(graph.layers):
        if first <= number < last:
            if number == first:
                fold = _fold(len(layers), between)
                stands_for |= dict.fromkeys(between, fold)
                layers.append((fold,))
            continue
        wanted = [n for n in layer if isinstance(n, Node) and n.value in kept_values]
        others = [n for n in layer if n not in wanted]
        room = most_in_layer - len(wanted)
        if len(others) > max(room, 0):
            shown = others[: max(room - 1, 0)]
            fold = _fold(len(layers), others[len(shown) :])
            stands_for |= dict.fromkeys(others[len(shown) :], fold)
            drawn = set(wanted) | set(shown)
            layers.append((*(n for n in layer if n in drawn), fold))
        else:
            layers.append(layer)
    edges = {(stands_for.get(a, a), stands_for.get(b, b)) for a, b in graph.edges}
    return Graph(tuple(layers), frozenset((a, b) for a, b in edges if a != b))


def _fold(layer: int, nodes: Iterable[Node | Fold]) -> Fold:
    steps = [isinstance(node, Node) and node.step is not None for node in nodes]
    return Fold(layer, steps.count(False), steps.count(True))


def _depths(nodes: list[Node], edges: list[tuple[Node, Node]]) -> Mapping[Node, int]:
    """Return the layer of each node: below all that lead to it; an edge that closes a circle counts not.

    A value that nothing led to stands just above what first read it, not at the very top.
    """
    after: dict[Node, list[Node]] = {node: [] for node in nodes}
    for a, b in edges:
        after[a].append(b)
    order = _ordered(nodes, after)
    place = {node: number for number, node in enumerate(order)}
    forward = [(a, b) for a, b in edges if place[a] < place[b]]
    before: dict[Node, list[Node]] = {node: [] for node in nodes}
    for a, b in forward:
        before[b].append(a)
    depth: dict[Node, int] = {}
    for node in order:
        depth[node] = max((depth[above] + 1 for above in before[node]), default=0)
    for node in reversed(order):
        below = [depth[b] for b in after[node] if place[b] > place[node]]
        if not before[node] and below:
            depth[node] = min(below) - 1
    return depth


def _ordered(nodes: list[Node], after: Mapping[Node, list[Node]]) -> list[Node]:
    """Return the nodes so that what leads to another comes first, as far as there are no circles."""
    done: list[Node] = []
    seen: set[Node] = set()
    for start in nodes:
        waiting: list[tuple[Node, int]] = [(start, 0)]
        while waiting:  # depth first, without recursion: lineages are thousands of steps long
            node, number = waiting.pop()
            if not number:
                if node in seen:
                    continue
                seen.add(node)
            if number < len(after[node]):
                waiting.append((node, number + 1))
                if after[node][number] not in seen:
                    waiting.append((after[node][number], 0))
            else:
                done.append(node)
    return done[::-1]


def _untangled(layers: list[list[Node]], edges: Iterable[tuple[Node, Node]]) -> list[list[Node]]:
    """Return the layers with each node near those that lead to it, so that few lines cross."""
    before: dict[Node, list[Node]] = {}
    for a, b in edges:
        before.setdefault(b, []).append(a)
    at: dict[Node, float] = {}
    for layer in layers:
        middle = {
            node: sum(places) / len(places) if (places := [at[a] for a in before.get(node, ()) if a in at]) else 0.5
            for node in layer
        }
        layer.sort(key=lambda node: (middle[node], node.value, node.run, node.step or ""))
        at |= {node: (number + 0.5) / len(layer) for number, node in enumerate(layer)}
    return layers
