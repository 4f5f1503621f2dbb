"""Several processes on one port, and what becomes of them. Real processes."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import ssl
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.certificates import make_pair, write_pair
from tests.conformance.http import Closed, Connection, head
from tests.unit.serving.several import PATIENCE, Begin, Many, halt, wait_until


def is_alive(pid: int) -> bool:
    """Whether a process exists that is not a corpse."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def pid_that_answers(connection: Connection) -> int:
    """Which process has the connection."""
    return int(connection.ask("GET", "/").body)


def connections_of_all(many: Many, clients: contextlib.ExitStack) -> dict[int, Connection]:
    """A connection to each process; on a busy machine one may get several before another gets its first."""
    found: dict[int, Connection] = {}
    while set(found) != many.workers:
        client = clients.enter_context(many.connect())
        found.setdefault(pid_that_answers(client), client)
    return found


# ── sharing the port
def test_connections_are_spread_evenly(begin: Begin) -> None:
    """Whoever has fewer takes the next one, as far as a busy machine lets it be quick enough."""
    many = begin("--processes=3").ready()
    found = [shares(many) for _ in range(5)]
    assert all(set(one) == many.workers for one in found)
    assert any(max(one.values()) <= 2 * min(one.values()) for one in found)


def shares(many: Many) -> Counter[int]:
    """How many of some connections each process has taken."""
    with contextlib.ExitStack() as clients:
        return Counter(pid_that_answers(clients.enter_context(many.connect())) for _ in range(24))


def test_a_process_that_is_busy_keeps_nobody_waiting(begin: Begin) -> None:
    """A connection is left to a process with fewer for a moment only: here that one is stopped."""
    many = begin("--processes=2").ready()
    stopped, serving = many.workers
    halt(stopped)
    with contextlib.ExitStack() as clients:
        answered = {pid_that_answers(clients.enter_context(many.connect())) for _ in range(8)}
    assert answered == {serving}


# ── replacing
def test_a_process_that_crashes_is_replaced(begin: Begin) -> None:
    """Its own connections end; those of the others, and new ones, notice nothing."""
    many = begin("--processes=2").ready()
    with contextlib.ExitStack() as clients:
        of = connections_of_all(many, clients)
        crashed, serving = sorted(of)
        other = of[serving]
        with pytest.raises((Closed, ConnectionError)):
            of[crashed].ask("GET", "/die")
        many.hear("a worker process has ended and is replaced")
        wait_until(lambda: len(many.workers) == 2)
        assert pid_that_answers(other) == serving
    with many.connect() as client:
        assert pid_that_answers(client) in many.workers - {crashed}


def test_a_waiting_connection_outlives_the_processes(begin: Begin) -> None:
    """Nobody has accepted it yet: it waits for whoever comes next."""
    many = begin("--processes=2").ready()
    before = many.workers
    for pid in before:
        halt(pid)
    with many.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        assert int(client.read().body) not in before


def test_a_process_that_hangs_is_replaced(begin: Begin) -> None:
    """It does not answer, and it does not end either."""
    many = begin("--processes=2", "--hung=2").ready()
    hanging = min(many.workers)
    halt(hanging)
    many.hear("a worker process hangs and is killed")
    many.hear("a worker process has ended and is replaced")
    wait_until(lambda: len(many.workers) == 2 and hanging not in many.workers)


def test_nobody_hangs_while_everything_stands_still(begin: Begin) -> None:
    """A machine or container that was frozen goes on where it was: no process is killed, no request ends."""
    many = begin("--processes=2", "--hung=4").ready()
    before = many.workers
    with many.connect() as client:
        pid = pid_that_answers(client)
        os.killpg(many.process.pid, signal.SIGSTOP)
        time.sleep(5)  # Longer than a process may be silent.
        os.killpg(many.process.pid, signal.SIGCONT)
        for _ in range(20):
            assert pid_that_answers(client) == pid
            time.sleep(0.05)  # The supervisor has looked around meanwhile.
    assert many.workers == before


def test_a_system_that_has_no_process_to_give_ends_nothing(begin: Begin) -> None:
    """The server goes on with what it has, and tries again."""
    many = begin("--processes=2", "--barren=3")
    many.hear("a worker process could not be started")
    with many.ready().connect() as client:
        assert pid_that_answers(client) in many.workers


def test_a_process_that_ends_again_and_again_is_given_time(begin: Begin) -> None:
    """At once, then after one second, two, four: no storm of processes."""
    many = begin("--processes=2", "--mortal=1").ready()
    begun = [float(line.split()[2]) for line in many.said if line.startswith("started 1")]
    while len(begun) < 4:
        begun.append(float(many.hear("started 1")))
    gaps = [after - before for before, after in itertools.pairwise(begun)]
    assert gaps[1] >= 1
    assert gaps[2] >= 3
    with many.connect() as client:
        assert pid_that_answers(client) in many.workers


def test_what_cannot_begin_ends_the_server(begin: Begin) -> None:
    """With its exit code, for the service manager; nobody tries again for ever."""
    many = begin("--processes=2", "--fails=4")
    assert many.process.wait(PATIENCE) == 4
    assert not any(line.startswith("port") for line in many.hear_out())


def test_nothing_forks_beside_a_thread(begin: Begin) -> None:
    """A lock that it holds would stay locked for ever in the new process."""
    many = begin("--thread")
    assert many.process.wait(PATIENCE) == 1
    assert many.hear_out() == []


# ── stopping
def held(many: Many) -> Connection:
    """A connection in the middle of a request."""
    client = many.connect()
    client.send(head("PUT", "/hold", {"Content-Length": "5"}) + b"123")
    many.hear("holds")
    return client


@pytest.mark.parametrize("how", ["service manager", "whole control group", "terminal"])
def test_a_stop_lets_running_requests_finish(begin: Begin, how: str) -> None:
    """One SIGTERM to the first process, one to each, or Ctrl-C: nobody is cut off, new ones are refused."""
    many = begin("--processes=2").ready()
    workers = many.workers
    with held(many) as client:
        if how == "service manager":
            many.signal(signal.SIGTERM)
        else:
            number = signal.SIGTERM if how == "whole control group" else signal.SIGINT
            os.killpg(many.process.pid, number)
        wait_until(lambda: not accepts(many.port))
        client.send(b"45")
        assert client.read("PUT")["Connection"] == "close"
    assert many.process.wait(PATIENCE) == 0
    assert not any(is_alive(pid) for pid in workers)


def accepts(port: int) -> bool:
    """Whether anybody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
            return True
    except ConnectionError:
        return False


def test_the_grace_has_an_end(begin: Begin) -> None:
    """Whoever does not finish within it is cut off."""
    many = begin("--processes=2", "--grace=0").ready()
    with held(many) as client:
        many.signal(signal.SIGTERM)
        assert client.ended() or client.read("PUT").status == 500
    assert many.process.wait(PATIENCE) == 0


def test_a_second_signal_ends_the_grace(begin: Begin) -> None:
    """As with one process."""
    many = begin("--processes=2").ready()
    with held(many) as client:
        many.signal(signal.SIGTERM)
        wait_until(lambda: not accepts(many.port))
        many.signal(signal.SIGTERM)
        assert many.process.wait(PATIENCE) == 0
        client.reset()


def test_no_process_is_left_alone(begin: Begin) -> None:
    """Without the one that looks after them nobody could stop them: they stop by themselves."""
    many = begin("--processes=2").ready()
    workers = many.workers
    many.signal(signal.SIGKILL)
    wait_until(lambda: not any(is_alive(pid) for pid in workers))
    assert not accepts(many.port)


# ── reloading
def test_every_process_shows_the_new_certificate(begin: Begin, tmp_path: Path) -> None:
    """After a SIGHUP to the first one; so does one that is started later on."""
    first, second = make_pair(), make_pair()
    files = write_pair(tmp_path, first)
    many = begin("--processes=2", "--tls", *map(str, files)).ready()

    def shown() -> set[str]:
        """Of more connections than there are processes."""
        address = ("127.0.0.1", many.port)
        return {ssl.get_server_certificate(address, timeout=PATIENCE) for _ in range(8)}

    assert shown() == {first.certificate.decode()}
    write_pair(tmp_path, second)
    many.signal(signal.SIGHUP)
    wait_until(lambda: shown() == {second.certificate.decode()})
    for pid in many.workers:
        os.kill(pid, signal.SIGKILL)
        many.hear("a worker process has ended and is replaced")
    assert shown() == {second.certificate.decode()}
