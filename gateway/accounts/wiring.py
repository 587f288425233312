"""The composition root of accounts: the one place that names their concrete classes together."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from sqlalchemy import select

from gateway.accounts.neighbours import Cases, Neighbours, Units
from gateway.accounts.service import AccountService
from gateway.accounts.tables import accounts
from gateway.sessions import Sessions, Signer
from services.chassis.database import Database
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
    neighbours = Neighbours(channels, signer, settings.tier)
    return AccountService(
        db, sessions.door, Once(db, seal_key), Cases(neighbours), Units(neighbours), settings.tier, sessions.forget_all
    )


def health(db: Database) -> str:
    """`serving` when accounts can be read; an empty database, not yet migrated, is not ready."""
    try:
        with db.reading() as conn:
            conn.execute(select(accounts.c.id).limit(1))
    except Exception:
        return "not_serving"
    return "serving"
