"""Secrets that a browser brings back, in a cookie or a link, and what is sealed under the one in the cookie.

It must never store or show such a secret: rows hold its keyed hash. Called by `accounts`.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from davserver.crypto.keys import Label, derive
from davserver.crypto.primitives import AesSiv, InvalidTag, random_bytes
from davserver.errors import AuthenticationError, CorruptRow

SECRET_BYTES = 32
"""256 random bits."""

_SHAPE = re.compile(r"[A-Za-z0-9_-]{43}")


def mint() -> bytes:
    """A new secret."""
    return random_bytes(SECRET_BYTES)


def to_text(value: bytes) -> str:
    """Bytes for a cookie, a link or a form: base64url (RFC 4648, 5) without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def parse(text: str) -> bytes:
    """Read what `to_text` made of a secret.

    Raises:
        AuthenticationError: it is no secret.
    """
    if not _SHAPE.fullmatch(text):
        raise AuthenticationError("this is no session or link of this server")
    try:
        return urlsafe_b64decode(text + "=")
    except binascii.Error:
        raise AuthenticationError("this is no session or link of this server") from None


def seal(secret: bytes, plain: bytes) -> bytes:
    """Encrypt what the pages remember: only the browser that has `secret` brings it to light again."""
    return _cipher(secret).encrypt(plain, [])


def unseal(secret: bytes, sealed: bytes) -> bytes:
    """Decrypt what `seal` made.

    Raises:
        CorruptRow: altered, or sealed under another secret.
    """
    try:
        return _cipher(secret).decrypt(sealed, [])
    except (InvalidTag, TypeError):
        raise CorruptRow("what a session remembers was altered") from None


def _cipher(secret: bytes) -> AesSiv:
    return AesSiv(derive(secret, Label.SESSION_DATA, AesSiv.KEY_BYTES))
