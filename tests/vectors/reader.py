"""A second reader, made from docs/format.md alone: `python -m tests.vectors.reader DATABASE BLOBS KEY`."""

import hashlib
import hmac
import sqlite3
import struct
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import cbor2
from Crypto.Cipher import AES

Row = dict[Any, Any]
ROOT, MASTER_MAC, HMAC = bytes(16), "EWD1/master/row-mac", partial(hmac.digest, digest="sha256")
FIXED = "layout flags name_length extras_length size modified created blob_id blob_length commitment sha1"
AUTHENTICATED = {
    "account": "account_id subject username state quota sealed wrapped_key master_key_id key_version"
    " key_commitment created_at version",
    "blob": "blob_id account_id state inline sealed_size plain_size format key_version wrapped_key version",
    "local_identity": "account_id password_hash changed_at version",
    "lock": "account_id lock_id node_id exclusive infinite owner_sealed created_at expires_at version",
    "recovery_code": "account_id verifier created_at",
    "totp_device": "account_id device_id sealed_secret confirmed last_step created_at version",
    "app_password": "app_id account_id label scopes root_id networks verifier wrapped_key public_key"
    " key_version created_at expires_at revoked_at version",
    "web_session": "session_id account_id began_at seen_at signed_in_at totp_at admin provider_session"
    " data_sealed version",
    "profile": "account_id admin email version",
}


def require(condition: object, reason: str = "row") -> None:
    """Refuse unless the condition holds; of a blob, "header", "commit", "length" or "chunk" is the reason."""
    if not condition:
        raise ValueError(reason)


def derive(root: bytes, label: str, size: int, context: bytes = b"") -> bytes:
    """`Derive`, HKDF-Expand: a block has 32 bytes, and never more than two are needed."""
    info = label.encode() + b"\0" + context
    first = HMAC(root, info + b"\1")
    return (first + HMAC(root, first + info + b"\2"))[:size]


def siv_open(root: bytes, label: str, data: Sequence[bytes], sealed: bytes, *, padded: bool = False) -> bytes:
    """The plaintext of `SIV`, under the key of a label; without its `pad32`."""
    cipher = AES.new(derive(root, label, 64), AES.MODE_SIV)
    for part in data:
        cipher.update(part)
    plain = cipher.decrypt_and_verify(sealed[16:], sealed[:16])
    text = plain.rstrip(b"\0")
    require(not padded or (len(plain) % 32 == 0 and len(plain) - len(text) < 32 and text[-1:] == b"\x80"))
    return text[:-1] if padded else plain


def row_mac(root: bytes, label: str, table: str, fields: Sequence[bytes | str | int | None]) -> bytes:
    """The authenticator of a row."""
    message = b"EWD1/row\0"
    for value in (table, *fields):
        letter = {bytes: b"b", str: b"s", type(None): b"n"}.get(type(value), b"i")
        text = value if isinstance(value, bytes) else b"" if value is None else str(value).encode()
        message += letter + struct.pack(">I", len(text)) + text
    return HMAC(derive(root, label, 32), message)


def open_blob(blob: bytes, account: bytes, file_key: bytes, pinned: Row) -> Iterator[bytes]:
    """The chunks of a blob, once authenticated; `pinned` is what metadata say of it."""
    require(len(blob) >= 88 and blob[:6] == b"EWDB\1\1" and blob[6] in {14, 16, 18, 20}, "header")
    require(blob[7] == 0 and blob[8:24] == pinned["blob_id"], "header")
    root, head, unit = HMAC(blob[24:56], file_key), blob[:24], (1 << blob[6]) + 16
    require(hmac.compare_digest(derive(root, "EWD1/commit", 32, head + account), blob[56:88]), "commit")
    require(hmac.compare_digest(pinned["commitment"], blob[56:88]), "commit")
    full, rest = divmod(pinned["blob_length"] - 88, unit)
    count = full + (rest > 0)
    require(0 < count <= 1 << 28 and (rest == 0 or rest > 16 or (rest == 16 and full == 0)), "length")
    require(88 + 16 * count + pinned["size"] == pinned["blob_length"], "length")
    for i in range(count):
        sealed = blob[88 + i * unit : min(88 + (i + 1) * unit, pinned["blob_length"])]
        require(len(sealed) == (unit if i < full else rest), "length")
        nonce, key = struct.pack(">3xQB", i, i == count - 1), derive(root, "EWD1/content", 32, head + account)
        try:
            yield (
                AES.new(key, AES.MODE_GCM, nonce).update(head).decrypt_and_verify(sealed[:-16], sealed[-16:])
            )
        except ValueError as error:
            raise ValueError("chunk") from error


def open_node(root: bytes, row: Row) -> Row:
    """The metadata of a row of the table `node`, which vouch for the row: `FIXED`, `name` and `extras`."""
    ids, sealed = (row["account_id"], row["node_id"], row["parent_id"]), row["metadata_sealed"]
    numbers = struct.pack(">BQ", row["kind"], row["version"])
    data = b"".join([b"EWD1/node", *ids, numbers, sealed[:16], row["name_sealed"]])
    plain = siv_open(root, "EWD1/user/meta", [data], sealed[16:])
    require(len(plain) >= 106 and plain[0] == 1 and all(len(one) == 16 for one in ids))
    found: Row = dict(zip(FIXED.split(), struct.unpack_from(">BBHHQqq16sQ32s20s", plain), strict=True))
    require(row["blob_id"] == (found["blob_id"] if found["flags"] & 1 else None))
    end = 106 + found["name_length"]
    name, extras = plain[106:end].decode(), plain[end : end + found["extras_length"]] or b"\xa0"
    if row["node_id"] != ROOT:
        parts = [b"EWD1/name", row["account_id"], row["parent_id"]]
        sought = siv_open(root, "EWD1/user/name", parts, row["name_sealed"], padded=True)
        require(sought.decode() == unicodedata.normalize("NFC", name))
    return found | {"name": name, "extras": cbor2.loads(extras)}


def open_value(root: bytes, row: Row, purpose: bytes, column: str, context: str) -> bytes:
    """Value of a property or owner of a lock; or name of a property, which has no nonce and context."""
    data, sealed = [b"EWD1/property", row["account_id"], row["node_id"], purpose], row[column]
    if context:
        data, sealed = [*data, sealed[:16], row[context]], sealed[16:]
    return siv_open(root, "EWD1/user/property", data, sealed, padded=True)


class Vault:
    """One account of a store. A root is `R` of a key; `masters` holds those of master keys by kid."""

    def __init__(self, database: sqlite3.Connection, blobs: Path, masters: Row, row: Row) -> None:
        self._database, self._blobs, self._masters, self._id = database, blobs, masters, row["account_id"]
        self.tables = {table: self.rows(table) for table in AUTHENTICATED}
        require(not row["sealed"])
        master, kid, version = masters[row["master_key_id"]], row["master_key_id"], row["key_version"]
        data = [b"EWD1/uk", row["instance_id"], self._id, kid.to_bytes(4), version.to_bytes(4)]
        self._root = HMAC(self._id, siv_open(master, "EWD1/master/user-wrap", data, row["wrapped_key"]))
        require(derive(self._root, "EWD1/user/commit", 32) == row["key_commitment"])

    def rows(self, table: str, condition: str = "TRUE", *values: bytes) -> list[Row]:
        """Rows of this account, checked where they carry an authenticator."""
        statement = f"SELECT * FROM {table} WHERE account_id = ? AND {condition}"  # noqa: S608 - all are constants
        found = [dict(row) for row in self._database.execute(statement, (self._id, *values))]
        for row in found if table in AUTHENTICATED else ():
            fields = [row[column] for column in AUTHENTICATED[table].split()]
            require(any(row_mac(x, MASTER_MAC, table, fields) == row["mac"] for x in self._masters.values()))
        return found

    def totp_secrets(self) -> list[bytes]:
        """One-time-password secrets of all devices."""
        found, rows = [], self.tables["totp_device"]
        for row, root in product(rows, self._masters.values()):
            data = [b"EWD1/totp", self._id, row["device_id"], (1).to_bytes(8)]
            with suppress(ValueError):
                found.append(siv_open(root, "EWD1/master/totp", data, row["sealed_secret"]))
        require(len(found) == len(rows))
        return found

    def walk(self, parent: bytes = ROOT, above: str = "") -> Iterator[tuple[str, Row]]:
        """Path and metadata of everything below, with `content`, `properties` and `owners` of locks."""
        for row in self.rows("node", "parent_id = ?", parent):
            found, node = open_node(self._root, row), row["node_id"]
            locks = [lock for lock in self.tables["lock"] if lock["node_id"] == node]
            if "lock_born" in found["extras"] and all(lock["expires_at"] <= time.time() for lock in locks):
                continue
            value, kept = partial(open_value, self._root), self.rows("property", "node_id = ?", node)
            found["owners"] = {x["lock_id"]: value(x, b"\3", "owner_sealed", "lock_id") for x in locks}
            keys = [value(x, b"\1", "name_sealed", "").decode() for x in kept]
            values = [value(x, b"\2", "value_sealed", "name_sealed") for x in kept]
            found["properties"] = dict(zip(keys, values, strict=True))
            found["content"] = self._content(found) if found["flags"] & 1 else None
            yield f"{above}/{found['name']}", found
            if row["kind"] == 2 and node != ROOT:
                yield from self.walk(node, f"{above}/{found['name']}")

    def _content(self, pinned: Row) -> bytes:
        (row,) = self.rows("blob", "blob_id = ?", blob_id := pinned["blob_id"])
        data = [b"EWD1/fk", self._id, blob_id, row["format"].to_bytes(1), row["key_version"].to_bytes(4)]
        file_key = siv_open(self._root, "EWD1/user/file-wrap", data, row["wrapped_key"])
        blob = b"" if row["inline"] else (self._blobs / blob_id.hex()[:2] / blob_id.hex()).read_bytes()
        for (data,) in self._database.execute("SELECT data FROM inline_blob WHERE blob_id = ?", [blob_id]):
            blob = data
        return b"".join(open_blob(blob, self._id, file_key, pinned))


def open_store(database: Path, blobs: Path, key_file: Path) -> Iterator[Vault]:
    """The vaults of all accounts."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        (instance,) = connection.execute("SELECT instance_id FROM instance").fetchone()
        lines = map(str.split, key_file.read_text().splitlines())
        masters = {int(kid): HMAC(instance, bytes.fromhex(key)) for _, kid, key in lines}
        for kid, check in connection.execute("SELECT key_id, key_check FROM master_key"):
            require(kid not in masters or derive(masters[kid], "EWD1/master/keycheck", 16) == check)
        for row in connection.execute("SELECT * FROM account, (SELECT instance_id FROM instance)").fetchall():
            yield Vault(connection, blobs, masters, dict(row))


if __name__ == "__main__":
    for vault in open_store(*map(Path, sys.argv[1:])):
        print(vault.tables["account"][0]["username"], len(vault.totp_secrets()), "TOTP secrets")  # noqa: T201
        for path, found in vault.walk():
            digest = "-" if found["content"] is None else hashlib.sha256(found["content"]).hexdigest()
            print(f"{found['size']:>14} {digest:64} {path}")  # noqa: T201
