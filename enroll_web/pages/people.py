"""The list of accounts, and inviting somebody. What administrators do with one of them is in `person.py`."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from davserver.accounts.service import MAX_USERNAME_CHARS
from davserver.errors import AlreadyExists, InvalidValue
from enroll_web import recorded
from enroll_web.entrance import Level, needs
from enroll_web.forms import refused
from enroll_web.visit import own_origin, services, visit

pages = Blueprint("people", __name__)

PAGE_DIGITS = 6
"""Longest number of a page that an address may hold."""


@pages.get("/people")
@needs(Level.PROVED, admin=True)
def overview() -> str:
    """Accounts, a page at a time, or those with something in their name."""
    name = request.args.get("name", "").strip()[:MAX_USERNAME_CHARS]
    page = services().roster.page(name, _number())
    return render_template("people.html", page=page, name=name, recorded=recorded.reason)


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


def _number() -> int:
    """Which page; the first one where the address says nothing of use."""
    text = request.args.get("page", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= PAGE_DIGITS else 1


def _require_built_in() -> None:
    if services().single_sign_on is not None:
        abort(404)
