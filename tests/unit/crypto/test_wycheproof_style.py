"""The primitives at their edges: every case of tests/vectors/primitives.json through our wrapper.

The answers come from another library, and for some from the documents that define the primitives.
"""

from __future__ import annotations

import pytest
from Crypto.Cipher import AES

from davserver.crypto.primitives import (
    TAG_BYTES,
    AesGcm,
    AesSiv,
    HmacSha256,
    InvalidTag,
    constant_time_equal,
    hkdf_expand,
    hkdf_extract,
    hmac_sha256,
)
from tests.vectors.case_file import PRIMITIVES, Case, cases_of

CASES = cases_of(PRIMITIVES)

PUBLISHED = {
    "GCM test case 13": "530f8afbc74536b9a963b4f1c4cb738b",
    "GCM test case 14": "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    "RFC 5869, A.1": "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    "RFC 5869, A.2": "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
    "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    "RFC 5869, A.3": "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    "RFC 4231, 1": "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    "RFC 4231, 2": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "RFC 4231, 3": "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    "RFC 4231, 4": "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    "RFC 4231, 6": "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    "RFC 4231, 7": "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
}

ANSWERS = {"gcm": "sealed", "hkdf": "output", "hmac": "mac"}
"""Which input of a case the document gives."""


def cases(what: str, *, valid: bool) -> pytest.MarkDecorator:
    """The cases of a kind as parameters."""
    found = [case for case in CASES if (case["what"], case["valid"]) == (what, valid)]
    return pytest.mark.parametrize("case", found, ids=[case["comment"] for case in found])


def gcm_open(case: Case) -> tuple[bytes, bytearray]:
    """What comes out, and the memory that it was written to; both may be wrong after an error."""
    out = bytearray(max(0, len(case["sealed"]) - TAG_BYTES))
    AesGcm(case["key"]).decrypt_into(case["nonce"], case["sealed"], case["data"], out)
    return bytes(out), out


@cases("gcm", valid=True)
def test_gcm_gives_the_answer_and_takes_it_back(case: Case) -> None:
    """Both directions, into memory of exactly the right size."""
    out = bytearray(len(case["plain"]) + TAG_BYTES)
    assert AesGcm(case["key"]).encrypt_into(case["nonce"], case["plain"], case["data"], out) == len(out)
    assert out == case["sealed"]
    assert gcm_open(case)[0] == case["plain"]


@cases("gcm", valid=False)
def test_gcm_refuses(case: Case) -> None:
    """A tag that does not fit, in whatever way."""
    with pytest.raises(InvalidTag):
        gcm_open(case)


@cases("gcm-nonce", valid=False)
def test_gcm_refuses_a_nonce_of_another_length(case: Case) -> None:
    """Other lengths would be hashed into a nonce, which may meet another one."""
    cipher, memory = AesGcm(case["key"]), bytearray(TAG_BYTES)
    with pytest.raises(ValueError, match="12 bytes"):
        cipher.encrypt_into(case["nonce"], b"", b"", memory)
    with pytest.raises(ValueError, match="12 bytes"):
        cipher.decrypt_into(case["nonce"], memory, b"", bytearray())


@pytest.mark.parametrize(("what", "cipher"), [("gcm-key", AesGcm), ("siv-key", AesSiv)])
def test_keys_of_another_length_are_refused(what: str, cipher: type[AesGcm | AesSiv]) -> None:
    """A shorter key would be another cipher."""
    for case in (case for case in CASES if case["what"] == what):
        if case["valid"]:
            cipher(case["key"])
            continue
        with pytest.raises(ValueError, match="bytes is needed"):
            cipher(case["key"])


@cases("siv", valid=True)
def test_siv_gives_the_answer_and_takes_it_back(case: Case) -> None:
    """Both directions; none and an empty string of associated data are different things."""
    cipher = AesSiv(case["key"])
    assert cipher.encrypt(case["plain"], case["data"]) == case["sealed"]
    assert cipher.decrypt(case["sealed"], case["data"]) == case["plain"]


@cases("siv", valid=False)
def test_siv_refuses(case: Case) -> None:
    """An altered string, or associated data in another order or cut elsewhere."""
    with pytest.raises(InvalidTag):
        AesSiv(case["key"]).decrypt(case["sealed"], case["data"])


@cases("hkdf", valid=True)
def test_hkdf_gives_the_answer(case: Case) -> None:
    """Both halves, from no byte to the most that there can be."""
    assert hkdf_extract(case["salt"], case["secret"]) == case["key"]
    assert hkdf_expand(case["key"], case["info"], len(case["output"])) == case["output"]


@cases("hkdf-length", valid=False)
def test_hkdf_refuses_to_give_more_than_it_can(case: Case) -> None:
    """The counter of blocks has one byte: it must not start anew."""
    with pytest.raises(ValueError, match="8160"):
        hkdf_expand(bytes(32), b"", case["length"])


@cases("hmac", valid=True)
def test_hmac_gives_the_answer(case: Case) -> None:
    """The function and the class for keys that are used often."""
    assert hmac_sha256(case["key"], case["message"]) == case["mac"]
    often = HmacSha256(case["key"])
    assert [often.digest(case["message"]), often.digest(case["message"])] == [case["mac"]] * 2


@cases("hmac", valid=False)
def test_a_wrong_hmac_is_not_equal(case: Case) -> None:
    """A difference anywhere, or another length."""
    assert not constant_time_equal(hmac_sha256(case["key"], case["message"]), case["mac"])


def test_the_published_answers_come_out() -> None:
    """Those that the documents give: the other library could be wrong as well."""
    found = {
        case["comment"]: case[ANSWERS[case["what"]]].hex() for case in CASES if case["comment"] in PUBLISHED
    }
    assert found == PUBLISHED


def test_the_other_library_is_right_about_siv() -> None:
    """RFC 5297, A.1, which has a shorter key than ours: this library's answers are what we compare with."""
    key = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    cipher = AES.new(key, AES.MODE_SIV)
    cipher.update(bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627"))
    ciphertext, tag = cipher.encrypt_and_digest(bytes.fromhex("112233445566778899aabbccddee"))
    assert tag.hex() == "85632d07c6e8f37f950acd320a2ecc93"
    assert ciphertext.hex() == "40c02b9690c4dc04daef7f6afe5c"
