"""The page of the gallery: every entry as a card, newest first; it works as a file, served, and without its script."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from html import escape
from urllib.parse import quote

from smalti.gallery.entry import Entry
from smalti.outputs.page import MARK, text
from smalti.outputs.quantities import count

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d8dde3;--ground:#f3f5f7;--panel:#fff;--link:#1560a0;
--warn:#8a4b08;--empty:#e6eaee;--focus:#1f6fb2}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ec;--soft:#9aa5b1;--line:#313942;--ground:#101418;--panel:#1a2027;
--link:#7db8ea;--warn:#f0b26a;--empty:#262e36;--focus:#7db8ea}}
*{box-sizing:border-box}[hidden]{display:none!important}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif}
a{color:var(--link)}a:focus-visible,input:focus-visible,select:focus-visible{outline:2px solid var(--focus);
outline-offset:2px;border-radius:3px}
header{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:8px 20px;align-items:center;
padding:12px 24px;background:var(--panel);border-bottom:1px solid var(--line)}
h1{font-size:19px;margin:0}header p{margin:0;color:var(--soft);font-size:13.5px}
form{margin:0 0 0 auto;display:flex;flex-wrap:wrap;gap:8px;align-items:center}
input,select{font:inherit;color:inherit;background:var(--ground);border:1px solid var(--line);border-radius:6px;
padding:5px 9px;min-height:34px}input{width:17em;max-width:100%}
output{color:var(--soft);font-size:13.5px;min-width:7em}
ul{list-style:none;margin:0;padding:20px 24px 48px;display:grid;gap:16px;
grid-template-columns:repeat(auto-fill,minmax(min(100%,264px),1fr))}
li{background:var(--panel);border:1px solid var(--line);border-radius:8px;overflow:hidden;display:flex;
flex-direction:column;content-visibility:auto;contain-intrinsic-size:auto 300px}
.shot{display:block;aspect-ratio:2;background:var(--empty)}
.shot img{display:block;width:100%;height:100%;object-fit:contain}.shot img.curve{background:var(--panel);padding:10px}
.none{display:grid;place-items:center;color:var(--soft);font-size:13px;text-decoration:none}
.about{padding:10px 14px 12px;display:flex;flex-direction:column;gap:6px;flex:1}
h2{font-size:15.5px;line-height:1.3;margin:0;overflow-wrap:anywhere}h2 a{color:inherit;text-decoration:none}
h2 a:hover{text-decoration:underline}
.about p{margin:0;font-size:13px;color:var(--soft)}
.about .older{color:var(--warn)}
dl{margin:0;display:flex;flex-wrap:wrap;gap:4px 18px}dl div{min-width:0}
dt{font-size:12px;color:var(--soft)}dd{margin:0;font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.about .links{margin-top:auto;padding-top:4px;display:flex;flex-wrap:wrap;gap:4px 14px}
.empty{padding:60px 24px;text-align:center;color:var(--soft)}
@media (max-width:640px){header{padding:10px 14px;position:static}form{margin:0;width:100%}input{flex:1;width:auto}
ul{padding:14px 14px 40px}}
@media print{header{position:static}form{display:none}li{break-inside:avoid;content-visibility:visible}}
"""
SCRIPT = """
const form=document.querySelector('form'),field=form.querySelector('input'),kind=form.querySelector('select'),
said=form.querySelector('output'),cards=[...document.querySelectorAll('li')],
texts=cards.map(card=>card.textContent.toLowerCase());
function show(){const words=field.value.toLowerCase().split(/\\s+/).filter(Boolean);let shown=0;
cards.forEach((card,at)=>{const fits=(!kind.value||card.dataset.of===kind.value)&&
words.every(word=>texts[at].includes(word));card.hidden=!fits;shown+=fits});
said.textContent=shown.toLocaleString('en')+' of '+cards.length.toLocaleString('en')}
form.hidden=false;form.addEventListener('submit',event=>event.preventDefault());
form.addEventListener('input',show);show();
document.addEventListener('keydown',event=>{if(event.key==='/'&&document.activeElement!==field){event.preventDefault();
field.focus()}});
"""


def _hashed(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


POLICY = (
    f"default-src 'none'; img-src 'self' data:; style-src '{_hashed(STYLE)}'; script-src '{_hashed(SCRIPT)}'; "
    "base-uri 'none'; form-action 'none'"
)


def gallery_page(entries: Iterable[Entry], dagster_url: str = "") -> str:
    """Return the page of all entries, newest first.

    Args:
        dagster_url: where Dagster is opened, for links to runs and assets; "" for none.
    """
    ordered = sorted(sorted(entries, key=lambda entry: entry.name), key=lambda entry: entry.at, reverse=True)
    kinds = Counter(entry.of for entry in ordered)
    summary = ", ".join(count(many, text(of)) for of, many in sorted(kinds.items(), reverse=True)) or "nothing yet"
    options = "".join(f'<option value="{text(of)}">{text(of)}s</option>' for of in sorted(kinds, reverse=True))
    form = (
        '<form role="search" hidden><input type="search" placeholder="Filter: name, number, ..." '
        'aria-label="Filter by name, number or any other text"><select aria-label="Kind">'
        f'<option value="">everything</option>{options}</select><output aria-live="polite"></output></form>'
    )
    home = _web_address(dagster_url)
    dagster = f' &middot; <a href="{escape(home)}" rel="noopener noreferrer">Dagster</a>' if home else ""
    cards = "".join(_card(entry, home) for entry in ordered)
    body = f"<ul>{cards}</ul>" if cards else '<p class="empty">No asset has written any outputs yet.</p>'
    return (
        f'<!DOCTYPE html>\n{MARK}\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        '<meta name="referrer" content="no-referrer">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Smalti: {summary}</title><style>{STYLE}</style></head>\n<body>"
        f"<header><h1>Smalti</h1><p>{summary}{dagster}</p>{form}</header>\n<main>{body}</main>\n"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _card(entry: Entry, home: str) -> str:
    folder = f"{quote(entry.key)}/"
    figures = "".join(f"<div><dt>{text(label)}</dt><dd>{text(said)}</dd></div>" for label, said in entry.figures)
    older = (
        f'<p class="older">{text(", ".join(entry.older))}: of an older version, in older/</p>' if entry.older else ""
    )
    links = "".join(f'<a href="{escape(url)}"{away}>{text(label)}</a>' for label, url, away in _links(entry, home))
    moment = f'<time datetime="{text(entry.at)}">{text(entry.at[:16].replace("T", " "))} UTC</time>' if entry.at else ""
    return (
        f'<li data-of="{text(entry.of)}">{_picture(entry, folder)}<div class="about">'
        f'<h2><a href="{escape(folder)}">{text(entry.name, 120)}</a></h2><p>{text(entry.of)} &middot; {moment}</p>'
        f"{f'<dl>{figures}</dl>' if figures else ''}{older}"
        f'<p class="links">{links}</p></div></li>\n'
    )


def _picture(entry: Entry, folder: str) -> str:
    if not entry.thumbnail:
        return f'<a class="shot none" href="{escape(folder)}" tabindex="-1">no picture</a>'
    curve = ' class="curve"' if entry.thumbnail.endswith(".svg") else ""
    alt = text(f"{entry.name[:80]}: {entry.alt}")
    return (
        f'<a class="shot" href="{escape(folder)}" tabindex="-1"><img{curve} src="{escape(quote(entry.thumbnail))}" '
        f'alt="{alt}" width="480" height="240" loading="lazy" decoding="async"></a>'
    )


def _links(entry: Entry, home: str) -> Iterator[tuple[str, str, str]]:
    """Yield label, address and attributes of each link: the folder, files, and the asset and run in Dagster."""
    yield "files", f"{quote(entry.key)}/", ""
    for label, path in entry.links:
        yield label, quote(path), ""
    away = ' rel="noopener noreferrer"'
    if home and entry.asset and entry.run_id:
        yield "asset", f"{home}/assets/{quote(entry.asset, safe='')}?partition={quote(entry.key, safe='')}", away
        yield "run", f"{home}/runs/{quote(entry.run_id, safe='')}", away


def _web_address(url: str) -> str:
    """Return an address that a browser may open, without a slash at its end; "" for any other text."""
    fine = url.startswith(("http://", "https://")) and url.isprintable() and " " not in url
    return url.rstrip("/") if fine else ""
