"""What the rest of the program expects of whoever knows people: the contracts of identity providers.

It must never know how accounts are kept, nor anything of Flask. There are two; `bootstrap` chooses:

- `local` (the default): built-in accounts. `IdentityProvider`, called by `accounts/sign_in.py`.
- `keycloak`: an OpenID provider. `SingleSignOn`, called by the pages of the site.

Both are a `Directory`: they can be asked at any time who still is somebody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from davserver.db.rows import Row
from davserver.model import AccountId

ROLE_USER = "dav-user"
"""Role at the identity provider without which nobody comes in."""

ROLE_ADMIN = "dav-admin"
"""Role at the identity provider that makes an administrator."""


class IdentityProvider(Protocol):
    """Knows who somebody is from a user name and a password."""

    def authenticate(self, username: str, password: str) -> AccountId:
        """Whose password this is. Takes as long for an unknown user as for a wrong password.

        Raises:
            AuthenticationError: unknown user or wrong password, without saying which.
        """
        ...


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID provider and what we are to it.

    Attributes:
        issuer: its own name for itself, an address like "https://id.example.org/realms/example".
        client_id, client_secret: what we are called there, and the proof of it.
        cli_client_id: what `sealdav token` is called there; "" if nobody uses it.
        ca_bundle: PEM file of the authorities that vouch for its TLS certificate; "" is those of the system.
        clock_skew: how far its clock and ours may be apart, in seconds.
        post_logout_url: where people land after they signed out; "" leaves it to the caller.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    ca_bundle: str = ""
    clock_skew: int = 30
    post_logout_url: str = ""
    cli_client_id: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that has begun. Kept in the server-side session (it holds secrets), never sent anywhere.

    Only strings, whole numbers and None: so `dataclasses.asdict` makes JSON of it.

    Attributes:
        state: what the callback must bring back (RFC 6749, 10.12).
        nonce: what the ID token must hold (OpenID Connect Core 1.0, 3.1.2.1).
        verifier: the secret of PKCE (RFC 7636, 4.1).
        redirect_uri: the callback's address, exactly as it is registered at the provider.
        started_at: seconds since the Unix epoch.
        max_age: how old the provider's own sign-in may be, in seconds; None is any age.
    """

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str
    started_at: int
    max_age: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom a verified token tells of and who may use this server: the role `dav-user` was checked.

    An ID token says all of it. An access token (`AccessTokens`) may leave out everything but `subject` and
    `sid`: texts are "" then, and `auth_time` is 0.

    Attributes:
        subject: who it is, for ever (`sub`); accounts hang on this.
        username: a label that the provider may change.
        name: the person's own name, or "".
        email: "" if the provider does not say, or does not vouch for it.
        roles: the realm's roles of the person.
        quota: bytes of plaintext; None if the provider does not say.
        sid: the session at the provider, which its logout notices name; "" if it does not say.
        id_token: to be kept in the server-side session for `SingleSignOn.logout_url`. A secret. An access
            token's is "".
        auth_time: when the person last typed the credentials; seconds since the Unix epoch.
        acr: how the person signed in, in the provider's words ("" if it does not say).
        amr: with which factors, in the provider's words.
    """

    subject: str
    username: str
    name: str
    email: str
    roles: frozenset[str]
    quota: int | None
    sid: str
    id_token: str = field(repr=False)
    auth_time: int
    acr: str = ""
    amr: frozenset[str] = frozenset()

    @property
    def is_admin(self) -> bool:
        """Whether this is an administrator."""
        return ROLE_ADMIN in self.roles


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """The provider ended a session, or all of somebody's (OpenID Connect Back-Channel Logout 1.0, 2.4).

    Attributes:
        sub: whose; "" if only `sid` was named.
        sid: which session; "" means every session of `sub`.
        jti: the notice's own name; it was not seen before.
    """

    sub: str
    sid: str
    jti: str


class SingleSignOn(Protocol):
    """Signs people in and out at an OpenID provider, and hears of those who were signed out there.

    No method waits longer than a few seconds for the provider. Safe to be called from many threads.
    """

    def begin(self, redirect_uri: str, *, max_age: int | None = None) -> tuple[str, Pending]:
        """Start a sign-in: send the browser to the URL, keep the rest in its server-side session.

        Args:
            redirect_uri: absolute address of the callback page; the same that is registered at the provider.
            max_age: demand that the credentials were typed at most so many seconds ago; 0 has them typed now.

        Raises:
            ProviderUnavailable: the provider does not answer.
            ProviderMisconfigured: the answer is not that of the issuer in the settings.
        """
        ...

    def finish(self, pending: Pending, callback: Mapping[str, str]) -> Identity:
        """End a sign-in with the query of the callback's address. A `pending` is good for one call.

        Raises:
            SignInCancelled: the person turned back at the provider.
            SignInStale: the answer belongs to no sign-in of this session, or comes too late: begin again.
            RoleMissing: the person is known, but lacks `dav-user`.
            SecondFactorMissing: the provider's second factor is demanded, and was not proved there.
            ClockMismatch: the clocks of this server and of the provider disagree.
            TokenRefused: an answer that must not be believed.
            ProviderMisconfigured: realm, client or secret are not what the provider knows.
            ProviderUnavailable: the provider does not answer.
        """
        ...

    def logout_url(self, id_token: str, return_to: str) -> str:
        """Where the browser goes to end the session at the provider too (RP-Initiated Logout 1.0).

        Args:
            id_token: `Identity.id_token` of the session that ends.
            return_to: absolute address registered at the provider; the settings' `post_logout_url` wins.

        Raises:
            ProviderUnavailable: the provider does not answer; our own session can end all the same.
            ProviderMisconfigured: as `begin`.
        """
        ...

    def verify_logout_token(self, token: str) -> LogoutNotice:
        """What the provider tells by a back-channel logout. The same token is refused the second time.

        Raises:
            TokenRefused: not a logout token of this provider for us, or seen before; nothing may be ended.
            ClockMismatch: expired, or from the future.
            ProviderMisconfigured: as `begin`.
            ProviderUnavailable: its keys cannot be had now.
        """
        ...


class AccessTokens(Protocol):
    """Judges the access tokens that programs send, without asking the provider about each."""

    def verify_access_token(self, token: str) -> Identity:
        """Whom a token tells of that a program sent as its credential (RFC 6750, 2.1).

        Raises:
            TokenRefused: not an access token of this provider for us, issued to a client of ours, good now.
            ClockMismatch: issued in the future, by our clock.
            RoleMissing: the person lacks `dav-user`.
            ProviderUnavailable, ProviderMisconfigured: there is no key to check it with.
        """
        ...


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as the directory knows them at this moment.

    Attributes:
        subject: as `Identity.subject`.
        username: as `Identity.username`.
        enabled: whether they may sign in at all.
    """

    subject: str
    username: str
    enabled: bool


class Directory(Protocol):
    """Who is still somebody, asked without their being there."""

    def find(self, subjects: Collection[str]) -> dict[str, Person]:
        """Those of `subjects` that exist. Whoever is missing from the answer was deleted, or never was.

        Raises:
            ProviderUnavailable: the directory does not answer now, so nothing is known.
            ProviderMisconfigured: it answers, but does not let us look.
        """
        ...


class Registry(Directory, Protocol):
    """A directory that can be asked more of one person: all that off-boarding has to know.

    Each method raises as `Directory.find`, and `NotFound` for somebody who is not there: which proves nothing
    by itself, since somebody else's 404 looks the same.
    """

    def roles(self, subject: str) -> frozenset[str]:
        """The realm's roles that somebody has, by whatever way."""
        ...

    def sessions(self, subject: str) -> frozenset[str]:
        """The sessions at the provider that somebody has now, as `Identity.sid` names them."""
        ...

    def password_set_at(self, subject: str) -> int:
        """Since when somebody has this password, in milliseconds by the provider's clock; 0 without one."""
        ...


class RowKeeper(Protocol):
    """Vouches for rows and checks them; `Keyring` does."""

    def with_mac(self, row: Row) -> Row:
        """The row with the authenticator of its present content."""
        ...

    def checked(self, row: Row) -> Row:
        """The same row, now believed.

        Raises:
            CorruptRow: the row is not the one that was authenticated.
        """
        ...
