"""What administrators do for others: invite them, and take a lost device away. They never see a file."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from davserver.accounts.totp import RESET_REASONS
from davserver.errors import AlreadyExists, InvalidValue
from enroll_web.entrance import Level, needs
from enroll_web.forms import refused
from enroll_web.visit import own_origin, services, visit

pages = Blueprint("people", __name__)


@pages.get("/people")
@needs(Level.PROVED, admin=True)
def overview() -> str:
    """Every account, in numbers."""
    people = [services().overviews.of(account.username) for account in services().accounts.list()]
    admins = {one.account.id for one in people if services().profiles.of(one.account.id).admin}
    return render_template("people.html", people=people, admins=admins)


@pages.get("/people/invite")
@needs(Level.FRESH, admin=True)
def invite() -> str:
    """A name, and whether it is another administrator."""
    _require_built_in()
    return render_template("invite.html", name="", admin=False)


@pages.post("/people/invite")
@needs(Level.FRESH, admin=True, back="people.invite")
def make_link() -> Response:
    """Make a link, shown once."""
    _require_built_in()
    name, admin = request.form.get("name", ""), "admin" in request.form
    try:
        token = services().invitations.invite(name.strip(), admin=admin, by=visit().account.username)
    except AlreadyExists as error:
        return refused("invite.html", error, HTTPStatus.CONFLICT, name=name, admin=admin)
    except InvalidValue as error:
        return refused("invite.html", error, name=name, admin=admin)
    visit().remember(link={"name": name.strip(), "token": token})
    return redirect(url_for("people.invited"))


@pages.get("/people/invited")
@needs(Level.PROVED, admin=True)
def invited() -> Response | str:
    """The link, this once."""
    link = visit().take_out("link")
    if link is None:
        return redirect(url_for("people.overview"))
    address = own_origin() + url_for("invited.form", token=link["token"])
    return render_template("invited_link.html", name=link["name"], address=address)


@pages.get("/people/<name>/reset")
@needs(Level.FRESH, admin=True)
def reset(name: str) -> str:
    """Ask why."""
    return render_template("reset.html", account=services().accounts.find(name), reasons=RESET_REASONS)


@pages.post("/people/<name>/reset")
@needs(Level.FRESH, admin=True, back="people.overview")
def take_away(name: str) -> Response:
    """Take authenticator and recovery codes away; browsers are signed out, devices go on working."""
    account = services().accounts.find(name)
    reason = request.form.get("reason", "")
    if reason not in RESET_REASONS:
        return refused("reset.html", "Say why", account=account, reasons=RESET_REASONS)
    administrator, end_sessions = visit().account.username, services().sessions.end_within
    services().totp.reset(account, reason, by=administrator, within=end_sessions)
    visit().tell(f"{account.username} signs in with the password now and sets up a new device.")
    return redirect(url_for("people.overview"))


def _require_built_in() -> None:
    if services().single_sign_on is not None:
        abort(404)
