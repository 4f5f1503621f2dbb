"""Error pages: from what happened to a status and to words that say what to do, in the language of the page.

No page holds a detail of its cause but the rule that a person's own input broke. Used by `enroll_web.app`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from flask import render_template, request
from flask_babel import gettext, ngettext
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from davserver import errors as ours
from davserver.audit import AuditEvent, AuditSink, get_logger
from davserver.errors import DavserverError
from davserver.texts import marked
from enroll_web.visit import services
from enroll_web.words import size


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser is told.

    Attributes:
        title: the page's heading.
        text: what to do; "" shows the error's own message, which names the rule that was broken.
    """

    status: HTTPStatus
    title: str
    text: str = ""


_SERVER = marked("It is the server's fault and was logged. Tell whoever runs it, or try again later.")
_AGAIN = Answer(
    HTTPStatus.FORBIDDEN, marked("Please sign in again"), marked("This browser is not signed in any more.")
)
_CONFLICT = Answer(
    HTTPStatus.CONFLICT,
    marked("Something changed meanwhile"),
    marked("Somebody else, or another window, was faster. Go back, look, and try again."),
)

TABLE: dict[type[DavserverError], Answer] = {
    ours.NotFound: Answer(HTTPStatus.NOT_FOUND, marked("This is not here (any more)")),
    ours.AlreadyExists: Answer(HTTPStatus.CONFLICT, marked("This name is taken")),
    ours.Conflict: _CONFLICT,
    ours.ParentMissing: Answer(
        HTTPStatus.CONFLICT,
        marked("Something changed meanwhile"),
        marked("The folder that this is for is not there (any more)."),
    ),
    ours.TargetInsideSource: Answer(
        HTTPStatus.CONFLICT,
        marked("This cannot be"),
        marked("A folder cannot be put into itself, nor replaced by something that lies in it."),
    ),
    ours.WrongKind: Answer(HTTPStatus.CONFLICT, marked("This cannot be")),
    ours.Locked: Answer(
        HTTPStatus.LOCKED,
        marked("A program is using this"),
        marked("It is locked by a program that has it open. Close it there, or wait until the lock ends."),
    ),
    ours.PreconditionFailed: _CONFLICT,
    ours.PathError: Answer(HTTPStatus.UNPROCESSABLE_ENTITY, marked("This cannot be")),
    ours.InvalidValue: Answer(HTTPStatus.UNPROCESSABLE_ENTITY, marked("This cannot be")),
    ours.LimitExceeded: Answer(HTTPStatus.CONFLICT, marked("This is one too many")),
    ours.QuotaExceeded: Answer(HTTPStatus.INSUFFICIENT_STORAGE, marked("There is no room for this")),
    ours.UploadRefused: Answer(
        HTTPStatus.BAD_REQUEST, marked("Something got lost on the way"), marked("Please try again.")
    ),
    ours.IntegrityError: Answer(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        marked("Something stored here was altered"),
        marked("Nothing that was altered is ever shown. It was logged; tell whoever runs this server."),
    ),
    ours.Throttled: Answer(HTTPStatus.TOO_MANY_REQUESTS, marked("Too many attempts")),
    ours.SignInCancelled: Answer(
        HTTPStatus.FORBIDDEN,
        marked("You are not signed in"),
        marked("You turned back before the sign-in was done."),
    ),
    ours.SignInStale: Answer(
        HTTPStatus.FORBIDDEN,
        marked("This sign-in is over"),
        marked("It took too long, or was begun in another window. Please begin again."),
    ),
    ours.ClockMismatch: Answer(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        marked("Two clocks disagree"),
        marked("The clock of this server and that of the sign-in server are apart. Tell whoever runs them."),
    ),
    ours.TokenRefused: Answer(
        HTTPStatus.FORBIDDEN,
        marked("The sign-in was not believed"),
        marked("The sign-in server's answer is not in order; this was logged. Please begin again."),
    ),
    ours.SecondFactorMissing: Answer(
        HTTPStatus.FORBIDDEN,
        marked("A second step is missing"),
        marked(
            "The sign-in server did not ask for a one-time code. If you have just set that up, sign in again."
        ),
    ),
    ours.AuthenticationError: _AGAIN,
    ours.RoleMissing: Answer(
        HTTPStatus.FORBIDDEN,
        marked("You may not use this drive yet"),
        marked("You are known, but nobody has let you in here. Ask whoever runs it for the role dav-user."),
    ),
    ours.NotPermitted: Answer(HTTPStatus.FORBIDDEN, marked("You may not do this")),
    ours.ProviderMisconfigured: Answer(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        marked("The sign-in server does not know us"),
        marked(
            "Its address, realm or client is set wrongly here; the log says what. Tell whoever runs this "
            "server."
        ),
    ),
    ours.ConfigError: Answer(
        HTTPStatus.INTERNAL_SERVER_ERROR, marked("Something is set up wrongly here"), _SERVER
    ),
    ours.TooBusy: Answer(HTTPStatus.SERVICE_UNAVAILABLE, marked("Too much at once")),
    ours.ProviderUnavailable: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        marked("The sign-in server does not answer"),
        marked("Try again in a minute; if it lasts, tell whoever runs it."),
    ),
    ours.Unconfirmed: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        marked("The sign-in server does not answer"),
        marked(
            "It has to say every minute that you may still come in, and has not done so. It is asked again "
            "all the time: try again in a minute. If it lasts, tell whoever runs it."
        ),
    ),
    ours.StorageFull: Answer(
        HTTPStatus.INSUFFICIENT_STORAGE,
        marked("There is no room for this"),
        marked("The disk of the server is full. Tell whoever runs it."),
    ),
    ours.StorageUnavailable: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        marked("The storage does not answer"),
        marked("Please try again in a minute."),
    ),
}
"""By the most special class that has a row."""

TOLD = (
    *(ours.NotFound, ours.AlreadyExists, ours.WrongKind, ours.PathError, ours.InvalidValue),
    *(ours.LimitExceeded, ours.QuotaExceeded, ours.AuthenticationError, ours.NotPermitted, ours.TooBusy),
)
"""Errors whose message names the rule that was broken: pages show it, in their language. Every other error is
shown in the words of the table alone. Where such messages are raised they are found by these names
(`tests/services/catalogue.py`)."""

MINUTES_FROM_SECONDS = 120
"""From here on a time to wait is told in minutes."""

BY_STATUS = {
    400: (marked("This could not be read"), marked("Go back and try again.")),
    404: (
        marked("There is no such page"),
        marked("The address may be mistyped, or the page may have moved."),
    ),
    405: (marked("This page cannot do that"), marked("Go to the first page and begin from there.")),
    413: (marked("This is too much at once"), marked("Shorten what you typed.")),
    500: (marked("Something went wrong here"), _SERVER),
}
"""Title and explanation, by HTTP status."""

OTHERWISE = (marked("This cannot be done"), marked("Go back, look, and try again."))
"""The same, for every other one."""

BY_REASON = {
    "foreign": (
        marked("This page was open for too long"),
        marked("For your safety nothing was done. Go back, load the page again, and do it once more."),
    ),
    "insecure": (
        marked("This needs a private line"),
        marked(
            "Over plain http others can read along. Use the address of this server that begins with https."
        ),
    ),
    "admins": (
        marked("This is for administrators"),
        marked("Ask one of them, or go back to the start page."),
    ),
}
"""The same, for refusals of ours."""


def answer_to(error: DavserverError) -> Answer:
    """The row for an error."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def domain_error(error: DavserverError) -> Response:
    """Answer one of our errors that no page has dealt with."""
    answer = answer_to(error)
    note(error, services().audit, request.remote_addr)
    response = page(answer.status, gettext(answer.title), explained(error))
    if isinstance(error, (ours.Throttled, ours.Unconfirmed)):
        response.headers["Retry-After"] = str(error.retry_after)
    elif answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(ours.RETRY_SECONDS)
    return response


def explained(error: DavserverError) -> str:
    """What to do about an error that no page has dealt with."""
    answer = answer_to(error)
    return gettext(answer.text) if answer.text else told(error)


def http_error(error: HTTPException) -> Response:
    """Answer an HTTP error, or any exception (as 500)."""
    response = error.get_response()
    title, text = BY_REASON.get(error.description or "") or BY_STATUS.get(response.status_code, OTHERWISE)
    shown = page(HTTPStatus(response.status_code), gettext(title), gettext(text))
    for name in ("Allow", "Location"):
        if name in response.headers:
            shown.headers[name] = response.headers[name]
    return shown


def page(status: HTTPStatus, title: str, text: str) -> Response:
    """A page with nothing but this on it: not the address that was asked for, nothing that is said once."""
    return Response(
        render_template("error.html", title=title, explanation=text, is_error=True),
        status,
        content_type="text/html; charset=utf-8",
    )


def told(error: DavserverError) -> str:
    """What an error means, as a sentence in the language of the page."""
    if isinstance(error, ours.Throttled):
        return _wait(error.retry_after)
    if isinstance(error, ours.TooLarge):
        return gettext(
            "This file is too large: the server takes files of up to %(most)s.", most=size(error.most)
        )
    if isinstance(error, TOLD):
        return sentence(gettext(error.message, **error.values))
    answer = answer_to(error)
    return gettext(answer.text or answer.title)


def sentence(text: str) -> str:
    """A text with a capital in front and a full stop behind."""
    end = "" if text.endswith((".", "?")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}"


def _wait(seconds: int) -> str:
    if seconds < MINUTES_FROM_SECONDS:
        return ngettext(
            "Too many attempts failed. Try again in %(num)s second.",
            "Too many attempts failed. Try again in %(num)s seconds.",
            seconds,
        )
    return ngettext(
        "Too many attempts failed. Try again in %(num)s minute.",
        "Too many attempts failed. Try again in %(num)s minutes.",
        -(-seconds // 60),
    )


def noted(blocks: Iterable[bytes], audit: AuditSink, client: str) -> Iterator[bytes]:
    """The same blocks; what goes wrong when it is too late for a page is noted as if there were one."""
    try:
        yield from blocks
    except ours.PathError as error:  # nothing that somebody has typed: see `vault/export.py`
        get_logger("sealdav.site").warning("an answer broke off", reason=str(error))
        raise
    except DavserverError as error:
        note(error, audit, client)
        raise


def note(error: DavserverError, audit: AuditSink, client: str | None) -> None:
    """Somebody has to hear of what is wrong with the server; the text of an error of ours holds no secret."""
    if isinstance(error, ours.IntegrityError):
        audit.record(AuditEvent.INTEGRITY_FAILED, client=client, reason=type(error).__name__)
    elif isinstance(
        error,
        (
            ours.ConfigError,
            ours.ProviderUnavailable,
            ours.StorageUnavailable,
            ours.ClockMismatch,
            ours.TokenRefused,
        ),
    ):
        get_logger("sealdav.site").warning("a page could not be given", reason=str(error))
