"""Ten thousand streams of requests that are wrong in some place, to a running server. T09."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.conformance.ours import OurServer
from tests.fuzz.streams import Streams

STREAMS = 10_000
PARTS = 10
TOGETHER = 4
PATIENCE = 20.0

SERVERS_OWN = {505}
"""What a server says of the version of the protocol; other codes from 500 on would be its fault."""


def answers(server: OurServer, stream: bytes) -> list[int]:
    """The status codes that come back, until the connection ends; each a valid answer, or none."""
    codes: list[int] = []
    with replace(server.client, patience=PATIENCE).connect() as connection:
        connection.send(stream)
        connection.finish()
        while not connection.ended():
            codes.append(connection.read().status)
    return codes


@pytest.mark.parametrize("part", range(PARTS))
def test_every_answer_to_garbage_is_an_answer(
    ours: OurServer, caplog: pytest.LogCaptureFixture, part: int
) -> None:
    """Valid HTTP or the end of the connection; nothing goes wrong in the server that it would have to log."""
    caplog.set_level(logging.INFO)
    streams = Streams(1000 + part)
    chosen = [b"".join(streams.next()) for _ in range(STREAMS // PARTS)]
    owner = ours.client
    named = [stream.replace(b"Host: a", b"\r\n".join(_fields(owner.headers))) for stream in chosen[::2]]
    with ThreadPoolExecutor(TOGETHER) as clients:
        every = list(clients.map(lambda stream: answers(ours, stream), [*named, *chosen[1::2]]))
    codes = {code for one in every for code in one}
    assert not {code for code in codes if code >= 500} - SERVERS_OWN
    assert {200, 400} <= codes
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert owner.get("missing").status == 404


def _fields(headers: dict[str, str]) -> list[bytes]:
    return [f"{name}: {value}".encode() for name, value in headers.items()]
