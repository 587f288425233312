"""The same events, the same listeners, the same end: on the local bus, and on RabbitMQ with pika and with nameko."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import SystemRandom

import pytest

from infra.servers import RabbitServer, free_port
from services.chassis import held, outbox, tables
from services.chassis.bus import Bus, LocalBus, Mailbox, Parcel, RabbitBus
from services.chassis.database import Database
from services.chassis.relay import Relay
from services.chassis.tests.consumers import Consumer, OnLocalBus, Telling, WithNameko, WithPika
from services.chassis.tests.mail import announce, crossed, requested, rows, until
from services.chassis.tests.queues import dead_letters, delete_queue, depth, give_back

WAYS = ["local", pytest.param("pika", marks=pytest.mark.servers), pytest.param("nameko", marks=pytest.mark.servers)]


@pytest.fixture
def tier() -> str:
    """A tier of the test's own, so that tests that share a broker do not meet."""
    return f"34{SystemRandom().randrange(10**10):010}"


@pytest.fixture
def telling(chassis_db: Callable[[], Database], tier: str) -> Telling:
    """The receiver."""
    return Telling(chassis_db(), tier)


@pytest.fixture(params=WAYS)
def consumer(request: pytest.FixtureRequest, telling: Telling, tmp_path: Path) -> Iterator[Consumer]:
    """The receiver, receiving."""
    url = "" if request.param == "local" else request.getfixturevalue("rabbit").url
    ways: dict[str, Callable[[], Consumer]] = {
        "local": lambda: OnLocalBus(telling),
        "pika": lambda: WithPika(telling, url),
        "nameko": lambda: WithNameko(telling, url, tmp_path),
    }
    made = ways[request.param]()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def bus(consumer: Consumer, petition_db: Database) -> Iterator[Bus]:
    """What the sender's relay sends by, which is running."""
    bus = consumer.bus
    if not isinstance(bus, LocalBus):
        bus.start()  # type: ignore[attr-defined]
    relay = Relay(petition_db, "petition", bus)
    relay.start()
    yield bus
    relay.stop()
    if not isinstance(bus, LocalBus):
        bus.stop()  # type: ignore[attr-defined]


def settled(telling: Telling) -> list[tuple[str, int, str | None]]:
    """What became of each event received."""
    return sorted((row.aggregate_id, row.seq, row.outcome) for row in rows(telling.db, tables.inbox))


@pytest.mark.usefixtures("bus")
class TestListeners:
    """On every bus."""

    def test_each_aggregate_is_applied_in_order(self, petition_db: Database, telling: Telling, tier: str) -> None:
        for n in range(40):
            announce(petition_db, requested(f"p{n % 4}", str(n)), tier=tier)
        until(lambda: telling.all_effects() == 40)
        for petition in range(4):
            assert telling.effects(f"p{petition}") == [str(n) for n in range(40) if n % 4 == petition]

    def test_every_outcome_is_the_same(self, petition_db: Database, telling: Telling, tier: str) -> None:
        texts = {"p1": ["1", "refuse", "3"], "p2": ["1", "break", "3"], "p3": ["stale", "2"]}
        events = [requested(petition, text) for petition, list_ in texts.items() for text in list_]
        announce(petition_db, *events, crossed("p4"), requested("p4", "2"), tier=tier)
        until(lambda: sum(outcome is not None for *_, outcome in settled(telling)) == 6)
        until(lambda: len(held.list_held(telling.db)) == 2)
        assert [telling.effects(f"p{n}") for n in (1, 2, 3, 4)] == [["1", "3"], ["1"], [], ["2"]]
        assert settled(telling) == [
            ("p1", 1, "applied"), ("p1", 2, "refused"), ("p1", 3, "applied"),
            ("p2", 1, "applied"), ("p2", 2, None), ("p2", 3, None),
            ("p3", 1, None), ("p3", 2, None), ("p4", 1, "unknown"), ("p4", 2, "applied"),
        ]  # fmt: skip
        assert sorted((e.aggregate_id, e.kind) for e in held.list_held(telling.db)) == [
            ("p2", "error"), ("p3", "stale_epoch"),
        ]  # fmt: skip

    def test_what_is_sent_again_has_no_second_effect(self, petition_db: Database, telling: Telling, tier: str) -> None:
        announce(petition_db, *(requested(f"p{n % 3}", str(n)) for n in range(30)), tier=tier)
        until(lambda: telling.all_effects() == 30)
        until(lambda: all(row.sent_at for row in rows(petition_db, tables.outbox)))
        first = rows(petition_db, tables.outbox)[0].created_at
        assert outbox.resend(petition_db, first, first.replace(year=first.year + 1), "mediation") == 30
        until(lambda: all(row.sent_at for row in rows(petition_db, tables.outbox)))
        announce(petition_db, requested("p0", "30"), tier=tier)
        until(lambda: telling.all_effects() == 31)
        assert telling.effects("p0") == [str(n) for n in range(0, 31, 3)]

    def test_a_body_that_nobody_can_read_is_put_aside_and_kept(
        self, bus: Bus, petition_db: Database, telling: Telling, tier: str, request: pytest.FixtureRequest
    ) -> None:
        box = Mailbox(tier, "mediation")
        until(lambda: bus.publish([Parcel("garbage", tier, box, b"\xff\xff", "")]) == {"garbage"})
        announce(petition_db, requested("p1", "1"), tier=tier)
        until(lambda: telling.effects("p1") == ["1"])
        if isinstance(bus, LocalBus):
            assert [event.kind for event in held.list_held(telling.db)] == ["undecodable"]
        else:
            url = request.getfixturevalue("rabbit").url
            until(lambda: dead_letters(url, box) == [b"\xff\xff"])


@pytest.mark.usefixtures("backend")
class TestLocalBus:
    """What only the local bus has."""

    def test_what_nobody_receives_is_not_confirmed_and_does_not_keep_the_others(
        self, telling: Telling, tier: str
    ) -> None:
        bus = LocalBus()
        taken: list[bytes] = []
        bus.register("mediation", taken.extend)
        parcels = [Parcel(name, tier, Mailbox(tier, name), name.encode(), "") for name in ("grid", "mediation")]
        assert bus.publish(parcels) == {"mediation"}
        assert taken == [b"mediation"]

    def test_a_neighbour_that_cannot_store_now_gets_it_again(
        self, petition_db: Database, telling: Telling, tier: str
    ) -> None:
        bus = LocalBus()
        failures = [OSError(), OSError()]

        def receive(bodies: list[bytes]) -> None:
            if failures:
                raise failures.pop()
            telling.applier.take(bodies)

        bus.register("mediation", receive)
        announce(petition_db, requested("p1", "1"), tier=tier)
        relay = Relay(petition_db, "petition", bus)
        relay.start()
        until(lambda: bool(settled(telling)))
        relay.stop()
        telling.apply_all()
        assert telling.effects("p1") == ["1"]


@pytest.mark.servers
class TestRabbitBus:
    """What only RabbitMQ has."""

    @pytest.fixture
    def rabbit_bus(self, rabbit: RabbitServer, tier: str) -> Iterator[RabbitBus]:
        """A publisher alone: no worker ever ran."""
        bus = RabbitBus(rabbit.url, tier)
        bus.start()
        yield bus
        bus.stop()

    def test_mail_finds_its_queue_before_a_worker_ever_ran(
        self, rabbit_bus: RabbitBus, rabbit: RabbitServer, tier: str
    ) -> None:
        box = Mailbox(tier, "grid")
        until(lambda: rabbit_bus.publish([Parcel("1", tier, box, b"x", "")]) == {"1"})
        until(lambda: depth(rabbit.url, box.queue) == 1)

    def test_mail_that_no_queue_takes_is_not_confirmed_and_the_next_try_finds_a_queue(
        self, rabbit_bus: RabbitBus, rabbit: RabbitServer, tier: str
    ) -> None:
        """The broker returns it and then confirms it, so a confirm alone would lose it."""
        grid, video = Mailbox(tier, "grid"), Mailbox(tier, "video")
        parcels = [Parcel("1", tier, grid, b"x", ""), Parcel("2", tier, video, b"y", "")]
        until(lambda: rabbit_bus.publish(parcels) == {"1", "2"})
        delete_queue(rabbit.url, grid)
        assert rabbit_bus.publish(parcels) == {"2"}
        assert rabbit_bus.publish(parcels) == {"1", "2"}

    def test_a_broker_that_is_away_answers_at_once_with_nothing(self, tier: str) -> None:
        bus = RabbitBus(f"amqp://127.0.0.1:{free_port()}", tier)
        bus.start()
        assert bus.publish([Parcel("1", tier, Mailbox(tier, "grid"), b"x", "")]) == set()
        bus.stop()

    def test_a_message_may_come_again_more_often_than_the_broker_expects(
        self, rabbit_bus: RabbitBus, rabbit: RabbitServer, tier: str
    ) -> None:
        """Every lost connection counts as a delivery; RabbitMQ 4 would drop after twenty."""
        box = Mailbox(tier, "grid")
        until(lambda: rabbit_bus.publish([Parcel("1", tier, box, b"x", "")]) == {"1"})
        for _ in range(30):
            give_back(rabbit.url, box)
        until(lambda: depth(rabbit.url, box.queue) == 1)
