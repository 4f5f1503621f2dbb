"""A Sealdav that is ready before it is started: its store, one account, one app password.

It is made by the services of `sealdav serve` in this process, which takes a second, where the command line
would take five and a one-time code. Whoever wants many files puts them there through the vault.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from davserver.audit import log_to_terminal
from davserver.bootstrap import Services, build_services
from davserver.clock import utc_now
from davserver.model import ROOT_ID, AuthMethod, Principal, Scope
from davserver.settings import ServerSettings, load_settings
from davserver.vault.access import Access
from tests.e2e.drive import Device, Drive

USERNAME = "bench"


@contextmanager
def services(folder: Path) -> Iterator[Services]:
    """The services of an installation in a folder, made if it is not there. Syncs nothing."""
    settings = load_settings(
        flags={
            "storage": {"data_dir": str(folder / "data"), "durability": "relaxed"},
            "keys": {"master_key_file": str(folder / "keys" / "master.key")},
        }
    )
    log_to_terminal("error")
    with closing(build_services(settings)) as built:
        yield built


def enrol(built: Services) -> Device:
    """The account, with an app password that may do everything."""
    principal = _principal(built, create=True)
    return Device(USERNAME, built.app_passwords.issue(principal, "device").token, "")


def access(built: Services) -> Access:
    """What the account's vault is made of."""
    return built.vaults.access(_principal(built, create=False))


def sign_in(built: Services) -> str:
    """What is in the cookie of a browser in which the account has proved both factors."""
    return built.sessions.sign_in(None, _principal(built, create=False)).secret


def drive(folder: Path, *, durability: str, processes: int | None = None) -> Drive:
    """The server of an installation, not started, with standard settings but for these.

    Args:
        folder: where it lies.
        durability: "full" or "relaxed".
        processes: how many serve; None is what the settings say.
    """
    options = {"STORAGE__DURABILITY": durability}
    if processes is not None and has_processes():
        options["SERVER__PROCESSES"] = str(processes)
    return Drive(folder, **options)


def has_processes() -> bool:
    """Whether this Sealdav can serve with several processes."""
    return "processes" in ServerSettings.model_fields


def _principal(built: Services, *, create: bool) -> Principal:
    account = built.accounts.create(USERNAME) if create else built.accounts.find(USERNAME)
    now = utc_now()
    return Principal(account, Scope.FULL, ROOT_ID, AuthMethod.TERMINAL, now, totp_at=now)
