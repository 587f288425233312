"""Grid's own tables; the directory's entries are in the chassis's `directory_entries`, which every service has.

staff_persons    names and phones of the staff, apart from the entries that travel
directory_log    every version of a kind that was published, and what it changed
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, Integer, MetaData, String, Table, Text

from services.chassis.types import Instant

metadata = MetaData()

staff_persons = Table(
    "staff_persons", metadata,
    Column("code", String(64), primary_key=True),
    Column("valid_from", Date, primary_key=True),
    Column("name", Text, nullable=False),
    Column("phone", Text, nullable=False),
)  # fmt: skip

directory_log = Table(
    "directory_log", metadata,
    Column("kind", String(20), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("published_at", Instant, nullable=False),
    Column("actor", String(80), nullable=False),
    # `shipped`, `import`, `edit`, `demo` or `republished`.
    Column("origin", String(12), nullable=False),
    Column("filename", Text, nullable=False),
    Column("added", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("ended", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    # The installation that published it: after a restore versions jump, so that no copy takes a new one for an old one.
    Column("incarnation", String(36), nullable=False),
)  # fmt: skip
