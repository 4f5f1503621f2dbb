"""config/nginx.example.conf: nothing of a body is buffered, and the proxy itself says who the client is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from davserver.settings import sections

EXAMPLE = Path(__file__).parents[2] / "config/nginx.example.conf"


def directives() -> set[str]:
    """Every directive of the file, its words with one space between them."""
    lines = [line.partition("#")[0] for line in EXAMPLE.read_text().splitlines()]
    return {" ".join(one.split()) for one in re.split(r"[;{}]", " ".join(lines))}


@pytest.mark.parametrize(
    "directive",
    [
        "proxy_http_version 1.1",
        "proxy_request_buffering off",
        "proxy_buffering off",
        "proxy_max_temp_file_size 0",
        "client_max_body_size 0",
        "ssl_protocols TLSv1.2 TLSv1.3",
        "proxy_set_header X-Forwarded-Host $http_host",
        "proxy_set_header X-Forwarded-Proto $scheme",
        "proxy_set_header X-Forwarded-For $remote_addr",
        "access_log off",
    ],
)
def test_what_the_drive_relies_on_is_set(directive: str) -> None:
    """decisions.md 28, and the fields as `server.trusted_proxies` wants them: replaced, never appended to."""
    assert directive in directives()


def test_the_settings_it_names_exist() -> None:
    """Whoever copies them gets no error."""
    named = set(re.findall(r"#\s+(\w+)\.(\w+) = ", EXAMPLE.read_text()))
    assert named == {("server", "public_url"), ("server", "trusted_proxies")}
    known = {(section, key) for section, model in sections() for key in model.model_fields}
    assert named <= known
