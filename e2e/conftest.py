"""Districts for the stories: each shape is started once, told many stories, and stopped before the next one starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from e2e.broker import remove_queues
from e2e.otlp_receiver import OtlpReceiver
from e2e.system import SERVICES, System


@dataclass(frozen=True)
class Shape:
    """What a district stands on."""

    bus: str
    database: str
    worker: str = "nameko"

    def __str__(self) -> str:
        return "-".join([self.bus, self.database, *(["pika"] if self.worker == "pika" else [])])


LOCAL_SQLITE = Shape("local", "sqlite")
LOCAL_POSTGRES = Shape("local", "postgresql")
RABBIT_POSTGRES = Shape("rabbitmq", "postgresql")
RABBIT_SQLITE = Shape("rabbitmq", "sqlite")
RABBIT_POSTGRES_PIKA = Shape("rabbitmq", "postgresql", "pika")
SHAPES = (LOCAL_SQLITE, LOCAL_POSTGRES, RABBIT_POSTGRES, RABBIT_SQLITE, RABBIT_POSTGRES_PIKA)


def on(*shapes: Shape) -> pytest.MarkDecorator:
    """Runs a test on these shapes."""
    return pytest.mark.parametrize("district", shapes, ids=str, indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts all stories of a shape together, so that each is started once; pytest groups by position in a list."""

    def place(item: pytest.Item) -> int:
        asked = getattr(item, "callspec", None)
        shape = asked.params.get("district") if asked else None
        return SHAPES.index(shape) if shape in SHAPES else len(SHAPES)

    items.sort(key=place)


class Collector(OtlpReceiver):
    """Keeps the bodies too, as they came: resources and metrics are searched in them like all else."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    def take(self, path: str, body: bytes):  # type: ignore[no-untyped-def]  # as in OtlpReceiver
        self.bodies.append(body)
        return super().take(path, body)


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """What every district sends its spans, logs and metrics to."""
    collector = Collector()
    with collector:
        yield collector


@pytest.fixture(scope="session")
def district(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[System]:
    """A running district of the asked shape."""
    shape: Shape = request.param
    more: dict[str, str] = {"worker": shape.worker, "collector": collector.url}
    if shape.database == "postgresql":
        postgres = request.getfixturevalue("postgres")
        for name in (*SERVICES, "gateway"):
            postgres.drop_database(f"zongzhi_{name}")
        # As in production: one role owns the tables, another serves.
        more |= {"database_url": postgres.serving_url(), "DATABASE_OWNER_URL": postgres.url()}
    if shape.bus == "rabbitmq":
        more["bus_url"] = request.getfixturevalue("rabbit").url
        remove_queues(more["bus_url"])
    with System(tmp_path_factory.mktemp(str(shape)), **more) as system:
        yield system
