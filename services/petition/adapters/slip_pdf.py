"""The slip as a PDF, drawn in a child process with a Chinese font that is embedded as far as it is used.

The child imports this module and reportlab; the service itself never does.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from services.chassis import child
from services.chassis.child import Limits, TooMuch
from services.chassis.refusal import Exhausted, Unavailable
from services.petition.domain.slip import Slip

PACKAGE = "fonts-wqy-microhei"
LIMITS = Limits(seconds=15, memory_mb=512, output_mb=8)
# Each is a process of its own; more at once would only slow each other down.
AT_ONCE = 2
WAIT_S = 5.0
_turns = threading.BoundedSemaphore(AT_ONCE)


def check_font(font: Path) -> None:
    """Raises Unavailable naming the package when the font is not there."""
    if not font.is_file():
        raise Unavailable(
            "FONT_MISSING",
            f"没有中文字体 {font.name},暂不能生成 PDF:请安装 Debian 软件包 {PACKAGE},或用 SLIP_FONT 指定 TrueType 字体;"
            "网页格式可照常打印。",
            f"The Chinese font {font.name} is missing, so there is no PDF: install the Debian package {PACKAGE}, or set "
            "SLIP_FONT to a TrueType font. HTML prints without it.",
        )


def document(slip: Slip, font: Path) -> bytes:
    """The slip as PDF. Raises Unavailable when it cannot be drawn, Exhausted when too many are being drawn."""
    check_font(font)
    with _turn():
        try:
            return child.run(f"{__name__}:draw", json.dumps(slip.data()).encode(), LIMITS, font=str(font))
        except TooMuch as failed:
            raise Unavailable(
                "PDF_FAILED",
                "PDF 生成失败,请改用网页格式打印。",
                "The PDF could not be drawn; print the HTML instead.",
            ) from failed


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=WAIT_S):
        raise Exhausted("PDF_BUSY", "正在生成的 PDF 过多,请稍后再试。", "Too many PDFs are being drawn; try again soon.")
    try:
        yield
    finally:
        _turns.release()


def draw(source: IO[bytes], out: IO[bytes], font: str) -> None:
    """In the child: one A5 page, or as many as the text needs."""
    from reportlab.lib.pagesizes import A5
    from reportlab.lib.units import mm
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.platypus import SimpleDocTemplate

    pdfmetrics.registerFont(TTFont("zh", font, subfontIndex=0))
    slip = json.loads(source.read())
    margins = {side: 10 * mm for side in ("leftMargin", "rightMargin", "topMargin", "bottomMargin")}
    # Neither author nor producer's machine; the title is what a reader's window shows.
    paper = SimpleDocTemplate(out, pagesize=A5, title="信访登记回执", author="", creator="", lang="zh-CN", **margins)
    paper.build(list(_story(slip, paper.width)))


def _story(slip: dict[str, Any], width: float) -> Iterator[Any]:
    from reportlab.lib import colors
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.platypus import HRFlowable, Paragraph, Spacer, Table

    body = ParagraphStyle("body", fontName="zh", fontSize=9.5, leading=13.5, wordWrap="CJK")
    centred = ParagraphStyle("centred", body, alignment=1)
    title = ParagraphStyle("title", centred, fontSize=16, leading=22)
    right = ParagraphStyle("right", body, alignment=2)
    if slip["is_copy"]:
        yield Paragraph(f"补打(第 {slip['print_no']} 次)", right)
    yield Paragraph("信访登记回执", title)
    yield Paragraph(_plain(f"{slip['office']} · 打印日期 {slip['printed_on']}"), centred)
    yield HRFlowable(width="100%", thickness=1.2, color=colors.black, spaceBefore=3, spaceAfter=6)
    if slip["code"]:
        yield _code(slip, body)
        yield Spacer(1, 2 * mm)
    rows = [[Paragraph(_plain(name), body), Paragraph(_plain(text), body)] for name, text in slip["rows"]]
    style = [("GRID", (0, 0), (-1, -1), 0.6, colors.black), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    yield Table(rows, colWidths=[22 * mm, width - 22 * mm], style=style)
    yield Spacer(1, 2 * mm)
    for number, note in enumerate(slip["notes"], 1):
        yield Paragraph(f"{number}. {_plain(note)}", body)


def _code(slip: dict[str, Any], body: Any) -> Any:
    from reportlab.graphics.shapes import Drawing, Rect
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, Table

    import segno

    matrix = [list(row) for row in segno.make(slip["link"], error="m", micro=False).matrix_iter(border=2)]
    side = 30 * mm
    dot = side / len(matrix)
    drawn = Drawing(side, side)
    for y, row in enumerate(matrix):
        for x, dark in enumerate(row):
            if dark:
                drawn.add(Rect(x * dot, side - (y + 1) * dot, dot, dot, strokeWidth=0, strokeColor=None))
    large = ParagraphStyle("large", body, fontSize=15, leading=22)
    said = "扫码或输入查询码查看进度" if slip["page"] else "凭此码查询进度"
    told = [Paragraph("查询码", body), Paragraph(_plain(slip["code"]), large), Paragraph(said, body)]
    return Table([[drawn, told]], colWidths=[side + 4 * mm, None], style=[("VALIGN", (0, 0), (-1, -1), "MIDDLE")], hAlign="LEFT")


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
