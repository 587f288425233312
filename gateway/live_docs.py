"""The event streams in the API document, which no proto declares."""

from __future__ import annotations

from typing import Any

from gateway import live

_TOLD = (
    "Server-sent events. Each has `id` (the cursor), `event` (the kind on the timeline, such as `petition.accepted`) and "
    "`data`: JSON with text, text_en, kind, petition_id, case_number, state, seq, at and unit, masked. A reader that "
    "comes back with Last-Event-ID, at any replica, misses nothing and hears nothing twice. `ready` tells the first "
    "cursor, `reset` that the cursor is too old and the list must be loaded anew, `end` why the stream ends: the session "
    "or its token is over, the case left the caller's hands, or the service restarts. A comment comes every 15 seconds. "
    "An account keeps at most 4 streams at a replica (STREAMS_PER_ACCOUNT). Errors: 429 when there are too many."
)


def paths() -> dict[str, Any]:
    """Both streams, as operations."""
    case_id = {
        "name": "id", "in": "path", "required": True, "description": "The petition's id.",
        "schema": {"type": "string", "title": "信访件编号", "maxLength": 64},
    }  # fmt: skip
    return {
        live.CASE: {"get": _operation("streamCase", "一件的实时进展", "What happens to one case, from its beginning.", [case_id])},
        live.BOARD: {"get": _operation("streamBoard", "本单位各件的实时进展", "What happens to all cases that the caller may see, from now on.", [])},
    }  # fmt: skip


def _operation(name: str, zh: str, en: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    cursor = {"type": "string", "title": "进展标记", "maxLength": live.LONGEST_CURSOR}
    where = [
        {"name": "Last-Event-ID", "in": "header", "required": False, "schema": dict(cursor)},
        {"name": "last_event_id", "in": "query", "required": False, "schema": dict(cursor),
         "description": "The same, for readers that cannot send the header."},
    ]  # fmt: skip
    problems = {
        str(status): {"$ref": f"#/components/responses/Problem{status}"}
        for status in (400, 401, 403, 404, 429, 500, 503, 504)
    }
    return {
        "operationId": name,
        "tags": ["FollowingService"],
        "summary": f"{zh} {name}",
        "description": f"{en} {_TOLD}",
        "x-permission": "petition.read",
        "x-permission-title": "查看信访事项",
        # It does not end by itself: not for tools that wait for the end of an answer.
        "x-stream": True,
        "parameters": [*parameters, *where],
        "responses": {
            "200": {"description": "事件流 Events", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **problems,
        },
    }
