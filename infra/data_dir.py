"""Looks over a data folder (.run/) before anything is started in it. Nothing is ever deleted or overwritten here."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from infra.processes import is_running

SQLITE_HEADER = b"SQLite format 3\0"


class CannotStart(Exception):
    """Something a person has to put right first; the message is one sentence in Chinese and one in English."""


def _unusable(file: Path, zh: str, en: str) -> CannotStart:
    return CannotStart(
        f"{file} {zh};请从备份恢复该文件,或把整个文件夹改名留存后重试。"
        f"{file} {en}; restore it from a backup, or move the whole folder aside and try again."
    )


def check_folder(folder: Path) -> None:
    """Creates the folder when there is none. Raises CannotStart naming the file that is broken and what to do."""
    if folder.exists() and not folder.is_dir():
        raise CannotStart(
            f"{folder} 是一个文件,不是文件夹;请把它移走后重试。"
            f"{folder} is a file, not a folder; move it away and try again."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for inside in (folder, folder / "keys", folder / "logs"):
            _check_writable(inside)
    except OSError as error:
        where = error.filename or folder
        raise CannotStart(
            f"{where} 无法写入({error.strerror});请改正其权限或所有者后重试。"
            f"{where} cannot be written ({error.strerror}); correct its permissions or owner and try again."
        ) from error
    for database in sorted(folder.glob("*.db")):
        check_database(database)
    check_keys(folder)


def _check_writable(folder: Path) -> None:
    if not folder.exists():
        return
    probe = folder / f".probe-{os.getpid()}"
    probe.touch()
    probe.unlink()


def check_database(file: Path) -> None:
    """A database of ours opens and has a readable schema; an empty file is a new one."""
    try:
        with file.open("rb") as handle:
            head = handle.read(len(SQLITE_HEADER))
        if head and head != SQLITE_HEADER:
            raise _unusable(file, "不是 SQLite 数据库", "is not a SQLite database")
        connection = sqlite3.connect(file, timeout=5)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except (OSError, sqlite3.DatabaseError) as error:
        raise _unusable(file, f"无法读取({error})", f"cannot be read ({error})") from error


def check_keys(folder: Path) -> None:
    """The keys are whole and belong together. Missing ones are made at set-up, unless data depends on them already."""
    keys = folder / "keys"
    secret, public, private = (keys / name for name in ("data.key", "tokens.jwks", "token-private.jwk"))
    if not secret.exists() and any(db.stat().st_size for db in folder.glob("*.db")):
        raise _unusable(secret, "缺失,而数据库已在使用它", "is missing, while the databases already depend on it")
    if secret.exists() and not _is_hex_of_32_bytes(secret):
        raise _unusable(secret, "不是 32 字节的十六进制密钥", "is not a key of 32 bytes in hexadecimal")
    if private.exists() and "d" not in _json(private):
        raise _unusable(private, "不是私钥(JWK)", "is not a private key (JWK)")
    known = [key.get("x") for key in _keys_of(public)] if public.exists() else []
    if private.exists() and public.exists() and _json(private).get("x") not in known:
        raise _unusable(public, f"不含 {private.name} 的公钥", f"does not hold the public key of {private.name}")


def _is_hex_of_32_bytes(file: Path) -> bool:
    try:
        return len(bytes.fromhex(file.read_text().strip())) == 32
    except (OSError, ValueError):
        return False


def _keys_of(file: Path) -> list[dict[str, Any]]:
    keys = _json(file).get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise _unusable(file, "不是公钥集(JWKS)", "is not a set of public keys (JWKS)")
    return keys


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise _unusable(file, "不是有效的 JSON", "is not valid JSON") from error
    return content if isinstance(content, dict) else {}


@contextmanager
def only_user(folder: Path) -> Iterator[IO[str]]:
    """Holds the folder for one district. Processes that inherit the yielded file hold it on if their launcher dies."""
    lock = (folder / "running.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        pids = " ".join(pid for pid in lock.read().split() if is_running(int(pid), ""))
        lock.close()
        raise CannotStart(
            f"已有一个正在使用 {folder}(进程 {pids});请先停止:kill {pids} "
            f"Another one already runs on {folder} (process {pids}); stop it first: kill {pids}"
        ) from None
    write_pids(lock, os.getpid())
    try:
        yield lock
    finally:
        lock.close()


def write_pids(lock: IO[str], *pids: int) -> None:
    """Notes who uses the folder, for whoever finds it taken: the launcher, then its processes."""
    lock.seek(0)
    lock.truncate()
    lock.write(" ".join(map(str, pids)))
    lock.flush()
