"""A mail server of a few lines on loopback, which keeps what it is given (RFC 5321, the little it needs).

With a certificate it speaks TLS after STARTTLS (RFC 3207), and takes a name and a password there (RFC 4954).
"""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage

CODES = {b"QUIT": 221, b"AUTH": 235}
"""Answers to what is not simply done (250)."""


class Mailbox(socketserver.ThreadingTCPServer):
    """Takes every mail. `refuse` has it answer that it will not.

    Attributes:
        tls: with it, STARTTLS is offered.
        said: what clients have said, but for mails: in the clear, and over TLS.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Dialogue)
        self.tls = tls
        self.said: tuple[list[str], list[str]] = ([], [])
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
        private = False
        while line := self.rfile.readline():
            verb = line[:4].upper()
            self.server.said[private].append(line.decode().strip())
            if verb == b"EHLO":
                offered = b"AUTH PLAIN" if private else b"STARTTLS" if self.server.tls else b"8BITMIME"
                self.wfile.write(b"250-here\r\n250 %s\r\n" % offered)
            elif verb == b"DATA":
                self._take()
            elif verb == b"STAR" and self.server.tls is not None:
                if not self._encrypt(self.server.tls):
                    return
                private = True
            else:
                self._say(554 if self.server.refuse and verb == b"RCPT" else CODES.get(verb, 250))
            if verb == b"QUIT":
                return

    def finish(self) -> None:
        """End; a client that has hung up in the middle of a handshake is no fault."""
        with suppress(OSError):
            super().finish()
        self.connection.close()

    def _encrypt(self, tls: ssl.SSLContext) -> bool:
        """Go on over TLS; False if the client does not."""
        self._say(220)
        try:
            self.request = tls.wrap_socket(self.request, server_side=True)
        except OSError:
            return False
        self.connection = self.request
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
        return True

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
def mailbox(tls: ssl.SSLContext | None = None) -> Iterator[Mailbox]:
    """A server for as long as the block runs."""
    with Mailbox(tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
