"""`zongzhi import FILE`: brings a register into a running installation, through its gateway, and shows how far it is.

Exit codes: 0 every row is in; 1 the job failed, was cancelled, or nobody answers; 2 refused, or wrongly called;
3 done, but rows were refused (--bad-rows writes them to a file); 130 Ctrl-C: the job goes on by itself.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from services.http_client import Gateway, GatewaySaid, Unreachable

DONE, FAILED, REFUSED, BAD_ROWS, INTERRUPTED = 0, 1, 2, 3, 130
OVER = {"JOB_STATE_DONE", "JOB_STATE_CANCELLED", "JOB_STATE_FAILED"}
MOST_BYTES = 20 << 20
BAR = 24
SHOWN = 5
PLAIN_EVERY_S = 5.0


def options(parser: argparse.ArgumentParser) -> None:
    """What the command takes. A password is never an argument: arguments can be seen by others on the machine."""
    add = parser.add_argument
    add("file", nargs="?", type=Path, metavar="FILE", help=".xlsx 或 .csv 登记表 · the register")
    add("--gateway", default=os.environ.get("ZONGZHI_GATEWAY", "http://127.0.0.1:8080"), metavar="URL",
        help="网关地址(或环境变量 ZONGZHI_GATEWAY)· address of the gateway")  # fmt: skip
    add("--ca", type=Path, help="网关证书的根证书 · root certificate of the gateway")
    add("--account", default=os.environ.get("ZONGZHI_ACCOUNT", ""),
        help="账号(或 ZONGZHI_ACCOUNT);口令在提示后输入,或用 ZONGZHI_PASSWORD、--password-file"
        " · account; the password is asked for, or comes from the environment or a file")  # fmt: skip
    add("--password-file", type=Path, help="第一行是口令的文件 · file whose first line is the password")
    add("--token-file", type=Path, help="存放访问令牌的文件,代替账号口令 · file of an access token, instead")
    add("--sheet", default="", help="工作表名,默认第一张可见的 · sheet; the first visible one")
    add("--source-system", default="", help="行内未写时的来源系统名称 · older system of rows that name none")
    add("--dry-run", action="store_true", help="只检查,不写入 · check only")
    add("--bad-rows", type=Path, metavar="OUT", help="把未导入的行写到这个文件 · where to write refused rows")
    add("--job", metavar="ID", help="不上传,只看这个任务 · look at this job instead of sending a file")
    add("--wait", action=argparse.BooleanOptionalAction, default=True, help="等到结束(默认)· wait until it is over")
    add("--json", action="store_true", help="最后在标准输出写一个 JSON · one JSON object on stdout at the end")


def run(args: argparse.Namespace) -> int:
    """Sends the file or looks at a job, waits, and says what came of it."""
    seen = _Seen()
    try:
        return _run(args, seen)
    except GatewaySaid as said:
        _say(str(said))
        return REFUSED
    except Unreachable as away:
        _say(str(away))
        _say_how_to_look(args, seen)
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        _say_how_to_look(args, seen)
        return INTERRUPTED


@dataclass
class _Seen:
    """The job, as soon as there is one."""

    job_id: str = ""


def _run(args: argparse.Namespace, seen: _Seen) -> int:
    content = None if args.job else _content(args.file)
    gateway = _signed_in(args)
    job = gateway.get(f"/v1/jobs/{args.job}") if content is None else _send(gateway, args, content)
    seen.job_id = job["id"]
    _headings(job)
    if args.wait:
        job = _watch(gateway, job, _Progress(sys.stderr))
    if args.bad_rows and job.get("file_ready"):
        _write(args.bad_rows, gateway.download(f"/v1/jobs/{job['id']}/file"))
    if args.json:
        sys.stdout.write(json.dumps(job, ensure_ascii=False) + "\n")
    if not args.wait:
        _say_how_to_look(args, seen)
        return DONE
    return _summary(job, args)


def _content(file: Path | None) -> bytes:
    if file is None:
        raise GatewaySaid(0, "请写登记表文件名,或用 --job 看一个任务。 Name the register's file, or a job with --job.")
    try:
        if file.stat().st_size > MOST_BYTES:
            raise GatewaySaid(0, f"{file} 超过 20 MB,请分成几个文件。 {file} is larger than 20 MB; split it.")
        return file.read_bytes()
    except OSError as error:
        raise GatewaySaid(0, f"无法读取 {file}。 Cannot read {file}: {error.strerror}.") from error


def _signed_in(args: argparse.Namespace) -> Gateway:
    gateway = Gateway(args.gateway, args.ca)
    if args.token_file:
        # Whoever writes the file may renew the token in it.
        def read_again() -> None:
            gateway.access = _first_line(args.token_file)

        gateway.sign_in_again = read_again
        read_again()
        return gateway
    account, password = args.account or _ask("账号 account: ", input), _password(args)
    gateway.sign_in(account, password)
    gateway.sign_in_again = lambda: gateway.sign_in(account, password)
    return gateway


def _password(args: argparse.Namespace) -> str:
    if args.password_file:
        return _first_line(args.password_file)
    return os.environ.get("ZONGZHI_PASSWORD") or _ask("口令 password: ", getpass.getpass)


def _ask(prompt: str, ask: Callable[[str], str]) -> str:
    if not sys.stdin.isatty():
        raise GatewaySaid(
            0, "请用 --account 与 ZONGZHI_PASSWORD(或 --password-file、--token-file)登录。 "
            "Sign in with --account and ZONGZHI_PASSWORD, --password-file or --token-file.",
        )  # fmt: skip
    return ask(prompt)


def _first_line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise GatewaySaid(0, f"{file} 读不到内容。 {file} holds nothing to read.") from error


def _send(gateway: Gateway, args: argparse.Namespace, content: bytes) -> Any:
    fields = {
        "request_id": str(uuid.uuid4()), "dry_run": "true" if args.dry_run else "", "sheet": args.sheet,
        "source_system": args.source_system,
    }  # fmt: skip
    return gateway.upload("/v1/petitions:import", args.file.name, content, fields)


def _watch(gateway: Gateway, job: Any, progress: _Progress) -> Any:
    pause = 0.2
    while job["state"] not in OVER:
        progress.show(job)
        time.sleep(pause)
        pause = min(1.0, pause * 1.3)
        job = gateway.get(f"/v1/jobs/{job['id']}")
    progress.end(job)
    return job


class _Progress:
    """A bar on a terminal; elsewhere a line now and then."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bar = out.isatty()
        self._began = time.monotonic()
        self._first: int | None = None
        self._told_at = 0.0

    def show(self, job: Any) -> None:
        """How far it is now."""
        done, total = job.get("rows_done", 0), job.get("rows_total", 0)
        self._first = done if self._first is None else self._first
        line = f"{done}/{total} {_counts(job)}{self._left(done, total)}" if total else "正在读取 reading …"
        if self._bar:
            full = BAR * done // total if total else 0
            self._out.write(f"\r\x1b[2K[{'#' * full}{'·' * (BAR - full)}] {line}")
            self._out.flush()
        elif time.monotonic() - self._told_at > PLAIN_EVERY_S:
            self._told_at = time.monotonic()
            self._out.write(f"{line}\n")
            self._out.flush()

    def end(self, job: Any) -> None:
        """The last word."""
        self._told_at = float("-inf")
        if job.get("rows_total"):
            self.show(job)
        if self._bar:
            self._out.write("\n")

    def _left(self, done: int, total: int) -> str:
        spent = time.monotonic() - self._began
        gone = done - (self._first or 0)
        if spent < 1 or gone <= 0 or done >= total:
            return ""
        return f" · {gone / spent:.0f} 行/秒 rows/s · 约余 {(total - done) * spent / gone:.0f} s"


def _counts(job: Any) -> str:
    words = (("rows_accepted", "已入 in"), ("rows_already", "已在 there"), ("rows_bad", "未入 refused"))
    return " · ".join(f"{word} {job.get(name, 0)}" for name, word in words)


def _headings(job: Any) -> None:
    if unknown := job.get("unknown_headings"):
        _say(f"不认识的表头(未导入):{'、'.join(unknown)}。 Unknown headings, not brought in: {', '.join(unknown)}.")


def _summary(job: Any, args: argparse.Namespace) -> int:
    state, bad = job["state"], job.get("rows_bad", 0)
    if state == "JOB_STATE_FAILED":
        _say(f"导入失败:{job.get('failure')} {job.get('failure_en')}")
        return FAILED
    if state == "JOB_STATE_CANCELLED":
        left = job.get("rows_left", 0)
        _say(f"任务已取消,尚有 {left} 行未处理。 The job was cancelled; {left} rows are left.")
        return FAILED
    if job.get("rows_suspected"):
        n = job["rows_suspected"]
        _say(f"其中 {n} 行疑似重复(同日、同批次、同姓名),已导入并标出。 {n} rows may be duplicates; they are marked.")
    dry = "(试运行,未写入)" if job.get("dry_run") else ""
    _say(f"完成{dry}:共 {job.get('rows_total', 0)} 行,{_counts(job)}。")
    return _bad_rows(job, args) if bad else DONE


def _bad_rows(job: Any, args: argparse.Namespace) -> int:
    for row in job.get("bad_rows", [])[:SHOWN]:
        _say(f"  第 {row['row']} 行 row {row['row']}:{row['reason']}")
    if job["rows_bad"] > SHOWN:
        _say(f"  …… 共 {job['rows_bad']} 行 {job['rows_bad']} rows in all")
    if args.bad_rows:
        _say(f"未导入的行写在 {args.bad_rows},改正后再导入它即可。 Correct {args.bad_rows} and import it.")
    else:
        _say(f"用 --job {job['id']} --bad-rows 文件 取回未导入的行。 --bad-rows FILE fetches the refused rows.")
    return BAD_ROWS


def _write(file: Path, content: bytes) -> None:
    try:
        # It holds names and phones: for its owner alone.
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(content)
    except OSError as error:
        raise GatewaySaid(0, f"无法写入 {file}。 Cannot write {file}: {error.strerror}.") from error


def _say_how_to_look(args: argparse.Namespace, seen: _Seen) -> None:
    if seen.job_id:
        look = f"zongzhi import --gateway {args.gateway} --job {seen.job_id}"
        _say(f"任务在服务端继续进行。查看:{look} The job goes on by itself; to look: {look}")


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
