"""`davserver.serving.reader`: a body ends where it said it would, or raises."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.errors import DavserverError, LengthMismatch, LimitExceeded, StorageUnavailable
from davserver.serving import reader, wire
from davserver.serving.head import MAX_HEAD_BYTES, Refused
from davserver.serving.reader import Body, ChunkedBody, Disconnected, SizedBody, SocketReader
from davserver.serving.wire import Pace, Wire


@dataclass
class Peer:
    """The other end of a connection, and our reader of this one."""

    far: socket.socket
    near: socket.socket
    aborting: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.wire = Wire(self.near)
        self.reader = SocketReader(self.wire, self.aborting)
        self.asked = 0

    def send(self, data: bytes) -> None:
        """Let `data` arrive, all at once."""
        self.far.sendall(data)

    def finish(self) -> None:
        """Send no more."""
        self.far.shutdown(socket.SHUT_WR)

    def sized(self, length: int) -> SizedBody:
        """A body of a known length."""
        return SizedBody(self.reader, self._ask, length)

    def chunked(self) -> ChunkedBody:
        """A body in chunks."""
        return ChunkedBody(self.reader, self._ask)

    def _ask(self) -> None:
        self.asked += 1

    def close(self) -> None:
        """Close both ends."""
        self.far.close()
        self.near.close()


def make_peer() -> Peer:
    """Two connected sockets, with little patience."""
    far, near = socket.socketpair()
    near.settimeout(5)
    return Peer(far, near)


@pytest.fixture
def peer() -> Iterator[Peer]:
    """See `make_peer`."""
    peer = make_peer()
    yield peer
    peer.close()


def read_chunked(data: bytes, *, block: int = 1 << 16) -> bytes:
    """What a chunked body of these bytes, followed by the end of the connection, holds."""
    peer = make_peer()
    try:
        peer.send(data)
        peer.finish()
        return drained(peer.chunked(), block)
    finally:
        peer.close()


def drained(body: Body, block: int = 1 << 16) -> bytes:
    """The whole body, read in blocks."""
    content = bytearray()
    view = memoryview(bytearray(block))
    while count := body.readinto(view):
        content += view[:count]
    return bytes(content)


# ── heads
def test_heads_are_cut_out_of_the_stream(peer: Peer) -> None:
    """Two requests that arrive together are two heads; what is incomplete waits without blocking."""
    peer.send(b"\r\nA\r\nB\r\n\r\nC\r\n\r\nD")
    assert peer.reader.next_head() == b"A\r\nB"
    assert peer.reader.has_data()
    assert peer.reader.next_head() == b"C"
    assert peer.reader.has_data()
    assert peer.reader.next_head() is None
    assert not peer.reader.has_data()
    assert peer.reader.has_partial_head


@pytest.mark.parametrize("data", [b"A\nB\r\n\r\n", b"A\n\n", b"A\r\nB\nC"])
def test_bare_line_feeds_are_refused_at_once(peer: Peer, data: bytes) -> None:
    """RFC 9112, 2.2 would let us accept them; a proxy may not, and the two would disagree."""
    peer.send(data)
    with pytest.raises(Refused):
        peer.reader.next_head()


def test_an_endless_head_is_refused(peer: Peer) -> None:
    """Memory for a head is bounded, whether or not its end ever comes."""
    peer.send(b"A" * (MAX_HEAD_BYTES + 1))
    with pytest.raises(Refused):
        peer.reader.next_head()


def test_the_end_between_requests_is_told(peer: Peer) -> None:
    """A client may leave when it likes."""
    peer.finish()
    with pytest.raises(Disconnected):
        peer.reader.next_head()


# ── bodies of a known length
def test_a_sized_body_takes_no_byte_of_the_next_request(peer: Peer) -> None:
    """What follows the body is the next head."""
    peer.send(b"12345NEXT\r\n\r\n")
    body = peer.sized(5)
    assert drained(body, 4) == b"12345"
    assert (body.remaining, body.received, body.failed, peer.asked) == (0, 5, False, 1)
    assert peer.reader.next_head() == b"NEXT"


def test_an_empty_body_asks_for_nothing(peer: Peer) -> None:
    """No 100 Continue for nothing, and no waiting."""
    assert peer.sized(0).read() == b""
    assert peer.asked == 0


@pytest.mark.parametrize("sent", [0, 1, 4])
def test_a_sized_body_that_ends_early_raises(peer: Peer, sent: int) -> None:
    """An end of the connection is never the end of the body."""
    peer.send(b"x" * sent)
    peer.finish()
    body = peer.sized(5)
    with pytest.raises(LengthMismatch):
        drained(body)
    assert body.failed


def test_a_stalled_body_raises(peer: Peer) -> None:
    """The socket's patience bounds the silence between two pieces."""
    peer.wire.timeout = 0.01
    with pytest.raises(LengthMismatch):
        peer.sized(5).read()


def test_a_crawling_body_raises(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then must not hold a thread for ever: time spent waiting is weighed against bytes."""
    monkeypatch.setattr(wire, "GRACE_SECONDS", 0)
    monkeypatch.setattr(wire, "BYTES_PER_SECOND", 1e12)
    body = peer.sized(5)
    peer.send(b"1")
    assert body.read(1) == b"1"
    threading.Timer(0.02, peer.send, [b"2"]).start()
    with pytest.raises(LengthMismatch):
        body.read(1)


@pytest.mark.parametrize(
    ("moved", "waited", "slow"),
    [(0, 30.0, False), (0, 30.5, True), (10_240, 39.9, False), (10_240, 40.1, True), (1 << 40, 1e6, False)],
)
def test_the_pace_that_is_too_slow(moved: int, waited: float, slow: bool) -> None:  # noqa: FBT001
    """T07: less than 1 KiB for each second beyond the first thirty that were spent waiting."""
    pace = Pace()
    pace.moved, pace.waited = moved, waited
    assert pace.is_too_slow is slow
    pace.begin()
    assert not pace.is_too_slow


def test_when_the_server_aborts_reading_raises(peer: Peer) -> None:
    """Data that has arrived in the socket is not taken either: the request is over."""
    peer.send(b"12345")
    peer.aborting.set()
    with pytest.raises(StorageUnavailable):
        peer.sized(5).read()


def test_an_abort_while_waiting_is_not_an_end(peer: Peer) -> None:
    """The socket is shut under the reader: that reads as the end of the stream, but must not pass for one."""
    body = peer.sized(5)
    peer.send(b"12")
    view = memoryview(bytearray(1 << 20))
    assert body.readinto(view) == 2
    peer.aborting.set()
    peer.near.shutdown(socket.SHUT_RDWR)
    with pytest.raises(StorageUnavailable):
        body.readinto(view)


def test_read_gives_as_much_as_asked(peer: Peer) -> None:
    """PEP 3333: like a file, short only at the end."""
    peer.send(b"0123456789")
    body = peer.sized(10)
    assert [body.read(4), body.read(0), body.read(4), body.read(4), body.read(4)] == [
        b"0123",
        b"",
        b"4567",
        b"89",
        b"",
    ]


def test_lines_can_be_read(peer: Peer) -> None:
    """What PEP 3333 asks of an input stream beside `read`."""
    peer.send(b"a\nb\nc")
    assert list(peer.sized(5)) == [b"a\n", b"b\n", b"c"]


def test_reading_everything_is_bounded(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`read()` of an endless body must not fill the memory."""
    monkeypatch.setattr(reader, "MAX_UNSIZED_READ", 9)
    peer.send(b"0123456789")
    with pytest.raises(LimitExceeded):
        peer.sized(10).read()


# ── chunked bodies
@given(content=st.lists(st.binary(min_size=1, max_size=300), max_size=8), block=st.integers(1, 700))
def test_chunks_are_put_together(content: list[bytes], block: int) -> None:
    """Whatever the chunks and the buffer, the content is the same."""
    data = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in content)
    assert read_chunked(data + b"0\r\nTrailer: x\r\n\r\n", block=block) == b"".join(content)


def test_a_chunked_body_takes_no_byte_of_the_next_request(peer: Peer) -> None:
    """Trailers and the last line are consumed with it."""
    peer.send(b"3\r\nabc\r\n00\r\nA: b\r\n\r\nNEXT\r\n\r\n")
    body = peer.chunked()
    assert body.remaining is None
    assert drained(body) == b"abc"
    assert body.remaining == 0
    assert peer.reader.next_head() == b"NEXT"


def test_a_cut_chunked_body_raises_wherever_it_is_cut() -> None:
    """Only the last chunk and the empty line after it are an end."""
    whole = b"3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\nT: x\r\n\r\n"
    for cut in range(len(whole)):
        with pytest.raises(LengthMismatch):
            read_chunked(whole[:cut])
    assert read_chunked(whole) == b"abc0123456789"


@pytest.mark.parametrize(
    "data",
    [
        b"0x5\r\nabcde\r\n0\r\n\r\n",
        b"-5\r\nabcde\r\n0\r\n\r\n",
        b"+5\r\nabcde\r\n0\r\n\r\n",
        b" 5\r\nabcde\r\n0\r\n\r\n",
        b"5 \r\nabcde\r\n0\r\n\r\n",
        b"5_0\r\nabcde\r\n0\r\n\r\n",
        b"\r\n\r\n",
        b"g\r\n\r\n",
        b"5\nabcde\r\n0\r\n\r\n",
        b"5\r\nabcdeX\r\n0\r\n\r\n",
        b"5\r\nabcde0\r\n\r\n",
        b"5\r\nabcde\n0\r\n\r\n",
        b"00000000000000005\r\nabcde\r\n0\r\n\r\n",
        b"5 ;a\r\nabcde\r\n0\r\n\r\n",
        b"5\r\nabcde\r\n0\r\nno field\r\n\r\n",
        b"5\r\nabcde\r\n0\r\n T: x\r\n\r\n",
        b"5\r\nabcde\r\n0\r\nT : x\r\n\r\n",
        b"5\r\nabcde\r\n0\r\nT: \x00\r\n\r\n",
        b"5\r\nabcde\r\n0\r\n: x\r\n\r\n",
        b"5\r\nabcde\r\n0\r\ntransfer-Encoding: x\r\n\r\n",
        b"5\r\nabcde\r\n0\r\nContent-Length: 0\r\n\r\n",
        b"5\r\nabcde\r\n0\r\nHost: a\r\n\r\n",
        b"5;" + b"x" * reader.MAX_CHUNK_LINE + b"\r\nabcde\r\n0\r\n\r\n",
        b"5;a\x00b\r\nabcde\r\n0\r\n\r\n",
        b"0\r\n" + b"T: x\r\n" * reader.MAX_TRAILER_BYTES + b"\r\n",
    ],
)
def test_malformed_chunks_raise(data: bytes) -> None:
    """RFC 9112, 7.1 to the letter: everything else could be framed differently by a proxy."""
    with pytest.raises(DavserverError):
        read_chunked(data)


def test_many_small_chunks_cost_linear_time(peer: Peer) -> None:
    """Work grows with the bytes: nothing is copied or searched again for each chunk."""
    chunks = 20_000
    sender = threading.Thread(target=peer.send, args=(b"1\r\nx\r\n" * chunks + b"0\r\n\r\n",))
    sender.start()
    assert len(drained(peer.chunked())) == chunks
    sender.join()
