"""What tests/vectors/primitives.json holds: the edges of four primitives, answers from another library.

Each case says whether it is valid, and a comment what is special about it. The inputs of RFC 4231, RFC
5869 and two test cases of GCM's authors are among them; the test knows what these documents say comes out.
"""

import hashlib
from collections.abc import Iterator

from Crypto.Cipher import AES
from Crypto.Hash import HMAC, SHA256

from tests.vectors.blob_cases import flipped
from tests.vectors.case_file import Case

GCM_KEYS = (bytes(range(32)), bytes(32), b"\xff" * 32)
SIV_KEY = bytes(range(64))
NONCE = bytes(range(12))
BLOCK_EDGES = (0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 1000)
"""Lengths around the blocks of AES and SHA-256."""

LONG_MESSAGE = (
    b"This is a test using a larger than block-size key and a larger than block-size data. "
    b"The key needs to be hashed before being used by the HMAC algorithm."
)
"""Of RFC 4231."""

MAX_OUTPUT = 255 * 32
"""The most that HKDF-SHA256 gives."""


def some(length: int, seed: int = 0) -> bytes:
    """Bytes without a pattern, always the same."""
    return hashlib.shake_128(bytes([seed])).digest(length)


def case(what: str, comment: str, *, valid: bool, **inputs: object) -> Case:
    """A case; an invalid one must be refused."""
    return {"what": what, "comment": comment, "valid": valid, **inputs}


def gcm_seal(key: bytes, nonce: bytes, data: bytes, plain: bytes) -> bytes:
    """AES-256-GCM."""
    ciphertext, tag = AES.new(key, AES.MODE_GCM, nonce).update(data).encrypt_and_digest(plain)
    return ciphertext + tag


def siv_seal(key: bytes, data: list[bytes], plain: bytes) -> bytes:
    """AES-SIV without a nonce parameter."""
    cipher = AES.new(key, AES.MODE_SIV)
    for part in data:
        cipher.update(part)
    ciphertext, tag = cipher.encrypt_and_digest(plain)
    return tag + ciphertext


def tampered(sealed: bytes, tag_at: int) -> Iterator[tuple[str, bytes]]:
    """Everything that can be wrong with a sealed string whose tag begins at `tag_at`."""
    for bit in range(128):
        yield f"bit {bit} of the tag flipped", flipped(sealed, tag_at + bit // 8, bit % 8)
    tag_end = tag_at + 16
    for what, tag in (
        ("of zeros", bytes(16)),
        ("of ones", b"\xff" * 16),
        ("inverted", bytes(255 - x for x in sealed[tag_at:tag_end])),
        ("reversed", sealed[tag_at:tag_end][::-1]),
    ):
        yield f"tag {what}", sealed[:tag_at] + tag + sealed[tag_end:]
    yield "last byte cut", sealed[:-1]
    yield "first byte cut", sealed[1:]
    yield "a byte behind", sealed + b"\0"
    yield "a byte in front", b"\0" + sealed
    yield "half a tag", sealed[:tag_at] + sealed[tag_at : tag_at + 8] + sealed[tag_end:]
    yield "no tag", sealed[:tag_at] + sealed[tag_end:]
    yield "nothing", b""
    yield "less than a tag", sealed[:15]


def gcm_cases() -> Iterator[Case]:
    """AES-256-GCM."""
    for comment, plain in {"GCM test case 13": b"", "GCM test case 14": bytes(16)}.items():
        inputs = {"key": bytes(32), "nonce": bytes(12), "data": b"", "plain": plain}
        yield case("gcm", comment, valid=True, **inputs, sealed=gcm_seal(bytes(32), bytes(12), b"", plain))
    for at, length in enumerate(BLOCK_EDGES):
        for data in (b"", some(1, 2), some(24, 2), some(257, 2)):
            key, plain = GCM_KEYS[at % 3], some(length, 1)
            inputs = {"key": key, "nonce": NONCE, "data": data, "plain": plain}
            sealed = gcm_seal(key, NONCE, data, plain)
            yield case("gcm", f"{length} bytes, data of {len(data)}", valid=True, **inputs, sealed=sealed)
    key, data, plain = GCM_KEYS[0], some(24, 2), some(33, 1)
    for nonce in (bytes(12), b"\xff" * 12, bytes(11) + b"\1"):
        inputs = {"key": key, "nonce": nonce, "data": data, "plain": plain}
        yield case(
            "gcm", f"nonce {nonce.hex()}", valid=True, **inputs, sealed=gcm_seal(key, nonce, data, plain)
        )


def gcm_refusals() -> Iterator[Case]:
    """AES-256-GCM: what does not open."""
    key, data, plain = GCM_KEYS[0], some(24, 2), some(33, 1)
    inputs = {"key": key, "nonce": NONCE, "data": data, "plain": plain}
    sealed = gcm_seal(key, NONCE, data, plain)
    for comment, wrong in tampered(sealed, len(plain)):
        yield case("gcm", comment, valid=False, **inputs, sealed=wrong)
    for at in range(0, len(plain), 8):
        yield case("gcm", f"bit of byte {at} flipped", valid=False, **inputs, sealed=flipped(sealed, at))
    other = {
        "other key": {"key": flipped(key, 31)},
        "other nonce": {"nonce": flipped(NONCE, 11)},
        "other data": {"data": flipped(data, 0, 7)},
        "data cut": {"data": data[:-1]},
        "data longer": {"data": data + b"\0"},
        "no data": {"data": b""},
        "data and ciphertext apart elsewhere": {"data": data + sealed[:1], "sealed": sealed[1:]},
    }
    for comment, change in other.items():
        yield case("gcm", comment, valid=False, **({**inputs, "sealed": sealed} | change))


def wrong_lengths() -> Iterator[Case]:
    """Keys and nonces."""
    key = GCM_KEYS[0]
    for length in (0, 1, 7, 8, 11, 13, 16, 24, 32):
        yield case("gcm-nonce", f"nonce of {length} bytes", valid=False, key=key, nonce=bytes(length))
    for length in (0, 15, 16, 24, 31, 32, 33, 64):
        yield case("gcm-key", f"key of {length} bytes", valid=length == 32, key=bytes(length))
    for length in (0, 16, 32, 48, 63, 64, 65, 96, 128):
        yield case("siv-key", f"key of {length} bytes", valid=length == 64, key=some(length, 9))


def siv_cases() -> Iterator[Case]:
    """AES-SIV with a key of 64 bytes."""
    shapes: list[list[bytes]] = [[], [b""], [some(1, 3)], [some(16, 3)], [some(17, 3), b"", some(5, 4)]]
    for length in BLOCK_EDGES:
        for data in shapes:
            plain = some(length, 5)
            sealed = siv_seal(SIV_KEY, data, plain)
            comment = f"{length} bytes, data of {[len(one) for one in data]}"
            yield case("siv", comment, valid=True, key=SIV_KEY, data=data, plain=plain, sealed=sealed)
    for count in (1, 2, 6, 50, 126):
        data, plain = [some(at, at) for at in range(count)], some(20, 5)
        sealed = siv_seal(SIV_KEY, data, plain)
        yield case("siv", f"{count} strings", valid=True, key=SIV_KEY, data=data, plain=plain, sealed=sealed)


def siv_refusals() -> Iterator[Case]:
    """AES-SIV: what does not open."""
    parts, plain = [b"EWD1", some(16, 6), some(16, 7)], some(33, 8)
    sealed = siv_seal(SIV_KEY, parts, plain)
    inputs: dict[str, object] = {"key": SIV_KEY, "data": parts, "plain": plain}
    for comment, wrong in tampered(sealed, 0):
        yield case("siv", comment, valid=False, **inputs, sealed=wrong)
    for at in range(16, len(sealed), 8):
        yield case("siv", f"bit of byte {at} flipped", valid=False, **inputs, sealed=flipped(sealed, at))
    for comment, data in {
        "strings swapped": [parts[0], parts[2], parts[1]],
        "strings joined": [parts[0], parts[1] + parts[2]],
        "all strings joined": [b"".join(parts)],
        "a byte from one string to the next": [parts[0], parts[1][:-1], parts[1][-1:] + parts[2]],
        "a string split": [parts[0], parts[1][:8], parts[1][8:], parts[2]],
        "last string missing": parts[:-1],
        "first string missing": parts[1:],
        "an empty string more": [*parts, b""],
        "an empty string in front": [b"", *parts],
        "no strings": [],
        "only an empty string": [b""],
        "reversed": parts[::-1],
        "a string twice": [parts[0], *parts],
        "one bit of a string": [parts[0], flipped(parts[1], 15), parts[2]],
        "a string padded": [parts[0] + b"\0", parts[1], parts[2]],
        "a string padded as CMAC does": [parts[0] + b"\x80" + bytes(11), parts[1], parts[2]],
    }.items():
        yield case("siv", comment, valid=False, **inputs | {"data": data}, sealed=sealed)
    bare = siv_seal(SIV_KEY, [], plain)
    yield case(
        "siv", "an empty string where there was none", valid=False, **inputs | {"data": [b""]}, sealed=bare
    )
    swapped = SIV_KEY[32:] + SIV_KEY[:32]
    for comment, key in {
        "halves of the key swapped": swapped,
        "other key": flipped(SIV_KEY, 63),
        "key for CMAC": flipped(SIV_KEY, 0),
    }.items():
        yield case("siv", comment, valid=False, **inputs | {"key": key}, sealed=sealed)


def hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> tuple[bytes, bytes]:
    """The pseudorandom key and the output of HKDF-SHA256, by RFC 5869 on top of the other library's HMAC."""
    key = hmac_sha256(salt, secret)
    output, block = b"", b""
    for counter in range(-(-length // 32)):
        block = hmac_sha256(key, block + info + bytes([counter + 1]))
        output += block
    return key, output[:length]


def hkdf_cases() -> Iterator[Case]:
    """HKDF-SHA256: both halves."""
    rfc = {
        "RFC 5869, A.1": (bytes(range(13)), b"\x0b" * 22, bytes(range(0xF0, 0xFA)), 42),
        "RFC 5869, A.2": (bytes(range(0x60, 0xB0)), bytes(range(0x50)), bytes(range(0xB0, 0x100)), 82),
        "RFC 5869, A.3": (b"", b"\x0b" * 22, b"", 42),
    }
    edges = {
        f"{length} bytes of output": (some(16, 1), some(32, 2), some(20, 3), length)
        for length in (0, 1, 16, 31, 32, 33, 63, 64, 65, 96, 255, MAX_OUTPUT - 1, MAX_OUTPUT)
    }
    edges |= {
        f"salt of {length} bytes": (some(length, 1), some(32, 2), b"info", 64)
        for length in (0, 1, 16, 32, 63, 64, 65, 128)
    }
    edges |= {
        f"secret of {length} bytes": (some(16, 1), some(length, 2), b"info", 64)
        for length in (0, 1, 16, 31, 33, 64, 65)
    }
    edges |= {
        f"info of {length} bytes": (some(16, 1), some(32, 2), some(length, 3), 64)
        for length in (0, 1, 31, 32, 33, 55, 56, 64, 1024)
    }
    edges["salt of zeros instead of none"] = (bytes(32), b"\x0b" * 22, b"", 42)
    for comment, (salt, secret, info, length) in (rfc | edges).items():
        key, output = hkdf(salt, secret, info, length)
        yield case("hkdf", comment, valid=True, salt=salt, secret=secret, info=info, key=key, output=output)
    for length in (MAX_OUTPUT + 1, 2 * MAX_OUTPUT, 1 << 20):
        yield case("hkdf-length", f"{length} bytes of output", valid=False, length=length)


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256."""
    return HMAC.new(key, message, SHA256).digest()


def hmac_cases() -> Iterator[Case]:
    """HMAC-SHA256."""
    rfc = {
        "RFC 4231, 1": (b"\x0b" * 20, b"Hi There"),
        "RFC 4231, 2": (b"Jefe", b"what do ya want for nothing?"),
        "RFC 4231, 3": (b"\xaa" * 20, b"\xdd" * 50),
        "RFC 4231, 4": (bytes(range(1, 26)), b"\xcd" * 50),
        "RFC 4231, 6": (b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First"),
        "RFC 4231, 7": (
            b"\xaa" * 131,
            LONG_MESSAGE,
        ),
    }
    edges = {
        f"key of {length} bytes": (some(length, 1), some(40, 2))
        for length in (0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000)
    }
    edges |= {
        f"message of {length} bytes": (some(32, 1), some(length, 2))
        for length in (*BLOCK_EDGES, 55, 56, 57, 119, 120, 5000)
    }
    edges["key with a zero behind, which is the same key"] = (some(32, 1) + b"\0", some(40, 2))
    for comment, (key, message) in (rfc | edges).items():
        yield case("hmac", comment, valid=True, key=key, message=message, mac=hmac_sha256(key, message))
    key, message = some(32, 1), some(40, 2)
    mac = hmac_sha256(key, message)
    for bit in range(0, 256, 3):
        wrong = flipped(mac, bit // 8, bit % 8)
        yield case("hmac", f"bit {bit} flipped", valid=False, key=key, message=message, mac=wrong)
    for comment, wrong in {"cut": mac[:-1], "longer": mac + b"\0", "empty": b"", "half": mac[:16]}.items():
        yield case("hmac", comment, valid=False, key=key, message=message, mac=wrong)


def primitive_cases() -> list[Case]:
    """All of them."""
    groups = (gcm_cases, gcm_refusals, wrong_lengths, siv_cases, siv_refusals, hkdf_cases, hmac_cases)
    return [made for group in groups for made in group()]
