"""A gRPC server without anything of ours: no interceptor, no token, no domain, no ledger; threads, SQL, commit.

It has as many threads as a service (16) and the same tables with the same indexes and triggers. Statements are built
once, and PostgreSQL's driver prepares them on both sides alike. One call writes, in one transaction:

    ReferPetition     reads the petition FOR UPDATE, then writes petitions (changed), petition_persons, referrals,
                      outbox_seq, outbox, timeline, audit, requests
    RegisterPetition  petitions, petition_persons, search_texts, deadlines, timeline, audit, requests
    Insert            one row of one table
    Echo              nothing
"""

from __future__ import annotations

import argparse
import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
from sqlalchemy import (
    Column,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as pg_insert

from protos.petition.v1 import petition_pb2 as pb
from protos.petition.v1.petition_pb2_grpc import PetitionServiceServicer, add_PetitionServiceServicer_to_server
from services.chassis import search
from services.chassis.tables import audit, deadlines, outbox, outbox_seq, referrals, requests, search_texts, timeline
from services.petition.adapters.tables import petition_persons, petitions

THREADS = 16
HALL, TIER, ACCOUNT = "341702-XFJ", "341702000000", "demo"
# As long as what the service writes for the same case.
ENVELOPE, SEALED = os.urandom(1250), os.urandom(1450)
DETAILS = '{"referral_id":"018f6f2e-7c1a-7d3b-8a4e-0123456789ab","respondents":1}'
HASH, TRACE = "0" * 64, "0" * 32
TOKENS: list[str] = []
INSERT, ECHO = "/bench.Bare/Insert", "/bench.Bare/Echo"

rows = Table("bench_rows", MetaData(), Column("id", String(36), primary_key=True), Column("body", LargeBinary))
_ROW = insert(rows)
_GET = select(petitions).where(petitions.c.id == bindparam("key")).with_for_update()
_CHANGING = (
    "state", "responsible_unit", "officer", "outcome", "opinion", "legal_basis", "reason", "route", "satisfaction",
    "evaluation_comment", "owner_service", "owner_tier", "owner_epoch",
)  # fmt: skip
_CHANGE = update(petitions).where(petitions.c.id == bindparam("key")).values({n: bindparam(n) for n in _CHANGING})
_PETITION, _PERSON, _REFERRAL = insert(petitions), insert(petition_persons), insert(referrals)
_OUTBOX, _TIMELINE, _AUDIT = insert(outbox).inline(), insert(timeline), insert(audit).inline()
_REQUEST, _DEADLINE, _SEARCH = insert(requests), insert(deadlines), insert(search_texts).inline()
_KEY = ("to_tier", "to_service", "aggregate_id")
_SEQ = (
    pg_insert(outbox_seq)
    .values({name: bindparam(name) for name in _KEY} | {"last_seq": 1})
    .on_conflict_do_update(index_elements=_KEY, set_={"last_seq": outbox_seq.c.last_seq + 1})
    .returning(outbox_seq.c.last_seq)
)


class Bare(PetitionServiceServicer):
    """Two calls of petition, and nothing but their rows."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.numbers = itertools.count(1)
        self.guard = threading.Lock()

    def ReferPetition(self, request: pb.ReferPetitionRequest, _: Any) -> pb.Petition:
        now, referral, event = datetime.now(UTC), str(uuid4()), str(uuid4())
        key = {"to_tier": TIER, "to_service": "mediation", "aggregate_id": request.id}
        with self.engine.begin() as conn:
            row = conn.execute(_GET, {"key": request.id}).mappings().one()
            conn.execute(_CHANGE, {"key": request.id, **{n: row[n] for n in _CHANGING}, "state": "MEDIATING"})
            conn.execute(_PERSON, _person(request.id, "respondent", request.respondents[0]))
            conn.execute(_REFERRAL, {
                "id": referral, "direction": "out", "subject_id": request.id, "from_service": "petition",
                "from_tier": TIER, "to_service": "mediation",
                "to_tier": TIER, "state": "sent", "owner_epoch": 1, "reason": request.reason,
                "answer": "", "sent_at": now, "answered_at": None,
            })  # fmt: skip
            seq: int = conn.execute(_SEQ, key).scalar_one()
            conn.execute(_OUTBOX, {
                **key, "event_id": event, "destination": "local", "seq": seq,
                "type": "zongzhi.petition.v1.MediationRequested", "envelope": ENVELOPE, "created_at": now,
            })  # fmt: skip
            conn.execute(_TIMELINE, _line(request.id, 3, now, "petition.referred", "已转调解中心,等待对方接收"))
            conn.execute(_AUDIT, _audit(request.id, now, "petition.refer"))
            conn.execute(_REQUEST, _request(request, now))
        return pb.Petition(
            id=request.id, case_number=row["case_number"], subject=row["subject"], content=row["content"]
        )

    def RegisterPetition(self, request: pb.RegisterPetitionRequest, _: Any) -> pb.RegisterPetitionResponse:
        now, key = datetime.now(UTC), str(uuid4())
        with self.guard:
            number = f"{next(self.numbers):025}"
        with self.engine.begin() as conn:
            conn.execute(_PETITION, {
                "id": key, "case_number": number, "public_code_hash": uuid4().hex * 2, "state": "REGISTERED",
                "channel": "VISIT", "petition_class": "CLAIM", "division_code": request.division_code,
                "person_count": 1, "subject": request.subject,
                "content": request.content, "received_on": now.date(), "registered_at": now,
                "registered_unit": HALL, "accused_unit": "", "earlier_case_number": "", "responsible_unit": "",
                "officer": "", "outcome": None, "opinion": "", "legal_basis": "", "reason": "", "route": None,
                "satisfaction": None, "evaluation_comment": "", "owner_service": "petition", "owner_tier": TIER,
                "origin_tier": TIER, "owner_epoch": 1,
            })  # fmt: skip
            conn.execute(_PERSON, _person(key, "applicant", request.representatives[0]))
            conn.execute(_SEARCH, {"subject_id": key, "normalised": request.content, "tokens": TOKENS})
            conn.execute(_DEADLINE, _clock(key, now))
            conn.execute(_TIMELINE, _line(key, 1, now, "petition.registered", "已登记(走访)"))
            conn.execute(_AUDIT, _audit(key, now, "petition.register"))
            conn.execute(_REQUEST, _request(request, now))
        return pb.RegisterPetitionResponse(petition=pb.Petition(id=key, case_number=number), public_code="0" * 16)


def _person(petition: str, side: str, who: pb.Person) -> dict[str, Any]:
    return {
        "id": str(uuid4()), "petition_id": petition, "side": side, "name": who.name, "phone": who.phone,
        "id_no": who.id_no, "address": who.address, "name_hash": HASH, "phone_hash": HASH, "id_no_hash": None,
    }  # fmt: skip


def _line(subject: str, seq: int, now: datetime, kind: str, text: str) -> dict[str, Any]:
    return {
        "id": str(uuid4()), "subject_id": subject, "seq": seq, "at": now, "kind": kind, "text_zh": text,
        "text_en": "Referred to the mediation centre", "actor": ACCOUNT, "unit": HALL,
    }  # fmt: skip


def _audit(subject: str, now: datetime, action: str) -> dict[str, Any]:
    return {
        "at": now, "actor": ACCOUNT, "on_behalf_of": "", "unit": HALL, "action": action, "subject_type": "petition",
        "subject_id": subject, "details": DETAILS, "trace_id": TRACE,
    }  # fmt: skip


def _request(request: Any, now: datetime) -> dict[str, Any]:
    return {
        "account": ACCOUNT, "method": request.DESCRIPTOR.full_name, "request_id": request.request_id, "digest": HASH,
        "answer": SEALED, "created_at": now,
    }  # fmt: skip


def _clock(subject: str, now: datetime) -> dict[str, Any]:
    day, due = now.date(), now.date() + timedelta(15)
    return {
        "id": str(uuid4()), "subject_type": "petition", "subject_id": subject, "kind": "accept", "length": 15,
        "unit": "day", "source": "信访工作条例 art. 22, 23", "started_on": day, "amber_on": due, "due_on": due,
        "amber_at": now + timedelta(10), "red_at": now + timedelta(15), "provisional": False, "state": "running",
        "suspended_on": None, "suspended_days": 0, "met_on": None, "amber_told_at": None, "red_told_at": None,
    }  # fmt: skip


def _plain_calls(engine: Engine) -> grpc.GenericRpcHandler:
    def put(request: bytes, _: Any) -> bytes:
        with engine.begin() as conn:
            conn.execute(_ROW, {"id": str(uuid4()), "body": request})
        return b""

    return grpc.method_handlers_generic_handler(
        "bench.Bare",
        {
            "Echo": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
            "Insert": grpc.unary_unary_rpc_method_handler(put),
        },
    )


def main() -> None:
    """Serves until it is ended."""
    from bench.cases import CONTENT, SUBJECT

    parser = argparse.ArgumentParser(prog="python -m bench.bare", description=__doc__)
    parser.add_argument("--database", required=True)
    parser.add_argument("--port", type=int, required=True)
    chosen = parser.parse_args()
    TOKENS.extend(search.tokens(search.normalise(f"{SUBJECT}\n{CONTENT}")))
    options = "-c statement_timeout=30000 -c timezone=UTC"
    engine = create_engine(chosen.database, pool_size=20, max_overflow=10, connect_args={"options": options})
    rows.metadata.create_all(engine)
    server = grpc.server(ThreadPoolExecutor(THREADS), options=[("grpc.so_reuseport", 0)])
    add_PetitionServiceServicer_to_server(Bare(engine), server)  # type: ignore[no-untyped-call]  # generated
    server.add_generic_rpc_handlers((_plain_calls(engine),))
    server.add_insecure_port(f"127.0.0.1:{chosen.port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
