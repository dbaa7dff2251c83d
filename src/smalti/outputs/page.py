"""Pieces of one self-contained HTML page: every foreign text escaped, no scripts, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from smalti.digest import PREFIX
from smalti.notebook.words import readable, visible
from smalti.outputs.quantities import number

_MOST_CHARACTERS = 2000
_MOST_JSON_CHARACTERS = 20_000
_MOST_CHIPS, _LONGEST_CHIP = 16, 60
_SHOWN_DIGITS = 12  # of a digest
_DIGITS = 6  # of a number
MARK = "<!-- a page of smalti -->"  # within the first bytes; by it a page is known that may be written over

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6570;--line:#d8dde3;--ground:#fff;--panel:#f5f7f9;
--value:#e7f1fb;--value-line:#3c7ab8;--step:#f3ede0;--step-line:#a7803a;--subject:#1f6fb2;--bad:#b3261e;--good:#1a7f37}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ec;--soft:#9aa5b1;--line:#353c45;--ground:#14181d;--panel:#1d232a;
--value:#1b2c3d;--value-line:#5b9bd8;--step:#332c1e;--step-line:#c09a55;--subject:#2f83c9;--bad:#ff8a80;--good:#6fd08c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1120px;padding:28px 24px 60px;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:18px;margin:34px 0 10px;padding-bottom:4px;border-bottom:1px solid var(--line)}
h3{font-size:14px;margin:16px 0 6px;color:var(--soft);font-weight:600;overflow-wrap:anywhere}
p{margin:6px 0}
code,pre,.mono{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12.5px}
code,.mono{overflow-wrap:anywhere}
pre{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:10px 12px;margin:6px 0;
overflow-x:auto;max-height:420px;white-space:pre}
.soft{color:var(--soft)}
.lead{font-size:16px;color:var(--soft);margin:0 0 8px;overflow-wrap:anywhere}
.chip{display:inline-block;border:1px solid var(--line);background:var(--panel);border-radius:20px;padding:1px 10px;
margin:2px 6px 2px 0;font-size:13px;overflow-wrap:anywhere}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}
.box{border:1px solid var(--bad);border-radius:6px;padding:8px 12px;margin:10px 0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;margin:6px 0;font-size:13.5px}
th,td{text-align:left;vertical-align:top;padding:4px 12px 4px 0;border-bottom:1px solid var(--line);
overflow-wrap:break-word;max-width:34em}
thead th{color:var(--soft);font-weight:600;font-size:12.5px}
tbody th{font-weight:600;width:11.5em}
.wide{overflow-x:auto}.wide td,.wide th{white-space:nowrap;max-width:24em;overflow:hidden;text-overflow:ellipsis}
.pictures{display:flex;flex-wrap:wrap;gap:14px;margin:8px 0}
figure{margin:0;max-width:100%}
figcaption{font-size:12.5px;color:var(--soft);max-width:440px;overflow-wrap:anywhere}
figure img{display:block;max-width:100%;height:auto;border:1px solid var(--line);border-radius:4px}
svg{max-width:100%;height:auto;display:block}
svg text{fill:var(--ink);font:12px system-ui,-apple-system,"Segoe UI",sans-serif}
svg .soft{fill:var(--soft);font-size:10.5px}
.value{fill:var(--value);stroke:var(--value-line)}.step{fill:var(--step);stroke:var(--step-line)}
.subject{fill:var(--subject);stroke:var(--subject)}svg .on{fill:#fff}svg .soft.on{fill:#e3eefa}
.gone{stroke:var(--bad);stroke-dasharray:4 3}.fold{fill:var(--panel);stroke:var(--line);stroke-dasharray:3 3}
.edge{stroke:var(--soft);fill:none;stroke-width:1.1}.head{fill:var(--soft)}
.axis{stroke:var(--line);fill:none}.curve{stroke:var(--value-line);fill:none;stroke-width:1.6}
.path{stroke:var(--line);fill:none;stroke-width:.6}
.dot{fill:var(--value-line)}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.tag{font-size:12px;font-weight:600;padding:1px 7px;border-radius:10px;margin-right:8px;background:var(--panel)}
.added{background:rgba(46,160,67,.18)}.removed{background:rgba(248,81,73,.18)}
.lines span{display:block;margin:0 -12px;padding:0 12px}
nav{font-size:14px;columns:2;margin:14px 0}nav a{display:block;overflow-wrap:anywhere;text-decoration:none}
a{color:var(--subject)}
details>summary{cursor:pointer;color:var(--soft)}
footer{margin-top:44px;color:var(--soft);font-size:12.5px;border-top:1px solid var(--line);padding-top:8px}
@media (max-width:640px){body{padding:16px 14px}th,td{overflow-wrap:anywhere}tbody th{width:7em}}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--ground:#fff;--panel:#fff;--value:#eef5fc;
--value-line:#3c7ab8;--step:#f7f2e7;--step-line:#a7803a;--subject:#1f6fb2;--bad:#b3261e;--good:#1a7f37}
body{padding:0;max-width:none;font-size:11pt}pre{max-height:none;white-space:pre-wrap}
h2,h3{break-after:avoid}figure,tr,svg{break-inside:avoid}
.value,.step,.subject,.fold{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"


def page(title: str, body: Iterable[str]) -> str:
    """Return the whole page; its policy lets a browser fetch nothing and run nothing."""
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        f'<!DOCTYPE html>\n{MARK}\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY.format(style))}">'
        '<meta name="referrer" content="no-referrer">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title, 200)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def text(given: object, most: int = _MOST_CHARACTERS, lines: bool = False) -> str:
    """Return foreign text as HTML; its lines stay lines only where ``lines`` says so."""
    return escape(visible(given if isinstance(given, str) else str(given), most, lines))


def code(given: object, most: int = _MOST_CHARACTERS) -> str:
    """Return a digest, a path or a command within a line."""
    return f"<code>{text(given, most)}</code>"


def block(given: str, most: int = _MOST_JSON_CHARACTERS) -> str:
    """Return lines of text as they are."""
    return f"<pre>{text(given, most, lines=True)}</pre>"


def shown_json(value: Any) -> str:
    """Return a JSON value: a short one within a line, a few named ones side by side, a longer one as a block."""
    if isinstance(value, str):
        return text(value, lines=True)
    if isinstance(value, float):
        return text(number(value, _DIGITS))
    if isinstance(value, dict) and 0 < len(value) <= _MOST_CHIPS and not any(map(_is_long, value.values())):
        return "".join(f'<span class="chip">{text(name, 100)} <b>{text(one)}</b></span>' for name, one in value.items())
    short = json.dumps(value, ensure_ascii=False)
    if len(short) <= 100:
        return text(short)
    return block(json.dumps(value, indent=2, ensure_ascii=False))


def _is_long(value: Any) -> bool:
    return isinstance(value, list | dict) or len(str(value)) > _LONGEST_CHIP


def section(title: str, *pieces: str) -> str:
    """Return a part of the page under a heading; nothing where it would be empty."""
    filled = [piece for piece in pieces if piece]
    return f"<section><h2>{text(title)}</h2>{''.join(filled)}</section>" if filled else ""


def fields(rows: Mapping[str, str]) -> str:
    """Return a table of names and HTML; rows without any are left out."""
    body = "".join(
        f'<tr><th scope="row">{text(name, 300)}</th><td>{said}</td></tr>' for name, said in rows.items() if said
    )
    return f"<table><tbody>{body}</tbody></table>" if body else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], wide: bool = False, numbers_from: int = 99) -> str:
    """Return a table with a heading for each column; cells are HTML. Columns without any are left out.

    Args:
        wide: lines are not broken, the table can be moved sideways.
        numbers_from: the column from which on there are numbers, set to the right.
    """
    rows = list(rows)
    filled = [number for number in range(len(heads)) if any(row[number] for row in rows)]
    heads, rows = [heads[number] for number in filled], [[row[number] for number in filled] for row in rows]
    kinds = [' class="number"' if number >= numbers_from else "" for number in filled]
    cells = ["".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) for row in rows]
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    if not filled:
        return ""
    head = "".join(f'<th scope="col"{k}>{text(one, 200)}</th>' for k, one in zip(kinds, heads, strict=True))
    made = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{made}</div>' if wide else made


def folded_away(summary: str, content: str) -> str:
    """Return content that is unfolded by a click."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>" if content else ""


def picture(png: bytes, caption: str) -> str:
    """Return an image with what it shows."""
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{text(caption, 300)}">'
        f"<figcaption>{text(caption, 300)}</figcaption></figure>"
    )


def pictures(figures: Iterable[str]) -> str:
    """Return figures side by side; nothing where there are none."""
    inner = "".join(figures)
    return f'<div class="pictures">{inner}</div>' if inner else ""


def more(count: int, what: str = "") -> str:
    """Return that there are more than are shown; nothing where there are none."""
    return f'<p class="soft">and {count:,} more{f" {text(what)}" if what else ""}</p>' if count > 0 else ""


def link(url: str) -> str:
    """Return a link where a text is a web address that a browser may open, and the text where it is not."""
    if url.startswith(("https://", "http://")) and url.isprintable() and " " not in url:
        return f'<a href="{escape(url)}" rel="noopener noreferrer">{text(url)}</a>'
    return text(url)


def size(nbytes: float | None) -> str:
    """Return a size; nothing where there is none, as of a tree that holds no arrays."""
    return readable(nbytes) if nbytes else ""


def short(address: str) -> str:
    """Return a digest in as many digits as a person compares, with all of it where one points at it."""
    return f'<code title="{text(address)}">{text(address[: len(PREFIX) + _SHOWN_DIGITS])}…</code>'


def is_page(head: bytes) -> bool:
    """Tell whether a file that begins so is a page of ours, which may be written over."""
    return MARK.encode() in head
