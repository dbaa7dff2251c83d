"""Products and checkpoints made here, validated before they are stored and marked with their contract's version."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from smalti.codecs.checkpoint import Checkpoint
from smalti.codecs.product import Product
from smalti.contracts.base import AnyContract
from smalti.contracts.builtin.checkpoint import CHECKPOINT
from smalti.contracts.builtin.product import PRODUCT
from smalti.contracts.violation import broken, errors

T = TypeVar("T", Product, Checkpoint)

_CONTRACTS: dict[type, AnyContract] = {Product: PRODUCT, Checkpoint: CHECKPOINT}


def validated(value: T, name: str) -> T:
    """Return ``value`` with name and version of the contract that it keeps.

    Args:
        value: a product or a checkpoint.
        name: what a person calls it, for the message.

    Raises:
        ContractBroken: it breaks the contract; with every breach.
    """
    contract = _CONTRACTS[type(value)]
    if breaches := errors(contract.check(value)):
        raise broken(name, breaches)
    return replace(value, contract=contract.id)
