"""Files as somebody may have them, made on the spot: a picture, a sound, a film; one for a form."""

from __future__ import annotations

import math
import struct
import wave
from io import BytesIO

from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload

SIZE = (640, 360)

SKY, SUN, FAR, NEAR = (176, 212, 236), (244, 208, 120), (38, 112, 140), (28, 72, 100)
"""Few colours: a picture of a page has sixteen of them in all (pictures.py)."""

FRAMES = 8
FRAME_MILLISECONDS = 250

RIFF_HEAD_BYTES = 20
"""What is before the VP8 in a WebP with one picture."""


def chosen(name: str, content: bytes) -> FilePayload:
    """A file that is on no disk, for a field of a form."""
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def picture(*, sun: int = 300) -> bytes:
    """Water under a sky, as PNG; `sun`: how far to the right it stands."""
    return _encoded(_lake(sun), "PNG")


def sound() -> bytes:
    """A second of a tone that rises, as WAV."""
    rate, out = 8000, BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        steps = (math.sin((800 + at / 10) * at / rate) for at in range(rate))
        file.writeframes(b"".join(struct.pack("<h", int(12_000 * step)) for step in steps))
    return out.getvalue()


def film() -> bytes:
    """Two seconds of the same lake while the sun goes by, as WebM.

    A WebP is one picture in VP8, and a WebM is boxes around such: no program is needed to make one (Matroska,
    RFC 9559; https://www.webmproject.org/docs/container/).
    """
    shots = [_encoded(_lake(80 * number), "WEBP")[RIFF_HEAD_BYTES:] for number in range(FRAMES)]
    head = _box("1A45DFA3", _box("4282", b"webm"))
    info = _box("1549A966", _box("4489", struct.pack(">d", FRAMES * FRAME_MILLISECONDS)))
    size = _box("E0", _box("B0", _number(SIZE[0])) + _box("BA", _number(SIZE[1])))
    kind = _box("D7", _number(1)) + _box("73C5", _number(1)) + _box("83", _number(1)) + _box("86", b"V_VP8")
    clusters = (
        _box("1F43B675", _box("E7", _number(at * FRAME_MILLISECONDS)) + _box("A3", b"\x81\0\0\x80" + shot))
        for at, shot in enumerate(shots)
    )
    return head + _box("18538067", info + _box("1654AE6B", _box("AE", kind + size)) + b"".join(clusters))


def _lake(sun: int) -> Image.Image:
    image = Image.new("RGB", SIZE, SKY)
    draw = ImageDraw.Draw(image)
    draw.ellipse((sun, 40, sun + 60, 100), SUN)
    draw.rectangle((0, 150, *SIZE), FAR)
    draw.rectangle((0, 240, *SIZE), NEAR)
    return image


def _encoded(image: Image.Image, kind: str) -> bytes:
    out = BytesIO()
    image.save(out, kind)
    return out.getvalue()


def _box(name: str, content: bytes) -> bytes:
    """An element of EBML (RFC 8794): its name, how long it is (in eight bytes), what is in it."""
    return bytes.fromhex(name) + (len(content) | 1 << 56).to_bytes(8) + content


def _number(value: int) -> bytes:
    return value.to_bytes(2)
