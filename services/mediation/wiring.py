"""Mediation's composition root: the one place that names its concrete classes together."""

from __future__ import annotations

from datetime import date

import grpc

from protos.mediation.v1 import mediation_pb2
from protos.mediation.v1.mediation_pb2_grpc import add_MediationServiceServicer_to_server
from services.chassis import directory_store
from services.chassis.calendar import WorkCalendar
from services.chassis.database import Database, Tx
from services.chassis.deadline import Deadline
from services.chassis.directory import Directory
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.mediation.adapters.listeners import listen
from services.mediation.adapters.rpc import MediationService
from services.mediation.adapters.store import SERVICE, Store
from services.mediation.application import use_cases


def build(settings: Settings, *, db: Database | None = None, calendar: WorkCalendar | None = None) -> Service:
    """The mediation service on these settings; tests bring a database and a calendar of their own."""
    db = db or Database(settings.database_url_of(SERVICE), create=True)
    store = Store(db, settings.tier, Directory(db), calendar or _own_calendar(settings))

    def on_crossing(tx: Tx, deadline: Deadline, colour: str) -> None:
        use_cases.clock_crossed(store.within(tx), deadline, colour)

    def on_moved(tx: Tx, deadline: Deadline, before: date) -> None:
        use_cases.clock_moved(store.within(tx), deadline, before)

    def join(server: grpc.Server) -> None:
        add_MediationServiceServicer_to_server(MediationService(store), server)  # type: ignore[no-untyped-call]

    return Service(
        name=SERVICE,
        settings=settings,
        db=db,
        join=join,
        grpc_names=(mediation_pb2.DESCRIPTOR.services_by_name["MediationService"].full_name,),
        listeners=listen(store),
        on_crossing=on_crossing,
        on_moved=on_moved,
        seed=directory_store.seed,
        calendar=lambda: store.calendar,
    )


def _own_calendar(settings: Settings) -> WorkCalendar | None:
    return WorkCalendar.from_file(settings.holidays) if settings.holidays else None
