"""What belongs to somebody: taking all of it along, where notices go, and the end of the account."""

from __future__ import annotations

import json
from functools import partial
from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from davserver.accounts.export import about, happened
from davserver.audit import AuditEvent
from davserver.errors import InvalidValue, NotPermitted
from davserver.model import Account
from davserver.texts import marked
from davserver.vault.export import archive, everything
from enroll_web import errors
from enroll_web.entrance import Level, needs
from enroll_web.forms import refused
from enroll_web.visit import client, services, visit

pages = Blueprint("my_data", __name__)

NOT_THE_NAME = marked("that is not your user name; nothing was deleted")


@pages.get("/my-data")
@needs(Level.PROVED)
def overview() -> str:
    """What can be done with it."""
    overview = services().overviews.of(visit().account.username)
    mail = services().notices is not None
    return render_template("my_data.html", overview=overview, mail=mail)


@pages.post("/my-data/download")
@needs(Level.FRESH, back="my_data.overview")
def download() -> Response:
    """Everything, as a ZIP archive that is made while it is sent."""
    account = visit().account
    services().exports.begin(account.id)
    try:
        response = _archive(account)
    except BaseException:
        services().exports.end(account.id)
        raise
    response.call_on_close(partial(services().exports.end, account.id))
    response.headers["Content-Disposition"] = f'attachment; filename="sealdav-{account.username}.zip"'
    return response


@pages.get("/my-data/notices")
@needs(Level.PROVED)
def notices() -> str:
    """Where mails go."""
    return render_template("notices.html", email=services().profiles.of(visit().account.id).email)


@pages.post("/my-data/notices")
@needs(Level.FRESH, back="my_data.notices")
def set_address() -> Response:
    """Send them there from now on."""
    email = request.form.get("email", "")
    try:
        services().profiles.set_email(visit().account, email)
    except InvalidValue as error:
        return refused("notices.html", error, email=email)
    visit().tell(gettext("Saved.") if email.strip() else gettext("Saved. You get no mails."))
    return redirect(url_for("my_data.overview"))


@pages.get("/my-data/delete")
@needs(Level.FRESH)
def delete() -> str:
    """Ask for the name."""
    return render_template("delete.html", overview=services().overviews.of(visit().account.username))


@pages.post("/my-data/delete")
@needs(Level.FRESH, back="my_data.delete")
def delete_for_good() -> Response:
    """End the account: the key first, then everything else."""
    account = visit().account
    if request.form.get("name", "").strip().casefold() != account.username:
        overview = services().overviews.of(account.username)
        return refused(
            "delete.html", gettext(NOT_THE_NAME), HTTPStatus.UNPROCESSABLE_ENTITY, overview=overview
        )
    try:
        services().deletion.shred(account.username)
    except NotPermitted as error:
        overview = services().overviews.of(account.username)
        return refused("delete.html", error, HTTPStatus.CONFLICT, overview=overview)
    visit().end()
    services().database.empty_log()
    services().shredder.remove(account.id)
    services().database.empty_log()
    return redirect(url_for("my_data.deleted"))


@pages.get("/deleted")
def deleted() -> str:
    """It is done, and what is left."""
    return render_template("deleted.html")


def _archive(account: Account) -> Response:
    known = about(
        services().overviews.of(account.username),
        services().profiles.of(account.id),
        services().health.of_all(account),
    )
    services().audit.record(AuditEvent.DATA_DOWNLOADED, account=account.username, client=client())
    beside = {
        "account.json": json.dumps(known, indent=2).encode(),
        "audit.json": json.dumps(happened(services().audit_trail.all_own(account)), indent=2).encode(),
    }
    vault = services().vaults.open(visit().principal)
    blocks = archive(vault, everything(vault, beside), services().clock())
    going_on = partial(services().exports.go_on, account.id)
    noted = errors.noted(visit().guarded(blocks, going_on), services().audit, client())
    return Response(noted, content_type="application/zip")
