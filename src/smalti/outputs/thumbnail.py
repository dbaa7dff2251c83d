"""A picture as Markdown short enough to be shown within a line of the Dagster UI, and as a small file for the gallery.

Dagster shows Markdown of less than 1,000 characters at once, and longer texts only behind a click. At this length WebP
holds more of a picture than AVIF, whose headers alone take 300 bytes, and it is written ten times as fast.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from smalti.notebook.words import visible

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_CHARACTERS = 999  # of the Markdown, alt text included
WIDEST_PX, HIGHEST_PX = 144, 96
GALLERY_PX = (480, 240)
_LONGEST_ALT = 80
_SMALLER = (1.0, 8 / 9, 7 / 9, 2 / 3, 1 / 2, 1 / 3, 1 / 5, 1 / 9, 1 / 144)  # of the full size, tried in this order
_LOWEST_QUALITY, _HIGHEST_QUALITY = 4, 95  # below, a smaller picture shows more
_GALLERY_QUALITY = 75
_MARKUP = re.compile(r"[\[\]()<>`*_\\!&|#~]")


def markdown_picture(picture: Image | bytes, alt: str) -> str:
    """Return Markdown of at most ``MOST_CHARACTERS`` that shows a picture: as large as fits, then as good as fits.

    Args:
        picture: any image of Pillow, or the content of an image file.
        alt: what it shows, in words; what would be markup in it is left out, and so is what is too long.
    """
    alt = plain_alt(alt)
    fits = (MOST_CHARACTERS - len(_markdown("webp", b"", alt))) // 4 * 3
    content = next(content for size in _sizes(opened(picture)) if (content := _smallest_loss(size, fits)))
    return _markdown("webp", content, alt)


def gallery_picture(picture: Image | bytes) -> bytes:
    """Return the content of a WebP file of at most ``GALLERY_PX``."""
    from PIL import Image

    shown = opened(picture)
    shown.thumbnail(GALLERY_PX, Image.Resampling.LANCZOS)
    return _webp(shown, _GALLERY_QUALITY)


def plain_alt(alt: str) -> str:
    """Return a text without anything that is markup between the brackets of a Markdown image.

    >>> plain_alt("object [of](x) <b>"), plain_alt("a\\nb")
    ('object of x b', 'a b')
    """
    words = " ".join(_MARKUP.sub(" ", alt).split())
    return visible(words, _LONGEST_ALT)


def opened(picture: Image | bytes) -> Image:
    """Return a picture in RGB, of a file's content too; what is transparent becomes white."""
    from PIL import Image

    image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture
    if not image.has_transparency_data:
        return image.convert("RGB") if image.mode != "RGB" else image.copy()
    layers = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")


def _sizes(image: Image) -> Iterator[Image]:
    """Yield a picture at ever smaller sizes, none larger than it is."""
    from PIL import Image

    full = min(1.0, WIDEST_PX / image.width, HIGHEST_PX / image.height)
    for smaller in _SMALLER:
        size = (max(1, round(image.width * full * smaller)), max(1, round(image.height * full * smaller)))
        yield image.resize(size, Image.Resampling.LANCZOS)


def _smallest_loss(image: Image, fits: int) -> bytes | None:
    """Return the file of best quality that is not larger than ``fits``; None where even poor ones are larger."""
    low, high, best = _LOWEST_QUALITY, _HIGHEST_QUALITY, None
    while low <= high:
        quality = (low + high) // 2
        content = _webp(image, quality)
        if len(content) <= fits:
            low, best = quality + 1, content
        else:
            high = quality - 1
    return best


def _webp(image: Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "webp", quality=quality, method=4)
    return buffer.getvalue()


def _markdown(kind: str, content: bytes, alt: str) -> str:
    return f"![{alt}](data:image/{kind};base64,{base64.b64encode(content).decode()})"
