"""One request and its response: the WSGI environ, the response's framing and the count of its bytes.

It must never let a response that is not complete look complete: too few bytes, or an error after the first
block, cut the connection. Called by `connection`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from types import TracebackType
from typing import Any, Protocol

from davserver.errors import TooBusy
from davserver.serving.head import REMEMBERED, Head
from davserver.serving.proxies import TOLD, Proxies
from davserver.serving.reader import Body, ChunkedBody, SizedBody, SocketReader
from davserver.serving.tls import STRICT_TRANSPORT
from davserver.serving.turns import Turns
from davserver.serving.wire import Block

ACCOUNT_KEY = "sealdav.account"
"""The application puts the user name of the authenticated account here, for the access log."""

REQUEST_KEY = "sealdav.request"
"""The server puts the id of the request here; the access log holds it."""

CUT_KEY = "sealdav.cut"
"""The server puts a function here that ends the connection from another thread, whatever it waits for."""

TURN_KEY = "sealdav.turn"
"""The server puts a function here. The application calls it with the name of the account, once it knows whose
request it is and before it reads the body; it may raise `TooBusy`, which is a refusal like any other."""

MISTRUST_KEY = "sealdav.mistrust"
"""The server puts a function here that knows whether a client at an address has turned our certificate down
lately: see `Seat.since_mistrust`."""

_UNPREFIXED = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})
_BODILESS = frozenset({204, 304})
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_STATUS = re.compile(r"[2-5][0-9]{2} [\t\x20-\x7e\x80-\xff]*")

Environ = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
WsgiApp = Callable[[Environ, Callable[..., Callable[[Block], None]]], Iterable[Block]]


class Broken(Exception):
    """The response cannot be finished as it was begun; the connection has to be cut."""


class Line(Protocol):
    """What an exchange needs of its connection."""

    @property
    def reader(self) -> SocketReader:
        """What arrives."""
        ...

    def send(self, *parts: Block) -> None:
        """Send all of it in as few system calls as the socket allows; raises Disconnected."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """What an exchange needs to know of its server.

    Attributes:
        environ: the part of every environ that is always the same.
        date: the current time as RFC 9110, 5.6.7 wants it.
        keep_alive: whether another request may follow on a connection.
        proxies: who is believed about the client.
    """

    environ: Environ
    date: Callable[[], str]
    keep_alive: Callable[[], bool]
    proxies: Proxies


class Exchange:
    """Runs the application once. Afterwards `reusable` says whether the connection may go on.

    Args:
        may_wait: whether it may be begun again later, if it has to wait for its turn.

    Attributes:
        status: status code that was sent, or None.
        sent: bytes of response body.
        must_wait: the account that it has to wait for; then nothing was sent, and nothing of the body read.
    """

    def __init__(self, line: Line, host: Host, head: Head, *, may_wait: bool = False) -> None:
        self.must_wait = ""
        self._may_wait = may_wait
        self._turn = ""
        self._line = line
        self._host = host
        self._head = head
        self.body: Body = (
            ChunkedBody(line.reader, self._send_continue)
            if head.length is None
            else SizedBody(line.reader, self._send_continue, head.length)
        )
        self._continue_owed = head.expects_continue and head.length != 0
        self._status_line = ""
        self._fields: list[tuple[str, str]] = []
        self._dated = False
        self._head_sent = False
        self._chunked = False
        self._remaining: int | None = None
        self._bodiless = False
        self._close = not head.keep_alive
        self._https = False
        self.status: int | None = None
        self.sent = 0

    # ── for the connection
    def run(self, app: WsgiApp, environ: Environ) -> None:
        """Call the application and send what it gives.

        Raises:
            Disconnected: the peer is gone.
            Broken: fewer or more bytes than announced were given.
            Exception: whatever the application raises.
        """
        self._https = environ["wsgi.url_scheme"] == "https"
        blocks = app(environ, self.start_response)
        try:
            if self.must_wait:
                return
            if isinstance(blocks, list | tuple) and len(blocks) == 1:
                self._announce(len(blocks[0]))
            for block in blocks:
                if len(block):
                    self.write(block)
            self._finish()
        finally:
            close = getattr(blocks, "close", None)
            if close is not None:
                close()

    def take_turn(self, turns: Turns[Any], account: str) -> None:
        """For the application, as `TURN_KEY`.

        Raises:
            TooBusy: it is not the account's turn. The answer to that is not sent if the request may wait; one
                whose body was begun may not, because it could not be begun again.
        """
        if self._turn:
            return
        if not turns.take(account, self._line):
            self.must_wait = account if self._may_wait and not self.body.begun else ""
            raise TooBusy("too many requests of this account are running")
        self._turn = account

    def end_turn(self, turns: Turns[Any]) -> None:
        """It has ended; as often as one likes."""
        if self._turn:
            turns.give_back(self._turn, self._line)
            self._turn = ""

    @property
    def head_sent(self) -> bool:
        """Whether it is too late for another status."""
        return self._head_sent

    @property
    def reusable(self) -> bool:
        """Whether both sides are at the end of their message and want to go on."""
        return not self._close and self.body.remaining == 0 and not self.body.failed

    def fail(self, status: HTTPStatus) -> None:
        """Answer with `status` in place of the application, and close. Only before the head was sent."""
        text = f"{status.value} {status.phrase}\n".encode()
        self._close = True
        self._fields = [("Content-Type", "text/plain")]
        self._status_line = f"{status.value} {status.phrase}"
        self._remaining = len(text)
        self._chunked = False
        self.write(text)

    def drain(self) -> None:
        """Drop what is left of a body that has arrived; a thread never waits for one that nobody wants."""
        if not self._close and not self.must_wait and self.body.remaining:
            self.body.read(self.body.remaining)

    # ── for the application (PEP 3333)
    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[Block], None]:
        """Keep status and headers until the first block."""
        if exc_info is not None and exc_info[1] is not None and self._head_sent:
            raise exc_info[1]
        if self._status_line and exc_info is None:
            raise Broken("start_response was called twice")
        if not _STATUS.fullmatch(status):
            raise Broken("the application gave a malformed status")
        self._status_line = status
        self._remaining = None
        self._fields = []
        self._dated = False
        for name, value in headers:
            self._add_field(name, value)
        return self.write

    def _add_field(self, name: str, value: str) -> None:
        key = _key_of(name)
        if key is None or not _FIELD_VALUE.fullmatch(value):
            raise Broken("the application gave a malformed header field")
        if key == "connection":
            self._close = self._close or value.strip().lower() == "close"
        elif key == "content-length":
            self._remaining = int(value)
        elif key not in ("transfer-encoding", "keep-alive"):
            self._fields.append((name, value))
            self._dated = self._dated or key == "date"

    def write(self, block: Block) -> None:
        """Send one block; its memory may be reused afterwards."""
        if self.must_wait:
            return
        size = len(block)
        first = () if self._head_sent else (self._take_head(),)
        if self._bodiless:
            self._line.send(*first)
            return
        if self._remaining is not None:
            if size > self._remaining:
                raise Broken("the application gave more bytes than it announced")
            self._remaining -= size
        self.sent += size
        if self._chunked:
            self._line.send(*first, b"%x\r\n" % size, block, b"\r\n")
        else:
            self._line.send(*first, block)

    def _announce(self, size: int) -> None:
        """The whole body is known: give its length, if the application did not."""
        if self._remaining is None and not self._head_sent:
            self._remaining = size

    def _finish(self) -> None:
        if not self._head_sent:
            if self._head.method != "HEAD":
                self._announce(0)
            self._line.send(self._take_head())
        elif self._chunked:
            self._line.send(b"0\r\n\r\n")
        if self._remaining and not self._bodiless:
            raise Broken("the application gave fewer bytes than it announced")

    def _send_continue(self) -> None:
        if self._continue_owed and not self._head_sent:
            self._line.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._continue_owed = False

    # ── the head of the response
    def _take_head(self) -> bytes:
        """Decide the framing (RFC 9112, 6 and 9) and write the head."""
        if not self._status_line:
            raise Broken("the application did not call start_response")
        self._head_sent = True
        self.status = int(self._status_line[:3])
        self._bodiless = self._head.method == "HEAD" or self.status in _BODILESS
        self._close = self._close or self._must_close()
        fields = self._fields
        if self._remaining is not None and self.status not in _BODILESS:
            fields.append(("Content-Length", str(self._remaining)))
        elif not self._bodiless:
            self._chunked = self._head.http11
            self._close = self._close or not self._chunked
            if self._chunked:
                fields.append(("Transfer-Encoding", "chunked"))
        self._add_own_fields()
        lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
        return f"HTTP/1.1 {self._status_line}\r\n{lines}\r\n".encode("latin-1")

    def _add_own_fields(self) -> None:
        """What is said of every answer, whatever the application is."""
        fields = self._fields
        if not self._dated:
            fields.append(("Date", self._host.date()))
        if self._https:
            fields.append(STRICT_TRANSPORT)
        if self._close:
            fields.append(("Connection", "close"))
        elif not self._head.http11:
            fields.append(("Connection", "keep-alive"))

    def _must_close(self) -> bool:
        """Whether what is left of the request's body, unless it is here already, forbids another request."""
        if not self._host.keep_alive() or self.body.failed:
            return True
        remaining = self.body.remaining
        if remaining == 0:
            return False
        return self._continue_owed or remaining is None or remaining > self._line.reader.buffered


@lru_cache(REMEMBERED)
def _key_of(name: str) -> str | None:
    """The name of a field in lower case; None if it is malformed."""
    return name.lower() if _FIELD_NAME.fullmatch(name) else None


def build_environ(host: Host, head: Head, body: Body, client: tuple[str, int], request_id: str) -> Environ:
    """The environ of PEP 3333, with the raw request target as `REQUEST_URI`, as the client's own request."""
    environ = {
        **host.environ,
        "REQUEST_METHOD": head.method,
        "REQUEST_URI": head.target,
        "SCRIPT_NAME": "",
        "PATH_INFO": head.path,
        "QUERY_STRING": head.query,
        "SERVER_PROTOCOL": "HTTP/1.1" if head.http11 else "HTTP/1.0",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.input": body,
        REQUEST_KEY: request_id,
    }
    told = {}
    for name, value in head.fields.items():
        key = _environ_key(name)
        if key:
            environ[key] = value
        else:
            told[name] = value
    if told:
        host.proxies.apply(environ, told)
    return environ


@lru_cache(REMEMBERED)
def _environ_key(name: str) -> str:
    """What PEP 3333 calls a field; "" for those in which proxies tell of their clients."""
    if name.startswith(TOLD):
        return ""
    key = name.upper().replace("-", "_")
    return key if key in _UNPREFIXED else f"HTTP_{key}"
