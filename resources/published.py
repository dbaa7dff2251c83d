"""What people find in ``data/interim`` and ``data/processed``: read-only views of what these assets stored."""

from pathlib import Path

import dagster as dg

from smalti import Ref, Store
from smalti.datasets.published import publish
from smalti.errors import SmaltiError
from smalti.settings import Settings

_RAW = {"scan": "scan", "table": "table", "scan_split": "scan", "text_split": "table"}  # asset -> kind of its raw file
_OF_SCANS = frozenset({"physics", "reading"})  # fields of a card that say nothing of a table
_PROCESSED = frozenset({"scan_split", "text_split"})  # what training reads


def publish_output(log: dg.DagsterLogManager, store: Store, asset: str, key: str, ref: Ref) -> Path | None:
    """Show a stored value as files, if its asset is one of those people look for; return the folder.

    A view is for looking: one that cannot be made is told of, and what was stored stays.
    """
    if asset not in _RAW:
        return None
    try:
        return _published(store, asset, key, ref)
    except SmaltiError as error:
        log.warning(str(error))
        return None


def _published(store: Store, asset: str, key: str, ref: Ref) -> Path:
    settings = Settings()
    raw = store.open(f"raw_{_RAW[asset]}/{key}").attrs
    card = {name: said for name, said in raw["card"].items() if _RAW[asset] == "scan" or name not in _OF_SCANS}
    steps = [f"{raw['filename']} read by the contract {raw.get('contract', 'none')}"]
    if _RAW[asset] == "scan":
        steps += store.open(f"scan/{key}").attrs.get("conversions", [])
    if asset in _PROCESSED:
        of = store.open(ref).attrs
        steps.append(f"split: {of['validation_fraction']} held out to validate, seed {of['seed']}")
    folder = settings.processed if asset in _PROCESSED else settings.interim
    return publish(store, ref, folder, key, card=card, steps=steps, version=str(card.get("version", "not stated")))
