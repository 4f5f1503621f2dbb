"""A running server of several processes, as tests drive it."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.conformance.http import Connection

PROJECT = Path(__file__).parents[3]
PATIENCE = 60.0


class Many:
    """A running `tests.unit.serving.many`."""

    def __init__(self, *options: str, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.serving.many", *options],
            cwd=PROJECT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.decode().rstrip("\n"))
        self._lines.put(None)

    def hear(self, beginning: str) -> str:
        """Wait for a line that begins so; gives the rest of it."""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            assert line is not None, f"it ended without saying {beginning!r}: {self.said}"
            self.said.append(line)
            if line.startswith(beginning):
                return line.removeprefix(beginning).strip()

    def hear_out(self) -> list[str]:
        """All that it has still to say until it ends."""
        rest: list[str] = []
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            rest.append(line)
        return rest

    def connect(self) -> Connection:
        """A client."""
        return Connection(("127.0.0.1", self.port), PATIENCE)

    def ready(self) -> Many:
        """Wait until it serves."""
        self.port = int(self.hear("port "))
        return self

    @property
    def workers(self) -> set[int]:
        """The processes that it has started and that live."""
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(pid) for pid in tasks.read_text().split()}

    def signal(self, number: int) -> None:
        """To the process that looks after the others."""
        self.process.send_signal(number)

    def close(self) -> None:
        """Leave no process behind."""
        for number in (signal.SIGCONT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        self.process.wait(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Until another process has done something of which only the result can be seen."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def halt(pid: int) -> None:
    """Stop a process where it is, every thread of it, and wait until it is."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + PATIENCE
    while any(_state(task) != "T" for task in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _state(task: Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


Begin = Callable[..., Many]
"""Starts one that is gone after the test; takes options of `many`, and `environment`."""
