"""Connecting a device: choose a program, get an app password made for it, and watch the device come in.

What is said of each program is in the catalogue (`davserver/accounts/programs`). Watching is asking for one
small answer every two seconds: no thread waits, and nothing is asked of the database but the notes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Container
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from davserver.accounts.health import Sign
from davserver.accounts.programs import PROGRAMS, program
from davserver.accounts.programs.base import Program
from davserver.errors import NotFound, NotPermitted
from davserver.serving.exchange import MISTRUST_KEY
from enroll_web import health, words
from enroll_web.entrance import Level, needs
from enroll_web.forms import refused
from enroll_web.pages.app_passwords import REFUSALS, SCOPES, form_values, issue_chosen, shown_before
from enroll_web.pages.home import drive_is_https, drive_url
from enroll_web.visit import client, services, visit

pages = Blueprint("connect", __name__)


@pages.get("/connect")
@needs(Level.PROVED)
def overview() -> str:
    """Every program that we know."""
    return render_template("connect.html", programs=PROGRAMS)


@pages.get("/connect/<key>")
@needs(Level.FRESH)
def form(key: str) -> str:
    """What the app password for it may do."""
    return render_template("connect_form.html", **_form(program(key)))


@pages.post("/connect/<key>")
@needs(Level.FRESH, back="connect.form")
def issue(key: str) -> Response:
    """Make it."""
    chosen = program(key)
    if not _is_possible(chosen):
        raise NotPermitted("this program needs https")
    try:
        issued = issue_chosen(makes_folder=True)
    except REFUSALS as error:
        return refused("connect_form.html", error, **_form(chosen))
    visit().remember(
        connect={
            "key": key,
            "token": issued.token,
            "app_id": issued.app_password.id,
            "expires": words.day(issued.app_password.expires_at),
        }
    )
    return redirect(url_for("connect.ready", key=key))


@pages.get("/connect/<key>/ready")
@needs(Level.PROVED)
def ready(key: str) -> Response | str:
    """The app password, this once, and what to do with it."""
    chosen = program(key)
    issued = visit().take_out("connect")
    if issued is None or issued.pop("key") != key:
        return shown_before()
    connecting, name = services().connecting, visit().account.username
    drive = connecting.drive(drive_url(), name, issued["token"])
    return render_template(
        "connect_ready.html",
        token=issued["token"],
        expires=issued["expires"],
        program=chosen,
        steps=[*connecting.trust(drive), *chosen.steps(drive)],
        data_url=_data_url,
        unseen=health.unseen(chosen),
        **_checks(drive.url),
        **_watched(issued["app_id"], chosen.unseen),
    )


@pages.get("/devices/<app_id>")
@needs(Level.PROVED)
def device(app_id: str) -> str:
    """How one device is; one that was revoked has no other page."""
    return render_template(
        "device.html",
        device=services().app_passwords.find(visit().account, app_id),
        **_checks(drive_url()),
        **_watched(app_id),
    )


@pages.get("/devices/<app_id>/health")
@needs(Level.PROVED)
def health_of(app_id: str) -> Response:
    """The same for the script of that page. Of a device that is not one's own there is nothing to tell."""
    shown = _watched(app_id)
    return jsonify(
        status=shown["status"],
        seen={one.key: one.when for one in shown["signs"] if one.seen},
        troubles=[asdict(one) for one in shown["troubles"]],
    )


def _watched(app_id: str, unseen: Container[Sign] = ()) -> dict[str, Any]:
    """What is noted of one device, in words; `unseen` is what its program will hardly be seen to do."""
    account = visit().account
    found = services().health.of(account, app_id)
    return {
        "app_id": app_id,
        "status": health.status(found),
        "signs": health.signs(found, unseen),
        "troubles": [
            *health.mistrust(found, _mistrusted_at(app_id)),
            *health.troubles(found, account.username, client()),
        ],
    }


def _mistrusted_at(app_id: str) -> datetime | None:
    """When a program at this browser's address turned our certificate down, since the app password was made.

    That is hardly ever known, so a watching page hardly ever asks when that was.
    """
    seconds = request.environ.get(MISTRUST_KEY, _unknown)(client())
    if seconds is None:
        return None
    moment: datetime = services().clock() - timedelta(seconds=seconds)
    try:
        return moment if moment >= services().app_passwords.find(visit().account, app_id).created_at else None
    except NotFound:
        return None


def _unknown(_address: str) -> float | None:
    """Where it is another server's to see."""
    return None


def _checks(url: str) -> dict[str, str]:
    """How to find out on the device what cannot be seen from here."""
    connecting = services().connecting
    return {
        "drive_url": url,
        "reach": connecting.reach(url),
        "reach_from_windows": connecting.reach_from_windows(url),
    }


def _form(chosen: Program) -> dict[str, Any]:
    """What was typed, or what suits the program."""
    names = {scopes: name for name, scopes in SCOPES.items()}
    usual = {
        "label": chosen.name,
        "scope": names[chosen.preset.scopes],
        "folder": chosen.preset.folder,
    }
    return {"program": chosen, "possible": _is_possible(chosen), **form_values(usual)}


def _is_possible(chosen: Program) -> bool:
    return drive_is_https() or not chosen.only_https


def _data_url(content: bytes) -> str:
    """A file inside of the page: it holds the app password, and so is shown once as that is."""
    return f"data:application/octet-stream;base64,{b64encode(content).decode()}"
