"""One-time codes: set-up, every day's code, the step-up before something sensitive, a lost device."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from davserver.accounts.totp import Enrolment
from davserver.errors import (
    AuthenticationError,
    DavserverError,
    NotFound,
    NotPermitted,
    Throttled,
    TotpOutOfSync,
)
from davserver.model import Principal
from davserver.texts import marked
from enroll_web import qr, words
from enroll_web.entrance import Level, fresh_for, landing, needs, safe_next
from enroll_web.forms import refused
from enroll_web.pages.home import drive_is_https, drive_url
from enroll_web.visit import client, services, visit

pages = Blueprint("second_factor", __name__)


@pages.before_request
def _require_own() -> None:
    """Where the identity provider asks for the second factor there is none of ours."""
    if services().step_up is not None:
        abort(404)


FIRST_DEVICE = marked("first device")
"""Name of the app password that is made together with the authenticator."""

BEGUN = "begun_device"
"""What a session remembers the device by that it has begun to set up: no other session sees its secret."""

CLOCK_WRONG = marked(
    "This code belongs to another time: the clock of your phone is wrong. Set it to automatic time, "
    "wait for the next code, and try again."
)


# ── every day's code
@pages.get("/second-factor")
@needs(Level.SIGNED_IN)
def code() -> Response | str:
    """Ask for the second factor."""
    if visit().is_proved or not services().totp.is_enrolled(visit().account):
        return redirect(landing(visit()))
    return render_template("code.html")


@pages.post("/second-factor")
@needs(Level.SIGNED_IN)
def check_code() -> Response | str:
    """Prove the second factor and go where the person wanted to go."""
    return _proved("code.html", {}, visit().take_out("next"))


@pages.get("/confirm")
@needs(Level.PROVED)
def confirm() -> str:
    """Ask for another code before something sensitive."""
    return render_template("confirm.html", next=safe_next(request.args.get("next")), minutes=_minutes())


@pages.post("/confirm")
@needs(Level.PROVED)
def check_again() -> Response | str:
    """Prove it and go back to where one was."""
    onward = safe_next(request.form.get("next"))
    return _proved("confirm.html", {"next": onward, "minutes": _minutes()}, onward)


# ── set-up
@pages.get("/second-factor/set-up")
@needs(Level.SIGNED_IN)
def set_up() -> Response | str:
    """Show a secret until its first code was typed; a device that is in use stays in use until then."""
    elsewhere = _before_set_up(visit().principal)
    return elsewhere if elsewhere is not None else render_template("set_up.html", **_offer(_begin()))


@pages.post("/second-factor/set-up")
@needs(Level.SIGNED_IN)
def activate() -> Response | str:
    """One right code puts the new device in the old one's place.

    Whoever else is signed in has not shown this device: every other session of the account ends.
    """
    principal = visit().principal
    if (elsewhere := _before_set_up(principal)) is not None:
        return elsewhere
    begun = _begun(principal)
    if begun is None:
        return _begin_again()
    try:
        principal = services().totp.confirm(
            principal,
            request.form.get("code", ""),
            begun.device_id,
            client=client(),
            within=visit().ending_others(),
        )
    except NotFound:
        return _begin_again()
    except Throttled:
        raise
    except TotpOutOfSync:
        return _set_up_again(begun, gettext(CLOCK_WRONG))
    except AuthenticationError as error:
        return _set_up_again(begun, error)
    return _activated(principal)


@pages.get("/welcome")
@needs(Level.PROVED)
def welcome() -> Response | str:
    """The first app password and the recovery codes, this once."""
    shown = visit().take_out("welcome")
    if shown is None:
        return redirect(url_for("home.start"))
    ways = services().connecting.ways(drive_url(), visit().account.username, shown["app_password"])
    return render_template("welcome.html", **shown, ways=ways, drive_url=drive_url(), https=drive_is_https())


# ── recovery codes
@pages.get("/second-factor/recovery-codes")
@needs(Level.PROVED)
def recovery_codes() -> Response | str:
    """A new set, this once."""
    codes = visit().take_out("codes")
    if codes is None:
        return redirect(url_for("second_factor.new_recovery_codes"))
    return render_template("recovery_codes.html", codes=codes)


@pages.get("/second-factor/new-recovery-codes")
@needs(Level.FRESH)
def new_recovery_codes() -> str:
    """Ask whether the old ones shall be worth nothing."""
    return render_template("new_recovery_codes.html", left=services().recovery_codes.left(visit().account))


@pages.post("/second-factor/new-recovery-codes")
@needs(Level.FRESH, back="second_factor.new_recovery_codes")
def renew_recovery_codes() -> Response:
    """Make a new set."""
    visit().remember(codes=services().recovery_codes.renew(visit().principal))
    return redirect(url_for("second_factor.recovery_codes"))


@pages.get("/second-factor/lost")
@needs(Level.SIGNED_IN)
def lost() -> str:
    """What to do without the device."""
    return render_template("lost.html")


@pages.post("/second-factor/lost")
@needs(Level.SIGNED_IN)
def use_recovery_code() -> Response | str:
    """A recovery code takes the lost device away; a new one is set up next."""
    try:
        services().recovery_codes.use(
            visit().principal, request.form.get("recovery_code", ""), within=visit().ending_others()
        )
    except Throttled:
        raise
    except NotPermitted:
        visit().tell(gettext("Please type your password again first."))
        return redirect(url_for("sign_in.form"))
    except AuthenticationError as error:
        return refused("lost.html", error, HTTPStatus.FORBIDDEN)
    visit().tell(gettext("The lost device is out. Now set up the new one."))
    return redirect(url_for("second_factor.set_up"))


def _proved(template: str, context: dict[str, object], onward: str | None) -> Response | str:
    try:
        principal = services().totp.verify(visit().principal, request.form.get("code", ""), client=client())
    except Throttled:
        raise
    except NotFound:
        return redirect(url_for("second_factor.set_up"))
    except AuthenticationError as error:
        if onward is not None and template == "code.html":
            visit().remember(next=onward)
        reason = gettext(CLOCK_WRONG) if isinstance(error, TotpOutOfSync) else error
        return refused(template, reason, HTTPStatus.FORBIDDEN, **context)
    visit().prove(principal)
    return redirect(safe_next(onward) or landing(visit()))


def _before_set_up(principal: Principal) -> Response | None:
    """Whoever has a device proves it once more; whoever has none has to have signed in just now."""
    here = url_for("second_factor.set_up")
    if services().totp.is_enrolled(principal.account):
        if not visit().is_proved:
            return redirect(url_for("second_factor.code"))
        if principal.totp_at is None or services().clock() - principal.totp_at > fresh_for():
            return redirect(url_for("second_factor.confirm", next=here))
        return None
    is_recent = services().clock() - principal.authenticated_at <= fresh_for()
    if is_recent or _begun(principal) is not None:
        return None
    visit().tell(gettext("Please sign in once more: an authenticator is set up right after it."))
    return redirect(url_for("sign_in.form", next=here))


def _begun(principal: Principal) -> Enrolment | None:
    """What this session has begun and may still finish.

    What another one has begun is not for its eyes: before the first device the password alone signs in.
    """
    device_id = visit().recall(BEGUN)
    return None if device_id is None else services().totp.pending(principal, bytes.fromhex(device_id))


def _begin() -> Enrolment:
    """Go on with what this session has begun; else begin, which ends what any other has."""
    principal = visit().principal
    begun = _begun(principal)
    if begun is None:
        begun = services().totp.begin(principal)
        visit().remember(**{BEGUN: begun.device_id.hex()})
    return begun


def _begin_again() -> Response:
    visit().tell(
        gettext("That took too long, or was begun anew in another browser. Here is a new code to scan.")
    )
    return redirect(url_for("second_factor.set_up"))


def _offer(enrolment: Enrolment) -> dict[str, object]:
    secret = enrolment.secret
    return {
        "qr": qr.draw(enrolment.uri),
        "uri": enrolment.uri,
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "replaces": services().totp.is_enrolled(visit().account),
    }


def _set_up_again(begun: Enrolment, reason: DavserverError | str) -> Response:
    return refused("set_up.html", reason, HTTPStatus.FORBIDDEN, **_offer(begun))


def _activated(principal: Principal) -> Response:
    """What comes with the first device: recovery codes, and a first app password if there is none."""
    visit().remember(**{BEGUN: None})
    codes = services().recovery_codes.make_first(principal)
    if codes and not services().app_passwords.list(principal.account):
        issued = services().app_passwords.issue(principal, gettext(FIRST_DEVICE), client=client())
        visit().prove(
            principal,
            welcome={
                "app_password": issued.token,
                "expires": words.day(issued.app_password.expires_at),
                "codes": codes,
            },
        )
        return redirect(url_for("second_factor.welcome"))
    visit().prove(principal, codes=codes, notice=gettext("Your new device is in use."))
    if codes:
        return redirect(url_for("second_factor.recovery_codes"))
    return redirect(safe_next(visit().take_out("next")) or url_for("home.start"))


def _minutes() -> int:
    return services().settings.login.totp_fresh_minutes
