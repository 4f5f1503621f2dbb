"""Who is believed about the client: reverse proxies that are named in the settings, and nobody else.

It must never let a client choose its own address, scheme or host. Called by `exchange` for every request.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from davserver.serving.head import is_authority

Network = IPv4Network | IPv6Network

_TOLD = ("HTTP_X_FORWARDED_", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
"""How the fields begin in which a proxy tells of the client; an application never sees them."""

_SCHEMES = frozenset({"http", "https"})


class Proxies:
    """Proxies in front of this server.

    Args:
        networks: where they are; every machine in there can pretend to be any client.
    """

    def __init__(self, networks: Collection[Network] = ()) -> None:
        self._networks = tuple(networks)

    def apply(self, environ: dict[str, Any]) -> None:
        """Put the client that a trusted proxy tells of in the place of the proxy; drop what anybody tells.

        Changes REMOTE_ADDR (X-Forwarded-For), wsgi.url_scheme (X-Forwarded-Proto) and HTTP_HOST
        (X-Forwarded-Host). A malformed field is as good as none.
        """
        told = {name: environ.pop(name) for name in [name for name in environ if name.startswith(_TOLD)]}
        if not told or not self._trusts(_address(environ["REMOTE_ADDR"])):
            return
        client = self._client(told.get("HTTP_X_FORWARDED_FOR", ""))
        if client is not None:
            environ["REMOTE_ADDR"] = str(client)
            del environ["REMOTE_PORT"]  # the proxy's
        scheme = told.get("HTTP_X_FORWARDED_PROTO", "").lower()
        if scheme in _SCHEMES:
            environ["wsgi.url_scheme"] = scheme
        host = told.get("HTTP_X_FORWARDED_HOST", "")
        if host and is_authority(host):
            environ["HTTP_HOST"] = host

    def _trusts(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def _client(self, chain: str) -> IPv4Address | IPv6Address | None:
        """The rightmost address that is no proxy of ours: what is left of it is only the client's word.

        If all are ours, one of the proxies asks for itself. None if an entry on the way is no address.
        """
        address = None
        for entry in reversed(chain.split(",")):
            address = _address(entry.strip())
            if address is None or not self._trusts(address):
                return address
        return address


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address; a socket for both families names an IPv4 peer as an IPv6 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
