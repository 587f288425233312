"""How many calls one account, and one source without an account, may make: so many at once, so many a second.

    class      who is counted    what is counted                                          setting
    account    the account       every call of somebody who is signed in                  RATE_ACCOUNT
    source     the address       pages, open reads, calls whose sign-in is not accepted   RATE_SOURCE
    sign_in    the address       POST /v1/session and what hangs on it                    RATE_SIGN_IN
    token      the address       POST /v1/token                                           RATE_TOKEN
    track      the address       a citizen's looks at a case by its public code           RATE_TRACK
    filing     the address       every other write that needs no sign-in                  RATE_FILING

Probes are not counted. Each process of the gateway counts by itself and in memory: two replicas let through twice as
much. What must hold for all together (lock-outs, failed codes) is counted in databases, elsewhere.

Each counted name costs one number: the time at which its bucket is full again (the generic cell rate algorithm). The
memory storage of PyPI `limits` was measured beside it: it has no bound, and goes through all its keys a hundred times a
second, which took 0.4 ms a call with 10,000 sources; this one takes about 1 µs with any number.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from gateway import source
from services.chassis.refusal import Exhausted
from services.chassis.settings import Rate, Settings

ACCOUNT, SOURCE, SIGN_IN, TOKEN, TRACK, FILING = "account", "source", "sign_in", "token", "track", "filing"
CLASSES = (ACCOUNT, SOURCE, SIGN_IN, TOKEN, TRACK, FILING)
# Names remembered by each class; who called longest ago is forgotten first, and begins with a full bucket again.
REMEMBERED = 20_000
# An IPv6 customer is given a whole /64, and has as many addresses as they like.
_IPV6_PREFIX = 64
_OPEN_WRITES = (("/v1/session", SIGN_IN), ("/v1/token", TOKEN), ("/v1/track", TRACK))


class Limiter:
    """One class: `rate.burst` calls at once, `rate.per_s` a second after that."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic, remembered: int = REMEMBERED) -> None:
        self._interval = 1 / rate.per_s
        self._slack = (rate.burst - 1) * self._interval
        self._clock = clock
        self._remembered = remembered
        self._lock = threading.Lock()
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, who: str) -> float:
        """0.0 when the call is let through, else the seconds after which one would be. A refused call costs nothing."""
        now = self._clock()
        with self._lock:
            full_at = max(self._full_at.get(who, now), now)
            wait = full_at - now - self._slack
            # What is left by rounding is no reason to refuse anybody.
            if wait > 1e-6:
                return wait
            self._full_at[who] = full_at + self._interval
            self._full_at.move_to_end(who)
            if len(self._full_at) > self._remembered:
                self._full_at.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at)


class Limits:
    """All classes, and whom a request is counted for."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._trusted = settings.trusted_proxies
        self._limiters = {name: Limiter(getattr(settings, f"rate_{name}"), clock) for name in CLASSES}

    def admit_account(self, account: str) -> None:
        """Counts a call of somebody who is signed in. Raises Exhausted."""
        self._admit(ACCOUNT, account)

    def admit_source(self, kind: str, environ: Mapping[str, Any]) -> None:
        """Counts a call of somebody who is not. Raises Exhausted."""
        self._admit(kind, network(source.address(environ, self._trusted)))

    def _admit(self, kind: str, who: str) -> None:
        wait = self._limiters[kind].take(who)
        if wait > 0:
            raise too_many(kind, wait)


def kind_of(method: str, path: str) -> str:
    """The class of a call that needs no sign-in."""
    if method in ("GET", "HEAD"):
        return SOURCE
    return next((kind for prefix, kind in _OPEN_WRITES if _is_under(path, prefix)), FILING)


def too_many(kind: str, wait_s: float) -> Exhausted:
    """Says when to try again."""
    seconds = max(1, math.ceil(wait_s))
    return Exhausted(
        "RATE_LIMITED",
        f"请求过于频繁,请在 {seconds} 秒后再试。",
        f"Too many requests; try again in {seconds} s.",
        limit=kind,
        retry_after_s=str(seconds),
    )


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """What is counted as one source: an IPv4 address, the /64 of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))


def _is_under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith((f"{prefix}/", f"{prefix}:"))
