"""A server of several processes without a store, for tests: `python -m tests.unit.serving.many OPTIONS`.

It prints "port NUMBER" once it serves, and "started SEAT" for each process. Requests: `/` answers with the
process id, `/hold` once its body has ended, `/die` ends the process.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from davserver.cli.processes import service_manager
from davserver.serving import supervisor
from davserver.serving.exchange import Environ
from davserver.serving.lifecycle import Attendant
from davserver.serving.listening import address_of, listen
from davserver.serving.server import Options, Place, Server
from davserver.serving.tls import Certificate
from davserver.serving.wire import Block


def app(environ: Environ, start: Callable[..., Callable[[Block], None]]) -> Iterable[Block]:
    """See the module."""
    path = environ["PATH_INFO"]
    if path == "/die":
        os._exit(9)
    if path == "/hold":
        say("holds")
        environ["wsgi.input"].read()
    body = b"%d" % os.getpid()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def say(text: str) -> None:
    """One line, in one write: several processes share the pipe."""
    os.write(1, f"{text}\n".encode())


def failing(fork: Callable[[], int], times: int) -> Callable[[], int]:
    """A fork that fails so often, as where a limit of processes is reached."""
    left = [BlockingIOError(errno.EAGAIN, "no more processes")] * times

    def fork_or_fail() -> int:
        if left:
            raise left.pop()
        return fork()

    return fork_or_fail


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--grace", type=int, default=30)
    parser.add_argument("--hung", type=float, default=60, help="HUNG_SECONDS")
    parser.add_argument("--tls", type=Path, nargs=2)
    parser.add_argument("--fails", type=int, help="exit code of every process, at once")
    parser.add_argument("--barren", type=int, default=0, help="how many times no process can be made")
    parser.add_argument("--mortal", type=int, help="seat whose processes end when they have begun")
    parser.add_argument("--thread", action="store_true", help="have a second thread at the fork")
    chosen = parser.parse_args()
    supervisor.HUNG_SECONDS = chosen.hung
    os.fork = failing(os.fork, chosen.barren)
    certificate = Certificate(*chosen.tls) if chosen.tls else None

    def work(place: Place, attendant: Attendant) -> int:
        say(f"started {place.seat.number} {time.monotonic()}")
        if chosen.fails is not None:
            return int(chosen.fails)
        options = Options(threads=4, certificate=certificate, place=place)
        mortal = place.seat.number == chosen.mortal

        def on_ready() -> None:
            if mortal:
                threading.Timer(0.05, os._exit, [1]).start()

        Server(app, options=options).run(chosen.grace, on_ready, attendant)
        return 0

    def reload() -> None:
        if certificate is not None:
            certificate.reload()

    if chosen.thread:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    listener = listen("127.0.0.1", 0)
    port = address_of(listener)[1]
    return supervisor.Supervisor(
        listener,
        chosen.processes,
        work,
        grace_seconds=chosen.grace,
        attendant=Saying(service_manager(), port),
        reload=reload,
        fault=say,
    ).run()


class Saying(Attendant):
    """Says on which port the server is when it is ready, and passes everything on."""

    def __init__(self, manager: Attendant, port: int) -> None:
        self._manager = manager
        self._port = port

    def ready(self) -> None:
        """See `Attendant`."""
        self._manager.ready()
        say(f"port {self._port}")

    def reloading(self) -> None:
        """See `Attendant`."""
        self._manager.reloading()

    def stopping(self) -> None:
        """See `Attendant`."""
        self._manager.stopping()

    def alive(self) -> bool:
        """See `Attendant`."""
        return self._manager.alive()


if __name__ == "__main__":
    sys.exit(main())
