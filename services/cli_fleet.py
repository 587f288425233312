"""The command `zongzhi fleet`: one release per tier, planned, rendered, compared, applied, watched, taken back."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.fleet.fleet import Choice, Fleet
    from services.fleet.rollout import Outcome
    from services.fleet.tiers import Tier

FLEET, CHARTS, STATE = "infra/fleet", "charts", ".run/fleet"
# Exit codes: something is not as it should be; a person has to change the command or a file.
NOT_AS_IT_SHOULD, MISTAKE = 1, 2


def add(parser: argparse.ArgumentParser) -> None:
    """Declares what can be said after `zongzhi fleet`."""
    deeds = parser.add_subparsers(dest="deed", required=True, metavar="DEED")

    def deed(name: str, help: str) -> argparse.ArgumentParser:
        sub = deeds.add_parser(name, help=help, description=help)
        _places(sub)
        return sub

    made = deed("generate", "由区划表生成 tiers.csv 和 values/ · write tiers.csv and values/ from the division table")
    made.add_argument("--on", metavar="DATE", help="以哪天的区划为准,默认今天 · divisions in force on a day")
    made.add_argument("--domain", default="", metavar="NAME", help="各级网关域名后缀 · suffix of gateways' hosts")
    plan = deed("plan", "先后次序:分几环、每环哪些 · which releases, in which order")
    render = deed("render", "渲染成清单,不连集群 · render manifests without a cluster")
    render.add_argument("--out", type=Path, metavar="DIR", help="写到这个目录,每级一个文件 · a file per release")
    diff = deed("diff", "与已装的相比会改什么,有则退出码 1 · what apply would change; exit code 1 if anything")
    diff.add_argument("--full", action="store_true", help="逐行列出 · line by line")
    apply = deed("apply", "安装或升级,上级先于下级 · install or upgrade, parents before children")
    apply.add_argument("--dry-run", action="store_true", help="只列出将执行的命令 · only show the commands")
    apply.add_argument("--fresh", action="store_true", help="不接着上次,从头来 · do not go on with the last run")
    apply.add_argument("--changed", action="store_true", help="只做 chart 或 values 变了的 · only what changed")
    apply.add_argument(
        "--prepare",
        action="store_true",
        help="先建命名空间和缺少的 secrets · make namespaces and missing secrets",
    )
    status = deed("status", "每个发布的状态,以及上次发布的结果 · every release, and how the last run ended")
    rollback = deed("rollback", "撤回上次 apply,下级先于上级 · take the last apply back, children before parents")
    for sub in (plan, render, diff, apply, status, rollback):
        _choice(sub)
    for sub in (render, diff, apply, rollback):
        sub.add_argument("--parallel", type=_at_least_one, default=4, metavar="N", help="同时几个 · how many at once")
    for sub in (apply, rollback):
        sub.add_argument(
            "--max-failures",
            type=int,
            default=0,
            metavar="N",
            help="一环失败超过 N 个就停 · stop above it",
        )
        sub.add_argument("--timeout", type=_at_least_one, default=600, metavar="S", help="每个最多等几秒 · for each")
    for sub in (plan, diff, status):
        sub.add_argument("--json", action="store_true", help="输出一个 JSON 对象 · one JSON object")


def _places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fleet", type=Path, default=Path(FLEET), metavar="DIR", help=f"tiers.csv 所在 [{FLEET}]")
    parser.add_argument("--charts", type=Path, default=Path(CHARTS), metavar="DIR", help=f"charts 所在 [{CHARTS}]")
    parser.add_argument("--state", type=Path, default=Path(STATE), metavar="DIR", help=f"日志与进度 journal [{STATE}]")
    parser.add_argument("--helm", default=os.environ.get("HELM", "helm"), metavar="PATH", help="环境变量 HELM [helm]")


def _choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("codes", nargs="*", metavar="CODE", help="区划代码;不写则为全部 · none: all of them")
    parser.add_argument("--tier", action="append", default=[], choices=["district", "town", "village"])
    parser.add_argument("--ring", action="append", default=[], type=int, metavar="N", help="第几环 · ring")
    parser.add_argument("--below", default="", metavar="CODE", help="某一级及其所有下级 · a tier and all below it")


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("应不小于 1。at least 1")
    return number


def run(args: argparse.Namespace) -> int:
    """Runs one deed; the exit code."""
    deeds = {
        "generate": _generate, "plan": _plan, "render": _render, "diff": _diff, "apply": _apply, "status": _status,
        "rollback": _rollback,
    }  # fmt: skip
    return deeds[args.deed](args)


def _generate(args: argparse.Namespace) -> int:
    from services.chassis import clock
    from services.fleet import generated, tiers

    on = datetime.fromisoformat(args.on).date() if args.on else clock.now().astimezone(clock.SHANGHAI).date()
    changed, gone = generated.write(args.fleet, on, args.domain or tiers.DOMAIN)
    count = Counter(tier.tier for tier in tiers.load(args.fleet))
    listed = "、".join(f"{name} {number}" for name, number in count.items())
    print(f"{args.fleet}:{listed};改写 changed {changed},删去 removed {gone}")
    return 0


def _fleet(args: argparse.Namespace, timeout_s: int = 600) -> Fleet:
    from services.fleet.fleet import Fleet, Places
    from services.fleet.ground import Ground
    from services.fleet.helm import Helm

    ground = Ground.found(os.environ.get("KUBECTL", "kubectl")) if getattr(args, "prepare", False) else None
    return Fleet(Places(args.fleet, args.charts, args.state), Helm.found(args.helm, timeout_s), ground)


def _chosen(args: argparse.Namespace, every: Sequence[Tier]) -> list[Tier]:
    return _choice_of(args).of(every)


def _choice_of(args: argparse.Namespace) -> Choice:
    from services.fleet.fleet import Choice

    return Choice(tuple(args.tier), tuple(args.ring), tuple(args.codes), args.below)


def _plan(args: argparse.Namespace) -> int:
    from services.fleet import tiers
    from services.fleet.rollout import waves

    order = waves(_chosen(args, tiers.load(args.fleet)))
    if args.json:
        _print_json({"waves": [[tier.code for tier in wave] for wave in order]})
        return 0
    for number, wave in enumerate(order, 1):
        print(f"\n{number}. 第 {wave[0].ring} 环 ring  {wave[0].tier}  {len(wave)} 个 releases")
        for tier in wave:
            print(f"   {tier.code} {tier.name}  {tier.namespace}/{tier.release}")
    print(f"\n共 {sum(map(len, order))} 个 in all,{len(order)} 步 steps")
    return 0


def _render(args: argparse.Namespace) -> int:
    fleet = _fleet(args)
    rendered = fleet.render(_chosen(args, fleet.every), args.parallel, args.out)
    if args.out:
        print(f"{len(rendered)} 个清单写入 manifests written to {args.out}")
    else:
        sys.stdout.write("".join(rendered.values()))
    return 0


def _diff(args: argparse.Namespace) -> int:
    from concurrent.futures import ThreadPoolExecutor

    fleet = _fleet(args)
    chosen = _chosen(args, fleet.every)
    with ThreadPoolExecutor(args.parallel) as pool:
        found = dict(zip(chosen, pool.map(fleet.differences, chosen), strict=True))
    changes = {tier: differences for tier, differences in found.items() if differences}
    if args.json:
        _print_json({tier.code: [[d.sign, d.name] for d in differences] for tier, differences in changes.items()})
    for tier, differences in changes.items() if not args.json else ():
        print(f"{tier.code} {tier.name}")
        for one in differences:
            print(f"  {one.sign} {one.name}")
            if args.full and one.sign == "~":
                print("\n".join(f"      {line}" for line in one.text.splitlines()[2:]))
    if not args.json:
        print(f"{len(chosen)} 个中有 {len(changes)} 个会变。{len(changes)} of {len(chosen)} would change.")
    return NOT_AS_IT_SHOULD if changes else 0


def _apply(args: argparse.Namespace) -> int:
    from services.fleet.rollout import Limits, waves

    fleet = _fleet(args, args.timeout)
    chosen = _chosen(args, fleet.every)
    if args.dry_run:
        for tier in (tier for wave in waves(chosen) for tier in wave):
            print(shlex.join(fleet.upgrade_words(tier, exists=True)))
        return 0
    limits = Limits(args.parallel, args.max_failures)
    return _told(fleet, fleet.apply(chosen, limits, fresh=args.fresh, changed=args.changed))


def _rollback(args: argparse.Namespace) -> int:
    from services.fleet.rollout import Limits

    fleet = _fleet(args, args.timeout)
    return _told(fleet, fleet.roll_back(_chosen(args, fleet.every), Limits(args.parallel, args.max_failures)))


def _told(fleet: Fleet, outcome: Outcome) -> int:
    """What became of it, and what to do next."""
    for code, error in outcome.failed.items():
        print(
            f"失败 failed {code}: {error}\n  日志 log: {fleet.places.state / 'logs' / f'{code}.log'}", file=sys.stderr
        )
    print(f"完成 done {len(outcome.done)},失败 failed {len(outcome.failed)},未做 not begun {len(outcome.waiting)}")
    if outcome.word != "ok":
        print(
            "改正后再次运行同一条命令,从停下的地方继续。"
            "Put it right and run the same command again; it goes on from here.",
            file=sys.stderr,
        )
    return 0 if outcome.word == "ok" else NOT_AS_IT_SHOULD


def _status(args: argparse.Namespace) -> int:
    from services.fleet import journal

    fleet = _fleet(args)
    chosen = _chosen(args, fleet.every)
    installed = fleet.installed(chosen)
    runs = journal.read(fleet.places.journal)
    rows = [_row(tier, installed.get((tier.namespace, tier.release)), runs) for tier in chosen]
    count = Counter(row["status"] for row in rows)
    last = {"id": runs[-1].id, "deed": runs[-1].deed, "outcome": runs[-1].outcome or "unfinished"} if runs else None
    if args.json:
        _print_json({"releases": rows, "count": count, "last_run": last})
    else:
        for row in rows:
            failure = f"  {row['error']}" if row["error"] else ""
            print(f"{row['code']} {row['name']:<12} {row['status']:<16} {row['revision']:>3} {row['chart']}{failure}")
        print("  ".join(f"{status} {number}" for status, number in count.items()))
        if last:
            print(f"上次 last run {last['id']} {last['deed']}: {last['outcome']}")
    return 0 if set(count) <= {"deployed"} else NOT_AS_IT_SHOULD


def _row(tier: Tier, release: Any, runs: Sequence[Any]) -> dict[str, Any]:
    error = runs[-1].failed.get(tier.code, "") if runs else ""
    return {
        "code": tier.code, "name": tier.name, "tier": tier.tier, "ring": tier.ring,
        "status": release.status if release else "missing", "revision": release.revision if release else 0,
        "chart": release.chart if release else "", "error": error,
    }  # fmt: skip


def _print_json(found: Any) -> None:
    print(json.dumps(found, ensure_ascii=False, indent=2))
