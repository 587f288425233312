"""What operators do beside running roles: keys, migrations, seeds, held events, resends, audit checks.

Each imports what it needs when it runs: alembic and the signing library take longer to load than most commands to run.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from services.chassis import clock
from services.chassis.database import Database
from services.chassis.refusal import Invalid, Unavailable
from services.chassis.settings import Settings
from services.roles_names import GATEWAY, build, database_names, service_names


def setup(settings: Settings) -> int:
    """Makes the folder and the keys. What is there stays as it is."""
    from services.chassis import datakey, tokens

    settings.keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    tokens.create_keys(settings.keys_dir)
    datakey.create(settings.data_key_file)
    return 0


def migrate(settings: Settings, names: list[str], *, create: bool = False, wait_s: float = 0) -> int:
    """Brings each database to this release's schema, under a lock, saying what it did."""
    from services.chassis import migrations

    for name in names or database_names():
        url = settings.owner_url_of(name)
        if wait_s:
            migrations.wait_for_server(name, url, wait_s)
        if create:
            migrations.create_database(url)
        if url.startswith("sqlite"):
            Path(settings.data_dir).mkdir(parents=True, exist_ok=True)
        print(f"{name}: {migrations.migrate(name, url, settings.database_url_of(name))}", file=sys.stderr)
    return 0


def wait_schema(settings: Settings, names: list[str], timeout_s: float) -> int:
    """Waits until each database has this release's schema, or a newer one, on which this release runs too."""
    from services.chassis import migrations

    for name in names or database_names():
        found = migrations.wait(name, settings.database_url_of(name), timeout_s)
        print(f"{name}: {found}", file=sys.stderr)
    return 0


def keys_secrets(settings: Settings, args: argparse.Namespace) -> int:
    """Prints the Kubernetes secrets that a chart refers to; makes keys first where there are none."""
    from services import kubernetes_secrets

    setup(settings)
    names = [] if args.village else args.names or database_names()
    found = kubernetes_secrets.manifest(
        settings, args.release, args.namespace, names, database_host=args.database_host, broker_host=args.broker_host
    )
    print(kubernetes_secrets.text(found))
    return 0


def seed(settings: Settings, names: list[str]) -> int:
    """Loads what each service ships with; repeating it changes nothing."""
    for name in names or database_names():
        if name == GATEWAY:
            _seed_demo(settings)
            continue
        service = build(name, settings)
        rows = service.seed(service.db) + (service.seed_demo(service.db) if settings.demo else 0)
        print(f"{name}: {rows} 行 rows", file=sys.stderr)
        service.db.close()
    return 0


def _seed_demo(settings: Settings) -> None:
    """Accounts for trying it out, where DEMO=1 asks for them."""
    if not settings.demo:
        return
    from gateway.accounts import demo, wiring

    db = wiring.open_database(settings)
    print(f"{GATEWAY}: {demo.seed(db, settings)} 个演示账号 demo accounts", file=sys.stderr)
    wiring.seal(db)
    db.close()


def _database(settings: Settings, name: str) -> Database:
    if name not in database_names():
        raise Invalid(
            "service",
            f"没有名为 {name} 的服务,可选:{'、'.join(database_names())}。",
            f"There is no service {name}; there are {', '.join(database_names())}.",
        )
    db = Database(settings.database_url_of(name))
    if db.is_sqlite and not Path(db.url.database or "").exists():
        raise Unavailable(
            "DATABASE_MISSING",
            f"{name} 还没有数据库,请先运行 zongzhi migrate。",
            f"There is no database of {name} yet; run zongzhi migrate first.",
        )
    return db


def held_list(settings: Settings, args: argparse.Namespace) -> int:
    """One JSON object per held event, oldest first."""
    from services.chassis import held

    for name in args.names or service_names():
        for row in held.list_held(_database(settings, name)):
            print(json.dumps({"service": name, **row.shown(clock.now())}, ensure_ascii=False))
    return 0


def held_retry(settings: Settings, args: argparse.Namespace) -> int:
    """Lets the applier try a held event again at once."""
    from services.chassis import held

    held.retry(_database(settings, args.service), args.held_id, args.by)
    return 0


def held_discard(settings: Settings, args: argparse.Namespace) -> int:
    """Gives a held event up; the reason stays in the audit, the events behind it go on."""
    from services.chassis import held

    held.discard(_database(settings, args.service), args.held_id, args.by, args.reason)
    return 0


def _instant(field: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            field,
            f"{field}:请写成 2026-11-24 或 2026-11-24T08:00+08:00。",
            f"{field}: write 2026-11-24 or 2026-11-24T08:00+08:00.",
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=clock.SHANGHAI)).astimezone(UTC)


def resend(settings: Settings, args: argparse.Namespace) -> int:
    """Sends again what was sent in a span of time; receivers absorb what they have already."""
    from services.chassis import outbox

    since = _instant("--since", args.since)
    until = _instant("--until", args.until) if args.until else clock.now()
    count = outbox.resend(_database(settings, args.service), since, until, args.to)
    print(f"{count} 条事件将重新发送。{count} events will be sent again.")
    return 0


def audit_verify(settings: Settings, names: list[str], head: str | None) -> int:
    """Checks each audit chain; exit code 1 when one is broken."""
    from services.chassis import audit

    broken = False
    for name in names or database_names():
        verdict = audit.verify(_database(settings, name), _head(head))
        print(f"{name}: {verdict.message}")
        broken = broken or verdict.fault is not None
    return 1 if broken else 0


def restored(settings: Settings, names: list[str]) -> int:
    """Begins a new incarnation after a restore, so that case numbers of the lost hours are never given out again."""
    from services.chassis import deployment

    for name in names or service_names():
        new = deployment.renew(_database(settings, name), settings.tier)
        print(f"{name}: 新的安装代号 new incarnation {new.incarnation},编号节点 node {new.node}")
    print("请重启各服务。Restart the services.")
    return 0


def _head(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, digest = text.partition(":")
    if not number.isdigit() or not digest:
        raise Invalid("--head", "--head:请写成 序号:哈希。", "--head: write NO:HASH.")
    return int(number), digest
