"""What DVC tracks into the store: each file verified by its MD5, a pointer for each output, DVC's own data kept."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from smalti import canonical
from smalti.errors import Refused
from smalti.store import Progress, Ref, Store
from smalti.store.commit import machine_errors
from smalti.store.long_work import OnProgress
from smalti.tracking import git, pointer
from smalti.tracking.batches import batches
from smalti.tracking.dvc.outputs import Output, Uncached
from smalti.tracking.dvc.repository import Repository, open_repository, verified
from smalti.tracking.pointer import Pointer, pointer_path
from smalti.tracking.scan import Listing, Seen
from smalti.tracking.stat_cache import StatCache
from smalti.tracking.work_file import Look
from smalti.tracking.work_tree import folder_of


@dataclass(frozen=True, slots=True)
class Imported:
    """An output that is in the store now, and the pointer file that says so."""

    path: str
    md5: str
    digest: str
    files: int
    nbytes: int
    pointer: Path


@dataclass(frozen=True, slots=True)
class Skipped:
    """An output that was not imported.

    Attributes:
        why: the reason, and what to do.
        missing: files that DVC's cache lacks -> where DVC's remote would have them; "" stands for the listing.
    """

    path: str
    why: str
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did; ``run`` is the manifest that keeps DVC's MD5s and remotes, "" where nothing was imported."""

    imported: tuple[Imported, ...]
    skipped: tuple[Skipped, ...]
    run: str


@dataclass(frozen=True, slots=True)
class _Planned:
    """An output and the files of the cache that it consists of: path within it ("" for a file) -> MD5, place."""

    output: Output
    files: Mapping[str, tuple[str, Path]]


def import_dvc(
    store: Store,
    cache: StatCache,
    root: Path,
    into: Path,
    *,
    revision: str | None = None,
    progress: OnProgress | None = None,
) -> ImportReport:
    """Bring what a DVC repository tracks into the store; it is only read. Interrupted, the next import goes on.

    Args:
        root: the folder that holds ``.dvc``.
        into: where the pointer files are written, at the paths that the outputs have in the repository.
        revision: a git revision whose ``.dvc`` files and ``dvc.lock`` are read; by default those that are there now.

    Raises:
        NotFound: there is no such repository or revision.
        Refused: a file of DVC's is none, or leads out of its repository or out of ``into``; nothing was stored.
        Damaged: a file in the cache has another MD5 than DVC gave it.
        Unavailable: the machine did not let something be read or written.
    """
    repository = open_repository(root)
    planned: list[_Planned] = []
    skipped: list[Skipped] = []
    for output in repository.outputs(revision):
        plan = _plan(repository, output)
        if isinstance(plan, _Planned):
            _check_target(into, plan.output.path)
            planned.append(plan)
        else:
            skipped.append(plan)
    addresses = _store_files(store, cache, repository, planned, progress)
    imported = [_finish(store, into, plan, addresses) for plan in planned]
    if imported:
        git.ignore_store(Path(store.place), into)
    commit = git.commit_of(root, revision) if revision else None
    run = _write_down(store, repository, planned, imported, commit)
    return ImportReport(tuple(imported), tuple(skipped), run)


def _plan(repository: Repository, output: Output | Uncached) -> _Planned | Skipped:
    """Find the files that an output consists of in the cache; where one is missing, it is skipped."""
    if isinstance(output, Uncached):
        return Skipped(output.path, output.why, {})
    if not output.is_folder:
        wanted = {"": output.md5}
    elif place := repository.place_of(f"{output.md5}.dir", output.is_legacy):
        wanted = repository.listing(output, place)
    else:
        missing = {"": repository.remote_place(output, f"{output.md5}.dir")}
        return Skipped(output.path, _pull_it("its listing is", output), missing)
    places = {path: repository.place_of(md5, output.is_legacy) for path, md5 in wanted.items()}
    found = {path: (wanted[path], place) for path, place in places.items() if place}
    if len(found) == len(wanted):
        return _Planned(output, found)
    missing = {path: repository.remote_place(output, wanted[path]) for path in wanted if path not in found}
    return Skipped(output.path, _pull_it(f"{len(missing)} of its {len(wanted)} files are", output), missing)


def _pull_it(what: str, output: Output) -> str:
    return f"{what} not in DVC's cache: run dvc pull {output.source} there, and import again"


def _check_target(into: Path, path: str) -> None:
    """Make sure that a pointer will lie in the folder it is meant for, whatever links lead out of that."""
    pointer.check_trackable((into / path).parent, (into / path).name)
    top, folder = Path(os.path.realpath(into)), Path(os.path.realpath((into / path).parent))
    if not folder.is_relative_to(top):
        raise Refused(f"the pointer of {path} would lie in {folder}, outside of {top}: a link leads there; remove it.")


def _store_files(
    store: Store, cache: StatCache, repository: Repository, planned: list[_Planned], progress: OnProgress | None
) -> dict[Path, Ref]:
    """Store every file that is needed, once, and return what each is; what was stored earlier is not read again."""
    wanted: dict[Path, tuple[str, bool]] = {}
    for plan in planned:
        wanted |= {place: (md5, plan.output.is_legacy) for md5, place in plan.files.values()}
    known = cache.known(_verified_in(repository))
    refs: dict[Path, Ref] = {}
    with machine_errors(f"reading {repository.cache}"):
        looks = {place: _look(place) for place in wanted}
    for place, look in looks.items():
        remembered = known.get(_key(repository, place))
        if remembered and remembered[0] == look:
            with suppress(LookupError):  # it was removed from the store since
                refs[place] = store.ref(remembered[1])
    to_read = [place for place in wanted if place not in refs]
    of_nbytes = sum(looks[place].nbytes for place in to_read)
    done = nbytes = 0
    for batch in batches(to_read, lambda place: looks[place].nbytes):
        read_at_ns = time.time_ns()

        def contents(batch: list[Path] = batch) -> Iterator[memoryview]:
            for place in batch:
                file = verified(place, *wanted[place])
                yield file.data
                file.check_unchanged()

        refs.update(zip(batch, store.put_all(contents()), strict=True))
        found = {_key(repository, place): (looks[place], refs[place].digest) for place in batch}
        cache.remember(_verified_in(repository), found, read_at_ns)
        done, nbytes = done + len(batch), nbytes + sum(looks[place].nbytes for place in batch)
        if progress:
            progress(Progress(done, len(to_read), nbytes, of_nbytes))
    return refs


def _finish(store: Store, into: Path, plan: _Planned, refs: Mapping[Path, Ref]) -> Imported:
    """Store an output's folder, keep it, and write its pointer."""
    output = plan.output
    parts = {path: refs[place] for path, (_, place) in plan.files.items()}
    if output.is_folder:
        folders = {path[:at] for path in parts for at, letter in enumerate(path) if letter == "/"}
        no_look = Seen(Look(0, 0, 0, 0), executable=False)
        ref = store.put(folder_of(Listing(dict.fromkeys(parts, no_look), ["", *sorted(folders)]), parts))
    else:
        ref = parts[""]
    store.pin(ref)
    target = into / output.path
    kind = "folder" if output.is_folder else "executable" if output.executable else "file"
    with machine_errors(f"writing {pointer_path(target)}"):
        target.parent.mkdir(parents=True, exist_ok=True)
    pointer.write(target, Pointer(kind, ref.digest, len(parts), ref.nbytes))
    if git.work_tree_of(target):
        git.ignore(target)
    return Imported(output.path, output.md5, ref.digest, len(parts), ref.nbytes, pointer_path(target))


def _write_down(
    store: Store, repository: Repository, planned: list[_Planned], imported: list[Imported], commit: str | None
) -> str:
    """Keep DVC's MD5s and remotes in a manifest; an equal import has the same one."""
    if not imported:
        return ""
    outputs = {one.path: one.digest for one in imported}
    described = {
        plan.output.path: {
            **{name: value for name, value in asdict(plan.output).items() if name != "path"},
            "remote_url": repository.remotes.get(plan.output.remote or repository.default_remote),
        }
        for plan in planned
    }
    made_by = {"import": "dvc", "commit": commit, "outputs": described}
    run = f"import-dvc-{hashlib.sha256(canonical.dumps([made_by, outputs])).hexdigest()[:16]}"
    with suppress(Refused):  # it was released, and is there all the same
        store.add_manifest(run, outputs=outputs, notes=made_by)
    return run


def _look(place: Path) -> Look:
    status = os.stat(place, follow_symlinks=False)  # noqa: PTH116, this runs for every file
    return Look(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _verified_in(repository: Repository) -> Path:
    """Return what verified files are remembered under: those that somebody has put as files have no MD5 verified."""
    return repository.cache / ".verified"


def _key(repository: Repository, place: Path) -> str:
    return place.relative_to(repository.cache).as_posix()
