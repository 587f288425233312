"""The composition root of accounts: the one place that names their concrete classes together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import grpc
from opentelemetry import trace
from sqlalchemy import select

from gateway import inside, routes, stubs
from gateway.accounts.neighbours import Cases, Neighbours, Units
from gateway.accounts.service import AccountService
from gateway.accounts.tables import accounts
from gateway.sessions import Sessions, Signer
from services.chassis import datakey, tokens
from services.chassis.audit import Sealer
from services.chassis.database import Database
from services.chassis.refusal import Unavailable
from services.chassis.requests import Once
from services.chassis.settings import Settings

NAME = "gateway"


def open_database(settings: Settings) -> Database:
    """The gateway's own database."""
    return Database(settings.database_url_of(NAME), create=True)


def servicer(
    settings: Settings, db: Database, sessions: Sessions, signer: Signer, channels: Mapping[str, grpc.Channel],
    seal_key: bytes,
) -> AccountService:  # fmt: skip
    """AccountService on these settings."""
    neighbours = Neighbours(channels, signer, settings.tier, settings.internal_token_s)
    return AccountService(
        db, sessions.door, Once(db, seal_key), Cases(neighbours), Units(neighbours), settings.tier, sessions.forget_all
    )


@contextmanager
def for_an_operator(settings: Settings) -> Iterator[AccountService]:
    """AccountService for whoever operates this machine: on the gateway's database, asking services over gRPC."""
    key, signer = datakey.load(settings.data_key_file), Signer(settings.token_private_key_file)
    verifier = tokens.Verifier(settings.token_keys_file, settings.tier)
    services = inside.neighbours(routes.served())
    channels, db = stubs.open_channels(settings, services, trace.NoOpTracer()), existing_database(settings)
    try:
        sessions = Sessions(signer, verifier, settings, db, key.hash_key)
        yield servicer(settings, db, sessions, signer, channels, key.seal_key)
    finally:
        for channel in channels.values():
            channel.close()
        seal(db)
        db.close()


def existing_database(settings: Settings) -> Database:
    """The gateway's database, or a sentence that says how to make it."""
    db = open_database(settings)
    if health(db) != "serving":
        db.close()
        raise Unavailable(
            "DATABASE_MISSING",
            "网关还没有可用的数据库,请先运行 zongzhi migrate。",
            "The gateway's database is not there or does not answer; run zongzhi migrate first.",
        )
    return db


def seal(db: Database) -> None:
    """Seals what a command wrote; the gateway may not run meanwhile. While it does, it seals, and this adds nothing."""
    sealer = Sealer(db)
    sealer.seal_once()
    sealer.stop()


def health(db: Database) -> str:
    """`serving` when accounts can be read; an empty database, not yet migrated, is not ready."""
    try:
        with db.reading() as conn:
            conn.execute(select(accounts.c.id).limit(1))
    except Exception:
        return "not_serving"
    return "serving"
