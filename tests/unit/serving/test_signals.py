"""How a serving process is asked to stop. In a process of its own: handlers belong to a main thread."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
