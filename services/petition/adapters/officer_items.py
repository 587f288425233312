"""What an officer has in hand, for the gateway, which hands it over when the officer leaves."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, Select, func, select

from protos.petition.v1 import petition_pb2 as pb
from services.chassis import deadline_store, identity, paging
from services.chassis.database import Database, Tx
from services.chassis.deadline import OPEN
from services.chassis.identity import Identity
from services.chassis.masking import mask_text
from services.petition.adapters import messages
from services.petition.adapters.reads import seen_by
from services.petition.adapters.store import SqlWork
from services.petition.adapters.tables import petitions
from services.petition.application.handing_over import hand_over
from services.petition.domain.petition import IN_HAND
from services.petition.domain.terms import STATE_ZH, State

_C = petitions.c
BATCH = 100


def page(db: Database, request: pb.ListOfficerItemsRequest) -> pb.ListOfficerItemsResponse:
    """A page, oldest first."""
    size, narrowed = paging.page_size(request.page_size), f"officer {request.officer}"
    (after,) = paging.decode_token(request.page_token, narrowed) or ("",)
    columns = (_C.id, _C.case_number, _C.state, _C.responsible_unit)
    query = _in_hand(identity.current(), request.officer).with_only_columns(*columns).where(_C.id > after)
    with db.reading() as conn:
        rows = conn.execute(query.order_by(_C.id).limit(size + 1)).all()
        due = _due(conn, [row.id for row in rows[:size]])
    items = [
        pb.OfficerItem(
            id=row.id, case_number=row.case_number, state=pb.PetitionState.Name(messages.number(State(row.state))),
            state_zh=STATE_ZH[State(row.state)], due_on=due[row.id], unit=row.responsible_unit,
        )
        for row in rows[:size]
    ]  # fmt: skip
    token = paging.encode_token((rows[size - 1].id,), narrowed) if len(rows) > size else ""
    return pb.ListOfficerItemsResponse(items=items, next_page_token=token)


def move(tx: Tx, work: SqlWork, request: pb.HandOverItemsRequest) -> pb.HandOverItemsResponse:
    """Gives up to 100 cases to another officer."""
    in_hand = _in_hand(tx.identity, request.from_officer)
    ids = list(tx.conn.scalars(in_hand.order_by(_C.id).limit(BATCH)))
    told = mask_text(request.reason, ())
    moved = 0 if request.from_officer == request.to_officer else hand_over(
        work, ids, request.from_officer, request.to_officer, told
    )  # fmt: skip
    left = tx.conn.scalar(select(func.count()).select_from(in_hand.subquery()))
    return pb.HandOverItemsResponse(moved=moved, left=left or 0)


def _in_hand(caller: Identity, officer: str) -> Select[tuple[str]]:
    states = sorted(state.value for state in IN_HAND)
    return select(_C.id).where(_C.officer == officer, _C.state.in_(states), *seen_by(caller))


def _due(conn: Connection, ids: list[str]) -> dict[str, str]:
    """The nearest last day of each case's open clocks."""
    clocks = deadline_store.of_subjects(conn, ids)
    return {key: _nearest([one.due_on for one in clocks[key] if one.state in OPEN]) for key in ids}


def _nearest(days: list[date]) -> str:
    return min(days).isoformat() if days else ""
