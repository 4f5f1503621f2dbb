"""What somebody with a right app password may try over the wire, and no honest client does."""

from __future__ import annotations

import pytest

from tests.conformance import multistatus
from tests.conformance.client import Client
from tests.conformance.multistatus import DAV

WIN32 = "{urn:schemas-microsoft-com:}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"{DAV}creationdate", "0001-01-01T00:00:00+23:59"),
        (f"{DAV}creationdate", "9999-12-31T23:59:59-23:59"),
        (f"{DAV}creationdate", "0001-01-01T00:00:00Z"),
        (f"{DAV}getlastmodified", "Fri, 31 Dec 9999 23:59:59 GMT"),
        (f"{WIN32}Win32CreationTime", "Fri, 31 Dec 9999 23:59:59 -2359"),
        (f"{DAV}lastmodified", "9" * 100_000),
    ],
)
@pytest.mark.usefixtures("ours")
def test_time_at_the_end_of_the_calendar_is_409(dav: Client, name: str, value: str) -> None:
    """A date that cannot be stored is the property's conflict, never a fault of the server."""
    dav.made("file")
    before = dav.property("file", f"{DAV}getlastmodified"), dav.property("file", f"{DAV}creationdate")
    assert multistatus.only(dav.proppatch("file", (name, value))).names(409) == {name}
    assert (
        dav.property("file", f"{DAV}getlastmodified"),
        dav.property("file", f"{DAV}creationdate"),
    ) == before
