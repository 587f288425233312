"""The slip as a page for the printer: A5, no script, nothing from elsewhere, the QR drawn inline."""

from __future__ import annotations

from html import escape

import segno

from services.petition.domain.slip import Slip

STYLE = """
@page { size: A5; margin: 9mm }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 12px; max-width: 148mm; color: #000; background: #fff;
  font: 10.5pt/1.45 "WenQuanYi Micro Hei", "Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", sans-serif }
header { border-bottom: 1.5pt solid #000; margin-bottom: 6pt; padding-bottom: 4pt; position: relative }
h1 { font-size: 16pt; margin: 0; text-align: center; letter-spacing: .3em }
header p { margin: 0; text-align: center }
.copy { border: 1pt solid #000; padding: 0 4pt; position: absolute; right: 0; top: 0; font-weight: bold }
.code { align-items: center; display: flex; gap: 10pt; margin: 6pt 0 }
.code svg { flex: none; width: 30mm; height: 30mm }
.code strong { display: block; font: bold 15pt/1.3 "DejaVu Sans Mono", monospace; white-space: nowrap }
.code p { margin: 0 }
table { border-collapse: collapse; width: 100% }
th, td { border: .75pt solid #000; padding: 3pt 5pt; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { width: 6em; font-weight: normal; white-space: nowrap }
ol { margin: 6pt 0 0; padding-left: 1.4em }
@media screen { body { margin: 16px auto; border: 1px solid #999; padding: 20px } }
"""


def page(slip: Slip) -> bytes:
    """The slip as HTML."""
    rows = "".join(f"<tr><th scope=row>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in slip.rows())
    notes = "".join(f"<li>{escape(note)}</li>" for note in slip.notes())
    copy = f'<span class=copy>补打(第 {slip.print_no} 次)</span>' if slip.is_copy else ""
    return (
        f'<!doctype html><html lang=zh-CN><head><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>信访登记回执</title><style>{STYLE}</style></head><body>"
        f"<header>{copy}<h1>信访登记回执</h1><p>{escape(slip.office)} · 打印日期 {escape(slip.printed_on)}</p></header>"
        f"{_code(slip)}<table>{rows}</table><ol>{notes}</ol></body></html>"
    ).encode()


def _code(slip: Slip) -> str:
    if not slip.code:
        return ""
    drawn = segno.make(slip.link, error="m", micro=False).svg_inline(scale=4, border=2, omitsize=True)
    return (
        f'<section class=code>{drawn}<p>查询码<strong>{escape(slip.code)}</strong>'
        f"{'扫码或输入查询码查看进度' if slip.page else '凭此码查询进度'}</p></section>"
    )
