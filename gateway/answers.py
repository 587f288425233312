"""JSON answers of the gateway's own pages."""

from __future__ import annotations

import json
from typing import Any

from werkzeug import Response

JSON = "application/json; charset=utf-8"


def page_json(content: Any, status: int = 200) -> Response:
    """An answer of the gateway's own."""
    return Response(json.dumps(content, ensure_ascii=False), status, content_type=JSON)
