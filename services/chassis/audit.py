"""Who did what. Rows are written unchained in the transaction of the deed and sealed into a chain within a second.

A chain inside the transaction would make every writer wait for the one before it. One sealer per database chains what
is committed, in the order in which it seals:  hash = SHA-256(hash before || canonical JSON of the row), in hex.
The last (seal_no, hash) is the head. Kept somewhere else, it proves later that nothing was cut off.

Triggers refuse UPDATE, DELETE and TRUNCATE; `verify` finds what was done by somebody who could switch them off.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from services.chassis.audit_sealer import Sealer
from services.chassis.audit_verify import Fault, FaultKind, Verdict, verify
from services.chassis.database import Tx
from services.chassis.digests import canonical_json
from services.chassis.tables import audit
from services.chassis.telemetry import current_traceparent
from services.chassis.writes import Write

__all__ = ["Fault", "FaultKind", "Sealer", "Verdict", "verify", "write"]

_ADD = Write(insert(audit).inline())


def write(tx: Tx, action: str, subject_type: str, subject_id: str, **details: Any) -> None:
    """Notes who does what to whom, in the deed's own transaction. `details` are JSON values without personal data."""
    traceparent = current_traceparent()
    values = {
        "at": tx.now,
        "actor": tx.identity.account,
        "on_behalf_of": tx.identity.on_behalf_of,
        "unit": tx.identity.unit,
        "action": action,
        "subject_type": subject_type,
        "subject_id": subject_id,
        "details": canonical_json(details).decode(),
        "trace_id": traceparent.split("-")[1] if traceparent else "",
    }
    tx.put(_ADD, values)
