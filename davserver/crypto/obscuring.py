"""The password in a configuration file of rclone, in the form that rclone expects there.

No encryption: the key is the same everywhere and public, so it keeps a password from eyes that pass by and
from nobody else. No part of the encrypted format. Called by `accounts/programs`.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode

from davserver.crypto.primitives import aes_ctr, random_bytes

RCLONE_KEY = bytes.fromhex("9c935b48730a554d6bfd7c63c886a92bd390198eb8128afbf4de162b8b95f638")
"""What every rclone uses (rclone, fs/config/obscure)."""

COUNTER_BYTES = 16


def obscured(password: str) -> str:
    """As `rclone obscure` writes it: a random counter and the text, in base64 for addresses (RFC 4648, 5)."""
    counter = random_bytes(COUNTER_BYTES)
    whole = counter + aes_ctr(RCLONE_KEY, counter, password.encode())
    return urlsafe_b64encode(whole).decode().rstrip("=")
