"""`davserver.serving.tls`: files that cannot be used are one line that says which and what to do."""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from davserver.errors import ConfigError
from davserver.serving.tls import Certificate, TlsWire
from davserver.serving.wire import Wire
from tests.certificates import client_context, make_pair, one_pair, write_pair

Spoil = Callable[[Path, Path], object]


def with_passphrase(_certificate: Path, key: Path) -> None:
    """Protect the key, as openssl does by default."""
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", str(key), "-out", str(key)]
    subprocess.run(command, check=True, capture_output=True)


def damaged(path: Path) -> None:
    """Keep the frame, not what is in it."""
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "bm9uc2Vuc2U=", lines[-1], ""]))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda certificate, _: certificate.unlink(),
            "tls.crt: cannot be read (No such file or directory); ",
        ),
        (lambda _, key: key.unlink(), "tls.key: cannot be read (No such file or directory); "),
        (lambda certificate, _: certificate.write_text("x"), "tls.crt: holds no certificate in PEM; "),
        (lambda _, key: key.write_text("x"), "tls.key: holds no private key in PEM; "),
        (lambda certificate, _: damaged(certificate), "cannot be used ("),
        (lambda _, key: damaged(key), "tls.key cannot be used ("),
        (lambda _, key: key.write_bytes(make_pair().key), "tls.key: not the key of "),
        (lambda _, key: key.chmod(0o644), "the key is open to other users; run chmod 0600"),
        (lambda _, key: key.chmod(0o660), "tls.key: the key is open to other users; run chmod 0600"),
        (with_passphrase, "tls.key: the key has a passphrase; "),
    ],
)
def test_what_cannot_be_used_is_one_line_with_advice(tmp_path: Path, spoil: Spoil, words: str) -> None:
    """Which file, what is wrong, what to do; and nobody is asked for a passphrase."""
    certificate, key = write_pair(tmp_path, one_pair())
    spoil(certificate, key)
    with pytest.raises(ConfigError) as caught:
        Certificate(certificate, key)
    message = str(caught.value)
    assert words in message
    assert ";" in message
    assert "\n" not in message


def test_a_key_that_a_group_may_read_has_to_be_roots(tmp_path: Path) -> None:
    """So do distributions arrange it, and systemd; a user's own key is the user's alone."""
    certificate, key = write_pair(tmp_path, one_pair())
    key.chmod(0o640)
    if key.stat().st_uid == 0:
        Certificate(certificate, key)
        os.chown(key, 12345, 12345)
    with pytest.raises(ConfigError, match="open to other users"):
        Certificate(certificate, key)


def test_a_reload_that_fails_changes_nothing(tmp_path: Path) -> None:
    """The old certificate stays in use."""
    files = write_pair(tmp_path, one_pair())
    certificate = Certificate(*files)
    before = certificate.context
    files[1].write_bytes(make_pair().key)
    with pytest.raises(ConfigError):
        certificate.reload()
    assert certificate.context is before


class Passing(type(Path())):  # type: ignore[misc]  # the class of paths of this system
    """A file that somebody replaces: it can be read once, and is not there for a moment."""

    def read_bytes(self) -> bytes:
        """What is in it."""
        content: bytes = super().read_bytes()
        self.unlink()
        return content


@pytest.mark.parametrize("which", [0, 1])
def test_a_file_that_is_replaced_meanwhile_is_told(tmp_path: Path, which: int) -> None:
    """A program that renews certificates may be at work just then: a server that runs goes on."""
    files = list(write_pair(tmp_path, one_pair()))
    files[which] = Passing(files[which])
    with pytest.raises(ConfigError, match="reload again"):
        Certificate(*files)


@contextmanager
def wires(folder: Path) -> Iterator[tuple[ssl.SSLSocket, TlsWire]]:
    """A client and our end of its connection, after the handshake."""
    near, far = socket.socketpair()
    near.settimeout(5)
    wire = TlsWire(Wire(near), Certificate(*write_pair(folder, one_pair())).context)
    client = client_context().wrap_socket(far, server_hostname="localhost", do_handshake_on_connect=False)
    client.settimeout(0)
    done = {client: False, wire: False}
    while not all(done.values()):
        try:
            client.do_handshake()
            done[client] = True
        except ssl.SSLWantReadError:
            pass
        done[wire] = done[wire] or wire.secure()
    yield client, wire
    client.close()
    wire.close()


def test_a_handshake_waits_for_room_without_a_thread(tmp_path: Path) -> None:
    """A chain of certificates that is larger than what the socket takes: the selector waits for room."""
    pair = one_pair()
    certificate, key = write_pair(tmp_path, pair)
    certificate.write_bytes(pair.certificate * 100)
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(5)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        wire = TlsWire(Wire(near), Certificate(certificate, key).context)
        client = client_context().wrap_bio(incoming := ssl.MemoryBIO(), outgoing := ssl.MemoryBIO())
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        far.sendall(outgoing.read())
        assert not wire.secure()
        assert wire.waits_for == selectors.EVENT_WRITE
        for _ in range(100):
            incoming.write(far.recv(1 << 20))
            if not wire.secure() and wire.waits_for == selectors.EVENT_READ:
                break
        assert wire.waits_for == selectors.EVENT_READ
        wire.close()


def test_a_wire_tells_of_what_the_selector_cannot_see(tmp_path: Path) -> None:
    """A record of which a part was asked for: the rest is inside the TLS layer, the socket is empty."""
    with wires(tmp_path) as (client, wire):
        assert not wire.has_pending
        client.sendall(b"0123456789")
        assert wire.receive_now(memoryview(bytearray(4))) == 4
        assert wire.has_pending
        assert wire.receive_into(memoryview(bytearray(100))) == 6
        assert not wire.has_pending
        assert wire.receive_now(memoryview(bytearray(4))) is None
