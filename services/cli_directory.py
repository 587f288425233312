"""`zongzhi directory`: what the directory holds, a table brought in with or without a dry run, versions sent out again.

Works on grid's own database through the same use case as the RPC, so that a table can come in before anybody serves.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.chassis.directory_entries import KINDS
from services.chassis.refusal import Invalid, Unavailable
from services.chassis.settings import Settings

if TYPE_CHECKING:
    from services.chassis.database import Database
    from services.chassis.identity import Identity
    from services.grid.application.importing import Options, Report
    from services.grid.application.tables import Table

# Digits of a division code that name the district, the town, the village.
LEVELS = (6, 9, 12)
MOST_LINES = 200


def options(parser: argparse.ArgumentParser) -> None:
    """The deeds of `zongzhi directory` and what each takes."""
    deeds = parser.add_subparsers(dest="deed", required=True, metavar="DEED")
    show = deeds.add_parser("show", help="各类目录的版本和条数 · versions and sizes")
    show.add_argument("--json", action="store_true", help="输出一个 JSON 对象 · one JSON object")
    _import_options(deeds.add_parser("import", help="导入一张表 · bring a table in"))
    publish = deeds.add_parser("publish", help="把现有目录重新发给各服务 · send the directory to every service again")
    publish.add_argument("kinds", nargs="*", metavar="KIND", help="、".join(KINDS))
    publish.add_argument("--by", default=getpass.getuser(), metavar="ACCOUNT", help="操作人 · who does it")


def _import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help="、".join(KINDS))
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help=".xlsx 或 .csv(UTF-8、GB18030)")
    parser.add_argument(
        "--shipped", action="store_true", help="导入随本版本提供的表 · the table that this release brings along"
    )
    parser.add_argument("--dry-run", action="store_true", help="只显示将改变什么 · only show what would change")
    parser.add_argument(
        "--complete", action="store_true", help="表中没有的即终止 · whatever the table does not name ends"
    )
    parser.add_argument(
        "--effective-on", default="", metavar="DATE", help="生效日期,默认今天 · first day of the changes"
    )
    parser.add_argument("--by", default=getpass.getuser(), metavar="ACCOUNT", help="操作人,记入审计 · who does it")
    parser.add_argument("--json", action="store_true", help="输出一个 JSON 对象 · one JSON object")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """One deed. Exit code 1 when a table has wrong rows and nothing was changed."""
    deeds: dict[str, Callable[[argparse.Namespace, Settings, Database], int]] = {
        "show": _show, "import": _import, "publish": _publish,
    }  # fmt: skip
    db = _opened(settings)
    try:
        return deeds[args.deed](args, settings, db)
    finally:
        db.close()


def _opened(settings: Settings) -> Database:
    from services.chassis.database import Database

    db = Database(settings.database_url_of("grid"))
    if db.is_sqlite and not Path(db.url.database or "").exists():
        raise Unavailable(
            "DATABASE_MISSING",
            "grid 还没有数据库,请先运行 zongzhi migrate 和 zongzhi seed。",
            "There is no database of grid yet; run zongzhi migrate and zongzhi seed first.",
        )
    return db


def _operator(settings: Settings, account: str) -> Identity:
    from services.chassis.identity import Identity

    tier = settings.tier
    scope = next(tier[:level] for level in LEVELS if not tier[level:].strip("0"))
    return Identity(f"operator:{account}"[:80], tier, scope=scope)


def _show(args: argparse.Namespace, _: Settings, db: Database) -> int:
    from services.chassis.directory_shipped import shipped
    from services.chassis.directory_store import digest_of
    from services.grid.adapters.reads import SqlReads
    from services.grid.application.overview import overview

    digests = {kind: digest_of(shipped(kind)) for kind in KINDS}
    with db.reading() as conn:
        found = overview(SqlReads(conn), digests)
    if args.json:
        print(json.dumps(found, ensure_ascii=False, indent=2, default=str))
        return 0
    for kind, facts in found["kinds"].items():
        print(f"{facts['zh']} {kind:<11} 第 {facts['version']} 版 version  {facts['entries']} 条 entries"
              f"  {facts['published_at']}  {facts['origin']}")  # fmt: skip
        if facts["shipped_differs"]:
            print("    随本版本提供的表有更新 this release brings a newer table: "
                  f"zongzhi directory import {kind} --shipped --dry-run")  # fmt: skip
    print(f"{found['towns']} 个镇街 towns,{found['villages']} 个村社区 villages")
    return 0


def _publish(args: argparse.Namespace, settings: Settings, db: Database) -> int:
    from services.grid.adapters.store import SqlWork, republish
    from services.grid.application.importing import check_kind

    for kind in args.kinds:
        check_kind("KIND", kind)
    with db.transaction(_operator(settings, args.by)) as tx:
        made = republish(SqlWork(tx, settings.tier), args.kinds or KINDS)
    for kind, version in made.items():
        print(f"{kind}: 第 {version} 版 version {version}")
    return 0


def _import(args: argparse.Namespace, settings: Settings, db: Database) -> int:
    from services.grid.adapters.store import SqlWork
    from services.grid.application.importing import check_kind, day_of, import_table

    check_kind("KIND", args.kind)
    table = _table(args)
    chosen = _chosen(args, day_of("--effective-on", args.effective_on))
    with db.transaction(_operator(settings, args.by)) as tx:
        report = import_table(SqlWork(tx, settings.tier), chosen, table)
    _print(report, as_json=args.json)
    return 1 if report.outcome.wrong else 0


def _chosen(args: argparse.Namespace, effective_on: Any) -> Options:
    from services.chassis.directory_shipped import shipped
    from services.chassis.directory_store import digest_of
    from services.grid.application.importing import Options

    # Which shipped table it was, so that `show` offers it no longer.
    name = args.file.name if args.file else f"shipped {digest_of(shipped(args.kind))[:12]}"
    return Options(args.kind, args.dry_run, args.complete, effective_on, name)


def _table(args: argparse.Namespace) -> Table:
    from services.grid.adapters.files import read_table
    from services.grid.application.tables import shipped_table

    if args.shipped == bool(args.file):
        raise Invalid("FILE", "请写文件名,或用 --shipped。", "Name a file, or say --shipped.")
    if args.shipped:
        return shipped_table(args.kind)
    if not args.file.is_file():
        raise Invalid("FILE", f"没有文件 {args.file}。", f"There is no file {args.file}.")
    return read_table(args.kind, args.file)


def _print(report: Report, *, as_json: bool) -> None:
    from google.protobuf.json_format import MessageToDict

    from services.grid.adapters.messages import report as message

    shown = MessageToDict(message(report), preserving_proto_field_name=True)
    if as_json:
        print(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    for line in _lines(shown):
        print(line)
    if shown.get("wrong"):
        sys.stderr.write(f"{shown['wrong']} 处有误,未作更改。{shown['wrong']} mistakes; nothing was changed.\n")


def _lines(shown: dict[str, Any]) -> list[str]:
    lines = [f"! {text}" for text in shown.get("warnings", [])]
    for change in shown.get("changes", [])[:MOST_LINES]:
        fields = ",".join(
            f"{one['field']}: {one.get('before', '')} → {one.get('after', '')}" for one in change.get("fields", [])
        )
        mark = {"ADDED": "+", "CHANGED": "~", "ENDED": "-"}[change["kind"].removeprefix("CHANGE_KIND_")]
        lines.append(f"{mark} {change['directory']} {change['code']} {change['effective_on']}  {fields}")
    wrong = shown.get("wrong_rows", [])[:MOST_LINES]
    lines += [f"第 {one.get('row', 0)} 行 row: {one['reason']} {one['reason_en']}" for one in wrong]
    counts = {name: shown.get(name, 0) for name in ("added", "changed", "ended", "unchanged")}
    done = "已导入 done" if shown.get("applied") else "未作更改 nothing was changed"
    lines.append(f"新增 {counts['added']} 变更 {counts['changed']} 终止 {counts['ended']} 不变 {counts['unchanged']}"
                 f"  {done},第 {shown.get('version', 0)} 版 version")  # fmt: skip
    return lines
