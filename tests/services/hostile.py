"""Files that try to run something wherever they are shown: for tests of previews and downloads."""

from __future__ import annotations

SCRIPT = "alert(document.cookie); document.title = 'ran'; fetch('/stolen?' + document.cookie)"

HTML = f"""<!doctype html><title>page</title><script>{SCRIPT}</script>
<img src="/stolen" onerror="{SCRIPT}"><iframe src="javascript:{SCRIPT}"></iframe>""".encode()

SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" onload="{SCRIPT}">
<script>{SCRIPT}</script><image href="/stolen"/></svg>""".encode()


def pdf(*, action: bytes = b"", catalog: bytes = b"", further: tuple[bytes, ...] = ()) -> bytes:
    """A PDF of one page with some words.

    Args:
        action: what is done when it is opened, as an object.
        catalog: entries of its catalogue besides.
        further: objects, from number 7 on.
    """
    opening = b"/OpenAction 6 0 R" if action else b""
    words = b"BT /F 24 Tf 40 100 Td (Hello) Tj ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R" + opening + catalog + b">>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(words), words),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        action or b"null",
        *further,
    ]
    out, offsets = bytearray(b"%PDF-1.7\n"), list[int]()
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


PDF = pdf(action=b"<</S/JavaScript/JS(app.alert\\('ran'\\))>>")
"""Its script runs in the PDF viewers of browsers, whatever the server says."""
