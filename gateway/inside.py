"""Services that the gateway answers itself. Their calls pass the same steps as any service's, in this process.

span → deadline → permission → field rules → servicer; refusals become problems where those of neighbours do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from opentelemetry.trace import Tracer

from gateway.routes import Route, neighbour
from gateway.stubs import DEADLINE_S
from services.chassis import access, deadlines_of_calls, identity, spans
from services.chassis.identity import Identity
from services.chassis.telemetry import current_traceparent
from services.chassis.validation import validate

# Not on gRPC: nobody but the gateway holds accounts.
NAMES = frozenset({"accounts"})


def neighbours(services: Iterable[ServiceDescriptor]) -> list[ServiceDescriptor]:
    """Those that other processes answer."""
    return [one for one in services if neighbour(one) not in NAMES]


class Inside:
    """The servicers of this process, by the name that routes call them by."""

    def __init__(self, servicers: Mapping[str, Any], tracer: Tracer) -> None:
        self._servicers = servicers
        self._tracer = tracer

    def answers(self, route: Route) -> bool:
        """Whether the route is answered here."""
        return route.service in NAMES

    def call(self, route: Route, request: Message, caller: Identity) -> Message:
        """The servicer's answer. `caller` holds the permissions. Raises Refusal."""
        limit = deadlines_of_calls.begin(DEADLINE_S)
        try:
            with spans.server_span(self._tracer, route.full_method, current_traceparent()):
                access.check(route.full_method, caller)
                validate(request)
                identity.set_current(caller)
                reply: Message = getattr(self._servicers[route.service], route.method.name)(request)
                return reply
        finally:
            identity.set_current(identity.NOBODY)
            deadlines_of_calls.end(limit)
