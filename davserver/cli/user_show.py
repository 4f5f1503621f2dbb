"""`sealdav user show NAME`: everything about one account but its files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import typer
from pydantic import ByteSize

from davserver.accounts.overview import Device, Overview
from davserver.cli.console import Console
from davserver.cli.options import Json, Name
from davserver.cli.session import Session


def show(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Show an account: state, space, devices, authenticator. Names of files are not shown to anybody."""
    session: Session = context.obj
    with session.services() as services:
        overview = services.overviews.of(name)
        Console(as_json=as_json).result(_values(overview), "\n".join(_lines(overview)))


def _lines(overview: Overview) -> Iterator[str]:
    account = overview.account
    quota = "no quota" if account.quota is None else f"quota {ByteSize(account.quota).human_readable()}"
    totp = "none" if overview.totp_since is None else f"since {_day(overview.totp_since)}"
    yield f"account        {account.username}, {account.state.value}, made {_day(account.created_at)}"
    yield f"stored         {ByteSize(account.used).human_readable()}, {quota}"
    yield f"               {overview.files} files, {overview.folders} folders, {overview.locks} locks held"
    yield f"authenticator  {totp}; recovery codes left: {overview.recovery_codes}"
    for number, device in enumerate(overview.devices):
        yield f"{'' if number else 'devices':13}  {_device(device)}"


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


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
