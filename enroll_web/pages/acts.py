"""What administrators do with an account, each with the words of its form. The rules are not here.

They are in `davserver/accounts/administration.py`. Called by `person.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import abort

from davserver.accounts.totp import RESET_REASONS
from davserver.errors import NotFound
from davserver.model import Account, AccountState
from enroll_web.visit import services, visit


@dataclass(frozen=True, slots=True)
class Act:
    """Something that an administrator does with an account.

    Attributes:
        title: the heading; `{name}` is whose account it is.
        lead: what follows from it.
        button: what the button says.
        do: does it, for a reason, and says what was done.
        takes: whether it takes something away: then it asks why, and the button is red.
        choices: the reasons that may be given; empty if one is typed.
        is_there: whether it is anything on this installation.
    """

    title: str
    lead: str
    button: str
    do: Callable[[Account, str], str]
    takes: bool = True
    choices: tuple[str, ...] = ()
    is_there: Callable[[], bool] = lambda: True


def _suspend(account: Account, reason: str) -> str:
    services().administration.suspend(account.username, by=visit().account.username, reason=reason)
    return f"{account.username} is suspended. Transfers that were running end within seconds."


def _resume(account: Account, _reason: str) -> str:
    resumed = services().administration.resume(account.username, by=visit().account.username)
    if resumed.state is AccountState.ACTIVE:
        return f"{account.username} is active again, with everything as it was."
    return f"{account.username} is not suspended any more, but Keycloak does not let its owner in."


def _sign_out(account: Account, reason: str) -> str:
    keep = visit().session if account.id == visit().account.id else None
    count = services().administration.sign_out(account, by=visit().account.username, reason=reason, keep=keep)
    return f"Signed out: {count}. Devices go on working."


def _revoke_all(account: Account, reason: str) -> str:
    count = services().administration.revoke_all(account, by=visit().account.username, reason=reason)
    return f"Revoked: {count}. Those devices are out from their next request on."


def _reset(account: Account, reason: str) -> str:
    services().administration.reset_totp(account, reason, by=visit().account.username)
    return f"{account.username} signs in with the password now and sets up a new device."


def _make_admin(account: Account, _reason: str) -> str:
    services().administration.set_admin(account, admin=True, by=visit().account.username)
    return f"{account.username} is an administrator now."


def _take_admin(account: Account, reason: str) -> str:
    services().administration.set_admin(account, admin=False, by=visit().account.username, reason=reason)
    return f"{account.username} is no administrator any more."


def _is_built_in() -> bool:
    return services().single_sign_on is None


def _is_own_factor() -> bool:
    return services().step_up is None


ACTS = {
    "suspend": Act(
        "Suspend {name}",
        "From then on nothing opens this account: devices are refused, transfers end within seconds, "
        "browsers are signed out. Files and app passwords are kept.",
        "Suspend",
        _suspend,
    ),
    "resume": Act(
        "Resume {name}",
        "The account opens again with the files and app passwords that it had. Browsers sign in anew.",
        "Resume",
        _resume,
        takes=False,
    ),
    "reset": Act(
        "Reset the authenticator of {name}",
        "This takes the authenticator and the recovery codes away. The password alone then lets them set up "
        "a new device: be sure who is asking. App passwords stay valid.",
        "Reset authenticator",
        _reset,
        choices=RESET_REASONS,
        is_there=_is_own_factor,
    ),
    "sign-out": Act(
        "Sign {name} out",
        "Every browser of theirs has to sign in again. Devices with an app password go on working.",
        "Sign out everywhere",
        _sign_out,
    ),
    "revoke-all": Act(
        "Revoke all devices of {name}",
        "Every app password ends for good, from the next request on. New ones are made by their owner.",
        "Revoke all",
        _revoke_all,
    ),
    "make-administrator": Act(
        "Make {name} an administrator",
        "Administrators see every account, invite, suspend and reset others, and read the audit log. They "
        "cannot open other people's files.",
        "Make administrator",
        _make_admin,
        takes=False,
        is_there=_is_built_in,
    ),
    "take-administrator": Act(
        "{name} is to be no administrator",
        "They keep their account and lose the pages for administrators at once.",
        "Take the right away",
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
    lead = f"“{label}” of {account.username} is out for good, from its next request on."
    return Act("Revoke a device", lead, "Revoke", partial(_revoke, app_id))


def _revoke(app_id: str, account: Account, reason: str) -> str:
    services().administration.revoke(account, app_id, by=visit().account.username, reason=reason)
    return "Revoked. That device is out from its next request on."
