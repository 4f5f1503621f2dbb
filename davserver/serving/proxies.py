"""Who is believed about the client: reverse proxies that are named in the settings, and nobody else.

It must never let a client choose its own address, scheme or host. Called by `exchange` for every request.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from davserver.serving.head import is_authority

Network = IPv4Network | IPv6Network

TOLD = ("x-forwarded-", "forwarded", "x-real-ip")
"""How the fields begin in which a proxy tells of the client; an application never sees them."""

_SCHEMES = frozenset({"http", "https"})


class Proxies:
    """Proxies in front of this server.

    Args:
        networks: where they are; every machine in there can pretend to be any client.
        plain_for_all: whether every client may speak plain http.
    """

    def __init__(self, networks: Collection[Network] = (), *, plain_for_all: bool = False) -> None:
        self._networks = tuple(networks)
        self._plain_for_all = plain_for_all

    def trusts(self, peer: str) -> bool:
        """Whether this peer of a connection is a proxy of ours."""
        return self._trusts(_address(peer))

    def may_be_plain(self, peer: str) -> bool:
        """Whether nobody else can listen in on plain http with this peer, or nobody cares."""
        if self._plain_for_all:
            return True
        address = _address(peer)
        return address is not None and (address.is_loopback or self._trusts(address))

    def apply(self, environ: dict[str, Any], told: Mapping[str, str]) -> None:
        """Put the client that a trusted proxy tells of in the place of the proxy; believe nobody else.

        Changes REMOTE_ADDR (X-Forwarded-For), wsgi.url_scheme (X-Forwarded-Proto) and HTTP_HOST
        (X-Forwarded-Host). A malformed field is as good as none.

        Args:
            environ: that of the peer, without the fields of `TOLD`.
            told: these fields, by name in lower case.
        """
        if not self._trusts(_address(environ["REMOTE_ADDR"])):
            return
        client = self._client(told.get("x-forwarded-for", ""))
        if client is not None:
            environ["REMOTE_ADDR"] = str(client)
            del environ["REMOTE_PORT"]  # the proxy's
        scheme = told.get("x-forwarded-proto", "").lower()
        if scheme in _SCHEMES:
            environ["wsgi.url_scheme"] = scheme
        host = told.get("x-forwarded-host", "")
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
