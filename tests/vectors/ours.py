"""Every kind of case in rows.json, read by the code of the server."""

from __future__ import annotations

from dataclasses import fields

from davserver.crypto import tokens
from davserver.crypto.audit_links import AuditLinks
from davserver.crypto.keys import AccountKey, MasterKey
from davserver.crypto.names import seal_name
from davserver.crypto.properties import Purpose, open_property_name, open_value
from davserver.db.audit import AuditEntryRow
from davserver.db.nodes import NodeRow
from davserver.db.rekeying import TABLES
from davserver.db.rows import AuthenticatedRow, build, column_names
from davserver.errors import AuthenticationError, CorruptRow
from davserver.keyring import TOTP_SEAL_VERSION
from davserver.vault.rows import LOCK_BORN_EXTRA, MD5_EXTRA, NodeCodec
from tests.vectors.case_file import Case

REFUSALS = (CorruptRow, AuthenticationError)

ROW_TYPES: dict[str, type[AuthenticatedRow]] = {one.TABLE: one for one in TABLES}
"""Every table whose rows carry an authenticator under the master key."""


def read(case: Case) -> object:
    """What comes out.

    Raises:
        CorruptRow, AuthenticationError: it is refused.
    """
    return _READERS[case["what"]](case)


def _master(case: Case) -> MasterKey:
    return MasterKey(case.get("kid", 1), case["instance_id"], case["master_key"])


def _account(case: Case) -> AccountKey:
    return AccountKey(case["account_id"], case.get("key_version", 1), case["account_key"])


def _same(same: bool) -> bool:  # noqa: FBT001 - the result of a comparison.
    if not same:
        raise CorruptRow("not the same")
    return True


def _account_key(case: Case) -> bytes:
    wrapped, commit = case["wrapped_key"], case["key_commitment"]
    key = _master(case).unwrap_account_key(wrapped, case["account_id"], case["key_version"], commit)
    return key.secret


def _totp(case: Case) -> bytes:
    ids = case["account_id"], case["device_id"]
    return _master(case).open_totp(*ids, TOTP_SEAL_VERSION, case["sealed_secret"])


def _node(case: Case) -> dict[str, object]:
    row = NodeRow(**{name: case[name] for name in NodeRow._fields})
    node = NodeCodec(_account(case)).open_node(row)
    own = {MD5_EXTRA: node.md5, LOCK_BORN_EXTRA: node.lock_born}
    return {
        "name": node.name,
        "size": node.size,
        "modified": node.modified_ns,
        "created": node.created_ns,
        "blob_id": node.content.blob_id if node.content else None,
        "blob_length": node.content.sealed_size if node.content else 0,
        "commitment": node.content.commitment if node.content else bytes(32),
        "sha1": node.sha1,
        "extras": dict(node.extras) | {name: value for name, value in own.items() if value},
    }


def _property(case: Case) -> list[object]:
    key, node, name = _account(case), case["node_id"], case["name_sealed"]
    value = open_value(key, node, Purpose.PROPERTY_VALUE, name, case["value_sealed"])
    return [open_property_name(key, node, name), value]


def _lock_owner(case: Case) -> bytes:
    sealed = case["owner_sealed"]
    return open_value(_account(case), case["node_id"], Purpose.LOCK_OWNER, case["lock_id"], sealed)


def _app_password(case: Case) -> list[object]:
    token = tokens.parse(case["text"])
    _same(tokens.verify(_master(case).pepper, case["account_id"], token, case["verifier"]))
    return [token.id, token.secret]


def _row(case: Case) -> bool:
    row_type = ROW_TYPES[case["table"]]
    row = build(row_type, [case["columns"].get(name) for name in column_names(row_type)])
    _master(case).verify_row(row.TABLE, row.covered(), case["mac"])
    return True


def _audit_entry(case: Case) -> bool:
    links = AuditLinks(_master(case).pepper)
    row = AuditEntryRow(**{one.name: case[one.name] for one in fields(AuditEntryRow)})
    links.check_link(row.link, case["previous"], row.linked())
    if (row.client, row.client_salt) != (None, None):
        links.check_commitment(*(case[name] for name in ("client_commitment", "client_salt", "client")))
    return True


_READERS = {
    "key-check": lambda case: _same(_master(case).key_check == case["value"]),
    "account-key": _account_key,
    "file-key": lambda case: _account(case).unwrap_file_key(case["wrapped_key"], case["blob_id"]).secret,
    "etag": lambda case: _same(_account(case).etag(case["blob_id"]) == case["value"]),
    "totp": _totp,
    "name": lambda case: _same(seal_name(_account(case), case["parent_id"], case["plain"]) == case["sealed"]),
    "node": _node,
    "property": _property,
    "lock-owner": _lock_owner,
    "app-password": _app_password,
    "row": _row,
    "audit-entry": _audit_entry,
}
