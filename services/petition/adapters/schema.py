"""All of petition's tables together: migrations and their tests take `metadata` from here."""

from __future__ import annotations

from services.petition.adapters import tables_following, tables_jobs  # noqa: F401  # each adds its tables
from services.petition.adapters.tables import metadata

__all__ = ["metadata"]
