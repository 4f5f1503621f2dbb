"""What somebody with a right app password may try against the server that everybody shares."""

from __future__ import annotations

from davserver.dav import multistatus
from davserver.dav.multistatus import RowWriter
from davserver.dav.properties import facts
from davserver.dav.xml_body import MAX_PROPERTIES, Mode, Propfind
from davserver.model import Scope
from tests.unit.dav.nodes import make_file

MIB = 1 << 20


def test_a_listing_of_many_long_properties_stays_small_in_memory() -> None:
    """Rows grow with what is asked for; what is held at once does not, or few requests would fill memory."""
    asked = tuple(f"{{urn:x}}{number:03}{'x' * 470}" for number in range(MAX_PROPERTIES))
    writer = RowWriter(Propfind(Mode.NAMED, asked), facts(Scope.FULL, None), minimal=False)
    rows = (writer.row(f"/dav/{number}", make_file()) for number in range(100))
    assert max(len(block) for block in multistatus.blocks(rows)) < MIB
