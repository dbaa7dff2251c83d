"""Laws of thumbnails: whatever the picture and its words, the Markdown is short enough and shows an image."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from smalti.outputs.thumbnail import GALLERY_PX, gallery_picture, markdown_picture

SIDES = st.integers(1, 700)


def shown(markdown: str) -> Image.Image:
    """Return the image of a Markdown text that is nothing else."""
    found = re.fullmatch(r"!\[[^\[\]\n]*\]\(data:image/webp;base64,([A-Za-z0-9+/=]+)\)", markdown)
    assert found
    return Image.open(io.BytesIO(base64.b64decode(found[1])))


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, st.integers(0, 9), st.text(max_size=400))
def test_any_picture_fits_into_less_than_1000_characters(width: int, height: int, seed: int, alt: str) -> None:
    markdown = markdown_picture(noise(width, height, seed), alt)
    assert len(markdown) < 1000
    found = shown(markdown)
    found.load()
    assert found.width <= min(144, width)
    assert found.height <= min(96, height)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_kind_of_picture_is_shown(mode: str) -> None:
    made = Image.new("RGBA", (40, 20), (200, 30, 30, 128)).convert("RGB" if mode in ("CMYK", "F", "I;16") else mode)
    if mode == "I;16":
        made = Image.fromarray(np.full((20, 40), 5000, np.uint16))
    elif mode != made.mode:
        made = made.convert("L").convert(mode) if mode == "F" else made.convert(mode)
    assert shown(markdown_picture(made, "")).size == (40, 20)


def test_a_smooth_picture_keeps_its_size_and_looks_as_it_did() -> None:
    across = np.linspace(0, 255, 288)
    plane = np.add.outer(across[:144] / 2, across / 2).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(plane).save(buffer, "png")
    found = shown(markdown_picture(buffer.getvalue(), "a ramp"))
    assert found.size == (144, 72)
    expected = np.asarray(Image.fromarray(plane).resize((144, 72)), float)
    assert np.abs(np.asarray(found.convert("L"), float) - expected).mean() < 4


def test_equal_pictures_are_equal_texts() -> None:
    assert markdown_picture(noise(90, 60), "a") == markdown_picture(noise(90, 60), "a")


@pytest.mark.parametrize("alt", ["](javascript:x) [a](b)", "<script>", "a\n\n# b", "`x` | y", "\u202eabc"])
def test_words_are_never_markup(alt: str) -> None:
    markdown = markdown_picture(noise(8, 8), alt)
    said = markdown[2 : markdown.index("](data:")]
    assert not set("[]()<>`|#\n\u202e") & set(said)


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    assert shown(markdown_picture(clear, "")).convert("RGB").getpixel((5, 5)) == (255, 255, 255)


def test_the_picture_of_the_gallery_is_a_file_of_bounded_size() -> None:
    found = Image.open(io.BytesIO(gallery_picture(noise(1500, 700))))
    assert found.format == "WEBP"
    assert found.width <= GALLERY_PX[0]
    assert found.height <= GALLERY_PX[1]
