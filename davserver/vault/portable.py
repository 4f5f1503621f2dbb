"""Names that every system can store: which ones are, and others for those that are not.

In an archive no name may do harm where it is unpacked, and no file go over another one.

Windows takes a backslash for a folder and a colon for a drive or a hidden stream, knows no control character,
no dot at the end, and some names are devices there; most desktops take two names that differ in case for one.
Called by `export.py`, and by the site, which says so of names on the drive.
"""

from __future__ import annotations

import re
import unicodedata

from davserver.vault.paths import annotated

STAND_IN = "_"
"""What is written for a character that cannot be."""

_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\\/:*?"<>|]')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?= *(?:\.|$))", re.IGNORECASE)
"""With any ending they are the same device."""


class FolderNames:
    """The names of one folder of an archive; no two of them meet on any system."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def take(self, name: str) -> str:
        """The name under which an entry is written: its own, if that is safe and not taken."""
        safe = portable(name)
        number = self._taken.get(_meeting(safe), 1)
        taken = safe
        while _meeting(taken) in self._taken:
            number += 1
            taken = annotated(safe, str(number))
        self._taken[_meeting(safe)] = number
        self._taken.setdefault(_meeting(taken), 1)
        return taken


def portable(name: str) -> str:
    """The name itself, if every system can store it as it is; else one as like it as can be."""
    safe = _UNSAFE.sub(STAND_IN, name).rstrip(". ")
    if not safe or _DEVICE.match(safe):
        safe = STAND_IN + safe
    return safe


def is_portable(name: str) -> bool:
    """Whether every system can store the name as it is. Windows cannot show the others, on any drive."""
    return portable(name) == name


def _meeting(name: str) -> str:
    """The same for names that some system takes for one: case and composition of letters do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
