"""The same of h11, another reader of HTTP/1.1, written by other people from the same text."""

from __future__ import annotations

import h11

from tests.fuzz.tape import Framed

ASCII = bytes(range(128)) + b"x" * 128
"""h11 refuses a target with bytes above ASCII, which clients send raw, and we do not: it is given others."""

MANY = 1 << 20
"""Bytes of a head that h11 takes: how much is too much is ours to say."""

EMPTY_LINE = "no request line received"
"""h11 refuses empty lines before a request, which RFC 9112, 2.2 tells servers to skip, and we do."""


def framed(stream: bytes) -> Framed:
    """What h11 makes of a stream.

    Where it would stop for a reason that is not one of framing it is begun anew on what follows: at empty
    lines between requests, and after HTTP/1.0, with which it never goes on.
    """
    result, stream = Framed(), stream.translate(ASCII)
    while True:
        rest = _until_it_stops(stream, result)
        if rest is None:
            return result
        stream = rest
        result.end, result.why = "over", ""


def _until_it_stops(stream: bytes, result: Framed) -> bytes | None:
    """One h11 connection; gives what follows if that is to be read by another one."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MANY)
    if stream:
        connection.receive_data(stream)
    request: h11.Request | None = None
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request, result.begun, body = event, event.method.decode(), b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                result.requests.append((result.begun, body))
                result.begun = ""
                _answer(connection)
                if connection.states[h11.SERVER] is not h11.MUST_CLOSE:
                    connection.start_next_cycle()
                    continue
                result.end = "closes"
                return _after(connection) if _wants_to_go_on(request) else None
            else:
                nothing = connection.their_state is h11.IDLE and not connection.trailing_data[0]
                result.end = "over" if nothing else "unfinished"
                return None
    except h11.RemoteProtocolError as error:
        result.end, result.why = "refused", str(error)
        return _after(connection).removeprefix(b"\r\n") if result.why == EMPTY_LINE else None


def _answer(connection: h11.Connection) -> None:
    connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())


def _wants_to_go_on(request: h11.Request) -> bool:
    """Whether it is HTTP/1.0 that asks to be kept."""
    options = [
        option.strip().lower()
        for name, value in request.headers
        if name == b"connection"
        for option in value.split(b",")
    ]
    return request.http_version < b"1.1" and b"keep-alive" in options


def _after(connection: h11.Connection) -> bytes:
    return bytes(connection.trailing_data[0])
