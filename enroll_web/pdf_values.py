"""Values in a PDF (ISO 32000-1, 7.3): gone over with all that is in them, so that no name could make it run.

Nothing is built of them: it would take many times the memory. Pure; used by `still_pdf.py`.
"""

from __future__ import annotations

from enroll_web.pdf_words import (
    CLOSES,
    END,
    NAME,
    OPENS,
    REFERENCE,
    SPACE,
    WHITE,
    Active,
    Words,
    compiled,
    require,
)

MAX_DEPTH = 32
"""Arrays and dictionaries within each other. Far below where viewers stop to follow: what they do then is
their own."""

MAX_ENTRIES = 20_000
"""What a dictionary may hold that is an object by itself."""

ACTIVE = frozenset(
    f"/{name}".encode()
    for name in (
        *("JavaScript", "JS", "XFA", "AA", "Launch", "SubmitForm", "ImportData", "GoToE", "RichMedia"),
        *("Rendition", "Movie", "3D", "Encrypt"),
    )
)
"""Names (12.6) without which nothing runs, is sent or is started; and what hides them all."""

OBJECTS = b"/ObjStm"
"""The type of streams that hold objects (7.5.7)."""

_PAIRS = {b"[": b"]", b"<<": b">>"}
_DICTIONARY = compiled(rf"{SPACE}*+<<")
_SHOWN = compiled(rf"{SPACE}*+(?:\[|({REFERENCE}){END})")
"""What is done when it is opened: an array is a place; of another object it is to be seen what it says."""
_PLACE = rf"\[[^\[\]()<>]*+\]|\([^()\\]*+\)|{REFERENCE}"
_SHOWS_A_PLACE = compiled(
    rf"\[[^\[\]()<>]*+\]|<<{SPACE}*+(?:/Type{SPACE}*+/Action{SPACE}*+)?/S{SPACE}*+/GoTo{SPACE}*+/D{SPACE}*+"
    rf"(?:{_PLACE}){SPACE}*+>>"
)


def shows_a_place(value: bytes) -> bool:
    """Whether an object does no more than to say which place in the same file is to be shown (12.6.4.2)."""
    return _SHOWS_A_PLACE.fullmatch(value) is not None


class Values(Words):
    """Reads one value after the other. Each raises `Unclear` if it could run, or is none.

    Attributes:
        holders: how often something was said to hold objects.
        opened: numbers of the objects that say what is done when it is opened.
    """

    def __init__(self, data: bytes, left: int) -> None:
        super().__init__(data, left)
        self.holders = 0
        self.opened = set[int]()

    def value(self) -> bytes:
        """Any one: as it is written; of a name what it means."""
        start, inside = self.at, list[bytes]()
        while True:
            word = self.next()
            if word.kind == NAME:
                self._judge(word.text)
            elif word.kind == OPENS:
                inside.append(_PAIRS[word.text])
                require(that=len(inside) <= MAX_DEPTH)
            elif word.kind == CLOSES:
                require(that=bool(inside) and inside.pop() == word.text)
            if not inside:
                return word.text if word.kind == NAME else self.data[start : self.at].strip(WHITE)

    def entries(self) -> dict[bytes, bytes] | None:
        """A dictionary: what is written under each name, of which none is there twice. None: it is none."""
        if not self.take(_DICTIONARY):
            return None
        entries = dict[bytes, bytes]()
        while (word := self.next()).text != _PAIRS[b"<<"]:
            require(that=word.kind == NAME and word.text not in entries and len(entries) < MAX_ENTRIES)
            self._judge(word.text)
            entries[word.text] = self.value()
        return entries

    def _judge(self, name: bytes) -> None:
        require(that=name not in ACTIVE, otherwise=Active)
        self.holders += name == OBJECTS
        if name == b"/OpenAction":
            shown = _SHOWN.match(self.data, self.at)
            require(that=shown is not None, otherwise=Active)
            if shown and shown[1]:
                self.opened.add(int(shown[1].split()[0]))
