"""What a browser is told about a file (T36)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.sending.media import browser_headers, content_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "text/plain"),
        ("a.HTML", "text/html"),
        ("a.svg", "image/svg+xml"),
        ("a.tar.gz", "application/gzip"),
        ("a.svgz", "application/gzip"),
        ("a.unknown", "application/octet-stream"),
        ("README", "application/octet-stream"),
        ("a.", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
        ("data:text/html,x.txt", "text/plain"),
    ],
)
def test_type_follows_the_ending(name: str, expected: str) -> None:
    """Only the ending counts; a name that looks like a URL is none."""
    assert content_type(name) == expected


@given(st.text(max_size=30))
def test_no_name_breaks_a_header(name: str) -> None:
    """Whatever a file is called, what is said about it is one line of ASCII."""
    name = name.encode(errors="ignore").decode()
    lines = [content_type(name), *(value for _, value in browser_headers(name, "text/html"))]
    assert all(line.isascii() and line.isprintable() for line in lines)


@pytest.mark.parametrize(
    "name", ["a.html", "a.svg", "a.xml", "a.xhtml", "a.js", "a", "a.svgz", "a.swf", "a.pdf", "a.PDF"]
)
def test_what_could_run_is_only_stored(name: str) -> None:
    """T36: everything outside of a short list is an attachment, and nothing is guessed from the content."""
    headers = dict(browser_headers(name, content_type(name)))
    assert headers["Content-Disposition"].startswith("attachment;")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.txt"])
def test_what_cannot_run_is_shown_in_a_sandbox(name: str) -> None:
    """T36: the list; sandboxed all the same."""
    headers = dict(browser_headers(name, content_type(name)))
    assert "Content-Disposition" not in headers
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_name_of_an_attachment_is_encoded() -> None:
    """RFC 8187: quotes, semicolons and non-ASCII cannot end the parameter."""
    headers = dict(browser_headers('a"; x=ü.html', "text/html"))
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%22%3B%20x%3D%C3%BC.html"
