"""How a serving process is told to stop, or to renew its certificate. Real processes."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.certificates import make_pair, write_pair

PROJECT = Path(__file__).parents[3]
PATIENCE = 20

STOPPED_FROM_ANOTHER_THREAD = """
import signal, threading
from davserver.serving.server import Server

def ask():
    # To this very thread, as the kernel may choose when the main thread is being traced or stopped.
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

server = Server(lambda environ, start_response: [])
server.run(0, on_ready=threading.Timer(0.2, ask).start)
print("stopped")
"""

STOPPED_BY_A_HAIL = """
import signal, time
from davserver.serving.lifecycle import Orders

signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which it is again, once all is over
with Orders(lambda: None, supervised=True) as orders:
    print("ready", flush=True)
    while not orders.wait():
        pass
    end = time.monotonic() + 1
    while time.monotonic() < end:
        orders.wait()
print("stopped")
"""

CERTIFICATE_RENEWED = """
import os, signal, ssl, sys
from pathlib import Path
from davserver.serving.connection import Observer
from davserver.serving.server import Options, Server
from davserver.serving.tls import Certificate

class Told(Observer):
    def fault(self, text):
        print("fault", flush=True)

certificate = Certificate(Path(sys.argv[1]), Path(sys.argv[2]))
server = Server(lambda environ, start_response: [], options=Options(certificate=certificate), observer=Told())
server.run(0, on_ready=lambda: print(server.address[1], flush=True))
print("stopped")
"""


def test_a_signal_that_another_thread_receives_stops_the_server() -> None:
    """The main thread sleeps in a lock and is not woken by it: it has to look up by itself."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_FROM_ANOTHER_THREAD],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == "stopped\n"


def test_signals_that_come_on_top_of_each_other_stop_the_server() -> None:
    """A handler that is interrupted by itself waits for nothing: groups are signalled, and each again."""
    command = [sys.executable, "-c", STOPPED_BY_A_HAIL]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            end = time.monotonic() + 1
            while time.monotonic() < end:
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGTERM)
                time.sleep(0.001)
            assert process.wait(PATIENCE) == 0
            assert process.stdout.read() == "stopped\n"
        finally:
            process.kill()


def test_a_hangup_renews_the_certificate_and_ends_nothing(tmp_path: Path) -> None:
    """New connections are shown the new one; files that do not fit are noted and leave the one in use."""
    first, second = make_pair(), make_pair()
    files = write_pair(tmp_path, first)
    command = [sys.executable, "-c", CERTIFICATE_RENEWED, *map(str, files)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = ("127.0.0.1", int(process.stdout.readline()))
            assert shown(address) == first.certificate
            write_pair(tmp_path, second)
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: shown(address) == second.certificate)
            files[1].write_bytes(first.key)
            process.send_signal(signal.SIGHUP)
            assert process.stdout.readline() == "fault\n"
            assert shown(address) == second.certificate
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "stopped\n"
        assert process.wait(PATIENCE) == 0


def shown(address: tuple[str, int]) -> bytes:
    """The certificate that the server shows, as PEM."""
    return ssl.get_server_certificate(address, timeout=PATIENCE).encode()


def wait_until(condition: Callable[[], bool]) -> None:
    """Until another process has done something of which only the result can be seen."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
