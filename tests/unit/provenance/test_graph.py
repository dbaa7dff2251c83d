"""A lineage is drawn in layers, what was there first on top, and folded where it would not fit a page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smalti.provenance.graph import MOST_IN_LAYER, MOST_LAYERS, Fold, Graph, Node, folded, graph_of
from smalti.store import Hop

values = st.integers(0, 12).map(lambda number: f"v{number}")
hops = st.lists(
    st.builds(
        Hop,
        st.just(1),
        st.integers(0, 8).map(lambda number: f"r{number}"),
        st.sampled_from(["", "a", "b"]),
        st.none() | values,
        st.none() | values,
    ),
    max_size=40,
)


def chain(length: int) -> list[Hop]:
    return [Hop(1, f"r{number}", "", f"v{number}", f"v{number + 1}") for number in range(length)]


def counted(graph: Graph) -> tuple[int, int]:
    """How many values and steps a graph stands for."""
    found = [0, 0]
    for node in (node for layer in graph.layers for node in layer):
        if isinstance(node, Fold):
            found[0], found[1] = found[0] + node.values, found[1] + node.steps
        else:
            found[node.step is not None] += 1
    return found[0], found[1]


@given(hops=hops)
def test_every_node_is_in_one_layer_circles_or_not(hops: list[Hop]) -> None:
    graph = graph_of(hops)
    nodes = [node for layer in graph.layers for node in layer]
    assert len(nodes) == len(set(nodes)), "no node is drawn twice"
    assert {node for edge in graph.edges for node in edge} <= set(nodes), "every line has two ends"
    assert all(graph.layers), "no layer is empty"


@given(hops=hops, keep=st.lists(values, max_size=2))
def test_folding_loses_nothing_and_keeps_what_it_is_about(hops: list[Hop], keep: list[str]) -> None:
    graph = graph_of(hops, keep)
    small = folded(graph, keep, most_in_layer=3)
    assert counted(small) == counted(graph), "what is folded is counted"
    if len(graph.layers) <= MOST_LAYERS:
        assert {Node(value) for value in keep} <= {node for layer in small.layers for node in layer}
    assert all(len(layer) <= 3 + len(keep) for layer in small.layers)


def test_a_chain_without_circles_leads_downwards() -> None:
    graph = graph_of(chain(5))
    place = {node: number for number, layer in enumerate(graph.layers) for node in layer}
    assert all(place[a] < place[b] for a, b in graph.edges)
    assert graph.layers[0] == (Node("v0"),)


def test_what_nothing_led_to_stands_just_above_what_read_it() -> None:
    graph = graph_of([*chain(4), Hop(1, "r3", "", "late", "v4")])
    place = {node: number for number, layer in enumerate(graph.layers) for node in layer}
    assert place[Node("late")] == place[Node(run="r3", step="")] - 1


def test_a_chain_of_thousands_is_folded_to_a_page() -> None:
    small = folded(graph_of(chain(5000)))
    assert len(small.layers) == MOST_LAYERS
    assert counted(small) == (5001, 5000)


def test_a_wide_layer_is_folded_to_a_row() -> None:
    small = folded(graph_of([Hop(1, "r", "", f"v{number}", "end") for number in range(200)]))
    assert max(map(len, small.layers)) == MOST_IN_LAYER
    assert Fold(0, 196, 0) in small.layers[0]
