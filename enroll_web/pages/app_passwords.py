"""App passwords: what devices sign in with. Made after a fresh one-time code, shown once, revoked at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from davserver.accounts.app_passwords import IssuedAppPassword, Revoked, parse_networks
from davserver.accounts.health import TOKENS, Health
from davserver.errors import (
    InvalidValue,
    LimitExceeded,
    NotFound,
    ParentMissing,
    PathError,
    WrongKind,
)
from davserver.model import ROOT_ID, NodeId, Scope
from davserver.vault.paths import VaultPath
from enroll_web import health, words
from enroll_web.entrance import Level, needs
from enroll_web.forms import refused
from enroll_web.pages.home import drive_is_https, drive_url
from enroll_web.visit import client, services, visit

pages = Blueprint("app_passwords", __name__)

SCOPES = {"full": Scope.FULL, "read_only": Scope.READ_ONLY, "no_delete": Scope.NO_DELETE}

REFUSALS = (InvalidValue, LimitExceeded, NotFound, ParentMissing, PathError, WrongKind)
"""What a person can put right on the form."""

FOLDERS_OFFERED = 200
"""Names of folders that the form offers; any other one can be typed."""


@pages.get("/app-passwords")
@needs(Level.PROVED)
def overview() -> str:
    """All that open the drive now."""
    devices = services().app_passwords.list(visit().account)
    known = services().health.of_all(visit().account)
    return render_template(
        "app_passwords.html",
        devices=devices,
        folders={one.id: _place(one.root_id) for one in devices if one.root_id != ROOT_ID},
        health=health.cards(devices, known),
        tokens=health.card(known[TOKENS]) if TOKENS in known else None,
        token_troubles=health.troubles(known.get(TOKENS, Health()), visit().account.username, client()),
        root=ROOT_ID,
        now=services().clock(),
        most=services().settings.login.app_passwords_per_account,
    )


@pages.get("/app-passwords/new")
@needs(Level.FRESH)
def new() -> str:
    """What a person may choose."""
    return render_template("app_password_new.html", **form_values())


@pages.post("/app-passwords/new")
@needs(Level.FRESH, back="app_passwords.new")
def issue() -> Response:
    """Make one."""
    try:
        issued = issue_chosen()
    except REFUSALS as error:
        return refused("app_password_new.html", error, **form_values())
    visit().remember(
        app_password={
            "token": issued.token,
            "label": issued.app_password.label,
            "expires": words.day(issued.app_password.expires_at),
        }
    )
    return redirect(url_for("app_passwords.shown"))


@pages.get("/app-passwords/shown")
@needs(Level.PROVED)
def shown() -> Response | str:
    """The new one, this once."""
    issued = visit().take_out("app_password")
    if issued is None:
        return shown_before()
    ways = services().connecting.ways(drive_url(), visit().account.username, issued["token"])
    return render_template(
        "app_password_shown.html",
        **issued,
        ways=ways,
        drive_url=drive_url(),
        https=drive_is_https(),
    )


@pages.post("/app-passwords/revoke")
@needs(Level.FRESH, back="app_passwords.overview")
def revoke() -> Response:
    """Shut one, from its next request on."""
    revoked = Revoked(client=client())
    services().app_passwords.revoke(visit().account, request.form.get("id", ""), revoked)
    visit().tell(gettext("Revoked. That device is out from its next request on."))
    return redirect(url_for("app_passwords.overview"))


@pages.get("/app-passwords/stolen")
@needs(Level.PROVED)
def stolen() -> str:
    """Ask once before everything is revoked."""
    return render_template("stolen.html", devices=services().app_passwords.list(visit().account))


@pages.post("/app-passwords/revoke-all")
@needs(Level.FRESH, back="app_passwords.stolen")
def revoke_all() -> Response:
    """Shut all of them, and every other browser."""
    count = services().app_passwords.revoke_all(
        visit().account, Revoked(client=client()), within=visit().ending_others()
    )
    visit().tell(
        ngettext(
            "Revoked: %(num)s app password. Every other browser is signed out as well.",
            "Revoked: %(num)s app passwords. Every other browser is signed out as well.",
            count,
        )
    )
    return redirect(url_for("app_passwords.overview"))


def shown_before() -> Response:
    """The answer to who asks for a page once more that shows an app password."""
    visit().tell(
        gettext("An app password is shown once only. If you did not keep it, revoke it and make a new one.")
    )
    return redirect(url_for("app_passwords.overview"))


def issue_chosen(*, makes_folder: bool = False) -> IssuedAppPassword:
    """Make an app password of what was chosen on a form. Who is refused leaves no folder behind.

    Args:
        makes_folder: whether the folder that it is limited to is made if it is not there.
    """
    form = request.form
    scopes = SCOPES.get(form.get("scope", ""))
    if scopes is None:
        raise InvalidValue("choose what the device may do")
    days = form.get("days", "").strip()
    if not days.isascii() or not days.isdigit():
        raise InvalidValue("the number of days is a whole number")
    chosen: dict[str, Any] = {
        "label": form.get("label", ""),
        "scopes": scopes,
        "expires_at": services().clock() + timedelta(days=min(int(days[:9]), 36500)),
        "networks": parse_networks(form.get("networks", "").replace(",", " ").split()),
    }
    app_passwords = services().app_passwords
    app_passwords.judge(visit().principal, **chosen)
    root_id = _folder(form.get("folder", ""), makes=makes_folder)
    return app_passwords.issue(visit().principal, **chosen, root_id=root_id, client=client())


def _folder(text: str, *, makes: bool) -> NodeId:
    path = VaultPath.parse(text.strip().strip("/"))
    if path.is_root:
        return ROOT_ID
    vault = services().vaults.open(visit().principal)
    if makes and vault.find(path) is None:
        vault.make_collection(path)
    return vault.stat(path).id


def _place(folder: NodeId) -> str:
    """Where a folder is now; "" if it is gone."""
    try:
        return str(services().vaults.open(visit().principal).path_of(folder))
    except NotFound:
        return ""


def form_values(suits: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """What a form for an app password is filled with: what was typed, or what suits, or what is usual."""
    login = services().settings.login
    days = str(login.app_password_days)
    usual = {"label": "", "scope": "full", "folder": "", "days": days, "networks": "", **suits}
    return {
        "typed": {name: request.form.get(name, value) for name, value in usual.items()},
        "folders": _folders(),
        "max_days": login.app_password_max_days,
        "scopes": SCOPES,
    }


def _folders() -> list[str]:
    """Folders at the top of the drive."""
    vault = services().vaults.open(visit().principal)
    names: list[str] = []
    for node in vault.listing(vault.stat(VaultPath())):
        if node.is_collection:
            names.append(node.name)
        if len(names) == FOLDERS_OFFERED:
            break
    return sorted(names)
