"""The command `zongzhi`: every role, and what operators need beside them. `zongzhi --help` lists it all."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from services import cli_accounts, cli_deploy, cli_fleet
from services.chassis.settings import Settings, SettingsMissing
from services.roles_names import database_names, service_names

# They run where no installation is, at an operator's desk.
NEED_NOTHING = frozenset({"settings", "import", "fleet"})
Command = Callable[[argparse.Namespace, Settings], int]


def _serve(args: argparse.Namespace, settings: Settings) -> int:
    from services import roles

    roles.serve(settings, list(dict.fromkeys(args.names)))
    return 0


def _work(args: argparse.Namespace, settings: Settings) -> int:
    if settings.worker == "nameko":
        import services.chassis.worker_nameko  # noqa: F401  # patches sockets before anything else is imported
    from services import roles

    roles.work(settings, list(dict.fromkeys(args.names)))
    return 0


def _gateway(args: argparse.Namespace, settings: Settings) -> int:
    from gateway.server import serve_granian

    serve_granian(settings, workers=args.workers, threads=args.threads, streams=args.streams)
    return 0


def _all(_: argparse.Namespace, settings: Settings) -> int:
    from services import roles

    roles.everything(settings)
    return 0


def _setup(_: argparse.Namespace, settings: Settings) -> int:
    from services import operations

    return operations.setup(settings)


def _migrate(args: argparse.Namespace, settings: Settings) -> int:
    from services import operations

    done = operations.migrate(settings, args.names, create=args.create, wait_s=args.wait)
    return operations.seed(settings, args.names) if args.seed else done


def _seed(args: argparse.Namespace, settings: Settings) -> int:
    from services import operations

    return operations.seed(settings, args.names)


def _status(args: argparse.Namespace, settings: Settings) -> int:
    from services import status

    return status.show(settings, as_json=args.json)


def _held(args: argparse.Namespace, settings: Settings) -> int:
    from services import operations

    deeds = {"list": operations.held_list, "retry": operations.held_retry, "discard": operations.held_discard}
    return deeds[args.deed](settings, args)


def _outbox(args: argparse.Namespace, settings: Settings) -> int:
    from services import operations

    return operations.resend(settings, args)


def _audit(args: argparse.Namespace, settings: Settings) -> int:
    from services import operations

    return operations.audit_verify(settings, args.names, args.head)


def _restored(args: argparse.Namespace, settings: Settings) -> int:
    from services import operations

    return operations.restored(settings, args.names)


def _fleet(args: argparse.Namespace, _: Settings) -> int:
    from services import cli_fleet

    return cli_fleet.run(args)


def _import(args: argparse.Namespace, _: Settings) -> int:
    from services import cli_import

    return cli_import.run(args)


def _directory(args: argparse.Namespace, settings: Settings) -> int:
    from services import cli_directory

    return cli_directory.run(args, settings)


def _account(args: argparse.Namespace, settings: Settings) -> int:
    return cli_accounts.account(args, settings)


def _keys(args: argparse.Namespace, settings: Settings) -> int:
    return cli_deploy.secrets(args, settings) if args.deed == "secrets" else cli_accounts.keys(args, settings)


def _settings(_: argparse.Namespace, __: Settings) -> int:
    print(Settings.help())
    return 0


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command in both languages."""

    def error(self, message: str) -> NoReturn:
        """One sentence and exit code 2."""
        self.exit(2, f"{self.prog}: 命令写法有误,用法见 {self.prog} --help。 Wrong usage, see --help: {message}\n")


def _name(text: str) -> str:
    if text not in service_names():
        raise argparse.ArgumentTypeError(
            f"没有名为 {text} 的服务。there is no service {text} ({', '.join(service_names())})"
        )
    return text


def _database(text: str) -> str:
    if text not in database_names():
        raise argparse.ArgumentTypeError(
            f"没有名为 {text} 的数据库。there is no database {text} ({', '.join(database_names())})"
        )
    return text


def _names(parser: argparse.ArgumentParser, *, every: bool = True, databases: bool = False) -> None:
    parser.add_argument(
        "names",
        nargs="*" if every else "+",
        metavar="NAME",
        type=_database if databases else _name,
        help="服务名,如 petition mediation" + (";不写则为全部 (none: all of them)" if every else ""),
    )
    if every:
        parser.add_argument("--all", action="store_true", help=argparse.SUPPRESS)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="zongzhi", description="综治中心软件 · governance centre. 设置见 `zongzhi settings`。")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Command, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    _names(add("serve", _serve, "提供 gRPC 服务并发送事件 · answer gRPC, send events"), every=False)
    _names(add("work", _work, "从 RabbitMQ 接收并处理事件 · consume events from RabbitMQ"), every=False)
    gateway = add("gateway", _gateway, "HTTP 网关 · the HTTP gateway")
    gateway.add_argument("--workers", type=int, default=1, help="进程数 · worker processes")
    gateway.add_argument("--threads", type=int, default=16, help="每个进程的线程数 · threads of each")
    gateway.add_argument(
        "--streams",
        action="store_true",
        help="为大量实时连接而设(/v1/**/events),上限见 STREAMS · for many event streams, as many as STREAMS says",
    )
    add("all", _all, "全部放在一个进程里,用 SQLite 和本地总线 · everything in one process")
    add("setup", _setup, "生成密钥(已有则不动)· make keys, leaving what is there")
    migrate = add("migrate", _migrate, "把数据库升级到本版本 · bring databases to this release's schema")
    _names(migrate, databases=True)
    migrate.add_argument(
        "--create", action="store_true", help="数据库不存在时先建 · create missing PostgreSQL databases first"
    )
    migrate.add_argument(
        "--wait", type=float, default=0, metavar="S", help="先等数据库应答 · first wait for the server"
    )
    migrate.add_argument("--seed", action="store_true", help="随后载入随软件提供的内容 · then load what is shipped")
    waiting = add(
        "wait-schema",
        cli_deploy.wait_schema,
        "等数据库升级到本版本或更新 · wait for this release's schema or a newer one",
    )
    _names(waiting, databases=True)
    cli_deploy.options_of_waiting(waiting)
    _names(
        add(
            "seed",
            _seed,
            "载入随软件提供的区划和单位;DEMO=1 时建演示账号 · load the shipped tables; with DEMO=1 the demo accounts",
        ),
        databases=True,
    )
    status = add(
        "status",
        _status,
        "各角色、数据库、发件箱、搁置、死信、时限 · roles, databases, outbox, held, dead letters, clocks",
    )
    status.add_argument("--json", action="store_true", help="输出一个 JSON 对象 · one JSON object")
    _held_parser(add("held", _held, "搁置的事件:列出、重试、放弃 · events that could not be applied"))
    _outbox_parser(add("outbox", _outbox, "重发某段时间已发出的事件 · send again what was sent in a span of time"))
    audit = add("audit", _audit, "核对审计链 · verify the audit chain")
    audit.add_argument("deed", choices=["verify"])
    _names(audit, databases=True)
    audit.add_argument(
        "--head",
        metavar="NO:HASH",
        help="另存的链头,用来发现被截去的尾部 · a head kept elsewhere, to find a cut-off end",
    )
    _names(add("restored", _restored, "从备份恢复之后运行:编号不再重复 · after a restore: numbers never repeat"))
    cli_deploy.options_of_certificates(
        add("certificates", cli_deploy.certificates, "自建证书:签发、续期 · an authority of one's own: issue, renew")
    )
    cli_deploy.options_of_smoke(
        add("smoke", cli_deploy.smoke, "经公开接口登记一件、读回、作废 · file a petition, read it back, void it")
    )
    cli_fleet.add(add("fleet", _fleet, "各级的发布:计划、渲染、比较、安装、查看、撤回 · the releases of all tiers"))
    _import_parser(add("import", _import, "导入登记表(.xlsx、.csv)· bring a register in, through the gateway"))
    _directory_parser(add("directory", _directory, "区划、单位等目录 · the directory: show, import, publish"))
    cli_accounts.add_account(add("account", _account, cli_accounts.DESCRIPTION))
    keys = add("keys", _keys, "令牌签名密钥:更换、列出;生成 Kubernetes secrets · signing keys; Kubernetes secrets")
    cli_deploy.options_of_secrets(cli_accounts.add_keys(keys), partial(_names, databases=True))
    add("settings", _settings, "列出全部环境变量 · list every environment variable")
    return parser


def _directory_parser(parser: argparse.ArgumentParser) -> None:
    from services import cli_directory

    cli_directory.options(parser)


def _import_parser(parser: argparse.ArgumentParser) -> None:
    from services import cli_import

    cli_import.options(parser)


def _held_parser(parser: argparse.ArgumentParser) -> None:
    deeds = parser.add_subparsers(dest="deed", required=True)
    listing = deeds.add_parser("list", help="列出 · list")
    _names(listing)
    for name, help in (("retry", "立即重试 · try again now"), ("discard", "放弃,须写理由 · give up, with a reason")):
        deed = deeds.add_parser(name, help=help)
        deed.add_argument("service", metavar="SERVICE")
        deed.add_argument("held_id", metavar="ID")
        deed.add_argument("--by", required=True, help="操作人账号 · account of who decides")
        if name == "discard":
            deed.add_argument("--reason", required=True, help="理由,记入审计 · the reason, kept in the audit")


def _outbox_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("deed", choices=["resend"])
    parser.add_argument("service", metavar="SERVICE")
    parser.add_argument(
        "--since", required=True, metavar="TIME", help="起,如 2026-11-24 或 2026-11-24T08:00+08:00 · from"
    )
    parser.add_argument("--until", metavar="TIME", help="止,默认为此刻 · to; now when left out")
    parser.add_argument("--to", metavar="SERVICE", help="只发给这个服务 · only to this service")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. What a person did wrong is one sentence and exit code 2; nothing is half done."""
    args = _parser().parse_args(argv)
    try:
        settings = Settings() if args.command in NEED_NOTHING else Settings.from_env()
        return int(args.run(args, settings) or 0)
    except BrokenPipeError:
        return 1
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        print(f"zongzhi: {sentence}", file=sys.stderr)
        return 2


def _sentence(error: Exception) -> str | None:
    """What a person can put right, in one sentence; None for a defect of ours."""
    if isinstance(error, SettingsMissing):
        return str(error)
    # Only now: a worker must patch sockets before these are imported, and most commands never need them.
    from services.mistakes import sentence_of

    return sentence_of(error)


if __name__ == "__main__":
    sys.exit(main())
