"""Signs in at a real Keycloak as a person would in a browser, but by HTTP alone: forms, cookies, redirects.

Used where the pages of the site are not what is tested.
"""

from __future__ import annotations

from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests

REQUEST_SECONDS = 60


class _Form(HTMLParser):
    """The first form of a page: where it goes, and its hidden fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what a form is made of."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = values["action"]
        if tag == "input" and values.get("type") == "hidden" and values.get("name"):
            self.fields[values["name"]] = values.get("value", "")


class Person:
    """Somebody at a browser, who stays signed in at Keycloak from one sign-in to the next."""

    def __init__(self, name: str, password: str, ca_bundle: str = "") -> None:
        self._name = name
        self._password = password
        self._session = requests.Session()
        self._session.verify = ca_bundle or True
        self.forms_seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def follow(self, url: str, until: str) -> dict[str, str]:
        """Open `url`, fill in the form if there is one, and follow until an address begins with `until`.

        Returns:
            The query of that address, which is not opened.
        """
        answer = self._get(url)
        for _ in range(10):
            if "Location" in answer.headers:
                place = urljoin(answer.url, answer.headers["Location"])
                if place.startswith(until):
                    return dict(parse_qsl(urlsplit(place).query))
                answer = self._get(place)
            else:
                answer = self._fill_in(answer)
        raise AssertionError(f"this never leads to {until}: {answer.status_code} {answer.text[:2000]}")

    def _fill_in(self, page: requests.Response) -> requests.Response:
        form = _Form(page.text)
        assert form.action, f"no form here: {page.status_code} {page.text[:2000]}"
        self.forms_seen += 1
        fields = {**form.fields, "username": self._name, "password": self._password}
        return self._send(requests.Request("POST", urljoin(page.url, form.action), data=fields))

    def _get(self, url: str) -> requests.Response:
        return self._send(requests.Request("GET", url))

    def _send(self, request: requests.Request) -> requests.Response:
        prepared = self._session.prepare_request(request)
        answer = self._session.send(
            prepared, allow_redirects=False, timeout=REQUEST_SECONDS, verify=self._session.verify
        )
        # Keycloak marks cookies "Secure" on plain http too; browsers send those to this machine all the same.
        for cookie in self._session.cookies:
            cookie.secure = False
        return answer
