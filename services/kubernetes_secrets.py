"""The Kubernetes secrets that a chart refers to, made once outside: `zongzhi keys secrets … | kubectl create -f -`.

Passwords are random and stand nowhere else; `create` refuses to overwrite what is there, so repeating it does no harm.

    <release>-keys               what `zongzhi setup` made: signing key, public keys, data key
    <release>-login              the login of `helm test`; with demo.enabled the chart makes this account
    <release>-db-<name>          who serves from a database: username, password, url
    <release>-db-<name>-owner    who owns its tables and migrates them
    <release>-broker             RabbitMQ's user: username, password, url, default_user.conf
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from services.chassis.settings import Settings


def manifest(
    settings: Settings,
    release: str,
    namespace: str,
    names: Iterable[str],
    *,
    database_host: str = "",
    broker_host: str = "",
) -> dict[str, Any]:
    """One list for kubectl. Without a database and broker host, those of the release's own; `names` none: a village."""
    found = {f"{release}-keys": _files(settings.keys_dir), f"{release}-login": _login()}
    names = list(names)
    if names:
        for name in names:
            found |= _roles_of(release, name, database_host or f"{release}-database")
        found[f"{release}-broker"] = _broker(broker_host or f"{release}-broker")
    items = [_secret(name, namespace, content) for name, content in found.items()]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def text(found: Mapping[str, Any]) -> str:
    """As kubectl reads it."""
    return json.dumps(found, ensure_ascii=False, indent=1)


def _roles_of(release: str, name: str, host: str) -> dict[str, dict[str, str]]:
    roles = {f"{release}-db-{name}": f"zongzhi_{name}", f"{release}-db-{name}-owner": f"zongzhi_{name}_owner"}
    return {secret: _role(role, host) for secret, role in roles.items()}


def _role(role: str, host: str) -> dict[str, str]:
    password = secrets.token_urlsafe(24)
    url = f"postgresql+psycopg://{role}:{password}@{host}:5432/postgres"
    return {"username": role, "password": password, "url": url}


def _broker(host: str) -> dict[str, str]:
    user, password = "zongzhi", secrets.token_urlsafe(24)
    conf = f"default_user = {user}\ndefault_pass = {password}\n"
    url = f"amqp://{user}:{password}@{host}:5672/%2F"
    return {"username": user, "password": password, "url": url, "default_user.conf": conf}


def _files(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(folder.iterdir()) if file.is_file()}


def _login() -> dict[str, str]:
    return {"account": "demo", "password": secrets.token_urlsafe(15)}


def _secret(name: str, namespace: str, content: Mapping[str, str]) -> dict[str, Any]:
    kind = "kubernetes.io/basic-auth" if "-db-" in name else "Opaque"
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": meta, "stringData": dict(content)}
