"""A gateway whose neighbours are fakes on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from gateway import inside, routes
from gateway.accounts import demo, passwords, session_store, store, wiring
from gateway.accounts.model import Account, Appointment, State
from gateway.app import create_app
from gateway.sessions import AUDIENCE, Signer
from gateway.tests.fakes import FakeServices
from services.chassis import clients, clock, datakey, ids, migrations, telemetry, tokens
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.settings import Rate, Settings

TIER = "341702000000"
CLERK = Identity("clerk", TIER, "341702", frozenset({"341702-XFJ"}), frozenset({"hall", "mediator"}), unit="341702-XFJ")


@dataclass
class Running:
    """A gateway in this process, its neighbours, and a way to call it."""

    app: Flask
    services: FakeServices
    signer: Signer
    verifier: tokens.Verifier
    settings: Settings
    db: Database
    _known: dict[tuple[Identity, str], str] = field(default_factory=dict)

    @property
    def client(self) -> Any:
        """A fresh caller."""
        return self.app.test_client()

    def token(self, identity: Identity = CLERK, ttl_s: int = 600, audience: str = AUDIENCE) -> str:
        """A token; one for the gateway belongs to a session of an account with the identity's name, units and roles."""
        if audience == AUDIENCE:
            identity = Identity(identity.account, identity.tier, session=session_for(self.db, identity, self._known))
        return self.signer.sign(identity, audience, ttl_s)

    def call(self, method: str, path: str, **more: Any) -> Any:
        """Calls as the clerk."""
        headers = {"Authorization": f"Bearer {self.token()}", **more.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **more)


def session_for(db: Database, identity: Identity, known: dict[tuple[Identity, str], str]) -> str:
    """A living session of an account like this identity, made at the first need."""
    key = (identity, str(db.url))
    if key not in known:
        with db.transaction(identity) as tx:
            account = store.find(tx.conn, identity.account) or an_account(identity)
            units = tuple(sorted(identity.units, key=lambda unit: unit != identity.unit))
            post = Appointment(f"p{len(known)}", "", units, tuple(sorted(identity.roles)), identity.scope)
            is_new = not account.appointments
            account = replace(account, appointments=(*account.appointments, post))
            if is_new:
                store.add(tx, account)
            else:
                store.save_appointments(tx, account)
            known[key] = session_store.open_session(tx, account, post.post, "127.0.0.1", False, timedelta(hours=8))
    return known[key]


def an_account(identity: Identity) -> Account:
    """An account that nobody signs in to."""
    now = clock.now()
    return Account(ids.uuid7(), identity.account, "测试", "", State.ACTIVE, passwords.NOBODYS, False, now, now, ())


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, the gateway's database and the demo accounts."""
    directory = tmp_path_factory.mktemp("data")
    tokens.create_keys(directory / "keys")
    datakey.create(directory / "keys" / "data.key")
    settings = Settings.from_env({}, tier=TIER, data_dir=directory)
    migrations.migrate("gateway", settings.database_url_of("gateway"))
    db = wiring.open_database(settings)
    demo.seed(db, settings)
    db.close()
    return directory


@pytest.fixture(scope="session")
def settings(folder: Path) -> Settings:
    """Settings of a district that lives in the temporary folder."""
    ample = Rate(100_000, 100_000)
    rates = {f"rate_{name}": ample for name in ("account", "source", "sign_in", "token", "track", "filing")}
    return Settings.from_env({}, tier=TIER, data_dir=folder, **rates)


@pytest.fixture(scope="session")
def watching() -> Iterator[telemetry.Telemetry]:
    """Telemetry that sends nothing."""
    found = telemetry.configure("gateway", TIER, endpoint=None, version="0")
    yield found
    found.shutdown()


@pytest.fixture(scope="session")
def neighbours() -> Iterator[FakeServices]:
    """Every service of the contracts, faked."""
    fakes = FakeServices(inside.neighbours(routes.served()))
    fakes.start()
    yield fakes
    fakes.stop()


@pytest.fixture(scope="session")
def built(settings: Settings, watching: telemetry.Telemetry, neighbours: FakeServices) -> Iterator[Running]:
    """The whole gateway, built once."""
    signer = Signer(settings.token_private_key_file)
    verifier = tokens.Verifier(settings.token_keys_file, settings.tier)
    names = {routes.neighbour(one) for one in neighbours.services}
    channels = {name: clients.channel(neighbours.address, watching.tracer("gateway")) for name in names}
    db = wiring.open_database(settings)
    app = create_app(settings, watching, channels=channels, signer=signer, verifier=verifier, db=db)
    yield Running(app, neighbours, signer, verifier, settings, db)
    app.extensions["zongzhi"].close()


@pytest.fixture
def gateway(built: Running) -> Running:
    """The gateway, with neighbours that remember nothing and are well."""
    built.services.answers.clear()
    built.services.calls.clear()
    for one in built.services.services:
        built.services.tell_health(one.full_name, True)
    return built
