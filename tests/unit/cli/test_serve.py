"""The parts of `sealdav serve` and `enrol` that need no process of their own."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import qrcode

from davserver.accounts.audit_flood import MOST_A_MINUTE
from davserver.accounts.audit_trail import Search
from davserver.audit import AuditEvent
from davserver.cli.connect import base_url
from davserver.cli.enrol import draw_qr
from davserver.cli.processes import Collector, application, collector_of
from davserver.cli.serve import tls_warning
from davserver.dav.app import DavApp
from davserver.errors import StorageUnavailable
from davserver.settings import load_settings
from davserver.vault.maintenance import GcReport, Maintenance
from tests.unit.cli.conftest import Cli

PATIENCE = 10.0


class Failing(Maintenance):
    """A store that cannot be reached the first time."""

    def __init__(self) -> None:
        self.graces: list[timedelta] = []
        self.again = threading.Event()

    def collect(self, *, grace: timedelta) -> GcReport:
        """Fail, then succeed."""
        self.graces.append(grace)
        if len(self.graces) == 1:
            raise StorageUnavailable("not now")
        self.again.set()
        return GcReport(0, 0, 0, 0, 0)


def test_collecting_goes_on_after_a_failure() -> None:
    """A disk that is away for a while must not end the collection for good."""
    maintenance = Failing()
    collector = Collector(maintenance, interval=timedelta(milliseconds=1), grace=timedelta(hours=3))
    collector.start()
    try:
        assert maintenance.again.wait(PATIENCE)
    finally:
        collector.stop()
    assert not collector.is_alive()
    assert set(maintenance.graces) == {timedelta(hours=3)}


def test_where_another_process_collects_the_rest_is_done() -> None:
    """Nobody's garbage is looked for, and nobody complains."""
    done = threading.Event()
    Collector(None, interval=timedelta(hours=1), grace=timedelta(0), besides=done.set).collect()
    assert done.is_set()


def test_an_interval_of_zero_collects_never() -> None:
    """The setting's way to leave it to a timer."""
    maintenance = Failing()
    collector = Collector(maintenance, interval=timedelta(0), grace=timedelta(0))
    collector.start()
    collector.join(PATIENCE)
    assert not collector.is_alive()
    assert maintenance.graces == []


def test_only_one_of_several_processes_collects(cli: Cli) -> None:
    """The others only record what each has counted of strangers, which nobody else could."""
    with cli.services() as services:
        for _ in range(MOST_A_MINUTE + 3):
            services.audit.record(AuditEvent.TOKEN_REFUSED)
        cli.clock.advance(minutes=2)
        collector_of(services, collects=False).collect()
        (entry,) = services.audit_trail.follow(Search(event=AuditEvent.AUDIT_SKIPPED), after=0)
    assert entry.reason == "3 more token-refused"


def test_the_drive_can_be_served_without_the_site(cli: Cli) -> None:
    """Production gives each door its own process and host name."""
    with cli.services() as services:
        assert isinstance(application(services, dav_only=True), DavApp)
        assert not isinstance(application(services, dav_only=False), DavApp)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("nas.local", "http://nas.local:80"),
    ],
)
def test_the_address_that_is_shown_can_be_opened(host: str, url: str) -> None:
    """A wildcard is no address, and an IPv6 address needs brackets."""
    assert base_url(host, 80) == url


def test_the_address_of_our_own_tls_is_https() -> None:
    """As it can be opened."""
    assert base_url("127.0.0.1", 8443, tls=True) == "https://127.0.0.1:8443"
    assert base_url("::", 8443, tls=True) == "https://[::1]:8443"


TLS = {"tls_certificate": "tls.crt", "tls_key": "tls.key"}


@pytest.mark.parametrize(
    ("host", "settings", "words"),
    [
        ("127.0.0.1", {}, None),
        ("::1", {}, None),
        ("192.0.2.1", {}, "are refused, since anybody there can listen in: set server.tls_certificate"),
        ("192.0.2.1", {"plain_http": "true"}, "on the network can listen in: set server.tls_certificate"),
        ("192.0.2.1", {"public_url": "http://dav.example.org"}, "listen in: set server.tls_certificate"),
        ("192.0.2.1", TLS, None),
        ("192.0.2.1", {"trusted_proxies": "192.0.2.2"}, None),
        ("127.0.0.1", {"public_url": "https://dav.example.org"}, "set server.trusted_proxies"),
        ("127.0.0.1", {"public_url": "https://dav.example.org", "trusted_proxies": "127.0.0.1"}, None),
        ("127.0.0.1", {"public_url": "https://dav.example.org", **TLS}, None),
    ],
)
def test_missing_tls_is_told(host: str, settings: dict[str, str], words: str | None) -> None:
    """Plain http on the network, and a TLS proxy that nobody was told to believe."""
    warning = tls_warning(load_settings(flags={"server": settings}).server, host)
    assert warning is None if words is None else words in str(warning)


def test_the_qr_code_on_the_terminal_is_the_one_of_the_text() -> None:
    """Read back module by module: half blocks are black, blanks white, whatever the terminal's colours."""
    text = "otpauth://totp/Sealdav:alice?secret=ABCDEFGHIJKLMNOP&issuer=Sealdav"
    code = qrcode.QRCode(border=2)
    code.add_data(text)
    drawn: list[list[bool]] = []
    for line in draw_qr(text).splitlines():
        modules = line.removeprefix("\x1b[30;107m").removesuffix("\x1b[0m")
        assert line == f"\x1b[30;107m{modules}\x1b[0m"
        drawn += [[one in "▀█" for one in modules], [one in "▄█" for one in modules]]
    matrix = [[bool(one) for one in row] for row in code.get_matrix()]
    assert drawn[: len(matrix)] == matrix
    assert not any(one for row in drawn[len(matrix) :] for one in row)
