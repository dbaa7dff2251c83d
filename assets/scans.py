"""Scans: raw files read by their contract, in canonical form."""

from typing import Any

import dagster as dg

from assets.code_versions import code_version
from assets.outputs import shown_scan
from assets.partitions import SCANS
from assets.previews import picture, sentences
from resources import Ingest, StoreResource
from smalti import Ref, Scan, Store
from smalti.outputs.parts import Part
from smalti.ptycho.report.outputs import arrays_digest, scan_part
from smalti.ptycho.report.thumbnails import scan_thumbnail


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"numpy"},
    code_version=code_version("smalti.formats", "smalti.contracts", "smalti.scans"),
    description="Amplitudes with the beam at the centre, positions in pixels, probe: whatever the raw file held.",
)
def scan(context: dg.AssetExecutionContext, store: StoreResource, ingest: Ingest, raw_scan: Ref) -> Ref:
    values, value = store.open(), ingest.value_of(raw_scan.digest, context.partition_key)
    ref = values.put(value)
    context.add_output_metadata({**described(value), **shown_scan(context, part_of(values, value, ref))})
    return ref


def part_of(store: Store, scan: Scan, ref: Ref) -> Part:
    """Return what the outputs of a scan show of it."""
    return scan_part(scan, ref.digest, arrays_digest(store.record(ref).children))


def described(scan: Scan) -> dict[str, Any]:
    """Return what a person wants to see of a scan."""
    metadata = scan.metadata
    return {
        "preview": picture(scan_thumbnail(scan), "mean diffraction and scan path"),
        "patterns": len(scan.diffraction),
        "conversions": sentences(metadata.conversions),
        "assumed": sentences(metadata.assumptions()),
        "source": dg.MetadataValue.text(metadata.source or "unknown"),
        "licence": dg.MetadataValue.text(metadata.licence or "unknown"),
    }
