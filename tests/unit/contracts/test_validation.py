"""A stored value says which contract it keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti import open_store
from smalti.codecs.checkpoint import Checkpoint
from smalti.codecs.product import Product, ProductMetadata
from smalti.contracts import CHECKPOINT, PRODUCT, validated
from smalti.errors import ContractBroken

CHECKPOINT_VALUE = Checkpoint({"w": np.ones(3)}, {}, {"model_type": "m"}, {"epoch": 3, "step": 0, "seed": 1})
LENGTHS = ("probe_pixel_width_m", "probe_pixel_height_m", "object_pixel_width_m", "object_pixel_height_m")
PRODUCT_VALUE = Product(
    probe_position_x_m=np.array([0.0, 1e-8]),
    probe_position_y_m=np.zeros(2),
    probe_position_indexes=np.arange(2),
    probe=np.ones((1, 1, 4, 4), np.complex64),
    object=np.ones((1, 20, 20), np.complex64),
    object_layer_spacing_m=np.empty(0),
    loss_epochs=np.arange(1),
    loss_values=np.ones(1),
    opr_weights=None,
    metadata=ProductMetadata(
        **dict.fromkeys(LENGTHS, 1e-8),
        object_center_x_m=0.0,
        object_center_y_m=0.0,
        photon_energy_eV=8000.0,
        detector_object_distance_m=1.0,
    ),
)


@pytest.mark.parametrize(("value", "contract"), [(CHECKPOINT_VALUE, CHECKPOINT), (PRODUCT_VALUE, PRODUCT)])
def test_a_value_that_passed_says_so_in_the_store(value: Checkpoint | Product, contract: object) -> None:
    store = open_store("memory:")
    assert value.contract == store.get(store.put(value)).contract == ""
    kept = store.get(store.put(validated(value, "a")))
    assert kept.contract == contract.id  # type: ignore[attr-defined]
    assert store.put(replace(kept, contract="")).digest == store.put(value).digest


def test_a_value_that_does_not_pass_is_refused_with_every_breach() -> None:
    broken = replace(CHECKPOINT_VALUE, model={"w": np.array([np.nan])}, config={})
    with pytest.raises(ContractBroken, match=r"the network: .*model/w(.|\n)*config.model_type"):
        validated(broken, "the network")
