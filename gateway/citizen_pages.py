"""The two pages for citizens: /track, where a code shows its case, and /file, where a petition is filed.

Files of our own and nothing from elsewhere; no script but the page's own file may run.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from werkzeug import Response

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HTML, SCRIPT, STYLE = "text/html; charset=utf-8", "text/javascript; charset=utf-8", "text/css; charset=utf-8"
FILES = {
    "/track": ("track.html", HTML),
    "/track/track.js": ("track.js", SCRIPT),
    "/track/track.css": ("track.css", STYLE),
    "/file": ("file.html", HTML),
    "/file/file.js": ("file.js", SCRIPT),
}


def show(path: str) -> Response:
    """One of the files, with the policy that keeps scripts of others out."""
    name, content_type = FILES[path]
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Response(_read(name), content_type=content_type, headers=headers)


@cache
def _read(name: str) -> bytes:
    return (HERE / name).read_bytes()
