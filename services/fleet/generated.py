"""Writes what follows from the division table into infra/fleet: tiers.csv and values/. What people wrote stays."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from services.fleet import divisions, tiers, values


def content(on: date, domain: str = tiers.DOMAIN) -> dict[str, str]:
    """Every generated file by its name."""
    found = tiers.of_divisions(divisions.shipped(on), domain)
    return {"tiers.csv": tiers.text(found)} | {f"values/{tier.code}.yaml": values.text(tier) for tier in found}


def write(folder: Path, on: date, domain: str = tiers.DOMAIN) -> tuple[int, int]:
    """Writes what changed and removes values files of tiers that are no more; returns how many of each."""
    wanted = content(on, domain)
    (folder / "values").mkdir(parents=True, exist_ok=True)
    changed = [n for n, body in wanted.items() if not (folder / n).exists() or (folder / n).read_text("utf-8") != body]
    for name in changed:
        (folder / name).write_text(wanted[name], encoding="utf-8")
    gone = [path for path in (folder / "values").glob("*.yaml") if f"values/{path.name}" not in wanted]
    for path in gone:
        path.unlink()
    return len(changed), len(gone)
