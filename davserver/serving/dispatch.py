"""One port for both doors: paths that WebDAV clients use go to one application, all others to the other.

It must never change a request: both see it as it came. Called by `davserver.cli`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from davserver.serving.exchange import Environ, WsgiApp
from davserver.serving.wire import Block

DAV_PREFIXES = ("/dav", "/remote.php", "/ocs", "/index.php/login/v2")
"""Collections of paths that belong to the WebDAV door: our own, and those of Nextcloud-minded clients."""

RESOURCE_METADATA_PATH = "/.well-known/oauth-protected-resource/dav"
"""Where programs learn which identity provider's tokens open the drive (RFC 9728, 3.1)."""

DAV_PATHS = frozenset({"*", "/status.php", RESOURCE_METADATA_PATH})
"""Single paths that belong to it; "*" is the target of `OPTIONS *`."""


def one_port(dav: WsgiApp, site: WsgiApp) -> WsgiApp:
    """An application that hands each request to `dav` or `site` by its decoded path."""

    def app(environ: Environ, start_response: Callable[..., Callable[[Block], None]]) -> Iterable[Block]:
        return (dav if _is_dav(environ["PATH_INFO"]) else site)(environ, start_response)

    return app


def _is_dav(path: str) -> bool:
    if path in DAV_PATHS:
        return True
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in DAV_PREFIXES)
