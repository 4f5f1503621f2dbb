"""What systemd is told. A real socket in the place of its own, real processes."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from davserver.serving.notify import Manager, Notifier
from davserver.settings import notify_socket, watchdog_seconds
from tests.unit.serving.several import PATIENCE, Begin, Many, halt, wait_until


class FakeManager:
    """Receives what a service says, as systemd does."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(PATIENCE)

    def hear(self) -> dict[str, str]:
        """The next message."""
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().split("\n"))

    def hear_of(self, key: str) -> dict[str, str]:
        """The next message that has this key."""
        while key not in (message := self.hear()):
            pass
        return message

    def close(self) -> None:
        """Hear nothing more."""
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeManager]:
    """On a socket that is a file, or on one that only has a name."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@sealdav-test-{os.getpid()}"
    fake = FakeManager(name)
    yield fake
    fake.close()


def test_each_state_is_one_message(manager: FakeManager) -> None:
    """Ready, reloading with the moment, ready again, stopping (sd_notify(3))."""
    notifier = Notifier(Manager(manager.address))
    notifier.ready()
    assert manager.hear() == {"READY": "1"}
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    message = manager.hear()
    assert message["RELOADING"] == "1"
    assert before <= int(message["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    notifier.ready()
    assert manager.hear() == {"READY": "1"}
    notifier.stopping()
    assert manager.hear() == {"STOPPING": "1"}


def test_the_watchdog_is_fed_twice_in_its_time(manager: FakeManager) -> None:
    """Not with every look, and not at all without a watchdog."""
    patient, watched = Notifier(Manager(manager.address)), Notifier(Manager(manager.address, 3600))
    for _ in range(3):
        assert patient.alive()
        assert watched.alive()
    patient.stopping()
    assert manager.hear() == {"WATCHDOG": "1"}
    assert manager.hear() == {"STOPPING": "1"}


def test_a_manager_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    """Nothing is raised, nothing waited for."""
    notifier = Notifier(Manager(str(tmp_path / "nobody"), 1))
    notifier.ready()
    assert notifier.alive()


def test_the_environment_says_where_and_how_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watchdog that is meant for another process is none; nonsense is none either."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    assert (notify_socket(), watchdog_seconds()) == ("", 0)
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    assert (notify_socket(), watchdog_seconds()) == ("/run/x", 3)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_seconds() == 3
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_seconds() == 0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    assert watchdog_seconds() == 0


def watched(begin: Begin, manager: FakeManager, *options: str, watchdog: float = 0) -> Many:
    """A server of two processes that such a manager has started."""
    environment = {"NOTIFY_SOCKET": manager.address}
    if watchdog:
        environment["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
    return begin("--processes=2", *options, environment=environment)


def test_the_server_as_a_whole_is_ready_reloads_and_stops(begin: Begin, manager: FakeManager) -> None:
    """Once each, by the first process alone, whatever the others do."""
    many = watched(begin, manager).ready()
    assert manager.hear() == {"READY": "1"}
    many.signal(signal.SIGHUP)
    assert "RELOADING" in manager.hear()
    assert manager.hear() == {"READY": "1"}
    os.kill(min(many.workers), signal.SIGKILL)
    many.hear("a worker process has ended and is replaced")
    many.signal(signal.SIGTERM)
    assert manager.hear() == {"STOPPING": "1"}
    assert many.process.wait(PATIENCE) == 0


def test_a_reload_while_no_process_lives_ends_too(begin: Begin, manager: FakeManager) -> None:
    """Those that come next read what there is then: the manager is not left waiting."""
    many = watched(begin, manager).ready()
    manager.hear_of("READY")
    for _ in range(2):
        wait_until(lambda: len(many.workers) == 2)
        for pid in many.workers:
            os.kill(pid, signal.SIGKILL)
        for _ in range(2):
            many.hear("a worker process has ended and is replaced")
    assert many.workers == set()
    many.signal(signal.SIGHUP)
    assert "RELOADING" in manager.hear_of("RELOADING")
    assert manager.hear() == {"READY": "1"}


def test_a_server_that_cannot_answer_does_not_feed_the_watchdog(begin: Begin, manager: FakeManager) -> None:
    """While one process serves it does; when both are stuck and are not replaced, nothing comes any more."""
    many = watched(begin, manager, "--hung=1000", watchdog=0.2).ready()
    manager.hear_of("WATCHDOG")
    one, other = many.workers
    halt(one)
    manager.hear_of("WATCHDOG")
    halt(other)
    assert silent_before_long(manager)


def silent_before_long(manager: FakeManager) -> bool:
    """Whether the messages stop."""
    manager._socket.settimeout(4)  # noqa: SLF001 - how long is waited is this test's own
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            manager.hear()
        except TimeoutError:
            return True
    return False
