"""Which addresses are safe to send a secret to."""

from __future__ import annotations

import pytest

from davserver.urls import is_private, origin


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://id.example/x", True),
        ("HTTPS://id.example", True),
        ("http://127.0.0.1:8080/", True),
        ("http://localhost", True),
        ("http://[::1]:1/", True),
        ("http://id.example/", False),
        ("http://localhost.example/", False),
        ("http://127.0.0.1@id.example/", False),
        ("https://", False),
        ("https:id.example", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_private_lines(url: str, *, private: bool) -> None:
    """TLS, or this machine; the host is what a client would connect to."""
    assert is_private(url) is private


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://drive.example/dav/x?y#z", "https://drive.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("https://user@drive.example/", ""),
        ("ftp://drive.example/", ""),
        ("drive.example", ""),
    ],
)
def test_origins(url: str, expected: str) -> None:
    """Scheme, host and port; an address with a name in it is none that we would go on with."""
    assert origin(url) == expected
