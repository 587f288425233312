"""gRPC in: one method per RPC of the contract. Interceptors have checked token, permission, fields and deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import Message

from protos.files.v1.files_pb2 import Upload
from protos.grid.v1 import directory_pb2 as pb
from protos.grid.v1.directory_pb2_grpc import DirectoryServiceServicer
from services.chassis import clock, identity
from services.chassis.database import Database, Tx
from services.chassis.directory_entries import CALENDARS, CATEGORIES, DIVISIONS, POSTS, STAFF, UNITS
from services.chassis.requests import Once
from services.chassis.uploads import Incoming
from services.grid.adapters import messages
from services.grid.adapters.files import read_table, received
from services.grid.adapters.reads import SqlReads
from services.grid.adapters.store import SqlWork
from services.grid.application import editing, importing, queries
from services.grid.application.editing import Edit
from services.grid.application.importing import Options
from services.grid.application.ports import Filters, Shown
from services.grid.application.queries import Page
from services.grid.application.tables import Table
from services.grid.domain.kinds import NAME, PHONE

Answer = TypeVar("Answer", bound=Message)
Context = grpc.ServicerContext


@dataclass(frozen=True)
class Desk:
    """What every method stands on."""

    db: Database
    tier: str
    once: Once

    def work(self, tx: Tx) -> SqlWork:
        """An open transaction, as the use cases see it."""
        return SqlWork(tx, self.tier)

    def imported(self, options: Options, table: Table, request_id: str = "", digest: str = "") -> pb.ImportReport:
        """Takes a table, once per request id; a dry run is asked anew each time."""

        def take(tx: Tx) -> pb.ImportReport:
            return messages.report(importing.import_table(self.work(tx), options, table))

        asked = messages.asked(options, digest, "" if options.dry_run else request_id)
        return self.once.run(asked, pb.ImportReport, take)


class DirectoryService(DirectoryServiceServicer):
    """The directory's RPCs."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def ListDivisions(self, request: pb.ListDivisionsRequest, _: Context) -> pb.ListDivisionsResponse:
        wanted = Filters(
            DIVISIONS, _as_of(request), parent=request.parent_code, code_prefix=request.division_prefix,
            levels=messages.words(messages.LEVEL, request.levels), text=request.text.strip(),
        )  # fmt: skip
        page = self._page(wanted, request)
        found = [messages.division(shown) for shown in page.items]
        return pb.ListDivisionsResponse(divisions=found, next_page_token=page.next_token)

    def CountDivisions(self, request: pb.CountDivisionsRequest, _: Context) -> pb.CountDivisionsResponse:
        with self.desk.db.reading() as conn:
            found = queries.count_divisions(SqlReads(conn), _as_of(request), request.division_prefix)
        return messages.counts(found)

    def GetDivision(self, request: pb.GetEntryRequest, _: Context) -> pb.Division:
        return messages.division(self._one(DIVISIONS, request))

    def UpsertDivision(self, request: pb.UpsertDivisionRequest, _: Context) -> pb.Division:
        values = {
            "name": request.name, "level": messages.word(messages.LEVEL, request.level), "parent": request.parent_code,
            "mca_code": request.mca_code,
        }  # fmt: skip
        return self._upsert(DIVISIONS, request, pb.Division, values)

    def EndDivision(self, request: pb.EndEntryRequest, _: Context) -> pb.Division:
        return self._end(DIVISIONS, request, pb.Division)

    def ListUnits(self, request: pb.ListUnitsRequest, _: Context) -> pb.ListUnitsResponse:
        wanted = Filters(
            UNITS, _as_of(request), parent=request.division_code, parent_prefix=request.division_prefix,
            levels=messages.words(messages.UNIT_KIND, request.kinds), text=request.text.strip(),
            fields=_one_of("presence", messages.words(messages.PRESENCE, request.presences)),
        )  # fmt: skip
        page = self._page(wanted, request)
        return pb.ListUnitsResponse(units=map(messages.unit, page.items), next_page_token=page.next_token)

    def GetUnit(self, request: pb.GetEntryRequest, _: Context) -> pb.Unit:
        return messages.unit(self._one(UNITS, request))

    def UpsertUnit(self, request: pb.UpsertUnitRequest, _: Context) -> pb.Unit:
        values = {
            "name": request.name, "level": messages.word(messages.UNIT_KIND, request.kind),
            "parent": request.division_code, "superior": request.superior, "contact": request.contact,
            "presence": messages.word(messages.PRESENCE, request.presence), "rota": " ".join(map(str, request.rota)),
        }  # fmt: skip
        return self._upsert(UNITS, request, pb.Unit, values)

    def EndUnit(self, request: pb.EndEntryRequest, _: Context) -> pb.Unit:
        return self._end(UNITS, request, pb.Unit)

    def ListPosts(self, request: pb.ListPostsRequest, _: Context) -> pb.ListPostsResponse:
        wanted = Filters(POSTS, _as_of(request), parent=request.unit, text=request.text.strip())
        page = self._page(wanted, request)
        return pb.ListPostsResponse(posts=map(messages.post, page.items), next_page_token=page.next_token)

    def GetPost(self, request: pb.GetEntryRequest, _: Context) -> pb.Post:
        return messages.post(self._one(POSTS, request))

    def UpsertPost(self, request: pb.UpsertPostRequest, _: Context) -> pb.Post:
        values = {"name": request.title, "parent": request.unit, "roles": " ".join(request.roles)}
        return self._upsert(POSTS, request, pb.Post, values)

    def EndPost(self, request: pb.EndEntryRequest, _: Context) -> pb.Post:
        return self._end(POSTS, request, pb.Post)

    def ListStaff(self, request: pb.ListStaffRequest, _: Context) -> pb.ListStaffResponse:
        wanted = Filters(STAFF, _as_of(request), parent=request.unit, fields=_one_of("post", [request.post]))
        page = self._page(wanted, request)
        return pb.ListStaffResponse(staff=map(messages.staff, page.items), next_page_token=page.next_token)

    def GetStaff(self, request: pb.GetEntryRequest, _: Context) -> pb.StaffMember:
        return messages.staff(self._one(STAFF, request))

    def UpsertStaff(self, request: pb.UpsertStaffRequest, _: Context) -> pb.StaffMember:
        values = {NAME: request.name, PHONE: request.phone, "parent": request.unit, "post": request.post}
        return self._upsert(STAFF, request, pb.StaffMember, values)

    def EndStaff(self, request: pb.EndEntryRequest, _: Context) -> pb.StaffMember:
        return self._end(STAFF, request, pb.StaffMember)

    def RevealStaff(self, request: pb.RevealStaffRequest, _: Context) -> pb.RevealStaffResponse:
        with self.desk.db.transaction() as tx:
            work, reads = self.desk.work(tx), SqlReads(tx.conn)
            person = editing.reveal_staff(work, reads, request.code, request.fields, request.reason)
        return pb.RevealStaffResponse(name=person.name, phone=person.phone)

    def ListCategories(self, request: pb.ListCategoriesRequest, _: Context) -> pb.ListCategoriesResponse:
        wanted = Filters(
            CATEGORIES, _as_of(request), parent=request.parent_code, text=request.text.strip(),
            levels=messages.words(messages.SET, [request.set]),
        )  # fmt: skip
        page = self._page(wanted, request)
        return pb.ListCategoriesResponse(categories=map(messages.category, page.items), next_page_token=page.next_token)

    def UpsertCategory(self, request: pb.UpsertCategoryRequest, _: Context) -> pb.Category:
        values = {
            "name": request.name, "level": messages.word(messages.SET, request.set), "parent": request.parent_code,
        }  # fmt: skip
        return self._upsert(CATEGORIES, request, pb.Category, values)

    def EndCategory(self, request: pb.EndEntryRequest, _: Context) -> pb.Category:
        return self._end(CATEGORIES, request, pb.Category)

    def ListCalendarDays(self, request: pb.ListCalendarDaysRequest, _: Context) -> pb.ListCalendarDaysResponse:
        wanted = Filters(CALENDARS, _as_of(request), code_prefix=f"{request.year:04}-" if request.year else "")
        page = self._page(wanted, request)
        with self.desk.db.reading() as conn:
            first, last = SqlReads(conn).years(wanted.as_of)
        days = map(messages.calendar_day, page.items)
        return pb.ListCalendarDaysResponse(days=days, next_page_token=page.next_token, first_year=first, last_year=last)

    def ListVersions(self, request: pb.ListVersionsRequest, _: Context) -> pb.ListVersionsResponse:
        with self.desk.db.reading() as conn:
            page = queries.list_versions(SqlReads(conn), request.kind, request.page_size, request.page_token)
        return pb.ListVersionsResponse(versions=map(messages.version, page.items), next_page_token=page.next_token)

    def ImportDirectory(self, request: Iterable[Upload], _: Context) -> pb.ImportReport:
        incoming = Incoming(request)
        options = importing.options_of(incoming.id, incoming.options, incoming.name)
        with received(incoming) as path:
            table = read_table(options.kind, path)
        return self.desk.imported(options, table, incoming.request_id, incoming.sha256)

    def _upsert(self, kind: str, request: Any, answer: type[Answer], values: dict[str, str]) -> Answer:
        edit = Edit(
            kind, request.code.strip(), values, _optional("effective_on", request.effective_on),
            _optional("valid_to", request.valid_to), request.expected_revision,
        )  # fmt: skip
        return self._once(request, answer, lambda work: messages.show(kind, editing.upsert(work, edit)))

    def _end(self, kind: str, request: pb.EndEntryRequest, answer: type[Answer]) -> Answer:
        on = _optional("effective_on", request.effective_on)
        given = request.code, on, request.expected_revision, request.reason
        return self._once(request, answer, lambda work: messages.show(kind, editing.end(work, kind, *given)))

    def _once(self, request: Any, answer: type[Answer], deed: Callable[[SqlWork], Any]) -> Answer:
        return self.desk.once.run(request, answer, lambda tx: cast(Answer, deed(self.desk.work(tx))))

    def _page(self, wanted: Filters, request: Any) -> Page[Shown]:
        with self.desk.db.reading() as conn:
            reads, caller = SqlReads(conn), identity.current()
            return queries.list_entries(reads, caller, wanted, request.page_size, request.page_token)

    def _one(self, kind: str, request: pb.GetEntryRequest) -> Shown:
        with self.desk.db.reading() as conn:
            return queries.get_entry(SqlReads(conn), identity.current(), kind, request.code, _as_of(request))


def _as_of(request: Any) -> date:
    return messages.day("as_of", request.as_of, clock.legal_date(clock.now()))


def _optional(field: str, text: str) -> date | None:
    return messages.day(field, text, date.min) if text else None


def _one_of(name: str, values: Iterable[str]) -> dict[str, frozenset[str]]:
    wanted = frozenset(values) - {""}
    return {name: wanted} if wanted else {}
