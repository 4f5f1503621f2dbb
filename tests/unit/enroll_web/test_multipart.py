"""Forms with files, read to the letter, wherever the blocks of the connection end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.errors import UploadRefused
from enroll_web import multipart
from enroll_web.multipart import Form

MARK = "mark"
contents = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"\r", b"\n", b"-", b"\r\n--mar", b"\r\n--", b"mark", b"x"]), max_size=30).map(
        b"".join
    ),
)
"""Anything, and what looks like a boundary."""


def read(body: bytes, step: int = 1 << 20) -> list[tuple[str, str | None, bytes]]:
    """All parts of a form that arrives `step` bytes at a time."""
    at = 0

    def fill(buffer: memoryview) -> int:
        nonlocal at
        block = body[at : at + min(step, len(buffer))]
        buffer[: len(block)] = block
        at += len(block)
        return len(block)

    return [
        (part.name, part.filename, b"".join(map(bytes, part.blocks()))) for part in Form(fill, MARK).parts()
    ]


def written(*parts: tuple[str, str | None, bytes]) -> bytes:
    """A form as browsers write it."""
    body = b""
    for name, filename, content in parts:
        file = "" if filename is None else f'; filename="{filename}"\r\nContent-Type: text/plain'
        head = f'--{MARK}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + f"--{MARK}--\r\n".encode()


@given(
    st.lists(
        st.tuples(st.sampled_from(["csrf", "files"]), st.sampled_from([None, "", "a.txt", "ü"]), contents),
        max_size=4,
    ),
    st.integers(1, 40),
    st.integers(30, 600),
)
def test_whatever_is_sent_arrives(parts: list[tuple[str, str | None, bytes]], step: int, buffer: int) -> None:
    """Any content, any blocks, any buffer: the same bytes, in the same order."""
    parts = [part for part in parts if b"\r\n--mark" not in b"\r\n" + part[2]]
    before = multipart.BUFFER_BYTES
    multipart.BUFFER_BYTES = buffer
    try:
        heads = max((len(written(part)) for part in parts), default=0)
        if heads < buffer:
            assert read(written(*parts), step) == parts
    finally:
        multipart.BUFFER_BYTES = before


def test_names_are_unescaped() -> None:
    """HTML, 4.10.21.8: three characters, and nothing else; a backslash is one."""
    ((_, name, _),) = read(written(("f", "a%22b%0D%0Ac%2Fd\\", b"")))
    assert name == 'a"b\r\nc%2Fd\\'


@given(st.integers(0, 200))
def test_a_form_that_is_cut(length: int) -> None:
    """Wherever it ends early, that is an error, and no part is taken for a whole one."""
    body = written(("csrf", None, b"token"), ("files", "a", b"content"))
    whole = len(body) - 2  # the last line break is nobody's
    if length >= whole:
        return
    with pytest.raises(UploadRefused):
        read(body[:length])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"preamble\r\n--mark\r\n",
        b"--other\r\n\r\n",
        b'--mark\nContent-Disposition: form-data; name="a"\n\nx\n--mark--',
        b"--mark\r\n\r\nno name\r\n--mark--\r\n",
        b"--mark\r\nContent-Disposition: form-data\r\n\r\n\r\n--mark--\r\n",
        b'--mark\r\nContent-Disposition: attachment; name="a"\r\n\r\n\r\n--mark--\r\n',
        b'--mark\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--markmark--\r\n',
        b'--mark\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--mark--\r\n',
        b"--mark\r\nX: " + b"x" * 9000 + b"\r\n\r\n\r\n--mark--\r\n",
    ],
)
def test_what_no_browser_writes(body: bytes) -> None:
    """It is refused, not guessed at."""
    with pytest.raises(UploadRefused):
        read(body)


@pytest.mark.parametrize("boundary", ["", "x" * 71])
def test_a_boundary_that_is_none(boundary: str) -> None:
    """RFC 2046: 1 to 70 characters."""
    with pytest.raises(UploadRefused):
        Form(lambda _: 0, boundary)


def test_a_field_is_short_and_text() -> None:
    """Only files may be long, or other than UTF-8."""
    for content in (b"x" * 5000, b"\xff"):
        body = written(("taken", None, content))
        blocks = iter([body])

        def fill(buffer: memoryview, blocks: object = blocks) -> int:
            block = next(blocks, b"")  # type: ignore[call-overload]
            buffer[: len(block)] = block
            return len(block)

        with pytest.raises(UploadRefused):
            next(Form(fill, MARK).parts()).text()
