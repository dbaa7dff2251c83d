"""``smalti clean``: caches, old outputs of ops, and what simulations left; nothing that could not be made again."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smalti.cli.options import AsJson, StorePlace, print_json, readable, the_store

if TYPE_CHECKING:
    from smalti.store import Store


@dataclass(frozen=True, slots=True)
class Removed:
    """Things of one kind that were removed, or would be: what, how many, and the bytes they took."""

    what: str
    count: int
    nbytes: int


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Remove remembered results, old outputs of ops, what simulated scans left in outputs/, and prepared libraries.

    Raw data stays, and so do values of assets and manifests. Outputs of ops go when they are older than
    SMALTI_OP_OUTPUTS_DAYS (14): no run can be executed again from them then. They and remembered results are
    forgotten: `smalti gc` collects them after its grace period, unless a name, a pin or a run needs them.
    """
    from smalti.compute.blas import cache_folder
    from smalti.gallery import update_gallery
    from smalti.memoize import forget_all
    from smalti.outputs.folder import PAGE
    from smalti.runs.op_outputs import op_outputs, outdated, release
    from smalti.settings import Settings
    from smalti.store.commit import machine_errors

    opened, outputs = the_store(store), Settings().outputs
    libraries = cache_folder()
    with machine_errors(f"removing from {outputs} and {libraries}"):
        files = [
            _remove("outputs of simulated scans", _outputs(outputs, simulated_scans(opened)), dry_run),
            _remove("prepared libraries", libraries.glob("openblas-*.so"), dry_run),
        ]
    if not dry_run and (outputs / PAGE).is_file():
        update_gallery(outputs, (), Settings().dagster_url)
    forgotten = forget_all(opened, dry_run=dry_run)
    old = outdated(op_outputs(opened), timedelta(days=Settings().op_outputs_days), datetime.now(UTC))
    if not dry_run:
        release(opened, old)
    outputs_of_ops = Removed("outputs of ops", sum(len(of.names) for of in old), sum(of.nbytes for of in old))
    for_gc = forgotten.nbytes + outputs_of_ops.nbytes
    freed = sum(removed.nbytes for removed in files)
    if as_json:
        counts = {removed.what.replace(" ", "_"): removed.count for removed in files}
        counts["outputs_of_ops"] = outputs_of_ops.count
        results = {"remembered_results": forgotten.results, "nbytes_for_gc": for_gc}
        print_json({"dry_run": dry_run, **counts, "nbytes": freed, **results})
        return
    for removed in files:
        typer.echo(f"{removed.count} {removed.what}, {readable(removed.nbytes)}")
    typer.echo(f"{outputs_of_ops.count} outputs of ops of {len(old)} runs, {readable(outputs_of_ops.nbytes)}")
    typer.echo(f"{forgotten.results} remembered results, {readable(forgotten.nbytes)} that nothing else needs")
    would, will = ("would be", "could then collect") if dry_run else ("are", "collects")
    typer.echo(f"{readable(freed)} {would} freed; `smalti gc` {will} up to {readable(for_gc)} more")


def simulated_scans(store: Store) -> set[str]:
    """Return the keys of the scans in a store that were simulated, and are not also those of measured ones."""
    from smalti.outputs.folder import folder_key
    from smalti.ptycho.report.outputs import SCAN
    from smalti.simulation import SOURCE

    found: dict[bool, set[str]] = {True: set(), False: set()}
    for version in store.names():
        header = store.record(version.address).header
        about = header.get("attrs")
        if header.get("type") == "scan" and isinstance(about, dict):
            names = {str(about["name"]), version.name.removeprefix(f"{SCAN}/")} - {version.name}
            found[str(about.get("source")).startswith(SOURCE)] |= set(map(folder_key, names))
    return found[True] - found[False]


def _outputs(folder: Path, keys: Iterable[str]) -> Iterator[Path]:
    """Yield the files that these scans left below ``folder``, and no other file that a person put beside them."""
    from smalti.ptycho.report.outputs import FILES

    for key in keys:
        for path in (folder / "ptychodus_products" / f"{key}.h5", *(folder / key / name for name in sorted(FILES))):
            if path.exists() and not path.parent.is_symlink():
                yield path


def _remove(what: str, paths: Iterable[Path], dry_run: bool) -> Removed:
    """Remove files and folders, and the folders that are then empty."""
    found = list(paths)
    nbytes = sum(file.stat().st_size for path in found for file in (path, *path.rglob("*")) if file.is_file())
    for path in found if not dry_run else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            path.parent.rmdir()
    return Removed(what, len(found), nbytes)
