"""Header fields that are in no RFC, and clients that need something of their own; each with its source.

A field that is not understood is refused, never taken for something else. Called by the methods.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from wsgidav.dav_error import HTTP_BAD_REQUEST, DAVError

from davserver.dav.body import RequestBody
from davserver.sending.conditions import NANOSECONDS
from davserver.vault.upload import CHECKSUMS

EARLIEST_NS, LATEST_NS = -(2**63), 2**63 - 1
"""Times are stored in 64 bits: the years 1677 to 2262."""

_SECONDS = re.compile(r"-?\d{1,12}(\.\d{1,9})?", re.ASCII)
_CHECKSUM = re.compile(r"([A-Za-z0-9-]{1,20}):((?:[0-9A-Fa-f]{2}){1,64})")

MINI_REDIRECTOR = "Microsoft-WebDAV-MiniRedir"
"""Windows' own client, which refuses listings above 1,000,000 bytes (its FileAttributesLimitInBytes)."""


@dataclass(frozen=True, slots=True)
class Times:
    """Times that a client wants a file to bear, in nanoseconds since the epoch.

    ownCloud's X-OC-Mtime and Nextcloud's X-OC-CTime; rclone sends the first with PUT, COPY and MOVE and looks
    for the acknowledgement after the latter two (backend/webdav/webdav.go, `copyOrMove`).
    """

    modified_ns: int | None = None
    created_ns: int | None = None

    @property
    def acknowledgements(self) -> list[tuple[str, str]]:
        """Header fields that tell the client that its times were kept."""
        given = (("X-OC-Mtime", self.modified_ns), ("X-OC-CTime", self.created_ns))
        return [(name, "accepted") for name, value in given if value is not None]


def times_of(environ: Mapping[str, Any]) -> Times:
    """The times of a request.

    Raises:
        DAVError: 400 if one is not a number of seconds.
    """
    modified, created = environ.get("HTTP_X_OC_MTIME"), environ.get("HTTP_X_OC_CTIME")
    return Times(
        None if modified is None else seconds_to_ns(modified),
        None if created is None else seconds_to_ns(created),
    )


def seconds_to_ns(text: str) -> int:
    """Read Unix time in seconds, whole or with a fraction.

    Raises:
        DAVError: 400 if it is none, or too far away to be stored.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        nanoseconds = int(Decimal(text) * NANOSECONDS)
        if EARLIEST_NS <= nanoseconds <= LATEST_NS:
            return nanoseconds
    raise DAVError(HTTP_BAD_REQUEST, "a time must be given in seconds since 1970")


def checksums_of(environ: Mapping[str, Any]) -> dict[str, bytes]:
    """Digests of ownCloud's OC-Checksum ("SHA1:<hex> MD5:<hex>") that the content must have, by name.

    Algorithms that we do not know (ADLER32) are passed over: they were announced, but cannot be judged.

    Raises:
        DAVError: 400 if the field is malformed.
    """
    digests: dict[str, bytes] = {}
    for item in environ.get("HTTP_OC_CHECKSUM", "").split():
        match = _CHECKSUM.fullmatch(item)
        if match is None:
            raise DAVError(HTTP_BAD_REQUEST, "OC-Checksum must be NAME:HEX")
        name, digest = match[1].upper(), bytes.fromhex(match[2])
        if name in CHECKSUMS:
            if len(digest) != CHECKSUMS[name](usedforsecurity=False).digest_size:
                raise DAVError(HTTP_BAD_REQUEST, "OC-Checksum has the wrong length")
            digests[name] = digest
    return digests


def announced_size(environ: Mapping[str, Any], body: RequestBody) -> int | None:
    """Length of an upload in bytes; None if nobody said it.

    Finder sends chunked bodies with X-Expected-Entity-Length.

    Raises:
        DAVError: 400 if that is no number, or not the length that Content-Length says.
    """
    expected = environ.get("HTTP_X_EXPECTED_ENTITY_LENGTH")
    if expected is None:
        return body.length
    if not (expected.isascii() and expected.isdigit() and len(expected) <= len(str(LATEST_NS))):
        raise DAVError(HTTP_BAD_REQUEST, "X-Expected-Entity-Length must be a number")
    if body.length not in {None, int(expected)}:
        raise DAVError(HTTP_BAD_REQUEST, "X-Expected-Entity-Length is not Content-Length")
    return int(expected)


def wants_minimal(environ: Mapping[str, Any]) -> bool:
    """Whether properties that do not exist are to be left out of a listing.

    `Prefer: return=minimal` (RFC 8144), the older `Brief: t`, and Windows, where listings can be too long.
    """
    preferences = environ.get("HTTP_PREFER", "").lower().replace(" ", "").split(",")
    return (
        any(each.partition(";")[0] == "return=minimal" for each in preferences)
        or environ.get("HTTP_BRIEF", "").strip().lower() == "t"
        or environ.get("HTTP_USER_AGENT", "").startswith(MINI_REDIRECTOR)
    )
