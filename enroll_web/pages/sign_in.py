"""Signing in and out with the accounts of this server. What an identity provider adds is in `oidc.py`."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from davserver.errors import AuthenticationError, NotPermitted, Throttled
from davserver.model import AuthMethod
from davserver.texts import marked
from enroll_web.entrance import Level, landing, needs, safe_next
from enroll_web.forms import refused
from enroll_web.pages import oidc
from enroll_web.visit import client, services, visit

pages = Blueprint("sign_in", __name__)

WRONG = marked("The name or the password is not right.")


@pages.get("/sign-in")
def form() -> Response | str:
    """Name and password, or one button that leads to the identity provider."""
    if visit().is_proved:
        return redirect(landing(visit()))
    return render_template("sign_in.html", next=safe_next(request.args.get("next")), name="")


@pages.post("/sign-in")
def sign_in() -> Response | str:
    """The first of two factors."""
    onward = safe_next(request.form.get("next"))
    if services().single_sign_on is not None:
        return redirect(url_for("sign_in.form", next=onward))
    name = request.form.get("name", "").strip()
    try:
        principal = services().sign_in.with_password(
            name, request.form.get("password", ""), client=client(), method=AuthMethod.BROWSER
        )
    except Throttled:
        raise
    except AuthenticationError:
        return refused("sign_in.html", gettext(WRONG), HTTPStatus.FORBIDDEN, next=onward, name=name)
    except NotPermitted as error:
        return refused("sign_in.html", error, HTTPStatus.FORBIDDEN, next=onward, name=name)
    visit().sign_in(principal, next=onward)
    return redirect(landing(visit()))


@pages.get("/sign-out")
@needs(Level.SIGNED_IN)
def sign_out_form() -> str:
    """One button."""
    return render_template("sign_out.html")


@pages.post("/sign-out")
@needs(Level.SIGNED_IN)
def sign_out() -> Response:
    """End the session here; and at the identity provider, if it was begun there."""
    try:
        elsewhere = oidc.logout_url(visit())
    finally:  # whatever the provider says
        visit().end()
    return redirect(elsewhere or url_for("sign_in.signed_out"))


@pages.get("/signed-out")
def signed_out() -> str:
    """It is done."""
    return render_template("signed_out.html")
