"""TLS on accepted connections: the certificate, and a wire that encrypts.

It must never wait for a handshake, nor take a connection that ends without saying so for one that ended in
order. Settings name the files; `server` hands the result to `connection`.
"""

from __future__ import annotations

import contextlib
import selectors
import ssl
import stat
from pathlib import Path
from typing import NoReturn

from davserver.errors import ConfigError
from davserver.serving.wire import Block, Wire

HANDSHAKE = b"\x16"
"""The first byte of every TLS connection (RFC 8446, 5.1: content type "handshake")."""

RECORD_BYTES = 16 * 1024
"""Plaintext of the largest record (RFC 8446, 5.1): what is encrypted and sent at once."""

STRICT_TRANSPORT = ("Strict-Transport-Security", "max-age=31536000")
"""RFC 6797: for a year, browsers do not speak plain http to this host name; sent over https only."""

_MISTRUST = frozenset(
    {
        *("TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"),
        *("SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
    }
)
"""Alerts of clients for which our certificate is not good enough (RFC 8446, 6.2), as OpenSSL names them."""

_MISMATCH = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"})


class Certificate:
    """A certificate with its chain and its key, from two files, ready to be shown to clients.

    Args:
        certificate: PEM, the server's certificate first.
        key: PEM, without a passphrase.

    Attributes:
        context: how TLS is spoken. Replaced as a whole by `reload`.

    Raises:
        ConfigError: one line that says what is wrong with which file, and what to do.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self.context = _load(*self._files)

    def reload(self) -> None:
        """Read both files again, for connections from now on. If that fails the old ones stay in use.

        Raises:
            ConfigError: as in the constructor.
        """
        self.context = _load(*self._files)


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    try:
        _require_pem(certificate, "server.tls_certificate", b"-----BEGIN CERTIFICATE-----")
        _require_pem(key, "server.tls_key", b"PRIVATE KEY-----")
        _require_guarded(key)
        return _context(certificate, key)
    except OSError as error:
        raise ConfigError(
            f"{certificate} and {key} are being replaced ({error.strerror}); reload again when that is done"
        ) from None


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # it would let a client ask for work in the middle of a body
    context.set_alpn_protocols(["http/1.1"])

    def refuse() -> NoReturn:
        raise ConfigError(f"{key}: the key has a passphrase; set server.tls_key to one without")

    try:
        context.load_cert_chain(certificate, key, password=refuse)
    except ssl.SSLError as error:
        if error.reason in _MISMATCH:
            raise ConfigError(
                f"{key}: not the key of {certificate}; set server.tls_certificate and server.tls_key to "
                "files that were made together"
            ) from None
        raise ConfigError(
            f"{certificate} and {key} cannot be used ({error.reason or 'not valid PEM'}); "
            "give server.tls_certificate and server.tls_key undamaged PEM files"
        ) from None
    return context


def _require_pem(path: Path, setting: str, mark: bytes) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); correct {setting}") from None
    if mark not in content:
        what = "certificate" if b"CERT" in mark else "private key"
        raise ConfigError(f"{path}: holds no {what} in PEM; correct {setting}")


def _require_guarded(key: Path) -> None:
    """The owner may read it, and of root's files also one group, as distributions and systemd arrange it."""
    status = key.stat()
    allowed = 0o740 if status.st_uid == 0 else 0o700
    if stat.S_IMODE(status.st_mode) & ~allowed:
        raise ConfigError(f"{key}: the key is open to other users; run chmod 0600 on it")


def is_mistrust(error: BaseException | None) -> bool:
    """Whether a connection ended because its client does not trust our certificate, and has said so.

    With TLS 1.3 some say it in the handshake, and others after it, when something is read.
    """
    return isinstance(error, ssl.SSLError) and error.reason in _MISTRUST


class TlsWire(Wire):
    """A socket inside TLS. Use it once `secure` has said that it is.

    Every read and write goes through methods of the TLS layer that refuse to work without it, never through
    those of the same socket that would then go on in plain text.
    """

    def __init__(self, wire: Wire, context: ssl.SSLContext) -> None:
        self._tls = context.wrap_socket(
            wire.socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        self._ended = False
        super().__init__(self._tls, wire.patience, wire.timeout)

    def secure(self) -> bool:
        """Take the handshake as far as it goes without waiting; returns whether it is done.

        Raises:
            OSError: it failed, or the peer is gone.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.waits_for = selectors.EVENT_READ
            return False
        except ssl.SSLWantWriteError:
            self.waits_for = selectors.EVENT_WRITE
            return False
        self.waits_for = selectors.EVENT_READ
        return True

    # ── receiving
    @property
    def has_pending(self) -> bool:
        """See `Wire`."""
        return not self._ended and self._tls.pending() > 0

    def receive_now(self, view: memoryview) -> int | None:
        """See `Wire`. None as well where only a part of a record is there."""
        try:
            return self._tls.read(len(view), view)  # type: ignore[return-value]  # as documented; the stub errs
        except ssl.SSLWantReadError:
            return None

    # ── sending
    def send(self, *parts: Block) -> None:
        """See `Wire`. Short parts share a record, long ones are not copied."""
        record = bytearray()
        for part in parts:
            with memoryview(part) as view:
                begin = 0
                if record or len(view) < RECORD_BYTES:
                    begin = RECORD_BYTES - len(record)
                    record += view[:begin]
                    if len(record) < RECORD_BYTES:
                        continue
                    self._write(record)
                    record = bytearray()
                for start in range(begin, len(view), RECORD_BYTES):
                    self._write(view[start : start + RECORD_BYTES])
        if record:
            self._write(record)

    def _write(self, record: bytearray | memoryview) -> None:
        """One record; a part of it that is on its way already must be followed by the rest of the same."""
        while True:
            try:
                self.leaving.moved += self._tls.write(record)
            except ssl.SSLWantWriteError:
                self._wait_for_room()
            else:
                return

    # ── ends
    def finish(self) -> None:
        """See `Wire`."""
        self._say_goodbye()
        super().finish()

    def close(self) -> None:
        """See `Wire`."""
        self._say_goodbye()
        super().close()

    def _say_goodbye(self) -> None:
        """Send close_notify, so that the end cannot be taken for a cut (RFC 8446, 6.1); waits for no answer.

        After a `send` that failed it would be a lie: then the TLS layer, in the middle of a record, refuses.
        """
        if self._ended:
            return
        self._ended = True
        with contextlib.suppress(OSError, ValueError):  # it does not wait, and nobody may be there
            self._tls.unwrap()
