"""gRPC in. No `try` here: one interceptor turns refusals into statuses, and the `with` is the transaction."""

from __future__ import annotations

from datetime import date

import grpc

from protos.mediation.v1 import mediation_pb2 as pb
from protos.mediation.v1.mediation_pb2_grpc import MediationServiceServicer
from services.chassis import clock, deadline_store
from services.chassis.identity import current
from services.chassis.refusal import Invalid
from services.chassis.tables import deadlines
from services.mediation.adapters import messages, officer_items, reads
from services.mediation.adapters.store import MediationTx, Store
from services.mediation.application import use_cases
from services.mediation.application.masked import mask
from services.mediation.domain.mediation import Mediation

Context = grpc.ServicerContext


class MediationService(MediationServiceServicer):
    """The mediation centre's RPCs."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def GetMediation(self, request: pb.GetMediationRequest, _: Context) -> pb.Mediation:
        with self.store.db.reading() as conn:
            shown = reads.one(conn, current(), request.id)
        return messages.message_of(shown.mediation, shown.clocks, clock.now())

    def ListMediations(self, request: pb.ListMediationsRequest, _: Context) -> pb.ListMediationsResponse:
        wanted, now = messages.wanted(request), clock.now()
        shown, token = reads.page(self.store.db, current(), wanted, request.page_size, request.page_token)
        found = [messages.message_of(one.mediation, one.clocks, now) for one in shown]
        return pb.ListMediationsResponse(mediations=found, next_page_token=token)

    def RecordConsent(self, request: pb.RecordConsentRequest, _: Context) -> pb.Mediation:
        given = _given(request.consent)
        with self.store.transaction() as tx:
            return _answer(tx, use_cases.record_consent(tx, request.id, request.party_id, given, request.reason))

    def SettleMediation(self, request: pb.SettleMediationRequest, _: Context) -> pb.Mediation:
        form = messages.FORM_OF[request.form]
        perform_by = date.fromisoformat(request.perform_by) if request.perform_by else None
        with self.store.transaction() as tx:
            return _answer(tx, use_cases.settle(tx, request.id, form, request.terms, perform_by))

    def FailMediation(self, request: pb.FailMediationRequest, _: Context) -> pb.Mediation:
        with self.store.transaction() as tx:
            return _answer(tx, use_cases.fail(tx, request.id, request.reason))

    def ListMediationTimeline(
        self, request: pb.ListMediationTimelineRequest, _: Context
    ) -> pb.ListMediationTimelineResponse:
        with self.store.db.reading() as conn:
            entries, token = reads.story(conn, current(), request.id, request.page_size, request.page_token)
        lines = [messages.entry_of(entry) for entry in entries]
        return pb.ListMediationTimelineResponse(entries=lines, next_page_token=token)

    def RevealMediation(self, request: pb.RevealMediationRequest, _: Context) -> pb.RevealMediationResponse:
        with self.store.transaction() as tx:
            shown = use_cases.reveal(tx, request.id, request.fields, request.reason)
        return messages.revealed(shown)

    def ListOfficerItems(self, request: pb.ListOfficerItemsRequest, _: Context) -> pb.ListOfficerItemsResponse:
        return officer_items.page(self.store.db, request)

    def HandOverItems(self, request: pb.HandOverItemsRequest, _: Context) -> pb.HandOverItemsResponse:
        with self.store.transaction() as tx:
            return officer_items.move(tx, request)


def _given(consent: pb.Consent) -> bool:
    if consent == pb.CONSENT_ASKED:
        zh = "是否同意调解(consent)请选择“同意”(CONSENT_GIVEN)或“不同意”(CONSENT_REFUSED)。"
        raise Invalid("consent", zh, "consent takes CONSENT_GIVEN or CONSENT_REFUSED.")
    return consent == pb.CONSENT_GIVEN


def _answer(tx: MediationTx, mediation: Mediation) -> pb.Mediation:
    clocks = deadline_store.of_subject(tx.tx.seeing(deadlines), mediation.id)
    return messages.message_of(mask(mediation), clocks, tx.now)
