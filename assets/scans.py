"""Scans: raw files read by their contract, in canonical form."""

from typing import Any

import dagster as dg

from assets.code_versions import code_version
from assets.partitions import SCANS
from assets.previews import picture, sentences
from resources import Ingest
from smalti import Ref, Scan
from smalti.ptycho.report.previews import scan_preview


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"numpy"},
    code_version=code_version("smalti.formats", "smalti.contracts", "smalti.scans"),
    description="Amplitudes with the beam at the centre, positions in pixels, probe: whatever the raw file held.",
)
def scan(context: dg.AssetExecutionContext, ingest: Ingest, raw_scan: Ref) -> Scan:
    value = ingest.value_of(raw_scan.digest, context.partition_key)
    context.add_output_metadata(described(value))
    return value


def described(scan: Scan) -> dict[str, Any]:
    """Return what a person wants to see of a scan."""
    metadata = scan.metadata
    return {
        "preview": picture(scan_preview(scan), "mean diffraction and scan path"),
        "patterns": len(scan.diffraction),
        "conversions": sentences(metadata.conversions),
        "assumed": sentences(metadata.assumptions()),
        "source": dg.MetadataValue.text(metadata.source or "unknown"),
        "licence": dg.MetadataValue.text(metadata.licence or "unknown"),
    }
