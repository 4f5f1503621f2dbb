"""Alice with files and a browser, for the tests of the pages about files."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from werkzeug.test import TestResponse

from davserver.model import NodeId
from davserver.vault.locks import Wanted
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.factories import make_principal
from tests.unit.enroll_web.conftest import Browser, Site, form_token

OWN = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}

_ROW = re.compile(r'<th scope="row">.*?<bdi>(.*?)</bdi>', re.DOTALL)
BOUNDARY = "----WebKitFormBoundaryfbAvKqjkRAhJZDuA"


@dataclass
class Files:
    """One person's files, from behind and through the pages."""

    site: Site
    browser: Browser

    @property
    def vault(self) -> Vault:
        """What is behind the pages, as it is now."""
        account = self.site.services.accounts.find("alice")
        return self.site.services.vaults.open(make_principal(account, self.site.clock))

    def put(self, path: str, content: bytes = b"content", *, modified_ns: int | None = None) -> None:
        """Store a file, its folders before it."""
        at = VaultPath.parse(path)
        for depth in range(1, len(at.parts)):
            folder = VaultPath(at.parts[:depth])
            if self.vault.find(folder) is None:
                self.vault.make_collection(folder)
        with self.vault.write(at, modified_ns=modified_ns) as upload:
            upload.write(content)
            upload.commit()

    def folder(self, path: str) -> None:
        """Make a folder."""
        self.vault.make_collection(VaultPath.parse(path))

    def content(self, path: str) -> bytes | None:
        """What is stored; None if nothing is."""
        node = self.vault.find(VaultPath.parse(path))
        if node is None:
            return None
        with self.vault.read(node) as download:
            return b"".join(map(bytes, download.blocks())) if node.size else b""

    def names(self, path: str = "") -> set[str]:
        """What is in a folder."""
        return {node.name for node in self.vault.listing(self.vault.stat(VaultPath.parse(path)))}

    def lock(self, path: str, owner: str = "") -> None:
        """Lock something, as a program does."""
        wanted = Wanted(exclusive=True, infinite=True, owner=owner, seconds=600)
        self.vault.lock(VaultPath.parse(path), wanted)

    def id_of(self, path: str) -> NodeId:
        """What a tick box says of it."""
        return self.vault.stat(VaultPath.parse(path)).id

    # ── pages
    def get(
        self, address: str, *, follow: bool = True, headers: Mapping[str, str] | None = None
    ) -> TestResponse:
        """Load a page."""
        return self.browser.get(address, follow=follow, headers=dict(headers or {}))

    def shown(self, address: str) -> list[str]:
        """The names on a page, from top to bottom."""
        response = self.get(address)
        assert response.status_code == 200, response.text
        return [html.unescape(name) for name in _ROW.findall(response.text)]

    def press(self, address: str, *ticked: str, follow: bool = True, **fields: str) -> TestResponse:
        """Press a button below a folder with these entries ticked, given by their paths."""
        return self.press_ids(address, [self.id_of(path) for path in ticked], follow=follow, **fields)

    def press_ids(
        self, address: str, ticked: Sequence[NodeId], *, follow: bool = True, **fields: str
    ) -> TestResponse:
        """The same, given by their ids: they need not be there any more."""
        data: dict[str, object] = {
            "csrf": form_token(self.get("/files/").text),
            "id": [one.hex() for one in ticked],
            **fields,
        }
        return self.browser.client.post(
            address, data=data, base_url=self.browser.origin, follow_redirects=follow, headers=OWN
        )

    def upload(
        self,
        address: str,
        files: Sequence[tuple[str, bytes]],
        *,
        token: str | None = None,
        taken: str = "both",
        field: str = "files",
    ) -> TestResponse:
        """Send a form with files as browsers do."""
        if token is None:
            token = form_token(self.get("/files/").text)
        fields = [("csrf", None, token.encode()), ("taken", None, taken.encode())]
        return self.send(address, form_of([*fields, *((field, name, content) for name, content in files)]))

    def send(self, address: str, body: bytes, *, follow: bool = True) -> TestResponse:
        """Send a body as a form with files."""
        return self.browser.client.post(
            address,
            data=body,
            content_type=f"multipart/form-data; boundary={BOUNDARY}",
            base_url=self.browser.origin,
            follow_redirects=follow,
            headers=OWN,
        )

    def stream(self, body: object, length: int, environ: Mapping[str, object] | None = None) -> TestResponse:
        """Send a form with files that is read from somewhere, as the server hands bodies over."""
        given = {
            "wsgi.input": body,
            "CONTENT_LENGTH": str(length),
            "CONTENT_TYPE": f"multipart/form-data; boundary={BOUNDARY}",
            **(environ or {}),
        }
        return self.browser.client.post(
            "/upload/", base_url=self.browser.origin, headers=OWN, environ_overrides=given
        )


def form_of(fields: Sequence[tuple[str, str | None, bytes]]) -> bytes:
    """A form as browsers write it: name, file name (if it is a file), content."""
    lines = bytearray()
    for name, filename, content in fields:
        lines += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if filename is not None:
            escaped = filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
            lines += f'; filename="{escaped}"\r\nContent-Type: application/octet-stream'.encode()
        lines += b"\r\n\r\n" + content + b"\r\n"
    return bytes(lines) + f"--{BOUNDARY}--\r\n".encode()


def address(word: str, path: str) -> str:
    """The address of something about a path, encoded as a browser does."""
    return f"/{word}/{quote(path)}"
