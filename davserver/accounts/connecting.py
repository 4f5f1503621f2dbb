"""How a device connects: the commands that are shown with a new app password, in a terminal and on the site.

It must never show a command that sends a password over plain http to a system that refuses it, or does not.
Called by `sealdav enrol`, `sealdav app-password issue` and the site.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from davserver.crypto.certificates import is_self_signed

MOUNT_POINT = "/mnt/sealdav"
DAVFS2_CERTIFICATE = "/etc/davfs2/certs/sealdav.pem"

RCLONE_TITLE = "Connect rclone with it, copy a folder, mount the drive:"
NEEDS_HTTPS = (
    "Over https, the commands for davfs2, Finder and Windows are shown too. "
    "To try it out: sealdav tls self-signed"
)


@dataclass(frozen=True, slots=True)
class Way:
    """One program's way to the drive.

    Attributes:
        title: what a person reads above the commands.
        commands: by the name that `--json` gives them, each one line to paste.
    """

    title: str
    commands: dict[str, str]


@dataclass(frozen=True, slots=True)
class Connecting:
    """How the drive of this server is reached.

    Attributes:
        https: whether clients come by https: to this server, or to a proxy in front of it.
        certificate: this server's own TLS certificate; "" if it has none.
    """

    https: bool
    certificate: str = ""

    def ways(self, url: str, username: str, token: str) -> list[Way]:
        """By rclone always, by the others only over https: they refuse plain http, or should."""
        trusted = self._certificate_to_trust()
        ways = [_rclone(url, username, token, trusted)]
        if self.https:
            ways += [
                _davfs2(url, username, token, trusted),
                _macos(url, trusted),
                _windows(url, username, token, trusted),
            ]
        return ways

    def _certificate_to_trust(self) -> Path | None:
        """Our own certificate, if nobody else vouches for it.

        One that cannot be read here is not judged: the app password exists already and has to be shown.
        """
        if not self.certificate:
            return None
        path = Path(self.certificate).absolute()
        try:
            return path if is_self_signed(path.read_bytes()) else None
        except (OSError, ValueError):
            return None


def _rclone(url: str, username: str, token: str, trusted: Path | None) -> Way:
    option = f" --ca-cert {shlex.quote(str(trusted))}" if trusted else ""
    return Way(
        RCLONE_TITLE,
        {
            "config": f"rclone config create sealdav webdav url={url} vendor=owncloud user={username} "
            f"pass={token} --obscure",
            "copy": f"rclone copy ~/Documents sealdav:Documents --progress{option}",
            "mount": f"mkdir -p ~/drive && rclone mount sealdav: ~/drive --vfs-cache-mode writes{option}",
        },
    )


def _davfs2(url: str, username: str, token: str, trusted: Path | None) -> Way:
    """`buf_size 256`: with its default, Debian's davfs2 1.6 fails on the requests of newer kernels."""
    trust = {"davfs2_trust": f"sudo cp {shlex.quote(str(trusted))} {DAVFS2_CERTIFICATE}"} if trusted else {}
    option = f"trust_server_cert {DAVFS2_CERTIFICATE}\\n" if trusted else ""
    return Way(
        "Linux, davfs2:",
        {
            **trust,
            "davfs2_config": f"printf '[{MOUNT_POINT}]\\nbuf_size 256\\n{option}' | "
            "sudo tee -a /etc/davfs2/davfs2.conf",
            "davfs2_secret": f"echo '{url} {username} {token}' | sudo tee -a /etc/davfs2/secrets >/dev/null",
            "davfs2_mount": f"sudo mkdir -p {MOUNT_POINT} && "
            f"sudo mount -t davfs -o uid=$(id -u),gid=$(id -g) {url} {MOUNT_POINT}",
        },
    )


def _macos(url: str, trusted: Path | None) -> Way:
    trust = (
        {
            "macos_trust": "sudo security add-trusted-cert -d -r trustRoot "
            f"-k /Library/Keychains/System.keychain {trusted.name}"
        }
        if trusted
        else {}
    )
    return Way(
        f"macOS{_with_copy(trusted)}: in Finder Go > Connect to Server and enter {url}, or in Terminal:",
        {**trust, "macos_mount": f"mkdir -p ~/drive && mount_webdav -i -s -v Sealdav {url} ~/drive"},
    )


def _windows(url: str, username: str, token: str, trusted: Path | None) -> Way:
    trust = {"windows_trust": f"certutil -addstore Root {trusted.name}"} if trusted else {}
    option = f" --ca-cert {trusted.name}" if trusted else ""
    return Way(
        f"Windows{_with_copy(trusted)}: rclone with WinFsp (first the rclone config above), "
        "or what is built in (the last two):",
        {
            "windows_install": "winget install WinFsp.WinFsp Rclone.Rclone",
            "windows_mount": f"rclone mount sealdav: X: --vfs-cache-mode writes{option}",
            **trust,
            "windows_service": "sc start webclient",
            "windows_net_use": f"net use X: {url} {token} /user:{username}",
        },
    )


def _with_copy(trusted: Path | None) -> str:
    return f" (with a copy of {trusted})" if trusted else ""
