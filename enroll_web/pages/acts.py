"""What administrators do with an account, each with the words of its form. The rules are not here.

They are in `davserver/accounts/administration.py`. Called by `person.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from flask import abort
from flask_babel import gettext

from davserver.accounts.totp import RESET_REASONS
from davserver.errors import NotFound
from davserver.model import Account, AccountState
from davserver.texts import marked
from enroll_web.visit import services, visit


@dataclass(frozen=True, slots=True)
class Act:
    """Something that an administrator does with an account.

    Attributes:
        title: the heading; `%(name)s` is whose account it is, here and in the next.
        lead: what follows from it.
        button: what the button says.
        do: does it, for a reason, and says what was done.
        takes: whether it takes something away: then it asks why, and the button is red.
        choices: the reasons that may be given; empty if one is typed.
        is_there: whether it is anything on this installation.
        values: what else the heading and the next sentence name.
    """

    title: str
    lead: str
    button: str
    do: Callable[[Account, str], str]
    takes: bool = True
    choices: tuple[str, ...] = ()
    is_there: Callable[[], bool] = lambda: True
    values: Mapping[str, str] = field(default_factory=dict)


def _suspend(account: Account, reason: str) -> str:
    services().administration.suspend(account.username, by=visit().account.username, reason=reason)
    return gettext(
        "%(name)s is suspended. Transfers that were running end within seconds.", name=account.username
    )


def _resume(account: Account, _reason: str) -> str:
    resumed = services().administration.resume(account.username, by=visit().account.username)
    if resumed.state is AccountState.ACTIVE:
        return gettext("%(name)s is active again, with everything as it was.", name=account.username)
    return gettext(
        "%(name)s is not suspended any more, but Keycloak does not let its owner in.", name=account.username
    )


def _sign_out(account: Account, reason: str) -> str:
    keep = visit().session if account.id == visit().account.id else None
    count = services().administration.sign_out(account, by=visit().account.username, reason=reason, keep=keep)
    return gettext("Signed out: %(count)s. Devices go on working.", count=count)


def _revoke_all(account: Account, reason: str) -> str:
    count = services().administration.revoke_all(account, by=visit().account.username, reason=reason)
    return gettext("Revoked: %(count)s. Those devices are out from their next request on.", count=count)


def _reset(account: Account, reason: str) -> str:
    services().administration.reset_totp(account, reason, by=visit().account.username)
    return gettext("%(name)s signs in with the password now and sets up a new device.", name=account.username)


def _make_admin(account: Account, _reason: str) -> str:
    services().administration.set_admin(account, admin=True, by=visit().account.username)
    return gettext("%(name)s is an administrator now.", name=account.username)


def _take_admin(account: Account, reason: str) -> str:
    services().administration.set_admin(account, admin=False, by=visit().account.username, reason=reason)
    return gettext("%(name)s is no administrator any more.", name=account.username)


def _is_built_in() -> bool:
    return services().single_sign_on is None


def _is_own_factor() -> bool:
    return services().step_up is None


ACTS = {
    "suspend": Act(
        marked("Suspend %(name)s"),
        marked(
            "From then on nothing opens this account: devices are refused, transfers end within seconds, "
            "browsers are signed out. Files and app passwords are kept."
        ),
        marked("Suspend"),
        _suspend,
    ),
    "resume": Act(
        marked("Resume %(name)s"),
        marked(
            "The account opens again with the files and app passwords that it had. Browsers sign in anew."
        ),
        marked("Resume"),
        _resume,
        takes=False,
    ),
    "reset": Act(
        marked("Reset the authenticator of %(name)s"),
        marked(
            "This takes the authenticator and the recovery codes away. The password alone then lets them set "
            "up a new device: be sure who is asking. App passwords stay valid."
        ),
        marked("Reset authenticator"),
        _reset,
        choices=RESET_REASONS,
        is_there=_is_own_factor,
    ),
    "sign-out": Act(
        marked("Sign %(name)s out"),
        marked("Every browser of theirs has to sign in again. Devices with an app password go on working."),
        marked("Sign out everywhere"),
        _sign_out,
    ),
    "revoke-all": Act(
        marked("Revoke all devices of %(name)s"),
        marked(
            "Every app password ends for good, from the next request on. New ones are made by their owner."
        ),
        marked("Revoke all"),
        _revoke_all,
    ),
    "make-administrator": Act(
        marked("Make %(name)s an administrator"),
        marked(
            "Administrators see every account, invite, suspend and reset others, and read the audit log. "
            "They cannot open other people's files."
        ),
        marked("Make administrator"),
        _make_admin,
        takes=False,
        is_there=_is_built_in,
    ),
    "take-administrator": Act(
        marked("%(name)s is to be no administrator"),
        marked("They keep their account and lose the pages for administrators at once."),
        marked("Take the right away"),
        _take_admin,
        is_there=_is_built_in,
    ),
}
"""By the last part of their address."""


def act_of(key: str) -> Act:
    """The act behind the last part of an address; 404 if it is none, or nothing here."""
    act = ACTS.get(key)
    if act is None or not act.is_there():
        abort(404)
    return act


def revoking(account: Account, app_id: str) -> Act:
    """To shut one app password.

    Raises:
        NotFound: the account has no such app password (any more).
    """
    label = next((one.label for one in services().app_passwords.list(account) if one.id == app_id), None)
    if label is None:
        raise NotFound("the account has no such app password")
    return Act(
        marked("Revoke a device"),
        marked("“%(label)s” of %(name)s is out for good, from its next request on."),
        marked("Revoke"),
        partial(_revoke, app_id),
        values={"label": label},
    )


def _revoke(app_id: str, account: Account, reason: str) -> str:
    services().administration.revoke(account, app_id, by=visit().account.username, reason=reason)
    return gettext("Revoked. That device is out from its next request on.")
