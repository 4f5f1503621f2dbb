"""What an address of the web tells before anything is sent there. Pure. Used by `settings` and `identity`."""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts that are this machine."""


def is_private(url: str) -> bool:
    """Whether nobody else can read what is sent there: https, or this machine."""
    address = urlsplit(url)
    return bool(address.hostname) and (address.scheme == "https" or address.hostname in LOOPBACK)


def origin(url: str) -> str:
    """Scheme, host and port of an absolute http or https address; "" if it is none."""
    address = urlsplit(url)
    if address.scheme not in {"http", "https"} or not address.hostname or "@" in address.netloc:
        return ""
    return f"{address.scheme}://{address.netloc}"
