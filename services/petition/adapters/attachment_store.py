"""The files of cases in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, insert, select, update

from services.chassis.blobs import Blobs
from services.chassis.database import Tx
from services.petition.adapters.tables_attachments import attachments
from services.petition.application.attachments import Files, KeptFiles
from services.petition.domain.attachment import Attachment, Removal, Usage

_C = attachments.c
_REMOVAL = ("removed_at", "removed_by", "removed_unit", "removed_reason")


class SqlFiles(Files):
    """Files, read on one connection."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def find(self, petition_id: str, file_id: str) -> Attachment | None:
        """One file of this petition."""
        return self._one(select(attachments).where(_C.id == file_id, _C.petition_id == petition_id))

    def by_request(self, petition_id: str, account: str, request_id: str) -> Attachment | None:
        """The file that this account added with this request id."""
        wanted = (_C.petition_id == petition_id, _C.uploaded_by == account, _C.request_id == request_id)
        return self._one(select(attachments).where(*wanted))

    def usage(self, petition_id: str) -> Usage:
        """What the petition holds, without what was removed."""
        query = select(func.count(), func.coalesce(func.sum(_C.size), 0))
        counted = self._conn.execute(query.where(_C.petition_id == petition_id, _C.removed_at.is_(None))).one()
        return Usage(*(int(str(number)) for number in counted))

    def page(self, petition_id: str, before: str, limit: int, *, present_only: bool) -> list[Attachment]:
        """Files whose id is smaller than `before`, newest first."""
        query = select(attachments).where(_C.petition_id == petition_id).order_by(_C.id.desc()).limit(limit)
        if before:
            query = query.where(_C.id < before)
        if present_only:
            query = query.where(_C.removed_at.is_(None))
        return [_attachment(row) for row in self._conn.execute(query).mappings()]

    def _one(self, query: Select[Any]) -> Attachment | None:
        row = self._conn.execute(query).mappings().first()
        return None if row is None else _attachment(row)


class SqlKeptFiles(SqlFiles, KeptFiles):
    """Files, in an open transaction. Who changes them holds the petition's lock."""

    def __init__(self, tx: Tx, blobs: Blobs) -> None:
        super().__init__(tx.conn)
        self._tx = tx
        self._blobs = blobs

    def add(self, attachment: Attachment) -> None:
        """Keeps a new file, its bytes and its small picture."""
        self._tx.conn.execute(insert(attachments), _row(attachment))
        for blob in _blobs_of(attachment):
            self._blobs.keep(self._tx, blob)

    def remove(self, attachment: Attachment, bytes_until: datetime) -> None:
        """Keeps the removal; the bytes are deleted when that time has come."""
        row = _row(attachment)
        values = {name: row[name] for name in _REMOVAL}
        self._tx.conn.execute(update(attachments).where(_C.id == attachment.id).values(values))
        for blob in _blobs_of(attachment):
            self._blobs.doom(self._tx, blob, bytes_until)


def _blobs_of(attachment: Attachment) -> list[str]:
    return [blob for blob in (attachment.blob, attachment.thumbnail) if blob]


def _row(attachment: Attachment) -> dict[str, Any]:
    values = dict(vars(attachment))
    removal = values.pop("removal")
    gone = (removal.at, removal.by, removal.unit, removal.reason) if removal else (None, "", "", "")
    return values | dict(zip(_REMOVAL, gone, strict=True))


def _attachment(row: RowMapping) -> Attachment:
    values = dict(row)
    at, by, unit, reason = (values.pop(name) for name in _REMOVAL)
    return Attachment(**values, removal=Removal(at, by, unit, reason) if at else None)
