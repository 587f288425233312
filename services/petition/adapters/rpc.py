"""gRPC in: one method per RPC of the contract. Interceptors have checked token, permission, fields and deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from protos.petition.v1 import petition_pb2 as pb
from protos.petition.v1.petition_pb2_grpc import PetitionServiceServicer
from services.chassis import clock, identity
from services.chassis.calendar import WorkCalendar
from services.chassis.codes import display_public_code, keyed_hash, new_public_code
from services.chassis.database import Database, Tx
from services.chassis.directory import Directory
from services.chassis.ids import uuid7
from services.chassis.numbers import Numbers
from services.chassis.requests import Once
from services.chassis.tables import referrals
from services.petition.adapters import messages, officer_items
from services.petition.adapters.reads import SqlReads
from services.petition.adapters.store import SqlWork, person_hash
from services.petition.application import queries, use_cases
from services.petition.application.masked import mask
from services.petition.application.queries import PageRequest
from services.petition.application.reveal import reveal_petition
from services.petition.domain import registration
from services.petition.domain.petition import Petition
from services.petition.domain.terms import Outcome, Route, Satisfaction

# Service letter of petition in case numbers: 信访.
LETTER = "X"
Context = grpc.ServicerContext


@dataclass(frozen=True)
class Office:
    """What every method stands on: the database and its ledgers."""

    db: Database
    tier: str
    hash_key: bytes
    # An operator's own table; None: the directory's, as it stands.
    own_calendar: WorkCalendar | None
    directory: Directory
    numbers: Numbers
    once: Once

    @property
    def calendar(self) -> WorkCalendar:
        """The working calendar that counts now."""
        return self.own_calendar or self.directory.calendar()

    def work(self, tx: Tx) -> SqlWork:
        """An open transaction, as the use cases see it."""
        return SqlWork(tx, tier=self.tier, hash_key=self.hash_key, calendar=self.calendar, directory=self.directory)

    def reads(self, conn: Any) -> SqlReads:
        """Reads on a connection."""
        return SqlReads(self.db, conn, self.directory)

    def hashed(self, key: str, text: str) -> str:
        """The keyed hash by which a person is looked up."""
        return person_hash(self.hash_key, key, text) or keyed_hash(self.hash_key, "")


class PetitionService(PetitionServiceServicer):
    """The petition hall's RPCs."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def RegisterPetition(self, request: pb.RegisterPetitionRequest, _: Context) -> pb.RegisterPetitionResponse:
        today = clock.legal_date(clock.now())
        draft = messages.registration(request, today)
        use_cases.check_registration(self.office.directory, identity.current(), draft)
        registration.check(draft, today)
        # Numbers come in blocks of their own transaction; a repeat of the call leaves a gap, which is allowed.
        number, code = self.office.numbers.take(draft.division_code, LETTER, today), new_public_code()

        def register(tx: Tx) -> pb.RegisterPetitionResponse:
            case = use_cases.register_petition(self.office.work(tx), uuid7(), draft, number, code)
            shown = messages.petition(mask(case), tx.now)
            return pb.RegisterPetitionResponse(petition=shown, public_code=display_public_code(code))

        return self.office.once.run(request, pb.RegisterPetitionResponse, register)

    def GetPetition(self, request: pb.GetPetitionRequest, _: Context) -> pb.Petition:
        with self.office.db.reading() as conn:
            found = queries.get_petition(self.office.reads(conn), identity.current(), request.id)
        return messages.petition(found, clock.now())

    def ListPetitions(self, request: pb.ListPetitionsRequest, _: Context) -> pb.ListPetitionsResponse:
        now, wanted = clock.now(), PageRequest(request.page_size, request.page_token)
        with self.office.db.reading() as conn:
            reads = self.office.reads(conn)
            page = queries.list_petitions(reads, identity.current(), messages.filters(request), wanted, now)
        petitions = [messages.petition(case, now) for case in page.items]
        return pb.ListPetitionsResponse(petitions=petitions, next_page_token=page.next_token)

    def FindPetitions(self, request: pb.FindPetitionsRequest, _: Context) -> pb.ListPetitionsResponse:
        given = {key: getattr(request, key) for key in queries.PERSON_KEYS}
        wanted = PageRequest(request.page_size, request.page_token)
        with self.office.db.transaction() as tx:
            reads = self.office.reads(tx.conn)
            page = queries.find_petitions(self.office.work(tx), reads, given, self.office.hashed, wanted)
        petitions = [messages.petition(case, tx.now) for case in page.items]
        return pb.ListPetitionsResponse(petitions=petitions, next_page_token=page.next_token)

    def AcceptPetition(self, request: pb.AcceptPetitionRequest, _: Context) -> pb.Petition:
        return self._change(lambda work: use_cases.accept_petition(work, request.id, request.responsible_unit.strip()))

    def DeclinePetition(self, request: pb.DeclinePetitionRequest, _: Context) -> pb.Petition:
        route = messages.term(Route, request.route)
        return self._change(lambda work: use_cases.decline_petition(work, request.id, request.reason, route))

    def ReferPetition(self, request: pb.ReferPetitionRequest, _: Context) -> pb.Petition:
        def refer(tx: Tx) -> pb.Petition:
            work, others = self.office.work(tx), messages.persons(request.respondents)
            return self._shown(
                work, use_cases.refer_petition(work, request.id, others, request.dispute_type.strip(), request.reason)
            )

        return self.office.once.run(request, pb.Petition, refer)

    def WithdrawReferral(self, request: pb.WithdrawReferralRequest, _: Context) -> pb.Petition:
        return self._change(lambda work: use_cases.withdraw_referral(work, request.id, request.reason))

    def ConcludePetition(self, request: pb.ConcludePetitionRequest, _: Context) -> pb.Petition:
        given = messages.term(Outcome, request.outcome), request.opinion, request.legal_basis
        return self._change(lambda work: use_cases.conclude_petition(work, request.id, *given))

    def EvaluatePetition(self, request: pb.EvaluatePetitionRequest, _: Context) -> pb.Petition:
        rating = messages.term(Satisfaction, request.satisfaction)
        return self._change(lambda work: use_cases.evaluate_petition(work, request.id, rating, request.comment))

    def VoidPetition(self, request: pb.VoidPetitionRequest, _: Context) -> pb.Petition:
        return self._change(lambda work: use_cases.void_petition(work, request.id, request.reason))

    def ListTimeline(self, request: pb.ListTimelineRequest, _: Context) -> pb.ListTimelineResponse:
        wanted = PageRequest(request.page_size, request.page_token)
        with self.office.db.reading() as conn:
            page = queries.list_timeline(self.office.reads(conn), identity.current(), request.id, wanted)
        entries = [messages.timeline_entry(line) for line in page.items]
        return pb.ListTimelineResponse(entries=entries, next_page_token=page.next_token)

    def RevealPetition(self, request: pb.RevealPetitionRequest, _: Context) -> pb.RevealPetitionResponse:
        with self.office.db.transaction() as tx:
            shown = reveal_petition(self.office.work(tx), request.id, request.fields, request.reason)
        return messages.revealed(shown)

    def ListOfficerItems(self, request: pb.ListOfficerItemsRequest, _: Context) -> pb.ListOfficerItemsResponse:
        return officer_items.page(self.office.db, request)

    def HandOverItems(self, request: pb.HandOverItemsRequest, _: Context) -> pb.HandOverItemsResponse:
        with self.office.db.transaction() as tx:
            return officer_items.move(tx, self.office.work(tx), request)

    def _change(self, deed: Callable[[SqlWork], Petition]) -> pb.Petition:
        with self.office.db.transaction() as tx:
            work = self.office.work(tx)
            return self._shown(work, deed(work))

    def _shown(self, work: SqlWork, changed: Petition) -> pb.Petition:
        # Read in the same transaction, so that the answer shows what this deed made and nothing later.
        reads = self.office.reads(work.tx.seeing(referrals))
        return messages.petition(mask(reads.case_of(changed, work.clocks.of(changed.id))), work.now)
