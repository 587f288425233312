"""The roles that a process can play, put together from the chassis and the services' wiring.

    serve NAME…   gRPC, relay, sealer, sweeper and retention of the named services
    work NAME…    consumes from RabbitMQ: receive, then apply
    gateway       HTTP for citizens, clerks and integrators
    all           everything in one process, neighbours joined by the local bus

Parts start in order and stop in the opposite one, the gateway first: nobody calls what is gone.
"""

from __future__ import annotations

import ctypes
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any, Protocol

from services.chassis import logs, scraping, telemetry, worker_pika
from services.chassis.applier import Applier
from services.chassis.audit import Sealer
from services.chassis.bus import Bus, LocalBus, RabbitBus
from services.chassis.health_port import HealthPort
from services.chassis.readiness import Readiness
from services.chassis.refusal import Invalid
from services.chassis.relay import Relay
from services.chassis.retention import Retention
from services.chassis.rpc import GrpcServer
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.sweeper import Sweeper
from services.chassis.tokens import Verifier
from services.gauges import Gauges
from services.roles_names import build, service_names

log = logging.getLogger("zongzhi")

VERSION = "0.1.0"
# glibc, malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
MEBIBYTE = 1 << 20


class Part(Protocol):
    """Something that runs beside the others and ends when told."""

    def start(self) -> Any:
        """Begins its work on threads of its own."""

    def stop(self) -> Any:
        """Ends it; what is in flight is finished or left for the next start."""


class Running:
    """Parts in the order in which they started; they stop in the opposite order."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._asked_to_stop = ""
        self._probes: HealthPort | None = None

    def answer_probes(self, settings: Settings) -> None:
        """Answers probes on HEALTH_PORT, when there is one, from now until every part has stopped."""
        if settings.health_port:
            self._probes = HealthPort(settings.health_host, settings.health_port)
            self.start(self._probes)

    def expect(self, part: str) -> Callable[[bool], None]:
        """The process is ready only when this part says so; the returned function tells it."""
        return self._probes.expect(part) if self._probes else lambda _ready: None

    def start(self, part: Part) -> None:
        """Starts a part and remembers to stop it."""
        part.start()
        self.parts.append(part)

    def wait(self) -> None:
        """Waits for Ctrl-C or SIGTERM."""

        def ask(signum: int, _: FrameType | None) -> None:
            # No lock and no log here: the thread that is interrupted may hold either.
            self._asked_to_stop = signal.Signals(signum).name

        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, ask)
        while not self._asked_to_stop:
            time.sleep(0.1)
        log.info("stopping", extra={"fields": {"signal": self._asked_to_stop}})

    def stop(self) -> None:
        """Stops every part, the last started first; one that fails does not keep the others."""
        while self.parts:
            part = self.parts.pop()
            try:
                part.stop()
            except Exception as error:
                log.error(
                    "part did not stop", extra={"fields": {"part": type(part).__name__, "error": type(error).__name__}}
                )


def run(settings: Settings, role: str, assemble: Callable[[Running, telemetry.Telemetry], None]) -> None:
    """Starts what `assemble` puts together, waits for the end, and takes it down again."""
    logs.configure_logging(role, settings.log_level)
    watching = telemetry.configure(
        f"zongzhi-{role}",
        settings.tier,
        endpoint=settings.otlp_endpoint,
        version=VERSION,
        scraped=bool(settings.metrics_port),
    )
    running = Running()
    try:
        if watching.registry is not None:
            running.start(scraping.MetricsServer(watching.registry, settings.metrics_host, settings.metrics_port))
        running.answer_probes(settings)
        assemble(running, watching)
        log.info("ready", extra={"fields": {"role": role}})
        running.wait()
    finally:
        running.stop()
        watching.shutdown()


def keep(running: Running, service: Service, bus: Bus, watching: telemetry.Telemetry, verifier: Verifier) -> None:
    """What `serve` does for one service: answer, send what is committed, seal, watch the clocks, forget in time."""
    running.start(Sealer(service.db))
    running.start(Sweeper(service))
    running.start(Retention(service))
    running.start(Relay(service.db, service.name, bus))
    running.start(Gauges(service, watching.meters))
    for part in service.parts():
        running.start(part)
    running.start(GrpcServer(service, verifier, watching, running.expect(service.name)))


def at_its_address(settings: Settings, name: str) -> Settings:
    """The settings of a service that listens where its neighbours look for it."""
    return replace(settings, grpc_port=int(settings.address_of(name).rpartition(":")[2]))


def needs_a_broker(settings: Settings, role: str) -> None:
    """Raises Invalid on the local bus, whose neighbours are in one process by definition."""
    if settings.bus_url == "local:":
        raise Invalid(
            "BUS_URL",
            f"zongzhi {role} 需要 RabbitMQ,请设置 BUS_URL=amqp://…;本地总线请运行 zongzhi all。",
            f"zongzhi {role} needs RabbitMQ: set BUS_URL=amqp://…, or run zongzhi all on the local bus.",
        )


def serve(settings: Settings, names: list[str]) -> None:
    """The role `serve`. GRPC_PORT is meant for one service; several listen where their addresses say."""
    needs_a_broker(settings, "serve")
    own_port = len(names) == 1 and settings.grpc_port

    def assemble(running: Running, watching: telemetry.Telemetry) -> None:
        bus = RabbitBus(settings.bus_url, settings.tier)
        running.start(bus)
        verifier = Verifier(settings.token_keys_file, settings.tier)
        for name in names:
            own = settings if own_port else at_its_address(settings, name)
            keep(running, build(name, own), bus, watching, verifier)

    run(settings, "serve", assemble)


def work(settings: Settings, names: list[str]) -> None:
    """The role `work`. nameko takes the process over; pika consumers are threads like any other part."""
    needs_a_broker(settings, "work")
    if settings.worker == "nameko":
        from services.chassis import worker_nameko  # patches sockets at import, so only here

        logs.configure_logging("work", settings.log_level)
        worker_nameko.run([build(name, settings) for name in names], settings, VERSION)
        return

    def assemble(running: Running, _: telemetry.Telemetry) -> None:
        for name in names:
            service = build(name, settings)
            running.start(Applier(service))
            running.start(Readiness(service, running.expect(name)))
            running.start(worker_pika.PikaConsumer(service, settings.bus_url))

    run(settings, "work", assemble)


def _keep_memory_together() -> None:
    """One heap for all threads, given back when free: glibc's own ways cost a village's small machine 100 MB."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    for setting, value in ((M_ARENA_MAX, 1), (M_TRIM_THRESHOLD, MEBIBYTE), (M_MMAP_THRESHOLD, MEBIBYTE)):
        if mallopt is not None:
            mallopt(setting, value)


def everything(settings: Settings) -> None:
    """The role `all`: one process, the local bus, the gateway on threads."""
    _keep_memory_together()
    from gateway.app import create_app
    from gateway.server import CherootServer

    def assemble(running: Running, watching: telemetry.Telemetry) -> None:
        bus = LocalBus()
        verifier = Verifier(settings.token_keys_file, settings.tier)
        services = [build(name, at_its_address(settings, name)) for name in service_names()]
        for service in services:
            applier = Applier(service)
            bus.register(service.name, applier.take)
            running.start(applier)
        for service in services:
            keep(running, service, bus, watching, verifier)
        running.start(
            CherootServer(
                create_app(settings, watching), settings.gateway_host, settings.gateway_port, drain_s=settings.drain_s
            )
        )

    run(settings, "all", assemble)
