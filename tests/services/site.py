"""The whole server in this process for browsers of tests: over https, under a name, with a clock of theirs.

Names lead to loopback by a rule that the browser is started with (`rule`); no name is ever looked up. Used by
tour.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from davserver.bootstrap import Services, build_services
from davserver.cli.processes import application
from davserver.clock import Clock
from davserver.serving.server import Options, Server
from davserver.settings import load_settings
from tests.certificates import server_certificate

THREADS = 6
"""A browser opens as many connections to one host."""

BROWSER_FLAG = "--ignore-certificate-errors"
"""What a browser needs beside the rules: nobody vouches for the certificate."""


@dataclass(frozen=True)
class ServedSite:
    """One installation that is being served.

    Attributes:
        host: the name that browsers use.
        services: what is behind it.
        port: where it listens with TLS on loopback.
        plain_port: where it listens without, as a server that is set up wrongly would.
    """

    host: str
    services: Services
    port: int
    plain_port: int

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"https://{self.host}"

    @property
    def rule(self) -> str:
        """What leads a Chromium to it (`--host-resolver-rules`)."""
        return f"MAP {self.host}:443 127.0.0.1:{self.port},MAP {self.host}:80 127.0.0.1:{self.plain_port}"


@contextmanager
def serve(folder: Path, host: str, clock: Clock, **sections: Mapping[str, object]) -> Iterator[ServedSite]:
    """Serve a new installation in `folder`, with settings that differ from the usual ones by section."""
    folder.mkdir(parents=True)
    flags: dict[str, dict[str, object]] = {
        "server": {"public_url": f"https://{host}"},
        "storage": {"data_dir": str(folder / "data"), "durability": "relaxed"},
        "keys": {"master_key_file": str(folder / "keys" / "master.key")},
        **{name: dict(section) for name, section in sections.items()},
    }
    with closing(build_services(load_settings(flags=flags), clock=clock)) as services:
        app = application(services, dav_only=False)
        secure = Server(app, options=Options(THREADS, certificate=server_certificate(folder)))
        plain = Server(app, options=Options(THREADS))
        secure.start()
        plain.start()
        try:
            yield ServedSite(host, services, secure.address[1], plain.address[1])
        finally:
            plain.stop()
            secure.stop()
