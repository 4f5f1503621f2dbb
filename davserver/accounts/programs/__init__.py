"""The catalogue: every program that people are shown how to connect, in the order in which it is offered.

What is said of a program, in a terminal and on the site, is said in its entry and nowhere else. Each file
beside this one has the entries of a kind; an entry that is new belongs into `PROGRAMS`.
"""

from __future__ import annotations

from davserver.accounts.programs.apps import CYBERDUCK, JOPLIN, KEEPASS, OBSIDIAN, PHONES, ZOTERO
from davserver.accounts.programs.base import Program
from davserver.accounts.programs.linux import DAVFS2, GNOME, KDE
from davserver.accounts.programs.macos import MACOS
from davserver.accounts.programs.rclone import RCLONE
from davserver.accounts.programs.windows import WINDOWS
from davserver.errors import NotFound

PROGRAMS = (
    *(RCLONE, WINDOWS, MACOS, DAVFS2, GNOME, KDE),
    *(CYBERDUCK, PHONES, KEEPASS, JOPLIN, ZOTERO, OBSIDIAN),
)

IN_TERMINAL = (RCLONE, DAVFS2, MACOS, WINDOWS)
"""Those whose commands are shown in a terminal, with every new app password."""

_BY_KEY = {one.key: one for one in PROGRAMS}


def program(key: str) -> Program:
    """The entry of this key.

    Raises:
        NotFound: there is none.
    """
    if key not in _BY_KEY:
        raise NotFound("no such program")
    return _BY_KEY[key]
