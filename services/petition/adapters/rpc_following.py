"""gRPC in for following a case: by citizens with a public code, by the window, and by event streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import grpc

from protos.files.v1.files_pb2 import Document
from protos.petition.v1 import following_pb2 as pb
from protos.petition.v1.following_pb2_grpc import FollowingServiceServicer
from services.chassis import clock, deployment, identity, paging
from services.chassis.codes import display_public_code, new_public_code, normalise_public_code
from services.chassis.database import Tx
from services.chassis.ids import uuid7
from services.chassis.refusal import Forbidden, Invalid, Refusal
from services.petition.adapters import messages, progress_reads, slip_html, slip_pdf
from services.petition.adapters import messages_following as words
from services.petition.adapters.following_store import SqlFollowing, materials_of
from services.petition.adapters.progress_watch import Watch
from services.petition.adapters.public_offices import PublicOffices
from services.petition.adapters.rpc import LETTER, Office
from services.petition.application import attempts, filing, following, queries, use_cases
from services.petition.application.following import Citizen, Desk
from services.petition.application.prints import PrintOrder, print_slip, slip_for_citizen
from services.petition.domain import registration
from services.petition.domain.slip import Slip
from services.petition.domain.terms import Satisfaction

Context = grpc.ServicerContext
Outcome = TypeVar("Outcome")

# How the gateway tells where an open call comes from. Only calls as `public`, which it alone can sign, are believed.
SOURCE = "zongzhi-source"
PUBLIC = "public"
LONGEST_WAIT_S = 25
ERA_LENGTH = 8


@dataclass(frozen=True)
class FollowingSettings:
    """What an operator can set."""

    public_url: str
    font: Path
    filings_per_hour: int
    filings_per_day: int


class FollowingService(FollowingServiceServicer):
    """Following a case."""

    def __init__(self, office: Office, settings: FollowingSettings, watch: Watch) -> None:
        self.office = office
        self.settings = settings
        self.watch = watch
        self.offices = PublicOffices(office.directory, office.tier)

    def TrackPetition(self, request: pb.TrackPetitionRequest, context: Context) -> pb.TrackedCase:
        citizen = _citizen(request, context)
        return words.tracked(self._for_citizen(lambda desk: following.track(desk, citizen)))

    def TrackDocuments(self, request: pb.TrackDocumentsRequest, context: Context) -> pb.TrackDocumentsResponse:
        citizen = _citizen(request, context)
        return words.papers(self._for_citizen(lambda desk: following.documents(desk, citizen)))

    def EvaluateByCode(self, request: pb.EvaluateByCodeRequest, context: Context) -> pb.TrackedCase:
        citizen, rating = _citizen(request, context), messages.term(Satisfaction, request.satisfaction)
        comment = request.comment.strip()
        return words.tracked(self._for_citizen(lambda desk: following.evaluate(desk, citizen, rating, comment)))

    def AddMaterialByCode(self, request: pb.AddMaterialByCodeRequest, context: Context) -> pb.TrackedCase:
        citizen, content = _citizen(request, context), request.content.strip()
        if not content:
            raise Invalid("content", "请填写补充内容。", "Write what you add.")
        # First whether they may: a failure is counted, which a deed that is undone could not do.
        petition_id = self._for_citizen(lambda desk: following.opened(desk, citizen)).id

        def add(tx: Tx) -> pb.TrackedCase:
            return words.tracked(following.add_material(self._desk(tx), petition_id, content))

        return self.office.once.run(request, pb.TrackedCase, add)

    def TrackSlip(self, request: pb.TrackSlipRequest, context: Context) -> Document:
        self._check_format(request.format)
        order = self._order(request.public_code)
        citizen = _citizen(request, context)
        slip = self._for_citizen(lambda desk: slip_for_citizen(desk, citizen, order))
        return self._document(slip, request.format)

    def PrintSlip(self, request: pb.PrintSlipRequest, _: Context) -> Document:
        self._check_format(request.format)
        order = self._order(request.public_code)
        with self.office.db.transaction() as tx:
            slip = print_slip(self._desk(tx), request.id, order)
        return self._document(slip, request.format)

    def ReissueCode(self, request: pb.ReissueCodeRequest, _: Context) -> pb.ReissueCodeResponse:
        code, checked = new_public_code(), words.CHECKED[request.identity_checked]

        def reissue(tx: Tx) -> pb.ReissueCodeResponse:
            following.reissue_code(self._desk(tx), request.id, code, request.reason.strip(), checked, request.pin)
            return pb.ReissueCodeResponse(public_code=display_public_code(code))

        return self.office.once.run(request, pb.ReissueCodeResponse, reissue)

    def FilePetitionOnline(
        self, request: pb.FilePetitionOnlineRequest, context: Context
    ) -> pb.FilePetitionOnlineResponse:
        today, source = clock.legal_date(clock.now()), _source(context)
        form, hall = words.filing(request, today), self.offices.hall()
        filing.check_filing(form)
        at_window = replace(identity.current(), units=frozenset({hall}), unit=hall, scope=self.office.tier.rstrip("0"))
        try:
            use_cases.check_registration(self.office.directory, at_window, form.registration)
        except Forbidden as refused:
            raise filing.as_citizen_would_hear(refused) from None
        registration.check(form.registration, today)
        ceilings = attempts.filings(self.settings.filings_per_hour, self.settings.filings_per_day)
        code = new_public_code()
        number = self._number(form.registration.division_code, source, ceilings)

        def register(tx: Tx) -> pb.FilePetitionOnlineResponse:
            # The hall of this tier registers it, on behalf of whoever wrote.
            tx.identity = at_window
            case = filing.file_online(self._desk(tx), form, uuid7(), (number, code), source, ceilings)
            shown = display_public_code(code)
            return words.filed(number, shown, self.offices.public(hall), case.deadlines[0], tx.now)

        return self.office.once.run(request, pb.FilePetitionOnlineResponse, register)

    def ListFilingDivisions(
        self, request: pb.ListFilingDivisionsRequest, _: Context
    ) -> pb.ListFilingDivisionsResponse:
        size, narrowed = paging.page_size(request.page_size), f"filing divisions {request.parent_code}"
        (after,) = paging.decode_token(request.page_token, narrowed) or ("",)
        found = self.offices.divisions(request.parent_code, after, size + 1)
        token = paging.encode_token((found[size - 1].code,), narrowed) if len(found) > size else ""
        return pb.ListFilingDivisionsResponse(divisions=words.divisions(found[:size]), next_page_token=token)

    def ListMaterials(self, request: pb.ListMaterialsRequest, _: Context) -> pb.ListMaterialsResponse:
        size = paging.page_size(request.page_size)
        (before,) = paging.decode_token(request.page_token, f"materials {request.id}") or ("",)
        with self.office.db.reading() as conn:
            names = queries.seen_petition(self.office.reads(conn), identity.current(), request.id).names
            found = materials_of(conn, request.id, before, size + 1)
        token = paging.encode_token((found[size - 1].id,), f"materials {request.id}") if len(found) > size else ""
        return pb.ListMaterialsResponse(materials=words.materials(found[:size], names), next_page_token=token)

    def ListCaseProgress(self, request: pb.ListCaseProgressRequest, _: Context) -> pb.ListProgressResponse:
        after = request.page_token or "0"
        if not (after.isascii() and after.isdigit() and len(after) < 10):
            raise _no_cursor()
        with self.office.db.reading() as conn:
            seen = queries.seen_petition(self.office.reads(conn), identity.current(), request.id)
            size = paging.page_size(request.page_size)
            page = progress_reads.of_case(conn, seen.id, seen.case_number, seen.state, int(after), size)
        return words.progress(page)

    def ListBoardProgress(self, request: pb.ListBoardProgressRequest, _: Context) -> pb.ListProgressResponse:
        caller, size = identity.current(), paging.page_size(request.page_size)
        with self.office.db.reading() as conn:
            page = progress_reads.board(conn, caller, request.page_token, size, self._era, clock.now())
        return words.progress(page)

    def WaitProgress(self, request: pb.WaitProgressRequest, context: Context) -> pb.WaitProgressResponse:
        found = self._changed(request.after)

        def has_changed() -> bool:
            nonlocal found
            found = self._changed(request.after)
            return bool(found.petition_ids or found.everything)

        if not request.after or found.petition_ids or found.everything:
            return words.waited(found, busy=False)
        seconds = min(request.seconds or LONGEST_WAIT_S, LONGEST_WAIT_S)
        kept = self.watch.wait(has_changed, seconds, lambda: context is None or context.is_active())
        return words.waited(found, busy=not kept)

    def _changed(self, after: str) -> progress_reads.Changed:
        with self.office.db.reading() as conn:
            return progress_reads.changed(conn, after, self._era, clock.now())

    @cached_property
    def _era(self) -> str:
        """A restored database counts its transactions anew; cursors of before then lead nowhere."""
        return deployment.of(self.office.db, self.office.tier).incarnation.replace("-", "")[-ERA_LENGTH:]

    def _desk(self, tx: Tx) -> Desk:
        work = self.office.work(tx)
        reads = self.office.reads(tx.conn)
        return Desk(work, reads, SqlFollowing(tx, self.office.hash_key), self.offices, work.clocks.of)

    def _for_citizen(self, deed: Callable[[Desk], Outcome | Refusal]) -> Outcome:
        """The deed in one transaction; a refusal that it returns is raised after the commit, its trace kept."""
        with self.office.db.transaction() as tx:
            outcome = deed(self._desk(tx))
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    def _number(self, division: str, source: str, ceilings: tuple[attempts.Ceiling, ...]) -> str:
        """A case number, unless the source has filed enough: whoever floods the form uses no numbers up."""
        try:
            with self.office.db.transaction() as tx:
                for ceiling in ceilings:
                    ceiling.check(SqlFollowing(tx, self.office.hash_key), f"source:{source}", tx.now)
        except Refusal:
            # Said inside of the deed, so that a repeat of an earlier filing still gets its answer.
            return ""
        return self.office.numbers.take(division, LETTER, clock.legal_date(clock.now()))

    def _order(self, typed_code: str) -> PrintOrder:
        code = normalise_public_code(typed_code) if typed_code.strip() else ""
        return PrintOrder(code, display_public_code(code) if code else "", self.settings.public_url)

    def _check_format(self, wanted: int) -> None:
        if wanted == pb.PAPER_FORMAT_PDF:
            slip_pdf.check_font(self.settings.font)

    def _document(self, slip: Slip, wanted: int) -> Document:
        # Drawn after the commit: no child process is waited for with a case locked.
        if wanted == pb.PAPER_FORMAT_PDF:
            data, kind, ending = slip_pdf.document(slip, self.settings.font), "application/pdf", "pdf"
        else:
            data, kind, ending = slip_html.page(slip), "text/html; charset=utf-8", "html"
        return Document(content_type=kind, filename=f"slip-{slip.case_number}.{ending}", data=data)


def _citizen(request: Any, context: Context | None) -> Citizen:
    proof = getattr(request, "proof", None)
    return Citizen(_source(context), request.public_code, proof or None)


def _source(context: Context | None) -> str:
    """Where a call comes from: the address that the gateway vouches for, or else the account that calls."""
    caller = identity.current().account
    if caller != PUBLIC or context is None:
        return f"account:{caller}"
    metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
    return metadata.get(SOURCE, "")


def _no_cursor() -> Invalid:
    return Invalid(
        "page_token",
        "进展标记无效,请去掉 page_token 从头读取。",
        "The cursor is damaged; start again without page_token.",
    )


