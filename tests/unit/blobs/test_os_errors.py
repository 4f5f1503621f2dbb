"""davserver/blobs/os_errors.py: every error of the system becomes one of ours, in plain words."""

from __future__ import annotations

import errno
import os
import traceback

import pytest

from davserver.blobs.os_errors import os_errors_translated, storage_error
from davserver.errors import StorageFull, StorageUnavailable


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_every_code_becomes_storage_full_or_unavailable(code: int) -> None:
    """Want of space, and only that, is StorageFull; everything else is StorageUnavailable; one line each."""
    error = storage_error(OSError(code, os.strerror(code), "/secret/place"))
    assert type(error) is (StorageFull if code in {errno.ENOSPC, errno.EDQUOT} else StorageUnavailable)
    assert str(error).strip()
    assert "\n" not in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "raise it"),
        (errno.ENOENT, "mount the disk"),
        (errno.ENOTDIR, "mount the disk"),
        (errno.EACCES, "give it to the user"),
        (errno.EPERM, "give it to the user"),
        (errno.EROFS, "for writing"),
        (errno.EIO, "check it"),
        (errno.EMFILE, "raise the server's limit"),
        (errno.EFBIG, os.strerror(errno.EFBIG)),
    ],
)
def test_the_line_says_what_to_do(code: int, advice: str) -> None:
    """What an administrator can meet comes with advice; the rest at least with the system's own words."""
    assert advice in str(storage_error(OSError(code, "whatever", "/secret/place")))


def test_an_error_without_a_code_is_translated_too() -> None:
    """An OSError need not carry a number."""
    assert type(storage_error(OSError("no number"))) is StorageUnavailable


def test_the_path_does_not_reach_the_traceback() -> None:
    """The original error, which names the path, is not printed with ours."""
    with pytest.raises(StorageUnavailable) as caught, os_errors_translated():
        os.stat("/no/such/" + "place")  # noqa: PTH116 - the cheapest real OSError
    assert "/no/such/place" not in "".join(traceback.format_exception(caught.value))


def test_other_errors_pass() -> None:
    """Only what the system reports is translated: bugs stay bugs."""
    with pytest.raises(ZeroDivisionError), os_errors_translated():
        _ = 1 // int("0")
