"""Bad luck and bad keys at the very first start, which has nothing yet to be compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from davserver.bootstrap import StoreState, build_services, store_state
from davserver.errors import DavserverError, MasterKeyError
from davserver.master_key import create_master_key
from davserver.settings import GcSettings, KeySettings, Settings, StorageSettings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A place where nothing is yet."""
    return Settings(
        storage=StorageSettings(data_dir=tmp_path / "data", durability="relaxed"),
        keys=KeySettings(master_key_file=tmp_path / "keys" / "master.key"),
        gc=GcSettings(interval_minutes=0),
    )


def test_a_key_that_cannot_be_used_makes_no_store(settings: Settings) -> None:
    """The key is judged before there is a database: half a store would be taken for one later on."""
    create_master_key(settings.keys.master_key_file)
    settings.keys.master_key_file.chmod(0o644)
    with pytest.raises(MasterKeyError):
        build_services(settings)
    assert store_state(settings) is StoreState.KEY_ONLY


def test_a_first_start_that_failed_is_made_good_by_the_next(settings: Settings) -> None:
    """Wherever it was cut off: a store without a place for files would refuse them for ever."""
    blobs = settings.storage.data_dir / "blobs"
    settings.storage.data_dir.mkdir()
    blobs.write_text("in the way")
    with pytest.raises(DavserverError):
        build_services(settings)
    blobs.unlink()
    services = build_services(settings)
    try:
        services.blobs.check()
    finally:
        services.close()
