"""A mail server of a few lines on loopback, which keeps what it is given (RFC 5321, the little it needs)."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class Mailbox(socketserver.ThreadingTCPServer):
    """Takes every mail. `refuse` has it answer that it will not."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Dialogue)
        self.mails: list[EmailMessage] = []
        self.refuse = False
        self.arrived = threading.Condition()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def wait_for(self, count: int, seconds: float = 10.0) -> list[EmailMessage]:
        """The mails, once there are as many."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.mails) >= count, seconds), self.mails
            return list(self.mails)


class _Dialogue(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self._say(220)
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self._take()
            else:
                self._say(554 if self.server.refuse and verb == b"RCPT" else 221 if verb == b"QUIT" else 250)
            if verb == b"QUIT":
                return

    def _take(self) -> None:
        self._say(354)
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        mail = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        with self.server.arrived:
            self.server.mails.append(mail)
            self.server.arrived.notify_all()
        self._say(250)

    def _say(self, code: int) -> None:
        self.wfile.write(b"%d here\r\n" % code)


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A server for as long as the block runs."""
    with Mailbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
