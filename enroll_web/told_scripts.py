"""Answers for the scripts of our pages, which are JSON: what went wrong, in the words that a page would use.

A script is told what to do about it by one word of `Again`, and shows the sentence to whoever looks. Nothing
is said here that no page says. Used by `pages/uploads.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import wraps
from http import HTTPStatus
from typing import ParamSpec, TypeVar

from flask import Blueprint, jsonify, request
from flask_babel import gettext
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from davserver.errors import (
    AuthenticationError,
    DavserverError,
    LengthMismatch,
    NotFound,
    VersionConflict,
)
from enroll_web.errors import BY_REASON, BY_STATUS, OTHERWISE, answer_to, explained, note
from enroll_web.visit import services, visit

TOKEN_FIELD = "X-Form-Token"  # noqa: S105 - the name of a header field
"""In it a script sends what a form of its page holds."""

FOREIGN = "foreign"
"""What a request is refused as whose proof is not good (any more)."""

Arguments = ParamSpec("Arguments")
Given = TypeVar("Given")


class Again(Enum):
    """What may help."""

    NEVER = ""
    SIGN_IN = "sign-in"
    """Sign in again; then the same request."""
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    """Another proof that the request is ours: that of a page that is loaded now."""
    LATER = "later"
    """The same request, after a while."""
    GONE = "gone"
    """To begin anew."""


def refusal(error: DavserverError) -> Response:
    """What a script is told of one of our errors."""
    note(error, services().audit, request.remote_addr)
    return _answer(answer_to(error).status, explained(error), again_after(error))


def http_refusal(error: HTTPException) -> Response:
    """What a script is told of an HTTP error, or of any exception (as 500)."""
    response = error.get_response()
    reason = error.description or ""
    _, text = BY_REASON.get(reason) or BY_STATUS.get(response.status_code, OTHERWISE)
    again = Again.TOKEN if reason == FOREIGN else Again.NEVER
    return _answer(HTTPStatus(response.status_code), gettext(text), again)


def again_after(error: DavserverError) -> Again:
    """What may help after one of our errors."""
    if isinstance(error, AuthenticationError):
        return Again.SIGN_IN
    if isinstance(error, NotFound):
        return Again.GONE
    unavailable = answer_to(error).status is HTTPStatus.SERVICE_UNAVAILABLE
    later = unavailable or isinstance(error, (LengthMismatch, VersionConflict))
    return Again.LATER if later else Again.NEVER


def answers_scripts(pages: Blueprint) -> None:
    """Have everything that goes wrong with these pages told to a script."""
    pages.register_error_handler(DavserverError, refusal)
    pages.register_error_handler(HTTPException, http_refusal)


def proved(page: Callable[Arguments, Given]) -> Callable[Arguments, Given]:
    """Let nobody in who has not proved both factors; a script cannot be led to where that is done."""

    @wraps(page)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Given:
        if not visit().is_proved:
            raise AuthenticationError("nobody is signed in")
        return page(*args, **kwargs)

    return guarded


def _answer(status: HTTPStatus, text: str, again: Again) -> Response:
    response: Response = jsonify(text=text, again=again.value)
    response.status_code = status
    return response
