"""PROPPATCH of times: all of it or nothing. RFC 4918, 9.2 and 15.7."""

from __future__ import annotations

import hashlib

import pytest

from tests.conformance import multistatus
from tests.conformance.client import Client
from tests.conformance.faults import fault
from tests.conformance.multistatus import DAV, OC, Resource

REFUSES = fault("refuses to set any time")
MODIFIED = f"{DAV}getlastmodified"
TIME = f"{DAV}lastmodified"
"""What rclone sets; ownCloud's name, not the one of RFC 4918."""
WIN32 = "{urn:schemas-microsoft-com:}"

RCLONE = """<?xml version="1.0" encoding="utf-8" ?>
<D:propertyupdate xmlns:D="DAV:">
 <D:set>
  <D:prop>
   <lastmodified xmlns="DAV:">%d</lastmodified>
  </D:prop>
 </D:set>
</D:propertyupdate>
"""
RCLONE_WITH_CHECKSUM = """<?xml version="1.0" encoding="utf-8" ?>
<D:propertyupdate xmlns:D="DAV:" xmlns:oc="http://owncloud.org/ns">
 <D:set>
  <D:prop>
   <lastmodified xmlns="DAV:">%d</lastmodified>
   <oc:checksums>
	<oc:checksum>%s</oc:checksum>
   </oc:checksums>
  </D:prop>
 </D:set>
</D:propertyupdate>
"""
"""What rclone 1.76 sends in SetModTime, byte by byte."""


def update(dav: Client, name: str, body: str) -> Resource:
    """PROPPATCH with a body of one's own, answered with one response."""
    return multistatus.only(dav.ask("PROPPATCH", name, None, body.encode()))


@REFUSES
@pytest.mark.parametrize("name", ["file", "collection"])
def test_rclone_sets_a_time(dav: Client, name: str) -> None:
    """Rclone's own request: one response, nothing but 2xx; the time is everywhere, the ETag is as before."""
    dav.made("file")
    dav.made_collection("collection")
    etag = dav.head("file")["ETag"]
    found = update(dav, name, RCLONE % 1_000_000_000)
    assert found.names() == {TIME}
    assert set(found.properties) == {TIME}
    assert dav.property(name, MODIFIED) == "Sun, 09 Sep 2001 01:46:40 GMT"
    if name == "file":
        head = dav.head("file")
        assert (head["Last-Modified"], head["ETag"]) == ("Sun, 09 Sep 2001 01:46:40 GMT", etag)
    assert dav.get("file").body == b"content"


@REFUSES
def test_rclone_repeats_the_checksum(dav: Client) -> None:
    """Rclone sets what it has read: time and checksum are both 200, and the checksum is still there."""
    checksum = f"SHA1:{hashlib.sha1(b'x').hexdigest()}"
    dav.made("file", b"x", {"OC-Checksum": checksum})
    found = update(dav, "file", RCLONE_WITH_CHECKSUM % (1_000_000_000, checksum))
    assert found.names() == {TIME, f"{OC}checksums"}
    known = dav.properties("file", f"{OC}checksums").element(f"{OC}checksums")
    assert checksum in (known.findtext(f"{OC}checksum") or "").split()


@pytest.mark.usefixtures("ours")
def test_checksum_cannot_be_forged(dav: Client) -> None:
    """A checksum that is not that of the content is refused, and with it the time."""
    dav.made("file", b"x", {"OC-Checksum": f"SHA1:{hashlib.sha1(b'x').hexdigest()}"})
    before = dav.property("file", MODIFIED)
    forged = f"SHA1:{hashlib.sha1(b'y').hexdigest()}"
    found = update(dav, "file", RCLONE_WITH_CHECKSUM % (1_000_000_000, forged))
    assert not found.names()
    assert found.status_of(TIME) == 424
    assert dav.property("file", MODIFIED) == before


@REFUSES
@pytest.mark.parametrize(
    ("property_", "value"),
    [
        (TIME, "1000000000"),
        (TIME, "1000000000.5"),
        (MODIFIED, "Sun, 09 Sep 2001 01:46:40 GMT"),
        (f"{WIN32}Win32LastModifiedTime", "Sun, 09 Sep 2001 01:46:40 GMT"),
    ],
)
def test_time_has_many_names(dav: Client, property_: str, value: str) -> None:
    """rclone, gvfs and Windows set the same time under their own names and in their own formats."""
    dav.made("file")
    assert multistatus.only(dav.proppatch("file", (property_, value))).names() == {property_}
    assert dav.property("file", MODIFIED) == "Sun, 09 Sep 2001 01:46:40 GMT"


@REFUSES
@pytest.mark.parametrize(
    ("property_", "value"),
    [
        (f"{DAV}creationdate", "2001-09-09T01:46:40Z"),
        (f"{WIN32}Win32CreationTime", "Sun, 09 Sep 2001 01:46:40 GMT"),
    ],
)
def test_time_of_creation_is_kept(dav: Client, property_: str, value: str) -> None:
    """The same for the other time that a file has."""
    dav.made("file")
    assert multistatus.only(dav.proppatch("file", (property_, value))).names() == {property_}
    assert dav.property("file", f"{DAV}creationdate").startswith("2001-09-09T01:46:40")


LIVE = [f"{DAV}getetag", f"{DAV}getcontentlength", f"{DAV}resourcetype", f"{DAV}quota-used-bytes"]


@fault("does not know one of the two anyway, and refuses both for reasons of their own")
@pytest.mark.parametrize("protected", LIVE)
@pytest.mark.parametrize("order", ["protected first", "protected last"])
def test_all_or_nothing(dav: Client, protected: str, order: str) -> None:
    """RFC 4918, 9.2 and 9.2.1: one property fails: 403 for it, 424 for the other, and no time was set."""
    dav.made("file")
    before = dav.property("file", MODIFIED)
    values = [(protected, "1"), (TIME, "1000000000")]
    found = multistatus.only(
        dav.proppatch("file", *(values if order == "protected first" else reversed(values)))
    )
    assert found.status_of(protected) == 403
    assert found.status_of(TIME) == 424
    assert dav.property("file", MODIFIED) == before


@pytest.mark.usefixtures("ours")
def test_later_instruction_wins(dav: Client) -> None:
    """RFC 4918, 9.2: instructions are done in the order of the document."""
    dav.made("file")
    body = "<propertyupdate xmlns='DAV:'>" + "".join(
        f"<set><prop><lastmodified>{seconds}</lastmodified></prop></set>" for seconds in (1, 1_000_000_000)
    )
    assert update(dav, "file", f"{body}</propertyupdate>").names() == {TIME}
    assert dav.property("file", MODIFIED) == "Sun, 09 Sep 2001 01:46:40 GMT"


@pytest.mark.parametrize("value", ["", "yesterday", "1e9", "0x1", "99999999999999999999", "nan", "1 2"])
def test_malformed_time_is_refused(dav: Client, value: str) -> None:
    """RFC 4918, 9.2.1: a value that is no time: 403 or 409 for it, in a 207; the time is as before."""
    dav.made("file")
    before = dav.property("file", MODIFIED)
    found = multistatus.only(dav.proppatch("file", (TIME, value)))
    assert found.status_of(TIME) in {403, 409}
    assert dav.property("file", MODIFIED) == before


@fault("does not say why")
def test_protected_property_says_so(dav: Client) -> None:
    """RFC 4918, 9.2.1 and 16: 403 with cannot-modify-protected-property, also for removing."""
    dav.made("file")
    answer = dav.proppatch("file", (f"{DAV}getetag", "x"))
    assert multistatus.only(answer).status_of(f"{DAV}getetag") == 403
    assert b"cannot-modify-protected-property" in answer.body
    body = '<propertyupdate xmlns="DAV:"><remove><prop><getetag/></prop></remove></propertyupdate>'
    assert update(dav, "file", body).status_of(f"{DAV}getetag") == 403


@pytest.mark.parametrize("name", ["missing", "missing/below"])
def test_missing_is_404(dav: Client, name: str) -> None:
    """RFC 9110, 15.5.5: nothing is made by a PROPPATCH."""
    assert dav.proppatch(name, (TIME, "1")).status == 404
    assert dav.tree() == {}


NO_INSTRUCTION = fault("answers 207 without a response")


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        pytest.param(b'<propertyupdate xmlns="DAV:"/>', marks=NO_INSTRUCTION),
        pytest.param(b'<propertyupdate xmlns="DAV:"><set/></propertyupdate>', marks=NO_INSTRUCTION),
        pytest.param(
            b'<propertyupdate xmlns="DAV:"><set><prop/></set></propertyupdate>', marks=NO_INSTRUCTION
        ),
    ],
)
def test_empty_update_is_400(dav: Client, body: bytes | None) -> None:
    """RFC 4918, 14.19: at least one instruction for at least one property."""
    dav.made("file")
    assert dav.ask("PROPPATCH", "file", None, body).status == 400


@pytest.mark.usefixtures("ours")
def test_condition_is_judged_before(dav: Client) -> None:
    """RFC 9110, 13.1.1: If-Match with another ETag: 412 and the time is as before."""
    dav.made("file")
    before = dav.property("file", MODIFIED)
    assert dav.proppatch("file", (TIME, "1"), headers={"If-Match": '"another"'}).status == 412
    assert dav.property("file", MODIFIED) == before
