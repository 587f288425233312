"""Names of files as people send them, made safe to show, to store and to save on any machine."""

from __future__ import annotations

import re
import unicodedata

from services.chassis.refusal import Invalid

LONGEST = 255
# Windows gives these to devices, with any ending.
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³])(\..*)?", re.IGNORECASE).fullmatch
_NOT_IN_NAMES = re.compile(r'[<>:"|?*]')
# Joiners inside of emoji and of some scripts do no harm.
_HARMLESS = frozenset("\u200c\u200d")


def clean(name: str) -> str:
    """The bare name: folders dropped, spaces trimmed, signs that no file may hold replaced. Raises Invalid.

    What hides the true ending (control signs, signs that turn the writing direction) is refused, not mended.
    """
    bare = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    if any(_hides(letter) for letter in bare):
        raise _wrong(
            "含有不可见的控制字符或改变书写方向的字符,请改名后上传",
            "holds invisible control characters or ones that turn the writing direction; rename the file",
        )
    bare = _NOT_IN_NAMES.sub("_", bare).strip().rstrip(". ")
    if not bare.strip("._ "):
        raise _wrong("文件名为空,请改名后上传", "is empty; rename the file")
    if _DEVICES(bare):
        raise _wrong("是系统保留名,请改名后上传", "is reserved by operating systems; rename the file")
    if len(bare) > LONGEST:
        raise _wrong(f"最多 {LONGEST} 个字,请缩短", f"at most {LONGEST} characters; shorten it")
    return bare


def ending(name: str) -> str:
    """The ending in small letters without its dot, "" when there is none."""
    stem, dot, end = name.rpartition(".")
    return end.lower() if dot and stem else ""


def _hides(letter: str) -> bool:
    return letter not in _HARMLESS and unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _wrong(zh: str, en: str) -> Invalid:
    return Invalid("filename", f"文件名:{zh}。", f"filename: {en}.")
