"""WsgiDAV's provider over the vault: from a path to a resource, inside the scope of a request.

Keeps nothing between requests and knows no account; whose vault is meant is in the environ. Made by `app`.
"""

from __future__ import annotations

from wsgidav.dav_provider import DAVProvider

from davserver.dav.resources import CollectionResource, FileResource
from davserver.dav.scope import RequestScope
from davserver.errors import NotFound
from davserver.serving.exchange import Environ
from davserver.vault.paths import VaultPath

Resource = FileResource | CollectionResource


class VaultProvider(DAVProvider):
    """Every account's tree: the one share of the WsgiDAV application."""

    def __init__(self) -> None:
        super().__init__()

    def get_resource_inst(self, path: str, environ: Environ) -> Resource | None:
        """The resource at a decoded path like "/a/b"; None if there is none.

        Raises:
            PathError: a name that cannot be stored.
        """
        return _resource(VaultPath.parse(path), environ)

    def existing(self, environ: Environ) -> Resource:
        """The resource that the request addresses.

        Raises:
            NotFound: there is none.
        """
        target = RequestScope.of(environ).target
        resource = _resource(target.path, environ)
        if resource is None or (target.slash and not resource.is_collection):
            raise NotFound("there is no such file or collection")
        return resource


def _resource(path: VaultPath, environ: Environ) -> Resource | None:
    node = RequestScope.of(environ).node(path)
    if node is None:
        return None
    return (CollectionResource if node.is_collection else FileResource)(str(path), environ, node)
