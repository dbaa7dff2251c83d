"""``smalti doctor``: what this machine will do with the work it is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from smalti.cli.options import AsJson, StorePlace, print_json, readable, the_store
from smalti.errors import Refused

if TYPE_CHECKING:
    from smalti.compute.probe import Protections


def doctor(store: StorePlace = None, as_json: AsJson = False) -> None:
    """Measure BLAS and disk, look at the store's file system, and try the sandbox that foreign files are read in.

    Exit code 1: something needs mending.
    """
    from smalti.compute import confinement, run_child, system_calls
    from smalti.compute.blas import FAST_GFLOPS
    from smalti.compute.probe import protections
    from smalti.store.backends.local.filesystem import examine
    from smalti.store.commit import sync_command, syncfs_tells_errors
    from smalti.store.format.record import FORMAT

    opened = the_store(store)
    place = opened.place
    if "://" in place or place == "memory:":
        raise Refused(f"{place} is on no disk of this machine; doctor looks at a store in a folder.")
    root = Path(place)
    blas = run_child("smalti.compute.blas:measure", {})
    disk = examine(root)
    held = protections()
    advice = []
    if blas["gflops"] < FAST_GFLOPS:
        advice.append(f"matrix products run at {blas['gflops']:.1f} GFLOP/s: install OpenBLAS or scipy-openblas32.")
    if not disk.hard_links:
        advice.append(f"the file system at {disk.folder} has no hard links, which naming values needs: move the store.")
    if disk.free_nbytes < 1e9:
        advice.append(f"only {readable(disk.free_nbytes)} are free at {disk.folder}: free some space.")
    if not (held.network and held.processes) and (missing := system_calls.missing()):
        advice.append(f"readers of foreign files have a network and can start processes, since {missing}.")
    made = {"format": FORMAT, "id": opened.id} if opened.exists() else None
    document: dict[str, Any] = {
        "blas": blas,
        "store": {"place": place, "made": made},
        "sync": {"command": sync_command(), "syncfs_tells_errors": syncfs_tells_errors()},
        "disk": {field: getattr(disk, field) for field in type(disk).__slots__} | {"folder": str(disk.folder)},
        "sandbox": {**asdict(held), "landlock": confinement.landlock_abi(), "seccomp": not system_calls.missing()},
        "advice": advice,
    }
    if as_json:
        print_json(document)
    else:
        threads = f", {blas['threads']} thread(s)" if blas["threads"] else ""
        typer.echo(f"BLAS          {blas['name']} {blas['version']}{threads}: {blas['gflops']:.0f} GFLOP/s")
        typer.echo(
            f"store         {root}: {f'format {FORMAT}, id {opened.id}' if made else 'none there yet: smalti init'}"
        )
        typer.echo(
            f"disk          {disk.write_mb_per_s:.0f} MB/s written and synced, a small sync {disk.sync_ms:.2f} ms"
        )
        typer.echo(f"durability    {_durability(sync_command(), syncfs_tells_errors())}")
        typer.echo(f"hard links    {'yes' if disk.hard_links else 'no'}")
        case = "matters" if disk.case_sensitive else "does not matter"
        typer.echo(f"upper case    {case} in file names")
        typer.echo(f"free          {readable(disk.free_nbytes)}")
        for label, sentence in _sandbox(held, confinement.landlock_abi()):
            typer.echo(f"{label:<13} {sentence}")
        for line in advice:
            typer.echo(f"to mend: {line}")
    if advice:
        raise typer.Exit(1)


def _durability(command: str, syncfs_tells: bool) -> str:
    """Say how what was acknowledged is made durable here."""
    if command == "F_FULLFSYNC":
        return "F_FULLFSYNC, file by file: it waits for the disk's own cache, too"
    if syncfs_tells:
        return "fsync, and syncfs for many files at once: this kernel reports what it could not write"
    return "fsync, file by file: this kernel has no syncfs that reports what it could not write (Linux 5.8)"


def _sandbox(held: Protections, landlock: int) -> Iterator[tuple[str, str]]:
    """Yield what a process that reads a foreign file is kept from, as it was tried."""
    yield "sandbox", "what a process that reads a foreign file is kept from:"
    by = f"Landlock {landlock}" if landlock else "this kernel has no Landlock, which came with Linux 5.13"
    yield "  files", f"{_kept(held.files)} from all files but its own and those of Python ({by})"
    yield "  network", f"{_kept(held.network)} from the network"
    yield "  processes", f"{_kept(held.processes)} from starting processes"
    yield "  memory", f"{_kept(held.memory)} from more memory than a file of that size may need"
    yield "  limits", f"{_kept(held.limits)} from raising its limits"


def _kept(holds: bool) -> str:
    return "kept" if holds else "NOT kept"
