"""What really is on a server, seen past every client: requests of our own, read strictly."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.client import Client
from tests.conformance.multistatus import DAV
from tests.e2e.drive import Device, Drive

LOCKS = f"{DAV}lockdiscovery"


def witness(drive: Drive, device: Device) -> Client:
    """The drive of a device, without any program in between."""
    return Client(("127.0.0.1", drive.port), device.authorization)


def locked(client: Client, folder: str = "") -> Iterator[str]:
    """Paths of all that is locked below a collection; `folder` ends with a slash or is the drive itself."""
    for name, resource in client.listing(folder, f"{DAV}resourcetype", LOCKS).items():
        if len(resource.element(LOCKS)):
            yield folder + name
        if name.endswith("/"):
            yield from locked(client, folder + name)
