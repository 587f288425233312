"""`make demo`: brings the example register of 2021 into `make run` and prints its totals as the API counts them.

Runs against the installation that answers on the port, with the demo login in the folder; when none does, it starts one
and stops it again afterwards. Repeating it brings nothing in twice.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from infra.data_dir import CannotStart
from infra.launch import Died, Stopped, say, signals_stop
from infra.processes import LOOPBACK
from infra.tools import example_register as example
from services import cli_import
from services.http_client import Gateway, GatewaySaid, Unreachable

READY_WITHIN_S = 120.0
LOGINS_FILE, LEAD = "demo-logins.json", "demo-lead"
GROUPS = (
    ("按渠道 by channel", "COUNT_BY_CHANNEL"),
    ("按月份 by month", "COUNT_BY_MONTH"),
    ("按镇街 by town", "COUNT_BY_TOWN"),
    ("领导接访 leaders' reception days", "COUNT_BY_LEADER_RECEPTION"),
)


def main(words: Sequence[str] | None = None) -> int:
    """0: the totals are the published ones; 1: they are not; 2: something has to be put right first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", default=os.environ.get("PORT") or "8080", help="port of the gateway")
    parser.add_argument("--dir", type=Path, default=Path(".run"), help="folder of the installation, for its demo login")
    chosen = parser.parse_args(words)
    try:
        with signals_stop(), _running(chosen.port, chosen.dir):
            return _demonstrate(chosen.port, chosen.dir)
    except Stopped:
        say("已停止。", "Stopped.")
        return 0
    except (CannotStart, Died, GatewaySaid, Unreachable) as reason:
        sys.stderr.write(f"{reason}\n")
        return 2


@contextmanager
def _running(port: str, folder: Path) -> Iterator[None]:
    """An installation that answers: the one that is there, or one of our own for so long."""
    if _is_ready(port):
        yield
        return
    say(f"端口 {port} 上没有运行中的系统,先启动一个 …", "nothing answers there: starting one")
    command = [sys.executable, "-m", "infra.run", "--port", port, "--dir", str(folder), "--json"]
    with tempfile.TemporaryFile() as out:
        started = subprocess.Popen(command, stdout=out)  # noqa: S603 - our own launcher
        try:
            _wait(started, port)
            yield
        finally:
            started.terminate()
            started.wait(timeout=30)


def _wait(started: subprocess.Popen[bytes], port: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not _is_ready(port):
        if started.poll() is not None:
            raise Died("系统没有启动,原因见上。 It did not start; the reason stands above.")
        if time.monotonic() > deadline:
            raise Died(f"{READY_WITHIN_S:.0f} 秒内没有就绪。 It was not ready within {READY_WITHIN_S:.0f} s.")
        time.sleep(0.3)


def _is_ready(port: str) -> bool:
    try:
        with urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=5) as answer:  # noqa: S310 - an address of ours
            return bool(answer.status == 200)
    except OSError:
        return False


def _demonstrate(port: str, folder: Path) -> int:
    login = _login(folder)
    url = f"http://{LOOPBACK}:{port}"
    with tempfile.TemporaryDirectory() as made:
        register, password = Path(made) / f"来访登记{example.YEAR}.xlsx", Path(made) / "password"
        register.write_bytes(example.workbook())
        password.touch(mode=0o600)
        password.write_text(login["password"])
        say(f"导入示例登记表({example.TITLE}) …", "bringing the example register in")
        parser = argparse.ArgumentParser()
        cli_import.options(parser)
        code = cli_import.run(
            parser.parse_args(
                [
                    str(register),
                    "--gateway",
                    url,
                    "--account",
                    login["account"],
                    "--password-file",
                    str(password),
                ]
            )  # fmt: skip
        )
    if code != cli_import.DONE:
        return code
    gateway = Gateway(url)
    gateway.sign_in(login["account"], login["password"])
    return 0 if _print_totals(gateway) else 1


def _login(folder: Path) -> dict[str, str]:
    """Of the demo accounts the one that may bring a register in. Raises CannotStart."""
    file = folder / LOGINS_FILE
    try:
        logins = json.loads(file.read_text())["logins"]
        return next(login for login in logins if login["account"] == LEAD)
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise CannotStart(
            f"{file} 中没有演示账号 {LEAD};请指明运行中的系统所用的文件夹:--dir。"
            f"There is no demo account {LEAD} in {file}; name the folder of the running installation with --dir."
        ) from error


def _print_totals(gateway: Gateway) -> bool:
    """Whether they are the published ones."""
    counted = {by: _counted(gateway, by) for _, by in GROUPS}
    lines: list[str] = []
    for title, by in GROUPS:
        lines += ["", f"{title}:", *(_line(group) for group in counted[by]["groups"])]
    total = counted["COUNT_BY_MONTH"]["total"]
    lines += ["", f"合计 total:{_line(total)}"]
    sums = [_sums(counted[by]["groups"]) for _, by in GROUPS]
    leaders = [group for group in counted["COUNT_BY_LEADER_RECEPTION"]["groups"] if group["key"] == "true"]
    agree = (
        _sums([total]) == (example.VISITS, example.PERSONS)
        and all(one == (example.VISITS, example.PERSONS) for one in sums)
        and _sums(leaders) == (example.LEADER_VISITS, example.LEADER_PERSONS)
    )
    leaders_told = f"其中领导接访 {example.LEADER_VISITS} 批 {example.LEADER_PERSONS} 人次"
    published = f"{example.VISITS} 批 {example.PERSONS} 人次,{leaders_told}"
    lines.append(
        f"与公布的 {example.YEAR} 年数字一致:{published}。 They agree with the published figures."
        if agree
        else f"与公布的 {example.YEAR} 年数字不一致:{published}。 They DISAGREE with the published figures."
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return agree


def _counted(gateway: Gateway, by: str) -> Any:
    return gateway.get("/v1/petitions:count", by=by, source_system=example.SOURCE_SYSTEM)


def _sums(groups: list[Any]) -> tuple[int, int]:
    return sum(int(one["visits"]) for one in groups), sum(int(one["persons"]) for one in groups)


def _line(group: Any) -> str:
    title = group.get("title", "")
    wide = sum(2 if ord(sign) > 255 else 1 for sign in title)
    return f"  {title}{' ' * max(1, 16 - wide)}{int(group['visits']):>4} 批 {int(group['persons']):>5} 人次"


if __name__ == "__main__":
    sys.exit(main())
