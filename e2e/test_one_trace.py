"""The whole story as one trace, from the client's first call to the last worker, and no person in any of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from e2e.conftest import LOCAL_SQLITE, RABBIT_POSTGRES, Collector, on
from e2e.otlp_receiver import Span, trace_tree
from e2e.people import everything_typed
from e2e.story import Story
from e2e.system import System, eventually
from e2e.traces import TraceTree

pytestmark = pytest.mark.e2e

PETITION, MEDIATION = "zongzhi.petition.v1.PetitionService", "zongzhi.mediation.v1.MediationService"
REQUESTED = "zongzhi.petition.v1.MediationRequested"
REFUSED, ACCEPTED, SETTLED = (f"zongzhi.mediation.v1.Mediation{what}" for what in ("Refused", "Accepted", "Settled"))
# What a person does: HTTP route, service that answers, RPC, and the event that follows from it.
STEPS = [
    ("/v1/petitions", "petition", f"{PETITION}/RegisterPetition", ""),
    ("/v1/petitions/{id}:accept", "petition", f"{PETITION}/AcceptPetition", ""),
    ("/v1/petitions/{id}:refer", "petition", f"{PETITION}/ReferPetition", REQUESTED),
    ("/v1/mediations/{id}:consent", "mediation", f"{MEDIATION}/RecordConsent", REFUSED),
    ("/v1/petitions/{id}:refer", "petition", f"{PETITION}/ReferPetition", REQUESTED),
    ("/v1/mediations/{id}:consent", "mediation", f"{MEDIATION}/RecordConsent", ""),
    ("/v1/mediations/{id}:consent", "mediation", f"{MEDIATION}/RecordConsent", ACCEPTED),
    ("/v1/mediations/{id}:settle", "mediation", f"{MEDIATION}/SettleMediation", SETTLED),
    ("/v1/petitions/{id}:evaluate", "petition", f"{PETITION}/EvaluatePetition", ""),
]
EVENTS = [event for *_, event in STEPS if event]


class Client:
    """A program of the integrator's: it begins the trace, and exports its own part of it."""

    def __init__(self, endpoint: str) -> None:
        self.provider = TracerProvider(resource=Resource({"service.name": "client"}))
        self.provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))

    @contextmanager
    def root(self) -> Iterator[str]:
        """The span around everything; gives the trace id."""
        with self.provider.get_tracer("client").start_as_current_span("story", kind=SpanKind.CLIENT) as span:
            yield trace.format_trace_id(span.get_span_context().trace_id)
        self.provider.shutdown()

    @staticmethod
    def headers() -> dict[str, str]:
        """What an instrumented client sends along."""
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        return carrier


@pytest.fixture
def told(district: System, collector: Collector) -> TraceTree:
    """The story is told; its spans have all arrived."""
    client = Client(collector.url)
    with client.root() as trace_id:
        tell(Story(district, headers=client.headers))

    def whole() -> TraceTree | None:
        tree = trace_tree(collector.spans(trace_id))
        # Every process exports in its own rhythm, and each batch may hold any part: so all parts are counted.
        arrived = len(deeds(tree)) >= len(STEPS) and len(processed(tree)) >= len(EVENTS)
        return tree if arrived and not tree.orphans and not unanswered(tree) else None

    try:
        tree: TraceTree = eventually(whole, "all spans of the story arrive")
        return tree
    except AssertionError:
        raise AssertionError(trace_tree(collector.spans(trace_id)).draw()) from None


def tell(story: Story) -> None:
    """Refused once, settled at last, rated."""
    story.accepted()
    story.refer()
    story.one_refuses()
    story.becomes("ACCEPTED")
    story.refer()
    story.consent_all()
    story.becomes("MEDIATING", owner_epoch=2)
    story.settle()
    story.becomes("CONCLUDED")
    story.evaluate()


def deeds(tree: TraceTree) -> list[Span]:
    """The calls by which people changed something, in order."""
    return [span for root in tree.roots for span in tree.children(root) if span.name.startswith("POST ")]


def unanswered(tree: TraceTree) -> list[Span]:
    """Calls of the gateway whose other end has not told its part yet; each process sends its spans by itself."""
    return [span for span in tree.spans if span.kind == "CLIENT" and span.parent_id and not tree.children(span)]


def processed(tree: TraceTree) -> list[Span]:
    """The spans in which events took effect, in order."""
    return [span for span in tree.spans if span.kind == "CONSUMER"]


@on(RABBIT_POSTGRES, LOCAL_SQLITE)
def test_every_step_hangs_where_it_belongs(told: TraceTree) -> None:
    assert [root.name for root in told.roots] == ["story"], told.draw()
    assert told.orphans == []
    assert len(deeds(told)) == len(STEPS), told.draw()
    for deed, (route, service, rpc, event) in zip(deeds(told), STEPS, strict=True):
        assert (deed.service, deed.name, deed.kind) == ("gateway", f"POST {route}", "SERVER")
        assert deed.attributes["http.route"] == route
        assert 200 <= deed.attributes["http.response.status_code"] < 300
        (called,) = told.children(deed)
        assert (called.service, called.name, called.kind) == ("gateway", rpc, "CLIENT")
        (served,) = told.children(called)
        assert (served.service, served.name, served.kind) == (service, rpc, "SERVER")
        assert served.attributes["rpc.response.status_code"] == "OK"
        the_event_follows(told, served, event)


def the_event_follows(tree: TraceTree, served: Span, event: str) -> None:
    """Serve → create → process at the other service, and nothing behind it; no event, nothing at all."""
    created = tree.children(served)
    assert [span.attributes["zongzhi.event.type"] for span in created] == ([event] if event else []), tree.draw()
    for create in created:
        other = "mediation" if served.service == "petition" else "petition"
        assert (create.service, create.kind, create.name) == (served.service, "PRODUCER", f"create q.{{tier}}.{other}")
        (process,) = tree.children(create)
        assert (process.service, process.kind, process.name) == (other, "CONSUMER", f"process q.{{tier}}.{other}")
        assert process.attributes["zongzhi.event.type"] == event
        assert process.attributes["messaging.message.id"] == create.attributes["messaging.message.id"]
        assert (create.trace_id, create.span_id) in process.links
        assert process.start >= create.start
        assert tree.children(process) == []


@on(RABBIT_POSTGRES, LOCAL_SQLITE)
def test_no_step_failed_and_each_took_its_place_in_time(told: TraceTree) -> None:
    assert [span.name for span in told.spans if span.status == "ERROR"] == []
    assert [span.attributes["zongzhi.event.type"] for span in processed(told)] == EVENTS
    assert {span.service for span in told.spans} == {"client", "gateway", "petition", "mediation"}


@on(RABBIT_POSTGRES, LOCAL_SQLITE)
def test_the_relay_links_to_what_it_carried(told: TraceTree, collector: Collector) -> None:
    created = {(span.trace_id, span.span_id) for span in told.spans if span.kind == "PRODUCER"}

    def linked(operation: str) -> bool:
        spans = [s for s in collector.spans() if s.attributes.get("messaging.operation.name") == operation]
        return created <= {link for span in spans for link in span.links}

    for operation in ("send", "receive"):
        assert eventually(lambda: linked(operation), f"{operation} spans link to every event")  # noqa: B023 - called at once


@on(RABBIT_POSTGRES, LOCAL_SQLITE)
def test_logs_carry_the_trace_of_what_they_tell(district: System, collector: Collector) -> None:
    """A failing call is found by the trace id that its caller was given."""
    client = Client(collector.url)
    with client.root() as trace_id:
        story = Story(district, headers=client.headers).filed()
        district.call("POST", f"/v1/petitions/{story.id}:evaluate", {"satisfaction": 1}, headers=client.headers())
    written = eventually(lambda: len(found := written_in(district, trace_id)) >= 2 and found, "a line for either call")
    assert {line["service"] for line in written} == {"gateway"}
    assert eventually(lambda: len(collector.logs(trace_id)) == len(written), "every line exported, each once")


def written_in(district: System, trace_id: str) -> list[dict[str, str]]:
    """The log lines of all processes that belong to a trace."""
    lines = [json.loads(line) for line in district.logs().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("trace_id") == trace_id]


@on(RABBIT_POSTGRES, LOCAL_SQLITE)
def test_nobody_is_named_in_spans_metrics_and_logs(told: TraceTree, district: System, collector: Collector) -> None:
    typed = everything_typed()
    assert len(typed.personal) >= 15
    assert len(typed.texts) >= 5
    exported = "\n".join(body.decode("utf-8", "replace") for body in collector.bodies)
    assert "PetitionService/RegisterPetition" in exported
    assert typed.found_in(exported, texts_too=True) == []
    assert '"level"' in district.logs()
    assert typed.found_in(district.logs(), texts_too=True) == []
