"""Linux: davfs2 for every program, GNOME's and KDE's file managers for themselves."""

from __future__ import annotations

from davserver.accounts.health import Sign
from davserver.accounts.programs import quoting
from davserver.accounts.programs.base import Command, Drive, File, Program, Setting, Step
from davserver.texts import marked

MOUNT_POINT = "/mnt/sealdav"
UNIT_NAME = "mnt-sealdav.mount"
"""As systemd wants it for that folder (systemd.mount(5))."""

DAVFS2_CERTIFICATE = "/etc/davfs2/certs/sealdav.pem"
FIRST_USER = "uid=1000,gid=1000"
"""Whose the files are, until the command beside the unit puts in who that is."""

ASKS = marked("It asks for the user name and the password. The password is the app password.")


def davfs2_secret(drive: Drive) -> str:
    """A line of /etc/davfs2/secrets, which answers for who mounts (davfs2.conf(5), "THE SECRETS FILE")."""
    return " ".join(quoting.davfs2(one) for one in (drive.url, drive.username, drive.token))


def davfs2_unit(drive: Drive) -> bytes:
    """A unit of the system's manager that mounts the drive by davfs2, whose files have the app password."""
    lines = (
        "[Unit]",
        "Description=Sealdav drive",
        "Documentation=man:mount.davfs(8)",
        "",
        "[Mount]",
        f"What={quoting.systemd_value(drive.url)}",
        f"Where={MOUNT_POINT}",
        "Type=davfs",
        f"Options=_netdev,{FIRST_USER}",
        "",
        "[Install]",
        "WantedBy=remote-fs.target",
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _davfs2(drive: Drive) -> list[Step]:
    """`buf_size 256`: with its default, Debian's davfs2 1.6 fails on the requests of newer kernels."""
    url, certificate = quoting.posix(drive.url), drive.certificate
    option = f"trust_server_cert {DAVFS2_CERTIFICATE}\\n" if certificate else ""
    section = f"[{MOUNT_POINT}]\\nbuf_size 256\\n{option}"
    trust = Command(f"sudo cp {quoting.posix(certificate)} {DAVFS2_CERTIFICATE}", "davfs2_trust")
    secret = quoting.posix(davfs2_secret(drive))
    return [
        Step(marked("Install it:"), commands=(Command("sudo apt install davfs2"),)),
        Step(
            marked("Tell it about the drive, and the app password:"),
            commands=(
                *((trust,) if certificate else ()),
                Command(f"printf '{section}' | sudo tee -a /etc/davfs2/davfs2.conf", "davfs2_config"),
                Command(
                    f"printf '%s\\n' {secret} | sudo tee -a /etc/davfs2/secrets >/dev/null", "davfs2_secret"
                ),
            ),
        ),
        Step(
            marked("Mount it:"),
            commands=(
                Command(
                    f"sudo mkdir -p {MOUNT_POINT} && "
                    f"sudo mount -t davfs -o uid=$(id -u),gid=$(id -g) {url} {MOUNT_POINT}",
                    "davfs2_mount",
                ),
            ),
        ),
        Step(
            marked("Try it. This writes a small file and reads it again:"),
            commands=(
                Command(f"date > {MOUNT_POINT}/sealdav-test.txt && cat {MOUNT_POINT}/sealdav-test.txt"),
            ),
        ),
        Step(
            marked(
                "Or have it mounted from every start of the system on. Take it off first, if it is mounted, "
                "then run this where the downloaded file is:"
            ),
            commands=(
                Command(
                    f'sed "s/{FIRST_USER}/uid=$(id -u),gid=$(id -g)/" {UNIT_NAME} '
                    f"| sudo tee /etc/systemd/system/{UNIT_NAME} >/dev/null"
                ),
                Command(f"sudo systemctl enable --now {UNIT_NAME}"),
            ),
            files=(File(UNIT_NAME, davfs2_unit(drive)),),
        ),
        Step(
            marked(
                "Files are uploaded ten seconds after a program has closed them, and bear the time "
                "of their upload. To end it, sudo umount %(folder)s waits until everything is "
                "uploaded."
            ),
            values={"folder": MOUNT_POINT},
            limits=True,
        ),
    ]


def _gnome(drive: Drive) -> list[Step]:
    address = drive.with_scheme("davs", "dav")
    return [
        Step(
            marked("In Files choose Network (or Other Locations), and under Connect to Server enter"),
            settings=(Setting(marked("Server address"), address),),
        ),
        Step(marked("Or in a terminal:"), commands=(Command(f"gio mount {quoting.posix(address)}"),)),
        Step(ASKS, settings=(Setting(marked("Password"), drive.token, secret=True),)),
    ]


def _kde(drive: Drive) -> list[Step]:
    return [
        Step(
            marked("In Dolphin press Ctrl+L and enter"),
            settings=(Setting(marked("Address"), drive.with_scheme("webdavs", "webdav")),),
        ),
        Step(ASKS, settings=(Setting(marked("Password"), drive.token, secret=True),)),
    ]


DAVFS2 = Program(
    key="davfs2",
    name="Linux, davfs2",
    summary=marked("As a folder for every program, with locks"),
    steps=_davfs2,
    only_https=True,
    unseen=frozenset({Sign.READ, Sign.KEPT_TIMES}),
)

GNOME = Program(
    key="gnome",
    name="Linux, GNOME Files",
    summary=marked("In the file manager of GNOME"),
    steps=_gnome,
)

KDE = Program(
    key="kde",
    name="Linux, KDE Dolphin",
    summary=marked("In the file manager of KDE"),
    steps=_kde,
)
