"""The second implementation is one: nothing of ours is in it, it is short, and it makes exactly its files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vectors import blob_cases as sample
from tests.vectors import vector_file
from tests.vectors.generate import files
from tests.vectors.reader import HMAC, MASTER_MAC, ROOT, derive, row_mac
from tests.vectors.row_cases import (
    ACCOUNT_KEY,
    DEVICE,
    INSTANCE,
    MASTER,
    NODE,
    NONCE,
    PARENT,
    ROOT_KEY,
    audit_entries,
)
from tests.vectors.writer import (
    BlobWriter,
    Metadata,
    crockford,
    pad32,
    seal_metadata,
    seal_name,
    siv_seal,
    token_check,
    verifier,
)

FOLDER = Path(__file__).parent
PAGE = (FOLDER.parents[1] / "docs" / "format.md").read_text()

MADE_OF_OURS = {"__init__", "ours", "stored"}
"""Modules beside the tests that may use the server's code."""

WRITER = BlobWriter(sample.ACCOUNT, sample.FILE_KEY, sample.BLOB_ID, sample.SALT, 16)

Value = bytes | str | int | None

AUDIT_ANSWERS = {"commitment": "client_commitment", "link": "link"}
"""Columns of the page's audit entry, by what the page calls them."""

READER_LINES = 200
"""The reader has fewer lines than this: issue 4."""

FOREIGN = {"davserver", "enroll_web", "cryptography"}


def independent_modules() -> list[Path]:
    """Reader, writer and generator, with what they are made of."""
    found = [path for path in FOLDER.glob("*.py") if not path.stem.startswith("test_")]
    return [path for path in found if path.stem not in MADE_OF_OURS]


@pytest.mark.parametrize("path", independent_modules(), ids=lambda path: path.stem)
def test_nothing_of_ours_is_imported(path: Path) -> None:
    """Neither the server's code nor the library that the server has its ciphers from."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
        assert not FOREIGN & {name.partition(".")[0] for name in names}
        assert not {"tests.vectors.ours"} & set(names)


def test_the_generator_runs_without_ours() -> None:
    """Not even by a detour."""
    code = "import sys, tests.vectors.generate; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=FOLDER.parents[1]
    )
    assert not FOREIGN & {name.partition(".")[0] for name in loaded.stdout.split()}


def test_the_reader_is_short() -> None:
    """And stands alone: it imports no other module of this folder."""
    text = (FOLDER / "reader.py").read_text()
    assert len(text.splitlines()) < READER_LINES
    assert "import tests" not in text
    assert "from tests" not in text


def test_the_files_are_what_the_generator_makes() -> None:
    """To the byte; and there is none that it does not make."""
    made = files()
    assert set(vector_file.FOLDER.iterdir()) == {path for path in made if path.parent == vector_file.FOLDER}
    for path, text in made.items():
        assert path.read_text() == text, path.name


def known_answers() -> dict[str, str]:
    """The block of docs/format.md that is meant for programs."""
    block = re.search(r"```known-answers\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    return dict(re.split(r"  +", line, maxsplit=1) for line in block[1].splitlines())


def node_answers() -> dict[str, bytes]:
    """The file of the page, and a property of it."""
    name = seal_name(ROOT_KEY, sample.ACCOUNT, PARENT, "report.pdf")
    commitment = WRITER.header()[56:]
    times = 1_700_000_000_123_456_789, 1_600_000_000_000_000_000
    plain = Metadata(
        "report.pdf",
        100_000,
        *times,
        blob_id=sample.BLOB_ID,
        blob_length=100_120,
        commitment=commitment,
        sha1=bytes(range(20)),
        extras={"md5": bytes(range(16))},
    ).plain()
    row = {"account_id": sample.ACCOUNT, "node_id": NODE, "parent_id": PARENT, "kind": 1, "version": 5}
    start, label = [b"EWD1/property", sample.ACCOUNT, NODE], "EWD1/user/property"
    property_name = siv_seal(ROOT_KEY, label, [*start, b"\1"], pad32(b"{urn:example}colour"))
    value = siv_seal(ROOT_KEY, label, [*start, b"\2", NONCE, property_name], pad32(b"green"))
    return {
        "blob commitment": commitment,
        "sealed name": name,
        "sealed name in root": seal_name(ROOT_KEY, sample.ACCOUNT, ROOT, "report.pdf"),
        "metadata plaintext": plain,
        "sealed metadata": seal_metadata(ROOT_KEY, row | {"name_sealed": name}, NONCE, plain),
        "sealed property name": property_name,
        "sealed property value": NONCE + value,
    }


def key_answers() -> dict[str, bytes]:
    """Wraps, verifiers, authenticators."""
    account, blob = sample.ACCOUNT, sample.BLOB_ID
    one = (1).to_bytes(4)
    fields: list[Value] = [account, -12, "é", None, int(True)]
    entry = next(audit_entries())
    return {
        "key check": derive(MASTER, "EWD1/master/keycheck", 16),
        "account commitment": derive(ROOT_KEY, "EWD1/user/commit", 32),
        "wrapped account key": siv_seal(
            MASTER, "EWD1/master/user-wrap", [b"EWD1/uk", INSTANCE, account, one, one], ACCOUNT_KEY
        ),
        "wrapped file key": siv_seal(
            ROOT_KEY, "EWD1/user/file-wrap", [b"EWD1/fk", account, blob, b"\1", one], sample.FILE_KEY
        ),
        "sealed totp secret": siv_seal(
            MASTER,
            "EWD1/master/totp",
            [b"EWD1/totp", account, DEVICE, (7).to_bytes(8)],
            b"12345678901234567890",
        ),
        "app password verifier": verifier(
            derive(MASTER, "EWD1/master/pepper", 32), account, "0123456789", bytes(range(20))
        ),
        "row, master key": row_mac(MASTER, MASTER_MAC, "example", fields),
        "row, account key": row_mac(ROOT_KEY, "EWD1/user/row-mac", "example", fields),
        **{f"audit {name}": entry[column] for name, column in AUDIT_ANSWERS.items()},
    }


def test_the_known_answers_of_the_page_come_out() -> None:
    """The page, our code (tests/unit/crypto) and the second implementation agree."""
    body = "0123456789" + crockford(bytes(range(20)))
    empty = WRITER.chunk(0, b"", final=True)
    found = {name: value.hex() for name, value in (node_answers() | key_answers()).items()}
    found |= {"app password": f"ew1-{body}{token_check(body)}", "tag of empty chunk": empty.hex()}
    listed = known_answers()
    assert found == {name: listed[name] for name in found}
    assert HMAC(sample.ACCOUNT, ACCOUNT_KEY) == ROOT_KEY
