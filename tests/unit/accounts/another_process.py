"""Another process of the same installation: types one-time codes of an account and says what came of each.

    python -m tests.unit.accounts.another_process FOLDER MOMENT NAME CODE ...

Codes are typed by as many threads at once, when a line has come on standard input. Called by `test_totp.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from davserver.accounts.totp import Totp
from davserver.errors import AuthenticationError
from davserver.model import Principal
from tests.factories import make_principal, make_totp, make_world
from tests.fakes import FrozenClock


def attempt(totp: Totp, principal: Principal, code: str) -> str:
    """What comes of a code: "in", or the name of the refusal."""
    try:
        totp.verify(principal, code)
    except AuthenticationError as refusal:
        return type(refusal).__name__
    return "in"


def main(folder: str, moment: str, name: str, codes: Sequence[str]) -> None:
    """Open the store as another process does, wait for the sign to begin, print an outcome a line."""
    world = make_world(Path(folder), clock=FrozenClock(datetime.fromisoformat(moment)))
    totp = make_totp(world)
    principal = make_principal(world.accounts.find(name), world.clock, fresh_totp=False)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    with ThreadPoolExecutor(len(codes)) as threads:
        for outcome in threads.map(lambda code: attempt(totp, principal, code), codes):
            sys.stdout.write(f"{outcome}\n")
    world.database.dispose()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
