"""What is fuzzed: each takes any bytes, and raises AssertionError where a law of ours is broken.

Errors that a parser is meant to raise are none here; any other exception is a find. Called by `run`, which
lets coverage guide it, and by `test_corpus`, for all that was ever worth keeping.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from wsgidav.dav_error import DAVError

from davserver.dav.if_header import MAX_IF_CHARS, any_holds, parse_if, submitted
from davserver.dav.uri import parse_destination, parse_target
from davserver.errors import DavserverError
from davserver.sending.conditions import Unsatisfiable, parse_range
from davserver.serving.head import MAX_FIELDS, MAX_TARGET_BYTES, Head, Refused, parse_head
from tests.fuzz import h11_reader, tape
from tests.fuzz.difference import difference

HOST, USER = "a.example", "alice"
CHUNKED = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def head(data: bytes) -> None:
    """What is accepted is in order, and means the same when it is written again in its plainest form."""
    with suppress(Refused):
        found = parse_head(data)
        assert found.target.startswith("/") or (found.target, found.method) == ("*", "OPTIONS")
        assert len(found.target) <= MAX_TARGET_BYTES
        assert len(found.fields) <= MAX_FIELDS
        assert found.length is None or 0 <= found.length < 10**18
        assert not any(ord(char) < 32 and char != "\t" for value in found.fields.values() for char in value)
        again = parse_head(_written(found))
        assert _plain(again) == _plain(found), (again, found)


def _plain(found: Head) -> Head:
    """Without the blanks at the end of a value of which the last part was empty."""
    return replace(found, fields={name: value.strip(" \t") for name, value in found.fields.items()})


def _written(found: Head) -> bytes:
    version = "1.1" if found.http11 else "1.0"
    fields = [f"{name}: {value}" for name, value in found.fields.items()]
    return "\r\n".join([f"{found.method} {found.target} HTTP/{version}", *fields]).encode("latin-1")


def stream(data: bytes) -> None:
    """A stream is the same requests for us and for h11, or we refuse it; how it is cut says nothing."""
    ours = tape.framed([data])
    found = difference(ours, h11_reader.framed(data))
    assert not found, (found, ours)
    assert tape.framed(bytes([byte]) for byte in data) == ours


def chunks(data: bytes) -> None:
    """The same of what follows on the head of a chunked upload."""
    stream(CHUNKED + data)


def if_field(data: bytes) -> None:
    """Any text is a 400 or lists that can be judged; what is submitted stands in it."""
    text = data.decode("latin-1")
    with suppress(DAVError):
        lists = parse_if(text)
        assert len(text) <= MAX_IF_CHARS
        assert lists
        any_holds(lists, lambda _resource: _Nothing())
        assert all(token.lower() in text.lower() for token in submitted(lists))


class _Nothing:
    """A resource that is not there."""

    node = None

    def is_locked_with(self, token: str) -> bool:
        """No lock covers it."""
        del token
        return False


def destination(data: bytes) -> None:
    """Any text is refused, or names a place that is the same when its own address is read."""
    text = data.decode("latin-1")
    with suppress(DAVError, DavserverError):
        found = parse_destination(text, HOST, USER)
        again = parse_target(found.href(collection=found.slash), USER)
        assert again == found, (again, found)
        assert not any(name in {"", ".", ".."} or "/" in name or "\0" in name for name in found.path.parts)


def ranges(data: bytes) -> None:
    """The first two bytes are the size of a file; what is taken of it lies within it, and is not nothing."""
    size, text = int.from_bytes(data[:2]), data[2:].decode("latin-1")
    with suppress(Unsatisfiable):
        found = parse_range(text, size)
        assert found is None or 0 <= found.start < found.stop <= size, found


TARGETS: dict[str, Callable[[bytes], None]] = {
    "head": head,
    "stream": stream,
    "chunks": chunks,
    "if": if_field,
    "destination": destination,
    "range": ranges,
}
"""By the names of their folders in `corpus`."""
