"""The secret of one installation: the key of public codes and exact look-ups, and the key of sealed answers.

Both come from one file of 32 random bytes (hex) by HKDF-SHA256, so that an operator keeps and backs up one secret.
Losing it makes public codes and look-ups unusable; it is not in the database's backup.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.chassis import private_files

LENGTH = 32


class DataKeyMissing(Exception):
    """The file is not there or holds something else; the message says what to do."""


@dataclass(frozen=True)
class DataKey:
    """What is derived from the file; never shown, never logged."""

    hash_key: bytes = field(repr=False)
    seal_key: bytes = field(repr=False)


def load(path: Path) -> DataKey:
    """Reads the file. Raises DataKeyMissing when it is missing or is not 64 hexadecimal digits."""
    try:
        secret = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as wrong:
        raise _missing(path) from wrong
    if len(secret) != LENGTH:
        raise _missing(path)
    return DataKey(_derive(secret, b"zongzhi hash key v1"), _derive(secret, b"zongzhi seal key v1"))


def create(path: Path) -> None:
    """Writes a new secret that only its owner can read. One that is there already stays as it is."""
    with private_files.alone(path.parent):
        if not path.exists():
            private_files.write_text(path, secrets.token_hex(LENGTH) + "\n")


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), LENGTH, salt=None, info=purpose).derive(secret)


def _missing(path: Path) -> DataKeyMissing:
    return DataKeyMissing(
        f"数据密钥文件 {path} 缺失或不是 64 位十六进制数,请从备份恢复;新安装请运行 zongzhi setup。 "
        f"The data key file {path} is missing or does not hold 64 hexadecimal digits; "
        "restore it from the backup, or run `zongzhi setup` on a new installation."
    )
