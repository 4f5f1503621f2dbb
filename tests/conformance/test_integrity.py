"""Damage and shortage in storage are seen by the client, and never as other content. T14, T15."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.conformance.client import Client
from tests.conformance.http import Closed, Connection, chunked, head
from tests.conformance.multistatus import DAV
from tests.conformance.ours import OurServer

CONTENT = hashlib.shake_128(b"content").digest(2_500_000)
"""39 chunks in a blob of its own."""


@pytest.fixture
def blob(ours: OurServer, dav: Client) -> Path:
    """The encrypted file behind `file`, whose content is `CONTENT`."""
    before = ours.blob_files()
    dav.made("file", CONTENT)
    (path,) = ours.blob_files() - before
    path.chmod(0o600)
    return path


def _flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def _until_cut(connection: Connection) -> bytes:
    """What arrives before the connection is closed, or the whole content."""
    received = bytearray()
    try:
        while len(received) < len(CONTENT):
            received += connection.read_some(1)
    except Closed:
        pass
    return bytes(received)


def _status_of_get(dav: Client) -> int | None:
    """The status of a complete answer; None if the connection was cut."""
    try:
        return dav.get("file").status
    except Closed:
        return None


@pytest.mark.parametrize("offset", [0, 40, 200, 40_000], ids=["magic", "header", "beginning", "first chunk"])
def test_damage_at_the_beginning_is_500(dav: Client, blob: Path, offset: int) -> None:
    """T14: before the first byte is sent, the answer is a 5xx; HEAD, which reads no content, goes on."""
    _flip(blob, offset)
    answer = dav.get("file")
    assert answer.status == 500
    assert CONTENT[:16] not in answer.body
    assert dav.head("file")["Content-Length"] == str(len(CONTENT))


@pytest.mark.parametrize("where", [0.5, 0.9, 1])
def test_damage_further_on_cuts_the_connection(dav: Client, blob: Path, where: float) -> None:
    """T14: a client that was promised the file never gets a whole one; what it gets before is right."""
    _flip(blob, int((blob.stat().st_size - 1) * where))
    with dav.connect() as connection:
        connection.send(head("GET", dav.at("file"), dav.headers))
        answer = connection.read_head()
        assert (answer.status, answer["Content-Length"]) == (200, str(len(CONTENT)))
        received = _until_cut(connection)
    assert len(received) < len(CONTENT)
    assert CONTENT.startswith(received)


def test_damage_does_not_concern_other_parts(dav: Client, blob: Path) -> None:
    """T14: a range opens only the chunks that it needs; one that needs the damaged chunk is a 500."""
    _flip(blob, blob.stat().st_size - 1)
    assert dav.get("file", {"Range": "bytes=0-999999"}).body == CONTENT[:1_000_000]
    assert dav.get("file", {"Range": "bytes=-1"}).status == 500


@pytest.mark.parametrize("size", [0, 10, 100_000, -1])
def test_shortened_blob_is_never_a_shorter_file(dav: Client, blob: Path, size: int) -> None:
    """T14: truncation is damage like any other."""
    data = blob.read_bytes()
    blob.write_bytes(data[:size])
    assert _status_of_get(dav) in {500, None}
    blob.write_bytes(data)
    assert dav.get("file").body == CONTENT


def test_missing_blob_is_500(dav: Client, blob: Path) -> None:
    """T14: so is a blob that is gone; the file can be replaced, and is whole then."""
    blob.unlink()
    assert dav.get("file").status == 500
    assert dav.put("file", b"again").status == 204
    assert dav.get("file").body == b"again"


def test_blob_of_another_file_is_500(ours: OurServer, dav: Client, blob: Path) -> None:
    """T14: somebody swaps two encrypted files of the same length: neither is served."""
    before = ours.blob_files()
    dav.made("other", CONTENT[::-1])
    (other,) = ours.blob_files() - before
    other.chmod(0o600)
    one, two = blob.read_bytes(), other.read_bytes()
    blob.write_bytes(two)
    other.write_bytes(one)
    for name in ("file", "other"):
        assert dav.get(name).status == 500


# ── quota ───────────────────────────────────────────────────────────────────────────────────────────────────
QUOTA = 1_000_000


def test_full_account_is_507(ours: OurServer) -> None:
    """T15, RFC 4331, 6: 507 with quota-not-exceeded for a new file, a longer one and a copy."""
    client = ours.new_account(quota=QUOTA).client
    client.made("file", bytes(600_000))
    for answer in (client.put("more", bytes(400_001)), client.put("file", bytes(1_000_001))):
        assert answer.status == 507
        assert b"quota-not-exceeded" in answer.body
    assert client.copy("file", "copy").status == 507
    assert client.tree() == {"file": bytes(600_000)}


def test_quota_is_exact(ours: OurServer) -> None:
    """T15: the last byte fits; what is replaced makes room at the same moment."""
    client = ours.new_account(quota=QUOTA).client
    client.made("file", bytes(QUOTA))
    assert client.property("", f"{DAV}quota-available-bytes") == "0"
    assert client.put("more", b"x").status == 507
    assert client.put("empty", b"").status == 201
    assert client.put("file", bytes([1]) * QUOTA).status == 204
    assert client.delete("file").status == 204
    assert client.put("more", bytes(QUOTA)).status == 201


def test_announced_length_is_refused_before_it_comes(ours: OurServer) -> None:
    """T15: 507 before the body is asked for."""
    client = ours.new_account(quota=QUOTA).client
    fields = {**client.headers, "Expect": "100-continue", "Content-Length": str(QUOTA + 1)}
    with client.connect() as connection:
        connection.send(head("PUT", client.at("file"), fields))
        answer = connection.read("PUT")
        assert (answer.status, answer.interim) == (507, ())


def test_length_that_was_not_announced_is_507_too(ours: OurServer) -> None:
    """T15: in the middle of chunks; nothing of it stays, on disk neither."""
    client = ours.new_account(quota=QUOTA).client
    before = ours.blob_files()
    body = chunked([bytes(100_000)] * 11)
    assert client.put("file", body, {"Transfer-Encoding": "chunked"}).status == 507
    assert client.tree() == {}
    assert ours.blob_files() == before
    assert client.property("", f"{DAV}quota-used-bytes") == "0"


def test_aborted_upload_leaves_no_blob(ours: OurServer, dav: Client) -> None:
    """T11: a body that ends early is gone from the disk as well when the refusal has been sent."""
    before = ours.blob_files()
    with dav.connect() as connection:
        connection.send(head("PUT", dav.at("file"), {**dav.headers, "Content-Length": "3000000"}) + CONTENT)
        connection.finish()
        assert connection.read("PUT").status == 400
    assert ours.blob_files() == before
