"""The body of a request: no byte too many, and a clear answer to whether some are left."""

from __future__ import annotations

import io

import pytest
from wsgidav.dav_error import DAVError

from davserver.dav.body import BLOCK_BYTES, MAX_XML_BYTES, RequestBody
from davserver.errors import LimitExceeded

NEXT = b"GET /next HTTP/1.1\r\n\r\n"


class Reader:
    """A `wsgi.input` that has nothing but what PEP 3333 promises."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        return self._data.read(size)


@pytest.mark.parametrize("source", [io.BytesIO, Reader])
@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
def test_sized_body_ends_at_its_length(source: type, size: int) -> None:
    """Exactly Content-Length bytes are read, whatever follows them on the connection."""
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    body = RequestBody({"wsgi.input": source(content + NEXT), "CONTENT_LENGTH": str(size)})
    assert body.unread is (size > 0)
    assert b"".join(map(bytes, body.blocks())) == content
    assert not body.unread


@pytest.mark.parametrize("source", [io.BytesIO, Reader])
def test_chunked_body_ends_with_its_input(source: type) -> None:
    """Without a length the server says where the end is."""
    content = bytes(BLOCK_BYTES + 5)
    body = RequestBody({"wsgi.input": source(content), "HTTP_TRANSFER_ENCODING": "chunked"})
    assert body.length is None
    assert body.expected
    assert b"".join(map(bytes, body.blocks())) == content
    assert not body.unread


def test_body_that_ends_early_stays_unread() -> None:
    """What is missing may still come: the connection must not be used again."""
    body = RequestBody({"wsgi.input": io.BytesIO(b"123"), "CONTENT_LENGTH": "10"})
    assert b"".join(map(bytes, body.blocks())) == b"123"
    assert body.unread


def test_request_without_a_length_has_no_body() -> None:
    """RFC 9112, 6.3: neither Content-Length nor Transfer-Encoding means no body."""
    body = RequestBody({"wsgi.input": io.BytesIO(NEXT)})
    assert not body.expected
    assert not body.unread
    assert list(body.blocks()) == []


@pytest.mark.parametrize("length", ["-1", "+5", "1_0", "5 ", "0x5", "\u0665", "\u00b2"])
def test_length_that_is_no_number_is_400(length: str) -> None:
    """T01: no such length is guessed."""
    with pytest.raises(DAVError) as caught:
        RequestBody({"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": length})
    assert caught.value.value == 400


def test_xml_is_read_up_to_its_limit() -> None:
    """T23: a document of the longest length is read."""
    body = RequestBody({"wsgi.input": io.BytesIO(bytes(MAX_XML_BYTES)), "CONTENT_LENGTH": str(MAX_XML_BYTES)})
    assert len(body.read_xml()) == MAX_XML_BYTES


def test_longer_xml_is_refused_unread() -> None:
    """T23: a longer one is refused by its announcement, before a byte is read."""
    source = io.BytesIO(bytes(MAX_XML_BYTES + 1))
    body = RequestBody({"wsgi.input": source, "CONTENT_LENGTH": str(MAX_XML_BYTES + 1)})
    with pytest.raises(LimitExceeded):
        body.read_xml()
    assert source.tell() == 0
    assert body.unread


def test_longer_chunked_xml_is_given_up() -> None:
    """T23: without an announcement no more than a block beyond the limit is read."""
    source = io.BytesIO(bytes(10 * BLOCK_BYTES))
    body = RequestBody({"wsgi.input": source, "HTTP_TRANSFER_ENCODING": "chunked"})
    with pytest.raises(LimitExceeded):
        body.read_xml()
    assert source.tell() <= MAX_XML_BYTES + BLOCK_BYTES
    assert body.unread
