"""What becomes of a form that was refused: the same page again, with what is wrong and what was typed.

It must never put a secret back into a page. Used by the pages.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import render_template
from werkzeug.wrappers import Response


def refused(
    template: str,
    reason: Exception | str,
    status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY,
    **context: Any,  # noqa: ANN401 - what a template is given
) -> Response:
    """The page with its form again, and one sentence of what is wrong."""
    text = str(reason)
    sentence = text if text.endswith((".", "?")) else f"{text}."
    shown = render_template(template, refusal=sentence[:1].upper() + sentence[1:], **context)
    return Response(shown, status, content_type="text/html; charset=utf-8")
