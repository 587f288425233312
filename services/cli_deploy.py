"""The commands that a chart's pods and its operators run: secrets, certificates, waiting for a schema, a smoke test."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from services.chassis.settings import Settings

Names = Callable[[argparse.ArgumentParser], None]
Deeds: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def options_of_secrets(deeds: Deeds, names: Names) -> None:
    """`zongzhi keys secrets`."""
    made = deeds.add_parser(
        "secrets", help="输出清单,交给 kubectl create -f - · print manifests for kubectl create -f -"
    )
    names(made)
    made.add_argument("--release", required=True, metavar="NAME", help="Helm release")
    made.add_argument("--namespace", required=True, metavar="NAME")
    made.add_argument("--village", action="store_true", help="村级:只有密钥和登录 · keys and login only")
    made.add_argument("--database-host", default="", metavar="HOST", help="默认 default: RELEASE-database")
    made.add_argument("--broker-host", default="", metavar="HOST", help="默认 default: RELEASE-broker")


def options_of_certificates(parser: argparse.ArgumentParser) -> None:
    """`zongzhi certificates`."""
    parser.add_argument("wanted", nargs="+", metavar="SERVICE=SECRET:HOST,HOST")
    parser.add_argument(
        "--authority", required=True, metavar="SECRET", help="存放根证书的 secret · the authority's own"
    )
    parser.add_argument("--release", required=True, metavar="NAME", help="Helm release")
    parser.add_argument("--namespace", required=True, metavar="NAME")


def options_of_smoke(parser: argparse.ArgumentParser) -> None:
    """`zongzhi smoke`."""
    parser.add_argument("--gateway", required=True, metavar="URL", help="http://…")
    parser.add_argument(
        "--login", required=True, type=Path, metavar="DIR", help="内有 account、password 两个文件的目录"
    )
    parser.add_argument("--division", default="", metavar="CODE", help="登记在哪个区划,默认本级 · default this tier")


def options_of_waiting(parser: argparse.ArgumentParser) -> None:
    """`zongzhi wait-schema`."""
    parser.add_argument("--timeout", type=float, default=300, metavar="S", help="最多等几秒 · seconds at most")


def secrets(args: argparse.Namespace, settings: Settings) -> int:
    """Prints the secrets of one release."""
    from services import operations

    return operations.keys_secrets(settings, args)


def certificates(args: argparse.Namespace, settings: Settings) -> int:
    """Makes or renews the certificates of one release, as a job in its namespace."""
    from services import certificates as making

    kept = making.KubernetesSecrets(args.namespace, args.release)
    making.renew(kept, args.authority, settings.tier, [making.Wanted.parse(one) for one in args.wanted])
    return 0


def smoke(args: argparse.Namespace, settings: Settings) -> int:
    """Files a petition, reads it back, voids it."""
    from services import smoke as test

    return test.run(args.gateway, args.login, args.division or settings.tier)


def wait_schema(args: argparse.Namespace, settings: Settings) -> int:
    """Waits until databases have this release's schema."""
    from services import operations

    return operations.wait_schema(settings, args.names, args.timeout)
