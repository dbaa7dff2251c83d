"""Laws of the network: shapes, configuration, and an untrained one takes the updates as they are."""

from dataclasses import asdict

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx.utils import tree_flatten, tree_unflatten

from smalti.errors import Refused
from smalti.models.ptychography import Iteration, PtychographyConfig, depth_to_space, from_config, space_to_depth

CONFIG = PtychographyConfig(window=16, gridsize=2, channels=4, blocks=2)
POSITIONS = mx.array([[0.0, 0], [0, 5], [6, 0], [6, 5], [9, 9], [9, 13], [14, 9], [14, 13]])


def random_waves(batch: int = 8, side: int = 16, seed: int = 1) -> mx.array:
    real, imaginary = mx.random.normal((2, batch, side, side), key=mx.random.key(seed))
    return real + 1j * imaginary


def woken_look() -> Iteration:
    """A look with no parameter left at zero."""
    look = Iteration(CONFIG)
    look.apply(lambda parameter: parameter + 0.1 * mx.random.normal(parameter.shape, key=mx.random.key(parameter.size)))
    return look


@pytest.mark.parametrize("gridsize", [1, 2])
def test_an_untrained_look_takes_the_updates_as_they_are(gridsize: int) -> None:
    patches, updates = random_waves(seed=1), random_waves(seed=2)
    seen = Iteration(PtychographyConfig(window=16, gridsize=gridsize))(patches, updates, POSITIONS)
    assert seen.dtype == mx.complex64
    np.testing.assert_array_equal(seen, patches + updates)


def test_every_parameter_has_a_say_in_the_patches() -> None:
    look = woken_look()
    patches, updates = random_waves(seed=1), random_waves(seed=2)
    before = np.array(look(patches, updates, POSITIONS))
    parameters = dict(tree_flatten(look.parameters()))
    for name, value in parameters.items():
        look.update(tree_unflatten([*{**parameters, name: value * 1.5 + 0.01}.items()]))
        assert not np.array_equal(before, look(patches, updates, POSITIONS)), name


def test_a_group_sees_its_members_and_nobody_else() -> None:
    look, patches, updates = woken_look(), random_waves(seed=1), random_waves(seed=2)
    changed = mx.concatenate([updates[:1] * 2, updates[1:]])
    before, after = (np.array(look(patches, shown, POSITIONS)) for shown in (updates, changed))
    differs = (np.abs(before - after) > 1e-4).any(axis=(1, 2))
    np.testing.assert_array_equal(differs, [True] * 4 + [False] * 4)


def test_where_a_group_lies_does_not_matter_but_where_its_members_lie_in_it_does() -> None:
    look, patches, updates = woken_look(), random_waves(seed=1), random_waves(seed=2)
    before = np.array(look(patches, updates, POSITIONS))
    np.testing.assert_allclose(look(patches, updates, POSITIONS + 100), before, atol=1e-4)
    assert not np.allclose(look(patches, updates, POSITIONS * 2), before, atol=1e-3)


def test_a_token_is_one_square_of_each_patch_of_the_group() -> None:
    image = mx.arange(16 * 16).reshape(16, 16)
    tokens = space_to_depth(mx.stack([image, image + 1j * image]), group=2)
    square = [34, 35, 50, 51]  # second row, second column
    np.testing.assert_array_equal(tokens[0, 9], [*square, 0, 0, 0, 0, *square, *square])


@given(groups=st.integers(1, 3), group=st.sampled_from([1, 4]), side=st.integers(1, 3))
def test_depth_to_space_undoes_space_to_depth(groups: int, group: int, side: int) -> None:
    patches = random_waves(groups * group, 8 * side)
    np.testing.assert_array_equal(depth_to_space(space_to_depth(patches, group), group), patches)


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


@pytest.mark.parametrize("name", ["gridsize", "iterations", "channels", "blocks"])
def test_a_network_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=f"{name} of the network is 0; give at least 1"):
        PtychographyConfig(window=16, **{name: 0})
