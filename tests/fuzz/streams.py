"""Streams of requests for two readers to disagree on: mostly right, wrong in the places that matter.

The same seed gives the same streams, whenever and wherever.
"""

from __future__ import annotations

import random

METHODS = ("GET", "PUT", "POST", "PROPFIND", "DELETE", "MKCOL", "OPTIONS", "get", "M-SEARCH")
TARGETS = ("/", "/a%20b", "/dav/x?y=z", "http://a/b", "/%", "//", "/;a", "*", "a", "/a#b", "/" + "x" * 300)
VERSIONS = ("HTTP/1.1",) * 12 + (
    "HTTP/1.0",
    "HTTP/1.0",
    "HTTP/1.2",
    "HTTP/2.0",
    "HTTP/1.1 ",
    "http/1.1",
    "HTTP/11",
)
LENGTHS = (
    "+{}",
    "-{}",
    " {} ",
    "{}, {}",
    "0{}",
    "0x{}",
    "{}.0",
    "{}_",
    "\t{}",
    "{}\x0b",
    "",
    "{}a",
    "1{}" * 12,
)
CODINGS = ("chunked",) * 4 + (
    "Chunked",
    "gzip, chunked",
    "chunked, gzip",
    "identity",
    "chunked,",
    " chunked",
    "chunked\x0b",
    "x",
)
SIZES = (
    "{:x}",
    "{:X}",
    "0{:x}",
    "00000000{:x}",
    "0x{:x}",
    "+{:x}",
    "-{:x}",
    "{:x} ",
    " {:x}",
    "{:x};a=b",
    "{:x};",
    "{:x}\t;a",
)
ENDS = ("\r\n",) * 60 + ("\n", "\r", "\r\r\n", "\r\n ", "\r\n\t", "\n\r", "\x00\r\n")
EXTRAS = (
    *("X-A: b", "x: ", "X-A:b", "X-B:\t c \t", "Cookie: a=b", "Connection: close", "Connection: keep-alive"),
    *("Connection: x, Close", "Expect: 100-continue", "Upgrade: h2c", "Accept: */*", "X-Long: " + "y" * 500),
)
ODD_EXTRAS = (
    *(
        "X A: b",
        "X-A : b",
        ": b",
        "X-A",
        "X-A: \x00",
        "X-A: b\x7f",
        "X\x80: b",
        "X-A: \xe4",
        " X-A: b",
        "Content_Length: 9",
    ),
    *(
        "Host: b",
        "Host: a b",
        "Expect: x",
        "Transfer-Encoding : chunked",
        "Content-Length : 3",
        "X-A: a\rb",
        "(x): y",
    ),
)
BODY = "0123456789abcdefGET / HTTP/1.1\r\nHost: a\r\n\r\n"
"""What it is made of: a request that must never be done."""


class Streams:
    """Makes one stream after another."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def next(self) -> list[bytes]:
        """One stream, in the pieces in which it arrives."""
        stream = b"".join(self._request() for _ in range(self._random.choice((1, 1, 2, 3, 4))))
        if self._chance(0.3):
            stream = self._mutated(stream)
        if self._chance(0.1):
            stream = stream[: self._random.randrange(len(stream) + 1)]
        return self._cut(stream)

    def _request(self) -> bytes:
        pick, size = self._random.choice, self._random.choice((0, 0, 1, 5, 16, 40))
        body = (BODY * 2)[:size]
        fields, content = self._framing(body)
        fields += self._random.sample(EXTRAS, self._random.randrange(3))
        if self._chance(0.06):
            fields.append(pick(ODD_EXTRAS))
        if self._chance(0.97):
            fields.append("Host: a")
        self._random.shuffle(fields)
        target = pick(TARGETS) if self._chance(0.2) else "/"
        version = pick(VERSIONS) if self._chance(0.3) else "HTTP/1.1"
        lines = [f"{pick(METHODS)} {target} {version}", *fields, ""]
        return ("".join(line + self._end() for line in lines) + content).encode("latin-1")

    def _framing(self, body: str) -> tuple[list[str], str]:
        """Fields that say how long the body is, and the body as it is sent."""
        kind = self._random.random()
        if kind < 0.25:
            return [], ""
        if kind < 0.55:
            return [f"Content-Length: {self._length(len(body))}"], body
        if kind < 0.92:
            return [f"Transfer-Encoding: {self._coding()}"], self._chunked(body)
        if kind < 0.96:
            return [f"Content-Length: {len(body)}", f"Content-Length: {self._length(len(body))}"], body
        return [f"Content-Length: {len(body)}", f"Transfer-Encoding: {self._coding()}"], self._chunked(body)

    def _length(self, length: int) -> str:
        form = self._random.choice(LENGTHS) if self._chance(0.15) else "{}"
        return form.replace("{}", str(length))

    def _coding(self) -> str:
        return self._random.choice(CODINGS) if self._chance(0.2) else "chunked"

    def _chunked(self, body: str) -> str:
        content = ""
        while body:
            size = self._random.randrange(1, len(body) + 1)
            content += self._size(size) + self._end() + body[:size] + self._end()
            body = body[size:]
        trailers = "".join(
            line + self._end() for line in self._random.sample(EXTRAS[:3], self._random.choice((0, 0, 1)))
        )
        return content + self._size(0) + self._end() + trailers + self._end()

    def _size(self, size: int) -> str:
        return (self._random.choice(SIZES) if self._chance(0.1) else "{:x}").format(size)

    def _end(self) -> str:
        return self._random.choice(ENDS) if self._chance(0.05) else "\r\n"

    def _mutated(self, stream: bytes) -> bytes:
        """A few bytes changed, taken out, put in, or doubled."""
        data = bytearray(stream)
        for _ in range(self._random.choice((1, 1, 2, 4))):
            at = self._random.randrange(len(data) + 1)
            what = self._random.randrange(4)
            if what == 0 and at < len(data):
                data[at] = self._random.choice(b"\r\n\t :;,0\x00\x7f\x80xX-+")
            elif what == 1:
                del data[at : at + self._random.choice((1, 1, 2, 8))]
            elif what == 2:
                data[at:at] = self._random.choice(
                    (b"\r\n", b"\n", b" ", b"0", b"\r\n\r\n", b":", b"0\r\n\r\n")
                )
            else:
                data[at:at] = data[at : at + 12]
        return bytes(data)

    def _cut(self, stream: bytes) -> list[bytes]:
        places = sorted(
            self._random.randrange(len(stream) + 1) for _ in range(self._random.choice((0, 0, 1, 3)))
        )
        return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]

    def _chance(self, share: float) -> bool:
        return self._random.random() < share
