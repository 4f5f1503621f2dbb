"""Addresses of peers, as servers write them."""

from __future__ import annotations

import pytest

from davserver.accounts.clients import client_address, client_network


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("terminal", "terminal"),
        ("", ""),
    ],
)
def test_what_counts_as_one_client(client: str, network: str) -> None:
    """An IPv6 host has as many addresses as it likes in its /64; an IPv4 one has one, in two spellings."""
    assert client_network(client) == network


@pytest.mark.parametrize("client", ["", "unix", "192.0.2.1:8080", "192.0.2.01", "192.0.2.0/24", "1"])
def test_what_is_no_address(client: str) -> None:
    """Other text is nowhere, rather than somewhere near."""
    assert client_address(client) is None
