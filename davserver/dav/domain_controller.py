"""Who is asking: the Authorization header, handed to the Authenticator.

Whatever is wrong with a credential, the answer is the same 401; it must never say which part was wrong, and
never become a 500. Called by `app`, first of all and for every request.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any

from wsgidav.dc.base_dc import BaseDomainController

from davserver.dav.bearer import SCHEME, BearerTokens
from davserver.errors import AuthenticationError
from davserver.model import Principal
from davserver.serving.exchange import Environ
from davserver.vault.service import RequestReads

Authenticate = Callable[[str, str, str, str, RequestReads | None], Principal]
"""`Authenticator.authenticate`: user name, secret, client address, name of the program, shared reads."""

REALM = "Sealdav"

BASIC_CHALLENGE = ("WWW-Authenticate", f'Basic realm="{REALM}", charset="UTF-8"')

PRINCIPAL_KEY = "sealdav.principal"
"""Where WsgiDAV's interface, which can only say yes or no, leaves the principal."""

READS_KEY = "sealdav.reads"
"""Where the environ carries what the request reads in one transaction (`Vaults.reads`)."""

MAX_CREDENTIAL_CHARS = 4096
"""Longer ones are not even decoded."""

MAX_TOKEN_CHARS = 8192
"""The same for access tokens: Keycloak's have one or two thousand characters, with many roles several."""


class DomainController(BaseDomainController):
    """WsgiDAV's interface to authentication, for a single realm.

    WsgiDAV's own HTTPAuthenticator is not used: it answers malformed headers with 500 and knows no Bearer.

    Args:
        bearer: what takes access tokens; None without an identity provider.
    """

    def __init__(
        self,
        app: object,
        config: dict[str, Any],
        authenticate: Authenticate,
        bearer: BearerTokens | None = None,
    ) -> None:
        super().__init__(app, config)
        self._authenticate = authenticate
        self._bearer = bearer
        self._schemes: dict[str, tuple[int, Callable[[str, Environ], Principal]]] = {
            "basic": (MAX_CREDENTIAL_CHARS, self._basic)
        }
        if bearer is not None:
            self._schemes[SCHEME] = MAX_TOKEN_CHARS, bearer.principal

    def challenges(self, environ: Environ) -> list[tuple[str, str]]:
        """What a 401 offers. Basic comes first: some clients look no further than the first one."""
        offered = [BASIC_CHALLENGE]
        if self._bearer is not None:
            offered.append(self._bearer.challenge(environ, REALM))
        return offered

    def principal(self, environ: Environ) -> Principal:
        """Authenticate a request.

        Raises:
            AuthenticationError: no credential, a malformed one, or one that opens nothing.
        """
        header = environ.get("HTTP_AUTHORIZATION", "")
        scheme, _, credential = header.partition(" ")
        longest, reader = self._schemes.get(scheme.lower(), (0, None))
        if reader is None or len(credential) > longest:
            raise AuthenticationError("no credential of a scheme that is accepted here")
        return reader(credential.strip(" "), environ)

    def get_domain_realm(self, path_info: str | None, environ: Environ | None) -> str:  # noqa: ARG002
        """The one realm."""
        return REALM

    def require_authentication(self, realm: str, environ: Environ | None) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def supports_http_digest_auth(self) -> bool:
        """Digest needs a secret that the server can read; it has none."""
        return False

    def basic_auth_user(self, realm: str, user_name: str, password: str, environ: Environ) -> bool:  # noqa: ARG002
        """Check an app password and leave the principal in the environ.

        Raises:
            AuthenticationError: it opens nothing.
        """
        client = environ.get("REMOTE_ADDR", "")
        agent = environ.get("HTTP_USER_AGENT", "")
        reads = environ.get(READS_KEY)
        environ[PRINCIPAL_KEY] = self._authenticate(user_name, password, client, agent, reads)
        return True

    def _basic(self, credential: str, environ: Environ) -> Principal:
        """RFC 7617, with the charset that the challenge names."""
        try:
            text = binascii.a2b_base64(credential, strict_mode=True).decode("utf-8")
        except ValueError:
            raise AuthenticationError("malformed Basic credential") from None
        username, colon, secret = text.partition(":")
        if not colon or not username or not secret:
            raise AuthenticationError("malformed Basic credential")
        self.basic_auth_user(REALM, username, secret, environ)
        principal: Principal = environ[PRINCIPAL_KEY]
        return principal
