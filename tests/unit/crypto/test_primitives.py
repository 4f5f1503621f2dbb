"""The primitives against the published test vectors of their standards."""

from __future__ import annotations

import pytest

from davserver.crypto import primitives
from davserver.crypto.primitives import AesGcm, AesSiv, HmacSha256, InvalidTag


def test_aes_256_gcm_gives_the_answer_of_its_authors() -> None:
    """Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation", both ways."""
    cipher = AesGcm(bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2))
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    sealed = bytearray(len(plain) + 16)
    assert cipher.encrypt_into(nonce, plain, associated, sealed) == len(sealed)
    assert sealed.hex() == (
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
    )
    opened = bytearray(len(plain))
    assert cipher.decrypt_into(nonce, sealed, associated, opened) == len(plain)
    assert opened == plain


def test_gcm_refuses_other_associated_data() -> None:
    """Data that is only associated is authenticated too."""
    cipher = AesGcm(bytes(32))
    sealed = bytearray(20)
    cipher.encrypt_into(bytes(12), b"text", b"this", sealed)
    with pytest.raises(InvalidTag):
        cipher.decrypt_into(bytes(12), sealed, b"that", bytearray(4))


def test_aes_256_siv_with_several_strings_of_associated_data() -> None:
    """A vector of Miscreant (aes_siv.tjson, "AES-SIV-CMAC-512"), both ways."""
    cipher = AesSiv(
        bytes.fromhex(
            "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0"
            "6f6e6d6c6b6a69686766656463626160"
            "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
            "000102030405060708090a0b0c0d0e0f"
        )
    )
    associated = [bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")]
    plain = bytes.fromhex("112233445566778899aabbccddee")
    sealed = bytes.fromhex("f125274c598065cfc26b0e71575029088b035217e380cac8919ee800c126")
    assert cipher.encrypt(plain, associated) == sealed
    assert cipher.decrypt(sealed, associated) == plain


@pytest.mark.parametrize("length", [0, 1, 15, 16, 19])
def test_siv_refuses_what_is_too_short_or_wrong(length: int) -> None:
    """No length of rubbish is anything but an invalid tag."""
    with pytest.raises(InvalidTag):
        AesSiv(bytes(64)).decrypt(bytes(length), [b"x"])


def test_siv_tells_where_one_string_ends_and_the_next_begins() -> None:
    """Moving a byte from one associated string to the next is noticed."""
    cipher = AesSiv(bytes(64))
    sealed = cipher.encrypt(b"text", [b"ab", b"c"])
    with pytest.raises(InvalidTag):
        cipher.decrypt(sealed, [b"a", b"bc"])


def test_hkdf_gives_the_answers_of_its_standard() -> None:
    """RFC 5869, A.1."""
    key = primitives.hkdf_extract(bytes(range(13)), b"\x0b" * 22)
    assert key.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    assert primitives.hkdf_expand(key, bytes(range(0xF0, 0xFA)), 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_both_ways_to_hmac_give_the_answer_of_its_standard() -> None:
    """RFC 4231, test case 2; the reusable form gives it every time."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    message = b"what do ya want for nothing?"
    assert primitives.hmac_sha256(b"Jefe", message).hex() == expected
    keyed = HmacSha256(b"Jefe")
    assert [keyed.digest(message).hex() for _ in range(2)] == [expected] * 2


def test_sha256_gives_the_answer_of_its_standard() -> None:
    """FIPS 180-4, the one-block example."""
    assert primitives.sha256(b"abc").hex() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@pytest.mark.parametrize("cipher", [AesGcm, AesSiv])
@pytest.mark.parametrize("length", [0, 16, 31, 33, 48, 63, 65])
def test_no_cipher_takes_a_key_of_another_length(cipher: type[AesGcm | AesSiv], length: int) -> None:
    """A shorter key would silently mean a weaker cipher."""
    with pytest.raises(ValueError, match="bytes is needed"):
        cipher(bytes(length))


def test_random_bytes_are_as_many_as_asked_for_and_differ() -> None:
    """Two draws of 32 bytes are equal once in 2^256."""
    assert len(primitives.random_bytes(32)) == 32
    assert primitives.random_bytes(32) != primitives.random_bytes(32)


def test_comparison_is_a_comparison() -> None:
    """Equal is equal, a difference or another length is not."""
    assert primitives.constant_time_equal(b"abc", b"abc")
    assert not primitives.constant_time_equal(b"abc", b"abd")
    assert not primitives.constant_time_equal(b"abc", b"ab")
