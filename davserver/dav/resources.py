"""WsgiDAV's view of nodes in the vault: one line per hook.

For reading only. WsgiDAV writes in two steps, resolve and then change; ours hand the path to the vault, which
does both in one transaction. So its hooks for writing stay as inherited: forbidden. Made by `provider`.
"""

from __future__ import annotations

from collections.abc import Iterator

from wsgidav.dav_provider import DAVCollection, DAVNonCollection

from davserver.dav.scope import RequestScope
from davserver.model import Node
from davserver.sending.media import browser_headers, content_type
from davserver.serving.exchange import Environ
from davserver.vault.download import Download
from davserver.vault.properties import Values


class FileResource(DAVNonCollection):
    """A file."""

    def __init__(self, path: str, environ: Environ, node: Node) -> None:
        super().__init__(path, environ)
        self.node = node

    def get_content_length(self) -> int:
        """Length in bytes."""
        return self.node.size

    def get_content_type(self) -> str:
        """Media type."""
        return content_type(self.node.name)

    def get_display_name(self) -> str:
        """The name as it was created."""
        return self.node.name

    def get_etag(self) -> str:
        """Strong entity tag, without quotes."""
        return self.node.etag

    def support_etag(self) -> bool:
        """Always."""
        return True

    def finalize_headers(self, environ: Environ, response_headers: list[tuple[str, str]]) -> None:  # noqa: ARG002
        """What keeps a browser from running the content."""
        response_headers.extend(browser_headers(self.get_display_name(), self.get_content_type()))

    def get_content(self) -> Download:
        """The content, opened."""
        return RequestScope.of(self.environ).vault.read(self.node)


class CollectionResource(DAVCollection):
    """A collection."""

    def __init__(self, path: str, environ: Environ, node: Node) -> None:
        super().__init__(path, environ)
        self.node = node

    def members(self, *, tagged: bool = True) -> Iterator[Node]:
        """The members as nodes, read as they are consumed; resources would cost more than their rows."""
        return RequestScope.of(self.environ).vault.listing(self.node, tagged=tagged)

    def members_with_properties(self) -> Iterator[tuple[Node, Values]]:
        """The members with their dead properties."""
        return RequestScope.of(self.environ).vault.listing_with_properties(self.node)

    def get_member_names(self) -> list[str]:
        """Names of all members."""
        return [node.name for node in self.members()]
