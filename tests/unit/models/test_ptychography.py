"""Laws of the network: shapes, configuration, and an untrained one changes nothing."""

from dataclasses import asdict

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import Refused
from smalti.models.ptychography import (
    Network,
    PtychographyConfig,
    depth_to_space,
    from_config,
    space_to_depth,
    transmission,
)

CONFIG = PtychographyConfig(window=16, channels=8)


def random_update(batch: int = 3) -> mx.array:
    key = mx.random.key(1)
    real, imaginary = mx.random.normal((2, batch, 16, 16), key=key)
    return real + 1j * imaginary


def test_an_untrained_network_changes_nothing() -> None:
    update = random_update()
    patches = Network(CONFIG)(update)
    assert patches.dtype == mx.complex64
    np.testing.assert_array_equal(patches, 1 + update)


def test_every_parameter_has_a_say_in_the_patch() -> None:
    network = Network(CONFIG)
    network.apply(lambda parameter: parameter + 0.1)
    before = np.array(network(random_update()))
    for name, value in network.parameters()["embed"].items():
        network.embed[name] = value * 1.1
        assert not np.array_equal(before, network(random_update())), name


def test_a_token_is_one_square_of_neighbouring_pixels() -> None:
    image = mx.arange(16 * 16).reshape(1, 16, 16)
    np.testing.assert_array_equal(space_to_depth(image)[0, 9], [34, 35, 50, 51])  # second row, second column


@given(batch=st.integers(1, 3), side=st.integers(1, 4))
def test_depth_to_space_undoes_space_to_depth(batch: int, side: int) -> None:
    image = mx.arange(batch * (8 * side) ** 2).reshape(batch, 8 * side, 8 * side)
    np.testing.assert_array_equal(depth_to_space(space_to_depth(image)), image)


@given(a=st.floats(-8, 8), t=st.floats(-8, 8))
def test_transmission_is_a_bounded_amplitude_and_any_phase(a: float, t: float) -> None:
    expected = 2 / (1 + np.exp(-a)) * np.exp(2j * np.arctan(t))
    assert transmission(mx.array(a), mx.array(t)).item() == pytest.approx(expected, abs=1e-5)


def test_a_checkpoint_config_describes_the_network_again() -> None:
    network = from_config({**asdict(CONFIG), "training": {"epochs": 3}})
    assert network.config == CONFIG


@pytest.mark.parametrize("config", [{"model_type": "bert", "window": 16}, {"model_type": "ptychography"}, {}])
def test_the_config_of_another_model_is_refused(config: dict[str, str | int]) -> None:
    with pytest.raises(Refused, match="not that of a ptychography network"):
        from_config(config)


@pytest.mark.parametrize("window", [0, 4, 60])
def test_a_patch_that_does_not_divide_into_tokens_is_refused(window: int) -> None:
    with pytest.raises(Refused, match="give a multiple of 8"):
        PtychographyConfig(window=window)
