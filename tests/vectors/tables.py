"""Rows with an authenticator that `reader.py`, who wants an account's files, does not look at."""

from tests.vectors.reader import AUTHENTICATED

BESIDE = {
    "second_factor_proof": "provider_session account_id proved_at",
    "ended_session": "whose ended_at",
    "confirmation": "account_id enabled_at role_at off_at reason password_at new_password_at version",
    "invitation": "token_hash username admin quota created_at expires_at",
    "audit_head": "head_id seq link anchor_seq anchor_link forgotten_before",
}
"""As `AUTHENTICATED`: columns in the order in which they are authenticated."""

EVERY = AUTHENTICATED | BESIDE
"""Every table whose rows carry an authenticator under the master key."""
