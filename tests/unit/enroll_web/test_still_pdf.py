"""Which PDFs are shown: papers, and nothing that could run (T36)."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enroll_web import pdf_values, still_pdf
from enroll_web.still_pdf import Found, look_through
from tests.services.hostile import HIDDEN, PDF, RUNS, in_digits, packed_pdf, pdf


def is_still(data: bytes) -> bool:
    """Whether it is shown."""
    return look_through(data) is Found.STILL


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


ONE_BYTE = b"stream\nx\nendstream"

PAPERS = {
    "packed": packed_pdf(),
    "packed, keywords in a text": packed_pdf(
        described=b"/Type/ObjStm%b /Filter [/FlateDecode]/X(endobj stream )"
    ),
    "packed, lines": packed_pdf(described=b"/X(stream)\n/Type /ObjStm\n%b\n/Filter /FlateDecode"),
    "opened at a place": packed_pdf(b"[3 0 R /XYZ null null 0]"),
    "opened at a place elsewhere": packed_pdf(b" 5 0 R").replace(
        b"/Type/Font/Subtype/Type1/BaseFont/Helvetica", b"/S /GoTo /D [3 0 R /Fit ]".ljust(43)
    ),
    "opened at a named place": pdf(action=b"<< /Type /Action /S /GoTo /D (section.1) >>"),
    "a length elsewhere": pdf(
        further=(
            b"<</Length 8 0 R/Filter/FlateDecode>>\nstream\r\n%b\r\nendstream" % zlib.compress(b"q Q"),
            b"11",
        )
    ),
    "a packed table": pdf(
        further=(
            b"<</Type/XRef/Length 1/Filter/FlateDecode/DecodeParms<</Columns 4/Predictor 12>>>>%b" % ONE_BYTE,
        )
    ),
    "all kinds of words": pdf(
        further=(b"<</URI(https://a.example/JS/#top\\)\\( \\050 (and) x)/T<feFF 0a>/N -.5/B true/#45 null>>",)
    ),
    "names in a stream": pdf(
        further=(b"<</Type/Metadata/Length 31>>stream\n<x>/JS an object, a trailer</x>\nendstream",)
    ),
    "added to": pdf()
    + b"8 0 obj\r(new)\rendobj\rxref\r0 1\r0000000000 65535 f\r\ntrailer\r<</Size 9/Prev 300>>"
    + b"\rstartxref\r600\r%%EOF",
}


@pytest.mark.parametrize("how", PAPERS)
def test_programs_write_them_in_many_ways(how: str) -> None:
    """Old and new programs, what was added to later, and words that mean nothing where they stand."""
    assert is_still(PAPERS[how])


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
    **{f"hidden {where}": content for where, content in HIDDEN.items()},
    "packed by now": packed_pdf(RUNS),
    "packed with words before": packed_pdf(
        RUNS, described=b"/Type/ObjStm%b/X(>>stream\nendstream endobj )/Filter/FlateDecode"
    ),
    "packed in digits": packed_pdf(described=b"/Type/ObjStm%b/Filter/ASCIIHexDecode", pack=in_digits),
    "packed in an unknown way": packed_pdf(described=b"/Type/ObjStm%b/Filter/FlateDecode/DP<<>>"),
    "packed elsewhere": packed_pdf(described=b"/Type/ObjStm%b/Filter/FlateDecode/F(x)"),
    "packed, not at all": packed_pdf(described=b"/Type/ObjStm%b", pack=bytes),
    "packed, more behind": packed_pdf(pack=lambda text: zlib.compress(text) + zlib.compress(RUNS)),
    "packed, a table too short": packed_pdf().replace(b"/N 1/", b"/N 2/"),
    "packed, named without a stream": pdf(further=(b"<</Type/ObjStm>>",)),
    "packed, named elsewhere": pdf(further=(b"[/Obj#53tm]",)),
    "packed, within a text": pdf(further=(packed(b"8 1 (<</S/JavaScript/JS(x)>>)"),)),
    "a table packed in digits": pdf(further=(b"<</Type/XRef/Filter/AHx/Length 1>>stream\n>\nendstream",)),
    "a table packed strangely": pdf(
        further=(b"<</Type/XRef/Filter/FlateDecode/DecodeParms 8 0 R/Length 1>>stream\n>\nendstream",)
    ),
    "an object in a comment": pdf() + b"% 8 0 obj<</JS(x)>>",
    "an object in a text": pdf(further=(b"( 8 0 obj<</JS(x)>>)",)),
    "an object in a picture": pdf(further=(b"<</Length 19>>stream\n 8 0 obj<</JS(x)>> \nendstream",)),
    "an object behind odd bytes": pdf(further=(b"(8\xff0\x80obj\xff<</JS(x)>>)",)),
    "a trailer in a text": pdf(further=(b"(trailer<</Root<</JS(x)>>>>)",)),
    "half an escape": pdf(further=(b"<</J#4J(x)>>",)),
    "an end of text in a name": pdf(further=(b"<</JS#00(x)>>",)),
    "an odd byte behind a name": pdf(further=(b"<</JS\xff(x)>>",)),
    "too deep for viewers": pdf(further=(b"[" * 33 + b"(/JS x)" + b"]" * 33,)),
    "a name twice": pdf(further=(b"<</Length 1/Length 2>>stream\nx\nendstream",)),
    "packed, without its checksum": packed_pdf(pack=lambda text: zlib.compress(text)[:-4]),
    "packed, a table of words": pdf(further=(packed(b"8 x 1"),)),
    "packed, a number of words": packed_pdf().replace(b"/N 1/", b"/N(1)/"),
    "a stream of nothing": pdf(further=(b"5 stream\nx\nendstream",)),
    "a key that is no name": pdf(further=(b"<<1 2>>",)),
    "a wrong length": pdf(further=(b"<</Length 9>>stream\nx\nendstream",)),
    "a length that is none": pdf(further=(b"<</Length(1)>>stream\nx\nendstream",)),
    "a comment within an object": pdf(further=(b"<</A%\n1>>",)),
    "a stream within an object": pdf(further=(b"[<</Length 1>>stream\nx\nendstream]",)),
    "what is open stays open": pdf(further=(b"<</A[1>>",)),
    "what is closed was not open": pdf(further=(b"]",)),
    "a text without an end": pdf(further=(b"(\\)",)),
    "opened, an address": packed_pdf(b"<</S/URI/URI(https://evil.example)>>"),
    "opened, an address elsewhere": packed_pdf(b" 5 0 R").replace(
        b"/Type/Font/Subtype/Type1/BaseFont/Helvetica", b"/S/URI/URI(https://evil.example)".ljust(43)
    ),
    "opened, one of two": pdf(action=b"<</S/GoTo/D[3 0 R/Fit]>>") + b"6 0 obj<</S/URI/URI(x)>>endobj",
    "opened, and then": pdf(action=b"<</S/GoTo/D[3 0 R/Fit]/Next 7 0 R>>"),
    "at the end": pdf() + b"\n/JS",
    "not one": b"<html><script>alert(1)</script>",
    "later": b"\n" + pdf(),
    "empty": b"",
}


@pytest.mark.parametrize("how", HOSTILE)
def test_what_could_run_is_not_shown(how: str) -> None:
    """T36: however it is spelled or packed; what cannot be looked through counts as if it ran."""
    assert not is_still(HOSTILE[how])


ENCRYPTED = pdf().replace(b"/Root 1 0 R", b"/Root 1 0 R/Encrypt 6 0 R")

REASONS = {
    "longer than is read": (Found.LONG, pdf() + bytes(still_pdf.MAX_BYTES)),
    "much outside of streams": (Found.LONG, pdf() + b"%" * still_pdf.MAX_OUTSIDE_BYTES),
    "encrypted": (Found.ENCRYPTED, ENCRYPTED),
    "encrypted, and packed": (
        Found.ENCRYPTED,
        packed_pdf(pack=lambda text: zlib.compress(text)[::-1]).replace(b"/Size 8", b"/Size 8/Encrypt 9 0 R"),
    ),
    "encrypted, in place": (Found.ENCRYPTED, pdf(catalog=b"/Encrypt <</V 4>>")),
    "a script": (Found.ACTIVE, PDF),
    "a form that is sent": (Found.ACTIVE, pdf(further=(b"<</S/SubmitForm>>",))),
    "opens an address": (Found.ACTIVE, pdf(action=b"<</S/URI/URI(https://evil.example)>>")),
    "opens something at once": (Found.ACTIVE, packed_pdf(b"<</S/URI/URI(https://evil.example)>>")),
    "a word about encryption": (Found.ACTIVE, pdf(action=RUNS, further=(b"(/Encrypt)",))),
    "none": (Found.UNCLEAR, b"<html>"),
    "a comment within an object": (Found.UNCLEAR, pdf(further=(b"<</A%\n1>>",))),
}


@pytest.mark.parametrize("how", REASONS)
def test_what_is_said_of_it(how: str) -> None:
    """Whoever is not shown a PDF is told why: it is long, encrypted, does something, or nobody can say."""
    said, data = REASONS[how]
    assert look_through(data) is said


@given(st.binary(max_size=300), st.integers(0, 400))
def test_nothing_is_too_strange(noise: bytes, at: int) -> None:
    """Any bytes anywhere: an answer, no error; and a script beside them is found all the same."""
    good, bad = pdf(), PDF
    is_still(good[:at] + noise + good[at:])
    assert not is_still(bad + noise)
    assert not is_still(bad[:60] + noise.replace(b"%", b"") + bad[60:])


def test_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither longer than is looked through, nor packed so that it would be."""
    long = pdf(further=(packed(b"8 0 1" + bytes(100_000)),))
    assert is_still(long)
    monkeypatch.setattr(still_pdf, "MAX_INFLATED_BYTES", 50_000)
    assert look_through(long) is Found.LONG
    monkeypatch.setattr(still_pdf, "MAX_INFLATED_BYTES", 2**20)
    monkeypatch.setattr(still_pdf, "MAX_BYTES", len(long) - 1)
    assert look_through(long) is Found.LONG


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


# ── how long it takes
LONG: dict[str, Callable[[int], bytes]] = {
    "beginnings of streams": lambda size: b"%PDF-1.7\n" + b"stream" * (size // 6),
    "streams far from their end": lambda size: (
        b"%PDF-1.7\n" + b"endobj stream\nZZ " * (size // 34) + bytes(size // 2) + b"endstream"
    ),
    "lengths elsewhere": lambda size: (
        b"%PDF-1.7\n" + b"1 0 obj<</Length 2 0 R>>stream\nendstream endobj\n" * (size // 49)
    ),
    "lengths elsewhere, no end": lambda size: (
        b"%PDF-1.7\n" + b"1 0 obj<</Length 2 0 R>>stream\n" * (size // 31)
    ),
    "objects": lambda size: b"%PDF-1.7\n" + b"1 0 obj 1 endobj " * (size // 17),
    "objects in a comment": lambda size: b"%PDF-1.7\n%" + b" obj" * (size // 4),
    "trailers in a comment": lambda size: b"%PDF-1.7\n%" + b"trailer " * (size // 8),
    "arrays": lambda size: within(b"[]" * (size // 2)),
    "deep": lambda size: within(b"[" * size),
    "names": lambda size: within(b"/#41#" * (size // 5)),
    "escaped names": lambda size: within(b"/#41#42" * (size // 7)),
    "one name": lambda size: within(b"/" + b"A" * size + b"\xff"),
    "numbers": lambda size: within(b"1 " * (size // 2)),
    "almost references": lambda size: within(b"1 0 " * (size // 4)),
    "one number": lambda size: within(b"1" * size),
    "digits": lambda size: within(b"<" + b"0 " * (size // 2)),
    "parentheses": lambda size: within(b"(" * size),
    "backslashes": lambda size: within(b"(" + b"\\" * size),
    "white space": lambda size: within(b"1" + b" " * (size // 2) + b"0" + b" " * (size // 2)),
    "packed": lambda size: b"%PDF-1.7\n" + (b"1 0 obj" + packed(b"8 0 1") + b"endobj\n") * (size // 128),
    "packed much": lambda size: pdf(further=(packed(b"8 0 [" + b"[]" * (size // 8) + b"]"),)),
    "packed tables": lambda size: pdf(
        further=(packed(b"8 0 " * size, described=b"/First %d/N 1/Filter/FlateDecode" % (size * 4)),)
    ),
}
"""Files of about so many bytes, made to keep a look busy."""


def within(content: bytes) -> bytes:
    """A PDF with this in an array."""
    return b"%PDF-1.7\n1 0 obj[" + content + b"]endobj"


@pytest.mark.parametrize("kind", LONG)
def test_twice_as_much_takes_twice_as_long(kind: str) -> None:
    """T36: no content makes the look long for its length, and none keeps all others waiting meanwhile."""
    seconds = []
    for size in (2**20, 2**21):
        data, began = LONG[kind](size), time.thread_time()
        is_still(data)
        seconds.append(time.thread_time() - began)
    assert seconds[1] < 4 * seconds[0] + 0.2


@pytest.mark.parametrize(
    ("limit", "value", "content"),
    [
        ("MAX_WORDS", 100, within(b"1 " * 100)),
        ("MAX_WORDS", 100, pdf(further=(packed(b"8 0 [" + b"1 " * 60 + b"]"),))),
        ("MAX_WORDS", 100, within(b"(" + b"()" * 60 + b")")),
        ("MAX_OUTSIDE_BYTES", 1000, within(b"(" + b"x" * 1000 + b")")),
        ("MAX_OUTSIDE_BYTES", 1000, pdf() + b"%" * 1000),
        ("MAX_TABLE_BYTES", 3, packed_pdf()),
    ],
)
def test_limits(monkeypatch: pytest.MonkeyPatch, limit: str, value: int, content: bytes) -> None:
    """What is longer than is looked through is said to be, wherever it is that there is so much."""
    assert is_still(content)
    monkeypatch.setattr(still_pdf, limit, value)
    assert look_through(content) is Found.LONG


def test_limits_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """As deep and with as many entries as is allowed, and one more."""
    for limit, content in (
        ("MAX_DEPTH", b"[" * 4 + b"]" * 4),
        ("MAX_ENTRIES", b"<</A 1/B 1/C 1/D 1/E 1/F 1>>"),
    ):
        monkeypatch.setattr(pdf_values, limit, 100)
        assert is_still(pdf(further=(content,)))
        monkeypatch.setattr(pdf_values, limit, 3)
        assert not is_still(pdf(further=(content,)))
