"""`make keycloak`: the Keycloak of the tests for a person to click through, until Ctrl-C.

Each start makes the same people anew, so that a site which has met them knows them again; and the client,
with the secret in the file that was written the first time and that the site's settings name.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from tests.services.keycloak import PASSWORD, Keycloak, Realm, find_built, start

REALM = "sealdav"
KEYS = Path(__file__).parents[2] / "var-keys"
ADDRESS_FILE = KEYS / "keycloak.json"

SOMEBODY, ADMINISTRATOR = "karla", "ada"
"""None of the names that the README suggests for built-in accounts: those cannot sign in as somebody else."""


def main() -> None:
    """Start it, say what can be done with it, wait."""
    options = argparse.ArgumentParser(description="A Keycloak to click through.")
    options.add_argument("--port", type=int, default=8180, help="port of Keycloak on 127.0.0.1")
    options.add_argument("--site", default="http://127.0.0.1:8080", help="where Sealdav is")
    chosen = options.parse_args()
    built = find_built()
    if built is None:
        raise SystemExit(
            "Keycloak is not built here: tests/services/keycloak.sh does it, and says what is missing"
        )
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    _print("Starting Keycloak")
    with (
        tempfile.TemporaryDirectory() as folder,
        start(built, Path(folder), port=chosen.port) as keycloak,
    ):
        realm = keycloak.make_realm(REALM, chosen.site)
        for name in (SOMEBODY, ADMINISTRATOR):
            realm.add_user(name, admin=name == ADMINISTRATOR, subject=str(uuid5(NAMESPACE_URL, name)))
        _write(realm)
        _say(keycloak, chosen.site)
        end.wait()


def _write(realm: Realm) -> None:
    KEYS.mkdir(mode=0o700, exist_ok=True)
    if ADDRESS_FILE.exists():
        known = json.loads(ADDRESS_FILE.read_text(encoding="utf-8"))
        realm.change_client(secret=known["credentials"]["secret"])
    ADDRESS_FILE.unlink(missing_ok=True)
    ADDRESS_FILE.touch(mode=0o600)
    ADDRESS_FILE.write_text(json.dumps(realm.keycloak_json(), indent=2) + "\n", encoding="utf-8")


def _say(keycloak: Keycloak, site: str) -> None:
    _print(
        f"""
Keycloak runs at    {keycloak.url}/admin/master/console/#/{REALM}
  administrator     {keycloak.admin} / {keycloak.password}
People of {site}
  somebody          {SOMEBODY} / {PASSWORD}
  an administrator  {ADMINISTRATOR} / {PASSWORD}

Put this into config/davserver.toml and start Sealdav with `make run`:

  [identity]
  provider = "keycloak"
  keycloak_json = "{ADDRESS_FILE}"

Ctrl-C ends it; the next start makes the same people again.
"""
    )


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
