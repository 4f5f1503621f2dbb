"""`davserver.crypto.certificates`: what TLS clients accept for its names and for nothing else."""

from __future__ import annotations

import hashlib
import ssl
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from davserver.crypto.certificates import fingerprint, is_self_signed, make_self_signed
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
