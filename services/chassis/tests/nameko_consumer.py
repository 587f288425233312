"""The nameko worker for tests: python -m services.chassis.tests.nameko_consumer DATABASE_URL BUS_URL TIER"""

# ruff: noqa: I001  # patches sockets, so it comes first, as in the command `zongzhi work`
from __future__ import annotations

from services.chassis import worker_nameko

import logging
import os
import sys
from dataclasses import replace

from services.chassis.database import Database
from services.chassis.tests.consumers import Telling


class Lines(logging.Formatter):
    """One line per event, with its fields."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname} {super().format(record)} {getattr(record, 'fields', '')}"


def main(database: str, url: str, tier: str) -> None:
    """Runs the worker until it is told to stop."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    worker_nameko.HEARTBEAT_S = int(os.environ.get("TEST_HEARTBEAT_S", worker_nameko.HEARTBEAT_S))
    service = Telling(Database(database), tier).service
    settings = replace(service.settings, bus_url=url)
    worker_nameko.run([replace(service, settings=settings)], settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
