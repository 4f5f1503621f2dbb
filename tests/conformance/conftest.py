"""One server for the whole run and an empty collection for each test.

`--server=ours` (default) is Sealdav with all its services, listening in this process; `--server=tls` is the
same over TLS; `--server=serve` is the command `sealdav serve` with several processes; `--server=stock` is
WsgiDAV on cheroot as they come. A test that takes `ours` is left out where only the first two have enough.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Protocol, cast

import pytest

from davserver.serving.server import Options
from tests.certificates import client_context, server_certificate
from tests.conformance.client import Client
from tests.conformance.http import PATIENCE
from tests.conformance.ours import OurServer
from tests.conformance.served import ServedServer
from tests.conformance.stock import StockServer

_SERVER = "conformance_server"
_PATIENCE = "conformance_patience"
_numbers = itertools.count(1)


class Running(Protocol):
    """What most tests need of any server."""

    @property
    def client(self) -> Client:
        """An account that may do everything."""
        ...

    def start(self) -> None:
        """Serve what was stored before, on the same port."""
        ...

    def stop(self) -> None:
        """Stop as an administrator does, requests still running."""
        ...

    def close(self) -> None:
        """Stop for good; as often as one likes."""
        ...


class Server(Running, Protocol):
    """One in this process, with the clock and the store of which a test can do more."""

    def later(self, **amount: float) -> AbstractContextManager[None]:
        """Let it be later, for locks at least, by a `timedelta` given in its own words."""
        ...

    def populate(self, collection: str, count: int) -> None:
        """Put `count` empty members, named by five digits, into the collection at this path."""
        ...


MakeServer = Callable[[], Running]


def _over_tls(folder: Path, patience: float) -> OurServer:
    options = Options(certificate=server_certificate(folder))
    return OurServer(folder, patience, options, client_context())


_KINDS: dict[str, Callable[[Path, float], Running]] = {
    "ours": OurServer,
    "tls": _over_tls,
    "serve": ServedServer,
    "stock": StockServer,
}
_WITHOUT = {"serve": frozenset({"ours", "server"}), "stock": frozenset({"ours"})}
"""Fixtures for which a server has not enough: see `Server`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known only when pytest is given this folder, or something in it."""
    group = parser.getgroup("conformance")
    group.addoption("--server", dest=_SERVER, choices=tuple(_KINDS), default="ours")
    group.addoption("--patience", dest=_PATIENCE, type=float, default=PATIENCE, help="seconds to wait for it")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of `faults.fault`."""
    config.addinivalue_line(
        "markers", "fault(what, stock): what stock WsgiDAV does instead of what is tested"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the server does not have."""
    without = _WITHOUT.get(config.getoption(_SERVER, "ours"), frozenset())
    left_out = [item for item in items if without & _asked_for(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _asked_for(item: pytest.Item) -> set[str]:
    """What a test or one of its fixtures names; `server` counts only if the test itself does."""
    names = set(getattr(item, "fixturenames", ())) - {"server"}
    return names | set(signature(item.function).parameters) if isinstance(item, pytest.Function) else names


@pytest.fixture(scope="session")
def make_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeServer]:
    """Start further servers, for tests that stop them."""
    config = request.config
    patience = float(config.getoption(_PATIENCE, PATIENCE))
    kind = _KINDS[config.getoption(_SERVER, "ours")]
    started: list[Running] = []

    def make() -> Running:
        started.append(kind(tmp_path_factory.mktemp("server"), patience))
        return started[-1]

    yield make
    for one in started:
        one.close()


@pytest.fixture(scope="session")
def server(make_server: MakeServer) -> Server:
    """The server that is tested; a test that takes it by name is left out where it has not all of it."""
    return cast("Server", make_server())


@pytest.fixture(scope="session")
def ours(server: Server) -> OurServer:
    """Our server with its services, for what the stock one does not have."""
    assert isinstance(server, OurServer)
    return server


@pytest.fixture
def dav(server: Server) -> Client:
    """A client whose names are relative to an empty collection that nobody else uses.

    A slow server may still be busy with what the test before has given up: here, it is waited for.
    """
    client = server.client
    patient = replace(client, patience=max(client.patience, PATIENCE))
    return replace(patient.made_collection(f"test-{next(_numbers)}"), patience=client.patience)
