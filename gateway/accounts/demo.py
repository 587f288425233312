"""Accounts for trying the system out: clerk, hall's lead, administrator, auditor, each with a random password.

Made by `zongzhi seed` when DEMO=1, never otherwise. The passwords stand in demo-login.json (the clerk's) and
demo-logins.json (all of them) beside the data; a lost file, or a new database, gets new ones.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path

from gateway.accounts import deeds, passwords, store
from gateway.accounts.model import Account, Appointment
from services.chassis import audit, directory_shipped, private_files
from services.chassis.database import Database, Tx
from services.chassis.directory_entries import UNITS
from services.chassis.identity import Identity
from services.chassis.settings import Settings

LOGIN_FILE = "demo-login.json"
LOGINS_FILE = "demo-logins.json"
CLERK = "demo"
# The first unit of a post stands on papers; both of the clerk's roles belong to one post, as in a small district.
POSTS: dict[str, Appointment] = {
    "demo": Appointment("hall", "演示窗口", ("341702-XFJ", "341702-SFJ"), ("hall", "mediator"), ""),
    # Brings registers in and sends them out, and sees personal data in clear for a reason.
    "demo-lead": Appointment("lead", "演示接访负责人", ("341702-XFJ",), ("hall_lead",), ""),
    # Keeps divisions, units, posts and staff.
    "demo-keeper": Appointment("keeper", "演示目录维护", ("341702-ZFW",), ("directory_keeper",), ""),
    "demo-admin": Appointment("admin", "演示系统管理员", (), ("administrator",), ""),
    "demo-auditor": Appointment("audit", "演示审计员", (), ("auditor",), ""),
}


# The units of a town and of a village run both centres.
ONE_FOR_ALL = ("town", "village")


def seed(db: Database, settings: Settings) -> int:
    """Makes the demo accounts, or makes their passwords those of the files again. Returns accounts written."""
    if settings.demo_login_dir is not None:
        name, password = ((settings.demo_login_dir / file).read_text().strip() for file in ("account", "password"))
        return _keep(db, settings, name, password)
    with private_files.alone(settings.data_dir):
        logins = _logins(settings.data_dir)
        changed = sum(_keep(db, settings, name, password) for name, password in logins.items())
        listed = [{"account": name, "password": password} for name, password in logins.items()]
        private_files.write_json(settings.data_dir / LOGINS_FILE, {"logins": listed})
        private_files.write_json(settings.data_dir / LOGIN_FILE, {"account": CLERK, "password": logins[CLERK]})
    return changed


def _keep(db: Database, settings: Settings, name: str, password: str) -> int:
    with db.reading() as conn:
        known = store.find(conn, name)
    if known is not None and passwords.matches(known.password_hash, password) and not known.must_change:
        return _keep_fresh(db, settings, known)
    hashed = passwords.hashed(password)
    with db.transaction(Identity("system:seed", settings.tier)) as tx:
        post = _post(name, settings.tier)
        account = store.get(tx, name) if known else deeds.create(tx, name, "演示", "", [post], hashed)
        _choose(tx, account, hashed)
    return 1


def _post(name: str, tier: str) -> Appointment:
    """A login made elsewhere may be called anything; it is a clerk's. In a town or a village one unit does it all."""
    post = POSTS.get(name, POSTS[CLERK])
    own = [unit.code for unit in directory_shipped.shipped(UNITS) if unit.parent == tier and unit.level in ONE_FOR_ALL]
    return replace(post, units=tuple(own)) if own and post.units else post


def _keep_fresh(db: Database, settings: Settings, account: Account) -> int:
    """A demo that is started again after a quarter of a year shall not ask for a new password."""
    with db.transaction(Identity("system:seed", settings.tier)) as tx:
        account.password_changed_at = tx.now
        store.save(tx, account)
    return 0


def _choose(tx: Tx, account: Account, hashed: str) -> None:
    account.password_hash, account.must_change, account.usable_until = hashed, False, None
    account.password_changed_at = tx.now
    store.save(tx, account)
    audit.write(tx, "account.demo_password", "account", account.name)


def _logins(directory: Path) -> dict[str, str]:
    """The passwords of the files; new ones for those that are missing."""
    known: dict[str, str] = {}
    for login in [*_read(directory / LOGINS_FILE).get("logins", []), _read(directory / LOGIN_FILE)]:
        if isinstance(login, dict) and isinstance(login.get("password"), str):
            known[str(login.get("account"))] = login["password"]
    if not (directory / LOGIN_FILE).exists():
        known.pop(CLERK, None)
    return {name: known.get(name) or secrets.token_urlsafe(15) for name in POSTS}


def _read(file: Path) -> dict[str, list[dict[str, str]]]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
