"""Signing in and out at an identity provider, and hearing of those who signed out there.

Nothing here believes a browser or a token: `SingleSignOn` judges them. Without a provider there are no such
pages.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from davserver.audit import PROVIDER, get_logger
from davserver.clock import from_seconds
from davserver.errors import (
    ClockMismatch,
    InvalidValue,
    NotFound,
    ProviderMisconfigured,
    ProviderUnavailable,
    SignInStale,
    TokenRefused,
)
from davserver.identity.base import Pending, SingleSignOn
from davserver.model import ROOT_ID, Account, AuthMethod, Principal, Scope
from enroll_web.entrance import Level, fresh_for, landing, needs, safe_next
from enroll_web.visit import Visit, client, own_origin, services, visit

pages = Blueprint("oidc", __name__)


@pages.post("/sign-in/sso")
def begin() -> Response:
    """Send the browser to the identity provider. Who has to prove it anew types the password there again."""
    onward = safe_next(request.form.get("next"))
    if visit().session is None:  # what follows takes a row of its own
        services().sign_in.begun_elsewhere(client())
    address = own_origin() + url_for("oidc.callback")
    url, pending = _provider().begin(address, max_age=0 if visit().is_signed_in else None)
    visit().remember(oidc=asdict(pending), next=onward)
    return redirect(url, 303)


@pages.get("/oidc/confirm")
@needs(Level.PROVED)
def confirm() -> str:
    """Before something sensitive the second factor is proved anew, where it is the provider's: one button."""
    onward = safe_next(request.args.get("next"))
    return render_template("confirm_there.html", next=onward, minutes=round(fresh_for().total_seconds() / 60))


@pages.get("/oidc/callback")
def callback() -> Response:
    """The browser comes back with an answer, which is good for this session and once.

    Where the second factor is the provider's it was proved together with the first, and `finish` has seen it.
    """
    provider = _provider()
    begun = visit().take_out("oidc")
    if begun is None:
        raise SignInStale("no sign-in is under way in this browser")
    identity = provider.finish(Pending(**begun), request.args)
    services().sign_in.finished_elsewhere(client())
    services().gate.welcome(identity.subject)
    account = services().accounts.provision(identity)
    _keep_email(account, identity.email)
    signed_in_at = min(services().clock(), from_seconds(identity.auth_time))
    both = services().step_up is not None
    onward = visit().recall("next")
    visit().sign_in(
        Principal(
            account,
            Scope.FULL,
            ROOT_ID,
            AuthMethod.BROWSER,
            authenticated_at=signed_in_at,
            totp_at=signed_in_at if both else None,
        ),
        admin=identity.is_admin,
        sid=identity.sid,
        id_token=identity.id_token,
        next=onward,
    )
    if not both:
        return redirect(landing(visit()))
    return redirect(safe_next(visit().take_out("next")) or landing(visit()))


@pages.post("/oidc/backchannel-logout")
def logout_notice() -> tuple[str, int]:
    """The provider's server tells that a session ended (OpenID Connect Back-Channel Logout 1.0, 2.8)."""
    try:
        notice = _provider().verify_logout_token(request.form.get("logout_token", ""))
    except (TokenRefused, ClockMismatch) as error:
        get_logger("sealdav.site").warning("logout notice refused", reason=str(error))
        return "", 400
    if notice.sid:
        services().sessions.end_at_provider(notice.sid)
        return "", 200
    with suppress(NotFound):  # somebody who has never been here
        account = services().accounts.find_subject(notice.sub)
        services().sessions.end_others(account, signed_out_by=PROVIDER)
    return "", 200


def logout_url(somebody: Visit) -> str | None:
    """Where a browser goes to end the session at the provider too; None if it has none, or none answers."""
    provider, id_token = services().single_sign_on, somebody.recall("id_token")
    if provider is None or id_token is None:
        return None
    try:
        return provider.logout_url(id_token, own_origin() + url_for("home.home"))
    except (ProviderMisconfigured, ProviderUnavailable):
        return None


def _keep_email(account: Account, email: str) -> None:
    """Take the provider's word for where mails go. One that we could not write to keeps nobody out."""
    if email and email != services().profiles.of(account.id).email:
        with suppress(InvalidValue):
            services().profiles.set_email(account, email)


def _provider() -> SingleSignOn:
    provider = services().single_sign_on
    if provider is None:
        abort(404)
    return provider
