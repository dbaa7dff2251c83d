"""The sandbox that foreign files are read in: a confined child process for each, which can harm only its own result."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.compute.fork_server import ForkServer, Outcome
from smalti.compute.limits import ChildLimits
from smalti.contracts.violation import Violation, broken, shown
from smalti.errors import ContractBroken, Damaged, Refused, SmaltiError, Unavailable
from smalti.ingest.answers import Document, NoAnswer, checked_arrays, checked_document, result_of
from smalti.ingest.scratch import machine_made, scratch_folder
from smalti.settings import Settings

if TYPE_CHECKING:
    from smalti.scans.card import Card
    from smalti.store.values import ArrayInside

# The interpreter and its libraries take 60 to 140 MB (measured), and a small file the rest; with the code of the
# libraries, which is not counted, that stays below 512 MB.
_MEMORY_NBYTES = 384 << 20
_CPU_S, _STORED_NBYTES_PER_CPU_S = 4, 1 << 20  # bzip2 inflates 1 MB of file in about 0.2 s
_CODES = {"memory": "file.too_much_memory", "time": "file.too_slow", "crash": "file.crashed_the_reader"}
_REMEDIES = {
    "memory": "cut it into smaller files, or write it again with less compression",
    "time": "cut it into smaller files, or write it again without compression",
    "crash": "copy the file again from its source, or write it again with numpy.savez or h5py",
}
_CARD_SUFFIX = ".card.yaml"
_VALIDATE, _PREPARE = "smalti.ingest.confined:validate", "smalti.ingest.confined:prepare"
_STORED_ARRAYS = "smalti.ingest.confined:stored_arrays"


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """What came of validating one file.

    Attributes:
        document: what :func:`smalti.ingest.validate.document` returns; or, where a contract was named, ``usage`` alone
            may be in it, which says why there is no such contract. Its form is checked and its texts are printable,
            whatever the file did to the process that read it.
        value: what was read, where it was accepted and kept: a scan, a product, arrays by name or a pyarrow Table, in
            memory that can be read only; else None.
    """

    document: Document
    value: Any = None


class Sandbox:
    """Reads foreign files, each in a confined child process of its own; starts with the first file.

    A child has nothing of the environment of this process, sees its file, the card beside it and Python, has no
    network, starts no process, and gets the memory and time that a file of that size may need; ``smalti doctor`` says
    which of this the machine enforces. It hands a value over in a folder that is read here as untrusted.

    For one thread. A context manager: leaving it ends its processes.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Name where it works; nothing is started yet.

        Args:
            folder: where what is handed over lies for a moment, which can be several times as large as the file: on a
                disk, best on that of the store; by default see :func:`smalti.ingest.scratch.scratch_folder`.
        """
        self._parent = folder
        self._folder: Path | None = None
        self._held = ExitStack()
        self._server: ForkServer | None = None
        self._numbers = count()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _own_contracts(self) -> Path | None:
        return Settings().contracts

    def close(self) -> None:
        """End its processes and remove its folder; values that it returned stay valid."""
        if self._server:
            self._server.close()
        self._held.close()
        self._server = self._folder = None

    def validate(
        self,
        path: Path,
        *,
        contract: str | None = None,
        card: Card | None = None,
        accepted_schema: str | None = None,
        contracts_file: Path | None = None,
        keep: bool = False,
    ) -> SandboxResult:
        """Return what came of validating a file, whatever the file is.

        Args:
            contract: the name of a contract, or ``path.py:NAME``; by default that of the file's kind.
            card: what people say about the file; by default the card beside it, or the shipped one for its bytes.
            accepted_schema: base64 of the Arrow schema of an earlier table, to compare the columns with.
            contracts_file: your own contracts and kinds, which are run; by default that of ``SMALTI_CONTRACTS``.
            keep: return the value too.

        Raises:
            Unavailable: the machine, not the file, is at fault.
        """
        named, own = _absolute(contract)
        contracts_file = contracts_file or self._own_contracts
        request = {
            "path": str(path.absolute()),
            "contract": named,
            "card": card.model_dump(mode="json") if card else None,
            "accepted_schema": accepted_schema,
            "contracts_file": str(contracts_file.absolute()) if contracts_file else None,
        }
        trusted = [file.resolve() for file in (own, contracts_file) if file]
        with self._scratch() as folder:
            try:
                given = {**request, "handover": str(folder) if keep else None}
                outcome = self._outcome(path, given, folder, trusted, _VALIDATE, _PREPARE)
                said = checked_document(result_of(outcome.answer), contract_named=contract is not None)
                found = _as_given(said, path, own)
                value = _handed_over(folder, outcome.alone) if keep and found.get("accepted") else None
            except NoAnswer as error:
                found, value = _refusal(_failed(path, error), contract, path), None
            except (Unavailable, Damaged):
                raise
            except SmaltiError as error:
                found, value = _refusal(error, contract, path), None
        return SandboxResult(found, value)

    def stored_arrays(self, path: Path) -> tuple[ArrayInside, ...]:
        """Return where arrays lie in an HDF5 file; none where it cannot be told, which is the fault of nobody.

        Only the form of the answer is checked here: they may lie anywhere, see ``smalti.codecs.containers``.
        """
        try:
            with self._scratch() as folder:
                outcome = self._outcome(path, {"path": str(path.absolute())}, folder, [], _STORED_ARRAYS, None)
                return checked_arrays(result_of(outcome.answer))
        except (NoAnswer, SmaltiError):
            return ()

    def _outcome(
        self,
        path: Path,
        request: Mapping[str, Any],
        folder: Path,
        trusted: Sequence[Path],
        function: str,
        prepare: str | None,
    ) -> Outcome:
        """Return the outcome of a child that answered; raise for any other."""
        server, file, nbytes = self._started(), path.absolute(), 0
        with suppress(OSError, ValueError):  # the child says in words why there is no such file
            nbytes = os.lstat(path).st_size
        limits = limits_for(nbytes)
        outcome = server.call(
            function,
            request,
            limits=limits,
            readable=[file, Path(f"{file}{_CARD_SUFFIX}"), *trusted],
            writable=folder,
            prepare=prepare,
        )
        if outcome.end == "unconfined":
            raise Unavailable(
                f"no process could be confined, so nothing was read ({outcome.cause}); mend that, see smalti doctor."
            )
        if outcome.end != "answer":
            raise _stopped(path, outcome, limits)
        return outcome

    def _started(self) -> ForkServer:
        if self._server is None:
            self._server = ForkServer(self._place() / "server", preload=_VALIDATE.partition(":")[0])
            with machine_made("the sandbox"):
                self._server.start()
        return self._server

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = self._held.enter_context(scratch_folder(self._parent))
        return self._folder

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Yield an empty folder for one file; what was mapped from it outlives it."""
        folder = self._place() / str(next(self._numbers))
        with machine_made("a folder to read foreign files in"):
            folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def limits_for(nbytes: int) -> ChildLimits:
    """Return what reading a file of so many bytes may take, and what its reader may claim once it knows its content."""
    from smalti.formats.source import DEFAULT_LIMITS  # imports numpy, while the server starts

    cpu_s = _CPU_S + nbytes // _STORED_NBYTES_PER_CPU_S
    claimable_nbytes, claimable_cpu_s = DEFAULT_LIMITS.claimable(nbytes)
    return ChildLimits(
        memory_nbytes=_MEMORY_NBYTES,
        cpu_s=cpu_s,
        file_nbytes=DEFAULT_LIMITS.allowed(nbytes),
        wall_s=20 + 4.0 * cpu_s,
        claimable_nbytes=claimable_nbytes,
        claimable_cpu_s=claimable_cpu_s,
    )


def _absolute(contract: str | None) -> tuple[str | None, Path | None]:
    """Return the name of a contract as it is found from any folder, and the Python file that holds it, if one does."""
    if contract is None or ":" not in contract:
        return contract, None
    file, _, name = contract.rpartition(":")
    return f"{Path(file).absolute()}:{name}", Path(file)


def _as_given(document: Document, *files: Path | None) -> Document:
    """Return a document that calls files as the person did; the child has to know them by their absolute names."""
    told = dict(document)
    for file in filter(None, files):
        for field in ("usage", "reason"):
            if text := told.get(field):
                told[field] = text.replace(shown(str(file.absolute())), shown(str(file)))
    return told


def _handed_over(folder: Path, alone: bool) -> Any:
    """Return the value in the folder; what is none is an answer that is none."""
    from smalti.ingest import handover

    try:
        return handover.read(folder, mapped=alone)
    except Refused as error:
        raise NoAnswer("handed over what is no value") from error


def _refusal(error: SmaltiError, contract: str | None, path: Path) -> Document:
    # All that reads and validates: rarely needed on this side.
    from smalti.ingest.kinds import claimed_kind
    from smalti.ingest.validate import document, refused

    kind = claimed_kind(path.name)
    return document(refused(error, contract or kind.contract_id, kind.name), path.name)


def _failed(path: Path, error: NoAnswer) -> ContractBroken:
    return _refused(path, "crash", f"the process that read it {error}")


def _stopped(path: Path, outcome: Outcome, limits: ChildLimits) -> ContractBroken:
    match outcome.end:
        case "memory":
            how = f"it needed more memory than the {limits.memory_nbytes >> 20} MB and what its sizes declare"
        case "time":
            how = f"it needed more than {limits.cpu_s} s of computing or {limits.wall_s:g} s in all"
        case _ if outcome.status < 0:
            how = f"the process that read it was killed by {_signal_name(-outcome.status)}"
        case _:
            how = f"the process that read it ended with status {outcome.status}"
    return _refused(path, outcome.end, how)


def _signal_name(number: int) -> str:
    """Return ``SIGSEGV``, or a number: most real-time signals, which a file may choose, have no name."""
    return next((known.name for known in signal.Signals if known == number), f"signal {number}")


def _refused(path: Path, end: str, how: str) -> ContractBroken:
    found, wanted = f"a file that cannot be read: {how}", "one that is read within these limits"
    return broken(path.name, [Violation(_CODES[end], "the file", found, wanted, _REMEDIES[end])])
