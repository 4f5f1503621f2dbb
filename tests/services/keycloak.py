"""A real Keycloak for the tests: started on free ports of loopback, or one that runs already.

`tests/services/keycloak.sh` has built it. Here it is started, given realms made from the example in config/,
and told what an administrator would click. `make keycloak` (keycloak_demo.py) starts the same for a person.

    SEALDAV_TEST_KEYCLOAK        address of a running one to use instead; realms are made and removed in it
    SEALDAV_TEST_KEYCLOAK_ADMIN  NAME:PASSWORD of its administrator
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.ports import free_port
from tests.services.clients import cache

RECIPE = Path(__file__).with_name("keycloak.sh")
EXAMPLE = Path(__file__).parents[2] / "config" / "keycloak-realm.example.json"
CLIENT = "sealdav"
CLI = "dav-cli"
PASSWORD = "correct horse battery"
"""What everybody's password is here."""

READY_SECONDS = 100
"""A start takes seven seconds, on a busy machine many times as long; less than the limit of a test."""

STOP_SECONDS = 20
TOKEN_SECONDS = 40
"""An administrator's token of Keycloak is good for 60 seconds."""

REQUEST_SECONDS = 60

_JVM = {
    "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC -XX:MetaspaceSize=192m",
    "JAVA_OPTS_KC_HEAP": "-Xms192m -Xmx256m",
}
"""Half the processor time and three quarters of the memory of the defaults, for a server of a minute. What it
begins with is what it comes to use: growing, it stops for a whole collection just when the first people sign
in, on a busy machine for longer than a second."""

_PARENT_DEATH = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


# ── the server ──────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Certificate:
    """Files of a TLS certificate and its key."""

    certificate: Path
    key: Path


class Keycloak:
    """A running server, and what its administrator can do.

    Attributes:
        url: where it is, without a slash at the end.
        secure_url: the same by https; "" without a certificate.
        group: its process group; 0 if it was not started here.
    """

    def __init__(self, url: str, admin: str, password: str, secure_url: str = "") -> None:
        self.url = url
        self.secure_url = secure_url
        self.admin = admin
        self.password = password
        self.group = 0
        self._session = requests.Session()
        self._token_until = 0.0

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and to its Java; skips where it is somebody else's: that one is left alone."""
        if not self.group:
            pytest.skip("this Keycloak was not started here")
        os.killpg(self.group, number)

    def close(self) -> None:
        """End its connections; a server that was started here is stopped by whoever started it."""
        self._session.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - any JSON
        """Ask the administration interface; the JSON of the answer, or None."""
        if time.monotonic() >= self._token_until:
            self._sign_in()
        answer = self._session.request(
            method, f"{self.url}/admin/realms{path}", json=body, timeout=REQUEST_SECONDS
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _sign_in(self) -> None:
        form = {
            "grant_type": "password",
            "client_id": "admin-cli",
            "username": self.admin,
            "password": self.password,
        }
        answer = self._session.post(
            f"{self.url}/realms/master/protocol/openid-connect/token", data=form, timeout=REQUEST_SECONDS
        )
        answer.raise_for_status()
        self._session.headers["Authorization"] = "Bearer " + answer.json()["access_token"]
        self._token_until = time.monotonic() + TOKEN_SECONDS

    def make_realm(self, name: str, site: str, *, secure: bool = False) -> Realm:
        """A realm like the example's for the site at `site`; it takes two seconds or three.

        Args:
            name: what it is called.
            site: scheme, host and port of the site.
            secure: the realm calls itself by its https address.
        """
        text = EXAMPLE.read_text(encoding="utf-8")
        text = re.sub(r"\$\{SEALDAV_(URL|BACKCHANNEL_URL):[^}]*\}", site, text)
        example = {**json.loads(text), "realm": name}
        if secure:
            example["attributes"] = {**example["attributes"], "frontendUrl": self.secure_url}
        self.call("POST", "", example)
        (client,) = self.call("GET", f"/{name}/clients?clientId={CLIENT}")
        return Realm(self, name, self.secure_url if secure else self.url, client["id"])


@dataclass
class Realm:
    """One realm, with the client `sealdav` in it.

    Attributes:
        client_uuid: what the administration interface calls the client.
    """

    keycloak: Keycloak
    name: str
    base: str
    client_uuid: str

    @property
    def issuer(self) -> str:
        """What the realm calls itself."""
        return f"{self.base}/realms/{self.name}"

    def call(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - any JSON
        """As `Keycloak.call`, below this realm."""
        return self.keycloak.call(method, f"/{self.name}{path}", body)

    def remove(self) -> None:
        """Remove it with everybody in it."""
        self.call("DELETE", "")

    # the client
    def secret(self) -> str:
        """The client's secret, which Keycloak made."""
        return str(self.call("GET", f"/clients/{self.client_uuid}/client-secret")["value"])

    def keycloak_json(self) -> dict[str, Any]:
        """The file that the console lets people download (Clients, Action, Download adapter config)."""
        path = f"/clients/{self.client_uuid}/installation/providers/keycloak-oidc-keycloak-json"
        found: dict[str, Any] = self.call("GET", path)
        return found

    def change_client(self, **changes: object) -> None:
        """Change what the client is, as the console does."""
        client = self.call("GET", f"/clients/{self.client_uuid}")
        self.call("PUT", f"/clients/{self.client_uuid}", {**client, **changes})

    def serve(self, site: str, backchannel: str | None = None) -> None:
        """Let the client belong to another site; `backchannel`: where Keycloak reaches it, if elsewhere."""
        attributes = {
            "post.logout.redirect.uris": f"{site}/",
            "backchannel.logout.url": f"{backchannel or site}/oidc/backchannel-logout",
        }
        (programs,) = self.call("GET", f"/clients?clientId={CLI}")
        programs["attributes"]["backchannel.logout.url"] = attributes["backchannel.logout.url"]
        self.call("PUT", f"/clients/{programs['id']}", programs)
        known = self.call("GET", f"/clients/{self.client_uuid}")["attributes"]
        self.change_client(
            rootUrl=site, redirectUris=[f"{site}/oidc/callback"], attributes={**known, **attributes}
        )

    def change_realm(self, **changes: object) -> None:
        """Change the realm's own settings."""
        self.call("PUT", "", {**self.call("GET", ""), **changes})

    def bind_flow(self, client_id: str, alias: str) -> None:
        """Let a client sign people in by a flow of its own, as in the console under Advanced."""
        (client,) = self.call("GET", f"/clients?clientId={client_id}")
        (flow,) = (one for one in self.call("GET", "/authentication/flows") if one["alias"] == alias)
        client["authenticationFlowBindingOverrides"] = {"browser": flow["id"]}
        self.call("PUT", f"/clients/{client['id']}", client)

    # people
    def add_user(self, name: str, *, admin: bool = False, quota: int | None = None, subject: str = "") -> str:
        """Somebody who may use the site, with `PASSWORD`; returns the subject."""
        attributes = {"dav_quota_bytes": [str(quota)]} if quota is not None else {}
        subject = self.add_stranger(name, attributes, subject)
        self.join(subject, "dav-admins" if admin else "dav-users")
        return subject

    def add_stranger(
        self, name: str, attributes: Mapping[str, list[str]] | None = None, subject: str = ""
    ) -> str:
        """Somebody without any role of the site; returns the subject, which Keycloak chooses if it is ""."""
        user = {
            "username": name,
            "enabled": True,
            "email": f"{name}@example.test",
            "emailVerified": True,
            "firstName": name.title(),
            "lastName": "Example",
            "attributes": attributes or {},
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
        }
        if subject:  # which only an import may choose
            known = {"id": subject, "realmRoles": [f"default-roles-{self.name}"]}
            self.call("POST", "/partialImport", {"ifResourceExists": "FAIL", "users": [{**user, **known}]})
            return subject
        self.call("POST", "/users", user)
        (found,) = self.call("GET", f"/users?username={name}&exact=true")
        return str(found["id"])

    def join(self, subject: str, group: str) -> None:
        """Put somebody into a group."""
        self.call("PUT", f"/users/{subject}/groups/{self._group(group)}")

    def leave(self, subject: str, group: str) -> None:
        """Take somebody out of a group."""
        self.call("DELETE", f"/users/{subject}/groups/{self._group(group)}")

    def _group(self, name: str) -> str:
        (found,) = self.call("GET", f"/groups?search={name}&exact=true")
        return str(found["id"])

    def set_roles(self, subject: str, *names: str) -> None:
        """Give somebody roles of the realm, beside those of the groups."""
        self.call(
            "POST", f"/users/{subject}/role-mappings/realm", [self.call("GET", f"/roles/{n}") for n in names]
        )

    def give_authenticator(self, subject: str, secret: str) -> None:
        """Set one up for somebody at Keycloak; `secret`: 20 letters or digits, as it keeps them."""
        user = self.call("GET", f"/users/{subject}")
        data = {"subType": "totp", "digits": 6, "counter": 0, "period": 30, "algorithm": "HmacSHA1"}
        made = {
            "type": "otp",
            "secretData": json.dumps({"value": secret}),
            "credentialData": json.dumps(data),
        }
        self.call("PUT", f"/users/{subject}", {**user, "credentials": [made]})

    def set_enabled(self, subject: str, *, enabled: bool) -> None:
        """Shut somebody out, or let them in again."""
        user = self.call("GET", f"/users/{subject}")
        self.call("PUT", f"/users/{subject}", {**user, "enabled": enabled})

    def delete_user(self, subject: str) -> None:
        """Remove somebody."""
        self.call("DELETE", f"/users/{subject}")

    def log_out(self, subject: str) -> None:
        """End every session of somebody; Keycloak tells the site."""
        self.call("POST", f"/users/{subject}/logout")

    def sessions(self, subject: str) -> list[dict[str, Any]]:
        """The sessions that somebody has at Keycloak."""
        found: list[dict[str, Any]] = self.call("GET", f"/users/{subject}/sessions")
        return found

    def rotate_keys(self) -> None:
        """Sign with a new RSA key from now on; the old one stays published."""
        realm = self.call("GET", "")
        self.call(
            "POST",
            "/components",
            {
                "name": f"rsa-{secrets.token_hex(4)}",
                "providerId": "rsa-generated",
                "providerType": "org.keycloak.keys.KeyProvider",
                "parentId": realm["id"],
                "config": {"priority": [str(1000 + int(time.monotonic()))], "keySize": ["2048"]},
            },
        )


# ── starting it ─────────────────────────────────────────────────────────────────────────────────────────────
def provide(folder: Path, certificate: Certificate | None = None) -> Iterator[Keycloak]:
    """A Keycloak: the one that the environment names, else one that is started in `folder` and stopped."""
    running = os.environ.get("SEALDAV_TEST_KEYCLOAK", "").rstrip("/")
    if running:
        admin, _, password = os.environ.get("SEALDAV_TEST_KEYCLOAK_ADMIN", "").partition(":")
        keycloak = Keycloak(running, admin, password)
        yield keycloak
        keycloak.close()
        return
    built = find_built()
    if built is None:
        pytest.skip("no Keycloak here; tests/services/keycloak.sh builds it")
    with start(built, folder, certificate) as keycloak:
        yield keycloak


def find_built() -> Path | None:
    """What tests/services/keycloak.sh has built, or None."""
    version = re.search(r"^KEYCLOAK_VERSION=(\S+)", RECIPE.read_text(encoding="utf-8"), re.MULTILINE)
    assert version
    built = cache() / f"keycloak-{version[1]}"
    return built if (built / "ready").is_file() and shutil.which("java") else None


@contextmanager
def start(
    built: Path, folder: Path, certificate: Certificate | None = None, port: int = 0
) -> Iterator[Keycloak]:
    """Start what was built, with a database of its own below `folder`; `port` 0 takes a free one.

    Where one has run before it is started again, with what it knew.
    """
    home = folder / "keycloak"
    if not home.exists():
        shutil.copytree(built / "data", home / "data")
        for name in ("conf", "lib", "providers", "themes"):
            (home / name).symlink_to(built / name)
    http, health, https = port or free_port(), free_port(), free_port()
    url = f"http://127.0.0.1:{http}"
    command = [
        str(built / "bin" / "kc.sh"),
        "start",
        f"-Dkc.home.dir={home}",
        "--optimized",
        "--cache=local",
        "--http-enabled=true",
        "--http-host=127.0.0.1",
        f"--http-port={http}",
        f"--http-management-port={health}",
        f"--hostname={url}",
    ]
    if certificate:
        command += [
            f"--https-port={https}",
            f"--https-certificate-file={certificate.certificate}",
            f"--https-certificate-key-file={certificate.key}",
            "--http-management-scheme=http",
        ]
    secure_url = f"https://127.0.0.1:{https}" if certificate else ""
    with _process(command, folder / "keycloak.log") as process:
        _wait_until_ready(process, f"http://127.0.0.1:{health}/health/ready", folder / "keycloak.log")
        password = (built / "password").read_text(encoding="utf-8").strip()
        keycloak = Keycloak(url, "admin", password, secure_url)
        keycloak.group = process.pid
        try:
            yield keycloak
        finally:
            keycloak.close()


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run kc.sh and its Java in a group of their own; none of them survives."""
    foreign = ("KC_", "KEYCLOAK_", "JAVA_OPTS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            env={**environment, **_JVM},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no threads are running in the child
        ) as process,
    ):
        try:
            yield process
        finally:
            _stop(process)


_LIBC = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """Stop kc.sh, which stops its Java, when the tests are killed."""
    _LIBC.prctl(_PARENT_DEATH, signal.SIGTERM)


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _wait_until_ready(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(requests.RequestException):
            if requests.get(health, timeout=2).ok:
                return
        time.sleep(0.1)
    pytest.fail("Keycloak did not start:\n" + log.read_text(errors="replace")[-4000:], pytrace=False)


@contextmanager
def silent_port() -> Iterator[int]:
    """A port of loopback that nobody listens on, nor can while this lasts."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield int(nobody.getsockname()[1])
