"""Access tokens at the door: the challenge that asks for one, and the document that says where to get one.

A token is taken from the Authorization field and from nowhere else (RFC 6750, 2.1): addresses and forms end
up in logs. Without an identity provider there is none of it. Used by `domain_controller` and `app`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from wsgidav.dav_error import HTTP_NOT_FOUND, DAVError

from davserver.dav.errors import status_line
from davserver.dav.responses import Blocks, StartResponse
from davserver.identity.resource import Resource
from davserver.model import Principal
from davserver.serving.dispatch import RESOURCE_METADATA_PATH
from davserver.serving.exchange import Environ

SCHEME = "bearer"

METADATA_HEADERS = [
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
]
"""With the document. It names the host that was asked for, so nobody may keep it for somebody else."""


@dataclass(frozen=True, slots=True)
class BearerTokens:
    """What the door knows of the identity provider's tokens.

    Attributes:
        authenticate: `BearerAuthenticator.authenticate`: token and client address.
        still_open: `BearerAuthenticator.still_open`.
        issuer: the provider's name for itself.
        cli_client_id: as in the settings.
        public_url: scheme and host that clients use; "" takes those of the request.
    """

    authenticate: Callable[[str, str], Principal]
    still_open: Callable[[Principal], bool]
    issuer: str
    cli_client_id: str
    public_url: str

    def principal(self, token: str, environ: Environ) -> Principal:
        """See `BearerAuthenticator.authenticate`."""
        return self.authenticate(token, environ.get("REMOTE_ADDR", ""))

    def challenge(self, environ: Environ, realm: str) -> tuple[str, str]:
        """The field that offers the scheme; whoever sent a token is told that it is no good (RFC 6750, 3)."""
        scheme = environ.get("HTTP_AUTHORIZATION", "").partition(" ")[0].lower()
        error = ', error="invalid_token"' if scheme == SCHEME else ""
        document = f"{self._origin(environ)}{RESOURCE_METADATA_PATH}"
        return "WWW-Authenticate", f'Bearer realm="{realm}"{error}, resource_metadata="{document}"'

    def document(self, environ: Environ) -> bytes:
        """The document for programs that only know the address of the drive (RFC 9728, 2)."""
        drive = Resource.at(self._origin(environ), self.issuer, self.cli_client_id)
        return json.dumps(drive.document()).encode()

    def _origin(self, environ: Environ) -> str:
        """Scheme and host that the client uses (PEP 3333, URL Reconstruction)."""
        host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        return self.public_url or f"{environ['wsgi.url_scheme']}://{host}"


def is_metadata(environ: Environ) -> bool:
    """Whether a request is for the document: the one thing that is answered without a credential."""
    return environ["REQUEST_URI"] == RESOURCE_METADATA_PATH and environ["REQUEST_METHOD"] in {"GET", "HEAD"}


def metadata(tokens: BearerTokens | None, environ: Environ, start_response: StartResponse) -> Blocks:
    """Answer with the document.

    Raises:
        DAVError: 404 without an identity provider.
    """
    if tokens is None:
        raise DAVError(HTTP_NOT_FOUND)
    body = tokens.document(environ)
    start_response(status_line(HTTPStatus.OK), [*METADATA_HEADERS, ("Content-Length", str(len(body)))])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
