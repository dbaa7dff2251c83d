"""Pages of an asset with many partitions: how long the web server takes to answer what each page asks for."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import dagster as dg

from assets.partitions import SCANS
from assets.reconstructions import EXPLAINS
from benchmarks.line import Line, at_most
from benchmarks.platform.served import Served, serving
from tests.daemon.daemon import Daemon
from tests.daemon.platform import Platform

GOAL_s = 3.0
_PARTITIONS = 10_000
_ASSET = "reconstruction"
_METADATA = "metadataEntries { label ... on IntMetadataEntry { intRepr } ... on TextMetadataEntry { text } }"
_STATUSES = """partitionStatuses { ... on AssetCheckDefaultPartitionStatuses { succeededPartitions failedPartitions
  inProgressPartitions skippedPartitions executionFailedPartitions } }"""


def _query(name: str, asked: str) -> str:
    return f"query {name}($asset: AssetKeyInput!) {{ {asked} }}"


def _of_asset(asked: str) -> str:
    return f"assetOrError(assetKey: $asset) {{ ... on Asset {{ id {asked} }} }}"


def _of_node(asked: str) -> str:
    return f"assetNodeOrError(assetKey: $asset) {{ ... on AssetNode {{ id {asked} }} }}"


# What the pages of Dagster 1.13 ask for, by the names that the queries have there.
_LIVE = _query(
    "AssetGraphLiveQuery",
    f"""assetNodes(assetKeys: [$asset], loadMaterializations: true) {{
      assetMaterializations(limit: 1) {{ timestamp runId }} assetObservations(limit: 1) {{ timestamp runId }}
      assetChecksOrError {{ ... on AssetChecks {{ checks {{ name {_STATUSES}
        executionForLatestMaterialization {{ id status timestamp }} }} }} }}
      partitionStats {{ numMaterialized numMaterializing numPartitions numFailed }} }}
    assetsLatestInfo(assetKeys: [$asset]) {{ latestMaterialization {{ timestamp runId }} inProgressRunIds }}""",
)
_DEFINITION = _query(
    "AssetViewDefinitionQuery",
    _of_asset(
        """assetMaterializations(limit: 1) { timestamp } definition { description jobNames pools
        partitionKeysByDimension { name } partitionDefinition { description } }"""
    ),
)
_STALE = _query("AssetStaleStatusDataQuery", "assetNodes(assetKeys: [$asset]) { staleStatus staleCauses { reason } }")
_LATEST = _query(
    "AssetOverviewMetadataEventsQuery", _of_asset(f"assetMaterializations(limit: 1) {{ timestamp {_METADATA} }}")
)
_HEALTH = _query(
    "PartitionHealthQuery",
    _of_node(
        """partitionKeysByDimension { name type partitionKeys } assetPartitionStatuses {
        ... on DefaultPartitionStatuses { materializedPartitions materializingPartitions failedPartitions } }"""
    ),
)
_CHECKS = _query(
    "AssetChecksQuery",
    _of_node(
        f"""assetChecksOrError {{ ... on AssetChecks {{ checks {{ name description blocking {_STATUSES}
        executionForLatestMaterialization {{ id status evaluation {{ severity description }} }} }} }} }}"""
    ),
)
_HISTORY = _query(
    "AssetCheckDetailsQuery",
    f"""assetCheckExecutions(assetKey: $asset, checkName: "{EXPLAINS}", limit: 31) {{ id status timestamp
      evaluation {{ severity description partition {_METADATA} }} }}""",
)
_EVENTS = _query(
    "RecentAssetEventsQuery",
    _of_asset(
        f"""assetEventHistory(
        limit: 100, eventTypeSelectors: [MATERIALIZATION, OBSERVATION, FAILED_TO_MATERIALIZE]) {{
        results {{ ... on MaterializationEvent {{ partition timestamp tags {{ key }} {_METADATA} }} }} cursor }}"""
    ),
)
_EVERY_PAGE = (_DEFINITION, _LIVE, _STALE)
PAGES: Mapping[str, tuple[str, ...]] = {
    "overview": (*_EVERY_PAGE, _LATEST),
    "partitions": (*_EVERY_PAGE, _HEALTH),
    "checks": (*_EVERY_PAGE, _CHECKS, _HISTORY),
    "events": (*_EVERY_PAGE, _HEALTH, _EVENTS),
}


def measure(rounds: int) -> list[Line]:
    """Return the seconds until the last answer that each page needs."""
    # In memory, because most of the time to write so many events would go into syncs; what is read is in memory anyway.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as place:
        platform = Platform(Path(place) / "root")
        with platform.instance() as instance:
            _made(instance, _PARTITIONS)
        with serving(Daemon(platform.home, {"SMALTI_ROOT": str(platform.root)})) as served:
            seconds = {page: [_opened(served, queries) for _ in range(rounds)] for page, queries in PAGES.items()}
    what = f"an asset of {_PARTITIONS:,} partitions, all that its page needs is answered:"
    return [
        at_most(GOAL_s, f"{what} {page}", median(times), "{:.2f} s", note=f"(the first time {times[0]:.2f} s)")
        for page, times in seconds.items()
    ]


def _made(instance: dg.DagsterInstance, partitions: int) -> None:
    """Record a materialization and a check of each partition."""
    keys = [f"scan-{number:05}" for number in range(partitions)]
    instance.add_dynamic_partitions(str(SCANS.name), keys)
    asset = dg.AssetKey(_ASSET)
    for key in keys:
        version = {"dagster/data_version": f"sha256:{key}", "dagster/data_version_is_user_provided": "true"}
        metadata = {"digest": f"sha256:{key}", "nbytes": 1_000_000, "r_factor": 0.1}
        instance.report_runless_asset_event(
            dg.AssetMaterialization(asset, partition=key, metadata=metadata, tags=version)
        )
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=asset, check_name=EXPLAINS, passed=True, partition=key)
        )


def _opened(served: Served, queries: tuple[str, ...]) -> float:
    """Ask for all that a page shows at once, as a browser does; return the seconds until the last answer."""
    start = time.perf_counter()
    with ThreadPoolExecutor(len(queries)) as browser:
        list(browser.map(lambda query: served.ask(query, asset={"path": [_ASSET]}), queries))
    return time.perf_counter() - start
