"""The head of a request: bytes in, a validated `Head` out, or the status to refuse it with. Pure.

It must never guess: whatever two parsers could read in two ways is refused and the connection closed, so that
nothing can be smuggled past a proxy. Called by `connection`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

MAX_HEAD_BYTES = 16 * 1024
MAX_FIELDS = 100
MAX_TARGET_BYTES = 8 * 1024
MAX_METHOD_CHARS = 20

REMEMBERED = 256
"""Names of fields and hosts of which it is remembered what they are."""

# At most one of each may arrive; two would let two readers disagree.
_SINGLE = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "content-type", "content-range", "content-encoding"),
        *("authorization", "expect", "destination", "depth", "overwrite", "if", "range", "if-range"),
        *("if-modified-since", "if-unmodified-since", "timeout", "lock-token", "oc-checksum", "x-oc-mtime"),
    }
)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_REQUEST_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~\x80-\xff]+) HTTP/([0-9])\.([0-9])")
_LENGTH = re.compile(r"[0-9]{1,18}")
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.\-_~%!$&'()*+,;=]*)(?::[0-9]*)?")
# With a host that is not empty (RFC 9110, 4.2.1).
_ABSOLUTE = re.compile(r"https?://(?!:)([^/?]+)(.*)", re.IGNORECASE)


class Refused(Exception):
    """The request cannot be understood or is too large; the connection closes after `status`."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one request.

    Attributes:
        target: request target in origin form, or "*", not decoded (each character is one byte).
        path: the target's path, percent-decoded (each character is one byte).
        query: what follows the first "?", not decoded.
        http11: whether the client speaks HTTP/1.1; otherwise it is 1.0.
        fields: by name in lower case; repeated fields are joined as RFC 9110, 5.3 says.
        length: bytes of body that are announced; None if chunked.
        expects_continue: whether the client waits for "100 Continue" before it sends the body.
        keep_alive: whether the client wants to go on with this connection.
    """

    method: str
    target: str
    path: str
    query: str
    http11: bool
    fields: Mapping[str, str]
    length: int | None
    expects_continue: bool
    keep_alive: bool


def parse_head(head: bytes) -> Head:
    """Read the request line and the fields (RFC 9112, 3 and 5).

    Args:
        head: everything before the empty line, without it, lines ended by CR LF.

    Raises:
        Refused: with 400, 414, 417, 431 or 505.
    """
    line, *lines = head.decode("latin-1").split("\r\n")
    method, target, http11 = _request_line(line)
    fields = _fields(lines)
    target = _origin_form(method, target, fields, http11=http11)
    path, _, query = target.partition("?")
    options = _list(fields.get("connection", ""))
    return Head(
        method=method,
        target=target,
        path=unquote_to_bytes(path.encode("latin-1")).decode("latin-1") if "%" in path else path,
        query=query,
        http11=http11,
        fields=fields,
        length=_length(fields, http11=http11),
        expects_continue=_expects_continue(fields, http11=http11),
        keep_alive="close" not in options if http11 else "keep-alive" in options,
    )


@lru_cache(REMEMBERED)
def is_authority(text: str) -> bool:
    """Whether this is a host with or without a port, or nothing (RFC 9110, 7.2)."""
    return _AUTHORITY.fullmatch(text) is not None


def _bad(reason: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, reason)


def _request_line(line: str) -> tuple[str, str, bool]:
    match = _REQUEST_LINE.fullmatch(line)
    if not match or len(match[1]) > MAX_METHOD_CHARS:
        raise _bad("malformed request line")
    method, target, major, minor = match.groups()
    if len(target) > MAX_TARGET_BYTES:
        raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG, "the request target is too long")
    if major != "1":
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    return method, target, minor != "0"


def _fields(lines: list[str]) -> dict[str, str]:
    if len(lines) > MAX_FIELDS:
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many header fields")
    fields: dict[str, str] = {}
    for line in lines:
        key, text = parse_field(line)
        if "_" in key:
            continue  # in a WSGI environ it could not be told from the same name with "-"
        if key in fields:
            if key in _SINGLE:
                raise _bad("repeated header field")
            fields[key] += ("; " if key == "cookie" else ", ") + text
        else:
            fields[key] = text
    return fields


def parse_field(line: str) -> tuple[str, str]:
    """The name of a field in lower case, and its value (RFC 9112, 5).

    Raises:
        Refused: 400, it is none.
    """
    name, colon, value = line.partition(":")
    key = _key_of(name)
    if not colon or key is None or _CONTROL.search(value):
        raise _bad("malformed header field")
    return key, value.strip(" \t")


@lru_cache(REMEMBERED)
def _key_of(name: str) -> str | None:
    """The name of a field as it is looked up; None if it is none (RFC 9110, 5.1)."""
    return name.lower() if _TOKEN.fullmatch(name) else None


def _origin_form(method: str, target: str, fields: dict[str, str], *, http11: bool) -> str:
    """RFC 9112, 3.2: the absolute form is accepted, and its authority then replaces Host."""
    if http11 and "host" not in fields:
        raise _bad("the Host field is missing")
    if absolute := _ABSOLUTE.fullmatch(target):
        fields["host"] = absolute[1]
        target = absolute[2] if absolute[2].startswith("/") else "/" + absolute[2]
    if not is_authority(fields.get("host", "")):
        raise _bad("malformed Host field")
    if "#" in target or not (target.startswith("/") or (target == "*" and method == "OPTIONS")):
        raise _bad("malformed request target")
    return target


def _length(fields: Mapping[str, str], *, http11: bool) -> int | None:
    """How the body ends (RFC 9112, 6): None for chunked."""
    coding, length = fields.get("transfer-encoding"), fields.get("content-length")
    if coding is not None:
        if length is not None or not http11 or coding.lower() != "chunked":
            raise _bad("the length of the body is ambiguous")
        return None
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        raise _bad("malformed Content-Length")
    return int(length)


def _expects_continue(fields: Mapping[str, str], *, http11: bool) -> bool:
    expectation = fields.get("expect")
    if expectation is None:
        return False
    if expectation.lower() != "100-continue":
        raise Refused(HTTPStatus.EXPECTATION_FAILED, "unknown expectation")
    return http11


def _list(value: str) -> list[str]:
    return [item.strip().lower() for item in value.split(",")]
