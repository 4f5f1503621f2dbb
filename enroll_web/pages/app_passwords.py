"""App passwords: what devices sign in with. Made after a fresh one-time code, shown once, revoked at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from davserver.accounts.app_passwords import IssuedAppPassword, parse_networks
from davserver.errors import InvalidValue, LimitExceeded, NotFound, PathError, WrongKind
from davserver.model import ROOT_ID, NodeId, Scope
from davserver.vault.paths import VaultPath
from enroll_web.entrance import Level, needs
from enroll_web.forms import refused
from enroll_web.pages.home import drive_url
from enroll_web.visit import services, visit

pages = Blueprint("app_passwords", __name__)

SCOPES = {"full": Scope.FULL, "read_only": Scope.READ_ONLY, "no_delete": Scope.NO_DELETE}

SCOPE_WORDS = {
    Scope.FULL: "read, change and delete",
    Scope.NO_DELETE: "read and change, never delete",
    Scope.READ_ONLY: "read only",
}

REFUSALS = (InvalidValue, LimitExceeded, NotFound, PathError, WrongKind)
"""What a person can put right on the form."""

FOLDERS_OFFERED = 200
"""Names of folders that the form offers; any other one can be typed."""


@pages.get("/app-passwords")
@needs(Level.PROVED)
def overview() -> str:
    """All that open the drive now."""
    devices = services().app_passwords.list(visit().account)
    return render_template(
        "app_passwords.html",
        devices=devices,
        folders={one.id: _place(one.root_id) for one in devices if one.root_id != ROOT_ID},
        scope_words=SCOPE_WORDS,
        root=ROOT_ID,
        now=services().clock(),
        most=services().settings.login.app_passwords_per_account,
    )


@pages.get("/app-passwords/new")
@needs(Level.FRESH)
def new() -> str:
    """What a person may choose."""
    return render_template("app_password_new.html", **_form())


@pages.post("/app-passwords/new")
@needs(Level.FRESH, back="app_passwords.new")
def issue() -> Response:
    """Make one."""
    try:
        issued = _issue()
    except REFUSALS as error:
        return refused("app_password_new.html", error, **_form())
    visit().remember(
        app_password={
            "token": issued.token,
            "label": issued.app_password.label,
            "expires": f"{issued.app_password.expires_at:%Y-%m-%d}",
        }
    )
    return redirect(url_for("app_passwords.shown"))


@pages.get("/app-passwords/shown")
@needs(Level.PROVED)
def shown() -> Response | str:
    """The new one, this once."""
    issued = visit().take_out("app_password")
    if issued is None:
        visit().tell(
            "An app password is shown once only. If you did not keep it, revoke it and make a new one."
        )
        return redirect(url_for("app_passwords.overview"))
    ways = services().connecting.ways(drive_url(), visit().account.username, issued["token"])
    return render_template(
        "app_password_shown.html",
        **issued,
        ways=ways,
        drive_url=drive_url(),
        https=services().connecting.https,
    )


@pages.post("/app-passwords/revoke")
@needs(Level.FRESH, back="app_passwords.overview")
def revoke() -> Response:
    """Shut one, from its next request on."""
    services().app_passwords.revoke(visit().account, request.form.get("id", ""))
    visit().tell("Revoked. That device is out from its next request on.")
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
    count = services().app_passwords.revoke_all(visit().account, within=visit().ending_others())
    visit().tell(f"Revoked: {count} app passwords. Every other browser is signed out as well.")
    return redirect(url_for("app_passwords.overview"))


def _issue() -> IssuedAppPassword:
    form = request.form
    scopes = SCOPES.get(form.get("scope", ""))
    if scopes is None:
        raise InvalidValue("choose what the device may do")
    days = form.get("days", "").strip()
    if not days.isascii() or not days.isdigit():
        raise InvalidValue("the number of days is a whole number")
    return services().app_passwords.issue(
        visit().principal,
        form.get("label", ""),
        scopes=scopes,
        root_id=_folder(form.get("folder", "")),
        expires_at=services().clock() + timedelta(days=min(int(days[:9]), 36500)),
        networks=parse_networks(form.get("networks", "").replace(",", " ").split()),
    )


def _folder(text: str) -> NodeId:
    path = VaultPath.parse(text.strip().strip("/"))
    return ROOT_ID if path.is_root else services().vaults.open(visit().principal).stat(path).id


def _place(folder: NodeId) -> str:
    """Where a folder is now; "" if it is gone."""
    try:
        return str(services().vaults.open(visit().principal).path_of(folder))
    except NotFound:
        return ""


def _form() -> dict[str, Any]:
    """What was typed, or what is usual."""
    login = services().settings.login
    usual = {"label": "", "scope": "full", "folder": "", "days": str(login.app_password_days), "networks": ""}
    return {
        "typed": {name: request.form.get(name, value) for name, value in usual.items()},
        "folders": _folders(),
        "max_days": login.app_password_max_days,
        "scope_words": {name: SCOPE_WORDS[scope] for name, scope in SCOPES.items()},
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
