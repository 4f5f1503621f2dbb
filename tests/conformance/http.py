"""A small HTTP/1.1 client on a raw socket: it sends whatever bytes a test wants and reads answers strictly.

A ready-made client would repair or refuse the malformed requests this suite is about. Every answer must be
framed as RFC 9112 says, else reading it raises `Violation`, an assertion: the server is wrong, not the test.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

Address = tuple[str, int]

PATIENCE = 20.0
"""Seconds after which a silent server has failed the test; a right one answers in milliseconds."""

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t\x20-\x7e\x80-\xff]*")
_FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}")
_NO_BODY = frozenset({204, 304})


class Violation(AssertionError):
    """What came back is not a valid, complete HTTP/1.1 message."""


class Closed(Violation):
    """The server closed or reset the connection before a complete answer."""


class Silence(Violation):
    """The server sent nothing for `PATIENCE` seconds."""


@dataclass(frozen=True, slots=True)
class Response:
    """One complete answer.

    Attributes:
        fields: names in lower case and values, in the order received.
        body: content with chunked coding removed.
        chunked: whether the content came in chunks.
        interim: status codes of the 1xx answers that came before it.
    """

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    chunked: bool = False
    interim: tuple[int, ...] = ()

    def values(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for field, value in self.fields if field == name.lower()]

    def get(self, name: str) -> str | None:
        """The value of a field that may come once; None if it is missing."""
        values = self.values(name)
        if len(values) > 1:
            raise Violation(f"{name} came {len(values)} times")
        return values[0] if values else None

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise Violation(f"the answer {self.status} has no {name}")
        return value

    @property
    def text(self) -> str:
        """The content as UTF-8 text."""
        return self.body.decode()

    @property
    def refused(self) -> bool:
        """Whether this is a 4xx: the client's mistake, which is what it was."""
        return 400 <= self.status <= 499


class Connection:
    """One persistent connection, inside TLS if there is a context for it. Leaving its block closes it.

    Raises:
        Silence: nobody accepts it.
        ssl.SSLError: no TLS can be agreed on.
    """

    def __init__(
        self, address: Address, patience: float = PATIENCE, tls: ssl.SSLContext | None = None
    ) -> None:
        try:
            self._socket = socket.create_connection(address, timeout=patience)
        except TimeoutError:
            raise Silence("the server accepts no connection") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname=address[0])
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    # ── sending ─────────────────────────────────────────────────────────────────────────────────────────────
    def send(self, data: bytes) -> None:
        """Send `data`. A server that has refused already may have closed: its answer is what counts."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return
        except TimeoutError:
            raise Silence("the server stopped reading") from None

    def finish(self) -> None:
        """Say that nothing more will be sent (FIN), and keep listening."""
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_WR)  # TLS goes on in the other direction
        except OSError as error:  # the server was faster
            if error.errno is None:
                raise

    def reset(self) -> None:
        """Vanish (RST), as a client does whose machine lost its network."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Send one well-formed request and read its answer; the connection stays open."""
        self.send(request(method, target, headers, body))
        return self.read(method)

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────
    def read(self, method: str = "GET") -> Response:
        """Read one answer to `method`, after any interim ones.

        Raises:
            Closed, Silence: there is no complete answer.
            Violation: it is not framed as RFC 9112 says.
        """
        interim: list[int] = []
        while True:
            status, fields = self._head()
            if status >= 200:
                break
            interim.append(status)
        answer = Response(status, fields, b"", interim=tuple(interim))
        if method == "HEAD" or status in _NO_BODY:
            return answer
        lengths, codings = answer.values("Content-Length"), answer.values("Transfer-Encoding")
        if codings:
            if codings != ["chunked"] or lengths:
                raise Violation(f"Transfer-Encoding {codings} with Content-Length {lengths}")
            return Response(status, fields, self._chunks(), chunked=True, interim=tuple(interim))
        if len(lengths) > 1 or not all(re.fullmatch(r"[0-9]+", length) for length in lengths):
            raise Violation(f"Content-Length {lengths}")
        body = self._exactly(int(lengths[0])) if lengths else self._rest()
        return Response(status, fields, body, interim=tuple(interim))

    def read_interim(self) -> int:
        """Read one 1xx answer and give its status code."""
        status, _ = self._head()
        if status >= 200:
            raise Violation(f"{status} where an interim answer was expected")
        return status

    def read_head(self) -> Response:
        """Read only the head of an answer; whatever follows stays unread."""
        status, fields = self._head()
        return Response(status, fields, b"")

    def read_some(self, at_least: int) -> bytes:
        """Read raw bytes of content, `at_least` so many."""
        while len(self._buffer) < at_least:
            self._receive()
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def ended(self) -> bool:
        """Whether the server closes the connection now, having sent nothing more.

        Raises:
            Silence: it neither closes nor sends.
        """
        if self._buffer:
            return False
        try:
            self._receive()
        except Closed:
            return True
        return False

    def _receive(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except TimeoutError:
            raise Silence("the server sends nothing") from None
        except (ConnectionResetError, ssl.SSLError):  # an alert of TLS, or its end without a word
            raise Closed("the server cut the connection") from None
        if not data:
            raise Closed("the server closed the connection")
        self._buffer += data

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            self._receive()
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if not line.endswith(b"\r\n"):
            raise Violation("a line ends without CR")
        return line[:-2]

    def _head(self) -> tuple[int, tuple[tuple[str, str], ...]]:
        first = self._line()
        status = _STATUS_LINE.fullmatch(first)
        if status is None:
            raise Violation(f"not a status line: {first[:80]!r}")
        fields: list[tuple[str, str]] = []
        while line := self._line():
            field = _FIELD_LINE.fullmatch(line)
            if field is None:
                raise Violation(f"not a field line: {line[:80]!r}")
            fields.append((field[1].decode().lower(), field[2].decode("latin-1")))
        return int(status[1]), tuple(fields)

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _chunks(self) -> bytes:
        content = bytearray()
        while True:
            line = self._line()
            if _CHUNK_LINE.fullmatch(line) is None:
                raise Violation(f"not a chunk size: {line[:80]!r}")
            if not (size := int(line, 16)):
                break
            content += self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise Violation("a chunk is longer than it says")
        while self._line():
            pass
        return bytes(content)

    def _rest(self) -> bytes:
        while True:
            try:
                self._receive()
            except Closed:
                break
        data = bytes(self._buffer)
        self._buffer.clear()
        return data


def head(method: str, target: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The head of a request, exactly as given, in UTF-8; `Host` comes first unless `headers` has it."""
    fields = {"Host": "localhost", **(headers or {})}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def request(
    method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """A well-formed request; a body is announced by its length unless `headers` says otherwise."""
    fields = dict(headers or {})
    if body is not None and not {"Content-Length", "Transfer-Encoding"} & fields.keys():
        fields["Content-Length"] = str(len(body))
    return head(method, target, fields) + (body or b"")


def chunked(parts: Iterable[bytes], *, end: bytes = b"0\r\n\r\n") -> bytes:
    """`parts` in chunked coding (RFC 9112, 7.1); with `end=b""` the last chunk is missing."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + end
