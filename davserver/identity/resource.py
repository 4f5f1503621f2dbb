"""The document by which programs find out whose tokens open the drive (RFC 9728), written and read.

It names no person and no secret; anybody may have it. Given by the WebDAV door, read by `sealdav token`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from davserver.errors import InvalidValue

RESOURCE_PATH = "/dav"
"""What tokens are for, below the address of the server; the address of the document is made of it."""

CLI_CLIENT = "sealdav_cli_client_id"
"""Our own member of the document (RFC 9728, 2 allows it): what `sealdav token` is called at the provider."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A drive, and who issues tokens for it.

    Attributes:
        url: of the drive, without a slash at the end.
        issuer: the provider's name for itself.
        cli_client_id: what `sealdav token` is called there.
    """

    url: str
    issuer: str
    cli_client_id: str

    @classmethod
    def at(cls, origin: str, issuer: str, cli_client_id: str) -> Resource:
        """The drive of the server at this scheme and host."""
        return cls(f"{origin}{RESOURCE_PATH}", issuer, cli_client_id)

    def document(self) -> dict[str, object]:
        """What is told of it (RFC 9728, 2)."""
        return {
            "resource": self.url,
            "resource_name": "Sealdav",
            "authorization_servers": [self.issuer],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["openid"],
            **({CLI_CLIENT: self.cli_client_id} if self.cli_client_id else {}),
        }


def read(document: Mapping[str, object], origin: str) -> Resource:
    """The drive that a document of the server at `origin` tells of.

    Raises:
        InvalidValue: it is another one's, or says too little.
    """
    found = Resource.at(origin, _text(document.get("authorization_servers")), _text(document.get(CLI_CLIENT)))
    if document.get("resource") != found.url:  # RFC 9728, 3.3
        raise InvalidValue("the server there calls itself by another address: use that one")
    if not found.issuer or not found.cli_client_id:
        raise InvalidValue("this drive is not opened by tokens of `sealdav token`")
    return found


def _text(value: object) -> str:
    """A text, or the first of a list of them; "" for anything else."""
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, str) else ""
