"""The page behind a one-time link: the first administrator's, or somebody's who was invited."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, redirect, render_template, request
from flask_babel import gettext
from werkzeug.wrappers import Response

from davserver.errors import AlreadyExists, InvalidValue
from davserver.model import ROOT_ID, AuthMethod, Principal, Scope
from davserver.texts import marked
from enroll_web.entrance import landing
from enroll_web.forms import refused
from enroll_web.visit import services, visit

pages = Blueprint("invited", __name__)

DIFFERENT = marked("the two passwords differ: type the same one twice")


@pages.get("/set-up/<token>")
def form(token: str) -> str:
    """A name, if nobody has chosen one yet, and a password."""
    return render_template("invited.html", invitation=_found(token), name="")


@pages.post("/set-up/<token>")
def accept(token: str) -> Response:
    """Make the account; its owner is signed in and sets up the second factor next."""
    invitation, name = _found(token), request.form.get("name", "")
    if request.form.get("new") != request.form.get("again"):
        return refused("invited.html", gettext(DIFFERENT), invitation=invitation, name=name)
    try:
        account = services().invitations.accept(token, name, request.form.get("new", ""))
    except AlreadyExists as error:
        return refused("invited.html", error, HTTPStatus.CONFLICT, invitation=invitation, name=name)
    except InvalidValue as error:
        return refused("invited.html", error, invitation=invitation, name=name)
    visit().sign_in(Principal(account, Scope.FULL, ROOT_ID, AuthMethod.BROWSER, services().clock()))
    return redirect(landing(visit()))


def _found(token: str) -> object:
    if services().single_sign_on is not None:
        abort(404)
    return services().invitations.find(token)
