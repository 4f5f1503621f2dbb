"""macOS: Finder speaks WebDAV by itself, over https."""

from __future__ import annotations

from pathlib import Path

from davserver.accounts.health import Sign
from davserver.accounts.programs import quoting
from davserver.accounts.programs.base import Command, Drive, Program, Step
from davserver.texts import marked


def _steps(drive: Drive) -> list[Step]:
    name = quoting.posix(Path(drive.certificate).name)
    trust = f"sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {name}"
    url = quoting.posix(drive.url)
    return [
        *(
            [Step(marked("Let macOS trust it:"), commands=(Command(trust, "macos_trust"),))]
            if drive.certificate
            else []
        ),
        Step(
            marked("In Finder choose Connect to Server from the menu Go and enter %(url)s. Or in Terminal:"),
            values={"url": drive.url},
            commands=(
                Command(f"mkdir -p ~/drive && mount_webdav -i -s -v Sealdav {url} ~/drive", "macos_mount"),
            ),
        ),
        Step(marked("It asks for the user name and the password. The password is the app password.")),
        Step(
            marked(
                "Finder keeps files of its own beside yours, called .DS_Store and ._NAME; other "
                "programs see them."
            ),
            limits=True,
        ),
    ]


MACOS = Program(
    key="macos",
    name="macOS Finder",
    summary=marked("As a volume, without another program"),
    steps=_steps,
    only_https=True,
    unseen=frozenset({Sign.KEPT_TIMES}),
)
