"""What tests/vectors/rows.json holds: keys, names, nodes, properties, app passwords, rows; each altered once.

A case says what is read, the columns or inputs, and what comes out; nothing if it is refused.
"""

import base64
from collections.abc import Iterator, Sequence

from tests.vectors.audit_reader import commitment_of, link_of
from tests.vectors.blob_cases import ACCOUNT, BLOB_ID, FILE_KEY, OTHER_ACCOUNT, OTHER_BLOB, OTHER_KEY, flipped
from tests.vectors.case_file import Case
from tests.vectors.reader import HMAC, MASTER_MAC, ROOT, derive, row_mac
from tests.vectors.tables import EVERY
from tests.vectors.writer import (
    Metadata,
    crockford,
    pad32,
    seal_metadata,
    seal_name,
    siv_seal,
    token_check,
    verifier,
)

INSTANCE = bytes(range(0xC0, 0xD0))
OTHER_ID = b"\x77" * 16
MASTER_KEY = bytes(range(0xA0, 0xC0))
ACCOUNT_KEY = bytes(range(0xE0, 0x100))
DEVICE = bytes(range(0xD0, 0xE0))
NODE = bytes(range(0x60, 0x70))
PARENT = bytes(range(0x70, 0x80))
NONCE = bytes(range(0x90, 0xA0))

MASTER = HMAC(INSTANCE, MASTER_KEY)
ROOT_KEY = HMAC(ACCOUNT, ACCOUNT_KEY)
"""`R` of the account key."""


def case(what: str, title: str, /, result: object, **inputs: object) -> Case:
    """A case that succeeds with a result."""
    return {"what": what, "title": title, **inputs, "result": result}


def refused(like: Case, title: str, **changes: object) -> Case:
    """The same case with one input changed, so that it is refused."""
    return {**like, "title": f"{like['title']}, {title}", **changes, "result": None}


def altered(like: Case, names: Sequence[str]) -> Iterator[Case]:
    """The same case with each of these inputs altered once: bytes and texts at both ends, numbers by one."""
    for name in names:
        value = like[name]
        for what, other in alterations(value):
            yield refused(like, f"{name} {what}", **{name: other})


def alterations(value: object) -> Iterator[tuple[str, object]]:
    """Other values in place of one."""
    if isinstance(value, bytes):
        if value:
            yield "first bit", flipped(value, 0, 7)
            yield "last bit", flipped(value, -1)
            yield "cut", value[:-1]
        yield "longer", value + b"\0"
    elif isinstance(value, int):
        yield "one more", value + 1
    elif isinstance(value, str):
        yield "longer", value + "\0"
    else:
        yield "no longer nothing", b""


def keys() -> Iterator[Case]:
    """The key check and everything that is wrapped."""
    master: dict[str, object] = {"instance_id": INSTANCE, "master_key": MASTER_KEY, "kid": 1}
    check = case(
        "key-check", "key check", result=True, **master, value=derive(MASTER, "EWD1/master/keycheck", 16)
    )
    yield check
    yield from altered(check, ["value"])
    yield refused(check, "other instance", instance_id=OTHER_ID)
    yield refused(check, "other key", master_key=OTHER_KEY)

    def wrap(kid: int, version: int) -> bytes:
        data = [b"EWD1/uk", INSTANCE, ACCOUNT, kid.to_bytes(4), version.to_bytes(4)]
        return siv_seal(MASTER, "EWD1/master/user-wrap", data, ACCOUNT_KEY)

    numbers = {"kid": 1, "key_version": 1}
    inputs = (
        master | numbers | {"account_id": ACCOUNT, "key_commitment": derive(ROOT_KEY, "EWD1/user/commit", 32)}
    )
    yield case(
        "account-key",
        "later versions",
        ACCOUNT_KEY,
        **inputs | {"kid": 7, "key_version": 258},
        wrapped_key=wrap(7, 258),
    )
    account = case("account-key", "account key", ACCOUNT_KEY, **inputs, wrapped_key=wrap(1, 1))
    yield account
    yield from altered(account, ["kid", "key_version", "key_commitment", "wrapped_key"])
    yield refused(account, "other account", account_id=OTHER_ACCOUNT)
    yield refused(account, "other instance", instance_id=OTHER_ID)
    yield refused(account, "other master key", master_key=OTHER_KEY)
    data = [b"EWD1/fk", ACCOUNT, BLOB_ID, b"\1", b"\0\0\0\1"]
    sealed = siv_seal(ROOT_KEY, "EWD1/user/file-wrap", data, FILE_KEY)
    owner: dict[str, object] = {"account_id": ACCOUNT, "account_key": ACCOUNT_KEY, "key_version": 1}
    file = case("file-key", "file key", FILE_KEY, **owner, blob_id=BLOB_ID, wrapped_key=sealed)
    yield file
    yield from altered(file, ["key_version", "wrapped_key"])
    yield refused(file, "other blob", blob_id=OTHER_BLOB)
    yield refused(file, "other account", account_id=OTHER_ACCOUNT)
    yield refused(file, "other account key", account_key=OTHER_KEY)
    data[3] = b"\2"
    yield refused(
        file, "for another format", wrapped_key=siv_seal(ROOT_KEY, "EWD1/user/file-wrap", data, FILE_KEY)
    )
    data = [b"".join([b"EWD1/fk", ACCOUNT, BLOB_ID, b"\1", b"\0\0\0\1"])]
    yield refused(
        file, "one string of data", wrapped_key=siv_seal(ROOT_KEY, "EWD1/user/file-wrap", data, FILE_KEY)
    )
    tag = HMAC(derive(ROOT_KEY, "EWD1/user/etag", 32), BLOB_ID)[:16]
    value = base64.b32encode(tag).decode().rstrip("=").lower()
    etag = case("etag", "entity tag", result=True, **owner, blob_id=BLOB_ID, value=value)
    yield etag
    yield refused(etag, "other blob", blob_id=OTHER_BLOB)
    yield refused(etag, "other account", account_id=OTHER_ACCOUNT)


def totp_secrets() -> Iterator[Case]:
    """One-time-password secrets."""
    for secret in (b"12345678901234567890", b"x", bytes(32)):
        data = [b"EWD1/totp", ACCOUNT, DEVICE, (1).to_bytes(8)]
        inputs = {
            "instance_id": INSTANCE,
            "master_key": MASTER_KEY,
            "account_id": ACCOUNT,
            "device_id": DEVICE,
        }
        sealed = siv_seal(MASTER, "EWD1/master/totp", data, secret)
        made = case("totp", f"secret of {len(secret)} bytes", secret, **inputs, sealed_secret=sealed)
        yield made
    yield from altered(made, ["sealed_secret"])
    yield refused(made, "other device", device_id=OTHER_ID)
    yield refused(made, "other account", account_id=OTHER_ACCOUNT)
    yield refused(made, "other instance", instance_id=OTHER_ID)
    data[3] = (2).to_bytes(8)
    yield refused(made, "another version", sealed_secret=siv_seal(MASTER, "EWD1/master/totp", data, secret))


def names() -> Iterator[Case]:
    """Names: what is looked up."""
    owner = {"account_id": ACCOUNT, "account_key": ACCOUNT_KEY, "parent_id": PARENT}
    for name in (
        "report.pdf",
        "a",
        "x" * 31,
        "y" * 32,
        "é" * 127 + "z",
        "e\u0301\u0323",
        "\u212b",
        "日本語",
        "\U0001f600",
    ):
        made = case(
            "name",
            ascii(name),
            result=True,
            **owner,
            plain=name,
            sealed=seal_name(ROOT_KEY, ACCOUNT, PARENT, name),
        )
        yield made
    yield case(
        "name",
        "in the root",
        result=True,
        **owner | {"parent_id": ROOT},
        plain="a",
        sealed=seal_name(ROOT_KEY, ACCOUNT, ROOT, "a"),
    )
    made = case(
        "name", "name", result=True, **owner, plain="a", sealed=seal_name(ROOT_KEY, ACCOUNT, PARENT, "a")
    )
    yield from altered(made, ["sealed", "plain"])
    yield refused(made, "other collection", parent_id=OTHER_ID)
    yield refused(made, "other account", account_id=OTHER_ACCOUNT)
    yield refused(made, "other case", plain="A")
    data = [b"EWD1/name", ACCOUNT, PARENT]
    for what, plain in bad_paddings(b"a"):
        yield refused(made, what, sealed=siv_seal(ROOT_KEY, "EWD1/user/name", data, plain))
    nfd = "e\u0301"
    sealed = siv_seal(ROOT_KEY, "EWD1/user/name", data, pad32(nfd.encode()))
    yield refused(made, "sealed without NFC", plain=nfd, sealed=sealed)


def bad_paddings(value: bytes) -> Iterator[tuple[str, bytes]]:
    """What `pad32` does not make."""
    yield "no padding", value.ljust(32, b"x")
    yield "zeros without 80", value.ljust(32, b"\0")
    yield "a block too many", pad32(value) + bytes(32)
    yield "not a multiple of 32", pad32(value)[:-1]
    yield "01 behind", pad32(value)[:-1] + b"\1"
    yield "nothing", b""


def nodes() -> Iterator[Case]:
    """Rows of the tree."""
    full = Metadata(
        "report.pdf",
        100_000,
        1_700_000_000_123_456_789,
        1_600_000_000_000_000_000,
        BLOB_ID,
        100_120,
        bytes(range(32)),
        bytes(range(20)),
    )
    yield node("empty file", Metadata("e", 0, 1, 1, BLOB_ID, 104, bytes(32)))
    yield node("before 1970", Metadata("old", 5, -1, -(2**63), BLOB_ID, 109, b"\xff" * 32))
    yield node("latest", Metadata("new", 2**40, 2**63 - 1, 0, BLOB_ID, 2**41, b"\xff" * 32))
    yield node("collection", Metadata("folder"), kind=2)
    yield node("root", Metadata(""), kind=2, node_id=ROOT, parent_id=ROOT, name_sealed=b"")
    yield node("decomposed name", Metadata("e\u0301.txt", 0, 1, 1, BLOB_ID, 104, bytes(32)))
    yield node("longest name", Metadata("n" * 255, 0, 1, 1, BLOB_ID, 104, bytes(32)))
    yield node(
        "extras", Metadata("m", 0, 1, 1, BLOB_ID, 104, extras={"md5": bytes(range(16)), "lock_born": True})
    )
    yield node("great version", full, version=2**63 - 1)
    made = node("file", full)
    yield made
    yield from altered(
        made,
        [
            "parent_id",
            "name_sealed",
            "node_id",
            "kind",
            "version",
            "metadata_sealed",
            "blob_id",
        ],
    )
    yield refused(made, "other account", account_id=OTHER_ACCOUNT)
    yield refused(made, "no blob id", blob_id=None)
    yield refused(made, "no longer a known kind", kind=3)
    yield refused(made, "other account key", account_key=OTHER_KEY)
    longer = {"parent_id": PARENT[1:], "node_id": NODE + PARENT[:1]}
    yield refused(made, "a byte from parent to node", **longer)
    yield refused(
        made,
        "a byte from parent to name",
        parent_id=PARENT[:-1],
        name_sealed=PARENT[-1:] + made["name_sealed"],
    )
    yield refused(
        made, "a nonce that is not the one inside", metadata_sealed=bytes(16) + made["metadata_sealed"][16:]
    )
    moved = node("file", full, parent_id=OTHER_ID)
    yield refused(made, "metadata of another place", metadata_sealed=moved["metadata_sealed"])
    newer = node("file", Metadata("report.pdf", layout=2))
    yield refused(made, "layout 2", metadata_sealed=newer["metadata_sealed"], blob_id=None)
    yield refused(
        made,
        "layout 0",
        metadata_sealed=node("file", Metadata("report.pdf", layout=0))["metadata_sealed"],
        blob_id=None,
    )
    without = node("collection", Metadata("folder"), kind=2)
    yield refused(without, "a blob id all the same", blob_id=BLOB_ID)


def node(what: str, metadata: Metadata, *, kind: int = 1, version: int = 5, **ids: bytes) -> Case:
    """A sound row of the tree."""
    row: dict[str, object] = {
        "account_id": ACCOUNT,
        "node_id": NODE,
        "parent_id": PARENT,
        "kind": kind,
        "version": version,
    } | ids
    name = seal_name(ROOT_KEY, ACCOUNT, ids.get("parent_id", PARENT), metadata.name)
    row = {"name_sealed": name} | row
    sealed = seal_metadata(ROOT_KEY, row, NONCE, metadata.plain())
    result = {
        "name": metadata.name,
        "size": metadata.size,
        "modified": metadata.modified,
        "created": metadata.created,
        "blob_id": metadata.blob_id,
        "blob_length": metadata.blob_length,
        "commitment": metadata.commitment,
        "sha1": metadata.sha1,
        "extras": metadata.extras or {},
    }
    return case(
        "node", what, result, account_key=ACCOUNT_KEY, **row, blob_id=metadata.blob_id, metadata_sealed=sealed
    )


def values() -> Iterator[Case]:
    """Dead properties and owners of locks."""
    ids = {"account_key": ACCOUNT_KEY, "account_id": ACCOUNT, "node_id": NODE}
    start = [b"EWD1/property", ACCOUNT, NODE]
    label = "EWD1/user/property"

    def seal(purpose: bytes, context: bytes, value: bytes) -> bytes:
        return NONCE + siv_seal(ROOT_KEY, label, [*start, purpose, NONCE, context], value)

    for name, value in (
        ("a", b""),
        ("colour", b"x" * 31),
        ("{urn:example}größe", b"<a>" * 400),
        ("{urn:example}colour", b"green"),
    ):
        sealed_name = siv_seal(ROOT_KEY, label, [*start, b"\1"], pad32(name.encode()))
        sealed = seal(b"\2", sealed_name, pad32(value))
        made = case(
            "property", ascii(name), [name, value], **ids, name_sealed=sealed_name, value_sealed=sealed
        )
        yield made
    yield from altered(made, ["name_sealed", "value_sealed"])
    other_name = siv_seal(ROOT_KEY, label, [*start, b"\1"], pad32(b"other"))
    yield refused(made, "value of another property", name_sealed=other_name)
    yield refused(
        made, "value as the owner of a lock", value_sealed=seal(b"\3", made["name_sealed"], pad32(b"green"))
    )
    for what, plain in bad_paddings(b"green"):
        yield refused(made, what, value_sealed=seal(b"\2", made["name_sealed"], plain))
    lock = {**ids, "lock_id": DEVICE}
    for owner in (b"", b"<owner xmlns='DAV:'>me</owner>"):
        made_lock = case(
            "lock-owner",
            f"owner of {len(owner)} bytes",
            owner,
            **lock,
            owner_sealed=seal(b"\3", DEVICE, pad32(owner)),
        )
        yield made_lock
    yield from altered(made_lock, ["owner_sealed"])
    yield refused(made_lock, "other lock", lock_id=OTHER_ID)
    yield refused(made_lock, "a property instead", owner_sealed=seal(b"\2", DEVICE, pad32(b"x")))
    for one in (made, made_lock):
        yield refused(one, "other node", node_id=OTHER_ID)
        yield refused(one, "other account", account_id=OTHER_ACCOUNT)
        yield refused(one, "other account key", account_key=OTHER_KEY)


def app_passwords() -> Iterator[Case]:
    """What people type, and what is stored."""
    pepper = derive(MASTER, "EWD1/master/pepper", 32)
    for app_id, secret in (
        ("zzzzzzzzzz", b"\xff" * 20),
        ("0000000000", bytes(20)),
        ("0123456789", bytes(range(20))),
    ):
        body = app_id + crockford(secret)
        text = f"ew1-{body}{token_check(body)}"
        inputs = {"instance_id": INSTANCE, "master_key": MASTER_KEY, "account_id": ACCOUNT}
        stored = verifier(pepper, ACCOUNT, app_id, secret)
        made = case("app-password", app_id, [app_id, secret], **inputs, text=text, verifier=stored)
        yield made
    for what, other in (
        ("in capitals", text.upper()),
        ("in groups", "-".join(text[at : at + 4] for at in range(0, len(text), 4))),
        ("with spaces", f" \t{' '.join(text)}\n"),
        ("1 as i", text.replace("1", "i")),
        ("1 as L", text.replace("1", "L")),
        ("0 as O", text.replace("0", "O")),
    ):
        yield {**made, "title": f"{app_id}, {what}", "text": other}
    for what, other in (
        ("id", text[:4] + "1" + text[5:]),
        ("secret", text[:20] + ("1" if text[20] != "1" else "2") + text[21:]),
        ("check", text[:-1] + ("1" if text[-1] != "1" else "2")),
        ("cut", text[:-1]),
        ("longer", text + "0"),
        ("letter u", text[:20] + "u" + text[21:]),
        ("prefix", "ew2" + text[3:]),
        ("no prefix", text[4:]),
        ("empty", ""),
    ):
        yield refused(made, what, text=other)
    yield refused(made, "other verifier", verifier=flipped(stored, 31))
    yield refused(made, "verifier of another account", account_id=OTHER_ACCOUNT)
    yield refused(made, "verifier under another master key", master_key=OTHER_KEY)


SAMPLES: dict[str, object] = {
    "account_id": ACCOUNT,
    "blob_id": BLOB_ID,
    "node_id": NODE,
    "lock_id": OTHER_ID,
    "device_id": DEVICE,
    "root_id": ROOT,
    "subject": "local:é",
    "username": "alice",
    "state": "live",
    "quota": None,
    "public_key": None,
    "verifier": bytes(32),
    "revoked_at": None,
    "password_hash": "$argon2id$",
    "app_id": "0123456789",
    "label": "Käse",
    "networks": "",
    "off_at": None,
    "reason": "disabled",
}
"""Values for columns that are not numbers or sealed."""


def rows() -> Iterator[Case]:
    """Row authenticators: every column of every table."""
    master: dict[str, object] = {"instance_id": INSTANCE, "master_key": MASTER_KEY}
    for table, columns in EVERY.items():
        values: dict[str, object] = {}
        for at, column in enumerate(columns.split()):
            sealed = b"\x33" * 48 if column.endswith(("_sealed", "_secret", "_key", "_commitment")) else at
            values[column] = SAMPLES.get(column, sealed)
        mac = row_mac(MASTER, MASTER_MAC, table, list(values.values()))  # type: ignore[arg-type]
        made = case("row", table, result=True, **master, table=table, columns=values, mac=mac)
        yield made
        for column, value in values.items():
            for what, other in alterations(value):
                yield refused(made, f"{column} {what}", columns=values | {column: other})
            if isinstance(value, int):
                yield refused(made, f"{column} as text", columns=values | {column: str(value)})
                yield refused(made, f"{column} negative", columns=values | {column: -value - 1})
            if isinstance(value, str):
                yield refused(made, f"{column} as bytes", columns=values | {column: value.encode()})
        yield from altered(made, ["mac"])
        yield refused(made, "other master key", master_key=OTHER_KEY)
        yield refused(made, "other instance", instance_id=OTHER_ID)
        first, second = (name for name in list(values)[:2])
        swapped = values | {first: values[second], second: values[first]}
        yield refused(made, f"{first} and {second} swapped", columns=swapped)


ENTRY: dict[str, object] = {
    "seq": 7,
    "at": 1_700_000_000,
    "event": "signed-in",
    "account": "alice",
    "actor": "",
    "credential": "0123456789",
    "client": "192.0.2.1",
    "client_salt": NONCE,
    "reason": "",
}
"""An entry of the audit log; docs/format.md, "Known answers" has it too."""

BEFORE = bytes(range(0x80, 0xA0))
"""The link of the entry before."""


def audit_entries() -> Iterator[Case]:
    """Entries of the audit log: what hangs on the one before, and what stands for an address."""
    master: dict[str, object] = {"instance_id": INSTANCE, "master_key": MASTER_KEY, "previous": BEFORE}
    pepper = derive(MASTER, "EWD1/master/pepper", 32)

    def entry(title: str, **changes: object) -> Case:
        row = ENTRY | changes
        client, salt = row["client"], row["client_salt"]
        has_one = isinstance(client, str) and isinstance(salt, bytes)
        row |= {"client_commitment": commitment_of(pepper, salt, client) if has_one else None}  # type: ignore[arg-type]
        return case("audit-entry", title, result=True, **master, **row, link=link_of(pepper, BEFORE, row))

    made = entry("entry")
    yield made
    yield from altered(made, [*ENTRY, "client_commitment", "previous", "link"])
    yield refused(made, "at as text", at=str(made["at"]))
    yield refused(made, "a name moved", account="", actor="alice")
    yield refused(made, "other master key", master_key=OTHER_KEY)
    yield refused(made, "other instance", instance_id=OTHER_ID)
    yield refused(made, "address without salt", client_salt=None)
    yield refused(made, "salt without address", client=None)
    yield {**made, "title": "forgotten address", "client": None, "client_salt": None}
    yield refused(made, "no address and no commitment", client=None, client_salt=None, client_commitment=None)
    without = entry("without an address", client=None, client_salt=None)
    yield without
    yield refused(without, "an address all the same", client="192.0.2.1", client_salt=NONCE)
    yield entry("of an administrator", actor="bob", event="totp-reset", reason="lost")
    yield entry("other letters", account="é" * 200, client="2001:db8::1")


def row_cases() -> list[Case]:
    """All of them."""
    groups = (keys, totp_secrets, names, nodes, values, app_passwords, rows, audit_entries)
    return [made for group in groups for made in group()]
