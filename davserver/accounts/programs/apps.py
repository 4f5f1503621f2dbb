"""Programs that keep what is theirs on the drive, and those that only show it."""

from __future__ import annotations

import plistlib

from davserver.accounts.health import Sign
from davserver.accounts.programs.base import Drive, File, Preset, Program, Setting, Step
from davserver.texts import marked

BOOKMARK_NAME = "sealdav.duck"

ADDRESS = marked("Address")
USER_NAME = marked("User name")
PASSWORD = marked("Password")


def bookmark(drive: Drive) -> bytes:
    """What Cyberduck and Mountain Duck open with a double click; it holds no password."""
    return plistlib.dumps(
        {
            "Protocol": "davs" if drive.https else "dav",
            "Nickname": "Sealdav",
            "Hostname": drive.host,
            "Port": str(drive.port),
            "Username": drive.username,
            "Path": drive.path,
        }
    )


def _typed(drive: Drive, url: str | None = None, label: str = ADDRESS) -> tuple[Setting, ...]:
    """What every program wants to know."""
    return (
        Setting(label, drive.url if url is None else url),
        Setting(USER_NAME, drive.username),
        Setting(PASSWORD, drive.token, secret=True),
    )


def _cyberduck(drive: Drive) -> list[Step]:
    return [
        Step(
            marked("Open this file with it. It then asks for the password, which is the app password:"),
            settings=(Setting(PASSWORD, drive.token, secret=True),),
            files=(File(BOOKMARK_NAME, bookmark(drive)),),
        ),
        Step(marked("So that files keep their times, tick both under Preferences, Transfers, Timestamps.")),
    ]


def _phones(drive: Drive) -> list[Step]:
    return [
        Step(
            marked(
                "Android: in DAVx5 choose WebDAV mounts from the menu and add one. The files are "
                "then in the Files app."
            ),
            settings=_typed(drive),
        ),
        Step(
            marked(
                "iPhone and iPad: the Files app does not speak WebDAV. Use this site in the browser "
                "there, or an app that does, with the same three."
            ),
            limits=True,
        ),
    ]


def _keepass(drive: Drive) -> list[Step]:
    return [
        Step(
            marked(
                "Choose Open URL from the menu File, Open. The name of your database stands behind the "
                "address:"
            ),
            settings=_typed(drive, f"{drive.url}Database.kdbx"),
        ),
        Step(
            marked(
                "A new database: make it on this device, then choose Save to URL from the menu File, "
                "Save As, with the same three."
            )
        ),
        Step(
            marked(
                "KeePass saves into a new file, which then takes the place of the old one: it has to "
                "be allowed to delete."
            ),
            limits=True,
        ),
    ]


def _joplin(drive: Drive) -> list[Step]:
    return [
        Step(
            marked("Under Tools, Options, Synchronisation choose the target WebDAV, and enter"),
            settings=_typed(drive, label=marked("WebDAV URL")),
        ),
        Step(marked("Then press Check synchronisation configuration.")),
    ]


def _zotero(drive: Drive) -> list[Step]:
    without_scheme = drive.url.partition("://")[2].rstrip("/")
    return [
        Step(
            marked("Under Settings, Sync, File Syncing choose WebDAV and %(scheme)s, and enter"),
            values={"scheme": "https" if drive.https else "http"},
            settings=_typed(drive, without_scheme, marked("URL")),
        ),
        Step(marked("Then press Verify Server. Zotero makes a folder called zotero by itself.")),
    ]


def _obsidian(drive: Drive) -> list[Step]:
    return [
        Step(
            marked(
                "Install the plugin Remotely Save, choose the remote service Webdav in its settings, "
                "and enter"
            ),
            settings=_typed(drive, label=marked("Server address")),
        ),
        Step(
            marked("Then press Check. On phones it takes an address of https only."), limits=not drive.https
        ),
    ]


CYBERDUCK = Program(
    key="cyberduck",
    name="Cyberduck",
    summary=marked("Looks around, uploads and downloads; Mountain Duck mounts"),
    steps=_cyberduck,
)

PHONES = Program(
    key="phones",
    name="Android, iPhone, iPad",
    summary=marked("What there is for phones and tablets"),
    steps=_phones,
    unseen=frozenset({Sign.KEPT_TIMES}),
)

KEEPASS = Program(
    key="keepass",
    name="KeePass",
    summary=marked("Passwords"),
    steps=_keepass,
    preset=Preset(folder="KeePass"),
    unseen=frozenset({Sign.LISTED, Sign.KEPT_TIMES}),
)

JOPLIN = Program(
    key="joplin",
    name="Joplin",
    summary=marked("Notes"),
    steps=_joplin,
    preset=Preset(folder="Joplin"),
    unseen=frozenset({Sign.KEPT_TIMES}),
)

ZOTERO = Program(
    key="zotero",
    name="Zotero",
    summary=marked("Papers and books"),
    steps=_zotero,
    preset=Preset(folder="Zotero"),
    unseen=frozenset({Sign.KEPT_TIMES}),
)

OBSIDIAN = Program(
    key="obsidian",
    name="Obsidian",
    summary=marked("Notes, with the plugin Remotely Save"),
    steps=_obsidian,
    preset=Preset(folder="Obsidian"),
)
