"""The words that a PDF is made of (ISO 32000-1, 7.2 and 7.3), read strictly.

Whatever two viewers could take for different words is none here: raw bytes and half escapes in names, odd
bytes between words, a comment within an object. Reading goes on only behind what was read, and the first
thing that is no word ends it: so the time it takes grows with the length and no faster. Pure; used by
`pdf_values.py` and `still_pdf.py`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

WHITE = b"\x00\t\n\x0c\r "
"""What stands between words (7.2.2)."""

SPACE = r"[\x00\t\n\x0c\r ]"
"""One of them, in a pattern."""

END = r"(?=[\x00\t\n\x0c\r ()<>\[\]/%]|\Z)"
"""Behind a word, in a pattern: what cannot be part of it."""

REFERENCE = rf"[0-9]{{1,8}}{SPACE}++[0-9]{{1,5}}{SPACE}++R"
"""What stands for an object that is elsewhere, in a pattern (7.3.10)."""

NAME, TEXT, OPENS, CLOSES = "name", "text", "opens", "closes"
"""Kinds of words that something depends on."""


def compiled(pattern: str) -> re.Pattern[bytes]:
    """A pattern for bytes."""
    return re.compile(pattern.encode("latin-1"), re.DOTALL)


_WORD = compiled(
    rf"{SPACE}*+(?:"
    rf"(?P<name>/(?:[!\"$&'*-.0-;=?-Z\\^-z|~]|#(?!00)[0-9A-Fa-f]{{2}})++{END})"
    rf"|(?P<opens><<|\[)"
    rf"|(?P<closes>>>|\])"
    rf"|(?P<plain>(?:{REFERENCE}|[-+.0-9]++|true|false|null){END})"
    rf"|(?P<text>\()"
    rf"|(?P<digits><(?:[0-9A-Fa-f]|{SPACE})*+>))"
)
_ESCAPED = compiled(r"#(..)")
_PARENTHESIS = compiled(r"[^()\\]*+(?:\\.[^()\\]*+)*+([()])")


class Unclear(Exception):
    """What is there cannot be understood for sure."""


class Active(Unclear):
    """It is understood, and could run."""


class TooMuch(Unclear):
    """There is more of it than is looked through."""


def require(*, that: bool, otherwise: type[Unclear] = Unclear) -> None:
    """Go on only if it is so.

    Raises:
        Unclear: it is not.
    """
    if not that:
        raise otherwise


class Word(NamedTuple):
    """One word.

    Attributes:
        kind: a name, a text in parentheses, the beginning or the end of an array or a dictionary, or none of
            these.
        text: as it is written; of a name what it means, with its slash; of a text its first parenthesis.
    """

    kind: str
    text: bytes


class Words:
    """Reads one word after the other.

    Attributes:
        data: what is read.
        at: where the next one begins, or the white space before it.
        left: how many more are read; the parentheses in texts count as well.
    """

    def __init__(self, data: bytes, left: int) -> None:
        self.data = data
        self.at = 0
        self.left = left

    @property
    def at_end(self) -> bool:
        """Whether there is no more."""
        return self.at == len(self.data)

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Go over what fits, if it does."""
        found = pattern.match(self.data, self.at)
        self.at = found.end() if found else self.at
        return found

    def next(self) -> Word:
        """Read a word.

        Raises:
            Unclear: there is none.
            TooMuch: it was one too many.
        """
        found = self._one(_WORD)
        kind = found.lastgroup or ""
        text = found[kind]
        if kind == TEXT:
            self._go_behind_text()
        elif kind == NAME and b"#" in text:
            text = _ESCAPED.sub(lambda digits: bytes([int(digits[1], 16)]), text)
        return Word(kind, text)

    def _go_behind_text(self) -> None:
        depth = 1
        while depth:
            depth += 1 if self._one(_PARENTHESIS)[1] == b"(" else -1

    def _one(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        if self.left <= 0:
            raise TooMuch
        found = self.take(pattern)
        if found is None:
            raise Unclear
        self.left -= 1
        return found
