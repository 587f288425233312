"""Where referrals are kept, at the end that asked and at the end that was asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.chassis.database import Tx
from services.chassis.reads import Read
from services.chassis.referral import Referral, ReferralState
from services.chassis.tables import referrals
from services.chassis.writes import Write

_ADD = Write(insert(referrals).inline())
_TAKE_IN = Write(
    postgresql.insert(referrals).on_conflict_do_nothing().returning(referrals.c.id),
    sqlite.insert(referrals).on_conflict_do_nothing().returning(referrals.c.id),
)
_FIND = Read(select(referrals).where(referrals.c.id == bindparam("referral_id")).with_for_update())
_SAVE = Write(
    update(referrals)
    .where(referrals.c.id == bindparam("referral_id"))
    .values({name: bindparam(name) for name in ("state", "owner_epoch", "answer", "answered_at")})
)
_OF_SUBJECT = Read(
    select(referrals)
    .where(referrals.c.subject_id == bindparam("subject"))
    .order_by(referrals.c.sent_at, referrals.c.id)
)
_OF_SUBJECTS = (
    select(referrals)
    .where(referrals.c.subject_id.in_(bindparam("subjects", expanding=True)))
    .order_by(referrals.c.sent_at, referrals.c.id)
)


def send(
    tx: Tx, *, referral_id: str, subject_id: str, from_service: str, from_tier: str, to_service: str, to_tier: str,
    owner_epoch: int, reason: str,
) -> Referral:  # fmt: skip
    """This service asks another one to take a case."""
    referral = Referral(
        referral_id, "out", subject_id, from_service, from_tier, to_service, to_tier, owner_epoch, reason, tx.now
    )
    tx.put(_ADD, _values(referral))
    return referral


def take_in(
    tx: Tx, *, referral_id: str, subject_id: str, from_service: str, from_tier: str, to_service: str, to_tier: str,
    owner_epoch: int, reason: str,
) -> Referral:  # fmt: skip
    """Another service asks this one. The same request twice gives the referral that is there, as it stands now."""
    referral = Referral(
        referral_id, "in", subject_id, from_service, from_tier, to_service, to_tier, owner_epoch, reason, tx.now
    )
    if tx.fetch(_TAKE_IN, _values(referral)):
        return referral
    return find(tx, referral_id) or referral


def find(tx: Tx, referral_id: str) -> Referral | None:
    """One referral, its row locked until the end of the transaction."""
    row = _FIND.first(tx.seeing(referrals), {"referral_id": referral_id})
    return None if row is None else _referral(row)


def save(tx: Tx, referral: Referral) -> None:
    """Keeps what the last move changed."""
    values = {
        "referral_id": referral.id,
        "state": referral.state.value,
        "owner_epoch": referral.owner_epoch,
        "answer": referral.answer,
        "answered_at": referral.answered_at,
    }
    tx.put(_SAVE, values)


def of_subject(conn: Connection, subject_id: str) -> list[Referral]:
    """The referrals of a case, the newest last."""
    return [_referral(row) for row in _OF_SUBJECT.rows(conn, {"subject": subject_id})]


def of_subjects(conn: Connection, subjects: Collection[str]) -> dict[str, list[Referral]]:
    """The referrals of several cases, each case's newest last; a case without any has an empty list."""
    found: dict[str, list[Referral]] = defaultdict(list)
    for row in conn.execute(_OF_SUBJECTS, {"subjects": list(subjects)}).mappings() if subjects else ():
        found[row["subject_id"]].append(_referral(row))
    return found


def _values(referral: Referral) -> dict[str, object]:
    return {**vars(referral), "state": referral.state.value}


def _referral(row: Mapping[str, Any] | RowMapping) -> Referral:
    return Referral(**{**row, "state": ReferralState(row["state"])})
