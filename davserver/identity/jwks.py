"""The identity provider's signing keys (RFC 7517), remembered.

A known key is served at once, whatever happens at the provider; unknown key ids cause at most
`POLICY.tries` fetches in `POLICY.window` seconds, however many come. So whoever brings many keeps a key that
is really new from us, but for no longer than that window. Called by `tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping

import jwt

from davserver.errors import ProviderMisconfigured, TokenRefused
from davserver.identity.remembered import Policy, Remembered

ALGORITHMS = frozenset({"RS256", "PS256", "ES256"})
"""What a token may be signed with. Nothing symmetric: our client secret must not make a token."""

POLICY = Policy(lifespan=300, max_stale=3600, tries=2, window=60)
"""A withdrawn key is believed 5 minutes longer, or an hour while the provider is down."""

KeySet = Mapping[str, jwt.PyJWK]


class SigningKeys:
    """Finds keys by their id.

    Args:
        remembered: what was parsed by `parse_keys`, under `POLICY`.
    """

    def __init__(self, remembered: Remembered[KeySet]) -> None:
        self._remembered = remembered

    def find(self, key_id: str) -> jwt.PyJWK:
        """The key of this id; the provider is asked again if it is new to us.

        Raises:
            TokenRefused: the provider has no such key, or none that we have heard of yet.
            ProviderUnavailable, ProviderMisconfigured: no keys are known and none can be had.
        """
        key = self._remembered.get().get(key_id) or self._remembered.renew().get(key_id)
        if key is None:
            raise TokenRefused("the token is signed with a key that the identity provider does not have")
        return key


def parse_keys(document: Mapping[str, object]) -> KeySet:
    """The public keys for signatures in a key set; those of other kinds are left out.

    Raises:
        ProviderMisconfigured: there are none.
    """
    try:
        keys = jwt.PyJWKSet.from_dict(dict(document)).keys
    except (jwt.PyJWTError, TypeError, AttributeError):
        keys = []
    usable = {key.key_id: key for key in keys if key.key_id and _may_sign(key)}
    if not usable:
        raise ProviderMisconfigured("the identity provider shows no key that tokens may be signed with")
    return usable


def _may_sign(key: jwt.PyJWK) -> bool:
    return key.public_key_use in {"sig", None} and key.algorithm_name in ALGORITHMS
