"""The contracts that come with Smalti: what good values they pass, what they find in bad ones, and their versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from smalti.codecs import BFloat16, Checkpoint, Product, ProductMetadata
from smalti.contracts import CHECKPOINT, PRODUCT, SCAN
from smalti.contracts.registry import OURS
from smalti.contracts.violation import errors
from smalti.errors import Refused
from smalti.simulation import simulate_scan

VERSIONS = {
    "scan/3": "5c00ed600fad",
    "product/2": "f42162abdaba",
    "readable-product/1": "5a6dce89417e",
    "export/1": "8553102e8148",
    "export-without-patterns/1": "c56bb07e0bf6",
    "checkpoint/1": "58cef32a5a09",
    "weights/1": "6c0cf89b4929",
    "table/1": "8b120a08ac50",
    "titanic-train/1": "6e5e7f79a2b5",
    "titanic-test/1": "01fefc36887a",
}


@pytest.fixture
def product() -> Product:
    return Product(
        probe_position_x_m=np.linspace(-1e-6, 1e-6, 5),
        probe_position_y_m=np.linspace(-1e-6, 1e-6, 5),
        probe_position_indexes=np.arange(5),
        probe=np.ones((1, 2, 16, 16), "c8"),
        object=np.ones((1, 60, 64), "c8"),
        object_layer_spacing_m=np.empty(0),
        loss_epochs=np.arange(3),
        loss_values=np.array([3.0, 2, 1]),
        opr_weights=None,
        metadata=ProductMetadata(
            name="p",
            photon_energy_eV=8800,
            detector_object_distance_m=2,
            probe_pixel_width_m=5e-8,
            probe_pixel_height_m=5e-8,
            object_pixel_width_m=5e-8,
            object_pixel_height_m=5e-8,
            object_center_x_m=0,
            object_center_y_m=0,
        ),
    )


def changed(**metadata: Any) -> Callable[[Product], Product]:
    return lambda product: replace(product, metadata=product.metadata.model_copy(update=metadata))


BAD_PRODUCTS: dict[str, tuple[Callable[[Product], Product], str, str]] = {
    "an index twice": (
        lambda p: replace(p, probe_position_indexes=np.array([0, 1, 2, 2, 3])),
        "probe_position_indexes.repeated",
        "Ptychodus averages",
    ),
    "positions elsewhere": (
        lambda p: replace(p, probe_position_x_m=p.probe_position_x_m + 1e-3),
        "positions.outside_object",
        "5 of 5 positions off the object",
    ),
    "another unit": (
        lambda p: replace(p, probe_position_y_m=p.probe_position_y_m * 1e6),
        "positions.outside_object",
        "probe_position_y_m",
    ),
    "fewer positions": (
        lambda p: replace(p, probe_position_x_m=np.zeros(4)),
        "dimension.mismatch",
        "found N = 4, wanted N = 5 as in probe_position_indexes",
    ),
    "no gap": (
        lambda p: replace(p, object=np.ones((3, 60, 64), "c8"), object_layer_spacing_m=np.ones(1)),
        "layers.spacing",
        "1 spacings, wanted 2 between 3 layers",
    ),
    "weights of other modes": (lambda p: replace(p, opr_weights=np.ones((5, 2))), "dimension.mismatch", "C = 2"),
    "losses without epochs": (lambda p: replace(p, loss_values=np.ones(2)), "dimension.mismatch", "loss_epochs"),
    "NaN in the object": (lambda p: replace(p, object=p.object * np.nan), "array.not_finite", "object"),
    "dark probe": (lambda p: replace(p, probe=p.probe * 0), "array.all_zero", "probe"),
    "no pixel": (changed(object_pixel_width_m=0.0), "field.out_of_range", "above 0 m"),
    "no centre": (changed(object_center_x_m=float("nan")), "field.not_finite", "object_center_x_m"),
    "unknown energy": (changed(photon_energy_eV=None), "field.missing", "photon_energy_eV"),
}


def test_a_sound_product_keeps_its_contract(product: Product) -> None:
    assert PRODUCT.check(product) == ()


@pytest.mark.parametrize(("change", "code", "says"), BAD_PRODUCTS.values(), ids=BAD_PRODUCTS)
def test_what_is_wrong_with_a_product_is_named(product: Product, change: Any, code: str, says: str) -> None:
    [violation] = PRODUCT.check(change(product))
    assert violation.code == code
    assert says in str(violation)
    assert violation.severity == ("warning" if "energy" in says else "error")


def test_a_product_may_be_named_as_older_files_name_it(product: Product) -> None:
    old = {
        "probe_position_indexes": product.probe_position_indexes,
        "probe_position_x_m": product.probe_position_x_m,
        "probe_position_y_m": product.probe_position_y_m,
        "probe": product.probe[0, 0],
        "object": product.object[0],
        "costs": product.loss_values,
        "probe_energy_eV": np.float64(8800),
        "detector_object_distance_m": 2.0,
        "object.pixel_width_m": 5e-8,
        "object.pixel_height_m": 5e-8,
        "object.center_x_m": 0.0,
        "object.center_y_m": 0.0,
    }
    assert PRODUCT.check(old) == ()


@pytest.fixture
def checkpoint() -> Checkpoint:
    weights = {"conv.weight": np.ones((4, 3), "f4"), "conv.bias": np.zeros(4, "f4")}
    return Checkpoint(
        model=weights,
        optimizer={"conv.weight.m": np.zeros((4, 3), "f4"), "conv.bias.m": np.zeros(4, "f4"), "step": np.uint64(7)},
        config={"model_type": "ptychography", "window": 64},
        state={"seed": 1, "epoch": 2, "step": 7, "history": [{"loss": 0.1}]},
    )


BAD_CHECKPOINTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no weights": ({"model": {}}, "key.missing", "model/*"),
    "NaN": ({"model": {"w": np.array([1, np.nan], "f4")}, "optimizer": {}}, "array.not_finite", "model/w"),
    "bfloat16 infinity": (
        {"model": {"w": BFloat16(np.array([0x7F80], "u2"))}, "optimizer": {}},
        "array.not_finite",
        "model/w",
    ),
    "another optimizer": (
        {"optimizer": {"conv.bias.v": np.zeros(5, "f4")}},
        "optimizer.shape",
        "optimizer/conv.bias.v: found shape (5,), wanted shape (4,) as model/conv.bias",
    ),
    "no model type": ({"config": {}}, "field.missing", "config.model_type"),
    "before the beginning": ({"state": {"seed": 1, "epoch": -1, "step": 0}}, "field.out_of_range", "state.epoch"),
    "no JSON": ({"tokenizer": "[PAD]"}, "tokenizer.form", "tokenizer.json: found another text, wanted a JSON document"),
    "no tokenizer": ({"tokenizer": "{}"}, "tokenizer.form", "give what Tokenizer.to_str() gives"),
    "no step": ({"state": {"seed": 1, "epoch": 1}}, "field.missing", "state.step"),
}


def test_a_sound_checkpoint_keeps_its_contract(checkpoint: Checkpoint) -> None:
    assert CHECKPOINT.check(checkpoint) == ()
    assert CHECKPOINT.check(replace(checkpoint, tokenizer='{"model": {"type": "WordPiece"}}')) == ()


@pytest.mark.parametrize(("change", "code", "says"), BAD_CHECKPOINTS.values(), ids=BAD_CHECKPOINTS)
def test_what_is_wrong_with_a_checkpoint_is_named(
    checkpoint: Checkpoint, change: dict[str, Any], code: str, says: str
) -> None:
    [violation] = CHECKPOINT.check(replace(checkpoint, **change))
    assert violation.code == code
    assert says in str(violation)


def test_a_scan_in_memory_keeps_the_contract_its_file_kept() -> None:
    scan = simulate_scan("sim", positions_per_side=3)
    assert SCAN.check(scan) == ()
    assert [v.code for v in errors(SCAN.check(replace(scan, xcoords=scan.xcoords[1:])))] == ["dimension.mismatch"]


def test_what_has_no_parts_is_refused() -> None:
    with pytest.raises(Refused, match="a object has no named arrays"):
        SCAN.check(object())


def test_every_contract_prints_itself() -> None:
    for contract in OURS:
        page = contract.describe()
        assert page.startswith(f"# Contract {contract.id}\n\n{contract.summary}\n")
        lengths = {line.replace("\\|", "").count("|") for line in page.splitlines() if line.startswith("|")}
        assert lengths <= {5, 6, 7}


def test_a_contract_that_asks_for_something_else_has_another_version() -> None:
    """When this fails, raise the version of the contract that changed, and write its new digest here."""
    assert {contract.id: contract.digest for contract in OURS} == VERSIONS
