"""Where a request comes from: the address that connects, or what a trusted proxy in front says of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
UNKNOWN = "unknown"


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks of proxies, separated by commas: `10.0.0.5, 10.1.0.0/16`. Raises ValueError."""
    return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())


def address(environ: Mapping[str, Any], trusted: Iterable[Network] = ()) -> str:
    """The caller's address. X-Forwarded-For is believed only as far as trusted proxies (TRUSTED_PROXIES) wrote it.

    Anybody can send that header; each proxy adds at its right end the address that connected to it.
    """
    peer = _plain(str(environ.get("REMOTE_ADDR") or ""))
    proxies = tuple(trusted)
    if not proxies or not _is_among(peer, proxies):
        return peer or UNKNOWN
    for said in reversed(str(environ.get("HTTP_X_FORWARDED_FOR") or "").split(",")):
        hop = _plain(said.strip())
        if not hop:
            break
        peer = hop
        if not _is_among(hop, proxies):
            break
    return peer


def is_secure(environ: Mapping[str, Any], trusted: Iterable[Network] = ()) -> bool:
    """Whether the caller's own connection is encrypted, as far as we or a trusted proxy know."""
    if environ.get("wsgi.url_scheme") == "https":
        return True
    peer = _plain(str(environ.get("REMOTE_ADDR") or ""))
    said = str(environ.get("HTTP_X_FORWARDED_PROTO") or "").rpartition(",")[2].strip().lower()
    return said == "https" and _is_among(peer, tuple(trusted))


def is_loopback(environ: Mapping[str, Any], trusted: Iterable[Network] = ()) -> bool:
    """Whether the caller sits at this machine."""
    try:
        return ipaddress.ip_address(address(environ, trusted)).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _plain(text: str) -> str:
    """The address in its usual form; "" when it is none. IPv4 inside IPv6 is IPv4; a port is left out."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    inner = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(inner or found)


@lru_cache(maxsize=1024)
def _is_among(text: str, proxies: tuple[Network, ...]) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(found in network for network in proxies)
