"""PUT (RFC 9110, 9.3.4; RFC 4918, 9.7).

Whatever can be refused is refused before the body is read; nothing is visible before all of it is here and
is what was announced. Called by `RequestServer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from wsgidav.dav_error import HTTP_BAD_REQUEST, DAVError

from davserver.dav.quirks import announced_size, checksums_of, times_of
from davserver.dav.responses import Blocks, StartResponse, placed
from davserver.dav.scope import RequestScope
from davserver.errors import WrongKind


@dataclass(frozen=True, slots=True)
class Digests:
    """Which digests are kept, by name.

    Attributes:
        compared: of a file whose client sends a time or a digest, because it will compare them later.
        always: of every file.
    """

    compared: frozenset[str] = frozenset({"SHA1"})
    always: frozenset[str] = frozenset()


def respond(scope: RequestScope, digests: Digests, start_response: StartResponse) -> Blocks:
    """Store the body as a file."""
    environ = scope.environ
    _refuse_parts_and_codings(scope)
    times = times_of(environ)
    checksums = checksums_of(environ)
    compares = bool(checksums) or times.modified_ns is not None
    upload = scope.vault.write(
        scope.target.path,
        expected_size=announced_size(environ, scope.body),
        modified_ns=times.modified_ns,
        created_ns=times.created_ns,
        checksums=checksums,
        keep=digests.always | digests.compared if compares else digests.always,
        demands=scope.demands(),
    )
    with upload:
        while scope.body.unread and (count := scope.body.fill(upload.space())):
            scope.watch.check()
            upload.advance(count)
        result = upload.commit()
    headers = [("ETag", f'"{result.node.etag}"'), *times.acknowledgements]
    return placed(start_response, created=result.created, headers=headers)


def _refuse_parts_and_codings(scope: RequestScope) -> None:
    """Refuse what would be taken for a whole, plain file and is none."""
    if scope.target.slash or scope.target.path.is_root:
        raise WrongKind("a collection has no content")
    if "HTTP_CONTENT_RANGE" in scope.environ:
        raise DAVError(HTTP_BAD_REQUEST, "part of a file cannot be written")
    if scope.environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise DAVError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content must be sent without a coding")
