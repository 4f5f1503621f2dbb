"""Where a request comes from: the peer's address as text becomes an address, or the network it counts as.

It must never guess: text that is no address is inside of no network. Called by `authenticator.py`,
`sign_in.py` and `last_use.py`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

IPV6_PREFIX = 64
"""An IPv6 host owns at least this network, so it counts as one client."""


IPV4_NEIGHBOURHOOD = 24
"""An IPv4 address that changes within this prefix is still the same place."""


def client_address(client: str) -> IPv4Address | IPv6Address | None:
    """The address; None if it is none. A socket for both families names an IPv4 peer as an IPv6 address."""
    try:
        address = ip_address(client)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def client_neighbourhood(client: str) -> str:
    """The network around a client, for people: other words stay as they are."""
    address = client_address(client)
    if isinstance(address, IPv4Address):
        return str(ip_network((int(address), IPV4_NEIGHBOURHOOD), strict=False))
    return client_network(client)


def client_network(client: str) -> str:
    """What counts as one client: an IPv4 address, or an IPv6 host's network; other words stay as they are."""
    address = client_address(client)
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), IPV6_PREFIX), strict=False))
    return client if address is None else str(address)
