"""gRPC in: one method per RPC of the contract. Interceptors have checked token, permission, fields and deadline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import grpc

from protos.grid.v1 import directory_pb2 as pb
from protos.grid.v1.directory_pb2_grpc import DirectoryServiceServicer
from services.chassis import clock, identity
from services.chassis.database import Database
from services.chassis.directory_entries import CALENDARS, CATEGORIES, DIVISIONS, POSTS, STAFF, UNITS
from services.chassis.requests import Once
from services.grid.adapters import messages
from services.grid.adapters.reads import SqlReads
from services.grid.application import queries
from services.grid.application.ports import Filters, Shown
from services.grid.application.queries import Page

Context = grpc.ServicerContext


@dataclass(frozen=True)
class Desk:
    """What every method stands on."""

    db: Database
    tier: str
    once: Once


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

    def ListPosts(self, request: pb.ListPostsRequest, _: Context) -> pb.ListPostsResponse:
        wanted = Filters(POSTS, _as_of(request), parent=request.unit, text=request.text.strip())
        page = self._page(wanted, request)
        return pb.ListPostsResponse(posts=map(messages.post, page.items), next_page_token=page.next_token)

    def GetPost(self, request: pb.GetEntryRequest, _: Context) -> pb.Post:
        return messages.post(self._one(POSTS, request))

    def ListStaff(self, request: pb.ListStaffRequest, _: Context) -> pb.ListStaffResponse:
        wanted = Filters(STAFF, _as_of(request), parent=request.unit, fields=_one_of("post", [request.post]))
        page = self._page(wanted, request)
        return pb.ListStaffResponse(staff=map(messages.staff, page.items), next_page_token=page.next_token)

    def GetStaff(self, request: pb.GetEntryRequest, _: Context) -> pb.StaffMember:
        return messages.staff(self._one(STAFF, request))

    def ListCategories(self, request: pb.ListCategoriesRequest, _: Context) -> pb.ListCategoriesResponse:
        wanted = Filters(
            CATEGORIES, _as_of(request), parent=request.parent_code, text=request.text.strip(),
            levels=messages.words(messages.SET, [request.set]),
        )  # fmt: skip
        page = self._page(wanted, request)
        return pb.ListCategoriesResponse(categories=map(messages.category, page.items), next_page_token=page.next_token)

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

    def _page(self, wanted: Filters, request: Any) -> Page[Shown]:
        with self.desk.db.reading() as conn:
            reads, caller = SqlReads(conn), identity.current()
            return queries.list_entries(reads, caller, wanted, request.page_size, request.page_token)

    def _one(self, kind: str, request: pb.GetEntryRequest) -> Shown:
        with self.desk.db.reading() as conn:
            return queries.get_entry(SqlReads(conn), identity.current(), kind, request.code, _as_of(request))


def _as_of(request: Any) -> date:
    return messages.day("as_of", request.as_of, clock.legal_date(clock.now()))


def _one_of(name: str, values: Iterable[str]) -> dict[str, frozenset[str]]:
    wanted = frozenset(values) - {""}
    return {name: wanted} if wanted else {}
