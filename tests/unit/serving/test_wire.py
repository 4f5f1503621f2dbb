"""`davserver.serving.wire`: what waits, for how long, and who is told of it. Real TCP connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from davserver.serving import wire
from davserver.serving.wire import Wire

PATIENCE = 10.0
MIB = 1 << 20


@dataclass
class Told:
    """Remembers who waited."""

    begun: list[Wire] = field(default_factory=list)
    ended: list[Wire] = field(default_factory=list)
    waits: threading.Event = field(default_factory=threading.Event)
    steps: list[str] = field(default_factory=list)

    def step_aside(self) -> None:
        """See `Patience`."""
        self.steps.append("aside")

    def step_back(self) -> None:
        """See `Patience`."""
        self.steps.append("back")

    def begin(self, one: Wire) -> None:
        """See `Patience`."""
        self.begun.append(one)
        self.waits.set()

    def end(self, one: Wire) -> None:
        """See `Patience`."""
        self.ended.append(one)


@dataclass
class Ends:
    """Our end of a connection and the other one."""

    near: Wire
    far: socket.socket
    told: Told

    def read(self) -> bytes:
        """What the other end is given; nothing at the end."""
        return self.far.recv(MIB)


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Connected over TCP, with little room under way."""
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as far:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        far.settimeout(PATIENCE)
        far.connect(listener.getsockname())
        near, _ = listener.accept()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        near.settimeout(PATIENCE)
        ours = Wire(near, told)
        yield Ends(ours, far, told)
        ours.close()


def test_parts_arrive_in_order_however_little_room_there_is(ends: Ends) -> None:
    """Small ones together, large ones piece by piece."""
    parts = (b"head", bytes(MIB), b"", bytearray(b"x" * MIB), memoryview(b"end"))
    received: list[bytes] = []
    reading = threading.Thread(target=lambda: received.extend(iter(ends.read, b"")))
    reading.start()
    ends.near.send(*parts)
    ends.near.send(b"a", b"b")
    ends.near.finish()
    reading.join(PATIENCE)
    assert b"".join(received) == b"".join(parts) + b"ab"


def test_small_parts_are_one_segment_for_the_kernel(ends: Ends) -> None:
    """One call, so one packet, and the client wakes once."""
    calls: list[int] = []

    class Counting(socket.socket):
        def send(self, data: object, flags: int = 0) -> int:
            calls.append(len(bytes(data)))  # type: ignore[call-overload]
            return super().send(data, flags)  # type: ignore[arg-type]

    raw = ends.near.socket
    with Counting(fileno=raw.detach()) as counting:
        counting.settimeout(PATIENCE)
        ends.near = Wire(counting)
        ends.near.send(b"head" * 20, b"body" * 100)
        assert calls == [480]


def test_a_wait_is_told_and_its_end_too(ends: Ends) -> None:
    """Of one that is brief nobody is told: what has arrived, or arrives at once, is no wait."""
    view = memoryview(bytearray(10))
    ends.far.sendall(b"1")
    assert ends.near.is_readable(PATIENCE)
    assert ends.near.receive_into(view) == 1
    assert ends.told.begun == []

    def answer() -> None:
        if ends.told.waits.wait(PATIENCE):
            ends.far.sendall(b"23")

    sending = threading.Thread(target=answer)
    sending.start()
    assert ends.near.receive_into(view) == 2
    assert ends.told.begun == ends.told.ended == [ends.near]
    assert ends.near.arriving.waited > 0
    sending.join()


@pytest.mark.parametrize("direction", ["in", "out"])
def test_silence_has_an_end_and_is_told_to_have_ended(ends: Ends, direction: str) -> None:
    """A peer that sends nothing, or takes nothing."""
    ends.near.timeout = 0.05
    block = bytearray(16 * MIB)
    with pytest.raises(TimeoutError):
        ends.near.receive_into(memoryview(block)) if direction == "in" else ends.near.send(block)
    assert ends.told.begun == ends.told.ended != []


def test_a_peer_that_takes_a_little_now_and_then_is_not_silent(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the kernel sees no room for a long while: what is under way gets less."""
    monkeypatch.setattr(wire, "LOOK_SECONDS", 0.02)
    ends.near.timeout = 0.5
    taken = 0

    def take() -> None:
        nonlocal taken
        while taken < MIB:
            taken += len(ends.far.recv(16 * 1024))
            time.sleep(0.03)  # it is slow

    taking = threading.Thread(target=take)
    taking.start()
    begun = time.monotonic()
    ends.near.send(bytes(MIB))
    assert time.monotonic() - begun > ends.near.timeout
    ends.near.close()
    taking.join(PATIENCE)
    assert taken == MIB


def test_a_peer_that_takes_too_little_is_given_up(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """T07: it must not hold a thread for as long as it likes by taking a byte now and then."""
    monkeypatch.setattr(wire, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(wire, "GRACE_SECONDS", 0)
    monkeypatch.setattr(wire, "BYTES_PER_SECOND", 1e12)
    stop = threading.Event()

    def take() -> None:
        while not stop.wait(0.01):
            ends.far.recv(1024)

    taking = threading.Thread(target=take)
    taking.start()
    try:
        with pytest.raises(TimeoutError, match="too little"):
            ends.near.send(bytes(64 * MIB))
    finally:
        ends.near.close()
        stop.set()
        taking.join()


def test_a_cut_ends_both_ways_of_waiting(ends: Ends) -> None:
    """From another thread, at once."""
    outcomes: list[object] = []

    def receive() -> None:
        outcomes.append(ends.near.receive_into(memoryview(bytearray(10))))

    receiving = threading.Thread(target=receive)
    receiving.start()
    assert ends.told.waits.wait(PATIENCE)
    ends.near.cut()
    receiving.join(PATIENCE)
    assert outcomes == [0]
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        ends.near.send(bytes(MIB))


def send_once_waited_for(ends: Ends) -> None:
    """Let the far end send a byte as soon as the near one waits for it."""

    def send() -> None:
        if ends.told.waits.wait(PATIENCE):
            ends.far.sendall(b"x")

    threading.Thread(target=send).start()


def test_whoever_waits_for_a_client_steps_aside(ends: Ends) -> None:
    """Before a byte that is not there yet, and back for a short body; before much is sent, and for good."""
    send_once_waited_for(ends)
    space = memoryview(bytearray(MIB))
    assert ends.near.receive_into(space) == 1
    assert ends.told.steps == ["aside", "back"]
    ends.far.sendall(b"y")
    wait_until_there(ends)
    assert ends.near.receive_into(space) == 1
    ends.near.send(b"small", b"answer")
    assert ends.told.steps == ["aside", "back"]
    reading = threading.Thread(target=lambda: list(iter(ends.read, b"")))
    reading.start()
    ends.near.send(bytes(MIB))
    ends.near.finish()
    reading.join(PATIENCE)
    assert set(ends.told.steps[2:]) == {"aside"}


def test_a_long_body_does_not_step_back(ends: Ends) -> None:
    """What moves more than a little is no short matter: others go first."""
    ends.near.arriving.moved = MIB
    send_once_waited_for(ends)
    assert ends.near.receive_into(memoryview(bytearray(MIB))) == 1
    assert ends.told.steps == ["aside"]


def wait_until_there(ends: Ends) -> None:
    """Until what the other end has sent is here."""
    assert ends.near.is_readable(PATIENCE)
