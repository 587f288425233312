"""`zongzhi status`: one look at everything an operator would ask first. Reads only."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pika
from alembic.migration import MigrationContext
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import BigInteger, Connection, Select, String, bindparam, column, func, select, table

from services.chassis import clients, clock, deadline_store
from services.chassis.database import Database
from services.chassis.rabbit_publisher import parameters
from services.chassis.settings import Settings
from services.chassis.streams import Mailbox
from services.chassis.tables import audit, audit_seals, held, inbox, outbox
from services.chassis.types import Instant
from services.roles_names import GATEWAY, service_names

_OUTBOX = select(func.count(), func.min(outbox.c.created_at)).where(outbox.c.sent_at.is_(None))
_INBOX = select(func.count(), func.min(inbox.c.received_at)).where(inbox.c.applied_at.is_(None))
_HELD = select(func.count(), func.min(held.c.first_at)).where(held.c.state == "held")
_KEPT = select(func.count()).select_from(outbox).where(outbox.c.sent_at.is_not(None))
# What only one database knows: its name in the reply, what people read, and the question. Tables are named, not
# imported: loading a service takes longer than asking.
_LOCKS = table("login_locks", column("locked_until", Instant))
_JOBS = table("jobs", column("state", String))
_FILES = table("attachments", column("size", BigInteger), column("removed_at", Instant))
_MORE: dict[str, dict[str, tuple[str, Select[Any]]]] = {
    GATEWAY: {
        "locked": (
            "已锁定 locked     {} 个账号或来源 accounts and sources",
            select(func.count()).select_from(_LOCKS).where(_LOCKS.c.locked_until > bindparam("now", type_=Instant)),
        )
    },
    "petition": {
        "open_jobs": (
            "任务 jobs         {} 个未完成 waiting or running",
            select(func.count()).select_from(_JOBS).where(_JOBS.c.state.in_(("WAITING", "RUNNING"))),
        ),
        "file_bytes": (
            "附件 files        {} 字节 bytes kept",
            select(func.coalesce(func.sum(_FILES.c.size), 0)).where(_FILES.c.removed_at.is_(None)),
        ),
    },
}
_UNSEALED = select(func.max(audit.c.id)), select(func.max(audit_seals.c.audit_id))


def gather(settings: Settings) -> dict[str, Any]:
    """Everything as plain data, so that a program can read it too."""
    return {
        "tier": settings.tier,
        "bus": "local" if settings.bus_url == "local:" else "rabbitmq",
        "at": clock.now().isoformat(),
        "services": {name: _service(settings, name) for name in service_names()},
        "gateway": _of_database(settings, GATEWAY),
    }


def _service(settings: Settings, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"serve": _serving(settings, settings.address_of(name))}
    if settings.bus_url != "local:":
        found["work"], found["dead_letters"] = queue_facts(settings, name)
    return found | _of_database(settings, name)


def _of_database(settings: Settings, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    db = Database(settings.database_url_of(name))
    found["database"] = {"answers": False, "kind": db.url.get_backend_name()}
    try:
        if db.is_sqlite and not Path(db.url.database or "").exists():
            found["database"]["error"] = "no file"  # opening it would make an empty one
            return found
        with db.reading() as conn:
            found["database"]["revision"] = MigrationContext.configure(conn).get_current_revision()
            found |= _books(conn, clock.now()) | {"more": _more(conn, name, clock.now())}
            found["database"]["answers"] = True
    except Exception as error:
        found["database"]["error"] = type(error).__name__
    finally:
        db.close()
    return found


def _books(conn: Connection, now: datetime) -> dict[str, Any]:
    newest, sealed = (conn.execute(q).scalar() or 0 for q in _UNSEALED)
    return {
        "outbox": _depth(conn, _OUTBOX, now) | {"kept": conn.execute(_KEPT).scalar_one()},
        "inbox": _depth(conn, _INBOX, now),
        "held": _depth(conn, _HELD, now),
        "clocks": deadline_store.count_colours(conn, now),
        "audit": {"rows": newest, "sealed_to": sealed},
    }


def _more(conn: Connection, name: str, now: datetime) -> dict[str, int]:
    return {
        key: int(conn.execute(query, {"now": now} if name == GATEWAY else {}).scalar_one())
        for key, (_, query) in _MORE.get(name, {}).items()
    }


def _more_text(name: str, found: dict[str, Any]) -> list[str]:
    return ["  " + said.format(found["more"][key]) for key, (said, _) in _MORE.get(name, {}).items()]


def _depth(conn: Connection, query: Any, now: datetime) -> dict[str, float | int]:
    row: Any = conn.execute(query).one()
    count, oldest = row
    return {"depth": int(count), "oldest_s": round((now - oldest).total_seconds(), 1) if oldest else 0}


def _serving(settings: Settings, address: str) -> str:
    with clients.channel(address, tls_dir=settings.grpc_tls_dir).real() as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
        except grpc.RpcError as error:
            return str(error.code().name.lower())
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status).lower())


def queue_facts(settings: Settings, name: str) -> tuple[str, int | None]:
    """Whether somebody consumes, and how many bodies could not be decoded; None when the broker does not tell."""
    box = Mailbox(settings.tier, name)
    try:
        with pika.BlockingConnection(parameters(settings.bus_url, "zongzhi status")) as connection:
            consumers = connection.channel().queue_declare(box.queue, passive=True).method.consumer_count
            dead = connection.channel().queue_declare(box.dead_queue, passive=True).method.message_count
    except pika.exceptions.ChannelClosedByBroker:
        return "no queue yet", 0
    except (pika.exceptions.AMQPError, OSError):
        return "broker unavailable", None
    return ("consuming" if consumers else "no consumer"), int(dead)


def show(settings: Settings, *, as_json: bool) -> int:
    """Prints it; exit code 1 when a database does not answer."""
    found = gather(settings)
    print(json.dumps(found, ensure_ascii=False, indent=2) if as_json else _text(found))
    databases = [*found["services"].values(), found["gateway"]]
    return 0 if all(s["database"]["answers"] for s in databases) else 1


def _text(found: dict[str, Any]) -> str:
    lines = [f"层级 tier {found['tier']}  总线 bus {found['bus']}  {found['at']}"]
    for name, s in found["services"].items():
        lines.append(f"\n{name}")
        lines.append(f"  服务 serve        {s['serve']}" + (f"    处理 work {s['work']}" if "work" in s else ""))
        database = s["database"]
        if not database["answers"]:
            lines.append(f"  数据库 database   无应答 does not answer ({database['error']})")
            continue
        lines.append(f"  数据库 database   {database['kind']} {database['revision']}")
        for label, key in (("发件箱 outbox", "outbox"), ("收件箱 inbox", "inbox"), ("搁置 held", "held")):
            lines.append(f"  {label:<13} {s[key]['depth']} 条 waiting,最早 oldest {s[key]['oldest_s']} s")
        lines.append(f"  已发保留 kept     {s['outbox']['kept']} 条 sent rows")
        if "dead_letters" in s:
            lines.append(f"  死信 dead letters {'?' if s['dead_letters'] is None else s['dead_letters']}")
        lines.append("  时限 clocks       " + "  ".join(f"{colour} {count}" for colour, count in s["clocks"].items()))
        lines.append(f"  审计 audit        {s['audit']['rows']} 行 rows,封存至 sealed to {s['audit']['sealed_to']}")
        lines += _more_text(name, s)
    lines += _gateway_text(found["gateway"])
    return "\n".join(lines)


def _gateway_text(found: dict[str, Any]) -> list[str]:
    database = found["database"]
    if not database["answers"]:
        return ["\ngateway", f"  数据库 database   无应答 does not answer ({database['error']})"]
    audited = found["audit"]
    return [
        "\ngateway",
        f"  数据库 database   {database['kind']} {database['revision']}",
        f"  审计 audit        {audited['rows']} 行 rows,封存至 sealed to {audited['sealed_to']}",
        *_more_text(GATEWAY, found),
    ]
