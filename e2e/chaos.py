"""A load, the faults that befall it, and a checker of what became of every case. Seeded and bounded.

Each case: register → accept → refer to mediation → ask the referral back. Its events cross the broker three times
(request, withdrawal, answer), in an order that matters: a withdrawal that overtook its request would be refused.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import grpc
from sqlalchemy import Connection, text

from e2e.system import TIER, System, eventually
from infra.rabbitmq.server import RabbitServer
from protos.petition.v1 import petition_pb2 as pb
from protos.petition.v1 import petition_pb2_grpc
from services.chassis.database import Database
from services.chassis.directory_entries import DIVISIONS, VILLAGE_LEVELS
from services.chassis.directory_shipped import shipped
from services.chassis.identity import Identity
from services.chassis.tokens import load_private, sign

CALLERS = 8
GIVE_UP_S = 60.0
CLERK = Identity("chaos-clerk", TIER, scope="341702", units=frozenset({"341702-XFJ"}), unit="341702-XFJ",
                 permissions=frozenset({"petition.register", "petition.accept", "petition.refer", "petition.read"}))  # fmt: skip


@dataclass
class Load:
    """So many cases, filed by callers who try again until they are answered."""

    system: System
    cases: int
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Files every case and walks it through; returns when the last one was answered."""
        channel = grpc.insecure_channel(f"127.0.0.1:{self.system.ports['petition']}",
                                        options=[("grpc.max_reconnect_backoff_ms", 500)])  # fmt: skip
        self._stub = petition_pb2_grpc.PetitionServiceStub(channel)
        self._villages = _villages()
        try:
            with ThreadPoolExecutor(CALLERS) as callers:
                self.ids = list(callers.map(self._case, range(self.cases)))
        finally:
            self.done.set()
            channel.close()

    def _case(self, number: int) -> str:
        draw = random.Random(f"{self.seed}-{number}")  # noqa: S311 - replayable, guards nothing
        person = pb.Person(name=f"演示{number}", phone=f"139{draw.randrange(10**8):08d}")
        registered = self._until_answered("RegisterPetition", pb.RegisterPetitionRequest(
            request_id=str(UUID(int=draw.getrandbits(128))), channel=pb.CHANNEL_VISIT, subject=f"第{number}件",
            division_code=self._villages[number % len(self._villages)], content="路灯坏了", representatives=[person]))  # fmt: skip
        case = str(registered.petition.id)
        self._until_answered("AcceptPetition", pb.AcceptPetitionRequest(id=case))
        self._until_answered("ReferPetition", pb.ReferPetitionRequest(
            id=case, request_id=str(UUID(int=draw.getrandbits(128))), reason="适合调解", dispute_type="邻里",
            respondents=[pb.Person(name=f"对方{number}")]))  # fmt: skip
        self._until_answered("WithdrawReferral", pb.WithdrawReferralRequest(id=case, reason="来访人改变主意"))
        return case

    def _until_answered(self, method: str, request: Any) -> Any:
        end = time.monotonic() + GIVE_UP_S
        while True:
            self.counts["calls"] += 1
            try:
                return getattr(self._stub, method)(request, timeout=5, metadata=self._token())
            except grpc.RpcError as error:
                code = error.code()
            if code is grpc.StatusCode.FAILED_PRECONDITION:
                self.counts["done by an attempt that went unanswered"] += 1
                return None
            if time.monotonic() > end:
                raise AssertionError(f"{method} was not answered within {GIVE_UP_S} s: {code}\n{self.system.tails()}")
            self.counts[f"tried again after {code.name}"] += 1
            time.sleep(0.1)

    def _token(self) -> list[tuple[str, str]]:
        now = time.monotonic()
        if now > getattr(self, "_token_until", 0.0):
            key = load_private(self.system.folder / "data" / "keys" / "token-private.jwk")
            self._signed, self._token_until = sign(key, CLERK, ["petition"]), now + 120
        return [("authorization", f"Bearer {self._signed}")]


def _villages() -> list[str]:
    return [one.code for one in shipped(DIVISIONS) if one.level in VILLAGE_LEVELS and one.valid_to is None]


@dataclass
class Nemesis:
    """What befalls the system while the load runs, one thing after another, each at least twice."""

    system: System
    broker: RabbitServer
    load: Load
    seed: int
    counts: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Strikes until the load is done."""
        draw = random.Random(self.seed)  # noqa: S311 - replayable, guards nothing
        strikes = self._strikes()
        while not self.load.done.wait(draw.uniform(0.5, 1.5)):
            strike = draw.choice(list(strikes))
            self.counts[strike] += 1
            strikes[strike]()

    def _strikes(self) -> dict[str, Callable[[], None]]:
        killed = {
            f"kill -9 {name}": (lambda name=name: self._kill(name)) for name in self.system.roles() if name != "gateway"
        }
        return {**killed, "AMQP connections closed": lambda: self.broker.close_all_connections("chaos"),
                "database connections closed": self._close_database_connections, "broker restarted": self._restart_broker}  # fmt: skip

    def _kill(self, name: str) -> None:
        self.system.kill(name)
        self.system.start(name)

    def _restart_broker(self) -> None:
        # It takes seconds to come back; more than three would be most of the run.
        if self.counts["broker restarted"] <= 3:
            self.broker.kill()
            self.broker.start()

    def _close_database_connections(self) -> None:
        with service_database(self.system, "petition").reading() as conn:
            conn.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                              "WHERE datname IN ('zongzhi_petition', 'zongzhi_mediation') AND pid <> pg_backend_pid()"))  # fmt: skip


def service_database(system: System, name: str) -> Database:
    """The database of one service, for looking into it."""
    return Database(system.settings.database_url_of(name), pool_size=1)


ONE_ROW_EACH = {
    "petition": {
        "lost or doubled registrations": "SELECT count(*) FROM petitions",
        "lost or doubled requests": "SELECT count(*) FROM outbox WHERE type LIKE '%MediationRequested'",
        "lost or doubled withdrawals": "SELECT count(*) FROM outbox WHERE type LIKE '%MediationWithdrawn'",
        "answers not taken effect": "SELECT count(*) FROM petitions WHERE state = 'ACCEPTED'",
        "referrals not withdrawn": "SELECT count(*) FROM referrals WHERE state = 'withdrawn'",
        "answers lost or doubled": "SELECT count(*) FROM inbox WHERE outcome = 'applied' AND source <> 'grid'",
    },
    "mediation": {
        "lost or doubled mediations": "SELECT count(*) FROM mediations",
        "mediations not withdrawn": "SELECT count(*) FROM mediations WHERE state = 'withdrawn'",
        "distinct referrals": "SELECT count(DISTINCT referral_id) FROM mediations",
        "lost or doubled answers": "SELECT count(*) FROM outbox WHERE type LIKE '%MediationReturned'",
    },
}
NONE_OF = {
    "unsent": "SELECT count(*) FROM outbox WHERE sent_at IS NULL",
    "unapplied": "SELECT count(*) FROM inbox WHERE applied_at IS NULL",
    "held": "SELECT count(*) FROM held",
    "refused or unknown": "SELECT count(*) FROM inbox WHERE outcome <> 'applied'",
    "cursor behind or ahead": "SELECT count(*) FROM inbox_cursor c WHERE last_seq <> "
    "(SELECT count(*) FROM inbox i WHERE i.from_tier = c.from_tier AND i.source = c.source AND i.aggregate_id = c.aggregate_id)",
    "applied out of order": "SELECT count(*) FROM inbox a JOIN inbox b ON a.from_tier = b.from_tier AND a.source = b.source "
    "AND a.aggregate_id = b.aggregate_id AND a.seq < b.seq WHERE a.applied_at > b.applied_at",
    "timeline out of order": "SELECT count(*) FROM timeline a JOIN timeline b ON a.subject_id = b.subject_id AND a.seq < b.seq "
    "WHERE a.at > b.at",
    "doubled timeline lines": "SELECT count(*) FROM (SELECT subject_id, kind FROM timeline GROUP BY 1, 2 HAVING count(*) > 1) d",
}  # fmt: skip


OF_THE_CASES = "SELECT count(*) FROM inbox WHERE source <> 'grid'"


def settled(system: System) -> bool:
    """Whether nothing is under way any more: all sent, all received at the other end, all applied."""
    books = {}
    for name in ("petition", "mediation"):
        with service_database(system, name).reading() as conn:
            if _count(conn, NONE_OF["unsent"]) or _count(conn, NONE_OF["unapplied"]):
                return False
            # The directory's versions come beside the cases, from a third service.
            books[name] = [_count(conn, "SELECT count(*) FROM outbox"), _count(conn, OF_THE_CASES)]
    return books["petition"] == books["mediation"][::-1]


def check(system: System, cases: int) -> dict[str, int]:
    """By how much each count differs from what it must be; all zero when every effect came once and in order."""
    wrong: dict[str, int] = {}
    for name, counts in ONE_ROW_EACH.items():
        with service_database(system, name).reading() as conn:
            wrong |= {f"{name}: {what}": _count(conn, query) - cases for what, query in counts.items()}
            wrong |= {f"{name}: {what}": _count(conn, query) for what, query in NONE_OF.items()}
    return wrong


def wait_until_settled(system: System) -> None:
    """Waits until every event has been sent and applied."""
    try:
        eventually(lambda: settled(system), "every event sent and applied", timeout=90)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{system.command('status')}\n{system.tails()}") from None


def _count(conn: Connection, query: str) -> int:
    return int(conn.execute(text(query)).scalar_one())
