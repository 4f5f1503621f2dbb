"""cadaver, the command-line client, as somebody sits before it: one command, its answer, the next one.

with Cadaver(drive.url, device, tmp_path) as cadaver:
    cadaver.does("mkcol photos")
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.drive import Device
from tests.services import clients

ANSWER_SECONDS = 30
PROMPT = re.compile(r"(?:^|\n)dav:[^\n]*> $")


class Cadaver:
    """One run of cadaver, connected to a collection.

    `home` becomes its home and working folder: the password is in `.netrc` there, as people keep it.
    """

    def __init__(self, url: str, device: Device, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        netrc = home / ".netrc"
        netrc.touch(0o600)
        netrc.write_text(f"machine 127.0.0.1 login {device.username} password {device.token}\n")
        self._process = subprocess.Popen(
            [clients.require("cadaver"), url],
            cwd=home,
            env={"HOME": str(home), "LC_ALL": "C.UTF-8", "TERM": "dumb", "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # It starts editors.
        )

    def __enter__(self) -> Self:
        """Wait for the first prompt: connected and let in."""
        try:
            assert self._answer() == ""
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say good-bye when all went well; leave no process behind in any case."""
        try:
            if kind is None:
                self._send("quit")
                assert self._process.wait(ANSWER_SECONDS) == 0
        finally:
            self.close()

    def __call__(self, command: str) -> str:
        """Type a command; returns what is printed up to the next prompt, without the echo of the command."""
        self._send(command)
        return self._answer().partition("\n")[2].rstrip("\n")

    def does(self, command: str) -> None:
        """Type a command that has to succeed."""
        answer = self(command)
        assert answer.endswith("succeeded."), f"{command}: {answer}"

    def close(self) -> None:
        """End the program and what it started, whatever they are doing."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(ANSWER_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _send(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        output, source = b"", self._process.stdout.fileno()
        deadline = time.monotonic() + ANSWER_SECONDS
        while not (end := PROMPT.search(text := output.decode(errors="replace"))):
            ready, _, _ = select.select([source], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"cadaver does not answer; it said {text!r}"
            part = os.read(source, 1 << 16)
            assert part, f"cadaver ended; it said {text!r}"
            output += part
        return text[: end.start()]
