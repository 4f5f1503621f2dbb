"""How soon somebody who leaves at Keycloak is shut out here, and what an outage of Keycloak does.

    python -m benchmarks.offboarding [--rounds 20] [--gib 10] [--outage-minutes 5]

A real Keycloak and a real server with the default settings. Measured from the moment at which Keycloak's
administration has answered, to the first request that is refused and to the end of a running download, as its
client sees it. Disabling is measured with one file of so many GiB, everything else with smaller ones.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.office import Employee, Office, put_large
from tests.e2e.waiting import until
from tests.services.keycloak import Keycloak, Realm, find_built, start

SITE = "http://127.0.0.1:9"
"""Nobody listens there: nothing is ended because Keycloak says so."""

RATE = 2 * 1024**2
"""Bytes a second that a client of a running download reads."""

SMALL = 512 * 1024**2
"""The file of those who are not disabled: at that rate it takes four minutes."""

PATIENCE = 120
"""Seconds after which a round has failed."""

GRACE = 55
"""The default of `identity.confirm_seconds`."""

SERVED, SHUT, UNKNOWN = 207, 401, 503


@dataclass
class Figures:
    """Seconds of one kind of leaving: to the first refusal, and to the end of a download."""

    refused: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def line(self, kind: str) -> str:
        """Minimum, median and maximum of both."""
        parts = [
            f"{what} {min(some):.1f} / {statistics.median(some):.1f} / {max(some):.1f} s"
            for what, some in (("refused after", self.refused), ("download ended after", self.ended))
        ]
        return f"{kind:12} {len(self.refused):3} times  {'   '.join(parts)}"


def leave(office: Office, employee: Employee, act: Callable[[], object], figures: Figures) -> None:
    """One round: a download runs, somebody leaves at a random moment, both ends are waited for."""
    with closing(office.download(employee)) as download, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(download.read_until_end, RATE, time.monotonic() + PATIENCE + 30)
        time.sleep(random.uniform(3, 20))  # Any moment between two questions.
        act()
        begun = time.monotonic()
        until(lambda: office.status(employee) == SHUT, PATIENCE, every=0.2)
        figures.refused.append(time.monotonic() - begun)
        require(holds=reading.result(), what="the download was not ended")
        figures.ended.append(time.monotonic() - begun)


def come_back(office: Office, employee: Employee, act: Callable[[], object]) -> None:
    """Let somebody in again, and wait until everything is as before."""
    act()
    until(lambda: office.status(employee) == SERVED, PATIENCE, every=0.5)


def disable(office: Office, employee: Employee, rounds: int) -> Figures:
    """Disabled and enabled again, so many times."""
    figures, realm = Figures(), office.realm
    for _ in range(rounds):
        leave(office, employee, lambda: realm.set_enabled(employee.subject, enabled=False), figures)
        come_back(office, employee, lambda: realm.set_enabled(employee.subject, enabled=True))
        print(f"  disabled: {figures.refused[-1]:.1f} s, download {figures.ended[-1]:.1f} s", flush=True)
    return figures


def take_role(office: Office, employee: Employee, rounds: int) -> Figures:
    """Out of the group that gives the role, and back."""
    figures, realm = Figures(), office.realm
    for _ in range(rounds):
        leave(office, employee, lambda: realm.leave(employee.subject, "dav-users"), figures)
        come_back(office, employee, lambda: realm.join(employee.subject, "dav-users"))
        print(f"  role removed: {figures.refused[-1]:.1f} s, download {figures.ended[-1]:.1f} s", flush=True)
    return figures


def delete(office: Office, employees: list[Employee]) -> Figures:
    """Deleted, one after another."""
    figures = Figures()
    for one in employees:
        leave(office, one, lambda subject=one.subject: office.realm.delete_user(subject), figures)  # type: ignore[misc]
        print(f"  deleted: {figures.refused[-1]:.1f} s, download {figures.ended[-1]:.1f} s", flush=True)
    return figures


def outage(office: Office, people: list[Employee], keycloak: Keycloak, folder: Path, minutes: float) -> None:
    """Keycloak is killed, and started again with what it knew."""
    answers: list[tuple[float, int]] = []
    with ThreadPoolExecutor() as pool, closing(office.download(people[0])) as download:
        os.killpg(keycloak.group, signal.SIGKILL)
        begun = time.monotonic()
        reading = pool.submit(download.read_until_end, RATE, begun + PATIENCE)
        ended = pool.submit(lambda: (reading.result(), time.monotonic() - begun))
        while time.monotonic() - begun < 60 * minutes:
            answers.extend((time.monotonic() - begun, office.status(one)) for one in people)
            time.sleep(0.5)  # One of many clients.
        port = int(keycloak.url.rpartition(":")[2])
        with start(find_built() or Path(), folder, port=port):
            back = time.monotonic()
            until(lambda: all(office.status(one) == SERVED for one in people), PATIENCE, every=0.2)
            print(f"served again {time.monotonic() - back:.1f} s after Keycloak was ready")
        cut, when = ended.result()
    served = [moment for moment, status in answers if status == SERVED]
    print(f"Keycloak gone for {minutes:g} minutes: {dict(Counter(status for _, status in answers))}")
    what = "ended" if cut else "whole"
    print(f"last request served after {max(served):.1f} s, download {what} after {when:.1f} s")
    require(holds=cut and max(*served, when) <= GRACE, what="somebody was served past the grace")
    states = [office.state(one) for one in people]
    require(holds=states == ["active"] * len(people), what="somebody was shut out by an outage")
    print(f"states afterwards: {states}")


def require(*, holds: bool, what: str) -> None:
    """A benchmark that measures something wrong says so."""
    if not holds:
        raise SystemExit(f"failed: {what}")


@contextmanager
def office_of(folder: Path) -> Iterator[tuple[Office, Keycloak]]:
    """A Keycloak and a server, both running."""
    built = find_built()
    if built is None:
        raise SystemExit("Keycloak is not built here: tests/services/keycloak.sh does it")
    with start(built, folder) as keycloak:
        realm: Realm = keycloak.make_realm("sealdav", SITE)
        office = Office(folder / "office", realm, options={})
        office.drive.start()
        with closing(office.drive):
            yield office, keycloak


def main() -> None:
    """Measure all of it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--gib", type=int, default=10)
    options.add_argument("--others", type=int, default=6, help="rounds of deleting, and of taking the role")
    options.add_argument("--outage-minutes", type=float, default=5)
    options.add_argument("--folder", type=Path, default=None, help="where there is room")
    chosen = options.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=chosen.folder) as folder,
        office_of(Path(folder)) as (office, keycloak),
    ):
        first, second, *gone = office.hire("alice", "bob", *(f"gone{n}" for n in range(chosen.others)))
        put_large(office.drive, first, chosen.gib * 1024**3)
        for one in (second, *gone):
            put_large(office.drive, one, SMALL)
        with ThreadPoolExecutor() as pool:
            kinds = {
                "disabled": pool.submit(disable, office, first, chosen.rounds),
                "deleted": pool.submit(delete, office, gone),
                "role removed": pool.submit(take_role, office, second, chosen.others),
            }
            lines = [one.result().line(kind) for kind, one in kinds.items()]
        print("\n".join(["minimum / median / maximum", *lines]))
        outage(office, [first, second], keycloak, Path(folder), chosen.outage_minutes)


if __name__ == "__main__":
    main()
