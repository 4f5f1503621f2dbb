"""How a device connects: what is shown with a new app password, in a terminal and on the site.

It must never show a command that sends a password over plain http to a system that refuses it, or does not.
What it shows is in the catalogue (`programs`). Called by `sealdav enrol`, `sealdav app-password issue` and
the site.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from davserver.accounts.programs import IN_TERMINAL, quoting
from davserver.accounts.programs.base import Drive, File, Program, Step
from davserver.crypto.certificates import covers, is_self_signed
from davserver.texts import marked

NEEDS_HTTPS = (
    "Over https, the commands for davfs2, Finder and Windows are shown too. "
    "To try it out: sealdav tls self-signed"
)


_NO_AUTHORITY = marked(
    "Nobody vouches for this server's certificate but itself. Copy it to the device, and say where it is "
    "there in place of %(path)s:"
)


@dataclass(frozen=True, slots=True)
class Way:
    """One program's way to the drive, as far as it leads over commands.

    Attributes:
        steps: those with a command that has a name.
    """

    program: Program
    steps: tuple[Step, ...]

    @property
    def commands(self) -> dict[str, str]:
        """By the name that `--json` gives them, each one line to paste."""
        found = [one for step in self.steps for one in step.commands if one.name]
        return {one.name: one.text for one in found}


@dataclass(frozen=True, slots=True)
class Connecting:
    """How the drive of this server is reached.

    Attributes:
        certificate: this server's own TLS certificate; "" if it has none.
        public_url: what clients call this server; "": what it listens on.
    """

    certificate: str = ""
    public_url: str = ""

    def ways(self, url: str, username: str, token: str) -> list[Way]:
        """By rclone always, by the others only over https: they refuse plain http, or should."""
        drive = self.drive(url, username, token)
        shown = IN_TERMINAL if drive.https else IN_TERMINAL[:1]
        return [_way(program, drive) for program in shown]

    @staticmethod
    def reach(url: str) -> str:
        """A command that tells, on Linux and macOS, whether the drive is reached and the server trusted."""
        return f"curl -I {quoting.windows(Drive.address(url))}"

    @staticmethod
    def reach_from_windows(url: str) -> str:
        """The same for Windows, whose PowerShell takes `curl` for a command of its own."""
        return f"curl.exe -I {quoting.windows(Drive.address(url))}"

    @staticmethod
    def trust(drive: Drive) -> list[Step]:
        """What comes first where nobody vouches for the server's certificate; nothing elsewhere."""
        if not drive.certificate:
            return []
        file = File(Path(drive.certificate).name, drive.certificate_pem)
        return [Step(_NO_AUTHORITY, {"path": drive.certificate}, files=(file,))]

    def drive(self, url: str, username: str, token: str) -> Drive:
        """What a program is told.

        A certificate that cannot be read here is not judged: the app password exists already and has to be
        shown.
        """
        path, pem = self._certificate_to_trust()
        return Drive(url, username, token, path, pem)

    def _certificate_to_trust(self) -> tuple[str, bytes]:
        """Where our own certificate is, and what it is, if clients see it and nobody else vouches for it.

        One that is not for the host that they ask for is seen by a proxy only, which has one of its own.
        """
        if not self.certificate:
            return "", b""
        path = Path(self.certificate).absolute()
        try:
            pem = path.read_bytes()
            host = urlsplit(self.public_url).hostname
            seen = host is None or covers(pem, host)
            return (str(path), pem) if seen and is_self_signed(pem) else ("", b"")
        except (OSError, ValueError):
            return "", b""


def _way(program: Program, drive: Drive) -> Way:
    steps = (one for one in program.steps(drive) if any(command.name for command in one.commands))
    return Way(program, tuple(steps))
