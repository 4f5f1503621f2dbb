"""App passwords and recovery codes: their shape, forgiving reading, and only the right one is right."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest

from davserver.crypto import primitives, tokens
from davserver.crypto.tokens import AppToken
from davserver.errors import AuthenticationError
from tests.unit.crypto.samples import ACCOUNT_ID, OTHER_ACCOUNT

PEPPER = bytes(range(32))
TOKEN = AppToken("0123456789", bytes(range(20)))
TEXT = TOKEN.text()
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def test_a_token_is_that_of_the_document() -> None:
    """Prefix, id, secret, check: the secret's bits five by five, the check the first 30 bits of a hash."""
    secret = "".join(
        ALPHABET[int(f"{int.from_bytes(TOKEN.secret, 'big'):0160b}"[at : at + 5], 2)]
        for at in range(0, 160, 5)
    )
    digest = hashlib.sha256(b"EWD1/apppw/check" + b"0123456789" + secret.encode()).digest()
    check = "".join(
        ALPHABET[int(f"{int.from_bytes(digest, 'big'):0256b}"[at : at + 5], 2)] for at in range(0, 30, 5)
    )
    assert f"ew1-0123456789{secret}{check}" == TEXT
    assert len(TEXT) == 52


def test_minted_tokens_are_fresh_and_come_back() -> None:
    """A thousand: no id and no secret twice, all of one shape without ambiguous letters or a colon."""
    made = [tokens.mint() for _ in range(1000)]
    assert len({token.id for token in made}) == len({token.secret for token in made}) == 1000
    for token in made:
        assert re.fullmatch(r"ew1-[0-9a-hjkmnp-tv-z]{48}", token.text())
        found = tokens.parse(token.text())
        assert (found.id, found.secret) == (token.id, token.secret)


@pytest.mark.parametrize(
    "typed",
    [
        TEXT.upper(),
        f"  {TEXT}\r\n",
        f"\u00a0{TEXT}\t",
        TEXT.replace("-", ""),
        TEXT.replace("-", " "),
        "-".join(TEXT.replace("-", "")),
        " ".join(TEXT[at : at + 4] for at in range(0, 52, 4)),
        TEXT.replace("0", "o"),
        TEXT.replace("0", "O"),
        TEXT.replace("1", "i"),
        TEXT.replace("1", "I"),
        TEXT.replace("1", "l"),
        TEXT.replace("1", "L"),
    ],
)
def test_people_may_type_it_their_way(typed: str) -> None:
    """Case, separators, white space around it, and the letters that look like digits."""
    found = tokens.parse(typed)
    assert (found.id, found.secret) == (TOKEN.id, TOKEN.secret)


def test_every_single_mistyped_character_is_noticed() -> None:
    """Each of the 48 characters replaced by each other one: 1,488 typos."""
    cases = 0
    for position in range(4, 52):
        for char in ALPHABET:
            if char == TEXT[position]:
                continue
            with pytest.raises(AuthenticationError, match="mistyped"):
                tokens.parse(TEXT[:position] + char + TEXT[position + 1 :])
            cases += 1
    assert cases == 48 * 31


def test_every_swap_of_neighbours_is_noticed() -> None:
    """And every lost and every doubled character."""
    for position in range(4, 51):
        left, right = TEXT[position], TEXT[position + 1]
        swapped = TEXT[:position] + right + left + TEXT[position + 2 :]
        doubled = TEXT[:position] + left + TEXT[position:]
        for wrong in (swapped, doubled, TEXT[:position] + TEXT[position + 1 :]):
            if wrong != TEXT:
                with pytest.raises(AuthenticationError):
                    tokens.parse(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "ew1-",
        "ew2" + TEXT[3:],
        TEXT[4:],
        TEXT[:-1],
        TEXT + "0",
        TEXT + "\n" + TEXT,
        TEXT[:20] + "\n" + TEXT[20:],
        TEXT[:20] + "\0" + TEXT[21:],
        TEXT[:20] + "u" + TEXT[21:],
        TEXT[:20] + "_" + TEXT[21:],
        TEXT[:20] + "\u212a" + TEXT[21:],
        TEXT[:20] + "\u0661" + TEXT[21:],
        TEXT[:20] + "\udc80" + TEXT[21:],
        TEXT[:20] + "-" * 100 + TEXT[20:],
        "correct horse battery staple",
        "x" * 1_000_000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Always the same error, whatever it is."""
    with pytest.raises(AuthenticationError, match="app password"):
        tokens.parse(text)


def test_the_id_is_read_from_what_begins_like_an_app_password() -> None:
    """As forgivingly as a whole one; nothing is an id but that."""
    token = tokens.mint()
    text = token.text()
    for begun in (text, text[:14], text[:-1], text.upper() + "x", " ".join(text[:20]), f"\n{text}\t"):
        assert tokens.id_in(begun) == token.id
    for other in ("", "ew1", text[:13], text[1:], f"x{text}", "a password", "é" + text, text * 3):
        assert tokens.id_in(other) is None


def test_what_is_stored_is_that_of_the_document() -> None:
    """HMAC under the pepper of label, account, id and secret."""
    message = b"EWD1/apppw/verify" + ACCOUNT_ID + b"0123456789" + TOKEN.secret
    assert tokens.verifier(PEPPER, ACCOUNT_ID, TOKEN) == hmac.digest(PEPPER, message, "sha256")


def test_only_the_right_token_of_the_right_account_is_right() -> None:
    """Another secret, id, account, pepper or verifier is not."""
    stored = tokens.verifier(PEPPER, ACCOUNT_ID, TOKEN)
    assert tokens.verify(PEPPER, ACCOUNT_ID, tokens.parse(TEXT), stored)
    for pepper, account_id, token, expected in [
        (PEPPER, ACCOUNT_ID, AppToken(TOKEN.id, bytes(20)), stored),
        (PEPPER, ACCOUNT_ID, AppToken("0123456788", TOKEN.secret), stored),
        (PEPPER, OTHER_ACCOUNT, TOKEN, stored),
        (bytes(32), ACCOUNT_ID, TOKEN, stored),
        (PEPPER, ACCOUNT_ID, TOKEN, bytes(32)),
        (PEPPER, ACCOUNT_ID, TOKEN, b""),
    ]:
        assert not tokens.verify(pepper, account_id, token, expected)


def test_an_unknown_id_is_as_much_work_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same keyed hash over as many bytes and the same comparison, and the answer is no."""
    work: list[tuple[int, int]] = []

    def seen_hash(key: bytes, message: bytes) -> bytes:
        work.append((len(key), len(message)))
        return primitives.hmac_sha256(key, message)

    def seen_compare(left: bytes, right: bytes) -> bool:
        work.append((len(left), len(right)))
        return primitives.constant_time_equal(left, right)

    monkeypatch.setattr(tokens, "hmac_sha256", seen_hash)
    monkeypatch.setattr(tokens, "constant_time_equal", seen_compare)
    assert not tokens.verify(PEPPER, ACCOUNT_ID, TOKEN, bytes(32))
    known = list(work)
    work.clear()
    assert not tokens.verify_unknown(PEPPER, TOKEN)
    assert work == known == [(32, 63), (32, 32)]


def test_a_printed_token_does_not_show_its_secret() -> None:
    """Neither as bytes nor as characters."""
    assert repr(TOKEN) == "AppToken(id='0123456789')"


# ── recovery codes ──────────────────────────────────────────────────────────────────────────────────────────
def test_a_recovery_code_reads_back() -> None:
    """24 characters in six groups, and the same 15 bytes again."""
    code = tokens.mint_recovery_code()
    text = tokens.recovery_text(code)
    assert re.fullmatch("(?:[0-9a-hjkmnp-tv-z]{4}-){5}[0-9a-hjkmnp-tv-z]{4}", text)
    assert len(code) == 15
    assert tokens.parse_recovery_code(text) == code
    assert tokens.mint_recovery_code() != code


def test_verifiers_of_recovery_codes_are_bound() -> None:
    """To pepper, account and code; and none is the verifier of an app password."""
    code, other = bytes(15), bytes(14) + b"\1"
    verifiers = {
        tokens.recovery_verifier(pepper, account_id, each)
        for pepper in (b"p" * 32, b"q" * 32)
        for account_id in (ACCOUNT_ID, OTHER_ACCOUNT)
        for each in (code, other)
    }
    assert len(verifiers) == 8
