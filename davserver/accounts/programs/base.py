"""What an entry of the catalogue is made of: a program, and the steps by which it reaches the drive.

Pure. Texts for people are marked, and filled in with `values` where they are shown; commands and files are
the same in every language. Used by the entries beside it, by `connecting.py`, and by the site.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from davserver.accounts.health import Sign
from davserver.model import Scope

UNCHANGED = ":/@[]%~"
"""What may stand in an address beside letters, digits and `-._`."""


@dataclass(frozen=True, slots=True)
class Drive:
    """The drive of one account, as one device reaches it.

    Attributes:
        url: its address, with a slash at the end; whatever no host's name has in it is percent-encoded.
        token: the app password that was made for the device.
        certificate: where the server's own certificate lies, if nobody else vouches for it; else "".
        certificate_pem: the certificate itself.
    """

    url: str
    username: str
    token: str = field(repr=False)
    certificate: str = ""
    certificate_pem: bytes = b""

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.address(self.url))

    @staticmethod
    def address(url: str) -> str:
        """An address, with whatever else is in it percent-encoded: no shell finds a meaning in it."""
        return quote(url, safe=UNCHANGED)

    @property
    def https(self) -> bool:
        """Whether nobody on the way can read what goes there."""
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        """Name or address of the server, without a port."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port, whether or not it has to be said."""
        return urlsplit(self.url).port or (443 if self.https else 80)

    @property
    def path(self) -> str:
        """What follows the host."""
        return urlsplit(self.url).path

    def with_scheme(self, encrypted: str, plain: str) -> str:
        """The address as programs have it that have schemes of their own, with the user's name in it."""
        scheme = encrypted if self.https else plain
        return f"{scheme}://{quote(self.username, safe='')}@{urlsplit(self.url).netloc}{self.path}"


@dataclass(frozen=True, slots=True)
class Command:
    """One line to paste.

    Attributes:
        name: what `--json` calls it; "" is not shown in a terminal.
    """

    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """Something to type into a window of a program.

    Attributes:
        label: what the program calls the field, marked.
        secret: whether it is the app password.
    """

    label: str
    value: str
    secret: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """Something to download."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next.

    Attributes:
        text: what a person reads, marked.
        values: what each `%(name)s` in it stands for.
        limits: whether it says what does not work.
    """

    text: str
    values: Mapping[str, str] = field(default_factory=dict)
    commands: tuple[Command, ...] = ()
    settings: tuple[Setting, ...] = ()
    files: tuple[File, ...] = ()
    limits: bool = False

    @property
    def shown(self) -> str:
        """The text with its values, as it stands in the code."""
        return self.text % self.values if self.values else self.text


@dataclass(frozen=True, slots=True)
class Preset:
    """What an app password for a program may do, unless its owner chooses otherwise.

    Attributes:
        folder: the only folder that it sees; "" is the whole drive.
    """

    scopes: Scope = Scope.FULL
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """One entry.

    Attributes:
        key: what stands for it in addresses.
        name: as people know it.
        summary: what it is good for, marked.
        steps: what to do, once there is an app password.
        preset: what that may do.
        only_https: whether it does not work without, or should not.
        unseen: what it will not be seen to do by whoever watches it being set up, since it does it never, or
            not with what it has written itself.
    """

    key: str
    name: str
    summary: str
    steps: Callable[[Drive], list[Step]]
    preset: Preset = Preset()
    only_https: bool = False
    unseen: frozenset[Sign] = frozenset()
