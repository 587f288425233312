"""A table on its way in: the file that arrives in pieces, and its rows as the child process reads them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.chassis import sheets
from services.chassis.uploads import Incoming
from services.grid.application import tables
from services.grid.application.tables import Table


@contextmanager
def received(incoming: Incoming) -> Iterator[Path]:
    """The whole file, for as long as the block runs; it may hold names and phones, so nobody else can read it."""
    with tempfile.NamedTemporaryFile(prefix="zongzhi-directory-") as file:
        for piece in incoming.pieces():
            file.write(piece)
        file.flush()
        yield Path(file.name)


def read_table(kind: str, path: Path) -> Table:
    """The rows of a .csv or .xlsx. Raises Invalid when it is no such table."""
    sheet, rows = sheets.read(path, headings=tables.headings(kind))
    return tables.read(kind, sheet, rows)
