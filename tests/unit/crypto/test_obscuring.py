"""Passwords as they stand in rclone's configuration."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import pytest

from davserver.crypto.obscuring import COUNTER_BYTES, RCLONE_KEY, obscured
from davserver.crypto.primitives import aes_ctr

BY_RCLONE = {
    "SVvYr3Zh0JOb188MjVdOLnRG0Cgzag": "secret",
    "nSegRp8COkhxrxD-s3zZdDsqgwa0EA": 'é x"$',
}
"""What `rclone obscure` has written, and what it was given."""


def revealed(text: str) -> str:
    """The password again."""
    whole = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return aes_ctr(RCLONE_KEY, whole[:COUNTER_BYTES], whole[COUNTER_BYTES:]).decode()


@pytest.mark.parametrize(
    "password", ["", "x", "ew1-0123456789000g40r40m30e209185gr38e1w8124gkecvewx", "é" * 100]
)
def test_it_can_be_read_back(password: str) -> None:
    """As rclone does it; no padding, and another text each time."""
    first, second = obscured(password), obscured(password)
    assert revealed(first) == revealed(second) == password
    assert first != second
    assert "=" not in first


@pytest.mark.parametrize("written", BY_RCLONE)
def test_it_is_what_rclone_writes(written: str) -> None:
    """Its key, and the place of its counter."""
    assert revealed(written) == BY_RCLONE[written]


def test_the_cipher_is_that_of_the_standard() -> None:
    """AES-256 in counter mode (NIST SP 800-38A, F.5.5, the first two blocks)."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    counter = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    sealed = "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
    assert aes_ctr(key, counter, plain).hex() == sealed
