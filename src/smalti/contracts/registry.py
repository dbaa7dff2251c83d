"""The contracts there are, by name: ours, and those of one Python file of yours."""

from __future__ import annotations

import hashlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from smalti.contracts.base import AnyContract
from smalti.contracts.builtin.checkpoint import CHECKPOINT, WEIGHTS
from smalti.contracts.builtin.export import EXPORT, EXPORT_WITHOUT_PATTERNS
from smalti.contracts.builtin.product import PRODUCT, READABLE_PRODUCT
from smalti.contracts.builtin.scan import SCAN
from smalti.contracts.builtin.titanic import TITANIC_TEST, TITANIC_TRAIN
from smalti.contracts.tables.table import TABLE
from smalti.contracts.violation import shown
from smalti.errors import NotFound, Refused
from smalti.settings import Settings

T = TypeVar("T")

OURS: tuple[AnyContract, ...] = (
    SCAN,
    PRODUCT,
    READABLE_PRODUCT,
    EXPORT,
    EXPORT_WITHOUT_PATTERNS,
    CHECKPOINT,
    WEIGHTS,
    TABLE,
    TITANIC_TRAIN,
    TITANIC_TEST,
)


def contracts(file: Path | None = None) -> tuple[AnyContract, ...]:
    """Return all contracts: ours, then those of ``file``, by default the one that ``SMALTI_CONTRACTS`` names.

    Raises:
        NotFound: there is no such file.
        Refused: the file is not Python that runs, or one of its contracts has the name of another.
    """
    file = file or Settings().contracts
    yours = contracts_in(file) if file else ()
    names = [contract.name for contract in (*OURS, *yours)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refused(f"{file} has a contract called {twice[0]}, and there is one already; give it another name.")
    return (*OURS, *yours)


def contract_named(name: str) -> AnyContract:
    """Return one contract.

    Args:
        name: ``scan``; ``scan/1``, if that is its version; or ``path.py:NAME``, the contract that a Python file of
            yours holds in ``NAME``, or itself calls so.

    Raises:
        NotFound: there is none of that name or version; the message lists those there are.
        Refused: the file is not Python that runs.
    """
    path, colon, wanted = name.rpartition(":")
    among = contracts_in(Path(path)) if colon else contracts()
    wanted, slash, version = (wanted if colon else name).partition("/")
    known = {contract.name: contract for contract in among}
    if colon:
        known |= {key: value for key, value in vars(_loaded(Path(path))).items() if isinstance(value, AnyContract)}
    found = known.get(wanted)
    where = f" in {shown(path)}" if colon else ""
    if found is None:
        raise NotFound(
            f"{shown(wanted)} is no contract{where}; the contracts{where} are "
            f"{', '.join(contract.name for contract in among) or 'none'}."
        )
    if slash and version != str(found.version):
        raise NotFound(f"contract {found.name} is at version {found.version} here, not {shown(version)}; ask for it.")
    return found


def contracts_in(file: Path) -> tuple[AnyContract, ...]:
    """Return every contract that a Python file makes, in its order; imported ones are not its own.

    The file is run: name only one that you trust.

    Raises:
        NotFound: there is no such file.
        Refused: it is not Python that runs; the message names the line.
    """
    own = (value for value in vars(_loaded(file)).values() if isinstance(value, AnyContract))
    return tuple({contract.id: contract for contract in own if all(contract is not ours for ours in OURS)}.values())


def declared(of: type[T], file: Path | None = None) -> tuple[T, ...]:
    """Return what a Python file of yours makes of one type, in its order; by default ``SMALTI_CONTRACTS`` names it.

    Raises:
        NotFound: there is no such file.
        Refused: it is not Python that runs; the message names the line.
    """
    file = file or Settings().contracts
    made = vars(_loaded(file)).values() if file else ()
    return tuple(value for value in made if isinstance(value, of))


def _loaded(file: Path) -> ModuleType:
    """Run a Python file once, and again only when its bytes have changed."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NotFound(
            f"{shown(str(file))} cannot be read: {error.strerror}; give the path of a Python file."
        ) from error
    name = f"smalti_contracts_{hashlib.sha256(str(file.resolve()).encode() + content).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # pydantic looks annotations up there
    try:
        exec(compile(content, str(file), "exec"), vars(module))
    except Exception as error:
        del sys.modules[name]
        raise Refused(
            f"{shown(str(file))} does not run: {_line_in(file, error)}{type(error).__name__}: "
            f"{shown(' '.join(str(error).split()))}; mend it."
        ) from error
    return module


def _line_in(file: Path, error: Exception) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"line {line}, " if line else ""
