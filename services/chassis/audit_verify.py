"""Checks the chain of audit rows from its first seal to its head, whoever may have had the rights to change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, select

from services.chassis import clock
from services.chassis.audit_chain import GENESIS, chained, columns
from services.chassis.database import Database
from services.chassis.tables import audit, audit_seals

BATCH = 1000
# The sealer needs half a second; after a minute it does not run, or somebody took seals away.
SEALED_WITHIN = timedelta(seconds=60)

Head = tuple[int, str]


class FaultKind(StrEnum):
    """What was found at the first place where the chain does not hold."""

    CHANGED = "changed"
    DROPPED = "dropped"
    REORDERED = "reordered"
    CUT_OFF = "cut_off"
    UNSEALED = "unsealed"


_SENTENCES = {
    FaultKind.CHANGED: ("第 {seal} 号封存的审计行 {row} 被改动", "audit row {row}, sealed as no. {seal}, was changed"),
    FaultKind.DROPPED: ("第 {seal} 号封存或其审计行被删除", "seal no. {seal} or its audit row was removed"),
    FaultKind.REORDERED: ("自第 {seal} 号封存起次序被调换", "from seal no. {seal} on, the order was changed"),
    FaultKind.CUT_OFF: ("自第 {seal} 号封存起的末尾被截去", "the end of the chain, from seal no. {seal}, was cut off"),
    FaultKind.UNSEALED: (
        "审计行 {row} 超过一分钟未封存:封存程序未运行,或封存被删除",
        "audit row {row} is unsealed for over a minute: the sealer does not run, or seals were removed",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """The first place where the chain does not hold; a number is None where there is none to name."""

    kind: FaultKind
    seal_no: int | None
    audit_id: int | None


@dataclass(frozen=True)
class Verdict:
    """What the check found: the first fault or none, how many seals hold, and the last head that holds."""

    fault: Fault | None
    sealed: int
    head: Head

    @property
    def ok(self) -> bool:
        """Whether the chain is whole."""
        return self.fault is None

    @property
    def message(self) -> str:
        """One sentence in Chinese and one in English; with the head, to be kept elsewhere, when the chain is whole."""
        if self.fault is None:
            head = f"{self.head[0]}:{self.head[1]}"
            zh = f"审计链完整,共 {self.sealed} 条,链头 {head}。"
            return f"{zh} The audit chain is whole: {self.sealed} rows, head {head}."
        zh, en = _SENTENCES[self.fault.kind]
        where = {"seal": self.fault.seal_no, "row": self.fault.audit_id}
        return f"审计链有误:{zh.format(**where)}。 The audit chain is broken: {en.format(**where)}."


def verify(db: Database, head: Head | None = None) -> Verdict:
    """Names the first row that was changed, dropped, reordered or cut off; `head` is one that was kept elsewhere."""
    with db.reading() as conn:
        verdict = _walk(conn, head)
        unsealed = _first_unsealed(conn, verdict.sealed) if verdict.ok else None
    if unsealed is not None:
        return Verdict(Fault(FaultKind.UNSEALED, None, unsealed), verdict.sealed, verdict.head)
    return verdict


def _walk(conn: Connection, wanted: Head | None) -> Verdict:
    at: Head = (0, GENESIS)
    while batch := _batch(conn, at[0]):
        for place, seal in enumerate(batch):
            fault = _fault(at, batch[place:], wanted)
            if fault is not None:
                return Verdict(fault, at[0], at)
            at = (seal["seal_no"], seal["hash"])
    if wanted is not None and at[0] < wanted[0]:
        return Verdict(Fault(FaultKind.CUT_OFF, at[0] + 1, None), at[0], at)
    return Verdict(None, at[0], at)


def _batch(conn: Connection, after: int) -> Sequence[RowMapping]:
    seals = audit_seals.outerjoin(audit, audit.c.id == audit_seals.c.audit_id)
    query = select(audit_seals, *columns(conn)).select_from(seals).where(audit_seals.c.seal_no > after)
    return conn.execute(query.order_by(audit_seals.c.seal_no).limit(BATCH)).mappings().all()


def _fault(before: Head, rest: Sequence[RowMapping], wanted: Head | None) -> Fault | None:
    seal = rest[0]
    if seal["seal_no"] != before[0] + 1:
        return Fault(FaultKind.DROPPED, before[0] + 1, None)
    if chained(before[1], seal) != seal["hash"]:
        return Fault(_kind(before[1], rest), seal["seal_no"], seal["audit_id"])
    if wanted is not None and wanted[0] == seal["seal_no"] and wanted[1] != seal["hash"]:
        # The chain is whole in itself but is not the one whose head was kept: it was written anew.
        return Fault(FaultKind.CHANGED, seal["seal_no"], seal["audit_id"])
    return None


def _kind(before: str, rest: Sequence[RowMapping]) -> FaultKind:
    """Why the next link does not hold: a row that comes later would fit here, the row is gone, or it is another one."""
    hashes = {seal["hash"] for seal in rest}
    if any(chained(before, seal) in hashes for seal in rest):
        return FaultKind.REORDERED
    return FaultKind.DROPPED if rest[0]["id"] is None else FaultKind.CHANGED


def _first_unsealed(conn: Connection, last_seal: int) -> int | None:
    # A seal whose number lies outside the chain seals nothing.
    in_chain = audit_seals.c.seal_no.between(1, last_seal)
    sealed = select(audit_seals.c.audit_id).where(audit_seals.c.audit_id == audit.c.id, in_chain).exists()
    overdue = audit.c.at < clock.now() - SEALED_WITHIN
    return conn.scalar(select(audit.c.id).where(~sealed, overdue).order_by(audit.c.id).limit(1))
