"""A repeated request gets the first answer, so that a caller who heard nothing may simply ask again."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from services.chassis import identity, sealing
from services.chassis.database import Database, Tx
from services.chassis.refusal import AlreadyExists, Conflict
from services.chassis.tables import requests
from services.chassis.writes import Write

Answer = TypeVar("Answer", bound=Message)

_C = requests.c
_ADD = Write(
    postgresql.insert(requests).on_conflict_do_nothing().returning(_C.request_id),
    sqlite.insert(requests).on_conflict_do_nothing().returning(_C.request_id),
)


class _Repeated(Conflict):
    """The request was answered before; unwinds the transaction that found out."""

    def __init__(self) -> None:
        # Heard only when the answer was pruned in this very moment.
        super().__init__(
            "REQUEST_REPEATED", "该请求已处理过,请刷新后查看。", "This request was handled before; look again."
        )


@dataclass(frozen=True)
class _Key:
    account: str
    method: str
    request_id: str

    @property
    def context(self) -> bytes:
        return f"requests|{self.account}|{self.method}|{self.request_id}".encode()


class Once:
    """Runs a deed once per caller, method and request id. `key` seals the answers that are kept."""

    def __init__(self, db: Database, key: bytes) -> None:
        self.db = db
        self.key = key

    def run(self, request: Message, answer: type[Answer], deed: Callable[[Tx], Answer]) -> Answer:
        """The deed's answer, or the first one when this id was used before; AlreadyExists if for another body.

        The deed and the note of its answer are one transaction; a refused deed leaves no note and may be tried again.
        """
        request_id = str(getattr(request, "request_id", "")).lower()
        if not request_id:
            with self.db.transaction() as tx:
                return deed(tx)
        key = _Key(identity.current().account, request.DESCRIPTOR.full_name, request_id)
        digest = self._digest(request, request_id)
        try:
            return self._first(key, digest, deed)
        except Exception as reason:
            # A repeat may also fail in the deed itself: what it asks for has been done already.
            return self._again(key, digest, answer, reason)

    def _first(self, key: _Key, digest: str, deed: Callable[[Tx], Answer]) -> Answer:
        with self.db.transaction() as tx:
            answer = deed(tx)
            sealed = sealing.seal(self.key, answer.SerializeToString(), key.context)
            values = {**vars(key), "digest": digest, "answer": sealed, "created_at": tx.now}
            if tx.fetch(_ADD, values) is None:
                raise _Repeated
        return answer

    def _again(self, key: _Key, digest: str, answer: type[Answer], reason: Exception) -> Answer:
        with self.db.reading() as conn:
            wanted = (_C.account == key.account, _C.method == key.method, _C.request_id == key.request_id)
            kept = conn.execute(select(_C.digest, _C.answer).where(*wanted)).first()
        if kept is None:
            raise reason
        if kept.digest != digest:
            raise _reused(key.request_id) from None
        return answer.FromString(sealing.unseal(self.key, kept.answer, key.context))

    def _digest(self, request: Message, request_id: str) -> str:
        # Keyed: a digest of a body that holds little but a phone number could be guessed.
        same = type(request).FromString(request.SerializeToString())
        same.request_id = request_id  # type: ignore[attr-defined]
        return hmac.new(self.key, same.SerializeToString(deterministic=True), hashlib.sha256).hexdigest()


def prune(db: Database, older_than: datetime) -> int:
    """Forgets answers given before an instant; a repeat of one of them would be carried out anew. Returns rows."""
    with db.transaction() as tx:
        return int(tx.conn.execute(delete(requests).where(_C.created_at < older_than)).rowcount)


def _reused(request_id: str) -> AlreadyExists:
    return AlreadyExists(
        "REQUEST_ID_REUSED",
        "该 request_id 已用于另一请求,请换用新的 request_id。",
        "This request_id was used for another request; send a new one.",
        request_id=request_id,
    )
