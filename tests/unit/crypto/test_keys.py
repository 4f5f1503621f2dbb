"""The key hierarchy: every sub-key re-derived by hand, wraps bound to all of their context, nothing shown."""

from __future__ import annotations

import base64
import hmac
from itertools import combinations

import pytest

from davserver.crypto.keys import (
    KEY_CHECK_BYTES,
    SECRET_BYTES,
    WRAP_BYTES,
    AccountKey,
    FileKey,
    Label,
    MasterKey,
)
from davserver.crypto.primitives import AesSiv
from davserver.crypto.rowmac import Field
from davserver.errors import CorruptRow
from davserver.model import AccountId, BlobId
from tests.unit.crypto.samples import (
    ACCOUNT_ID,
    ACCOUNT_SECRET,
    BLOB_ID,
    DEVICE_ID,
    FILE_KEY,
    FILE_SECRET,
    INSTANCE_ID,
    MASTER_SECRET,
    OTHER_ACCOUNT,
    OTHER_BLOB,
    OTHER_SECRET,
    account_key,
    master_key,
)

MASTER_ROOT = hmac.digest(INSTANCE_ID, MASTER_SECRET, "sha256")
ACCOUNT_ROOT = hmac.digest(ACCOUNT_ID, ACCOUNT_SECRET, "sha256")
TOTP_SECRET = b"12345678901234567890"
ROW: list[Field] = ["label", 3, None]


def expand(root: bytes, label: str, length: int) -> bytes:
    """HKDF-Expand by the letter of RFC 5869, 2.3, with nothing but HMAC."""
    block, made = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(root, block + label.encode() + b"\0" + bytes([number]), "sha256")
        made += block
    return made[:length]


def test_the_keys_of_the_master_key_are_those_of_the_document() -> None:
    """Public values and the keys that other parts use."""
    key = master_key()
    assert key.key_check == expand(MASTER_ROOT, "EWD1/master/keycheck", 16)
    assert key.pepper == expand(MASTER_ROOT, "EWD1/master/pepper", 32)
    assert key.sealed_mix == expand(MASTER_ROOT, "EWD1/master/sealed-mix", 32)
    assert key.session == expand(MASTER_ROOT, "EWD1/master/session", 32)
    assert len(key.key_check) == KEY_CHECK_BYTES


def test_the_keys_of_the_account_key_are_those_of_the_document() -> None:
    """The ciphers of names, metadata and properties, and the commitment, are as made by hand."""
    key = account_key()
    assert key.commit == expand(ACCOUNT_ROOT, "EWD1/user/commit", 32)
    for cipher, label in [
        (key.name_cipher, "EWD1/user/name"),
        (key.meta_cipher, "EWD1/user/meta"),
        (key.property_cipher, "EWD1/user/property"),
    ]:
        assert cipher.encrypt(b"text", []) == AesSiv(expand(ACCOUNT_ROOT, label, 64)).encrypt(b"text", [])


def test_a_wrapped_account_key_is_that_of_the_document() -> None:
    """SIV under user-wrap with label, instance, account, kid and ukv, numbers in four bytes."""
    wrap_key = AesSiv(expand(MASTER_ROOT, "EWD1/master/user-wrap", 64))
    data = [b"EWD1/uk", INSTANCE_ID, ACCOUNT_ID, b"\0\0\0\x03", b"\0\0\0\x02"]
    wrapped = master_key(kid=3).wrap_account_key(account_key(version=2))
    assert wrapped == wrap_key.encrypt(ACCOUNT_SECRET, data)
    assert len(wrapped) == WRAP_BYTES


def test_a_wrapped_file_key_is_that_of_the_document() -> None:
    """SIV under file-wrap with label, account, blob, format in one byte and ukv in four."""
    wrap_key = AesSiv(expand(ACCOUNT_ROOT, "EWD1/user/file-wrap", 64))
    wrapped = account_key(version=2).wrap_file_key(FILE_KEY, BLOB_ID)
    assert wrapped == wrap_key.encrypt(FILE_SECRET, [b"EWD1/fk", ACCOUNT_ID, BLOB_ID, b"\x01", b"\0\0\0\x02"])
    assert len(wrapped) == WRAP_BYTES


def test_an_etag_is_that_of_the_document() -> None:
    """Base32 in lower case, without padding, of half an HMAC of the blob's id."""
    digest = hmac.digest(expand(ACCOUNT_ROOT, "EWD1/user/etag", 32), BLOB_ID, "sha256")[:16]
    assert account_key().etag(BLOB_ID) == base64.b32encode(digest).decode().rstrip("=").lower()
    assert len(account_key().etag(BLOB_ID)) == 26


def test_etags_of_other_blobs_and_accounts_differ() -> None:
    """Equal contents of two accounts cannot be told from unequal ones."""
    blob_ids = [BlobId(bytes([number]) * 16) for number in range(256)]
    tags = {key.etag(blob_id) for key in (account_key(), account_key(OTHER_ACCOUNT)) for blob_id in blob_ids}
    assert len(tags) == 512


def test_wrapped_keys_come_back() -> None:
    """Account key and file key, through two levels."""
    wrapped = master_key().wrap_account_key(account_key())
    key = master_key().unwrap_account_key(wrapped, ACCOUNT_ID, 1, account_key().commit)
    assert (key.secret, key.account_id, key.version) == (ACCOUNT_SECRET, ACCOUNT_ID, 1)
    assert key.unwrap_file_key(account_key().wrap_file_key(FILE_KEY, BLOB_ID), BLOB_ID).secret == FILE_SECRET


def unwrap(
    *,
    master: MasterKey | None = None,
    wrapped: bytes | None = None,
    account_id: AccountId = ACCOUNT_ID,
    version: int = 1,
    commit: bytes | None = None,
) -> AccountKey:
    """Unwrap the account key of the samples with one thing changed."""
    own = account_key()
    return (master or master_key()).unwrap_account_key(
        master_key().wrap_account_key(own) if wrapped is None else wrapped,
        account_id,
        version,
        own.commit if commit is None else commit,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"master": MasterKey(1, INSTANCE_ID, OTHER_SECRET)},
        {"master": MasterKey(2, INSTANCE_ID, MASTER_SECRET)},
        {"master": MasterKey(1, bytes(16), MASTER_SECRET)},
        {"account_id": OTHER_ACCOUNT, "commit": account_key(OTHER_ACCOUNT).commit},
        {"version": 2},
        {"commit": bytes(32)},
        {"commit": AccountKey(ACCOUNT_ID, 1, OTHER_SECRET).commit},
        {"wrapped": master_key().wrap_account_key(AccountKey(ACCOUNT_ID, 1, OTHER_SECRET))},
        {"wrapped": b""},
        {"wrapped": bytes(WRAP_BYTES)},
    ],
)
def test_an_account_key_is_refused_in_any_other_place(change: dict[str, object]) -> None:
    """Another master key, kid, instance, account, version or commitment, or another account's wrap."""
    assert unwrap().secret == ACCOUNT_SECRET
    with pytest.raises(CorruptRow):
        unwrap(**change)  # type: ignore[arg-type]


def test_every_altered_byte_of_a_wrap_is_noticed() -> None:
    """48 bytes of each kind of wrap, and every shorter one."""
    account_wrap = master_key().wrap_account_key(account_key())
    file_wrap = account_key().wrap_file_key(FILE_KEY, BLOB_ID)
    for position in range(WRAP_BYTES):
        for wrap in (account_wrap, file_wrap):
            altered = bytearray(wrap)
            altered[position] ^= 0x10
            for wrong in (bytes(altered), wrap[:position]):
                with pytest.raises(CorruptRow):
                    unwrap(wrapped=wrong)
                with pytest.raises(CorruptRow):
                    account_key().unwrap_file_key(wrong, BLOB_ID)


@pytest.mark.parametrize(
    ("key", "blob_id"),
    [
        (account_key(), OTHER_BLOB),
        (account_key(OTHER_ACCOUNT), BLOB_ID),
        (account_key(version=2), BLOB_ID),
        (AccountKey(ACCOUNT_ID, 1, OTHER_SECRET), BLOB_ID),
    ],
)
def test_a_file_key_is_refused_in_any_other_place(key: AccountKey, blob_id: BlobId) -> None:
    """Another blob, account, version of the account's key, or key."""
    wrapped = account_key().wrap_file_key(FILE_KEY, BLOB_ID)
    with pytest.raises(CorruptRow):
        key.unwrap_file_key(wrapped, blob_id)


def test_a_one_time_password_secret_is_sealed_as_documented() -> None:
    """SIV under totp with label, account, device and version in eight bytes; and it comes back."""
    cipher = AesSiv(expand(MASTER_ROOT, "EWD1/master/totp", 64))
    sealed = master_key().seal_totp(ACCOUNT_ID, DEVICE_ID, 7, TOTP_SECRET)
    assert sealed == cipher.encrypt(TOTP_SECRET, [b"EWD1/totp", ACCOUNT_ID, DEVICE_ID, bytes(7) + b"\x07"])
    assert master_key().open_totp(ACCOUNT_ID, DEVICE_ID, 7, sealed) == TOTP_SECRET


@pytest.mark.parametrize(
    ("master", "account_id", "device_id", "version"),
    [
        (MasterKey(1, INSTANCE_ID, OTHER_SECRET), ACCOUNT_ID, DEVICE_ID, 7),
        (master_key(), OTHER_ACCOUNT, DEVICE_ID, 7),
        (master_key(), ACCOUNT_ID, bytes(16), 7),
        (master_key(), ACCOUNT_ID, DEVICE_ID, 8),
    ],
)
def test_a_one_time_password_secret_is_refused_in_any_other_place(
    master: MasterKey, account_id: AccountId, device_id: bytes, version: int
) -> None:
    """Nobody's device can be given to somebody else, nor an old secret brought back under a new version."""
    sealed = master_key().seal_totp(ACCOUNT_ID, DEVICE_ID, 7, TOTP_SECRET)
    with pytest.raises(CorruptRow):
        master.open_totp(account_id, device_id, version, sealed)


def test_a_pepper_is_sealed_as_documented() -> None:
    """SIV under pepper-wrap with label, instance and kid; it opens under no other key, kid or instance."""
    cipher = AesSiv(expand(MASTER_ROOT, "EWD1/master/pepper-wrap", 64))
    sealed = master_key().seal_pepper(OTHER_SECRET)
    assert sealed == cipher.encrypt(OTHER_SECRET, [b"EWD1/pepper", INSTANCE_ID, bytes(3) + b"\x01"])
    assert master_key().open_pepper(sealed) == OTHER_SECRET
    others = [MasterKey(1, INSTANCE_ID, OTHER_SECRET), master_key(2), MasterKey(1, bytes(16), MASTER_SECRET)]
    for master in others:
        with pytest.raises(CorruptRow):
            master.open_pepper(sealed)


def test_rows_are_authenticated_under_keys_of_their_own() -> None:
    """The same row has another authenticator under every master and account key; each accepts its own."""
    keys: list[MasterKey | AccountKey] = [master_key(), account_key(), account_key(OTHER_ACCOUNT)]
    for key, other in combinations(keys, 2):
        key.verify_row("table", ROW, key.row_mac("table", ROW))
        other.verify_row("table", ROW, other.row_mac("table", ROW))
        with pytest.raises(CorruptRow):
            other.verify_row("table", ROW, key.row_mac("table", ROW))


def test_the_row_keys_are_those_of_the_document() -> None:
    """An empty row: label, NUL, and the name of the table."""
    message = b"EWD1/row\0" + b"s\0\0\0\x04blob"
    assert master_key().row_mac("blob", []) == hmac.digest(
        expand(MASTER_ROOT, "EWD1/master/row-mac", 32), message, "sha256"
    )
    assert account_key().row_mac("blob", []) == hmac.digest(
        expand(ACCOUNT_ROOT, "EWD1/user/row-mac", 32), message, "sha256"
    )


def test_no_label_can_be_taken_for_another() -> None:
    """Labels differ and hold no NUL, which ends them: no label with a context is another with a context."""
    assert len({label.value for label in Label}) == len(Label.__members__) == 19
    assert all(label.value.startswith(b"EWD1/") and b"\0" not in label.value for label in Label)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_keys_and_ids_of_other_lengths_are_mistakes(length: int) -> None:
    """A short key would be a weak key."""
    with pytest.raises(ValueError, match="has 32 bytes"):
        FileKey(bytes(length))
    with pytest.raises(ValueError, match="has 32 bytes"):
        AccountKey(ACCOUNT_ID, 1, bytes(length))
    with pytest.raises(ValueError, match="has 32 bytes"):
        MasterKey(1, INSTANCE_ID, bytes(length))
    if length != 16:
        with pytest.raises(ValueError, match="has 16 bytes"):
            AccountKey(AccountId(bytes(length)), 1, ACCOUNT_SECRET)
        with pytest.raises(ValueError, match="has 16 bytes"):
            MasterKey(1, bytes(length), MASTER_SECRET)


def test_generated_keys_are_fresh() -> None:
    """No two file or account keys are equal."""
    assert len({FileKey.generate().secret for _ in range(10)}) == 10
    made = [AccountKey.generate(ACCOUNT_ID, 4) for _ in range(10)]
    assert len({key.secret for key in made}) == 10
    assert {(key.version, len(key.secret)) for key in made} == {(4, SECRET_BYTES)}


def test_a_printed_key_shows_its_version_only() -> None:
    """What a log or a traceback would show."""
    assert repr(master_key(kid=3)) == "MasterKey(kid=3)"
    assert repr(account_key(version=2)) == "AccountKey(version=2)"
    assert repr(FILE_KEY) == "FileKey()"
