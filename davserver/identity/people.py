"""Makes an `Identity` of the claims of verified tokens: roles, quota, name. Called by `keycloak`."""

from __future__ import annotations

from collections.abc import Callable

from davserver.errors import RoleMissing, TokenRefused
from davserver.identity.base import ROLE_USER, Identity
from davserver.identity.tokens import Claims, seconds_of, text_of

ROLES = "realm_access"
"""Claim that holds an object with the list `roles`, in Keycloak's way of saying it."""

QUOTA = "dav_quota_bytes"
"""Claim that holds the quota: a whole number of bytes, as number or text."""


def identity_of(id_token: str, claims: Claims, access_claims: Callable[[], Claims]) -> Identity:
    """Who this is, once it is certain that they may come in.

    Args:
        id_token: as it was signed.
        claims: what it says.
        access_claims: what the access token says; asked only if the ID token does not speak of roles, as it
            does not for a client that was made by hand in Keycloak's console.

    Raises:
        RoleMissing: without the role `dav-user`.
        TokenRefused: a claim is not what it must be.
        ClockMismatch: from `access_claims`.
    """
    told = claims if ROLES in claims else {**access_claims(), **claims}
    identity = _identity(claims, told, id_token, seconds_of(claims, "auth_time"))
    if not identity.subject or not identity.username:
        raise TokenRefused("the ID token does not say who this is")
    return identity


def holder_of(claims: Claims) -> Identity:
    """Who holds an access token, once it is certain that they may come in.

    Raises:
        RoleMissing: without the role `dav-user`.
        TokenRefused: a claim is not what it must be.
    """
    return _identity(claims, claims, "", seconds_of(claims, "auth_time") if "auth_time" in claims else 0)


def _identity(claims: Claims, told: Claims, id_token: str, auth_time: int) -> Identity:
    """`told` speaks of roles and quota, `claims` of everything else."""
    roles = _roles(told)
    if ROLE_USER not in roles:
        raise RoleMissing(f"this person does not have the role {ROLE_USER} at the identity provider")
    return Identity(
        subject=text_of(claims, "sub"),
        username=text_of(claims, "preferred_username"),
        name=text_of(claims, "name"),
        email=text_of(claims, "email") if claims.get("email_verified") is True else "",
        roles=roles,
        quota=_quota(told),
        sid=text_of(claims, "sid"),
        id_token=id_token,
        auth_time=auth_time,
        acr=text_of(claims, "acr"),
        amr=_texts(claims.get("amr", [])),
    )


def _roles(claims: Claims) -> frozenset[str]:
    access = claims.get(ROLES, {})
    return _texts(access.get("roles", [])) if isinstance(access, dict) else frozenset()


def _texts(value: object) -> frozenset[str]:
    """Those members of a list that are texts."""
    return frozenset(one for one in value if isinstance(one, str)) if isinstance(value, list) else frozenset()


def _quota(claims: Claims) -> int | None:
    """The quota, or None without one. Something that is no number must not pass for "unlimited"."""
    value = claims.get(QUOTA)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TokenRefused(f"the token's {QUOTA} is not a number of bytes")
    return value
