"""A gateway whose neighbours are fakes on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from gateway import routes
from gateway.accounts import create_demo_login
from gateway.app import create_app
from gateway.sessions import AUDIENCE, SESSION_S, Signer
from gateway.tests.fakes import FakeServices
from services.chassis import clients, telemetry, tokens
from services.chassis.identity import Identity
from services.chassis.settings import Settings

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

    @property
    def client(self) -> Any:
        """A fresh caller."""
        return self.app.test_client()

    def token(self, identity: Identity = CLERK, ttl_s: int = SESSION_S, audience: str = AUDIENCE) -> str:
        """A session token."""
        return self.signer.sign(identity, audience, ttl_s)

    def call(self, method: str, path: str, **more: Any) -> Any:
        """Calls as the clerk."""
        headers = {"Authorization": f"Bearer {self.token()}", **more.pop("headers", {})}
        return self.client.open(path, method=method, headers=headers, **more)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and the demo account."""
    directory = tmp_path_factory.mktemp("data")
    tokens.create_keys(directory / "keys")
    create_demo_login(directory)
    return directory


@pytest.fixture(scope="session")
def settings(folder: Path) -> Settings:
    """Settings of a district that lives in the temporary folder."""
    return Settings.from_env({}, tier=TIER, data_dir=folder)


@pytest.fixture(scope="session")
def watching() -> Iterator[telemetry.Telemetry]:
    """Telemetry that sends nothing."""
    found = telemetry.configure("gateway", TIER, endpoint=None, version="0")
    yield found
    found.shutdown()


@pytest.fixture(scope="session")
def neighbours() -> Iterator[FakeServices]:
    """Every service of the contracts, faked."""
    fakes = FakeServices(routes.served())
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
    app = create_app(settings, watching, channels=channels, signer=signer, verifier=verifier)
    yield Running(app, neighbours, signer, verifier, settings)
    app.extensions["zongzhi"].close()


@pytest.fixture
def gateway(built: Running) -> Running:
    """The gateway, with neighbours that remember nothing and are well."""
    built.services.answers.clear()
    built.services.calls.clear()
    for one in built.services.services:
        built.services.tell_health(one.full_name, True)
    return built
