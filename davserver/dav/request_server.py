"""WsgiDAV's request server with every method replaced.

What is kept is its shape: a provider, and one `do_METHOD(environ, start_response)` per method. It holds no
state of a request, so one instance serves all. Called by `app` with an authenticated scope in the environ.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from wsgidav.dav_error import HTTP_METHOD_NOT_ALLOWED, DAVError
from wsgidav.request_server import RequestServer as WsgiDavRequestServer

from davserver.dav import get, lock, propfind, proppatch, put, tree
from davserver.dav.errors import METHODS
from davserver.dav.provider import VaultProvider
from davserver.dav.responses import Blocks, StartResponse, empty
from davserver.dav.scope import RequestScope
from davserver.dav.xml_body import parse_propertyupdate
from davserver.serving.exchange import Environ

COMPLIANCE = "1, 2, 3"
"""RFC 4918, 18."""

OPTIONS_HEADERS = [("DAV", COMPLIANCE), ("MS-Author-Via", "DAV"), ("Allow", ", ".join(METHODS))]


class RequestServer(WsgiDavRequestServer):
    """Dispatches a request to its method.

    Args:
        digests: which ones are kept of files.
    """

    def __init__(self, provider: VaultProvider, digests: put.Digests) -> None:
        super().__init__(provider)
        self._provider = provider
        self._digests = digests

    def __call__(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """Answer one request; `start_response` has been called when this returns.

        Raises:
            DavserverError, DAVError: refused, nothing was sent.
        """
        name = environ["REQUEST_METHOD"]
        if name not in METHODS:
            raise DAVError(HTTP_METHOD_NOT_ALLOWED)
        method: Callable[[Environ, StartResponse], Blocks] = getattr(self, f"do_{name}")
        return method(environ, start_response)

    def do_OPTIONS(self, environ: Environ, start_response: StartResponse) -> Blocks:  # noqa: ARG002
        """RFC 9110, 9.3.7 and RFC 4918, 10.1; also where nothing is yet: clients ask before they create."""
        return empty(start_response, HTTPStatus.OK, OPTIONS_HEADERS)

    def do_GET(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """See `get`."""
        return get.respond(RequestScope.of(environ), self._provider.existing(environ), start_response)

    do_HEAD = do_GET

    def do_PUT(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """See `put`."""
        return put.respond(RequestScope.of(environ), self._digests, start_response)

    def do_DELETE(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """See `tree`."""
        return tree.delete(RequestScope.of(environ), start_response)

    def do_MKCOL(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """See `tree`."""
        return tree.make_collection(RequestScope.of(environ), start_response)

    def do_COPY(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """See `tree`."""
        return tree.copy(RequestScope.of(environ), start_response)

    def do_MOVE(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """See `tree`."""
        return tree.move(RequestScope.of(environ), start_response)

    def do_PROPFIND(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """See `propfind`."""
        scope = RequestScope.of(environ)
        plan = propfind.plan(scope)
        return propfind.respond(scope, plan, self._provider.existing(environ), start_response)

    def do_PROPPATCH(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """See `proppatch`."""
        scope = RequestScope.of(environ)
        instructions = parse_propertyupdate(scope.body.read_xml())
        return proppatch.respond(scope, instructions, self._provider.existing(environ), start_response)

    def do_LOCK(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """See `lock`."""
        return lock.lock(RequestScope.of(environ), start_response)

    def do_UNLOCK(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """See `lock`."""
        return lock.unlock(RequestScope.of(environ), start_response)
