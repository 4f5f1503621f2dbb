"""One account as administrators see it, and what they do with it. They never see a file, nor the name of one.

Each act is a form of its own behind a fresh one-time code; what takes something away asks why. The rules are
in `davserver/accounts/administration.py`.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from davserver.accounts.reasons import MAX_REASON_CHARS
from davserver.accounts.roster import Listed
from davserver.accounts.service import exactly, parse_quota
from davserver.audit import PROVIDER, AuditEvent
from davserver.errors import InvalidValue, NotPermitted
from davserver.model import ROOT_ID, Account, AccountState
from enroll_web import health, recorded, words
from enroll_web.entrance import Level, needs
from enroll_web.forms import refused
from enroll_web.pages.acts import Act, act_of, revoking
from enroll_web.visit import services, visit

pages = Blueprint("person", __name__, url_prefix="/people/account/<name>")
"""Behind a word of its own: an account may be called as any page is."""


@pages.get("")
@needs(Level.PROVED, admin=True)
def overview(name: str) -> str:
    """Everything about one account but its files."""
    account = services().accounts.find(name)
    listed = services().roster.of(account)
    devices = services().app_passwords.list(account)
    return render_template(
        "person.html",
        account=account,
        listed=listed,
        overview=services().overviews.of(account.username),
        devices=devices,
        health=health.cards(devices, services().health.of_all(account)),
        browsers=services().sessions.browsers(account),
        is_me=account.id == visit().account.id,
        shut=None if listed.shut is None else words.who_shut(listed.shut),
        quota_from=_quota_from(account),
        root=ROOT_ID,
        now=services().clock(),
        **_keycloak(account, listed),
    )


@pages.get("/<act>")
@needs(Level.FRESH, admin=True)
def ask(name: str, act: str) -> str:
    """Say what follows, and ask why."""
    return render_template("act.html", **_form(services().accounts.find(name), act_of(act)))


@pages.post("/<act>")
@needs(Level.FRESH, admin=True, back="person.ask")
def do(name: str, act: str) -> Response:
    """Do it."""
    return _done(services().accounts.find(name), act_of(act))


@pages.get("/devices/<app_id>")
@needs(Level.FRESH, admin=True)
def ask_revoke(name: str, app_id: str) -> str:
    """The same for one device."""
    account = services().accounts.find(name)
    return render_template("act.html", **_form(account, revoking(account, app_id)))


@pages.post("/devices/<app_id>")
@needs(Level.FRESH, admin=True, back="person.ask_revoke")
def revoke(name: str, app_id: str) -> Response:
    """Shut it."""
    account = services().accounts.find(name)
    return _done(account, revoking(account, app_id))


@pages.get("/quota")
@needs(Level.FRESH, admin=True)
def ask_quota(name: str) -> str:
    """How much they may store."""
    account = services().accounts.find(name)
    return render_template("quota.html", **_quota_form(account))


@pages.post("/quota")
@needs(Level.FRESH, admin=True, back="person.ask_quota")
def set_quota(name: str) -> Response:
    """Set it; what is stored already stays."""
    account, typed = services().accounts.find(name), request.form.get("quota", "")
    try:
        account = services().accounts.set_quota(
            account.username, parse_quota(typed), by=visit().account.username
        )
    except InvalidValue as error:
        return refused("quota.html", error, **{**_quota_form(account), "typed": typed})
    visit().tell(_may_store(account))
    return redirect(url_for("person.overview", name=account.username))


# ── what the pages are made of
def _form(account: Account, act: Act) -> dict[str, Any]:
    return {
        "account": account,
        "act": act,
        "title": gettext(act.title, name=account.username, **act.values),
        "lead": gettext(act.lead, name=account.username, **act.values),
        "button": gettext(act.button),
        "choices": {one: recorded.reason(one) for one in act.choices},
        "typed": request.form.get("reason", ""),
        "most": MAX_REASON_CHARS,
    }


def _done(account: Account, act: Act) -> Response:
    try:
        said = act.do(account, request.form.get("reason", ""))
    except NotPermitted as error:
        return refused("act.html", error, HTTPStatus.FORBIDDEN, **_form(account, act))
    except InvalidValue as error:
        return refused("act.html", error, **_form(account, act))
    visit().tell(said)
    return redirect(url_for("person.overview", name=account.username))


def _keycloak(account: Account, listed: Listed) -> dict[str, Any]:
    """What Keycloak says; nothing where there is none."""
    confirmations, identity = services().confirmations, services().settings.identity
    if confirmations is None:
        return {"keycloak": None, "trouble": "", "waits": False, "grace": 0}
    told = confirmations.of(account)
    since = None
    if listed.shut is not None and account.state is AccountState.OFFBOARDED:
        since = listed.shut.at
    now, grace = services().clock(), identity.confirm_seconds
    return {
        "keycloak": words.in_keycloak(told, account.username, since, now, grace),
        "trouble": _trouble(told.trouble, told.trouble_since),
        "waits": told.devices_suspended,
        "grace": 0 if told.built_in or told.left_at is not None else grace,
    }


def _trouble(trouble: str, since: datetime | None) -> str:
    if not trouble:
        return ""
    if since is None:
        return gettext("Keycloak confirms nobody: %(trouble)s", trouble=trouble)
    return gettext(
        "Keycloak confirms nobody since %(moment)s: %(trouble)s", moment=words.minute(since), trouble=trouble
    )


def _may_store(account: Account) -> str:
    if account.quota is None:
        return gettext("%(name)s may store as much as there is room for now.", name=account.username)
    return gettext("%(name)s may store %(size)s now.", name=account.username, size=exactly(account.quota))


def _quota_form(account: Account) -> dict[str, Any]:
    return {
        "account": account,
        "typed": "" if account.quota is None else exactly(account.quota),
        "theirs": _quota_setter(account) == PROVIDER,
    }


def _quota_setter(account: Account) -> str:
    """Who has set the quota last; "" if nobody has, or nobody knows."""
    entries = services().audit_trail.last_of_each([account], AuditEvent.QUOTA_CHANGED)
    return entries[account.id].actor if account.id in entries else ""


def _quota_from(account: Account) -> str:
    by = _quota_setter(account)
    if by == PROVIDER:
        return gettext("from Keycloak")
    return gettext("set by %(name)s", name=words.actor(by)) if by else ""
