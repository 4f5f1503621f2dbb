"""Asks the identity provider for a JSON document, bounded in time and size.

Never follows a redirect, and never trusts another certificate than it was told to. Called by `keycloak`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import requests

from davserver.errors import ProviderMisconfigured, ProviderUnavailable

TIMEOUT_SECONDS = 3
"""How long a connection or a silence may last; pages are waiting for the answer."""

MAX_ANSWER_BYTES = 512 * 1024
"""Larger than any key set or discovery document."""

UNTRUSTED = "the TLS certificate of the identity provider is not trusted: set identity.ca_bundle"

_BLOCK = 16 * 1024


def get_json(url: str, ca_bundle: str) -> dict[str, object]:
    """The JSON object at `url`.

    Args:
        url: absolute address.
        ca_bundle: PEM file of trusted authorities; "" is those of the system.

    Raises:
        ProviderUnavailable: no answer in time, or the answer of a server in trouble.
        ProviderMisconfigured: an answer that says that the address or the certificate is wrong.
    """
    with (
        told_apart(),
        requests.Session() as session,
        session.get(
            url,
            timeout=TIMEOUT_SECONDS,
            verify=ca_bundle or True,
            stream=True,
            allow_redirects=False,
            auth=_nobody,
        ) as answer,
    ):
        _require_ok(answer.status_code)
        return _parse(_body(answer))


@contextmanager
def told_apart() -> Iterator[None]:
    """Turn what `requests` raises into our errors.

    Raises:
        ProviderUnavailable, ProviderMisconfigured: as `get_json`.
    """
    try:
        yield
    except requests.exceptions.SSLError:
        raise ProviderMisconfigured(UNTRUSTED) from None
    except requests.RequestException as error:
        raise ProviderUnavailable(f"the identity provider does not answer ({type(error).__name__})") from None
    except OSError:
        raise ProviderMisconfigured("the file that identity.ca_bundle names cannot be read") from None


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep `requests` from adding a password of a .netrc file."""
    return request


def _require_ok(status: int) -> None:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ProviderUnavailable(f"the identity provider is in trouble (status {status})")
    if status != HTTPStatus.OK:
        raise ProviderMisconfigured(
            f"the identity provider has no such realm (status {status}): check identity.issuer"
        )


def _body(answer: requests.Response) -> bytes:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    body = bytearray()
    for block in answer.iter_content(_BLOCK):
        body += block
        if len(body) > MAX_ANSWER_BYTES:
            raise ProviderMisconfigured("the identity provider's answer is too long: check identity.issuer")
        if time.monotonic() > deadline:
            raise ProviderUnavailable("the identity provider answers too slowly")
    return bytes(body)


def _parse(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ProviderMisconfigured("the identity provider's answer is not JSON: check identity.issuer")
    return document
