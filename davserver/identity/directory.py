"""Asks Keycloak who still is somebody, through python-keycloak and the client's own service account.

It needs one role there, `view-users` of the client `realm-management`. python-keycloak is used for nothing
else: it waits long, retries, and puts ids into addresses as they come, all of which is held in check here.
Called by the pages of administrators.
"""

from __future__ import annotations

import re
import threading
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import jwt
import requests
from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakConnectionError, KeycloakError

from davserver.errors import InvalidValue, NotFound, ProviderMisconfigured, ProviderUnavailable
from davserver.identity.base import Person, Provider
from davserver.identity.fetching import TIMEOUT_SECONDS, UNTRUSTED
from davserver.identity.remembered import Monotonic

BATCH = 80
"""How many people one request asks for: their ids are in the address, about 3 KB of it."""

PAUSE_SECONDS = 5
"""After a failure nobody is made to wait for the next one so long."""

ISSUER = re.compile(r"(?P<server>https?://.+)/realms/(?P<realm>[^/]+)")
"""An issuer of Keycloak."""

SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_-]{0,254}")
"""What Keycloak gives as `sub`: a UUID, or "f:" and a provider's own id. Safe in an address and a query."""


class KeycloakDirectory:
    """One realm's people; a `Directory`. Asks one question at a time.

    Args:
        provider: which realm, and what we are to it.
        monotonic: seconds since some moment.
    """

    def __init__(self, provider: Provider, monotonic: Monotonic = time.monotonic) -> None:
        place = ISSUER.fullmatch(provider.issuer)
        if place is None:
            raise ProviderMisconfigured("an issuer of Keycloak is like https://id.example.org/realms/NAME")
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._down_until = float("-inf")
        self._admin: KeycloakAdmin | None = None
        self._options: dict[str, Any] = {
            "server_url": place["server"] + "/",
            "realm_name": place["realm"],
            "client_id": provider.client_id,
            "client_secret_key": provider.client_secret,
            "verify": provider.ca_bundle or True,
            "timeout": TIMEOUT_SECONDS,
            "max_retries": 0,
        }

    def find(self, subjects: Collection[str]) -> dict[str, Person]:
        """See `Directory.find`. One request for every `BATCH` people."""
        wanted = sorted({_checked(subject) for subject in subjects})
        people: dict[str, Person] = {}
        for start in range(0, len(wanted), BATCH):
            people |= self._find_some(wanted[start : start + BATCH])
        return people

    def roles(self, subject: str) -> frozenset[str]:
        """The realm's roles that one person has, through groups and other roles too.

        Raises:
            InvalidValue: not a subject of Keycloak.
            NotFound: there is no such person.
            ProviderUnavailable, ProviderMisconfigured: as `Directory.find`.
        """
        path = _checked(subject)
        with self._asking() as admin:
            found = admin.get_composite_realm_roles_of_user(path)
        return frozenset(str(role["name"]) for role in found)

    def _find_some(self, subjects: Sequence[str]) -> dict[str, Person]:
        """Ask for ourselves as well: without the role `view-users` Keycloak answers that nobody exists."""
        with self._asking() as admin:
            ourselves = _own_subject(admin)
            asked = [*subjects, ourselves]
            found = admin.get_users(
                {"search": "id:" + " ".join(asked), "briefRepresentation": "true", "max": len(asked)}
            )
        people = {str(one["id"]): _person(one) for one in found}
        if ourselves not in people:
            raise ProviderMisconfigured(
                "the client's service account may not look people up: "
                "give it the role view-users of realm-management"
            )
        return {subject: people[subject] for subject in subjects if subject in people}

    @contextmanager
    def _asking(self) -> Iterator[KeycloakAdmin]:
        """The wrapped client for one question, and its errors as ours."""
        if not self._lock.acquire(timeout=TIMEOUT_SECONDS):
            raise ProviderUnavailable("the identity provider takes too long to answer")
        try:
            if self._monotonic() < self._down_until:
                raise ProviderUnavailable("the identity provider did not answer a moment ago")
            yield self._connected()
        except KeycloakError as error:
            raise self._ours(error) from None
        finally:
            self._lock.release()

    def _connected(self) -> KeycloakAdmin:
        """python-keycloak's client, made when it is first needed: it reads the file of authorities."""
        if self._admin is None:
            with warnings.catch_warnings():
                # It also makes an httpx client that nobody uses, which dislikes how it is told that file.
                warnings.simplefilter("ignore", DeprecationWarning)
                try:
                    admin = KeycloakAdmin(**self._options)
                    _ = admin.connection.keycloak_openid
                except OSError:
                    raise ProviderMisconfigured(
                        "the file that identity.ca_bundle names cannot be read"
                    ) from None
            self._admin = admin
        return self._admin

    def _ours(self, error: KeycloakError) -> Exception:
        status = error.response_code
        if isinstance(error.__cause__, requests.exceptions.SSLError):
            return ProviderMisconfigured(UNTRUSTED)
        if (
            isinstance(error, KeycloakConnectionError)
            or status is None
            or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            self._down_until = self._monotonic() + PAUSE_SECONDS
            return ProviderUnavailable("the identity provider does not answer questions about people")
        if status == HTTPStatus.NOT_FOUND:
            return NotFound("the identity provider knows nobody of this subject")
        return ProviderMisconfigured(
            f"the identity provider does not let this client look people up (status {status}): "
            "it needs a service account with the role view-users of realm-management"
        )


def _own_subject(admin: KeycloakAdmin) -> str:
    """Who our service account is, from the token that Keycloak gave us over its own connection."""
    connection = admin.connection
    if connection.token is None:
        connection.get_token()
    token: Any = connection.token
    claims = jwt.decode(token["access_token"], options={"verify_signature": False})
    return str(claims["sub"])


def _person(found: dict[str, Any]) -> Person:
    return Person(str(found["id"]), str(found["username"]), found.get("enabled") is True)


def _checked(subject: str) -> str:
    if not SUBJECT.fullmatch(subject):
        raise InvalidValue("this is not a subject of Keycloak")
    return subject
