"""A second reader of the audit log, from docs/format.md: `python -m tests.vectors.audit_reader DB KEY`."""

import hmac
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.vectors.reader import HMAC, MASTER_MAC, Row, derive, require, row_mac, siv_open
from tests.vectors.tables import BESIDE

LINK = "EWD1/pepper/audit-link"
LINKED = ["seq", "at", "event", "account", "actor", "credential", "client_commitment", "reason"]


def link_of(pepper: bytes, previous: bytes, row: Row) -> bytes:
    """What an entry is linked with to the one before."""
    return row_mac(pepper, LINK, "audit_entry", [previous, *(row[name] for name in LINKED)])


def commitment_of(pepper: bytes, salt: bytes, client: str) -> bytes:
    """What stands for an address."""
    return row_mac(pepper, LINK, "audit_client", [salt, client])


def is_address_right(pepper: bytes, row: Row, forgotten_before: int) -> bool:
    """Whether it is the one of then, or none where there was none or where it is old enough."""
    client, salt, commitment = (row[name] for name in ("client", "client_salt", "client_commitment"))
    if client is None and salt is None:
        return commitment is None or row["at"] < forgotten_before
    whole = isinstance(client, str) and isinstance(salt, bytes) and isinstance(commitment, bytes)
    return whole and hmac.compare_digest(commitment_of(pepper, salt, client), commitment)


def read_log(database: Path, key_file: Path) -> Iterator[Row]:
    """Every entry, if it is one of a whole log."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        (instance,) = connection.execute("SELECT instance_id FROM instance").fetchone()
        _, kid, key = key_file.read_text().splitlines()[-1].split()
        master = HMAC(instance, bytes.fromhex(key))
        found = connection.execute("SELECT pepper_sealed FROM master_key WHERE key_id = ?", [int(kid)])
        (sealed,) = found.fetchone()
        pepper = derive(master, "EWD1/master/pepper", 32)
        if sealed is not None:
            data = [b"EWD1/pepper", instance, int(kid).to_bytes(4)]
            pepper = siv_open(master, "EWD1/master/pepper-wrap", data, sealed)
        (head,) = (dict(row) for row in connection.execute("SELECT * FROM audit_head"))
        fields = [head[name] for name in BESIDE["audit_head"].split()]
        require(row_mac(master, MASTER_MAC, "audit_head", fields) == head["mac"])
        seq, link = head["anchor_seq"], head["anchor_link"]
        for row in map(dict, connection.execute("SELECT * FROM audit_entry ORDER BY seq")):
            require(row["seq"] == seq + 1 and link_of(pepper, link, row) == row["link"])
            require(is_address_right(pepper, row, head["forgotten_before"]))
            seq, link = row["seq"], row["link"]
            yield row
        require((seq, link) == (head["seq"], head["link"]))


if __name__ == "__main__":
    for entry in read_log(*map(Path, sys.argv[1:])):
        print(*(entry[name] for name in ("seq", "at", "event", "account", "actor", "client", "reason")))  # noqa: T201
