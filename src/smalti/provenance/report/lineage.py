"""Where a value comes from and what used it: drawn as a graph, and the same as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Literal

from smalti.errors import SmaltiError
from smalti.outputs.page import code, folded_away, more, short, size, table, text
from smalti.outputs.quantities import count, duration, moment
from smalti.provenance.facts import Facts, facts_of
from smalti.provenance.graph import Node, folded, graph_of
from smalti.provenance.report.drawing import Label, graph_svg
from smalti.provenance.told import called, names_in, with_arrival

if TYPE_CHECKING:
    from smalti.store import Hop, Manifest, Store

_MOST_ROWS = 300
_MOST_OPEN = 25  # rows up to which a table is unfolded
_MOST_SOURCES = 200
_MOST_DRAWN_HOPS = 20_000


class LineagePieces:
    """The lineage of a value or of a run, as pieces of a page."""

    def __init__(
        self,
        store: Store,
        subjects: Sequence[str],
        upstream: Sequence[Hop],
        downstream: Sequence[Hop],
        run: Manifest | None = None,
    ) -> None:
        self._subjects, self._run = set(subjects), run
        self._upstream, self._downstream = upstream, downstream
        self._facts = cache(lambda address: with_arrival(facts_of(store, address), self._arrivals.get(address, [])))
        self._manifest = cache(lambda name: _manifest_of(store, name))

    def drawn(self, which: Literal["upstream", "both"]) -> str:
        """Return the graph; folded where it would not fit a page."""
        hops = [*self._upstream, *(self._downstream if which == "both" else ())]
        if not hops:
            return '<p class="soft">Nothing is recorded of what it was made from.</p>' if self._subjects else ""
        graph = graph_of(hops[:_MOST_DRAWN_HOPS], self._subjects)
        small = folded(graph, self._subjects)
        values = len({node for layer in graph.layers for node in layer if isinstance(node, Node) and node.step is None})
        said = f"{values} values and what made each of which; the table below says the same in words"
        return graph_svg(small, self._label, said)

    def sources(self) -> str:
        """Return the values that no run wrote, with their files and licences: where it all began."""
        read_some = {(hop.run, hop.step) for hop in self._upstream if hop.read}
        made = {hop.wrote for hop in self._upstream if hop.wrote and (hop.run, hop.step) in read_some}
        came = (address for hop in self._upstream for address in (hop.read, hop.wrote) if address)
        roots = dict.fromkeys(address for address in came if address not in made | self._subjects)
        rows = []
        for address in sorted(list(roots)[:_MOST_SOURCES], key=self._name):
            facts = self._facts(address)
            rows.append(
                (
                    text(self._name(address), 200),
                    _what(facts),
                    text(facts.licence, 200) or '<span class="soft">not stated</span>',
                    text(facts.source, 300),
                    f'{code(facts.file_sha256)} <span class="soft">file</span><br>' * bool(facts.file_sha256)
                    + code(address[7:]),
                )
            )
        if not rows:
            return ""
        listed = table(("file", "what", "licence", "source", "SHA-256 of the file, and digest"), rows)
        if len(rows) > _MOST_OPEN:
            listed = folded_away("their files and licences", listed)
        head = f"what it began with: {count(len(roots), 'value')} that no run made from others"
        return f"<h3>{head}</h3>{listed}{more(len(roots) - len(rows))}"

    def listed(self, direction: Literal["upstream", "downstream"]) -> str:
        """Return the lineage as a table, nearest first."""
        hops = self._upstream if direction == "upstream" else self._downstream
        rows = [
            (str(hop.depth), self._value(hop.read), self._step(hop), self._value(hop.wrote))
            for hop in hops[:_MOST_ROWS]
        ]
        made = table(("steps away", "read", "run and step", "wrote"), rows)
        if not made:
            return ""
        made += more(len(hops) - len(rows), "further away")
        summary = f"the {'lineage' if direction == 'upstream' else 'uses'} as a table, {len(hops)} rows"
        return made if len(hops) <= _MOST_OPEN else folded_away(summary, made)

    def steps(self, run: Manifest) -> str:
        """Return the steps of a run, with what each read and wrote."""
        rows = [
            (
                f"<b>{text(step.name, 200)}</b>",
                self._named(step.inputs.items()),
                self._named(step.outputs.items()),
                text(moment(step.started_at)),
                "" if step.seconds is None else duration(step.seconds),
            )
            for step in run.steps[:_MOST_ROWS]
        ]
        return table(("step", "read", "wrote", "started", "took"), rows)

    def _named(self, used: Iterable[tuple[str, str]]) -> str:
        return "<br>".join(f"{text(name, 100)} {short(address)}" for name, address in list(used)[:20])

    def _value(self, address: str | None) -> str:
        if address is None:
            return ""
        facts = self._facts(address)
        what = '<span class="bad">not here any more</span>' if facts.gone else text(facts.what, 100)
        return f'{text(self._called(address), 120)} <span class="soft">{what}</span> {short(address)}'

    def _step(self, hop: Hop) -> str:
        manifest = self._manifest(hop.run)
        run = text(called(manifest) if manifest else hop.run, 200)
        return f'{text(hop.step, 200)} <span class="soft">{run}</span>' if hop.step else run

    def _label(self, node: Node) -> Label:
        if node.step is not None:
            return self._step_label(node)
        facts = self._facts(node.value)
        tone = "subject" if node.value in self._subjects else "gone" if facts.gone else ""
        what = "not here any more" if facts.gone else _sized(facts)
        return Label(self._name(node.value), what, tone)

    def _step_label(self, node: Node) -> Label:
        """Return what a step is called; of one that is called as what it wrote, its run."""
        manifest = self._manifest(node.run)
        tone = "subject" if self._run and node.run == self._run.run else ""
        if manifest is None:
            return Label(node.step or node.run, node.run if node.step else "run", tone)
        run, failed = called(manifest), "failed" if manifest.status == "failed" else ""
        wrote = {name for step in manifest.steps if step.name == node.step for name in step.outputs}
        if not node.step or node.step in wrote:
            return Label(run, failed or manifest.run_type or "run", tone)
        return Label(node.step, ", ".join(filter(None, (run, failed))), tone)

    def _name(self, address: str) -> str:
        """Return the name of the file that a value was, else what it was called."""
        return self._facts(address).filename or self._called(address)

    def _called(self, address: str) -> str:
        """Return what a value was called where it was written, else where it was read, else its digits."""
        return self._calls.get(address, address[7:19])

    @cached_property
    def _arrivals(self) -> dict[str, list[Manifest]]:
        """Return of each value that a step made from nothing that is known the runs in which it came."""
        found: dict[str, list[Manifest]] = {}
        for hop in self._upstream[:_MOST_DRAWN_HOPS]:
            if hop.wrote and hop.read is None and (manifest := self._manifest(hop.run)):
                found.setdefault(hop.wrote, []).append(manifest)
        return found

    @cached_property
    def _calls(self) -> dict[str, str]:
        runs = dict.fromkeys(hop.run for hop in (*self._upstream[:_MOST_DRAWN_HOPS], *self._downstream[:_MOST_ROWS]))
        return names_in(filter(None, map(self._manifest, runs)))


def _sized(facts: Facts) -> str:
    return ", ".join(filter(None, (facts.what, size(facts.nbytes))))


def _what(facts: Facts) -> str:
    if facts.gone:
        return '<span class="bad">not here any more</span>'
    passed = f', <span class="good">passed</span> {text(facts.contract)}' if facts.contract else ""
    return f"{text(_sized(facts))}{passed}"


def _manifest_of(store: Store, run: str) -> Manifest | None:
    try:
        return store.manifest(run)
    except SmaltiError:  # removed by hand, or of a newer version; the lineage is still what it is
        return None
