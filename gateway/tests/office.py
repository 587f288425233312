"""What administrators and officers do with accounts, in few words, over a real database and without HTTP."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.accounts import deeds, passwords
from gateway.accounts.model import Account
from gateway.accounts.service import AccountService
from gateway.sessions import Sessions, Signer
from protos.accounts.v1 import accounts_pb2 as pb
from services.chassis import datakey, identity, ids, tokens
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.refusal import Refusal, Unavailable
from services.chassis.requests import Once
from services.chassis.settings import Settings
from services.chassis.tables import audit

TIER = "341702000000"
HALL, JUSTICE = "341702-XFJ", "341702-SFJ"
GOOD = "sunny-Harbour-27"
ADMIN = Identity("root-admin", TIER, "341702", roles=frozenset({"administrator"}))


@dataclass
class Item:
    """An open case, as services describe it."""

    id: str
    unit: str
    case_number: str = "341702001008X2611240001A"
    state: str = "PETITION_STATE_ACCEPTED"
    state_zh: str = "已受理"
    due_on: str = "2026-12-31"


@dataclass
class Page:
    """A page of them."""

    items: list[Item]
    next_page_token: str = ""


@dataclass
class FakeCases:
    """Petition and mediation: who has what in hand, and which of them is away."""

    held: dict[str, dict[str, list[Item]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    away: set[str] = field(default_factory=set)

    def page(self, service: str, officer: str, on_behalf_of: str, size: int, token: str = "") -> Page:
        self._must_answer(service)
        begin = int(token or 0)
        found = self.held[service][officer]
        return Page(found[begin : begin + size], str(begin + size) if len(found) > begin + size else "")

    def count(self, officer: str, on_behalf_of: str) -> int:
        for service in ("petition", "mediation"):
            self._must_answer(service)
        return sum(len(by_officer[officer]) for by_officer in self.held.values())

    def hand_over(
        self, service: str, officer: str, to: str, reason: str, on_behalf_of: str
    ) -> Iterator[tuple[int, int]]:
        self._must_answer(service)
        moved, self.held[service][officer] = self.held[service][officer], []
        self.held[service][to] += moved
        yield len(moved), 0

    def _must_answer(self, service: str) -> None:
        if service in self.away:
            raise Unavailable("SERVICE_AWAY", f"{service} 无法连接。", f"{service} does not answer.", service=service)


@dataclass
class FakeUnits:
    """The directory: everything is there unless a test says so; None: it cannot be asked."""

    missing: list[str] | None = field(default_factory=list)

    def unknown(self, codes: list[str], on_behalf_of: str) -> tuple[list[str], bool]:
        if self.missing is None:
            return [], False
        return [code for code in codes if code in self.missing], True


class Office:
    """The gateway's accounts without HTTP."""

    def __init__(self, db: Database, directory: Path, **settings: Any) -> None:
        tokens.create_keys(directory / "keys")
        datakey.create(directory / "keys" / "data.key")
        self.db = db
        self.settings = Settings(tier=TIER, data_dir=directory, **settings)
        key = datakey.load(self.settings.data_key_file)
        signer = Signer(self.settings.token_private_key_file)
        self.verifier = tokens.Verifier(self.settings.token_keys_file, TIER)
        self.sessions = Sessions(signer, self.verifier, self.settings, db, key.hash_key)
        self.door = self.sessions.door
        self.cases, self.units = FakeCases(), FakeUnits()
        self.service = AccountService(
            db, self.door, Once(db, key.seal_key), self.cases, self.units, TIER, self.sessions.forget_all  # type: ignore[arg-type]
        )  # fmt: skip

    @contextmanager
    def as_(self, who: Identity | str) -> Iterator[None]:
        """Somebody else sits at the desk for a while."""
        before = identity.current()
        identity.set_current(who if isinstance(who, Identity) else Identity(who, TIER, "341702"))
        yield
        identity.set_current(before)

    def call(self, rpc: str, **fields: Any) -> Any:
        """One RPC."""
        return getattr(self.service, rpc)(getattr(pb, f"{rpc}Request")(**fields))

    def create(self, name: str, *roles: str, units: tuple[str, ...] = (HALL,), **more: Any) -> str:
        """An administrator opens an account with one post; returns the one-time password."""
        post = pb.Appointment(post="main", roles=roles or ("hall",), units=units)
        fields = {"request_id": ids.uuid7(), "account": name, "display_name": "王小明", "appointments": [post]} | more
        return str(self.call("CreateAccount", **fields).password)

    def officer(self, name: str, *roles: str, units: tuple[str, ...] = (HALL,)) -> str:
        """An account whose owner has chosen a password; returns it."""
        self.create(name, *roles, units=units)
        with self.db.transaction(Identity(name, TIER)) as tx:
            deeds.change_password(tx, name, passwords.hashed(GOOD), "")
        return GOOD

    def prove(self, name: str, password: str = GOOD, source: str = "10.0.0.1") -> Account:
        """Account and password."""
        return self.door.prove(name, password, source)

    def sign_in(self, name: str, password: str = GOOD, post: str = "", **more: Any) -> Any:
        """A session."""
        return self.sessions.open(self.prove(name, password), post, "10.0.0.1", **more)

    def who(self, opened: Any) -> Identity:
        """Whom the gateway takes the bearer of a session for."""
        return self.sessions.identify({"HTTP_AUTHORIZATION": f"Bearer {opened.access_token}", "REQUEST_METHOD": "GET"})

    def audited(self, action: str) -> list[Any]:
        """The audit rows of one kind of deed."""
        with self.db.reading() as conn:
            return list(conn.execute(select(audit).where(audit.c.action == action).order_by(audit.c.id)))


@contextmanager
def refused(reason: str) -> Iterator[Any]:
    """Expects a refusal with this reason."""
    with pytest.raises(Refusal) as info:
        yield info
    assert info.value.reason == reason
