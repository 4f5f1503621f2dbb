"""What off-boarding costs with 10,000 accounts, 2,000 of them at work: Keycloak's time, ours, the database's.

    python -m benchmarks.offboarding_load [--accounts 10000] [--active 2000] [--minutes 5]

A real Keycloak with everybody in it. The questions are put by the services that `sealdav serve` starts, in
a process where nothing else runs: so its processor time is that of off-boarding, and of the gate before every
request of 2,000 devices. At the end somebody is disabled, and somebody loses the role.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from davserver.accounts.rounds import Rounder
from davserver.accounts.service import Accounts
from davserver.audit import log_to_terminal
from davserver.bootstrap import Services, build_services
from davserver.db.engine import Database, Transaction
from davserver.errors import AuthenticationError, DavserverError
from davserver.identity.base import Provider
from davserver.identity.directory import KeycloakDirectory
from davserver.model import Account, AccountState
from davserver.settings import load_settings
from tests.e2e.office import cpu_seconds
from tests.services.keycloak import CLIENT, Keycloak, Realm, find_built, start

IMPORTED_AT_ONCE = 500
REQUEST_EVERY = 20
"""Seconds between two requests of one device."""


class Stopwatch:
    """How many transactions of a database there are, and how long they last.

    Attributes:
        spent: seconds by kind.
        count: how many of each kind.
    """

    def __init__(self, database: Database) -> None:
        self.spent = {"read": 0.0, "write": 0.0}
        self.count: Counter[str] = Counter()
        for kind, begin in (("read", database.read), ("write", database.write)):
            vars(database)[kind] = self._timed(kind, begin)  # in the place of the method

    def reset(self) -> None:
        """Begin anew."""
        self.spent = dict.fromkeys(self.spent, 0.0)
        self.count.clear()

    def _timed(self, kind: str, begin: Callable[[], AbstractContextManager[Transaction]]) -> object:
        @contextmanager
        def timed() -> Iterator[Transaction]:
            begun = time.perf_counter()
            try:
                with begin() as tx:
                    yield tx
            finally:
                self.spent[kind] += time.perf_counter() - begun
                self.count[kind] += 1

        return timed


class CountingDirectory(KeycloakDirectory):
    """Counts the requests that it makes."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider)
        self.requests = 0

    def _connected(self) -> Any:  # noqa: ANN401 - as inherited
        self.requests += 1
        return super()._connected()


def import_people(realm: Realm, names: list[str]) -> dict[str, str]:
    """Everybody into Keycloak, in the group that gives the role; subjects by name."""
    for start_at in range(0, len(names), IMPORTED_AT_ONCE):
        users = [
            {"username": name, "enabled": True, "email": f"{name}@example.test", "groups": ["/dav-users"]}
            | {"firstName": "Some", "lastName": "Body"}
            for name in names[start_at : start_at + IMPORTED_AT_ONCE]
        ]
        realm.call("POST", "/partialImport", {"ifResourceExists": "SKIP", "users": users})
    subjects: dict[str, str] = {}
    while len(subjects) < len(names):
        page = realm.call("GET", f"/users?first={len(subjects)}&max=1000&briefRepresentation=true")
        subjects |= {one["username"]: one["id"] for one in page}
    return subjects


class Load:
    """The devices of everybody at work, each of whose requests passes the gate."""

    def __init__(self, services: Services, active: list[Account]) -> None:
        self._services = services
        self._active = active
        self.answers: Counter[str] = Counter()
        self.slowest = 0.0

    def run(self, seconds: float) -> None:
        """Requests, evenly spread."""
        begun, made = time.monotonic(), 0
        rate = len(self._active) / REQUEST_EVERY
        while (now := time.monotonic() - begun) < seconds:
            while made < now * rate:
                self._request(self._active[made % len(self._active)])
                made += 1
            time.sleep(0.05)  # So many a second.

    def _request(self, account: Account) -> None:
        begun = time.perf_counter()
        try:
            self._services.gate.admit(account)
            self.answers["admitted"] += 1
        except AuthenticationError:
            self.answers["refused"] += 1
        except DavserverError as error:
            self.answers[type(error).__name__] += 1
        self.slowest = max(self.slowest, time.perf_counter() - begun)


def java_of(keycloak: Keycloak) -> int:
    """The process of a Keycloak that was started here."""
    found = subprocess.run(
        ["pgrep", "-g", str(keycloak.group), "java"], capture_output=True, text=True, check=True
    )
    return int(found.stdout.split()[0])


def until_shut(accounts: Accounts, name: str, act: Callable[[], object], load: Load) -> float:
    """How long after `act` the account is shut."""
    act()
    begun = time.monotonic()
    while accounts.find(name).state is AccountState.ACTIVE:
        load.run(0.5)
    return time.monotonic() - begun


def measure(options: argparse.Namespace, realm: Realm, keycloak: Keycloak, folder: Path) -> None:
    """Fill both sides, warm up, count for some minutes."""
    names = [f"user{number:05}" for number in range(options.accounts)]
    begun = time.monotonic()
    subjects = import_people(realm, names)
    print(f"{len(subjects)} people in Keycloak after {time.monotonic() - begun:.0f} s", flush=True)
    settings = load_settings(
        flags={
            "storage": {"data_dir": str(folder / "data"), "durability": options.durability},
            "keys": {"master_key_file": str(folder / "keys" / "master.key")},
            "identity": {
                "provider": "keycloak",
                "issuer": realm.issuer,
                "client_id": CLIENT,
                "client_secret": realm.secret(),
            },
        }
    )
    log_to_terminal("error")
    registry = CountingDirectory(Provider(realm.issuer, CLIENT, realm.secret()))
    with closing(build_services(settings, registry=registry)) as services:
        accounts = [services.accounts.create(name, subjects[name]) for name in names]
        print(f"as many accounts after {time.monotonic() - begun:.0f} s", flush=True)
        load = Load(services, accounts[: options.active])
        rounder = Rounder(services.rounds)
        rounder.start()
        try:
            load.run(options.warm_up)
            print(f"warmed up: {dict(load.answers)}", flush=True)
            load.answers.clear()
            _count(options, services, registry, load, java_of(keycloak))
            disabled, roleless = names[0], names[1]
            for what, name, act in (
                ("disabled", disabled, lambda: realm.set_enabled(subjects[disabled], enabled=False)),
                ("role removed", roleless, lambda: realm.leave(subjects[roleless], "dav-users")),
            ):
                print(
                    f"{what}: shut after {until_shut(services.accounts, name, act, load):.1f} s", flush=True
                )
        finally:
            rounder.stop()


def _count(
    options: argparse.Namespace, services: Services, registry: CountingDirectory, load: Load, java: int
) -> None:
    """Everything a minute."""
    database, minutes = Stopwatch(services.database), options.minutes
    registry.requests, load.slowest = 0, 0.0
    theirs, ours = cpu_seconds(java), time.process_time()
    load.run(60 * minutes)
    theirs, ours = cpu_seconds(java) - theirs, time.process_time() - ours
    rows = {
        "requests to Keycloak": f"{registry.requests / minutes:.0f}",
        "Keycloak's processor time": f"{theirs / minutes:.2f} s",
        "our processor time": f"{ours / minutes:.2f} s",
        "requests of devices admitted": f"{load.answers['admitted'] / minutes:.0f}",
        "slowest of them": f"{1000 * load.slowest:.0f} ms",
        "answers": str(dict(load.answers)),
    }
    for kind, spent in database.spent.items():
        rows[f"{kind} transactions"] = f"{database.count[kind] / minutes:.0f}, {spent / minutes:.2f} s"
    print(f"{options.accounts} accounts, {options.active} at work; a minute:")
    for what, value in rows.items():
        print(f"  {what:30} {value}")
    sys.stdout.flush()


def main() -> None:
    """Start a Keycloak, measure, stop it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--accounts", type=int, default=10_000)
    options.add_argument("--active", type=int, default=2_000)
    options.add_argument("--minutes", type=float, default=5)
    options.add_argument("--warm-up", type=float, default=180, help="seconds")
    options.add_argument("--durability", default="full")
    options.add_argument("--folder", type=Path, default=None, help="where there is room")
    chosen = options.parse_args()
    built = find_built()
    if built is None:
        raise SystemExit("Keycloak is not built here: tests/services/keycloak.sh does it")
    os.umask(0o077)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name, start(built, Path(name)) as keycloak:
        realm = keycloak.make_realm("sealdav", "http://127.0.0.1:9")
        measure(chosen, realm, keycloak, Path(name))


if __name__ == "__main__":
    main()
