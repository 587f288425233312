"""Petition's composition root: the one place that names its concrete classes together."""

from __future__ import annotations

from datetime import date

import grpc

from protos.petition.v1 import attachments_pb2, following_pb2, petition_pb2, registers_pb2
from protos.petition.v1.attachments_pb2_grpc import add_AttachmentServiceServicer_to_server
from protos.petition.v1.following_pb2_grpc import add_FollowingServiceServicer_to_server
from protos.petition.v1.petition_pb2_grpc import add_PetitionServiceServicer_to_server
from protos.petition.v1.registers_pb2_grpc import add_RegisterServiceServicer_to_server
from services.chassis import datakey, deployment, directory_store
from services.chassis.blobs import BlobSweeper
from services.chassis.calendar import WorkCalendar
from services.chassis.database import Database, Tx
from services.chassis.deadline import Deadline
from services.chassis.directory import Directory
from services.chassis.numbers import Numbers
from services.chassis.requests import Once
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.petition.adapters.file_room import open_room
from services.petition.adapters.forgetting import Forgetting
from services.petition.adapters.job_worker import JobWorker
from services.petition.adapters.listeners import listen
from services.petition.adapters.progress_watch import Watch
from services.petition.adapters.rpc import Office, PetitionService
from services.petition.adapters.rpc_attachments import AttachmentService
from services.petition.adapters.rpc_following import FollowingService, FollowingSettings
from services.petition.adapters.rpc_registers import RegisterService
from services.petition.application import answers

NAME = "petition"


def build(settings: Settings, *, db: Database | None = None, calendar: WorkCalendar | None = None) -> Service:
    """The petition service on these settings; tests bring a database and a calendar of their own."""
    db = db or Database(settings.database_url_of(NAME), create=True)
    office = open_office(settings, db, calendar or _own_calendar(settings))

    # Of four gRPC threads one may wait for progress; more waiting gateways ask again every second.
    watch = Watch(db, max(1, settings.grpc_threads // 4))

    jobs = JobWorker(office)
    files = open_room(settings, db)

    def on_crossing(tx: Tx, deadline: Deadline, colour: str) -> None:
        answers.clock_crossed(office.work(tx), deadline, colour)

    def on_moved(tx: Tx, deadline: Deadline, before: date) -> None:
        answers.clock_moved(office.work(tx), deadline, before)

    def join(server: grpc.Server) -> None:
        add_PetitionServiceServicer_to_server(PetitionService(office), server)  # type: ignore[no-untyped-call]  # generated
        add_FollowingServiceServicer_to_server(following(settings, office, watch), server)  # type: ignore[no-untyped-call]
        add_RegisterServiceServicer_to_server(RegisterService(office, jobs.wake), server)  # type: ignore[no-untyped-call]
        add_AttachmentServiceServicer_to_server(AttachmentService(office, files), server)  # type: ignore[no-untyped-call]

    return Service(
        name=NAME,
        settings=settings,
        db=db,
        join=join,
        grpc_names=(
            petition_pb2.DESCRIPTOR.services_by_name["PetitionService"].full_name,
            following_pb2.DESCRIPTOR.services_by_name["FollowingService"].full_name,
            registers_pb2.DESCRIPTOR.services_by_name["RegisterService"].full_name,
            attachments_pb2.DESCRIPTOR.services_by_name["AttachmentService"].full_name,
        ),
        listeners=listen(office.work),
        on_crossing=on_crossing,
        on_moved=on_moved,
        seed=directory_store.seed,
        calendar=lambda: office.calendar,
        parts=lambda: (watch, Forgetting(db), jobs, BlobSweeper(NAME, files.blobs)),
    )


def following(settings: Settings, office: Office, watch: Watch) -> FollowingService:
    """What citizens and event streams follow a case by."""
    own = FollowingSettings(
        settings.public_url, settings.slip_font, settings.filings_per_hour, settings.filings_per_day
    )
    return FollowingService(office, own, watch)


def open_office(settings: Settings, db: Database, calendar: WorkCalendar | None) -> Office:
    """What the RPCs and listeners stand on."""
    key = datakey.load(settings.data_key_file)
    return Office(
        db=db,
        tier=settings.tier,
        hash_key=key.hash_key,
        own_calendar=calendar,
        directory=Directory(db),
        numbers=Numbers(db, lambda: deployment.of(db, settings.tier).node),
        once=Once(db, key.seal_key),
    )


def _own_calendar(settings: Settings) -> WorkCalendar | None:
    return WorkCalendar.from_file(settings.holidays) if settings.holidays else None
