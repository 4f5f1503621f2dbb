"""Asks Keycloak who still is somebody, through python-keycloak and the client's own service account.

It needs one role there, `view-users` of the client `realm-management`. python-keycloak is used for nothing
else: it waits long, retries, and puts ids into addresses as they come, all of which is held in check here.
Called by off-boarding.
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

from davserver.errors import NotFound, ProviderMisconfigured, ProviderUnavailable
from davserver.identity.base import Person, Provider
from davserver.identity.fetching import TIMEOUT_SECONDS, UNTRUSTED
from davserver.identity.remembered import Monotonic

BATCH = 80
"""How many people one request asks for: their ids are in the address, about 3 KB of it."""

PAUSE_SECONDS = 5
"""After a failure nobody is made to wait for the next one so long."""

ISSUER = re.compile(r"(?P<server>https?://.+)/realms/(?P<realm>[^/]+)")
"""An issuer of Keycloak."""

SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._@+-]{0,254}")
"""What Keycloak gives as `sub`: a UUID, or "f:" and another directory's own id. Safe in an address and a
query: it neither ends a part of a path, nor is one that means another, nor separates two ids."""

PASSWORD = "password"  # noqa: S105 - a kind of credential

STRANGE = "what answers about people is not the realm that identity.issuer names"

NOT_ALLOWED = (
    "the client's service account may not look people up: give it the role view-users of realm-management"
)


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
        """See `Directory.find`. A request for every `BATCH` people, and more for whoever seems to be gone."""
        wanted = sorted(subject for subject in set(subjects) if SUBJECT.fullmatch(subject))
        people: dict[str, Person] = {}
        for start in range(0, len(wanted), BATCH):
            people |= self._find_some(wanted[start : start + BATCH])
        return people

    def roles(self, subject: str) -> frozenset[str]:
        """See `Registry.roles`: through groups and other roles, too."""
        with self._asking() as admin:
            found = admin.get_composite_realm_roles_of_user(_checked(subject))
        return frozenset(_text(role, "name") for role in _objects(found))

    def sessions(self, subject: str) -> frozenset[str]:
        """See `Registry.sessions`."""
        with self._asking() as admin:
            found = admin.get_sessions(_checked(subject))
        return frozenset(_text(session, "id") for session in _objects(found))

    def password_set_at(self, subject: str) -> int:
        """See `Registry.password_set_at`. Of somebody whose password is kept elsewhere it is 0."""
        with self._asking() as admin:
            found = admin.get_credentials(_checked(subject))
        passwords = [one for one in _objects(found) if _text(one, "type") == PASSWORD]
        return max((_number(one, "createdDate") for one in passwords), default=0)

    def _find_some(self, subjects: Sequence[str]) -> dict[str, Person]:
        """Ask for ourselves as well: without the role `view-users` Keycloak answers that nobody exists."""
        try:
            with self._asking() as admin:
                ourselves = _own_subject(admin)
                asked = [*subjects, ourselves]
                found = admin.get_users(
                    {"search": "id:" + " ".join(asked), "briefRepresentation": "true", "max": len(asked)}
                )
        except NotFound:
            raise ProviderMisconfigured(STRANGE) from None
        people = {person.subject: person for person in map(_person, _objects(found))}
        if ourselves not in people:
            raise ProviderMisconfigured(NOT_ALLOWED)
        for subject in subjects:
            if subject not in people and (person := self._look_again(subject, ourselves)) is not None:
                people[subject] = person
        return {subject: people[subject] for subject in subjects if subject in people}

    def _look_again(self, subject: str, ourselves: str) -> Person | None:
        """Somebody who was missing from an answer, by another road; None once it is certain: they are gone.

        It is not if we ourselves are gone a moment later: then the realm is, or the address leads elsewhere.
        """
        person = self._by_id(subject)
        if person is None and self._by_id(ourselves) is None:
            raise ProviderMisconfigured(STRANGE)
        return person

    def _by_id(self, subject: str) -> Person | None:
        try:
            with self._asking() as admin:
                return _person(_object(admin.get_user(subject)))
        except NotFound:
            return None

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
        except TypeError:  # the library's word for an answer that is no list or object where it expects one
            raise ProviderMisconfigured(STRANGE) from None
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
        if status == HTTPStatus.FORBIDDEN:
            return ProviderMisconfigured(NOT_ALLOWED)
        return ProviderMisconfigured(
            f"the identity provider does not accept this client (status {status}): check its secret, and "
            "that it has a service account"
        )


def _own_subject(admin: KeycloakAdmin) -> str:
    """Who our service account is, from the token that Keycloak gave us over its own connection."""
    connection = admin.connection
    if connection.token is None:
        connection.get_token()
    token: Any = connection.token
    claims = jwt.decode(token["access_token"], options={"verify_signature": False})
    return str(claims["sub"])


def _person(found: dict[str, object]) -> Person:
    return Person(_text(found, "id"), _text(found, "username"), found.get("enabled") is True)


def _objects(found: object) -> list[dict[str, object]]:
    """A list of JSON objects. The library hands on whatever came, whoever has answered."""
    if not isinstance(found, list):
        raise ProviderMisconfigured(STRANGE)
    return [_object(one) for one in found]


def _object(found: object) -> dict[str, object]:
    if not isinstance(found, dict):
        raise ProviderMisconfigured(STRANGE)
    return found


def _text(found: dict[str, object], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str):
        raise ProviderMisconfigured(STRANGE)
    return value


def _number(found: dict[str, object], name: str) -> int:
    value = found.get(name)
    if not isinstance(value, int):
        raise ProviderMisconfigured(STRANGE)
    return value


def _checked(subject: str) -> str:
    if not SUBJECT.fullmatch(subject):
        raise NotFound("this is no subject of Keycloak")
    return subject
