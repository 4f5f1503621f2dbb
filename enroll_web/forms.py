"""What becomes of a form that was refused: the same page again, with what is wrong and what was typed.

It must never put a secret back into a page. Used by the pages.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import render_template
from werkzeug.wrappers import Response

from davserver.errors import DavserverError
from enroll_web.errors import sentence, told


def refused(
    template: str,
    reason: DavserverError | str,
    status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY,
    **context: Any,  # noqa: ANN401 - what a template is given
) -> Response:
    """The page with its form again, and one sentence of what is wrong.

    Args:
        template: the page.
        reason: an error, or a text in the language of the page.
        status: of the answer.
        context: what else the template needs.
    """
    refusal = told(reason) if isinstance(reason, DavserverError) else sentence(reason)
    shown = render_template(template, refusal=refusal, **context)
    return Response(shown, status, content_type="text/html; charset=utf-8")
