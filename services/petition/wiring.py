"""Petition's composition root: the one place that names its concrete classes together."""

from __future__ import annotations

import grpc

from protos.petition.v1 import petition_pb2
from protos.petition.v1.petition_pb2_grpc import add_PetitionServiceServicer_to_server
from services.chassis import datakey, deployment
from services.chassis.calendar import WorkCalendar
from services.chassis.database import Database, Tx
from services.chassis.deadline import Deadline
from services.chassis.numbers import Numbers
from services.chassis.requests import Once
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.petition.adapters.directory import Directory, seed
from services.petition.adapters.listeners import listen
from services.petition.adapters.rpc import Office, PetitionService
from services.petition.application import answers

NAME = "petition"


def build(settings: Settings, *, db: Database | None = None, calendar: WorkCalendar | None = None) -> Service:
    """The petition service on these settings; tests bring a database and a calendar of their own."""
    db = db or Database(settings.database_url_of(NAME), create=True)
    office = open_office(settings, db, calendar or _calendar(settings))

    def on_crossing(tx: Tx, deadline: Deadline, colour: str) -> None:
        answers.clock_crossed(office.work(tx), deadline, colour)

    def join(server: grpc.Server) -> None:
        add_PetitionServiceServicer_to_server(PetitionService(office), server)  # type: ignore[no-untyped-call]  # generated

    return Service(
        name=NAME,
        settings=settings,
        db=db,
        join=join,
        grpc_names=(petition_pb2.DESCRIPTOR.services_by_name["PetitionService"].full_name,),
        listeners=listen(office.work),
        on_crossing=on_crossing,
        seed=seed,
    )


def open_office(settings: Settings, db: Database, calendar: WorkCalendar) -> Office:
    """What the RPCs and listeners stand on."""
    key = datakey.load(settings.data_key_file)
    return Office(
        db=db,
        tier=settings.tier,
        hash_key=key.hash_key,
        calendar=calendar,
        directory=Directory(db),
        numbers=Numbers(db, lambda: deployment.of(db, settings.tier).node),
        once=Once(db, key.seal_key),
    )


def _calendar(settings: Settings) -> WorkCalendar:
    return WorkCalendar.from_file(settings.holidays) if settings.holidays else WorkCalendar.published()
