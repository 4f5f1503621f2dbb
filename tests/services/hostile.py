"""Files that try to run something wherever they are shown: for tests of previews and downloads."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

SCRIPT = "alert(document.cookie); document.title = 'ran'; fetch('/stolen?' + document.cookie)"

HTML = f"""<!doctype html><title>page</title><script>{SCRIPT}</script>
<img src="/stolen" onerror="{SCRIPT}"><iframe src="javascript:{SCRIPT}"></iframe>""".encode()

SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" onload="{SCRIPT}">
<script>{SCRIPT}</script><image href="/stolen"/></svg>""".encode()

WORDS = b"1 0 0 rg 0 0 300 200 re f 0 g BT /F 24 Tf 40 100 Td (Hello) Tj ET"
PAGE = (
    b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
    b"<</Length %d>>stream\n%s\nendstream" % (len(WORDS), WORDS),
    b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
)
"""Objects 2 to 5 of a PDF: one red page with some words."""


def pdf(*, action: bytes = b"", catalog: bytes = b"", further: tuple[bytes, ...] = ()) -> bytes:
    """A PDF of one red page with some words.

    Args:
        action: what is done when it is opened, as an object.
        catalog: entries of its catalogue besides.
        further: objects, from number 7 on.
    """
    opening = b"/OpenAction 6 0 R" if action else b""
    root = b"<</Type/Catalog/Pages 2 0 R" + opening + catalog + b">>"
    objects = [root, *PAGE, action or b"null", *further]
    out, offsets = _written(dict(enumerate(objects, 1)))
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets.values())
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def packed_pdf(
    opening: bytes = b"[3 0 R/Fit]",
    *,
    described: bytes = b"/Type/ObjStm%b/Filter/FlateDecode",
    pack: Callable[[bytes], bytes] = zlib.compress,
) -> bytes:
    """The same as programs write it today: the catalogue is packed, and so is the table of objects.

    Args:
        opening: what is done when it is opened.
        described: the stream that holds the catalogue; %b is where it says of how many objects.
        pack: how it is packed.
    """
    inside = pack(b"1 0 <</Type/Catalog/Pages 2 0 R/OpenAction%b>>" % opening)
    holder = b"<<%b/Length %d>>stream\n%b\nendstream" % (described % b"/N 1/First 4", len(inside), inside)
    out, offsets = _written(dict(enumerate((*PAGE, holder), 2)))
    table = len(out)
    offsets[7] = table
    entries = bytes(6) + b"\2\0\0\0\6\0" + b"".join(b"\1%b\0" % at.to_bytes(4) for at in offsets.values())
    packed = zlib.compress(entries)
    out += b"7 0 obj\n<</Type/XRef/Size 8/W[1 4 1]/Root 1 0 R/Filter/FlateDecode/Length %d>>" % len(packed)
    out += b"stream\n%b\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % (packed, table)
    return bytes(out)


def _written(objects: Mapping[int, bytes]) -> tuple[bytearray, dict[int, int]]:
    """A PDF up to its table, and where each of these objects is in it."""
    out, offsets = bytearray(b"%PDF-1.7\n"), dict[int, int]()
    for number, content in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    return out, offsets


RUNS = b"<</S/JavaScript/JS(app.alert\\('ran'\\))>>"
"""What a PDF does with a script."""

PDF = pdf(action=RUNS)
"""Its script runs in the PDF viewers of browsers, whatever the server says."""


def in_digits(content: bytes) -> bytes:
    """Packed as hexadecimal digits."""
    return content.hex().encode() + b">"


HIDDEN = {
    "behind an end": packed_pdf(
        RUNS, described=b"/Type/ObjStm%b/Filter/ASCIIHexDecode/X(endobj)", pack=in_digits
    ),
    "behind a beginning": packed_pdf(
        RUNS, described=b"/X(stream)/Type/ObjStm%b/Filter/ASCIIHexDecode", pack=in_digits
    ),
    "before an odd byte": pdf(
        catalog=b"/Names<</JavaScript\xff<</Names[(a)7 0 R]>>>>",
        further=(RUNS.replace(b"JavaScript", b"JavaScript\xff").replace(b"/JS", b"/JS\xff"),),
    ),
}
"""The same script, which runs as well, where a look that is not strict does not see it."""
