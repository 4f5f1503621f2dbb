"""X.509: a certificate for trying TLS out, and what there is to know about one.

No part of the encrypted format. Pure, as the rest of `crypto`. Called by `davserver.cli`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from davserver.crypto.primitives import random_bytes

SERIAL_BYTES = 16
"""RFC 5280, 4.1.2.2 permits 20; nobody can guess one of these."""

CLOCK_SKEW = timedelta(hours=1)
"""How far behind ours a client's clock may be."""

MAX_COMMON_NAME = 64
"""RFC 5280, appendix A.1 (ub-common-name)."""


@dataclass(frozen=True, slots=True)
class SelfSigned:
    """A certificate that vouches for itself, and its key; both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def make_self_signed(names: Sequence[str], now: datetime, lifetime: timedelta) -> SelfSigned:
    """Make a key on P-256 and a certificate of it for a server.

    It can vouch for nothing but itself: whoever trusts it trusts no other server by that.

    Args:
        names: ASCII host names and IP addresses, at least one.
        now: when it begins to be valid, with some allowance for clocks that are behind.
        lifetime: how long it is valid from `now`.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:MAX_COMMON_NAME])])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=int.from_bytes(random_bytes(SERIAL_BYTES)) + 1,  # zero is not allowed
        not_valid_before=now - CLOCK_SKEW,
        not_valid_after=now + lifetime,
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectAlternativeName([_general_name(one) for one in names]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return SelfSigned(
        builder.sign(key, SHA256()).public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of the first certificate in `certificate` (PEM), as clients show it: `AB:CD:...`."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(SHA256()).hex(":").upper()


def covers(certificate: bytes, host: str) -> bool:
    """Whether the first certificate in `certificate` (PEM) is for a host, as clients judge it (RFC 9525, 6).

    Args:
        certificate: what is looked at.
        host: a name or an IP address, as in an address of the web without brackets.

    Raises:
        ValueError: there is none.
    """
    extensions = x509.load_pem_x509_certificate(certificate).extensions
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    known = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    known |= {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return not known.isdisjoint(_names_of(host))


def _names_of(host: str) -> tuple[str, ...]:
    """What a certificate for it may say; `*` stands for the first part of a name."""
    try:
        return (str(ip_address(host)),)
    except ValueError:
        return host.lower(), f"*.{host.lower().partition('.')[2]}"


def is_self_signed(certificate: bytes) -> bool:
    """Whether the first certificate in `certificate` (PEM) names itself as the one who vouches for it.

    Raises:
        ValueError: there is none.
    """
    first = x509.load_pem_x509_certificate(certificate)
    return first.issuer == first.subject
