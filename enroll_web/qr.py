"""QR codes as a drawing of our own: no image is made anywhere else, nothing leaves this server."""

from __future__ import annotations

from dataclasses import dataclass

import qrcode

BORDER = 4
"""Width of the white frame in modules (ISO/IEC 18004, 9.1)."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A QR code for an `svg` element, black on white.

    Attributes:
        size: width and height in modules, the frame included.
        path: the black modules, as the `d` of a `path` element.
    """

    size: int
    path: str


def draw(text: str) -> Drawing:
    """Draw a text as a QR code."""
    code = qrcode.QRCode(border=BORDER)
    code.add_data(text)
    rows = code.get_matrix()
    strokes = [
        f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, is_black in enumerate(row) if is_black
    ]
    return Drawing(len(rows), "".join(strokes))
