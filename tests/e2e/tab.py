"""Somebody on the site by HTTP alone, so that what is sent or received may stop in the middle.

tab = Tab(drive)
device = tab.set_up(opening_link(drive), "alice", "a password")
tab.upload("", "letter", len(content), halting(content, look))
"""

from __future__ import annotations

import contextlib
import http.client
import re
from collections.abc import Callable, Iterable, Iterator
from http.cookies import SimpleCookie
from urllib.parse import quote, urlencode, urlsplit

import pyotp

from enroll_web.visit import HTTP_COOKIE
from tests.e2e.colleague import SECRET
from tests.e2e.drive import Device, Drive

BOUNDARY = "between-two-parts"

_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
_APP_PASSWORD = re.compile(r'id="app-password"[^>]*>([^<]+)<')


def halting(content: bytes, look: Callable[[], object]) -> Iterator[bytes]:
    """A body; `look` is called when half of it is on its way."""
    middle = len(content) // 2
    yield content[:middle]
    look()
    yield content[middle:]


class Tab:
    """One browser.

    Attributes:
        cookie: the secret of its session.
    """

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self.cookie = ""

    def set_up(self, link: str, name: str, password: str) -> Device:
        """Follow the link for the first person, as far as the page with the first app password."""
        start, factor = urlsplit(link).path, "/second-factor/set-up"
        self._send_form(start, name=name, new=password, again=password)
        secret = _found(SECRET, self.page(factor)).replace(" ", "")
        self._send_form(factor, code=pyotp.TOTP(secret).now())
        return Device(name, _found(_APP_PASSWORD, self.page("/welcome")), secret)

    def page(self, path: str) -> str:
        """A page."""
        with self.open("GET", path) as answer:
            assert answer.status == 200, path
            return answer.read().decode()

    @property
    def token(self) -> str:
        """What forms of this browser hold."""
        return _found(_TOKEN, self.page("/new-folder/"))

    def upload(self, folder: str, name: str, length: int, content: Iterable[bytes]) -> None:
        """Send a file by the form of a folder.

        Args:
            folder: where to.
            name: its own.
            length: of the content in bytes.
            content: bit by bit.
        """
        field = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'
        head = f'{field}csrf"\r\n\r\n{self.token}\r\n{field}files"; filename="{name}"\r\n\r\n'.encode()
        end = f"\r\n--{BOUNDARY}--\r\n".encode()
        fields = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Content-Length": str(len(head) + length + len(end)),
        }
        with self.open("POST", f"/upload/{quote(folder)}", _joined(head, content, end), fields) as answer:
            assert answer.status == 303, answer.read().decode()

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        path: str,
        body: Iterable[bytes] | bytes | None = None,
        fields: dict[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request; gives the answer as far as its head, and lets go of it at the end."""
        connection = http.client.HTTPConnection("127.0.0.1", self._drive.port, timeout=60)
        own = {"Sec-Fetch-Site": "same-origin", "Cookie": f"{HTTP_COOKIE}={self.cookie}"}
        with contextlib.closing(connection):
            connection.request(method, path, body, {**own, **(fields or {})})
            answer = connection.getresponse()
            given = SimpleCookie(answer.headers.get("Set-Cookie", ""))
            self.cookie = given[HTTP_COOKIE].value if HTTP_COOKIE in given else self.cookie
            yield answer

    def _send_form(self, path: str, **fields: str) -> None:
        token = _found(_TOKEN, self.page(path))
        body = urlencode({"csrf": token, **fields}).encode()
        with self.open("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"}) as answer:
            assert answer.status in {302, 303}, f"{path} says {answer.status}"


def _joined(head: bytes, content: Iterable[bytes], end: bytes) -> Iterator[bytes]:
    yield head
    yield from content
    yield end


def _found(pattern: re.Pattern[str], page: str) -> str:
    found = pattern.search(page)
    assert found, page[:3000]
    return found[1]
