"""`davserver.crypto.certificates`: what TLS clients accept for its names and for nothing else."""

from __future__ import annotations

import hashlib
import ssl
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from davserver.crypto.certificates import covers, fingerprint, is_self_signed, make_self_signed
from tests.fakes import START

ISSUED = b"""\
-----BEGIN CERTIFICATE-----
MIIBAjCBqgIBAjAKBggqhkjOPQQDAjANMQswCQYDVQQDDAJjYTAeFw0yNjExMjYw
NDUwMjlaFw0yNjEyMDYwNDUwMjlaMA8xDTALBgNVBAMMBGxlYWYwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAATgeO1Wyj0PFHDkYKLcTwfTxVtZhrYx2vNqNZg+qtPT
UdV3rBHjyrXlHCRIiY7PfY11cxPLt5yS+f/DqLFUDgAXMAoGCCqGSM49BAMCA0cA
MEQCIAjkSa4uDJk7YWiwYC9+mcXUH9+/x47sVCotBOXzutE5AiAiBC7QjcO5UyU7
Fu17gtXH6AQ00u541Cmav1Xxopee7w==
-----END CERTIFICATE-----
"""
"""A leaf that another certificate vouches for, made with openssl."""

NAMES = ("dav.example.org", "localhost", "127.0.0.1", "::1")


def test_a_certificate_is_what_was_asked_for() -> None:
    """Names, time, the key, and no right to vouch for others."""
    made = make_self_signed(NAMES, START, timedelta(days=7))
    certificate = x509.load_pem_x509_certificate(made.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["dav.example.org", "localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert certificate.not_valid_before_utc <= START
    assert certificate.not_valid_after_utc == START + timedelta(days=7)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.public_key() == load_pem_private_key(made.key, None).public_key()
    certificate.verify_directly_issued_by(certificate)


def test_no_two_are_alike() -> None:
    """Another key and another serial number each time; and the key is in no representation."""
    first, second = (make_self_signed(NAMES, START, timedelta(days=7)) for _ in range(2))
    serials = {x509.load_pem_x509_certificate(one.certificate).serial_number for one in (first, second)}
    assert len(serials) == 2
    assert first.key != second.key
    assert first.key.decode().splitlines()[1] not in repr(first)


@pytest.mark.parametrize(
    ("host", "is_covered"),
    [
        ("dav.example.org", True),
        ("DAV.Example.org", True),
        ("a.drives.example.org", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("example.org", False),
        ("drives.example.org", False),
        ("a.b.drives.example.org", False),
        ("127.0.0.2", False),
        ("localhost", False),
        ("müller.example", False),
        ("", False),
    ],
)
def test_which_hosts_a_certificate_is_for(host: str, *, is_covered: bool) -> None:
    """As clients judge it: an asterisk stands for one part of a name, and names in capitals are the same."""
    names = ("dav.example.org", "*.drives.example.org", "127.0.0.1", "::1")
    made = make_self_signed(names, START, timedelta(days=7)).certificate
    assert covers(made, host) == is_covered


def test_a_certificate_without_such_names_is_for_nobody() -> None:
    """Clients do not look at its subject any more; what is no certificate is told as such."""
    assert not covers(ISSUED, "leaf")
    with pytest.raises(ValueError, match="PEM"):
        covers(b"damaged", "leaf")


def test_the_fingerprint_is_what_other_programs_show() -> None:
    """As `openssl x509 -fingerprint -sha256`, of the first certificate in the file."""
    first, second = (make_self_signed(NAMES, START, timedelta(days=7)).certificate for _ in range(2))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(first.decode())).hexdigest()
    shown = fingerprint(first + second)
    assert shown == fingerprint(first) != fingerprint(second)
    assert shown.count(":") == 31
    assert shown.replace(":", "").lower() == digest


def test_self_signed_ones_are_told_from_others() -> None:
    """By the name of who vouches; text that is no certificate is an error."""
    assert is_self_signed(make_self_signed(NAMES, START, timedelta(days=7)).certificate)
    assert not is_self_signed(ISSUED)
    with pytest.raises(ValueError, match=r"(?i)pem"):
        is_self_signed(b"no certificate")
