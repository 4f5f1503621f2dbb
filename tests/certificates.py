"""Certificates for tests, and clients that believe in them."""

from __future__ import annotations

import functools
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from davserver.crypto.certificates import SelfSigned, make_self_signed
from davserver.serving.tls import Certificate

NAMES = ("127.0.0.1", "localhost")


def make_pair(*names: str) -> SelfSigned:
    """A certificate that is valid now, by the clock of this machine, as TLS clients read it."""
    return make_self_signed(names or NAMES, datetime.now(UTC), timedelta(days=1))


def write_pair(folder: Path, pair: SelfSigned) -> tuple[Path, Path]:
    """Both files, as a server wants them."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    certificate.write_bytes(pair.certificate)
    key.touch(mode=0o600)
    key.write_bytes(pair.key)
    return certificate, key


@functools.cache
def one_pair() -> SelfSigned:
    """The same certificate for every test that does not care."""
    return make_pair()


def server_certificate(folder: Path) -> Certificate:
    """`one_pair`, loaded as a server does."""
    return Certificate(*write_pair(folder, one_pair()))


def client_context(pair: SelfSigned | None = None) -> ssl.SSLContext:
    """A client that trusts this certificate and no other."""
    context = ssl.create_default_context(cadata=(pair or one_pair()).certificate.decode())
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context
