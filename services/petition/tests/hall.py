"""What people do in the hall, in few words: the tests set their data up through the product's own actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from sqlalchemy import select

from protos.link.v1.envelope_pb2 import Envelope
from protos.mediation.v1 import events_pb2 as mediation
from protos.petition.v1 import petition_pb2 as pb
from services.chassis import clock, identity
from services.chassis.calendar import WorkCalendar
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.ids import uuid7
from services.chassis.listeners import Delivery
from services.chassis.refusal import Refusal
from services.chassis.settings import Settings
from services.chassis.tables import audit, outbox
from services.petition import wiring
from services.petition.adapters.rpc import PetitionService

TIER = "341702000000"
TOWN = "341702102000"
HALL, JUSTICE, COMMAND, LABOUR = "341702-XFJ", "341702-SFJ", "341702-ZFW", "341702-RSJ"
DEEDS = ("register", "read", "accept", "refer", "conclude", "evaluate", "void", "reveal")

# Invented persons; the numbers belong to nobody.
PETITIONER = {
    "name": "王小明", "phone": "13800001234", "id_no": "11010519491231002X", "address": "贵池区墩上街道河口村十组",
}  # fmt: skip
NEIGHBOUR = {"name": "李大河", "phone": "13900005678", "address": "贵池区墩上街道河口村九组"}


def an_officer(unit: str = HALL, *, scope: str = "341702", account: str = "clerk", more: str = "") -> Identity:
    """An officer of a unit with every permission of the hall, and one more."""
    permissions = frozenset(f"petition.{deed}" for deed in (*DEEDS, more))
    return Identity(account, TIER, scope, frozenset({unit}), frozenset({"hall"}), permissions, unit=unit)


def a_registration(**over: Any) -> pb.RegisterPetitionRequest:
    """A visit about a boundary, by one person; what matters to a test is given over it."""
    values: dict[str, Any] = {
        "request_id": uuid7(), "channel": pb.CHANNEL_VISIT, "division_code": TOWN, "subject": "宅基地界址纠纷",
        "content": "王小明反映邻居李大河越界砌墙,电话 13800001234,请求依法处理。", "representatives": [PETITIONER],
    }  # fmt: skip
    return pb.RegisterPetitionRequest(**{**values, **over})


def days_ago(days: int) -> str:
    """A date so many days back, as the contract writes it."""
    return (clock.legal_date(clock.now()) - timedelta(days=days)).isoformat()


class Hall:
    """The service without a network: RPC methods called as the interceptors would, events handed to the listeners."""

    def __init__(self, db: Database, directory: Path) -> None:
        self.db = db
        self.settings = Settings(tier=TIER, data_dir=directory, data_key=directory / "data.key")
        self.service = wiring.build(self.settings, db=db)
        self.office = wiring.open_office(self.settings, db, WorkCalendar.published())
        self.rpc = PetitionService(self.office)

    def __enter__(self) -> Hall:
        identity.set_current(an_officer())
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

    def register(self, **over: Any) -> pb.Petition:
        """A petition is registered."""
        return self.call("RegisterPetition", a_registration(**over)).petition

    def get(self, petition_id: str) -> pb.Petition:
        """What an officer sees of a petition."""
        return self.call("GetPetition", pb.GetPetitionRequest(id=petition_id))

    def accept(self, petition_id: str, unit: str = "") -> pb.Petition:
        """An officer accepts it."""
        return self.call("AcceptPetition", pb.AcceptPetitionRequest(id=petition_id, responsible_unit=unit))

    def decline(self, petition_id: str) -> pb.Petition:
        """An officer declines it."""
        request = pb.DeclinePetitionRequest(id=petition_id, reason="属于诉讼事项", route=pb.ROUTE_JUDICIAL)
        return self.call("DeclinePetition", request)

    def void(self, petition_id: str) -> pb.Petition:
        """An officer voids the registration."""
        return self.call("VoidPetition", pb.VoidPetitionRequest(id=petition_id, reason="重复登记"))

    def conclude(self, petition_id: str, outcome: pb.Outcome = pb.OUTCOME_SUPPORTED) -> pb.Petition:
        """An officer gives the written opinion."""
        request = pb.ConcludePetitionRequest(
            id=petition_id, outcome=outcome, opinion="支持王小明的请求,实地确界。", legal_basis="民法典第二百八十八条"
        )
        return self.call("ConcludePetition", request)

    def evaluate(self, petition_id: str) -> pb.Petition:
        """The petitioner's rating is recorded."""
        rating = pb.SATISFACTION_SATISFIED
        request = pb.EvaluatePetitionRequest(id=petition_id, satisfaction=rating, comment="王小明很满意")
        return self.call("EvaluatePetition", request)

    def refer(self, petition_id: str, **over: Any) -> pb.Petition:
        """The hall asks the mediation centre."""
        values: dict[str, Any] = {
            "id": petition_id, "request_id": uuid7(), "reason": "王小明与李大河愿意协商", "dispute_type": "邻里",
            "respondents": [NEIGHBOUR],
        }  # fmt: skip
        return self.call("ReferPetition", pb.ReferPetitionRequest(**{**values, **over}))

    def withdraw(self, petition_id: str) -> pb.Petition:
        """The hall asks the referral back."""
        return self.call("WithdrawReferral", pb.WithdrawReferralRequest(id=petition_id, reason="王小明另有安排"))

    def reveal(self, petition_id: str, *fields: str, reason: str = "核对来访人身份") -> pb.RevealPetitionResponse:
        """An officer looks at personal data in clear."""
        return self.call("RevealPetition", pb.RevealPetitionRequest(id=petition_id, fields=fields, reason=reason))

    def listed(self, **filters: Any) -> list[pb.Petition]:
        """The first page of a list."""
        return list(self.call("ListPetitions", pb.ListPetitionsRequest(**filters)).petitions)

    def find(self, **criterion: Any) -> list[pb.Petition]:
        """Petitions of one person."""
        return list(self.call("FindPetitions", pb.FindPetitionsRequest(**criterion)).petitions)

    def timeline(self, petition_id: str) -> list[pb.TimelineEntry]:
        """What happened to a case."""
        return list(self.call("ListTimeline", pb.ListTimelineRequest(id=petition_id)).entries)

    def kinds(self, petition_id: str) -> list[str]:
        """The kinds of what happened, oldest first."""
        return [entry.kind for entry in self.timeline(petition_id)]

    def hear(self, event: Message) -> None:
        """The mediation centre's answer arrives."""
        subscription = self.service.listeners.of(event.DESCRIPTOR.full_name)
        assert subscription is not None
        delivery = Delivery(uuid7(), "mediation", TIER, clock.now(), "mediator")
        with self.db.transaction(identity.system("petition", TIER)) as tx:
            subscription.act(tx, event, delivery)

    def announced(self, kind: type[Message]) -> list[Any]:
        """The events of a kind that wait in the outbox."""
        with self.db.reading() as conn:
            rows = [Envelope.FromString(row.envelope) for row in conn.execute(select(outbox).order_by(outbox.c.id))]
        return [kind.FromString(row.data) for row in rows if row.type == kind.DESCRIPTOR.full_name]

    def audited(self, action: str) -> list[Any]:
        """The audit rows of one kind of deed."""
        with self.db.reading() as conn:
            return list(conn.execute(select(audit).where(audit.c.action == action).order_by(audit.c.id)))


def an_answer(kind: type[Message], petition: pb.Petition, epoch: int, **more: Any) -> Any:
    """The mediation centre's answer to the petition's newest referral."""
    referral = petition.referrals[-1].id
    return kind(
        referral_id=referral, mediation_id=f"m-{referral[:32]}", petition_id=petition.id, owner_epoch=epoch, **more
    )  # type: ignore[call-arg]  # every answer has these fields


ANSWERS: dict[str, Callable[[pb.Petition, int], Message]] = {
    "accepted": lambda p, epoch: an_answer(mediation.MediationAccepted, p, epoch),
    "refused": lambda p, epoch: an_answer(mediation.MediationRefused, p, epoch, reason="李大河不同意调解"),
    "returned": lambda p, epoch: an_answer(mediation.MediationReturned, p, epoch),
    "failed": lambda p, epoch: an_answer(mediation.MediationFailed, p, epoch, reason="李大河不接受方案"),
    "settled": lambda p, epoch: an_answer(mediation.MediationSettled, p, epoch, agreement_no="贵池-1", form="written"),
}


@contextmanager
def refused(reason: str) -> Iterator[Any]:
    """Expects a refusal with this reason."""
    with pytest.raises(Refusal) as info:
        yield info
    assert info.value.reason == reason
