"""Grid's composition root: the one place that names its concrete classes together."""

from __future__ import annotations

import grpc

from protos.grid.v1 import directory_pb2
from protos.grid.v1.directory_pb2_grpc import add_DirectoryServiceServicer_to_server
from services.chassis import datakey
from services.chassis.database import Database, Tx
from services.chassis.deadline import Deadline
from services.chassis.directory import Directory
from services.chassis.listeners import Listeners
from services.chassis.requests import Once
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.grid.adapters.rpc import Desk, DirectoryService
from services.grid.adapters.seeds import seed, seed_demo

NAME = "grid"


def build(settings: Settings, *, db: Database | None = None) -> Service:
    """The grid service on these settings; tests bring a database of their own."""
    db = db or Database(settings.database_url_of(NAME), create=True)
    desk, directory = open_desk(settings, db), Directory(db)

    def join(server: grpc.Server) -> None:
        add_DirectoryServiceServicer_to_server(DirectoryService(desk), server)  # type: ignore[no-untyped-call]

    return Service(
        name=NAME,
        settings=settings,
        db=db,
        join=join,
        grpc_names=(directory_pb2.DESCRIPTOR.services_by_name["DirectoryService"].full_name,),
        listeners=Listeners(),
        on_crossing=_no_clocks,
        seed=lambda database: seed(database, settings.tier),
        seed_demo=lambda database: seed_demo(database, settings.tier),
        calendar=directory.calendar,
    )


def open_desk(settings: Settings, db: Database) -> Desk:
    """What the RPCs stand on."""
    return Desk(db=db, tier=settings.tier, once=Once(db, datakey.load(settings.data_key_file).seal_key))


def _no_clocks(_: Tx, __: Deadline, ___: str) -> None:
    """Grid keeps no time limits yet."""
