"""The composition root: from settings to services, in one place, in one order.

Nothing here is a global, and nothing below ever sees the settings. Called by `davserver.cli` and by tests.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path

from davserver.audit import AuditSink, LogAuditSink
from davserver.blobs import BlobStore, open_blob_store
from davserver.clock import Clock, utc_now
from davserver.db.engine import Database
from davserver.errors import ConfigError, StorageFull
from davserver.keyring import Keyring, open_keyring
from davserver.settings import Settings

SQLITE = "sqlite:///"

MIN_FREE_BYTES = 1024**2
"""With less space than this nothing is started: not even the database could note anything."""
