"""Asks a Keycloak that has just started for everything once: the first time of each may take it seconds.

A server here waits three seconds for an answer, and then asks nothing for five.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from davserver.clock import utc_now
from davserver.errors import ProviderUnavailable
from davserver.identity.base import Provider
from davserver.identity.directory import KeycloakDirectory
from davserver.identity.keycloak import KeycloakSignOn
from tests.services.keycloak import CLIENT, PASSWORD, Keycloak
from tests.services.sign_in_form import Person

NAME = "warm-up"
SITE = "http://127.0.0.1:9"
"""Nobody listens there."""


def warm_up(keycloak: Keycloak) -> None:
    """Sign somebody in, and ask about them, in a realm that is gone afterwards."""
    realm = keycloak.make_realm(f"{NAME}-{secrets.token_hex(4)}", SITE)
    provider = Provider(realm.issuer, CLIENT, realm.secret())
    subject = realm.add_user(NAME)
    with suppress(ProviderUnavailable), Person(NAME, PASSWORD) as person:
        sign_on = KeycloakSignOn(provider, utc_now)
        url, pending = sign_on.begin(f"{SITE}/oidc/callback")
        sign_on.finish(pending, person.follow(url, f"{SITE}/oidc/callback"))
    with suppress(ProviderUnavailable):
        directory = KeycloakDirectory(provider)
        directory.find([subject])
        directory.roles(subject)
        directory.sessions(subject)
    realm.remove()
