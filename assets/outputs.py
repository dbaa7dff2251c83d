"""What assets write for people to look at: their parts of the output folders, and the gallery."""

from collections.abc import Callable, Mapping, Sequence
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
    """Write parts of the outputs of the scan of this partition, and return where they are."""
    return shown(context.log, write_scan_parts, {context.partition_key: parts}, context.run_id)[context.partition_key]


def shown_dataset(context: dg.OpExecutionContext | dg.AssetExecutionContext, *parts: Part) -> Metadata:
    """Write parts of the outputs of the dataset of this partition, and return where they are."""
    written = shown(context.log, write_dataset_parts, {context.partition_key: parts}, context.run_id)
    return written[context.partition_key]


def shown(log: Any, write: Write, parts: Mapping[str, Sequence[Part]], run_id: str) -> dict[str, Metadata]:
    """Write parts of outputs, by their partitions, and the gallery once; return where they are.

    Outputs are for looking: what cannot be written is told of in place of its path, and what was stored stays.
    """
    settings = Settings()
    found: dict[str, Metadata] = {}
    for key, of_key in parts.items():
        try:
            place = write(settings.outputs, key, [replace(part, run_id=run_id) for part in of_key])
            found[key] = {"outputs": dg.MetadataValue.path(place)}
        except SmaltiError as error:
            log.warning(str(error))
            found[key] = {"outputs": dg.MetadataValue.text(str(error))}
    try:
        page = dg.MetadataValue.path(update_gallery(settings.outputs, parts, settings.dagster_url))
        return {key: {**where, "gallery": page} for key, where in found.items()}
    except SmaltiError as error:
        log.warning(str(error))
        return found
