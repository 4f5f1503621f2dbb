"""Who sits at the terminal: signing in for the commands that only the owner of an account may give.

A built-in account has its password here. Whom Keycloak knows signs in there, in any browser, by the device
flow (RFC 8628), and the token that comes of it is judged as the drive judges it. It must never let anybody in
without the second factor, whoever runs the command. Called by the commands.
"""

from __future__ import annotations

from davserver.accounts.bearer import BearerAuthenticator
from davserver.accounts.service import LOCAL
from davserver.audit import AuditEvent
from davserver.bootstrap import Services
from davserver.cli.connect import site_url
from davserver.cli.console import Console
from davserver.errors import (
    AuthenticationError,
    ConfigError,
    NotFound,
    NotPermitted,
    TotpInvalid,
    TotpOutOfSync,
    TotpReplayed,
)
from davserver.model import Account, AuthMethod, Principal
from davserver.settings import IdentitySettings

CLIENT = "terminal"
"""What stands for the peer's address when somebody signs in here."""

CODE_ATTEMPTS = 3


# ── both factors
def prove_owner(services: Services, console: Console, name: str) -> Principal:
    """The owner of an account, who has proved both factors, wherever each of them is asked for.

    Raises:
        NotFound: there is no such account.
        NotPermitted, AuthenticationError: it is somebody else, a factor is missing, or the account is shut.
        ConfigError, ProviderUnavailable: Keycloak signs nobody in, or does not say whether they may come in.
    """
    if services.bearer is not None:
        account = services.accounts.find(name)
        if is_of_keycloak(services, account):
            return _prove_at_keycloak(services, services.bearer, console, account)
    return prove(services, console, sign_in(services, console, name), pending=False)


def prove(services: Services, console: Console, principal: Principal, *, pending: bool) -> Principal:
    """Ask for a one-time code; a person may try again."""
    check = services.totp.confirm if pending else services.totp.verify
    for left in reversed(range(CODE_ATTEMPTS)):
        code = console.line("One-time code")
        try:
            return check(principal, code)
        except (TotpInvalid, TotpOutOfSync, TotpReplayed) as error:
            if not left or not console.interactive:
                raise
            console.note(f"{error}; try again")
    raise AssertionError("unreachable")


# ── by a password of this server
def sign_in(services: Services, console: Console, name: str) -> Principal:
    """Ask for the password of an account: the first factor.

    Raises:
        NotPermitted: the account has none; the message says what to do. Or it is suspended.
        AuthenticationError: unknown user or wrong password, or too many failures.
    """
    account = find(services, name)
    if account is not None:
        require_ours(services, account)
        if not services.identity.has_password(account.id):
            raise NotPermitted(
                f"{account.username} has no password here: set identity.provider, if it is Keycloak's, "
                f"or give one with `sealdav user passwd {account.username}`"
            )
    return with_password(services, name, console.secret(f"Password of {name}"))


def with_password(services: Services, name: str, password: str) -> Principal:
    """Whose password this is."""
    return services.sign_in.with_password(name, password, client=CLIENT, method=AuthMethod.TERMINAL)


def find(services: Services, name: str) -> Account | None:
    """The account of this name, if there is one."""
    try:
        return services.accounts.find(name)
    except NotFound:
        return None


# ── at Keycloak
def is_of_keycloak(services: Services, account: Account) -> bool:
    """Whether its owner signs in at the Keycloak of the settings; else the account is built in."""
    return services.bearer is not None and not account.subject.startswith(LOCAL)


def require_ours(services: Services, account: Account) -> None:
    """Refuse an account whose owner has nothing to type here.

    Raises:
        NotPermitted: they sign in at Keycloak; the message says where to go.
    """
    if is_of_keycloak(services, account):
        raise NotPermitted(
            f"{account.username} signs in at Keycloak, not with a password of this server: "
            f"{where_set_up(services)}"
        )


def where_set_up(services: Services) -> str:
    """Where people of Keycloak do what others do here."""
    site = site_url(services.settings.server)
    if services.step_up is None:
        return f"devices and one-time codes are set up on the site, {site}/"
    return f"devices are set up on the site, {site}/, one-time codes at Keycloak"


def _prove_at_keycloak(
    services: Services, bearer: BearerAuthenticator, console: Console, account: Account
) -> Principal:
    """The owner, by a token that opens the drive; where the codes are ours, by one of them, typed here."""
    is_ours = services.step_up is None
    if is_ours and not services.totp.is_enrolled(account):
        raise NotPermitted(f"{account.username} has no authenticator yet: {where_set_up(services)}")
    token = _token(services.settings.identity, console, account)
    try:
        principal = (bearer.recognise if is_ours else bearer.authenticate)(token, CLIENT)
    except AuthenticationError:
        raise AuthenticationError(
            "who signed in at Keycloak cannot come in here, or not without the second factor: "
            "`sealdav audit tail` says why"
        ) from None
    if principal.account.id != account.id:
        raise NotPermitted(
            f"it was {principal.account.username} who signed in at Keycloak: sign out there, and in as "
            f"{account.username}"
        )
    if is_ours:
        return prove(services, console, principal, pending=False)
    services.audit.record(AuditEvent.SIGNED_IN, account=account.username, client=CLIENT)
    return principal


def _token(identity: IdentitySettings, console: Console, account: Account) -> str:
    """An access token of whoever signs in now. Nothing of it is kept.

    What renews it is not revoked: that would end those of `sealdav token` in the same session.
    """
    # A tenth of a second that other commands never spend.
    from davserver.identity.device_flow import DeviceFlow, find_endpoints  # noqa: PLC0415

    if not identity.cli_client_id:
        raise ConfigError("identity.cli_client_id is empty: people of Keycloak sign in on the site only")
    endpoints = find_endpoints(identity.issuer, identity.ca_bundle)
    flow = DeviceFlow(endpoints, identity.cli_client_id, identity.ca_bundle)
    invitation = flow.begin()
    console.request(
        {"open": invitation.address, "code": invitation.code},
        f"Open this page in a browser, and sign in as {account.username}:\n\n  {invitation.address}\n\n"
        f"It is about the code {invitation.code}; say yes to no other one.\n",
    )
    return flow.wait(invitation).access
