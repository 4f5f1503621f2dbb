"""Pictures of pages as files that are small enough to be kept with the code. Called by screenshots.py."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import cast

from PIL import Image, ImageChops, ImageOps

COLOURS = 16
"""Of a picture's palette: half a byte a pixel."""

FLAT_SHARE = 0.002
"""A colour that covers as much of a picture is kept as it is."""

FLAT_DISTANCE = 3
DISTANCE = 40
"""How far two colours of a palette are apart at least, of 255: flat ones, and those of letters' edges."""

EDGE = 2
"""Rows above and below a part of a page where what is around it shines through."""

MARGIN = 16
"""What is left of empty space around a part of a page."""

WHITE = (255, 255, 255)

Colour = tuple[int, int, int]


def read(shot: bytes) -> Image.Image:
    """What a browser made."""
    with Image.open(BytesIO(shot)) as image:
        return image.convert("RGB")


def trimmed(picture: Image.Image) -> Image.Image:
    """A picture with a white ground, without most of its empty space."""
    inner = picture.crop((0, EDGE, picture.width, picture.height - EDGE))
    written = ImageChops.difference(inner, Image.new("RGB", inner.size, WHITE)).getbbox()
    return ImageOps.expand(inner.crop(written), MARGIN, WHITE)


def save(picture: Image.Image, path: Path) -> None:
    """Write it with a small palette: a fifth of what a browser makes of it."""
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in _palette(picture) for value in colour])
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


def _palette(picture: Image.Image) -> list[Colour]:
    """The colours that are seen most, without such as could be taken for one another."""
    chosen: list[Colour] = []
    pixels = picture.width * picture.height
    for count, colour in sorted(cast("list[tuple[int, Colour]]", picture.getcolors(pixels)), reverse=True):
        least = FLAT_DISTANCE if count >= FLAT_SHARE * pixels else DISTANCE
        if all(math.dist(colour, one) > least for one in chosen):
            chosen.append(colour)
    return chosen[:COLOURS]
