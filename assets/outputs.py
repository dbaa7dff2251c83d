"""What assets write for people to look at: their parts of the output folders, and the gallery."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from smalti.errors import SmaltiError
from smalti.gallery import update_gallery
from smalti.outputs.parts import Part
from smalti.ptycho.report.outputs import write_scan_parts
from smalti.settings import Settings
from smalti.tabular.report.outputs import write_dataset_parts

Metadata = dict[str, dg.MetadataValue[Any]]
Write = Callable[[Path, str, Sequence[Part]], Path]


def shown_scan(context: dg.OpExecutionContext | dg.AssetExecutionContext, *parts: Part) -> Metadata:
    """Write parts of the outputs of the scan of this partition, and the gallery; return where they are."""
    return _shown(context, write_scan_parts, parts)


def shown_dataset(context: dg.OpExecutionContext | dg.AssetExecutionContext, *parts: Part) -> Metadata:
    """Write parts of the outputs of the dataset of this partition, and the gallery; return where they are."""
    return _shown(context, write_dataset_parts, parts)


def _shown(context: dg.OpExecutionContext | dg.AssetExecutionContext, write: Write, parts: Sequence[Part]) -> Metadata:
    key = context.partition_key
    return {**written(context, write, key, parts), **in_gallery(context, [key])}


def written(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, write: Write, key: str, parts: Sequence[Part]
) -> Metadata:
    """Write parts of the outputs of a key, and return where they are.

    Outputs are for looking: what cannot be written is told of in place of its path, and what was stored stays.
    """
    try:
        place = write(Settings().outputs, key, [replace(part, run_id=context.run.run_id) for part in parts])
        return {"outputs": dg.MetadataValue.path(place)}
    except SmaltiError as error:
        context.log.warning(str(error))
        return {"outputs": dg.MetadataValue.text(str(error))}


def in_gallery(context: dg.OpExecutionContext | dg.AssetExecutionContext, keys: Iterable[str]) -> Metadata:
    """Bring the gallery up to date with the outputs of these keys, and return where it is; log why it cannot be."""
    settings = Settings()
    try:
        page = update_gallery(settings.outputs, list(keys), settings.dagster_url)
        return {"gallery": dg.MetadataValue.path(page)}
    except SmaltiError as error:
        context.log.warning(str(error))
        return {}
