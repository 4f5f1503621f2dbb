"""Which names can be stored, and how a path is taken apart. The one normaliser: nobody else judges a name.

Pure. Called by the doors, which hand over names that are already percent-decoded.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from davserver.errors import PathError

MAX_NAME_BYTES = 255
"""Longest name in bytes of UTF-8, as in every file system that a drive is mounted on."""

MAX_DEPTH = 256
"""Deepest path in names; each costs one look-up."""

# C0 and C1 controls, DEL, lone surrogates, line and paragraph separators and non-characters: none of them
# can be written in XML 1.0 or shown in one line: a name with one would break every listing of its parent.
_FORBIDDEN = re.compile("[\x00-\x1f/\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


_PLAIN = re.compile(f"[ -.0-~]{{3,{MAX_NAME_BYTES}}}")  # printable ASCII, and longer than ".."


def check_name(name: str) -> str:
    """Return `name` if it can be stored, else raise PathError saying what is wrong with it."""
    if _PLAIN.fullmatch(name):
        return name
    if name in {"", ".", ".."}:
        raise PathError("a name must not be empty, '.' or '..'")
    if _FORBIDDEN.search(name):
        raise PathError("a name must not hold '/' or a control character")
    if _length(name) > MAX_NAME_BYTES:
        raise PathError("a name must not be longer than %(most)s bytes", most=MAX_NAME_BYTES)
    return name


def lookup_form(name: str) -> str:
    """The spelling under which a name is found: Unicode NFC, so that macOS (NFD) and others meet."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def annotated(name: str, note: str) -> str:
    """For "a.txt" and "2" it is "a (2).txt": never longer than a name may be."""
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    behind, tail = f" ({note})", f" ({note}){dot}{ending}"
    if _length(tail) >= MAX_NAME_BYTES:  # all of it is the ending
        return _cut(name, MAX_NAME_BYTES - _length(behind)) + behind
    return _cut(stem, MAX_NAME_BYTES - _length(tail)) + tail


def _cut(text: str, most: int) -> str:
    cut = text.encode()[:most].decode(errors="ignore")
    while _length(cut) > most:
        cut = cut[:-1]
    return cut


def _length(name: str) -> int:
    """Bytes of a name as it is spelled, or as it is found, if that is more."""
    return max(len(name.encode()), len(lookup_form(name).encode()))


@dataclass(frozen=True, slots=True)
class VaultPath:
    """A path inside a vault: its names exactly as the client sent them; none for the root."""

    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.parts) > MAX_DEPTH:
            raise PathError("a path must not be deeper than %(most)s names", most=MAX_DEPTH)
        for part in self.parts:
            check_name(part)

    @classmethod
    def parse(cls, text: str) -> VaultPath:
        """Read "/a/b" or "a/b"; "/" and "" are the root. A trailing slash is not a name and is refused."""
        text = text.removeprefix("/")
        return cls(tuple(text.split("/"))) if text else cls()

    @property
    def is_root(self) -> bool:
        """Whether this addresses the root collection itself."""
        return not self.parts

    @property
    def name(self) -> str:
        """The last name; empty for the root."""
        return self.parts[-1] if self.parts else ""

    @property
    def parent(self) -> VaultPath:
        """The path without its last name; the root is its own parent."""
        return VaultPath(self.parts[:-1])

    def __truediv__(self, name: str) -> VaultPath:
        return VaultPath((*self.parts, name))

    def contains(self, other: VaultPath) -> bool:
        """Whether `other` is this path or lies below it, compared name by name."""
        return tuple(map(lookup_form, other.parts[: len(self.parts)])) == tuple(map(lookup_form, self.parts))

    def __str__(self) -> str:
        return "/" + "/".join(self.parts)
