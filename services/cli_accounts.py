"""`zongzhi account …` and `zongzhi keys …`: accounts and signing keys, worked on by whoever operates the machine.

The same deeds as over HTTP, on the gateway's database, with the same rules; the audit names `cli:<system user>`.
Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import argparse
import getpass
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from gateway.accounts.service import AccountService
    from services.chassis.identity import Identity
    from services.chassis.settings import Settings
    from services.chassis.token_keys import KeyFiles

Deeds: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

Add = Callable[..., argparse.ArgumentParser]
DESCRIPTION = "账号:建立、任职、停用、解锁、移交、注销 · accounts on the gateway's database"


def add_account(parser: argparse.ArgumentParser) -> None:
    """The deeds of `zongzhi account`."""
    deeds = parser.add_subparsers(dest="deed", required=True, metavar="DEED")

    def deed(name: str, rpc: str, help: str, *, names: str = "account") -> argparse.ArgumentParser:
        one = deeds.add_parser(name, help=help, description=help)
        one.set_defaults(rpc=rpc)
        one.add_argument("--json", action="store_true", help="输出 JSON · print JSON")
        if names:
            one.add_argument(names, metavar=names.upper())
        return one

    create = deed("create", "CreateAccount", "建立账号,显示一次性密码 · open an account, show its one-time password")
    create.add_argument("--name", dest="display_name", required=True, help="姓名 · the officer's name")
    create.add_argument("--phone", default="", help="电话 · telephone")
    _post(create)
    listing = deed("list", "ListAccounts", "列出账号 · list accounts", names="")
    for option, help in (("role", "角色 role"), ("unit", "单位 unit"), ("text", "账号包含的文字 text in the name")):
        listing.add_argument(f"--{option}", default="", help=help)
    listing.add_argument("--state", choices=["active", "disabled", "closed"], help="账号状态 · state of the account")
    deed("show", "GetAccount", "一个账号 · one account")
    appoint = deed("appoint", "SetAppointments", "设定一个任职(角色、单位、范围)· set one post: roles, units, scope")
    _post(appoint)
    appoint.add_argument("--only", action="store_true", help="撤销其他任职 · take every other post away")
    _reason(deed("disable", "DisableAccount", "停用 · keep out"))
    deed("enable", "EnableAccount", "启用 · let in again")
    deed("reset", "ResetPassword", "重置密码,显示一次性密码 · a new one-time password")
    deed("unlock", "UnlockAccount", "解除登录锁定 · end a lock-out")
    deed("revoke", "RevokeSessions", "全部退出登录 · sign out everywhere")
    deed("open-items", "ListOpenItems", "在办事项 · cases in hand")
    hand_over = deed("hand-over", "HandOver", "把在办事项移交他人 · give all cases in hand to a colleague")
    hand_over.add_argument(
        "--to", dest="to_account", required=True, metavar="ACCOUNT", help="接收账号 · who takes them"
    )
    _reason(hand_over)
    _reason(deed("close", "CloseAccount", "注销,须先移交 · close for good, once nothing is in hand"))
    deed("roles", "ListRoles", "列出角色和权限 · list roles and what they may do", names="")
    _programs(deed)


def _programs(deed: Callable[..., argparse.ArgumentParser]) -> None:
    create = deed(
        "service-create", "CreateServiceAccount", "为集成应用建账号 · an integrator's program", names="client_id"
    )
    create.add_argument("--title", dest="purpose", required=True, help="用途 · what it is for")
    _post(create, title=False)
    create.add_argument("--valid-days", type=int, default=0, help="密钥有效天数(365)· days that the secret works")
    rotate = deed("service-rotate", "RotateServiceSecret", "换密钥,旧的再用一段时间 · a new secret", names="client_id")
    rotate.add_argument(
        "--overlap-hours", type=int, default=0, help="旧密钥再用几小时(24)· hours that the old one works"
    )
    rotate.add_argument("--valid-days", type=int, default=0, help="密钥有效天数(365)· days that the new one works")
    deed("service-list", "ListServiceAccounts", "列出集成应用 · list programs", names="")
    for name, help in (("service-off", "停用应用 · keep a program out"), ("service-on", "启用应用 · let it in again")):
        deed(name, "SwitchServiceAccount", help, names="client_id").set_defaults(enabled=name == "service-on")


def _post(parser: argparse.ArgumentParser, *, title: bool = True) -> None:
    parser.add_argument(
        "--role", dest="roles", action="append", required=True, metavar="ROLE", help="角色,可多次 · role"
    )
    parser.add_argument("--unit", dest="units", action="append", default=[], metavar="UNIT", help="单位,可多个 unit")
    parser.add_argument("--scope", default="", help="管辖范围的区划代码开头 · division prefix; empty: the whole tier")
    parser.add_argument("--post", default="main", help="任职代码 · code of the post")
    if title:
        parser.add_argument("--title", default="", help="职务 · function")


def _reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", required=True, help="理由,记入审计 · the reason, kept in the audit")


def add_keys(parser: argparse.ArgumentParser) -> Deeds:
    """The deeds of `zongzhi keys`; others may add theirs to what it returns."""
    deeds = parser.add_subparsers(dest="deed", required=True, metavar="DEED")
    rotate = deeds.add_parser(
        "rotate", help="更换签名密钥:发布、等待、启用、等旧令牌过期、撤下 · publish, wait, sign, wait, retire"
    )
    rotate.add_argument("--wait", type=float, default=5.0, metavar="S", help="发布后等几秒 · seconds after publishing")
    rotate.add_argument("--leave-old", action="store_true", help="不等旧令牌过期 · leave retiring for later")
    for name, help in (
        ("publish", "只发布新公钥 · publish the next public key"),
        ("sign", "改用已发布的密钥签名 · sign with the published key"),
        ("retire", "撤下令牌已全部过期的旧密钥 · take old keys out whose tokens have expired"),
        ("list", "列出密钥 · list keys"),
    ):
        deeds.add_parser(name, help=help)
    return deeds


# zongzhi account


def account(args: argparse.Namespace, settings: Settings) -> int:
    """One deed of `zongzhi account`."""
    with _service(settings) as service:
        replies = list(_replies(service, args))
    for reply in replies:
        print(_as_json(reply) if args.json else _as_text(reply))
    return 0


def _replies(service: AccountService, args: argparse.Namespace) -> Iterator[Message]:
    from protos.accounts.v1 import accounts_pb2 as pb

    kind = getattr(pb, f"{args.rpc}Request")
    request = kind(**_fields(service, args, kind))
    while True:
        reply = _call(service, args.rpc, request)
        yield reply
        token = getattr(reply, "next_page_token", "")
        if not token:
            return
        request.page_token = token


def _fields(service: AccountService, args: argparse.Namespace, kind: Any) -> dict[str, Any]:
    from protos.accounts.v1 import accounts_pb2 as pb

    known = kind.DESCRIPTOR.fields_by_name
    given = {name: value for name, value in vars(args).items() if name in known and value is not None}
    if "page_size" in known:
        given["page_size"] = 200
    if "request_id" in known:
        given["request_id"] = str(uuid.uuid4())
    if args.deed == "list" and args.state:
        given["state"] = pb.AccountState.Value(f"ACCOUNT_STATE_{args.state.upper()}")
    if args.deed == "service-create":
        given |= {"title": args.purpose, "appointment": _appointment(args)}
    elif args.deed == "create":
        given["appointments"] = [_appointment(args)]
    elif args.deed == "appoint":
        given["appointments"] = _posts(service, args)
    return given


def _posts(service: AccountService, args: argparse.Namespace) -> list[Any]:
    """The post as given in place of the one of its code; the others stay."""
    from protos.accounts.v1 import accounts_pb2 as pb

    now = _call(service, "GetAccount", pb.GetAccountRequest(account=args.account))
    kept = [] if args.only else [one for one in now.appointments if one.post != args.post]
    return [*kept, _appointment(args)]


def _appointment(args: argparse.Namespace) -> Any:
    from protos.accounts.v1 import accounts_pb2 as pb

    title = getattr(args, "title", "") or ""
    return pb.Appointment(post=args.post, title=title, units=args.units, roles=args.roles, scope=args.scope)


def _call(service: AccountService, rpc: str, request: Message) -> Any:
    from services.chassis.validation import validate

    validate(request)
    return getattr(service, rpc)(request)


@contextmanager
def _service(settings: Settings) -> Iterator[AccountService]:
    from gateway.accounts import wiring
    from services.chassis import identity

    with wiring.for_an_operator(settings) as service:
        identity.set_current(_operator(settings))
        try:
            yield service
        finally:
            identity.set_current(identity.NOBODY)


def _operator(settings: Settings) -> Identity:
    from gateway.accounts.model import own_prefix
    from services.chassis.identity import Identity

    return Identity(f"cli:{_user()}", settings.tier, own_prefix(settings.tier))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _as_json(reply: Message) -> str:
    from google.protobuf.json_format import MessageToDict

    shown = MessageToDict(reply, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return json.dumps(shown, ensure_ascii=False)


def _as_text(reply: Message) -> str:
    """Lines for a person: a list one entry a line, all else one field a line."""
    from google.protobuf.json_format import MessageToDict

    shown = MessageToDict(reply, preserving_proto_field_name=True)
    lists = [field.name for field in reply.DESCRIPTOR.fields if field.is_repeated and field.name in shown]
    if "next_page_token" in reply.DESCRIPTOR.fields_by_name:
        entries = shown.get(lists[0], []) if lists else []
        return "\n".join(_line(entry) for entry in entries) or "(无 none)"
    return "\n".join(f"{name}: {_line(value)}" for name, value in shown.items()) or "完成。Done."


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name}={_line(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ",".join(f"[{_line(one)}]" if isinstance(one, dict) else str(one) for one in value)
    return str(value)


# zongzhi keys


def keys(args: argparse.Namespace, settings: Settings) -> int:
    """One deed of `zongzhi keys`."""
    from services.chassis import token_keys

    files, lives = _key_files(settings), max(settings.session_token_s, settings.internal_token_s)
    if args.deed == "rotate":

        def say(step: str, kid: str) -> None:
            _told(settings, step, kid)

        token_keys.rotate(files, lives, say, args.wait, leave_old=args.leave_old)
    elif args.deed == "publish":
        _told(settings, "published", token_keys.publish(files))
    elif args.deed == "sign":
        _told(settings, "signing", token_keys.sign(files))
    elif args.deed == "retire":
        retired, _ = token_keys.retire(files, lives)
        for kid in retired:
            _told(settings, "retired", kid)
    if args.deed in ("list", "retire") or (args.deed == "rotate" and args.leave_old):
        for key in token_keys.listed(files, lives):
            until = f"  {key.until.isoformat()} 之后可撤下 may be retired after that" if key.until else ""
            print(f"{key.kid}  {STATES[key.state]}{until}")
    return 0


STATES = {"signing": "在用 signing", "published": "已发布 published", "old": "旧 old"}
STEPS = {"published": "已发布 published", "signing": "已启用 signing", "retired": "已撤下 retired"}


def _told(settings: Settings, step: str, kid: str) -> None:
    """Prints a step and notes it in the gateway's audit."""
    from gateway.accounts import wiring
    from services.chassis import audit

    print(f"{kid}  {STEPS[step]}", flush=True)
    db = wiring.existing_database(settings)
    try:
        with db.transaction(_operator(settings)) as tx:
            audit.write(tx, f"keys.{step}", "key", kid)
        wiring.seal(db)
    finally:
        db.close()


def _key_files(settings: Settings) -> KeyFiles:
    from services.chassis.token_keys import KeyFiles

    return KeyFiles(settings.token_keys_file, settings.token_private_key_file)
