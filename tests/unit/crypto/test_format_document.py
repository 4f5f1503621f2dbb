"""docs/format.md says what the code does: known answers, labels, sizes and offsets are read from the page."""

from __future__ import annotations

import hashlib
import re
import struct
from pathlib import Path

import pytest

from davserver.crypto import layout, metadata, properties, tokens
from davserver.crypto.audit_links import AuditLinks
from davserver.crypto.keys import Label
from davserver.crypto.metadata import NodeMetadata
from davserver.crypto.names import seal_name
from davserver.crypto.properties import Purpose, seal_property_name, seal_value
from davserver.crypto.rowmac import Field
from davserver.crypto.tokens import AppToken
from davserver.db.rekeying import TABLES
from davserver.db.rows import AuthenticatedRow, column_names
from davserver.model import ROOT_ID, Content, NodeKind
from tests.unit.crypto.samples import (
    ACCOUNT_ID,
    BLOB_ID,
    DEVICE_ID,
    FILE_KEY,
    NODE_ID,
    PARENT_ID,
    account_key,
    master_key,
    seal_blob,
)

PAGE = (Path(__file__).parents[3] / "docs" / "format.md").read_text()
NAME = "report.pdf"
FIELDS: list[Field] = [ACCOUNT_ID, -12, "é", None, True]
COMMITMENT = seal_blob(b"")[56:88]


def known_answers() -> dict[str, str]:
    """The block of the page that is meant for programs."""
    block = re.search(r"```known-answers\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    return dict(re.split(r"  +", line, maxsplit=1) for line in block[1].splitlines())


def keys_and_content() -> dict[str, str]:
    """Wraps, public values, an entity tag, a blob."""
    master, account = master_key(), account_key()
    return {
        "key check": master.key_check.hex(),
        "account commitment": account.commit.hex(),
        "wrapped account key": master.wrap_account_key(account).hex(),
        "wrapped file key": account.wrap_file_key(FILE_KEY, BLOB_ID).hex(),
        "etag": account.etag(BLOB_ID),
        "sealed totp secret": master.seal_totp(ACCOUNT_ID, DEVICE_ID, 7, b"12345678901234567890").hex(),
        "sealed pepper": master.seal_pepper(bytes(range(32))).hex(),
        "blob commitment": COMMITMENT.hex(),
        "tag of empty chunk": seal_blob(b"")[88:].hex(),
    }


def rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A file, a property, an app password, an authenticated row; nonces as on the page."""
    for module in (metadata, properties):
        monkeypatch.setattr(module, "random_bytes", lambda count: bytes(range(0x90, 0x90 + count)))
    master, account = master_key(), account_key()
    name_ct = seal_name(account, PARENT_ID, NAME)
    content = Content(BLOB_ID, 100_120, COMMITMENT)
    times = 1_700_000_000_123_456_789, 1_600_000_000_000_000_000
    found = NodeMetadata(NAME, 100_000, *times, content, bytes(range(20)), {"md5": bytes(range(16))})
    sealed = metadata.seal(account, NODE_ID, PARENT_ID, NodeKind.FILE, 5, name_ct, found)
    bound = (
        b"EWD1/node" + ACCOUNT_ID + NODE_ID + PARENT_ID + b"\1" + struct.pack(">Q", 5) + sealed[:16] + name_ct
    )
    property_name = seal_property_name(account, NODE_ID, "{urn:example}colour")
    token = AppToken("0123456789", bytes(range(20)))
    links = AuditLinks(master.pepper)
    commitment = links.commitment(bytes(range(0x90, 0xA0)), "192.0.2.1")
    entry: list[Field] = [7, 1_700_000_000, "signed-in", "alice", "", "0123456789", commitment, ""]
    return {
        "sealed name": name_ct.hex(),
        "sealed name in root": seal_name(account, ROOT_ID, NAME).hex(),
        "metadata plaintext": account.meta_cipher.decrypt(sealed[16:], [bound]).hex(),
        "sealed metadata": sealed.hex(),
        "sealed property name": property_name.hex(),
        "sealed property value": seal_value(
            account, NODE_ID, Purpose.PROPERTY_VALUE, property_name, b"green"
        ).hex(),
        "app password": token.text(),
        "app password verifier": tokens.verifier(master.pepper, ACCOUNT_ID, token).hex(),
        "recovery code": tokens.recovery_text(bytes(range(15))),
        "recovery verifier": tokens.recovery_verifier(master.pepper, ACCOUNT_ID, bytes(range(15))).hex(),
        "row, master key": master.row_mac("example", FIELDS).hex(),
        "row, account key": account.row_mac("example", FIELDS).hex(),
        "audit commitment": commitment.hex(),
        "audit link": links.link(bytes(range(0x80, 0xA0)), entry).hex(),
    }


def test_the_known_answers_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, and there is none on the page that nobody computes."""
    assert keys_and_content() | rows(monkeypatch) == known_answers()


def test_whole_blobs_come_out() -> None:
    """Length and digest of every blob that the page lists."""
    plain = {"`hello, world`, line feed": b"hello, world\n"}
    plain |= {f"{count:,} × `00`": bytes(count) for count in (65_536, 65_537, 100_000)}
    listed = re.findall(r"^\| (.*) \| ([0-9,]+) \| `([0-9a-f]{64})` \|$", PAGE, re.MULTILINE)
    assert {name for name, _, _ in listed} == plain.keys()
    for name, length, digest in listed:
        sealed = seal_blob(plain[name])
        assert (f"{len(sealed):,}", hashlib.sha256(sealed).hexdigest()) == (length, digest)


def test_every_label_is_listed() -> None:
    """The tables of keys hold all labels of the code and no other."""
    listed = re.findall(r"^\| `(EWD1/[a-z/-]+)` \| (?:16|32|64) \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(label.value.decode() for label in Label)


def test_every_size_is_right() -> None:
    """Plaintext, chunks, blob."""
    listed = re.findall(r"^\| ([0-9,]+) \| ([0-9,]+) \| ([0-9,]+) \|$", PAGE, re.MULTILINE)
    assert len(listed) == 9
    for row in listed:
        plain, chunks, sealed = (int(number.replace(",", "")) for number in row)
        assert (layout.chunk_count(plain), layout.sealed_size(plain)) == (chunks, sealed)


def test_the_example_of_a_range_is_right() -> None:
    """The numbers in the prose."""
    run = layout.locate(1_000_000, 1_100_000, size=1_100_000)
    expected = (
        f"begin at offset {run.skip:,} of chunk {run.first}, which starts at byte {run.sealed_offset:,}"
    )
    assert expected in PAGE.replace("\n", " ")


@pytest.mark.parametrize("row_type", TABLES)
def test_every_authenticated_column_is_listed_in_its_order(row_type: type[AuthenticatedRow]) -> None:
    """The order in which columns are authenticated is part of the format: it is the order on the page."""
    listed = re.search(
        rf"^\| `{row_type.TABLE}` \| (.*), in this order \| `mac`, master key \|$", PAGE, re.MULTILINE
    )
    assert listed is not None
    covered = [name for name in column_names(row_type) if name not in {"mac", *row_type.UNCOVERED}]
    assert re.findall(r"`(\w+)`", listed[1]) == covered


@pytest.mark.parametrize(("section", "total"), [("### Header, 88 bytes", 88), ("## Nodes", 106)])
def test_the_fields_of_a_table_lie_without_gaps(section: str, total: int) -> None:
    """Each field starts where the one before ends."""
    part = re.split(r"^##", PAGE.split(section)[1], maxsplit=1, flags=re.MULTILINE)[0]
    fields = [
        (int(offset), int(size)) for offset, size in re.findall(r"^\| (\d+) \| (\d+) \|", part, re.MULTILINE)
    ]
    end = 0
    for offset, size in fields:
        assert offset == end
        end += size
    assert end == total
