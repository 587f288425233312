"""Says where something failed, for people who look after the system: type and place, never the message, which may quote
personal data."""

from __future__ import annotations

import traceback

from services.chassis.spans import type_name


def where_it_failed(error: BaseException) -> str:
    """`KeyError at services.mediation.adapters.listeners:41`: the innermost place in our own code."""
    places = [(frame.f_globals.get("__name__", "?"), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    ours = [place for place in places if place[0].startswith("services.")]
    module, line = (ours or places or [("?", 0)])[-1]
    return f"{type_name(error)} at {module}:{line}"
