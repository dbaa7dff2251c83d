"""``smalti migrate``: what MLtrack, datamate or MLflow keeps, into the store."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalti.cli.options import AsJson, StorePlace, print_json, printable, readable, the_store
from smalti.cli.progress import shown
from smalti.cli.work_tree.tracked import the_cache
from smalti.outputs.quantities import count

if TYPE_CHECKING:
    from smalti.migration.migrating import MigrationReport
    from smalti.migration.plan import FilePart, Part, Plan

_MOST_SHOWN = 20
_KINDS = "mltrack-v1, mltrack-v2, datamate, mlflow"


def migrate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A folder, s3://bucket/prefix, or an MLflow database or tracking URI; only read."
        ),
    ],
    kind: Annotated[
        str | None, typer.Option("--from", metavar="SYSTEM", help=f"{_KINDS}; by default what the files say.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="What the names of the runs, or of datamate's folders, begin with.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run/--no-dry-run", help="Only say what would be stored.")] = True,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Bring runs and data of another system into the store, each file read back and compared.

    By default only what would be stored is said. Interrupted, the same command goes on; done again, it adds nothing.
    A run is listed as of when its source recorded it, so `smalti runs release --older-than` means that, too. A datamate
    tree needs no migration to work with: smalti.Directory opens it as it is. Exit code 1: something could not be
    brought, and is named.
    """
    from smalti.migration import migrate as bring
    from smalti.migration import plan_migration
    from smalti.settings import Settings

    endpoint = Settings().s3_endpoint
    if dry_run:
        plan = plan_migration(source, kind, prefix, endpoint)
        if as_json:
            print_json(_planned(plan))
        else:
            _say_plan(plan)
        raise typer.Exit(0 if plan.is_whole else 1)
    opened = the_store(store)
    with shown("migrating", "the same command goes on.") as progress:
        report = bring(opened, the_cache(), source, kind, prefix, endpoint=endpoint, progress=progress)
    if as_json:
        print_json(_done(report))
    else:
        _say_report(report)
    raise typer.Exit(0 if report.plan.is_whole and not report.failed else 1)


def _say_plan(plan: Plan) -> None:
    for run in plan.runs:
        typer.echo(f"run    {run.run}  <- {printable(run.source)}")
        for role, parts in (("reads", run.inputs), ("wrote", run.outputs)):
            for name, part in parts.items():
                typer.echo(f"  {role}  {printable(name)}  {_described(part)}")
        _say_remarks(run.remarks)
    for value in plan.values:
        typer.echo(f"value  {value.name}  {_described(value.part)}  <- {printable(value.source)}")
        _say_remarks(value.remarks)
    _say_left(plan)
    for failure in plan.failed:
        typer.echo(f"cannot be brought  {printable(failure.source)}  {printable(failure.why)}")
    typer.echo(
        f"{plan.kind} at {printable(plan.place)}: {_counted(plan)} would be stored, {count(plan.files, 'file')}, "
        f"{readable(plan.nbytes)}; --no-dry-run stores them"
    )


def _say_report(report: MigrationReport) -> None:
    for one in report.brought:
        size = f"{readable(one.nbytes)}, {readable(one.new_bytes)} new"
        typer.echo(f"brought  {one.name}  {count(len(one.values), 'value')}, {size}")
        _say_remarks(one.remarks)
    _say_left(report.plan)
    for failure in report.failed:
        typer.echo(f"not brought  {printable(failure.source)}  {printable(failure.why)}")
    done = f"{len(report.brought)} of {len(report.brought) + len(report.failed)} brought and compared"
    left = f", {len(report.plan.left)} left as listed above" if report.plan.left else ""
    typer.echo(f"{done}{left}; the store grew by {readable(report.new_bytes)}")


def _say_remarks(remarks: tuple[str, ...]) -> None:
    for remark in remarks:
        typer.echo(f"    note: {printable(remark)}")


def _say_left(plan: Plan) -> None:
    for left in plan.left[:_MOST_SHOWN]:
        typer.echo(f"left   {printable(left.path)}  {left.why}")
    if len(plan.left) > _MOST_SHOWN:
        typer.echo(f"left   and {len(plan.left) - _MOST_SHOWN} more; --json lists them")


def _counted(plan: Plan) -> str:
    counts = ((len(plan.runs), "run"), (len(plan.values), "named value"))
    return " and ".join(count(many, what) for many, what in counts if many) or "nothing"


def _described(part: Part) -> str:
    from smalti.migration.plan import FilePart, FolderPart, TreePart, files_of

    files: list[FilePart] = list(files_of(part))
    size = readable(sum(file.nbytes for file in files))
    if isinstance(part, FilePart):
        return f"{part.form}, {size}"
    if isinstance(part, FolderPart | TreePart):
        what = "folder" if isinstance(part, FolderPart) else "tree"
        return f"{what} of {count(len(files), 'file')}, {size}"
    return "table" if part.columns else "document"


def _planned(plan: Plan) -> dict[str, Any]:
    def values(parts: Any) -> dict[str, str]:
        return {name: _described(part) for name, part in parts.items()}

    runs = [
        {
            "run": run.run,
            "source": run.source,
            "inputs": values(run.inputs),
            "outputs": values(run.outputs),
            "facts": asdict(run.facts),
            "remarks": list(run.remarks),
        }
        for run in plan.runs
    ]
    named = [
        {"name": one.name, "source": one.source, "value": _described(one.part), "remarks": list(one.remarks)}
        for one in plan.values
    ]
    return {"dry_run": True, **_source(plan), "runs": runs, "values": named, "failed": list(map(asdict, plan.failed))}


def _done(report: MigrationReport) -> dict[str, Any]:
    brought = [asdict(one) for one in report.brought]
    failed = [asdict(one) for one in report.failed]
    return {
        "dry_run": False,
        **_source(report.plan),
        "brought": brought,
        "failed": failed,
        "new_bytes": report.new_bytes,
    }


def _source(plan: Plan) -> dict[str, Any]:
    size = {"files": plan.files, "nbytes": plan.nbytes}
    return {"kind": plan.kind, "place": plan.place, **size, "left": [asdict(left) for left in plan.left]}
