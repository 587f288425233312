"""What people do in the mediation centre, in few words: tests set their data up through the product's own actions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from sqlalchemy import select

from protos.link.v1.envelope_pb2 import Envelope
from protos.mediation.v1 import mediation_pb2 as pb
from protos.petition.v1 import events_pb2 as hall
from services.chassis import clock, identity, referrals
from services.chassis.applier import Applier
from services.chassis.calendar import WorkCalendar
from services.chassis.database import Database, Tx
from services.chassis.directory import Directory
from services.chassis.identity import Identity
from services.chassis.ids import uuid7
from services.chassis.listeners import Delivery
from services.chassis.referral import Referral
from services.chassis.refusal import Refusal
from services.chassis.settings import Settings
from services.chassis.tables import audit, inbox, outbox
from services.mediation import wiring
from services.mediation.adapters.rpc import MediationService
from services.mediation.adapters.store import Store

TIER = "341702000000"
TOWN = "341702102000"
HALL, JUSTICE, COMMAND = "341702-XFJ", "341702-SFJ", "341702-ZFW"
DEEDS = ("read", "handle", "reveal")

# Invented persons; the numbers belong to nobody.
PETITIONER = {
    "name": "王小明", "phone": "13800001234", "id_no": "11010519491231002X", "address": "贵池区墩上街道河口村十组7号",
}  # fmt: skip
NEIGHBOUR = {"name": "李大河", "phone": "13900005678", "id_no": "", "address": "贵池区墩上街道河口村九组"}


def a_mediator(unit: str = JUSTICE, *, scope: str = "341702", account: str = "mediator", more: str = "") -> Identity:
    """An officer of a unit with every permission of the centre, and one more."""
    permissions = frozenset(f"mediation.{deed}" for deed in (*DEEDS, more))
    return Identity(account, TIER, scope, frozenset({unit}), frozenset({"mediator"}), permissions, unit=unit)


def a_party(side: str = "applicant", **over: Any) -> hall.Party:
    """One side of the dispute."""
    values = PETITIONER if side == "applicant" else NEIGHBOUR
    return hall.Party(**{"id": uuid7(), "side": side, **values, **over})


def a_request(**over: Any) -> hall.MediationRequested:
    """The hall asks about a boundary between two neighbours; what matters to a test is given over it."""
    values: dict[str, Any] = {
        "referral_id": uuid7(), "petition_id": uuid7(), "case_number": "341702102000X26112400001A",
        "division_code": TOWN, "owner_epoch": 3, "subject": "宅基地界址纠纷", "dispute_type": "邻里",
        "content": "王小明反映邻居李大河越界砌墙,电话 13800001234,请求依法处理。", "reason": "王小明与李大河愿意协商",
        "parties": [a_party(), a_party("respondent")], "origin_tier": TIER, "due_on": "2026-12-31",
    }  # fmt: skip
    return hall.MediationRequested(**{**values, **over})


def a_withdrawal(request: hall.MediationRequested, **over: Any) -> hall.MediationWithdrawn:
    """The hall asks that request back."""
    values = {"referral_id": request.referral_id, "petition_id": request.petition_id, "reason": "王小明另有安排"}
    return hall.MediationWithdrawn(**{**values, "owner_epoch": request.owner_epoch, **over})


def a_crossing(request: hall.MediationRequested, colour: str = "amber") -> hall.PetitionClockCrossed:
    """A statutory clock of the petition behind that request turned."""
    return hall.PetitionClockCrossed(
        petition_id=request.petition_id, deadline_id=uuid7(), kind="conclude", colour=colour, due_on="2026-12-31"
    )


class Centre:
    """The service without a network: RPC methods called as the interceptors would, events handed to the listeners."""

    def __init__(self, db: Database, directory: Path) -> None:
        self.db = db
        self.service = wiring.build(Settings(tier=TIER, data_dir=directory), db=db)
        self.store = Store(db, TIER, Directory(db), WorkCalendar.published())
        self.rpc = MediationService(self.store)

    def __enter__(self) -> Centre:
        identity.set_current(a_mediator())
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

    def hear(self, *events: Message, from_tier: str = TIER) -> None:
        """Events of the hall arrive, in one transaction."""
        with self.db.transaction(identity.system("mediation", TIER)) as tx:
            for event in events:
                self._act(tx, event, from_tier)

    def _act(self, tx: Tx, event: Message, from_tier: str) -> None:
        subscription = self.service.listeners.of(event.DESCRIPTOR.full_name)
        assert subscription is not None
        subscription.act(tx, event, Delivery(uuid7(), "petition", from_tier, clock.now(), "clerk"))

    def apply_all(self) -> list[str]:
        """Applies what the inbox holds, and says what became of each event."""
        applier = Applier(self.service)
        while applier.apply_waiting():
            pass
        with self.db.reading() as conn:
            return [row.outcome or "waiting" for row in conn.execute(select(inbox).order_by(inbox.c.seq))]

    def call(self, method: str, request: Message) -> Any:
        """One RPC."""
        return getattr(self.rpc, method)(request, None)

    def open(self, **over: Any) -> pb.Mediation:
        """The hall asks, and the mediation that it opened."""
        request = a_request(**over)
        self.hear(request)
        return self.of(request)

    def of(self, request: hall.MediationRequested) -> pb.Mediation:
        """The newest mediation of the petition behind a request."""
        (found, *_) = self.find(petition_id=request.petition_id)
        return found

    def get(self, mediation_id: str) -> Any:
        """What a mediator sees."""
        return self.call("GetMediation", pb.GetMediationRequest(id=mediation_id))

    def find(self, **filters: Any) -> list[pb.Mediation]:
        """The first page of a list."""
        return list(self.call("ListMediations", pb.ListMediationsRequest(**filters)).mediations)

    def answer(
        self, mediation_id: str, party: pb.Party, consent: pb.Consent = pb.CONSENT_GIVEN, reason: str = ""
    ) -> Any:
        """One party says whether to mediate."""
        request = pb.RecordConsentRequest(id=mediation_id, party_id=party.id, consent=consent, reason=reason)
        return self.call("RecordConsent", request)

    def accept(self, mediation: pb.Mediation) -> Any:
        """All parties agree."""
        for party in mediation.parties:
            mediation = self.answer(mediation.id, party)
        return mediation

    def refuse(self, mediation: pb.Mediation, reason: str = "李大河已起诉") -> Any:
        """The first party does not agree."""
        return self.answer(mediation.id, mediation.parties[0], pb.CONSENT_REFUSED, reason)

    def settle(self, mediation_id: str, **over: Any) -> Any:
        """The parties reach an agreement."""
        values = {"form": pb.AGREEMENT_FORM_WRITTEN, "terms": "李大河拆除越界墙体,王小明电话 13800001234。"}
        return self.call("SettleMediation", pb.SettleMediationRequest(**{"id": mediation_id, **values, **over}))

    def fail(self, mediation_id: str, reason: str = "李大河不接受方案") -> Any:
        """Mediation ends without agreement."""
        return self.call("FailMediation", pb.FailMediationRequest(id=mediation_id, reason=reason))

    def reveal(self, mediation_id: str, *fields: str, reason: str = "核对当事人身份") -> Any:
        """An officer looks at personal data in clear."""
        return self.call("RevealMediation", pb.RevealMediationRequest(id=mediation_id, fields=fields, reason=reason))

    def timeline(self, mediation_id: str) -> list[pb.MediationEntry]:
        """What happened."""
        return list(self.call("ListMediationTimeline", pb.ListMediationTimelineRequest(id=mediation_id)).entries)

    def kinds(self, mediation_id: str) -> list[str]:
        """The kinds of what happened, oldest first."""
        return [entry.kind for entry in self.timeline(mediation_id)]

    def referral(self, referral_id: str) -> Referral:
        """The request as this end keeps it."""
        with self.db.transaction() as tx:
            found = referrals.find(tx, referral_id)
        assert found is not None
        return found

    def envelopes(self) -> list[Envelope]:
        """What waits in the outbox, oldest first."""
        with self.db.reading() as conn:
            return [Envelope.FromString(row.envelope) for row in conn.execute(select(outbox).order_by(outbox.c.id))]

    def announced(self, kind: type[Message]) -> list[Any]:
        """The events of a kind that wait in the outbox."""
        return [kind.FromString(e.data) for e in self.envelopes() if e.type == kind.DESCRIPTOR.full_name]

    def told(self) -> list[str]:
        """The names of the events that wait in the outbox."""
        return [envelope.type.rpartition(".")[2] for envelope in self.envelopes()]

    def audited(self, action: str) -> list[Any]:
        """The audit rows of one kind of deed."""
        with self.db.reading() as conn:
            return list(conn.execute(select(audit).where(audit.c.action == action).order_by(audit.c.id)))


def by_mail(*events: Message) -> list[bytes]:
    """Envelopes of petition events of one petition, numbered in this order."""
    return [
        Envelope(
            id=uuid7(), source="petition", type=event.DESCRIPTOR.full_name, from_tier=TIER, to_tier=TIER,
            to_service="mediation", aggregate_type="petition", seq=seq, schema_version=1, on_behalf_of="clerk",
            aggregate_id=event.petition_id,  # type: ignore[attr-defined]  # every event of the hall has one
            data=event.SerializeToString(),
        ).SerializeToString()
        for seq, event in enumerate(events, 1)
    ]  # fmt: skip


@contextmanager
def refused(reason: str) -> Iterator[Any]:
    """Expects a refusal with this reason."""
    with pytest.raises(Refusal) as info:
        yield info
    assert info.value.reason == reason
