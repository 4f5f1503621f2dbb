"""Error pages: from what happened to a status and to words that say what to do.

No page holds a detail of its cause but the rule that a person's own input broke. Used by `enroll_web.app`.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from flask import render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from davserver import errors as ours
from davserver.audit import AuditEvent, AuditSink, get_logger
from davserver.errors import DavserverError
from enroll_web.visit import services


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


_SERVER = "It is the server's fault and was logged. Tell whoever runs it, or try again later."
_AGAIN = Answer(HTTPStatus.FORBIDDEN, "Please sign in again", "This browser is not signed in any more.")
_CONFLICT = Answer(
    HTTPStatus.CONFLICT,
    "Something changed meanwhile",
    "Somebody else, or another window, was faster. Go back, look, and try again.",
)

TABLE: dict[type[DavserverError], Answer] = {
    ours.NotFound: Answer(HTTPStatus.NOT_FOUND, "This is not here (any more)"),
    ours.AlreadyExists: Answer(HTTPStatus.CONFLICT, "This name is taken"),
    ours.Conflict: _CONFLICT,
    ours.Locked: _CONFLICT,
    ours.PreconditionFailed: _CONFLICT,
    ours.PathError: Answer(HTTPStatus.UNPROCESSABLE_ENTITY, "This cannot be"),
    ours.InvalidValue: Answer(HTTPStatus.UNPROCESSABLE_ENTITY, "This cannot be"),
    ours.LimitExceeded: Answer(HTTPStatus.CONFLICT, "This is one too many"),
    ours.QuotaExceeded: Answer(HTTPStatus.INSUFFICIENT_STORAGE, "There is no room for this"),
    ours.UploadRefused: Answer(HTTPStatus.BAD_REQUEST, "Something got lost on the way", "Please try again."),
    ours.IntegrityError: Answer(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something stored here was altered",
        "Nothing that was altered is ever shown. It was logged; tell whoever runs this server.",
    ),
    ours.Throttled: Answer(HTTPStatus.TOO_MANY_REQUESTS, "Too many attempts"),
    ours.SignInCancelled: Answer(
        HTTPStatus.FORBIDDEN, "You are not signed in", "You turned back before the sign-in was done."
    ),
    ours.SignInStale: Answer(
        HTTPStatus.FORBIDDEN,
        "This sign-in is over",
        "It took too long, or was begun in another window. Please begin again.",
    ),
    ours.ClockMismatch: Answer(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Two clocks disagree",
        "The clock of this server and that of the sign-in server are apart. Tell whoever runs them.",
    ),
    ours.TokenRefused: Answer(
        HTTPStatus.FORBIDDEN,
        "The sign-in was not believed",
        "The sign-in server's answer is not in order; this was logged. Please begin again.",
    ),
    ours.SecondFactorMissing: Answer(
        HTTPStatus.FORBIDDEN,
        "A second step is missing",
        "The sign-in server did not ask for a one-time code. If you have just set that up, sign in again.",
    ),
    ours.AuthenticationError: _AGAIN,
    ours.RoleMissing: Answer(
        HTTPStatus.FORBIDDEN,
        "You may not use this drive yet",
        "You are known, but nobody has let you in here. Ask whoever runs it for the role dav-user.",
    ),
    ours.NotPermitted: Answer(HTTPStatus.FORBIDDEN, "You may not do this"),
    ours.ProviderMisconfigured: Answer(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The sign-in server does not know us",
        "Its address, realm or client is set wrongly here; the log says what. Tell whoever runs this server.",
    ),
    ours.ConfigError: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "Something is set up wrongly here", _SERVER),
    ours.TooBusy: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "Too much at once"),
    ours.ProviderUnavailable: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The sign-in server does not answer",
        "Try again in a minute; if it lasts, tell whoever runs it.",
    ),
    ours.Unconfirmed: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The sign-in server does not answer",
        "It has to say every minute that you may still come in, and has not done so. It is asked again all "
        "the time: try again in a minute. If it lasts, tell whoever runs it.",
    ),
    ours.StorageFull: Answer(
        HTTPStatus.INSUFFICIENT_STORAGE, "The disk is full", "Tell whoever runs this server."
    ),
    ours.StorageUnavailable: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE, "The storage does not answer", "Please try again in a minute."
    ),
}
"""By the most special class that has a row."""

BY_STATUS = {
    400: ("This could not be read", "Go back and try again."),
    404: ("There is no such page", "The address may be mistyped, or the page may have moved."),
    405: ("This page cannot do that", "Go to the first page and begin from there."),
    413: ("This is too much at once", "Shorten what you typed."),
    500: ("Something went wrong here", _SERVER),
}
"""Title and explanation, by HTTP status; others use the words of RFC 9110."""

BY_REASON = {
    "foreign": (
        "This page was open for too long",
        "For your safety nothing was done. Go back, load the page again, and do it once more.",
    ),
    "insecure": (
        "This needs a private line",
        "Over plain http others can read along. Use the address of this server that begins with https.",
    ),
    "admins": ("This is for administrators", "Ask one of them, or go back to the start page."),
}
"""The same, for refusals of ours."""


def answer_to(error: DavserverError) -> Answer:
    """The row for an error."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def domain_error(error: DavserverError) -> Response:
    """Answer one of our errors that no page has dealt with."""
    answer = answer_to(error)
    note(error, services().audit, request.remote_addr)
    response = page(answer.status, answer.title, answer.text or _sentence(error))
    if isinstance(error, (ours.Throttled, ours.Unconfirmed)):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def http_error(error: HTTPException) -> Response:
    """Answer an HTTP error, or any exception (as 500)."""
    response = error.get_response()
    words = BY_REASON.get(error.description or "") or BY_STATUS.get(response.status_code)
    title, text = words or (error.name, error.description or "")
    shown = page(HTTPStatus(response.status_code), title, text)
    for name in ("Allow", "Location"):
        if name in response.headers:
            shown.headers[name] = response.headers[name]
    return shown


def page(status: HTTPStatus, title: str, text: str) -> Response:
    """A page with nothing but this on it."""
    return Response(
        render_template("error.html", title=title, explanation=text),
        status,
        content_type="text/html; charset=utf-8",
    )


def _sentence(error: DavserverError) -> str:
    """The message of an error as a sentence."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


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
