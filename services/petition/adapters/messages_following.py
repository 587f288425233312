"""Between the words of following a case and its contract. Nothing goes out that is not masked or public."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from protos.petition.v1 import following_pb2 as pb
from services.chassis import clock
from services.chassis.deadline import Deadline
from services.chassis.directory_entries import Division
from services.chassis.masking import mask_text
from services.petition.adapters import messages
from services.petition.adapters.progress_reads import Changed, Row, Rows
from services.petition.application.filing import NOTICE_EN, NOTICE_ZH, Filing
from services.petition.application.following import Papers, Tracked
from services.petition.application.following_ports import Material, PublicOffice
from services.petition.domain import public_page
from services.petition.domain.petition import Petition
from services.petition.domain.public_page import NextStep, Step
from services.petition.domain.registration import Registration
from services.petition.domain.terms import Channel, PetitionClass, State

CHECKED = {
    pb.IDENTITY_CHECK_ID_CARD: ("ID_CARD", "已核对居民身份证"),
    pb.IDENTITY_CHECK_CALLED_BACK: ("CALLED_BACK", "已回拨登记电话"),
    pb.IDENTITY_CHECK_AUTHORISED: ("AUTHORISED", "已核对委托书和受托人身份证"),
    pb.IDENTITY_CHECK_CONTENT: ("CONTENT", "已核对登记内容"),
}
TITLES = {"opinion": "信访处理意见书", "decline": "不予受理告知书", "void": "登记作废说明"}


def tracked(shown: Tracked) -> pb.TrackedCase:
    """A case as its public page shows it."""
    return pb.TrackedCase(
        state=_public_state(shown.petition), stage=shown.stage[0], stage_en=shown.stage[1], office=office(shown.office),
        clock=public_clock(shown.clock, shown.at) if shown.clock else None, steps=map(_step, shown.steps),
        next=map(_next, shown.next), as_of=messages.stamp(shown.at),
    )  # fmt: skip


def office(shown: PublicOffice) -> pb.PublicOffice:
    """An office as the public knows it."""
    return pb.PublicOffice(title=shown.name, telephone=shown.phone)


def public_clock(running: Deadline, at: datetime) -> pb.PublicClock:
    """A time limit in words for a citizen."""
    zh, en = public_page.clock_words(running, running.colour(at))
    return pb.PublicClock(
        title=public_page.clock_title(running), source=running.source, length=running.length, unit=running.unit.value,
        started_on=running.started_on.isoformat(), due_on=running.due_on.isoformat(), provisional=running.provisional,
        colour=messages.number(running.colour(at)), text=zh, text_en=en,
    )  # fmt: skip


def papers(shown: Papers) -> pb.TrackDocumentsResponse:
    """The written answers of a case."""
    p = shown.case.petition
    return pb.TrackDocumentsResponse(
        case_number=p.case_number, subject=p.subject, documents=_documents(p, shown.answered_on),
        satisfaction=messages.number(p.satisfaction),
    )  # fmt: skip


def filing(request: pb.FilePetitionOnlineRequest, today: date) -> Filing:
    """What a citizen wrote into the form; it came over the net, today."""
    return Filing(
        Registration(
            channel=Channel.ONLINE,
            petition_class=(
                messages.term(PetitionClass, request.petition_class) if request.petition_class else PetitionClass.CLAIM
            ),
            division_code=request.division_code,
            subject=request.subject.strip(),
            content=request.content.strip(),
            received_on=today,
            representatives=tuple(messages.persons(request.representatives)),
            accused_unit=request.accused_unit.strip(),
        ),
        pin=request.pin,
        notice_read=request.notice_read,
        trap=request.website,
    )


def filed(
    case_number: str, public_code: str, registered: PublicOffice, running: Deadline, at: datetime
) -> pb.FilePetitionOnlineResponse:
    """What a citizen takes away from an online filing."""
    return pb.FilePetitionOnlineResponse(
        case_number=case_number, public_code=public_code, slip_path="/v1/track:slip", track_path="/track",
        office=office(registered), clock=public_clock(running, at), notice=NOTICE_ZH, notice_en=NOTICE_EN,
    )  # fmt: skip


def divisions(found: Iterable[Division]) -> Iterator[pb.FilingDivision]:
    """Divisions, as the public knows them."""
    for one in found:
        yield pb.FilingDivision(code=one.code, title=one.name, level=one.level, parent_code=one.parent)


def materials(found: Iterable[Material], names: list[str]) -> Iterator[pb.Material]:
    """What the petitioner added, masked."""
    for one in found:
        yield pb.Material(id=one.id, at=messages.stamp(one.at), content=mask_text(one.content, names))


def progress(page: Rows) -> pb.ListProgressResponse:
    """A page of what happened."""
    return pb.ListProgressResponse(rows=map(_row, page.rows), next_page_token=page.cursor, reset=page.reset)


def waited(found: Changed, busy: bool) -> pb.WaitProgressResponse:
    """What the gateway waited for."""
    return pb.WaitProgressResponse(
        cursor=found.cursor, petition_ids=found.petition_ids, everything=found.everything, busy=busy
    )


def _public_state(petition: Petition) -> int:
    """Of an accusation only whether it is open, closed or void."""
    if not public_page.is_sealed(petition) or petition.state is State.VOIDED:
        return int(messages.number(petition.state))
    shown = State.CONCLUDED if petition.state in public_page.CLOSED else State.REGISTERED
    return int(messages.number(shown))


def _step(step: Step) -> pb.PublicStep:
    day = clock.legal_date(step.at).isoformat()
    return pb.PublicStep(day=day, at=messages.stamp(step.at), text=step.zh, text_en=step.en)


def _next(step: NextStep) -> pb.PublicNext:
    zh, en = public_page.NEXT_WORDS[step.step]
    return pb.PublicNext(
        step=pb.NextStep.Value(f"NEXT_STEP_{step.step.name}"), text=zh, text_en=en,
        until=step.until.isoformat() if step.until else "", needs_proof=step.step in public_page.NEEDS_PROOF,
    )  # fmt: skip


def _documents(petition: Petition, answered_on: date | None) -> Iterator[pb.PublicDocument]:
    day = answered_on.isoformat() if answered_on else ""
    if petition.state in (State.CONCLUDED, State.EVALUATED):
        yield pb.PublicDocument(
            kind="opinion", title=TITLES["opinion"], day=day, content=petition.opinion,
            legal_basis=petition.legal_basis, outcome=messages.number(petition.outcome),
        )  # fmt: skip
    elif petition.state is State.DECLINED:
        route = messages.number(petition.route)
        yield pb.PublicDocument(kind="decline", title=TITLES["decline"], day=day, content=petition.reason, route=route)
    elif petition.state is State.VOIDED:
        yield pb.PublicDocument(kind="void", title=TITLES["void"], content=petition.reason)


def _row(row: Row) -> pb.Progress:
    return pb.Progress(
        cursor=row.cursor, petition_id=row.petition_id, case_number=row.case_number, state=messages.number(row.state),
        kind=row.kind, text=row.text_zh, text_en=row.text_en, at=messages.stamp(row.at), unit=row.unit, seq=row.seq,
    )  # fmt: skip
