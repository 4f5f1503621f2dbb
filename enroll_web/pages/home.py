"""The first page for visitors, the start page for people who are signed in, and what is kept of them."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from davserver.accounts.invitations import VALID_FOR
from enroll_web import words
from enroll_web.entrance import Level, needs
from enroll_web.visit import own_origin, services, visit

DRIVE_PATH = "/dav/"
"""Where the drive is, below the address of this site, when both are served on one port."""

pages = Blueprint("home", __name__)


@pages.get("/")
def home() -> Response | str:
    """What this server is, and the way in."""
    if visit().is_proved:
        return redirect(url_for("home.start"))
    return render_template("home.html", drive_url=drive_url())


@pages.get("/start")
@needs(Level.PROVED)
def start() -> str:
    """Where everything is."""
    account = services().accounts.find(visit().account.username)
    principal = visit().principal
    devices = [one for one in services().app_passwords.list(account) if one.expires_at > services().clock()]
    return render_template(
        "start.html",
        account=account,
        usage=services().vaults.open(principal).usage(),
        devices=len(devices),
        codes=services().recovery_codes.left(account),
        drive_url=drive_url(),
    )


@pages.get("/security")
@needs(Level.PROVED)
def security() -> str:
    """Password, authenticator, recovery codes."""
    overview = services().overviews.of(visit().account.username)
    return render_template("security.html", overview=overview)


@pages.get("/privacy")
def privacy() -> str:
    """What is kept, where, and for how long."""
    settings = services().settings
    return render_template(
        "privacy.html",
        keep_days=settings.site.keep_days,
        audit_days=settings.audit.keep_days,
        kept_days=settings.history.keep_days,
        grace_hours=settings.gc.grace_minutes / 60,
        link_hours=VALID_FOR.total_seconds() / 3600,
        mail=bool(settings.mail.host),
        token_hours=settings.identity.second_factor_hours,
        log_size=words.size(settings.log.max_size),
        log_files=settings.log.keep + 1,
    )


def drive_url() -> str:
    """Where devices find the drive."""
    return own_origin() + DRIVE_PATH


def drive_is_https() -> bool:
    """Whether that address is one of https."""
    return drive_url().startswith("https:")
