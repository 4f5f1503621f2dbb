"""Somebody at a browser with the site and a real Keycloak in it: signs in, types codes, lets a device in.

By HTTP alone: forms, cookies and redirects of both, as a browser without scripts would follow them. And what
the same person has on the command line: `sealdav token`, and rclone with it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from base64 import b32encode
from collections import defaultdict
from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import pyotp
import requests

from tests.e2e.codes import Codes
from tests.e2e.drive import COMMAND_SECONDS, Drive, clean_environment, sealdav
from tests.services import clients
from tests.services.keycloak import PASSWORD

REQUEST_SECONDS = 60
MAX_STEPS = 15

_FORM = re.compile(r'<form[^>]*\baction="([^"]*)"(.*?)</form>', re.DOTALL)
_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_KEYCLOAKS_SECRET = re.compile(r'name="totpSecret" value="([^"]+)"')
_HEADING = re.compile(r"<h1[^>]*>(.*?)</h1>", re.DOTALL)
SECRET = re.compile(r'id="secret">([A-Z2-7 ]+)<')
"""On the page that shows a new authenticator's."""


class Colleague:
    """One person at one browser.

    Attributes:
        secret: what their authenticator holds for the site, in base32.
        at_keycloak: the same for Keycloak, as 20 characters; "" is none.
        asked: which fields each form of Keycloak asked for.
        codes: of each authenticator, by its secret.
    """

    def __init__(self, drive: Drive, name: str, at_keycloak: str = "") -> None:
        self.site = drive.url.removesuffix("/dav/")
        self.name = name
        self.secret = ""
        self.at_keycloak = at_keycloak
        self.asked: list[str] = []
        self._session = requests.Session()
        self.codes: defaultdict[str, Codes] = defaultdict(Codes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    # ── the site
    def sign_in(self) -> str:
        """The first factor, and Keycloak's second where it asks for it; the path of the page it leads to."""
        page = self._get(f"{self.site}/sign-in")
        return self._through(self._send_form(page, "/sign-in/sso", {}))

    def enrol(self) -> None:
        """Scan the picture and type the first code."""
        page = self._get(f"{self.site}/second-factor/set-up")
        found = SECRET.search(page.text)
        assert found, page.text[:3000]
        self.secret = found[1].replace(" ", "")
        assert (
            self._through(self._send_form(page, "/second-factor/set-up", {"code": self.code()})) == "/welcome"
        )

    def prove(self) -> str:
        """Type a code on the site; the path of the page it leads to."""
        page = self._get(f"{self.site}/second-factor")
        return self._through(self._send_form(page, "/second-factor", {"code": self.code()}))

    def sign_out(self) -> None:
        """Here and there."""
        page = self._get(f"{self.site}/sign-out")
        self._through(self._send_form(page, "/sign-out", {}))

    def code(self, secret: str = "") -> str:
        """What the authenticator shows, each once."""
        secret = secret or self.secret
        return self.codes[secret].next(pyotp.TOTP(secret))

    # ── Keycloak
    def let_in(self, address: str) -> None:
        """Open a device's address and say yes."""
        self._through(self._get(address))

    def _through(self, answer: requests.Response) -> str:
        """Follow, and fill in what Keycloak asks, until there is nothing more to fill in."""
        for _ in range(MAX_STEPS):
            if "Location" in answer.headers:
                answer = self._get(urljoin(answer.url, answer.headers["Location"]))
            elif answer.url.startswith(self.site) or not (values := self._answers(answer.text)):
                assert answer.ok, f"{answer.url} says {answer.status_code}: {_heading(answer.text)}"
                return urlsplit(answer.url).path
            else:
                answer = self._fill_in(answer, values)
        raise AssertionError(f"this never ends: {answer.url} {answer.text[:2000]}")

    def _answers(self, page: str) -> dict[str, str]:
        """What a form of Keycloak wants of a person."""
        asked = next((name for name in ("password", "otp", "totp", "accept") if f'name="{name}"' in page), "")
        self.asked += [asked] if asked else []
        if asked == "totp":  # to set an authenticator up
            found = _KEYCLOAKS_SECRET.search(page)
            assert found, page[:3000]
            self.at_keycloak = found[1]
        if asked in {"otp", "totp"}:
            return {asked: self.code(b32encode(self.at_keycloak.encode()).decode()), "userLabel": ""}
        known = {"password": {"username": self.name, "password": PASSWORD}, "accept": {"accept": "Yes"}}
        return known.get(asked, {})

    def _fill_in(self, page: requests.Response, values: Mapping[str, str]) -> requests.Response:
        form = _FORM.search(page.text)
        assert form, page.text[:2000]
        return self._post(urljoin(page.url, unescape(form[1])), {**_hidden(form[2]), **values})

    # ── HTTP
    def _send_form(
        self, page: requests.Response, action: str, values: Mapping[str, str]
    ) -> requests.Response:
        """Send the form of one of our own pages."""
        (form,) = (one for one in _FORM.finditer(page.text) if unescape(one[1]) == action)
        own = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
        return self._post(self.site + action, {**_hidden(form[2]), **values}, own)

    def _get(self, url: str) -> requests.Response:
        return self._send(requests.Request("GET", url))

    def _post(
        self, url: str, values: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        return self._send(requests.Request("POST", url, data=dict(values), headers=dict(headers or {})))

    def _send(self, request: requests.Request) -> requests.Response:
        prepared = self._session.prepare_request(request)
        answer = self._session.send(prepared, allow_redirects=False, timeout=REQUEST_SECONDS)
        for cookie in self._session.cookies:
            cookie.secure = False  # as in `sign_in_form`
        return answer


def _heading(page: str) -> str:
    """What a page says first of all; the beginning of one that has no heading."""
    found = _HEADING.search(page)
    return unescape(found[1]).strip() if found else page[:2000]


def _hidden(form: str) -> dict[str, str]:
    """Hidden fields of a form."""
    fields = (dict(_ATTRIBUTE.findall(one)) for one in _INPUT.findall(form))
    return {
        one["name"]: unescape(one.get("value", ""))
        for one in fields
        if one.get("type") == "hidden" and one.get("name")
    }


def signed_in(
    colleague: Colleague,
    environment: Mapping[str, str],
    *arguments: str,
    typed: Callable[[], str] = lambda: "",
) -> subprocess.CompletedProcess[str]:
    """Run a command of `sealdav` that somebody lets in at their browser; what it says after that.

    Args:
        colleague: who.
        environment: of the command.
        arguments: after `sealdav`; `--json` is added.
        typed: what is typed at the terminal then.
    """
    with subprocess.Popen(
        sealdav(*arguments, "--json"),
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            if first:
                colleague.let_in(json.loads(first)["open"])
            rest, complaint = process.communicate(typed(), timeout=COMMAND_SECONDS)
        finally:
            process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, rest, complaint)


class Tokens:
    """`sealdav token` of one person, with a file of its own.

    Attributes:
        file: where the tokens are.
        calls: a file with a line for each time that rclone asked for one.
    """

    def __init__(self, drive: Drive, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._drive = drive
        self.file = folder / "token.json"
        self.calls = folder / "calls"
        self.command = folder / "bearer-token"
        line = " ".join(sealdav("token", "--file", str(self.file)))
        self.command.write_text(f"#!/bin/sh\necho called >>{self.calls}\nexec {line}\n")
        self.command.chmod(0o700)
        self.calls.touch()

    def login(self, colleague: Colleague) -> dict[str, Any]:
        """Sign in; the colleague lets it in at their browser. What is said at the end."""
        arguments = ("token", "login", self._drive.url, "--file", str(self.file))
        done = signed_in(colleague, clean_environment(), *arguments)
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def print(self) -> subprocess.CompletedProcess[str]:
        """As rclone calls it."""
        command = sealdav("token", "--file", str(self.file))
        return subprocess.run(
            command,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def start_printing(self) -> subprocess.Popen[str]:
        """The same, without waiting for it."""
        command = sealdav("token", "--file", str(self.file))
        return subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, text=True)

    @property
    def kept(self) -> dict[str, Any]:
        """What is in the file."""
        found: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        return found

    def rclone(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run rclone with the remote `drive:`, which takes its tokens from here; does not raise."""
        environment = {
            **clean_environment(),
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_CONFIG_DRIVE_TYPE": "webdav",
            "RCLONE_CONFIG_DRIVE_URL": self._drive.url,
            "RCLONE_CONFIG_DRIVE_VENDOR": "owncloud",
            "RCLONE_CONFIG_DRIVE_BEARER_TOKEN_COMMAND": str(self.command),
            "RCLONE_WEBDAV_PACER_MIN_SLEEP": "0",
            "RCLONE_RETRIES": "1",
            "RCLONE_LOW_LEVEL_RETRIES": "3",
        }
        command = [str(clients.require("rclone")), *map(str, arguments)]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
