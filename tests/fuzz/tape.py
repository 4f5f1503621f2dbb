"""A connection that was recorded: our reader reads it without a socket, in pieces of any size."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from davserver.errors import LengthMismatch, LimitExceeded
from davserver.serving.head import Head, Refused, parse_head
from davserver.serving.reader import Body, ChunkedBody, Disconnected, SizedBody, SocketReader
from davserver.serving.wire import Pace


class Tape:
    """Duck type of `Wire`, as far as `SocketReader` uses it: pieces, then the end."""

    has_pending = False

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self.arriving = Pace()

    @property
    def is_over(self) -> bool:
        """Whether nothing will arrive any more."""
        return not self._pieces

    def receive_into(self, view: memoryview) -> int:
        """The next piece, or as much of it as there is room for; 0 at the end."""
        if not self._pieces:
            return 0
        piece = self._pieces[0]
        count = min(len(view), len(piece))
        view[:count] = piece[:count]
        self._pieces[0] = piece[count:]
        if not self._pieces[0]:
            del self._pieces[0]
        return count

    receive_now = receive_into


@dataclass
class Framed:
    """What a reader makes of a stream.

    Attributes:
        requests: the complete ones: method and body.
        begun: the method of one that was begun, and whose body has not ended; "" if there is none.
        end: "refused", "unfinished", "closes" (nothing may follow), or "over" (nothing does).
        why: what was wrong, for people.
    """

    requests: list[tuple[str, bytes]] = field(default_factory=list)
    begun: str = ""
    end: str = "over"
    why: str = ""


def framed(pieces: Iterable[bytes]) -> Framed:
    """What our reader makes of a stream that arrives in these pieces."""
    tape, result = Tape(pieces), Framed()
    reader = SocketReader(tape, threading.Event())  # type: ignore[arg-type]
    try:
        while result.end == "over":
            head = _next_head(reader, tape)
            if head is None:
                result.end = "unfinished" if reader.has_partial_head else "over"
                return result
            result.begun = head.method
            result.requests.append((head.method, _body(reader, head).read()))
            result.begun = ""
            result.end = "over" if head.keep_alive else "closes"
    except Refused as refusal:
        result.end, result.why = "refused", refusal.reason
    except (LengthMismatch, LimitExceeded) as error:
        result.why = str(error)
        result.end = "unfinished" if "ended early" in result.why else "refused"
    return result


def _next_head(reader: SocketReader, tape: Tape) -> Head | None:
    while True:
        try:
            raw = reader.next_head()
        except Disconnected:
            return None
        if raw is not None:
            return parse_head(raw)
        if tape.is_over:
            return None


def _body(reader: SocketReader, head: Head) -> Body:
    if head.length is None:
        return ChunkedBody(reader, _nothing)
    return SizedBody(reader, _nothing, head.length)


def _nothing() -> None:
    pass
