"""What the keeper of the directory does, in few words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from sqlalchemy import select

from protos.grid.v1 import directory_pb2 as pb
from protos.grid.v1.events_pb2 import DirectoryPublished
from protos.link.v1.envelope_pb2 import Envelope
from services.chassis import identity
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.ids import uuid7
from services.chassis.refusal import Refusal
from services.chassis.settings import Settings
from services.chassis.tables import audit, outbox
from services.grid import wiring
from services.grid.adapters.rpc import DirectoryService

TIER = "341702000000"
TOWN, VILLAGE = "341702102000", "341702003200"
HALL, LABOUR = "341702-XFJ", "341702-RSJ"


def a_keeper(*, scope: str = "341702", account: str = "keeper") -> Identity:
    """Somebody who keeps the directory of a subtree."""
    permissions = frozenset({"grid.read", "grid.manage", "grid.reveal", "grid.import"})
    return Identity(account, TIER, scope, frozenset({HALL}), frozenset({"directory_keeper"}), permissions, unit=HALL)


class Office:
    """The service without a network: RPC methods called as the interceptors would."""

    def __init__(self, db: Database, directory: Path) -> None:
        self.db = db
        self.settings = Settings(tier=TIER, data_dir=directory, data_key=directory / "data.key")
        self.service = wiring.build(self.settings, db=db)
        self.desk = wiring.open_desk(self.settings, db)
        self.rpc = DirectoryService(self.desk)

    def __enter__(self) -> Office:
        identity.set_current(a_keeper())
        return self

    def __exit__(self, *_: object) -> None:
        identity.set_current(identity.NOBODY)

    @contextmanager
    def as_(self, who: Identity) -> Iterator[None]:
        """Somebody else sits at the desk for a while."""
        before = identity.current()
        identity.set_current(who)
        yield
        identity.set_current(before)

    def call(self, method: str, request: Message) -> Any:
        """One RPC."""
        return getattr(self.rpc, method)(request, None)

    def divisions(self, **filters: Any) -> list[pb.Division]:
        """All divisions of a list, page after page."""
        found: list[pb.Division] = []
        token = ""
        while True:
            page = self.call("ListDivisions", pb.ListDivisionsRequest(**{"page_token": token, **filters}))
            found += page.divisions
            token = page.next_page_token
            if not token:
                return found

    def division(self, code: str, as_of: str = "") -> pb.Division:
        """One division on a day."""
        return self.call("GetDivision", pb.GetEntryRequest(code=code, as_of=as_of))

    def counted(self, as_of: str = "", **more: str) -> tuple[int, int]:
        """Towns and villages on a day."""
        found = self.call("CountDivisions", pb.CountDivisionsRequest(as_of=as_of, **more))
        return found.towns, found.villages

    def units(self, **filters: Any) -> list[pb.Unit]:
        """The first page of units."""
        return list(self.call("ListUnits", pb.ListUnitsRequest(**filters)).units)

    def unit(self, code: str, as_of: str = "") -> pb.Unit:
        """One unit on a day."""
        return self.call("GetUnit", pb.GetEntryRequest(code=code, as_of=as_of))

    def change_unit(self, code: str, **over: Any) -> pb.Unit:
        """A unit is added or changed; what it has and is not named stays."""
        return self.call("UpsertUnit", a_unit(code, **over))

    def versions(self, kind: str) -> list[pb.DirectoryVersion]:
        """The history of a kind, newest first."""
        return list(self.call("ListVersions", pb.ListVersionsRequest(kind=kind)).versions)

    def announced(self, kind: str = "") -> list[DirectoryPublished]:
        """The versions that petition is told of, oldest first."""
        with self.db.reading() as conn:
            rows = [Envelope.FromString(row.envelope) for row in conn.execute(select(outbox).order_by(outbox.c.id))]
        told = [DirectoryPublished.FromString(row.data) for row in rows if row.to_service == "petition"]
        return [event for event in told if not kind or event.kind == kind]

    def audited(self, action: str) -> list[Any]:
        """The audit rows of one kind of deed."""
        with self.db.reading() as conn:
            return list(conn.execute(select(audit).where(audit.c.action == action).order_by(audit.c.id)))


def a_unit(code: str, **over: Any) -> pb.UpsertUnitRequest:
    """A department of the district, unless a test says otherwise."""
    values: dict[str, Any] = {
        "request_id": uuid7(), "code": code, "name": "贵池区水利局", "kind": pb.UNIT_KIND_DEPARTMENT,
        "division_code": TIER, "presence": pb.PRESENCE_ON_CALL,
    }  # fmt: skip
    return pb.UpsertUnitRequest(**{**values, **over})


@contextmanager
def refused(reason: str) -> Iterator[Any]:
    """Expects a refusal with this reason."""
    with pytest.raises(Refusal) as info:
        yield info
    assert info.value.reason == reason
