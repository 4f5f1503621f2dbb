"""`sealdav user show NAME`: everything about one account but its files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import typer
from pydantic import ByteSize

from davserver.accounts.confirmations import Confirmation
from davserver.accounts.overview import Device, Overview
from davserver.accounts.roster import Shut
from davserver.cli.console import Console
from davserver.cli.options import Json, Name
from davserver.cli.session import Session
from davserver.model import AccountState

SECONDS_SHOWN = 300
"""An age is told in seconds up to here."""


def show(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Show an account: state, space, devices, authenticator. Names of files are not shown to anybody."""
    session: Session = context.obj
    with session.services() as services:
        overview = services.overviews.of(name)
        told = None if services.confirmations is None else services.confirmations.of(overview.account)
        shut = services.roster.of(overview.account).shut
        lines = [
            *_lines(overview, shut),
            *_provider_lines(overview.account.username, told, services.clock()),
        ]
        values = {**_values(overview), **_shut_values(shut), **_provider(told)}
        Console(as_json=as_json).result(values, "\n".join(lines))


def _lines(overview: Overview, shut: Shut | None) -> Iterator[str]:
    account = overview.account
    quota = "no quota" if account.quota is None else f"quota {ByteSize(account.quota).human_readable()}"
    totp = "none" if overview.totp_since is None else f"since {_day(overview.totp_since)}"
    yield f"account        {account.username}, {account.state.value}, made {_day(account.created_at)}"
    if shut is not None and account.state is AccountState.SUSPENDED:
        yield f"               {_why(shut)}"
    yield f"stored         {ByteSize(account.used).human_readable()}, {quota}"
    if account.kept:
        kept = ByteSize(account.kept).human_readable()
        yield f"               {kept} of it are trash and previous versions"
    yield f"               {overview.files} files, {overview.folders} folders, {overview.locks} locks held"
    yield f"authenticator  {totp}; recovery codes left: {overview.recovery_codes}"
    for number, device in enumerate(overview.devices):
        yield f"{'' if number else 'devices':13}  {_device(device)}"


def _why(shut: Shut) -> str:
    """Who has suspended the account, and why, as far as the audit log still says."""
    if shut.at is None:
        return "since when and why is not in the audit log any more"
    by = f" by {shut.by}" if shut.by else ""
    return f"suspended {_minute(shut.at)}{by}: {shut.reason or 'no reason given'}"


def _shut_values(shut: Shut | None) -> dict[str, object]:
    if shut is None:
        return {}
    return {"shut": {"at": _moment(shut.at), "by": shut.by, "reason": shut.reason}}


def _provider_lines(name: str, told: Confirmation | None, now: datetime) -> Iterator[str]:
    """What Keycloak has said of the owner, and what is wrong if it says nothing."""
    if told is None or told.built_in:
        return
    if told.left_at is not None:
        yield f"keycloak       {name} has left: {told.reason}, found {_minute(told.left_at)}"
    elif told.confirmed_at is None:
        yield f"keycloak       has not confirmed {name} yet; it is asked at the next use"
    else:
        yield f"keycloak       confirmed {name} {_ago(now - told.confirmed_at)} ago"
    if told.devices_suspended:
        yield "               devices wait until both factors are proved on the site: the password was reset"
    if told.trouble:
        since = "" if told.trouble_since is None else f" since {_minute(told.trouble_since)}"
        yield f"               nobody can be confirmed{since}: {told.trouble}"


def _provider(told: Confirmation | None) -> dict[str, object]:
    if told is None or told.built_in:
        return {}
    return {
        "keycloak": {
            "confirmed_at": _moment(told.confirmed_at),
            "left_at": _moment(told.left_at),
            "reason": told.reason,
            "devices_suspended": told.devices_suspended,
            "trouble": told.trouble,
            "trouble_since": _moment(told.trouble_since),
        }
    }


def _ago(age: timedelta) -> str:
    """Seconds as long as that means something."""
    seconds = round(age.total_seconds())
    return f"{seconds} s" if seconds < SECONDS_SHOWN else str(timedelta(seconds=seconds))


def _device(device: Device) -> str:
    used = "never used"
    if device.last_used_at is not None:
        used = f"used {device.last_used_at:%Y-%m-%d %H:%M} from {device.last_used_from}"
    return f"{device.id}  {device.state.value:8} until {_day(device.expires_at)}  {used}  {device.label}"


def _values(overview: Overview) -> dict[str, object]:
    account = overview.account
    return {
        "account": account.username,
        "state": account.state.value,
        "created_at": account.created_at.isoformat(),
        "used": account.used,
        "kept": account.kept,
        "quota": account.quota,
        "files": overview.files,
        "folders": overview.folders,
        "locks": overview.locks,
        "totp_since": _moment(overview.totp_since),
        "recovery_codes": overview.recovery_codes,
        "devices": [
            {
                "id": one.id,
                "label": one.label,
                "state": one.state.value,
                "expires_at": one.expires_at.isoformat(),
                "last_used_at": _moment(one.last_used_at),
                "last_used_from": one.last_used_from,
            }
            for one in overview.devices
        ],
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
