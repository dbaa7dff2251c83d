"""One self-contained HTML page about a value or a run, to be mailed: what it is, what it came from, how to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from smalti.digest import PREFIX
from smalti.outputs.page import code, fields, more, page, section, size, table, text
from smalti.outputs.quantities import count, moment
from smalti.provenance.facts import Facts, facts_of
from smalti.provenance.report.lineage import LineagePieces
from smalti.provenance.report.previews import Previews
from smalti.provenance.report.repeating import how_to_repeat
from smalti.provenance.report.runs import run_chips, run_error, run_pieces
from smalti.provenance.subject import Subject, lineage_of, subject_of
from smalti.provenance.told import called, with_arrival

if TYPE_CHECKING:
    from smalti.store import Manifest, Store

_MOST_NAMES = 40
_MOST_SHOWN_VALUES = 6  # of a run's outputs, that have previews
_MOST_USES = 60


def report_page(store: Store, ref_or_run: str) -> str:
    """Return one HTML page about a value or a run, with no scripts, and nothing that is fetched from anywhere.

    Equal stores give equal pages. What cannot be read any more is said, and the rest of the page is as it would be.

    Args:
        ref_or_run: a name, ``sha256:<hex>``, a unique prefix of at least eight digits, or what a run is called;
            ``run:NAME`` where a value is called the same.

    Raises:
        NotFound: nothing answers to that.
        Ambiguous: several values do, or a value and a run.
    """
    subject = subject_of(store, ref_or_run)
    return _run_page(store, subject, subject.run) if subject.run else _value_page(store, subject)


def _value_page(store: Store, subject: Subject) -> str:
    address = subject.address
    uses = store.runs_of(address)
    makers = [store.manifest(use.run) for use in uses if use.role == "wrote"]
    facts = with_arrival(facts_of(store, address), makers)
    named = [version.name for version in store.names() if version.address == address]
    by_digits = subject.reference.removeprefix(PREFIX) in address
    title = subject.reference if not by_digits else (named or [facts.filename or facts.what or address[:19]])[0]
    upstream, downstream = (lineage_of(store, [address], direction) for direction in ("upstream", "downstream"))
    lineage = LineagePieces(store, [address], upstream, downstream)
    body = [
        f"<h1>{text(title, 300)}</h1>",
        f'<p class="lead">{text(facts.what or "a value that is not here any more")} {size(facts.nbytes)}</p>',
        _gone(facts),
        section("What it is", _what_it_is(store, facts, named)),
        section("What it looks like", *(Previews(store).of(address) if not facts.gone else ())),
    ]
    for maker in makers[:3]:
        body.append(f"<h2>Made by the run {text(called(maker))}</h2><p>{run_chips(maker)}</p>{run_error(maker)}")
        body += run_pieces(store, maker)
    if not makers:
        body.append(section("How it was made", '<p class="soft">No run of this store says that it wrote it.</p>'))
    body += [
        section("What it was made from", lineage.drawn("upstream"), lineage.sources(), lineage.listed("upstream")),
        section("What used it", _uses(store, address), lineage.listed("downstream")),
        section(
            "How to get it, and how to make it again", how_to_repeat(store, address, makers[0] if makers else None)
        ),
        _footer(store),
    ]
    return page(f"{title} - report", filter(None, body))


def _run_page(store: Store, subject: Subject, run: Manifest) -> str:
    addresses = subject.addresses
    upstream = lineage_of(store, addresses, "upstream")
    lineage = LineagePieces(store, [], upstream, lineage_of(store, addresses, "downstream"), run)
    children = store.children_of(run.run)
    body = [
        f"<h1>{text(called(run))}</h1>",
        f'<p class="lead">run {code(run.run)}</p><p>{run_chips(run)}</p>',
        run_error(run),
        f'<p class="soft">Released at {text(moment(run.released_at))}: its values may have been collected.</p>'
        if run.released_at
        else "",
        section("What it read", _used(store, run.inputs)),
        section("What it wrote", _used(store, run.outputs)),
        section("Its steps", lineage.steps(run)),
        *run_pieces(store, run),
        section(
            "Its place among the runs",
            fields(
                {
                    "part of": code(run.parent) if run.parent else "",
                    "has the parts": ", ".join(code(child) for child in children[:_MOST_NAMES])
                    + (f" and {len(children) - _MOST_NAMES} more" if len(children) > _MOST_NAMES else ""),
                    "shown as": "<br>".join(code(view) for view in run.views),
                }
            ),
        ),
    ]
    previews = Previews(store)
    for name, address in list(run.outputs.items())[:_MOST_SHOWN_VALUES]:
        body.append(section(f"What {name} looks like", *previews.of(address)))
    body += [
        section("Where it comes from", lineage.drawn("both"), lineage.sources(), lineage.listed("upstream")),
        section("What used its results", lineage.listed("downstream")),
        section("How to get the results, and how to run it again", how_to_repeat(store, None, run)),
        _footer(store),
    ]
    return page(f"{called(run)} - report of a run", filter(None, body))


def _gone(facts: Facts) -> str:
    if not facts.gone:
        return ""
    return f'<div class="box"><span class="bad">not here any more</span> {text(facts.gone)}</div>'


def _what_it_is(store: Store, facts: Facts, named: list[str]) -> str:
    versions = [
        (text(version.name), f"version {version.version} of {len(found)}", text(moment(version.at)))
        for name in named[:_MOST_NAMES]
        for found in [store.versions(name)]
        for version in found
        if version.address == facts.address
    ]
    return fields(
        {
            "digest": code(facts.address),
            "kind": text(facts.what),
            "size": f'{size(facts.nbytes)} <span class="soft">({facts.nbytes:,} bytes)</span>' if facts.nbytes else "",
            "file": text(facts.filename),
            "SHA-256 of the file": code(facts.file_sha256) if facts.file_sha256 else "",
            "licence": text(facts.licence),
            "source": text(facts.source),
            "contract": f'<span class="good">passed</span> {text(facts.contract)}' if facts.contract else "",
            "names": table(("name", "version", "since"), versions),
        }
    )


def _used(store: Store, values: Mapping[str, str]) -> str:
    rows = []
    for name, address in list(values.items())[:_MOST_USES]:
        facts = facts_of(store, address)
        what = '<span class="bad">not here any more</span>' if facts.gone else text(facts.what)
        rows.append((f"<b>{text(name, 200)}</b>", what, size(facts.nbytes), text(facts.filename), code(address)))
    return table(("name", "what", "size", "file", "digest"), rows) + more(len(values) - len(rows))


def _uses(store: Store, address: str) -> str:
    readers = [use.run for use in store.runs_of(address) if use.role == "read"]
    if not readers:
        return '<p class="soft">No run of this store read it.</p>'
    shown = ", ".join(text(called(store.manifest(run))) for run in readers[:_MOST_USES])
    left = f" and {len(readers) - _MOST_USES} more" if len(readers) > _MOST_USES else ""
    return f"<p>Read by {count(len(readers), 'run')}: {shown}{left}</p>"


def _footer(store: Store) -> str:
    return (
        f"<footer>A report of Smalti on the store at {code(store.place)}. A digest is of the content: equal "
        "values have equal digests, wherever they are.</footer>"
    )
