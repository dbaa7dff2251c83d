"""Values of ours that say which contract they passed, so that it is known long after the contract has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from smalti.codecs.checkpoint import Checkpoint
from smalti.codecs.product import Product
from smalti.contracts.any_contract import AnyContract
from smalti.contracts.builtin.checkpoint import CHECKPOINT
from smalti.contracts.builtin.product import PRODUCT
from smalti.contracts.violation import broken, errors

T = TypeVar("T", Product, Checkpoint)

_CONTRACTS: dict[type, AnyContract] = {Product: PRODUCT, Checkpoint: CHECKPOINT}


def passed(value: T, name: str) -> T:
    """Return ``value`` with the contract that it passes.

    Args:
        value: a product or a checkpoint; the scan says it in its metadata, the raw file when it arrives.
        name: what a person calls it, for the message.

    Raises:
        ContractBroken: it does not pass; with every breach.
    """
    contract = _CONTRACTS[type(value)]
    if breaches := errors(contract.check(value)):
        raise broken(name, breaches)
    return replace(value, contract=contract.id)
