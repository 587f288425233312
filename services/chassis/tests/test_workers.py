"""Both consumers of RabbitMQ when something breaks: nothing is lost and nothing takes effect twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import SystemRandom

import pytest

from infra.servers import RabbitServer
from services.chassis import tables
from services.chassis.database import Database
from services.chassis.relay import Relay
from services.chassis.streams import Mailbox, Parcel
from services.chassis.tests.consumers import Telling, WithNameko, WithPika
from services.chassis.tests.mail import announce, bodies, requested, rows, until
from services.chassis.tests.queues import depth

pytestmark = pytest.mark.servers

on_sqlite = pytest.mark.parametrize("backend", ["sqlite"])
on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])

Worker = WithPika | WithNameko


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """A broker that tests may stop."""
    server = RabbitServer(tmp_path_factory.mktemp("rabbit"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def tier() -> str:
    """A tier of the test's own."""
    return f"34{SystemRandom().randrange(10**10):010}"


@pytest.fixture
def telling(chassis_db: Callable[[], Database], tier: str) -> Telling:
    """The receiver."""
    return Telling(chassis_db(), tier)


@pytest.fixture(params=["pika", "nameko"])
def worker(
    request: pytest.FixtureRequest, telling: Telling, breakable: RabbitServer, tmp_path: Path
) -> Iterator[Worker]:
    """The receiver's consumer, not yet started."""
    nameko = request.param == "nameko"
    made = WithNameko(telling, breakable.url, tmp_path) if nameko else WithPika(telling, breakable.url)
    yield made
    made.stop()


@pytest.fixture
def nameko(telling: Telling, breakable: RabbitServer, tmp_path: Path) -> Iterator[WithNameko]:
    """The nameko worker, not yet started."""
    made = WithNameko(telling, breakable.url, tmp_path)
    yield made
    made.stop()


@pytest.fixture
def relay(petition_db: Database, worker: Worker) -> Iterator[Relay]:
    """The sender's relay, running."""
    worker.bus.start()
    relay = Relay(petition_db, "petition", worker.bus)
    relay.start()
    yield relay
    relay.stop()
    worker.bus.stop()


def publish_all(worker: Worker, petition_db: Database, tier: str) -> None:
    """Puts what is in the outbox into the queue."""
    worker.bus.start()
    box = Mailbox(tier, "mediation")
    parcels = [Parcel(row.event_id, tier, box, row.envelope, "") for row in rows(petition_db, tables.outbox)]
    until(lambda: len(worker.bus.publish(parcels)) == len(parcels))
    worker.bus.stop()


@pytest.mark.usefixtures("relay")
def test_a_broker_that_is_restarted_in_the_middle_loses_nothing(
    petition_db: Database, telling: Telling, worker: Worker, breakable: RabbitServer, tier: str
) -> None:
    worker.start()
    for n in range(300):
        announce(petition_db, requested(f"p{n % 10}", str(n)), tier=tier)
        if n == 100:
            until(lambda: telling.all_effects() > 0)
            breakable.stop_app()
        if n == 200:
            breakable.start_app()
        if n % 50 == 0 and not 100 <= n < 200:
            breakable.close_all_connections("test")
    until(lambda: telling.all_effects() == 300)
    for petition in range(10):
        assert telling.effects(f"p{petition}") == [str(n) for n in range(300) if n % 10 == petition]
    until(lambda: depth(breakable.url, Mailbox(tier, "mediation").queue) == 0)
    until(lambda: all(row.sent_at for row in rows(petition_db, tables.outbox)))


@pytest.mark.usefixtures("relay")
def test_a_broker_that_is_away_at_the_start_is_waited_for(
    petition_db: Database, telling: Telling, worker: Worker, breakable: RabbitServer, tier: str
) -> None:
    breakable.stop_app()
    try:
        worker.start()
        announce(petition_db, requested("p1", "1"), tier=tier)
        time.sleep(1)  # so that both sides have failed at least once
        assert not telling.all_effects()
    finally:
        breakable.start_app()
    until(lambda: telling.effects("p1") == ["1"])


# A file does not go away.
@on_postgresql
def test_a_database_that_is_away_keeps_the_mail_in_the_broker_until_it_is_back(
    petition_db: Database, telling: Telling, worker: Worker, breakable: RabbitServer, tier: str
) -> None:
    announce(petition_db, *(requested("p1", str(n)) for n in range(5)), tier=tier)
    rename(telling.db, "inbox", "inbox_away")
    publish_all(worker, petition_db, tier)
    worker.start()
    until(lambda: depth(breakable.url, Mailbox(tier, "mediation").queue) == 0)  # it has them all
    time.sleep(0.5)
    rename(telling.db, "inbox_away", "inbox")
    until(lambda: telling.effects("p1") == [str(n) for n in range(5)])
    worker.stop()
    assert depth(breakable.url, Mailbox(tier, "mediation").queue) == 0


def rename(db: Database, old: str, new: str) -> None:
    """Takes a table away from everybody, or gives it back."""
    with db.transaction() as tx:
        tx.conn.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


def test_a_stop_leaves_the_queue_clean_and_what_was_taken_is_stored(
    petition_db: Database, telling: Telling, worker: Worker, breakable: RabbitServer, tier: str
) -> None:
    announce(petition_db, *(requested(f"p{n % 7}", str(n)) for n in range(1000)), tier=tier)
    publish_all(worker, petition_db, tier)
    worker.start()
    until(lambda: bool(rows(telling.db, tables.inbox)))
    worker.stop()
    stored = len(rows(telling.db, tables.inbox))
    # Acknowledged is exactly what is stored: nothing is in both places or in none. The broker puts back what was
    # delivered and not acknowledged a moment after the connection has ended.
    until(lambda: stored + depth(breakable.url, Mailbox(tier, "mediation").queue) == 1000)
    worker.start()
    until(lambda: telling.all_effects() == 1000)


# SQLite's lock holds the worker up.
@on_sqlite
def test_nameko_ends_with_code_0_and_its_last_acknowledgement_gets_out(
    petition_db: Database, telling: Telling, nameko: WithNameko, breakable: RabbitServer, tier: str
) -> None:
    announce(petition_db, requested("p1", "1"), tier=tier)
    publish_all(nameko, petition_db, tier)
    with telling.db.transaction():  # holds the worker up between delivery and commit
        nameko.start()
        until(lambda: depth(breakable.url, Mailbox(tier, "mediation").queue) == 0)  # handed out, and soon at the lock
        time.sleep(1)
        assert nameko.send(signal.SIGTERM)
        time.sleep(2)  # long enough to leave without waiting for the commit
    assert nameko.wait() == 0
    assert len(rows(telling.db, tables.inbox)) == 1
    assert depth(breakable.url, Mailbox(tier, "mediation").queue) == 0


# SQLite's lock holds the worker up.
@on_sqlite
def test_heartbeats_go_on_while_nameko_waits_for_the_database(
    petition_db: Database, telling: Telling, nameko: WithNameko, tier: str
) -> None:
    announce(petition_db, requested("p1", "1"), tier=tier)
    publish_all(nameko, petition_db, tier)
    nameko.environment = {"TEST_HEARTBEAT_S": "2"}
    with telling.db.transaction():
        nameko.start()
        until(lambda: "consuming" in nameko.log.read_text())
        time.sleep(6)  # three heartbeats: the broker throws out whoever is silent for two
    until(lambda: telling.effects("p1") == ["1"])
    assert nameko.log.read_text().count("consuming") == 1


def test_a_killed_nameko_loses_nothing(petition_db: Database, telling: Telling, nameko: WithNameko, tier: str) -> None:
    announce(petition_db, *(requested(f"p{n % 7}", str(n)) for n in range(1000)), tier=tier)
    publish_all(nameko, petition_db, tier)
    for _ in range(2):
        before = telling.all_effects()
        nameko.start()
        until(lambda before=before: telling.all_effects() > before)  # type: ignore[misc]
        nameko.end(signal.SIGKILL)
    nameko.start()
    until(lambda: telling.all_effects() == 1000)
    for petition in range(7):
        assert telling.effects(f"p{petition}") == [str(n) for n in range(1000) if n % 7 == petition]
    assert len(bodies(petition_db)) == 1000
