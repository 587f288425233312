"""Where the bytes of cases lie, how much a case may hold, and how long the bytes of removed files are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.chassis.blobs import Blobs, open_store
from services.chassis.database import Database
from services.chassis.settings import Settings
from services.petition.adapters.tables_attachments import blobs, chunks
from services.petition.domain.attachment import Quota

SERVICE = "petition"
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class FileRoom:
    """The room for files, as the settings furnish it."""

    blobs: Blobs
    quota: Quota
    keep_removed: timedelta


def open_room(settings: Settings, db: Database) -> FileRoom:
    """The room for the files of petitions."""
    return FileRoom(
        Blobs(db, blobs, open_store(settings, SERVICE, db, chunks)),
        Quota(settings.case_files, settings.case_files_mb * _MEBIBYTE),
        timedelta(days=settings.removed_files_keep_days),
    )
