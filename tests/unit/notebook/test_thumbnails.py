"""Small pictures of arrays: what is shown, what is not, and how much is read for it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from smalti import Store, open_store
from smalti.notebook import thumbnail


def pixels(picture: bytes | None) -> np.ndarray[Any, np.dtype[np.uint8]]:
    assert picture is not None
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA"))


SHOWN = {
    "one axis": np.arange(100.0),
    "an image": np.arange(12).reshape(3, 4),
    "a stack": np.random.default_rng(0).random((20, 8, 9)),
    "complex": np.exp(1j * np.arange(64.0).reshape(8, 8)),
    "truths": np.eye(9, dtype=bool),
    "half precision": np.ones((4, 4), np.float16),
    "big-endian": np.arange(16, dtype=">f4").reshape(4, 4),
    "no number and infinities": np.array([[1, np.nan], [np.inf, -np.inf]]),
    "numbers beyond single precision": np.array([[1.7e308, -1.7e308]]),
    "five axes": np.ones((2, 3, 1, 8, 8), np.complex64),
    "one element": np.array([3.0]),
    "a million rows of a million, one row in memory": np.broadcast_to(np.arange(1e6), (10**6, 10**6)),
}
NOT_SHOWN = {
    "text": np.array(["a", "b"]),
    "bytes": np.array([b"a"]),
    "no elements": np.zeros((0, 4)),
    "no axes": np.float64(3),
    "a structure": np.zeros(3, [("x", "f4")]),
    "times": np.array(["2020-01-01"], "M8[D]"),
    "nothing finite": np.full(5, np.nan),
    "no array": {"shape": 3},
    "None": None,
}


@pytest.mark.parametrize("array", SHOWN.values(), ids=SHOWN)
def test_numbers_have_a_small_picture(array: Any) -> None:
    assert max(pixels(thumbnail(array)).shape[:2]) <= 160


@pytest.mark.parametrize("value", NOT_SHOWN.values(), ids=NOT_SHOWN)
def test_what_is_no_picture_has_none(value: Any) -> None:
    assert thumbnail(value) is None


def test_a_dark_centre_and_a_bright_rim_look_different() -> None:
    shown = pixels(thumbnail(np.pad(np.zeros((6, 6)), 2, constant_values=9.0)))
    assert tuple(shown[0, 0, :3]) == (253, 231, 36), "the largest value is the palette's last colour"
    assert tuple(shown[48, 48, :3]) == (68, 1, 84), "the smallest is its first"


def test_what_is_no_number_is_grey() -> None:
    plane = np.arange(64.0).reshape(8, 8)
    plane[2, 3] = np.nan
    grey = (pixels(thumbnail(plane))[..., :3] == 128).all(axis=-1)
    assert grey.sum() == 12 * 12, "one of 8 x 8 elements, each drawn as 12 x 12 pixels"


def test_an_rgb_image_is_shown_in_its_colours() -> None:
    assert (pixels(thumbnail(np.full((10, 20, 3), (250, 10, 20), np.uint8)))[..., :3] == (250, 10, 20)).all()


def test_the_ring_of_a_diffraction_pattern_is_seen_beside_its_centre() -> None:
    y, x = np.mgrid[-32:32, -32:32]
    radius = np.hypot(x, y)
    pattern = np.where(radius < 2, 1e4, np.where(abs(radius - 20) < 1, 10.0, 0.0))
    shown = pixels(thumbnail(pattern))[..., :3].astype(int)
    ring, ground = shown[32, 52], shown[2, 2]  # the picture has the 64 x 64 pixels of the pattern
    assert abs(ring - ground).sum() > 60, f"{ring} on {ground}"


def damaged(store: Store, array: np.ndarray[Any, Any], row: int) -> Any:
    """Return a stored array, opened, of which one row is not what was stored."""
    ref = store.put(array)
    file = store.file(ref)
    assert file is not None
    content = bytearray(file.read_bytes())
    content[content.index(array[row].tobytes()) + 9] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    return store.open(ref)


@pytest.mark.parametrize(("shape", "shown", "not_shown"), [((40, 128, 128), 20, 39), ((4000, 2000), 0, 4)])
def test_of_a_stored_array_only_what_is_shown_is_read(
    tmp_path: Path, shape: tuple[int, ...], shown: int, not_shown: int
) -> None:
    array = np.random.default_rng(0).random(shape)
    assert thumbnail(damaged(open_store(tmp_path / "a"), array, not_shown)) is not None
    assert thumbnail(damaged(open_store(tmp_path / "b"), array, shown)) is None, "what cannot be read has no picture"


def test_a_stored_array_looks_like_the_one_in_memory(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for array in (np.arange(50.0), np.eye(30), np.random.default_rng(0).random((20, 8, 9))):
        assert thumbnail(store.open(store.put(array))) == thumbnail(array)
