"""How a value is written so that who reads a command or a file reads just that value, and does nothing else.

One function for each reader. Pure. Used by the entries of the catalogue.
"""

from __future__ import annotations

import re
import shlex

posix = shlex.quote
"""For sh, bash and zsh (POSIX.1-2017, Shell Command Language, 2.2)."""

_PLAIN_IN_WINDOWS = re.compile(r"[A-Za-z0-9:/.=_+~-]+")
_NEVER_IN_WINDOWS = re.compile(r'["\x00-\x1f]')
_ACTED_ON_BY_POWERSHELL = re.compile("[$`\N{LEFT DOUBLE QUOTATION MARK}-\N{DOUBLE LOW-9 QUOTATION MARK}]")
_BACKSLASHES_AT_THE_END = re.compile(r"(\\+)$")


def windows(text: str) -> str:
    """For a line that is pasted into cmd or PowerShell.

    Between double quotes cmd acts on variables (`%NAME%`) only, PowerShell on `$`, backticks and double
    quotes of every form. None of these can be written for both. What PowerShell acts on is left out: there is
    none in an address or an app password, and a file of such a name is not found.
    """
    if _PLAIN_IN_WINDOWS.fullmatch(text):
        return text
    return f'"{_inside(_ACTED_ON_BY_POWERSHELL.sub("", text))}"'


def batch(text: str) -> str:
    """For a .cmd file, where a percent sign begins a variable unless it is doubled."""
    return windows(text).replace("%", "%%")


def beside_batch(name: str) -> str:
    """For the name of a file that lies beside the .cmd file."""
    return f'"%~dp0{_inside(name).replace("%", "%%")}"'


def systemd(text: str) -> str:
    """For an argument in a unit file (systemd.service(5), "Command lines"; systemd.unit(5), "Specifiers")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def systemd_value(text: str) -> str:
    """For a setting of a unit file that is no command line, and has no blanks around it."""
    return text.replace("%", "%%")


def davfs2(text: str) -> str:
    """For a field of davfs2's files (davfs2.conf(5)): blanks, quotes, backslashes and # need a backslash."""
    return re.sub(r'([\s"\\#])', r"\\\1", text)


def _inside(text: str) -> str:
    return _BACKSLASHES_AT_THE_END.sub(_doubled, _NEVER_IN_WINDOWS.sub("", text))


def _doubled(found: re.Match[str]) -> str:
    """A backslash before a closing quote would take its meaning away."""
    return found[1] * 2
