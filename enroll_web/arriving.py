"""What scripts send of files: what they announce, and bodies that are part of a file or all of it.

A body goes straight into the vault; it must never be put on a disk, nor held. Used by `pages/uploads.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import RawIOBase
from typing import Protocol, cast
from urllib.parse import unquote

from flask import request

from davserver.clock import SECOND_NS
from davserver.errors import AuthenticationError, DavserverError, UploadRefused
from davserver.vault.paths import VaultPath
from davserver.vault.unfinished import IfTaken

FILE_FIELD = "X-File"
"""In it a script announces the file that is the body: JSON, percent-encoded. Addresses end up in logs."""

MILLISECOND_NS = SECOND_NS // 1000
"""Browsers tell times of change in milliseconds."""

_UNREADABLE = (ValueError, RecursionError)
"""What reading JSON may raise: that it is none, or that it is too many lists within lists."""

SCRATCH_BYTES = 64 * 1024
"""What of a body that nobody wants is dropped at once."""

WORD_BYTES = 16
"""Length of the word that a script calls a file by."""

_WORD = re.compile(f"[0-9a-f]{{{2 * WORD_BYTES}}}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file as a script announces it.

    Attributes:
        folder: the folder whose page it was chosen on.
        names: from there on, the last one its own.
        size: its length in bytes.
        modified_ns: its time of change.
        if_taken: what to do if its name is taken.
        again: whether it was asked before, and the answer got lost.
        word: random bytes by which the script calls the file; b"" if it does not.
        there: entity tag of the file that it is to replace; None: of whichever is there.
    """

    folder: VaultPath
    names: tuple[str, ...]
    size: int
    modified_ns: int
    if_taken: IfTaken
    again: bool
    word: bytes
    there: str | None

    @property
    def path(self) -> VaultPath:
        """Where it is to go."""
        return VaultPath((*self.folder.parts, *self.names))


class Sink(Protocol):
    """Something that a body goes into; see `davserver.vault.upload.Upload`."""

    def space(self) -> memoryview:
        """Where the next bytes go."""
        ...

    def advance(self, count: int) -> None:
        """So many were put there."""
        ...


def announced() -> Wanted:
    """What the JSON of the request at hand announces.

    Raises:
        UploadRefused: nothing that a script of ours would.
        PathError: the names cannot be a path.
    """
    return _wanted(sent_json())


def announced_beside() -> Wanted:
    """The same, of a request whose body is the file."""
    try:
        return _wanted(json.loads(unquote(request.headers.get(FILE_FIELD, ""))))
    except _UNREADABLE:
        raise UploadRefused("a file came without its announcement") from None


def sent_json() -> object:
    """The JSON that is the body of the request at hand; None if it is none."""
    try:
        return request.get_json(silent=True)
    except _UNREADABLE:
        return None


def decision() -> tuple[IfTaken | None, str | None]:
    """What the JSON of the request at hand decides about a taken name: None if nothing; and `Wanted.there`.

    Raises:
        UploadRefused: as `announced`.
    """
    given = sent_json()
    if not isinstance(given, dict):
        return None, None
    return if_taken(given.get("taken")), _there(given)


def if_taken(text: object) -> IfTaken | None:
    """The decision that a word is; None if it is none."""
    return next((one for one in IfTaken if one.value == text), None)


def _wanted(given: object) -> Wanted:
    match given:
        case {
            "folder": [*folder],
            "path": [*names],
            "size": int(size),
            "modified": int(modified),
            "taken": str(taken),
            "again": bool(again),
            **rest,
        } if names and size >= 0 and all(isinstance(name, str) for name in (*folder, *names)):
            decided = if_taken(taken) or IfTaken.ASK
            return Wanted(
                VaultPath(tuple(folder)),
                tuple(names),
                size,
                modified * MILLISECOND_NS,
                decided,
                again,
                _word(rest),
                _there(rest),
            )
    raise _foreign()


def _word(given: Mapping[object, object]) -> bytes:
    word = given.get("word", "")
    if not isinstance(word, str) or (word and not _WORD.fullmatch(word)):
        raise _foreign()
    return bytes.fromhex(word)


def _there(given: Mapping[object, object]) -> str | None:
    there = given.get("there")
    if there is not None and not isinstance(there, str):
        raise _foreign()
    return there


def _foreign() -> UploadRefused:
    return UploadRefused("a file was announced in another way than scripts of ours do it")


@contextmanager
def raw_body(most: int) -> Iterator[Callable[[Sink, Callable[[], None]], None]]:
    """The body of the request at hand, of at most so many bytes; gives what fills a sink with it.

    What nobody has read of it when it is left is dropped, so that the browser gets to read the answer; unless
    nobody is signed in any more.

    Raises:
        UploadRefused: it is longer, or nobody knows how long it is.
    """
    length = request.content_length
    if length is None or length > most:
        raise UploadRefused("a body is longer than its kind may be")
    request.max_content_length = length
    body = _Body(cast("RawIOBase", request.stream), length)
    try:
        yield body.fill
    except AuthenticationError:
        raise
    except DavserverError:
        body.drop()
        raise
    else:
        body.drop()


class _Body:
    def __init__(self, stream: RawIOBase, length: int) -> None:
        self._stream = stream
        self._left = length

    def fill(self, sink: Sink, between: Callable[[], None]) -> None:
        """Put all of it into the sink; `between` is called before anything is waited for."""
        while self._left and (count := self._read(sink.space(), between)):
            sink.advance(count)

    def drop(self) -> None:
        scratch = memoryview(bytearray(SCRATCH_BYTES))
        with suppress(DavserverError):  # the browser has gone away
            while self._left and self._read(scratch, lambda: None):
                pass

    def _read(self, space: memoryview, between: Callable[[], None]) -> int:
        between()
        count = self._stream.readinto(space) or 0
        self._left -= count
        return count
