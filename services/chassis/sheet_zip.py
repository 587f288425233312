"""What an .xlsx must not be before it is opened: too large when unpacked, encrypted, with macros, or with odd names."""

from __future__ import annotations

import re
import zipfile
import zlib
from typing import IO

from services.chassis.refusal import Invalid

MOST_MEMBERS = 2_000
MOST_BYTES = 256 << 20
# A sheet full of the same number packs to about a fiftieth; a bomb to a thousandth. Small members may do as they like.
MOST_RATIO, RATIO_FROM = 200, 1 << 20
_ENCRYPTED = 0x1
_ODD = re.compile(r"[\x00-\x1f\\:]|(^|/)\.\.?(/|$)|^/|//")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def opened(source: IO[bytes]) -> zipfile.ZipFile:
    """The archive, when nothing is wrong with it. Raises Invalid."""
    try:
        archive = zipfile.ZipFile(source)
        members = archive.infolist()
        _check(members)
        for member in members:
            _unpack(archive, member)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as wrong:
        raise damaged() from wrong
    return archive


def damaged() -> Invalid:
    """It is no archive, or not a whole one."""
    return Invalid(
        "file",
        "该文件已损坏或不是 .xlsx 表格,请重新另存为 .xlsx 后再上传。",
        "The file is damaged or no .xlsx; save it anew as .xlsx.",
    )


def _check(members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if len(members) > MOST_MEMBERS:
        raise _bomb(f"内含 {len(members)} 个部件", f"it holds {len(members)} parts")
    if any(_ODD.search(name) for name in names) or len({name.casefold() for name in names}) < len(names):
        raise Invalid(
            "file",
            "该文件内部的部件名称不正常(含路径跳转或重名),不予打开;请另存为新的 .xlsx。",
            "The names of the parts inside the file are odd (they leave the folder or repeat); save it as a new .xlsx.",
        )
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise locked()
    if any(name.casefold().endswith(("vbaproject.bin", ".bin.vba")) or "macrosheets/" in name for name in names):
        raise Invalid(
            "file",
            "该文件含有宏,请另存为不含宏的 .xlsx 后再上传。",
            "The file holds macros; save it as .xlsx without macros.",
        )
    if "xl/workbook.xml" not in names and "[Content_Types].xml" not in names:
        raise Invalid(
            "file",
            "该压缩文件不是 .xlsx 表格,请用表格软件另存为 .xlsx 后再上传。",
            "The archive is no .xlsx; save the sheet as .xlsx.",
        )
    _check_sizes(members)


def _check_sizes(members: list[zipfile.ZipInfo]) -> None:
    total = sum(member.file_size for member in members)
    if total > MOST_BYTES:
        raise _bomb(f"解压后超过 {MOST_BYTES >> 20} MB", f"it unpacks to more than {MOST_BYTES >> 20} MB")
    for member in members:
        if member.compress_type not in _METHODS:
            raise damaged()
        if member.file_size > RATIO_FROM and member.file_size > MOST_RATIO * max(member.compress_size, 1):
            raise _bomb("压缩比异常", "a part of it unpacks to far more than a sheet does")


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Reads it once to its end: a part that is longer or shorter than it says fails its check sum."""
    with archive.open(member) as file:
        while file.read(1 << 16):
            pass


def locked() -> Invalid:
    """Nobody can read it without its password."""
    return Invalid(
        "file",
        "该文件设有密码,请去掉密码后另存为 .xlsx。",
        "The file is protected by a password; save it as .xlsx without one.",
    )


def _bomb(zh: str, en: str) -> Invalid:
    return Invalid(
        "file",
        f"该文件{zh},超出登记表应有的大小,不予打开;请另存为新的 .xlsx 或分成几个文件。",
        f"The file is not opened: {en}. Save it as a new .xlsx, or in several files.",
    )
