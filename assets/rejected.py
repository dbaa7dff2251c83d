"""Files that were rejected: a table of those that wait to be mended, and a check that there are none."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from assets.arrival import ledger_path
from assets.raw import text_table
from smalti.contracts.violation import shown
from smalti.ingest.ledger import Ignored, Ledger
from smalti.ingest.quarantine import Quarantine
from smalti.ingest.source import BEING_COPIED
from smalti.settings import Settings

_SEEN = "smalti/seen"  # what quarantine looked like when its table was recorded
_SHOWN = 200
_CHECK = "nothing_waits_to_be_mended"
_COLUMNS = ("file", "when", "reason", "what to do", "path")

rejected_files = dg.AssetSpec(
    "rejected_files",
    group_name="arrival",
    description="Files that were dropped and do not keep their contract: why, and what to do. A sensor records the "
    "table anew whenever a file is rejected, mended or taken away. They lie in `data/quarantine/`, and none of them is "
    "a partition of anything. There is nothing to materialize.",
)


@dataclass(frozen=True, slots=True)
class Rejected:
    """All that waits to be mended, newest first, as rows of text; and what lies beside it and is ignored."""

    rows: list[dict[str, str]]
    violations: list[dict[str, str]]
    ignored: list[dict[str, str]]

    @property
    def digest(self) -> str:
        """Of all of it."""
        told = json.dumps([self.rows, self.violations, self.ignored])
        return f"sha256:{hashlib.sha256(told.encode()).hexdigest()}"

    def sentence(self) -> str:
        """Return in one sentence how many wait, and what to do about the newest."""
        if not self.rows:
            return "every file that was dropped keeps its contract"
        name, reason = self.rows[0]["file"], self.rows[0]["reason"].partition("\n")[0]
        many = "1 file waits" if len(self.rows) == 1 else f"{len(self.rows)} files wait"
        return f"{many} to be mended, last {name}: {reason.removeprefix(f'{name}: ')}"

    def evaluation(self) -> dict[str, Any]:
        """Return outcome, severity, description and metadata of the check."""
        table = text_table(("file", "severity", "code", "message"), list[dict[str, Any]](self.violations[:_SHOWN]))
        return {
            "passed": not self.rows,
            "severity": dg.AssetCheckSeverity.WARN,
            "description": self.sentence(),
            "metadata": {"violations": table, "rejected": len(self.rows)},
        }

    def materialization(self, seen: str) -> dg.AssetMaterialization:
        """Return the materialization that shows it."""
        return dg.AssetMaterialization(
            asset_key=rejected_files.key,
            description=self.sentence(),
            metadata={
                "rejected": len(self.rows),
                "files": text_table(_COLUMNS, list[dict[str, Any]](self.rows[:_SHOWN])),
                "ignored": text_table(("file", "where", "reason"), list[dict[str, Any]](self.ignored)),
            },
            tags={
                "dagster/data_version": self.digest,
                "dagster/data_version_is_user_provided": "true",
                _SEEN: seen,
            },
        )


def rejected_now(quarantine: Quarantine, ledger: Ledger) -> Rejected:
    """Return what waits to be mended now.

    Raises:
        Unavailable: a report in quarantine is none of ours.
    """
    entries = quarantine.entries()
    there = {entry.key for entry in entries}
    in_place = [arrival for arrival in ledger.rejected_in_place() if arrival.key not in there]
    found = [(entry.report, entry.filename, str(entry.folder)) for entry in entries]
    found += [(one.report, one.name, one.place) for one in in_place]
    found.sort(key=lambda one: str(one[0].get("validated_at", "")), reverse=True)
    return Rejected(
        [_row(*one) for one in found],
        [
            {"file": shown(name), **{field: str(violation.get(field, "")) for field in ("severity", "code", "message")}}
            for report, name, _ in found
            for violation in report["violations"] or [_refusal(report)]
        ],
        [
            {"file": shown(name), "where": source, "reason": why}
            for source, of in sorted(ledger.ignored().items())
            for name, why in (*of.first, *_more(of))
        ],
    )


def _more(ignored: Ignored) -> list[tuple[str, str]]:
    more = ignored.count - len(ignored.first)
    return [(f"{more} more", "are not listed here")] if more else []


def _refusal(report: Mapping[str, Any]) -> dict[str, str]:
    return {"severity": "error", "code": "file.refused", "message": str(report["reason"])}


def _row(report: Mapping[str, Any], name: str, place: str) -> dict[str, str]:
    remedies = dict.fromkeys(v["remedy"] for v in report["violations"] if v.get("remedy") and v["severity"] == "error")
    return {
        "file": shown(name),
        "when": str(report.get("validated_at", "")).partition(".")[0],
        "reason": str(report["reason"]),
        "what to do": f"{'; '.join(remedies) or 'mend the file'}; then drop it again under the same name",
        "path": place.removeprefix(f"{Settings().root}/"),
    }


def record_rejected(instance: dg.DagsterInstance, quarantine: Quarantine, ledger: Ledger) -> None:
    """Record what waits to be mended, and the check on it, unless that was recorded last.

    Raises:
        Unavailable: a report in quarantine is none of ours.
    """
    seen, last = _state(quarantine, ledger), _last(instance)
    known = last is not None and (last.asset_materialization.tags or {}).get(_SEEN) == seen
    if known and _is_checked(instance, last):
        return
    now = rejected_now(quarantine, ledger)
    if not known:
        instance.report_runless_asset_event(now.materialization(seen))
        last = _last(instance)
    assert last is not None
    target = Target(storage_id=last.storage_id, run_id=last.run_id, timestamp=last.timestamp)
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=rejected_files.key, check_name=_CHECK, target_materialization_data=target, **now.evaluation()
        )
    )


def _state(quarantine: Quarantine, ledger: Ledger) -> str:
    """Return what changes when the table does; cheap, as it is asked for at every tick."""
    ignored = {
        source: [name for name, why in of.first if why != BEING_COPIED] for source, of in ledger.ignored().items()
    }
    told = json.dumps([quarantine.state(), ledger.numbers_rejected_in_place(), ignored], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _last(instance: dg.DagsterInstance) -> dg.EventLogRecord | None:
    return next(iter(instance.fetch_materializations(rejected_files.key, limit=1).records), None)


def _is_checked(instance: dg.DagsterInstance, last: dg.EventLogRecord | None) -> bool:
    key = dg.AssetCheckKey(rejected_files.key, _CHECK)
    check = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).get(key)
    target = check.evaluation.target_materialization_data if check and check.evaluation else None
    return bool(last and target and target.storage_id == last.storage_id)


@dg.asset_check(
    asset=rejected_files.key,
    name=_CHECK,
    description="No file waits to be mended. A sensor evaluates it whenever a file is rejected, mended or taken away.",
)
def nothing_waits_to_be_mended(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    ledger = Ledger(ledger_path(context.instance))
    try:
        return dg.AssetCheckResult(**rejected_now(Quarantine(Settings().quarantine), ledger).evaluation())
    finally:
        ledger.close()
