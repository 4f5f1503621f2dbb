"""Fields in which a WebDAV client says how far a method reaches and what it may replace (RFC 4918, 10).

Pure. What it demands of a resource's state is in `davserver/sending/conditions.py` and `if_header.py`. Called
by the methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from wsgidav.dav_error import HTTP_BAD_REQUEST, DAVError


class Depth(Enum):
    """How far a method reaches (RFC 4918, 10.2)."""

    ZERO = "0"
    ONE = "1"
    INFINITY = "infinity"


def parse_depth(environ: Mapping[str, Any]) -> Depth:
    """The Depth field; a missing one means infinity for every method that we have.

    Raises:
        DAVError: 400 for anything else.
    """
    try:
        return Depth(environ.get("HTTP_DEPTH", "infinity").strip().lower())
    except ValueError:
        raise DAVError(HTTP_BAD_REQUEST, "Depth must be 0, 1 or infinity") from None


def parse_overwrite(environ: Mapping[str, Any]) -> bool:
    """The Overwrite field (RFC 4918, 10.6); a missing one means yes.

    Raises:
        DAVError: 400 for anything but T and F.
    """
    value = environ.get("HTTP_OVERWRITE", "T").strip().upper()
    if value not in {"T", "F"}:
        raise DAVError(HTTP_BAD_REQUEST, "Overwrite must be T or F")
    return bool(value == "T")
