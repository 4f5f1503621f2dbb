"""What clients see of an error: one table from the project's errors to status and RFC 4918 condition.

It must never show the text of an unexpected error, nor a path. Called by `app`, once per refused request.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from xml.sax.saxutils import escape

from wsgidav.dav_error import DAVError, DAVErrorCondition

from davserver import errors as ours
from davserver.dav.uri import href
from davserver.errors import RETRY_SECONDS, DavserverError, Locked, Unconfirmed

METHODS = (
    "OPTIONS",
    "GET",
    "HEAD",
    "PUT",
    "DELETE",
    "MKCOL",
    "COPY",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "LOCK",
    "UNLOCK",
)
"""What this door speaks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of the table.

    Attributes:
        condition: local name of the element in "DAV:" that says more (RFC 4918, 16), or "".
        retry: whether the same request may succeed later.
    """

    status: HTTPStatus
    condition: str = ""
    retry: bool = False


_SERVER_FAULT = Answer(HTTPStatus.INTERNAL_SERVER_ERROR)
_UNAUTHORIZED = Answer(HTTPStatus.UNAUTHORIZED)

TABLE: dict[type[DavserverError], Answer] = {
    ours.NotFound: Answer(HTTPStatus.NOT_FOUND),
    ours.FolderGone: Answer(HTTPStatus.NOT_FOUND),
    ours.AlreadyExists: Answer(HTTPStatus.METHOD_NOT_ALLOWED),  # only MKCOL can meet it (RFC 4918, 9.3.1)
    ours.NameTaken: Answer(HTTPStatus.CONFLICT),  # as `WrongOffset`
    ours.ParentMissing: Answer(HTTPStatus.CONFLICT),
    ours.WrongKind: Answer(HTTPStatus.METHOD_NOT_ALLOWED),
    ours.TargetInsideSource: Answer(HTTPStatus.FORBIDDEN),
    ours.NoSuchLock: Answer(HTTPStatus.CONFLICT, "lock-token-matches-request-uri"),  # RFC 4918, 9.11.1
    ours.Locked: Answer(HTTPStatus.LOCKED, "lock-token-submitted"),
    ours.LockConflict: Answer(HTTPStatus.LOCKED, "no-conflicting-lock"),
    ours.WrongOffset: Answer(HTTPStatus.CONFLICT),  # of the site's uploads; no request of this door meets it
    ours.VersionConflict: Answer(HTTPStatus.SERVICE_UNAVAILABLE, retry=True),
    ours.PreconditionFailed: Answer(HTTPStatus.PRECONDITION_FAILED),
    ours.PathError: Answer(HTTPStatus.BAD_REQUEST),
    ours.InvalidValue: Answer(HTTPStatus.BAD_REQUEST),
    ours.LimitExceeded: Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ours.TooLarge: Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ours.TooMany: Answer(HTTPStatus.INSUFFICIENT_STORAGE),
    ours.QuotaExceeded: Answer(HTTPStatus.INSUFFICIENT_STORAGE, "quota-not-exceeded"),  # RFC 4331, 6
    ours.LengthMismatch: Answer(HTTPStatus.BAD_REQUEST),
    ours.ChecksumMismatch: Answer(HTTPStatus.BAD_REQUEST),
    ours.CorruptBlob: _SERVER_FAULT,
    ours.CorruptRow: _SERVER_FAULT,
    # 429 makes rclone hammer and 423 makes it loop; whatever the reason, a refused credential is 401 here.
    ours.AuthenticationError: _UNAUTHORIZED,
    ours.Throttled: _UNAUTHORIZED,
    ours.TotpInvalid: _UNAUTHORIZED,
    ours.TotpOutOfSync: _UNAUTHORIZED,
    ours.TotpReplayed: _UNAUTHORIZED,
    ours.SignInCancelled: _UNAUTHORIZED,
    ours.SignInStale: _UNAUTHORIZED,
    ours.TokenRefused: _UNAUTHORIZED,
    ours.SecondFactorMissing: _UNAUTHORIZED,
    ours.ClockMismatch: _UNAUTHORIZED,
    ours.NotPermitted: Answer(HTTPStatus.FORBIDDEN),
    ours.RoleMissing: Answer(HTTPStatus.FORBIDDEN),
    ours.MasterKeyError: _SERVER_FAULT,
    ours.ProviderMisconfigured: _SERVER_FAULT,
    ours.ConfigError: _SERVER_FAULT,
    ours.TooBusy: Answer(HTTPStatus.SERVICE_UNAVAILABLE, retry=True),
    ours.ProviderUnavailable: Answer(HTTPStatus.SERVICE_UNAVAILABLE, retry=True),
    ours.Unconfirmed: Answer(HTTPStatus.SERVICE_UNAVAILABLE, retry=True),
    ours.StorageFull: Answer(HTTPStatus.INSUFFICIENT_STORAGE, "sufficient-disk-space"),  # RFC 4331, 6
    ours.StorageUnavailable: Answer(HTTPStatus.SERVICE_UNAVAILABLE, retry=True),
}


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A refusal, ready to be sent."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def translate(error: DavserverError, tree: str = "") -> DAVError:
    """The row of an error as WsgiDAV's error. An error without a row of its own takes that of its parent.

    Args:
        error: what happened.
        tree: encoded path of the tree's root as the client sees it, for the roots of locks in the way.
    """
    answer = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), _SERVER_FAULT)
    condition = DAVErrorCondition(f"{{DAV:}}{answer.condition}") if answer.condition else None
    if condition is not None and isinstance(error, Locked):
        for names, is_collection in error.roots:
            condition.add_href(href(tree, names, collection=is_collection))
    return DAVError(
        answer.status,
        str(error),
        err_condition=condition,
        add_headers=[("Retry-After", _when(error))] if answer.retry else None,
    )


def _when(error: DavserverError) -> str:
    """When to come back."""
    return str(error.retry_after if isinstance(error, Unconfirmed) else RETRY_SECONDS)


def respond(error: DAVError, method: str) -> ErrorResponse:
    """Write the answer to a refused request.

    The text of the error is shown if it is about the request; of the server's own faults nothing is said.
    """
    status = HTTPStatus(error.value)
    headers = list(error.add_headers or ())
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", ", ".join(each for each in METHODS if each != method)))
    if error.err_condition:
        content_type = "application/xml; charset=utf-8"
        text = (
            f'<?xml version="1.0" encoding="utf-8"?>\n<D:error xmlns:D="DAV:">{_condition(error)}</D:error>\n'
        )
    else:
        content_type = "text/plain; charset=utf-8"
        about_request = status < HTTPStatus.INTERNAL_SERVER_ERROR and status is not HTTPStatus.UNAUTHORIZED
        text = f"{(about_request and error.context_info) or status.phrase}\n"
    body = text.encode()
    headers += [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    return ErrorResponse(status_line(status), headers, b"" if method == "HEAD" else body)


def _condition(error: DAVError) -> str:
    condition = error.err_condition.condition_code.removeprefix("{DAV:}")
    hrefs = "".join(f"<D:href>{escape(one)}</D:href>" for one in error.err_condition.hrefs)
    return f"<D:{condition}>{hrefs}</D:{condition}>" if hrefs else f"<D:{condition}/>"


def status_line(status: HTTPStatus) -> str:
    """The status as PEP 3333 wants it."""
    return f"{status.value} {status.phrase}"
