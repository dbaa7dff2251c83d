"""What the value of an asset's partition, or of an op's output, is called in the store: one name for each.

A part of a key that may stand in a name as it is does: ``scan/run7`` is the partition ``run7`` of the asset ``scan``.
Other parts begin with a mark, which a part that stands as it is never holds:

    e..TEXT    letters, digits, dash and underscore as they are, each other byte of UTF-8 as a dot and two digits
    k..PART    a further part of the key of an asset (the first has no mark); ke..TEXT: the same, written as after e..
    h..TEXT    the beginning of a part that is too long, and its SHA-256; kh..TEXT: of the key of an asset

So ``hours/e..2024-01-01-05.3a00`` is a partition of ``hours``, ``sales/k..orders`` the asset ``sales/orders``, and a
partition of several dimensions has one part for each, in the order of the names of the dimensions.
"""

import hashlib
import re
from collections.abc import Iterable

import dagster as dg

_LONGEST = 128  # characters of a part of a store name
_PLAIN = re.compile(r"[A-Za-z0-9](?:\.?[A-Za-z0-9_-])*\.?")  # never two dots in a row
_TO_ESCAPE = re.compile(r"[^A-Za-z0-9_-]")
_BYTES = re.compile(rb"\.([0-9a-f]{2})")
_MARKED = re.compile(r"(k?)(e|h)\.\.(.*)")


def called(asset: dg.AssetKey, partition: str | None) -> str:
    """Return what a value of an asset is called in the store and in manifests; different ones have different names.

    >>> called(dg.AssetKey("scan"), "run7"), called(dg.AssetKey("scan"), "run 7")
    ('scan/run7', 'scan/e..run.207')
    >>> called(dg.AssetKey(["scan", "run7"]), None)
    'scan/k..run7'
    """
    first, *others = asset.path
    return "/".join([_part(first), *(_part(other, "k") for other in others), *map(_part, _dimensions(partition))])


def op_output_name(run_id: str, step_key: str, output: str, mapping_key: str | None) -> str:
    """Return what an output of an op is called; it has more parts than any asset's name that begins with ``runs``."""
    parts = (run_id, step_key, output, *([] if mapping_key is None else [mapping_key]))
    return "/".join(["runs", *map(_part, parts)])


def key_and_dimensions(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the parts of the asset's key and of the partition's that a name was made of; one too long stays shortened.

    >>> key_and_dimensions("sales/k..orders/e..a.20b")
    (('sales', 'orders'), ('a b',))
    """
    first, *others = name.split("/")
    further = [part for part in others if _is_of_key(part)]
    return (_read(first), *map(_read, further)), tuple(map(_read, others[len(further) :]))


def is_of(name: str, asset: dg.AssetKey) -> bool:
    """Tell whether a name is that of a value of an asset, of any partition or none."""
    whole = called(asset, None)
    return name == whole or (name.startswith(f"{whole}/") and not _is_of_key(name[len(whole) + 1 :]))


def shown_partitions(names: Iterable[str], asset: dg.AssetKey) -> list[str]:
    """Return the partitions of an asset that these names are of, as Dagster spells them."""
    whole = called(asset, None)
    return ["|".join(key_and_dimensions(name)[1]) for name in names if is_of(name, asset) and name != whole]


def _dimensions(partition: str | None) -> list[str]:
    if partition is None:
        return []
    if isinstance(partition, dg.MultiPartitionKey):
        return [key for _, key in sorted(partition.keys_by_dimension.items())]
    return [partition]


def _part(text: str, mark: str = "") -> str:
    plain = f"{mark}..{text}" if mark else text
    if _PLAIN.fullmatch(text) and len(plain) <= _LONGEST:
        return plain
    content = text.encode("utf-8", "surrogatepass")
    escaped = "".join(_escaped(character) for character in text)
    marked = f"{mark}e..{escaped}"
    if len(marked) <= _LONGEST:
        return marked
    shortened, digits = f"{mark}h..{escaped}", hashlib.sha256(content).hexdigest()
    return f"{shortened[: _LONGEST - len(digits) - 1]}-{digits}"


def _escaped(character: str) -> str:
    if not _TO_ESCAPE.match(character):
        return character
    return "".join(f".{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


def _is_of_key(part: str) -> bool:
    return part.startswith(("k..", "ke..", "kh.."))


def _read(part: str) -> str:
    if marked := _MARKED.fullmatch(part):
        if marked[2] == "h":
            return marked[3]
        return _BYTES.sub(lambda byte: bytes.fromhex(byte[1].decode()), marked[3].encode()).decode(
            "utf-8", "surrogatepass"
        )
    return part.removeprefix("k..")
