"""App passwords and recovery codes: made, read back from what people type, checked against what is stored.

It must never store or show a secret, nor take longer or shorter for a known than for an unknown app password.
Called by `accounts` and `keyring`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from davserver.crypto.primitives import constant_time_equal, hmac_sha256, random_bytes, sha256
from davserver.errors import AuthenticationError
from davserver.model import ID_BYTES, AccountId

PREFIX = "ew1"
ID_CHARS = 10
SECRET_CHARS = 32
CHECK_CHARS = 6
SECRET_BYTES = 20
MAX_INPUT_CHARS = 128
"""Longer input is refused unread; a token with a separator behind every character still fits."""

RECOVERY_BYTES = 15
"""120 random bits: more than the 112 from which on a keyed hash needs no slow one below it."""
RECOVERY_CHARS = 24
RECOVERY_GROUP = 4
"""Characters between two hyphens of a recovery code as it is shown."""

_CHAR_BITS = 5
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u
_READ_AS = str.maketrans({"-": None, " ": None, "i": "1", "l": "1", "o": "0"})
_TO_BASE_32 = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")  # the digits that `int` knows
_RECOVERY_SHAPE = re.compile(f"[{_ALPHABET}]{{{RECOVERY_CHARS}}}")
_BEGINNING = re.compile(f"{PREFIX}([{_ALPHABET}]{{{ID_CHARS}}})")
_SHAPE = re.compile(f"{PREFIX}(([{_ALPHABET}]{{{ID_CHARS}}})([{_ALPHABET}]{{{SECRET_CHARS}}}))(.*)")

_CHECK_DOMAIN = b"EWD1/apppw/check"
_VERIFY_DOMAIN = b"EWD1/apppw/verify"
_RECOVERY_DOMAIN = b"EWD1/recovery/verify"
_NOBODY = AccountId(bytes(ID_BYTES))


@dataclass(frozen=True, slots=True, eq=False)
class AppToken:
    """An app password in parts.

    Attributes:
        id: 10 characters of Crockford base32 in lower case; public, names the row.
        secret: 20 random bytes.
    """

    id: str
    secret: bytes = field(repr=False)

    def text(self) -> str:
        """What the person copies: `ew1-` and 48 characters."""
        body = self.id + _to_chars(self.secret)
        return f"{PREFIX}-{body}{_check_chars(body)}"


def mint() -> AppToken:
    """A new app password: 50 random bits of id and 160 of secret."""
    return AppToken(_to_chars(random_bytes(10))[:ID_CHARS], random_bytes(SECRET_BYTES))


def parse(text: str) -> AppToken:
    """Read an app password as people and programs hand it in.

    Case, surrounding white space, spaces and hyphens do not matter; i and l are read as 1, o as 0.

    Raises:
        AuthenticationError: not an app password, or mistyped.
    """
    found = _SHAPE.fullmatch(_forgiven(text))
    if found is None:
        raise AuthenticationError("this is not an app password")
    body, id_, secret, check = found.groups()
    if check != _check_chars(body):  # Not a secret of ours: whoever sent the body can compute it.
        raise AuthenticationError("the app password is mistyped")
    return AppToken(id_, _from_chars(secret, SECRET_BYTES))


def id_in(text: str) -> str | None:
    """The id in what begins like an app password, such as one that was cut off; None if it does not."""
    found = _BEGINNING.match(_forgiven(text))
    return None if found is None else found[1]


def verifier(pepper: bytes, account_id: AccountId, token: AppToken) -> bytes:
    """What is stored in place of the secret: 32 bytes, bound to account and id, no use without the pepper."""
    return hmac_sha256(pepper, _VERIFY_DOMAIN + account_id + token.id.encode() + token.secret)


def verify(pepper: bytes, account_id: AccountId, token: AppToken, expected: bytes) -> bool:
    """Whether the secret is the one that `expected` was made from."""
    return constant_time_equal(verifier(pepper, account_id, token), expected)


def verify_unknown(pepper: bytes, token: AppToken) -> bool:
    """For an id that has no row: the work of `verify`, and always False."""
    verify(pepper, _NOBODY, token, bytes(32))
    return False


def mint_recovery_code() -> bytes:
    """A new recovery code: 120 random bits."""
    return random_bytes(RECOVERY_BYTES)


def recovery_text(code: bytes) -> str:
    """What the person keeps: 24 characters in groups of four."""
    chars = _to_chars(code)
    return "-".join(chars[at : at + RECOVERY_GROUP] for at in range(0, RECOVERY_CHARS, RECOVERY_GROUP))


def parse_recovery_code(text: str) -> bytes:
    """Read a recovery code as people type it, as forgiving as `parse`.

    Raises:
        AuthenticationError: not a recovery code.
    """
    plain = _forgiven(text)
    if not _RECOVERY_SHAPE.fullmatch(plain):
        raise AuthenticationError("a recovery code has %(count)s letters and digits", count=RECOVERY_CHARS)
    return _from_chars(plain, RECOVERY_BYTES)


def recovery_verifier(pepper: bytes, account_id: AccountId, code: bytes) -> bytes:
    """What is stored in place of a recovery code: 32 bytes, bound to the account."""
    return hmac_sha256(pepper, _RECOVERY_DOMAIN + account_id + code)


def _forgiven(text: str) -> str:
    """The characters that are meant; nothing for what is far too long or not ASCII."""
    plain = text.strip()
    if len(plain) > MAX_INPUT_CHARS or not plain.isascii():
        return ""
    return plain.lower().translate(_READ_AS)


def _check_chars(body: str) -> str:
    """The first 30 bits of a hash: one mistyped token in 2^30 gets past them."""
    return _to_chars(sha256(_CHECK_DOMAIN + body.encode())[:5])[:CHECK_CHARS]


def _to_chars(value: bytes) -> str:
    """Crockford base32 of a multiple of five bytes."""
    bits = int.from_bytes(value, "big")
    shifts = range(len(value) * 8 - _CHAR_BITS, -1, -_CHAR_BITS)
    return "".join([_ALPHABET[bits >> shift & 31] for shift in shifts])


def _from_chars(chars: str, length: int) -> bytes:
    """The bytes that `_to_chars` wrote."""
    return int(chars.translate(_TO_BASE_32), 32).to_bytes(length, "big")
