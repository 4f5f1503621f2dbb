"""The password of a built-in account. Whoever signs in elsewhere changes it there."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from davserver.errors import AuthenticationError, InvalidValue, Throttled
from davserver.model import AuthMethod
from davserver.texts import marked
from enroll_web.entrance import Level, needs
from enroll_web.forms import refused
from enroll_web.visit import client, services, visit

pages = Blueprint("password", __name__)

DIFFERENT = marked("the two new passwords differ; nothing was changed")
WRONG = marked("the old password is not right")


@pages.get("/password")
@needs(Level.PROVED)
def change() -> str:
    """Three fields."""
    _require_built_in()
    return render_template("password.html")


@pages.post("/password")
@needs(Level.PROVED)
def set_password() -> Response:
    """Change it; every other browser is signed out."""
    _require_built_in()
    account, form = visit().account, request.form
    if form.get("new") != form.get("again"):
        return refused("password.html", gettext(DIFFERENT))
    try:
        services().sign_in.with_password(
            account.username, form.get("old", ""), client=client(), method=AuthMethod.BROWSER
        )
        services().identity.set_password(
            account.id,
            form.get("new", ""),
            within=visit().ending_others(),
        )
    except Throttled:
        raise
    except AuthenticationError:
        return refused("password.html", gettext(WRONG), HTTPStatus.FORBIDDEN)
    except InvalidValue as error:
        return refused("password.html", error)
    visit().tell(
        gettext("Your password is changed. Every other browser is signed out; devices go on working.")
    )
    return redirect(url_for("home.security"))


def _require_built_in() -> None:
    if services().single_sign_on is not None:
        abort(404)
