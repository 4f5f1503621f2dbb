"""Asks the identity provider for a JSON document, bounded in time and size, and waits for its answers.

Never follows a redirect, never trusts another certificate than it was told to, and never keeps a thread that
serves people waiting for a server that drips. Called by `keycloak` and `device_flow`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from http import HTTPStatus
from typing import TypeVar

import requests

from davserver.errors import ProviderMisconfigured, ProviderUnavailable

TIMEOUT_SECONDS = 3
"""How long a connection or a silence may last; pages are waiting for the answer."""

ANSWER_SECONDS = 5
"""How long a whole answer may take, however busily it comes: a time-out counts silences only."""

MAX_ANSWER_BYTES = 512 * 1024
"""Larger than any key set or discovery document."""

UNTRUSTED = (
    "the TLS certificate of the identity provider is not trusted: name who vouches for it, by "
    "identity.ca_bundle or --ca-bundle"
)

_BLOCK = 16 * 1024


Answer = TypeVar("Answer")


class Patience:
    """Waits for answers, for so long and no longer.

    What is not answered in time goes on in a thread of its own until the connection ends.

    Args:
        most: how many questions may be open at once; more are refused.
    """

    def __init__(self, most: int) -> None:
        self._open = threading.BoundedSemaphore(most)

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer, or the error that asking raises.

        Raises:
            ProviderUnavailable: not within `ANSWER_SECONDS`, or too many are waiting.
        """
        if not self._open.acquire(blocking=False):
            raise ProviderUnavailable("too many people are signing in at once")
        answer: Future[Answer] = Future()

        def run() -> None:
            try:
                found = question()
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                self._open.release()
                answer.set_exception(error)
            else:
                self._open.release()
                answer.set_result(found)

        try:
            threading.Thread(target=run, name="identity-provider", daemon=True).start()
        except RuntimeError:  # there is no thread to be had
            self._open.release()
            raise ProviderUnavailable("too much is going on at once") from None
        try:
            return answer.result(ANSWER_SECONDS)
        except TimeoutError:
            raise ProviderUnavailable("the identity provider answers too slowly") from None


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


def post_form(
    url: str, form: Mapping[str, str], ca_bundle: str, timeout: float
) -> tuple[int, dict[str, object]]:
    """Send a form once, never again by itself, and return status and JSON object of the answer.

    Args:
        url: absolute address.
        form: the fields; secrets travel in the body.
        ca_bundle: as `get_json`.
        timeout: how long a connection or a silence may last, in seconds.

    Raises:
        ProviderUnavailable: no answer in time, or the answer of a server in trouble.
        ProviderMisconfigured: the certificate is wrong, or the answer is no JSON.
    """
    with (
        told_apart(),
        requests.Session() as session,
        session.post(
            url,
            data=dict(form),
            timeout=timeout,
            verify=ca_bundle or True,
            stream=True,
            allow_redirects=False,
            auth=_nobody,
        ) as answer,
    ):
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _require_ok(answer.status_code)
        body = _body(answer)
        return answer.status_code, _parse(body) if body else {}


def status_with(url: str, token: str, ca_bundle: str) -> int:
    """What `url` answers to OPTIONS with an access token (RFC 6750, 2.1): the status.

    Raises:
        ProviderUnavailable, ProviderMisconfigured: as `get_json`.
    """
    with (
        told_apart(),
        requests.Session() as session,
        session.options(
            url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_SECONDS,
            verify=ca_bundle or True,
            stream=True,
            allow_redirects=False,
            auth=_nobody,
        ) as answer,
    ):
        return answer.status_code


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
