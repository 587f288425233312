"""Where searchable texts are kept: never names, phones or identity numbers, which are looked up by keyed hash.

Tokens find candidates (GIN on PostgreSQL, FTS5 on SQLite), then the text itself decides; see `search.py`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, literal, select, text, true
from sqlalchemy.dialects import postgresql, sqlite

from services.chassis import search
from services.chassis.database import Database, Tx
from services.chassis.tables import search_texts
from services.chassis.writes import Write

_C = search_texts.c
_PUT = Write(
    *(
        make(search_texts)
        .values({name: bindparam(name) for name in ("subject_id", "normalised", "tokens")})
        .on_conflict_do_update(
            index_elements=["subject_id"],
            set_={name: bindparam(name, type_=_C[name].type) for name in ("normalised", "tokens")},
        )
        .inline()
        for make in (postgresql.insert, sqlite.insert)
    )
)


def put(tx: Tx, subject_id: str, text: str) -> None:
    """Makes a subject findable by this text, in place of the one before."""
    plain = _plain(text)
    found = search.tokens(plain)
    tokens = " ".join(found) if tx.db.is_sqlite else found
    values = {"subject_id": subject_id, "normalised": plain, "tokens": tokens}
    tx.put(_PUT, values)


def clause(db: Database, subject_column: ColumnElement[Any], query: str) -> ColumnElement[bool]:
    """The condition that a subject's text contains the query, whatever its case, width and spacing. Empty: always."""
    plain = _plain(query)
    if not plain:
        return true()
    tokens = search.query_tokens(plain)
    return subject_column.in_(_sqlite(plain, tokens) if db.is_sqlite else _postgres(plain, tokens))


def _postgres(plain: str, tokens: list[str]) -> Select[str]:
    found = select(_C.subject_id).where(func.strpos(_C.normalised, plain) > 0)
    return found.where(_C.tokens.op("@>")(literal(tokens, _C.tokens.type))) if tokens else found


def _sqlite(plain: str, tokens: list[str]) -> Select[str]:
    found = select(_C.subject_id).where(func.instr(_C.normalised, plain) > 0)
    if not tokens:
        return found
    all_of_them = " ".join(f'"{token}"' for token in tokens)
    candidates = select(text("rowid")).select_from(text("search_fts"))
    return found.where(_C.id.in_(candidates.where(text("search_fts MATCH :tokens").bindparams(tokens=all_of_them))))


def _plain(text: str) -> str:
    # PostgreSQL keeps no NUL in a text.
    return search.normalise(text.replace("\x00", " "))
