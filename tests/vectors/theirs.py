"""Every kind of case in rows.json, read by the independent implementation; it imports nothing of ours."""

import base64
import hmac
import sys
import unicodedata

from tests.vectors import audit_reader, reader
from tests.vectors.case_file import Case
from tests.vectors.reader import HMAC, MASTER_MAC, derive, require, siv_open
from tests.vectors.tables import EVERY
from tests.vectors.writer import ALPHABET, token_check, verifier

REFUSALS = (ValueError,)

NODE_RESULTS = ("name", "size", "modified", "created", "blob_length", "commitment", "extras")


def read(case: Case) -> object:
    """What comes out.

    Raises:
        ValueError: it is refused.
    """
    return _READERS[case["what"]](case)


def _master(case: Case) -> bytes:
    return HMAC(case["instance_id"], case["master_key"])


def _account(case: Case) -> bytes:
    return HMAC(case["account_id"], case["account_key"])


def _equal(one: bytes | str, other: bytes | str) -> bool:
    require(one == other)
    return True


def _account_key(case: Case) -> bytes:
    data = [b"EWD1/uk", case["instance_id"], case["account_id"]]
    data += [case[name].to_bytes(4) for name in ("kid", "key_version")]
    key = siv_open(_master(case), "EWD1/master/user-wrap", data, case["wrapped_key"])
    _equal(derive(HMAC(case["account_id"], key), "EWD1/user/commit", 32), case["key_commitment"])
    return key


def _file_key(case: Case) -> bytes:
    data = [b"EWD1/fk", case["account_id"], case["blob_id"], b"\1", case["key_version"].to_bytes(4)]
    return siv_open(_account(case), "EWD1/user/file-wrap", data, case["wrapped_key"])


def _etag(case: Case) -> bool:
    tag = HMAC(derive(_account(case), "EWD1/user/etag", 32), case["blob_id"])[:16]
    return _equal(base64.b32encode(tag).decode().lower().rstrip("="), case["value"])


def _totp(case: Case) -> bytes:
    data = [b"EWD1/totp", case["account_id"], case["device_id"], (1).to_bytes(8)]
    return siv_open(_master(case), "EWD1/master/totp", data, case["sealed_secret"])


def _name(case: Case) -> bool:
    data = [b"EWD1/name", case["account_id"], case["parent_id"]]
    name = siv_open(_account(case), "EWD1/user/name", data, case["sealed"], padded=True)
    return _equal(name.decode(), unicodedata.normalize("NFC", case["plain"]))


def _node(case: Case) -> dict[str, object]:
    found = reader.open_node(_account(case), case)
    has_content, has_sha1 = found["flags"] & 1, found["flags"] & 2
    made = {name: found[name] for name in NODE_RESULTS}
    return made | {
        "blob_id": found["blob_id"] if has_content else None,
        "sha1": found["sha1"] if has_sha1 else None,
    }


def _property(case: Case) -> list[object]:
    root = _account(case)
    name = reader.open_value(root, case, b"\1", "name_sealed", "")
    return [name.decode(), reader.open_value(root, case, b"\2", "value_sealed", "name_sealed")]


def _lock_owner(case: Case) -> bytes:
    return reader.open_value(_account(case), case, b"\3", "owner_sealed", "lock_id")


def _app_password(case: Case) -> list[object]:
    plain = case["text"].strip().lower().translate(str.maketrans("ilo", "110", "- "))
    require(plain[:3] == "ew1" and len(plain) == 51 and set(plain[3:]) <= set(ALPHABET))
    app_id, characters = plain[3:13], plain[13:45]
    _equal(token_check(app_id + characters), plain[45:])
    secret = sum(ALPHABET.index(x) << 5 * at for at, x in enumerate(reversed(characters))).to_bytes(20)
    pepper = derive(_master(case), "EWD1/master/pepper", 32)
    require(hmac.compare_digest(verifier(pepper, case["account_id"], app_id, secret), case["verifier"]))
    return [app_id, secret]


def _row(case: Case) -> bool:
    fields = [case["columns"][column] for column in EVERY[case["table"]].split()]
    return _equal(reader.row_mac(_master(case), MASTER_MAC, case["table"], fields), case["mac"])


def _audit_entry(case: Case) -> bool:
    pepper = derive(_master(case), "EWD1/master/pepper", 32)
    require(audit_reader.is_address_right(pepper, case, sys.maxsize))
    return _equal(audit_reader.link_of(pepper, case["previous"], case), case["link"])


_READERS = {
    "key-check": lambda case: _equal(derive(_master(case), "EWD1/master/keycheck", 16), case["value"]),
    "account-key": _account_key,
    "file-key": _file_key,
    "etag": _etag,
    "totp": _totp,
    "name": _name,
    "node": _node,
    "property": _property,
    "lock-owner": _lock_owner,
    "app-password": _app_password,
    "row": _row,
    "audit-entry": _audit_entry,
}
