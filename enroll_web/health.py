"""What people read of how a device is: what it has done, what it is refused for, and what to do about it.

In the language of the page. No service, no template. Used by the pages that show devices.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from flask_babel import gettext

from davserver.accounts.health import Health, Seen, Sign, Trouble
from davserver.accounts.programs.base import Program
from davserver.model import AppPassword
from davserver.texts import marked
from enroll_web import words

SIGNS = {
    Sign.CONNECTED: marked("connected"),
    Sign.LISTED: marked("listed your files"),
    Sign.WROTE: marked("wrote a file"),
    Sign.READ: marked("read a file"),
    Sign.KEPT_TIMES: marked("kept times"),
}
"""What a device has done, in the order in which it mostly does so. That its clock is right is not shown."""

UNSEEN = {
    Sign.LISTED: marked("%(program)s lists no folders."),
    Sign.READ: marked(
        "%(program)s reads what it has written from its own copy: it is seen to read only what came from "
        "elsewhere."
    ),
    Sign.KEPT_TIMES: marked("%(program)s does not keep times."),
}
"""Why some programs are not seen to do some of it."""

TROUBLES = {
    Trouble.WRONG_SECRET: (
        marked("The password is wrong for this device"),
        marked("Enter the app password in the program once more, or revoke it and make a new one."),
    ),
    Trouble.NO_APP_PASSWORD: (
        marked("A program came with your user name and no app password"),
        marked(
            "Enter the app password in the program, all of it, and not the password that you sign in with "
            "here: that one opens no drive. If it was none of your programs, somebody is guessing, and was "
            "not let in."
        ),
    ),
    Trouble.WRONG_NAME: (
        marked("The user name is wrong"),
        marked("The app password is right. Enter %(name)s as the user name."),
    ),
    Trouble.EXPIRED: (
        marked("This app password has expired"),
        marked("Make a new one, and enter it in the program."),
    ),
    Trouble.REVOKED: (
        marked("This app password was revoked"),
        marked("Make a new one, and enter it in the program."),
    ),
    Trouble.OTHER_NETWORK: (
        marked("It comes from a network that is not allowed"),
        marked(
            "This app password is good in certain networks only. This browser comes from %(address)s. Use "
            "the device in one of those, or make an app password without that limit."
        ),
    ),
    Trouble.SUSPENDED: (
        marked("The account is suspended"),
        marked("Ask whoever runs this server."),
    ),
    Trouble.LEFT: (
        marked("The sign-in server does not let the account in"),
        marked("Sign out here, and in again with both factors. If that does not help, ask whoever runs it."),
    ),
    Trouble.UNCONFIRMED: (
        marked("The sign-in server does not answer"),
        marked("It is asked again all the time: wait a minute. If it lasts, tell whoever runs it."),
    ),
    Trouble.NO_SECOND_FACTOR: (
        marked("There is no second factor behind the token"),
        marked("Sign in here with your one-time code. In the same browser, let the program sign in again."),
    ),
    Trouble.FOLDER_GONE: (
        marked("The folder of this device is gone"),
        marked("Restore the folder that it is limited to, or make a new app password."),
    ),
    Trouble.OUTSIDE_FOLDER: (
        marked("It looks for a folder that is not there"),
        marked(
            "It sees only the folder that it is limited to, as if that were the whole drive. Take the name "
            "of the folder out of the address in the program."
        ),
    ),
    Trouble.NO_ROOM: (
        marked("There is no room for what it writes"),
        marked("Delete something, or ask whoever runs this server for more room."),
    ),
    Trouble.READ_ONLY: (
        marked("It wants to write, and may only read"),
        marked("If it is to write, make an app password that may, and enter that in the program."),
    ),
    Trouble.NO_DELETE: (
        marked("It wants to delete or replace something, and may not"),
        marked("If it is to delete, make an app password that may, and enter that in the program."),
    ),
    Trouble.CLOCK: (
        marked("A clock seems to be wrong"),
        marked(
            "Nothing was refused. The device's clock is minutes away from this server's. Set the device's "
            "clock."
        ),
    ),
    Trouble.FILE_TIME: (
        marked("It wrote a file of the future"),
        marked(
            "Nothing was refused. The file bears a time of more than a day from now. Perhaps the device's "
            "clock is wrong, or that of the camera that made the file."
        ),
    ),
}
"""What keeps a device from what it wants, and what to do about it."""

MISTRUST = (
    marked("A program at your address did not trust the certificate"),
    marked(
        "If it was this device, it does not know who vouches for this server. Give it the certificate, or "
        "ask whoever runs the server for one that every device knows. It may have been a browser, too, which "
        "was told to go on all the same."
    ),
)
"""What is seen of whoever comes from where the browser is, before it has said whose device it is."""


@dataclass(frozen=True, slots=True)
class ShownSign:
    """One thing that a device may have done.

    Attributes:
        key: what stands for it in the page.
        when: the first time and the last one; "" if it has not.
    """

    key: str
    text: str
    when: str

    @property
    def seen(self) -> bool:
        """Whether it has."""
        return bool(self.when)


@dataclass(frozen=True, slots=True)
class ShownTrouble:
    """One trouble that a device is in.

    Attributes:
        advice: what to do; "" where there is no room for it.
        at: when it was last seen.
    """

    title: str
    advice: str
    at: str


@dataclass(frozen=True, slots=True)
class Card:
    """How a device is, in a list of devices.

    Attributes:
        done: what it has done; "" if that is nothing.
        troubles: those that it is in, the latest first.
        over: the last one, if it is out of it and in no other one.
    """

    done: str
    troubles: tuple[ShownTrouble, ...]
    over: ShownTrouble | None


def cards(devices: Iterable[AppPassword], known: Mapping[str, Health]) -> dict[str, Card]:
    """How each of some devices is, by their ids."""
    return {one.id: card(known.get(one.id, Health())) for one in devices}


def card(health: Health) -> Card:
    """How one device is."""
    standing, last = health.standing, health.last_trouble
    is_over = last is not None and not standing
    return Card(
        _done(health),
        tuple(_shown(one, health) for one in standing),
        _shown(last, health) if last is not None and is_over else None,
    )


def signs(health: Health, unseen: Container[Sign] = ()) -> list[ShownSign]:
    """Everything that a device may do, whether or not it has, but for what is hardly seen of it."""
    return [
        ShownSign(sign.value, gettext(text), _when(health.signs[sign]) if sign in health.signs else "")
        for sign, text in SIGNS.items()
        if sign in health.signs or sign not in unseen
    ]


def unseen(program: Program) -> list[str]:
    """Why some of it is not seen of a program."""
    return [gettext(text, program=program.name) for sign, text in UNSEEN.items() if sign in program.unseen]


def troubles(health: Health, name: str, address: str) -> list[ShownTrouble]:
    """The troubles that a device is in, the latest first, and what to do.

    Args:
        health: of the device.
        name: user name of its account.
        address: where the browser comes from that shows this.
    """
    values = {"name": name, "address": address}
    return [
        replace(_shown(one, health), advice=gettext(TROUBLES[one][1], **values)) for one in health.standing
    ]


def mistrust(health: Health, moment: datetime | None) -> list[ShownTrouble]:
    """That a program did not trust the certificate, at this moment, if the device has not connected since."""
    connected = health.signs.get(Sign.CONNECTED)
    if moment is None or (connected is not None and connected.last >= moment):
        return []
    title, advice = map(gettext, MISTRUST)
    return [ShownTrouble(title, advice, words.minute(moment))]


def status(health: Health) -> str:
    """What the device has done, and the last trouble if it is out of it, for whoever watches."""
    done, over = _done(health), card(health).over
    if not done:
        return gettext("Nothing has come from this device yet.")
    said = gettext("This device has: %(done)s.", done=done)
    if over is None:
        return said
    past = gettext("It was in trouble, and is not any more: %(title)s, %(at)s.", title=over.title, at=over.at)
    return f"{said} {past}"


def _done(health: Health) -> str:
    return ", ".join(gettext(text) for sign, text in SIGNS.items() if sign in health.signs)


def _when(seen: Seen) -> str:
    first, last = words.minute(seen.first), words.minute(seen.last)
    return first if first == last else gettext("first %(first)s, last %(last)s", first=first, last=last)


def _shown(trouble: Trouble, health: Health) -> ShownTrouble:
    return ShownTrouble(gettext(TROUBLES[trouble][0]), "", words.minute(health.troubles[trouble].last))
