"""How many calls an account or a source may make, and that everybody else does not notice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.limits import FILING, SIGN_IN, SOURCE, TOKEN, TRACK, Limiter, Limits, kind_of, network
from gateway.tests.conftest import CLERK, Running
from services.chassis.refusal import Exhausted
from services.chassis.settings import Rate, Settings, SettingsMissing


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(limiter: Limiter, who: str, calls: int) -> int:
    """How many of so many calls at once are let through."""
    return sum(limiter.take(who) == 0 for _ in range(calls))


class TestLimiter:
    def test_as_many_at_once_as_the_bucket_holds_and_no_more(self, clock: Clock) -> None:
        assert taken(Limiter(Rate(50, 200), clock), "a", 300) == 200

    def test_after_that_as_many_a_second_as_the_rate_says(self, clock: Clock) -> None:
        limiter = Limiter(Rate(50, 200), clock)
        taken(limiter, "a", 200)
        clock.now += 2
        assert taken(limiter, "a", 300) == 100

    def test_who_rests_long_enough_has_a_full_bucket_and_not_more(self, clock: Clock) -> None:
        limiter = Limiter(Rate(50, 200), clock)
        taken(limiter, "a", 200)
        clock.now += 3600
        assert taken(limiter, "a", 300) == 200

    def test_it_says_how_long_to_wait_and_that_is_enough(self, clock: Clock) -> None:
        limiter = Limiter(Rate(0.2, 3), clock)
        taken(limiter, "a", 3)
        wait = limiter.take("a")
        assert wait == pytest.approx(5)
        clock.now += wait
        assert limiter.take("a") == 0
        assert limiter.take("a") > 0

    def test_a_refused_call_costs_nothing(self, clock: Clock) -> None:
        limiter = Limiter(Rate(1, 1), clock)
        taken(limiter, "a", 1000)
        clock.now += 1
        assert limiter.take("a") == 0

    def test_one_does_not_pay_for_another(self, clock: Clock) -> None:
        limiter = Limiter(Rate(1, 2), clock)
        taken(limiter, "a", 100)
        assert taken(limiter, "b", 100) == 2

    def test_it_remembers_so_many_and_forgets_who_called_longest_ago(self, clock: Clock) -> None:
        limiter = Limiter(Rate(0.001, 1), clock, remembered=100)
        assert [limiter.take(str(n)) for n in range(100)] == [0] * 100
        assert limiter.take("99") > 0
        for n in range(100, 5000):
            limiter.take(str(n))
        assert len(limiter) == 100
        assert limiter.take("0") == 0
        assert limiter.take("4999") > 0

    def test_who_goes_on_calling_is_not_forgotten_while_others_come_and_go(self, clock: Clock) -> None:
        limiter = Limiter(Rate(0.001, 1), clock, remembered=10)
        assert limiter.take("a") == 0
        for n in range(100):
            limiter.take(str(n))
            assert limiter.take("a") > 0

    def test_a_clock_that_stands_still_or_jumps_forward_lets_nobody_in_twice(self, clock: Clock) -> None:
        limiter = Limiter(Rate(10, 5), clock)
        assert taken(limiter, "a", 50) == 5
        assert taken(limiter, "a", 50) == 0
        clock.now += 0.1
        assert taken(limiter, "a", 50) == 1


class TestSettings:
    def test_a_rate_is_written_as_calls_a_second_and_calls_at_once(self) -> None:
        settings = Settings.from_env({"ZONGZHI_TIER": "341702000000", "RATE_ACCOUNT": "0.5/7", "RATE_TRACK": "3"})
        assert (settings.rate_account, settings.rate_track) == (Rate(0.5, 7), Rate(3, 3))

    @pytest.mark.parametrize("text", ["fast", "0/1", "1/0", "-1/5", "1/-5", "nan/3", "1/2/3", "inf/1", "1e9/1"])
    def test_what_is_no_rate_is_said_at_the_start(self, text: str) -> None:
        with pytest.raises(SettingsMissing, match="RATE_ACCOUNT.*50/200"):
            Settings.from_env({"ZONGZHI_TIER": "341702000000", "RATE_ACCOUNT": text})


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/docs", SOURCE), ("HEAD", "/v1/cases/{id}", SOURCE), ("POST", "/v1/session", SIGN_IN),
        ("POST", "/v1/session:refresh", SIGN_IN), ("POST", "/v1/token", TOKEN), ("POST", "/v1/track", TRACK),
        ("POST", "/v1/track:slip", TRACK), ("POST", "/v1/track/evaluation", TRACK), ("POST", "/v1/tracking", FILING),
        ("POST", "/v1/filings", FILING), ("DELETE", "/v1/anything", FILING),
    ],
)  # fmt: skip
def test_what_needs_no_sign_in_is_counted_by_what_it_does(method: str, path: str, kind: str) -> None:
    assert kind_of(method, path) == kind


def test_an_ipv6_customer_is_one_source_and_an_ipv4_address_too() -> None:
    assert network("2001:db8:1:2:3::4") == network("2001:db8:1:2:ffff::1") != network("2001:db8:1:3::4")
    assert network("192.0.2.1") != network("192.0.2.2")
    assert network("unknown") == "unknown"


class Door:
    """The gateway with limits of its own, on a clock of its own."""

    def __init__(self, gateway: Running, clock: Clock, **rates: Rate) -> None:
        self.gateway = gateway
        self.clock = clock
        self.limits = Limits(replace(gateway.settings, **rates), clock)  # type: ignore[arg-type]  # rates only

    def statuses(self, calls: int, call: Callable[[], Any]) -> list[int]:
        """What each of so many calls hears."""
        return [call().status_code for _ in range(calls)]


@pytest.fixture
def door(gateway: Running, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Door:
    """Few calls each, so that a test reaches every limit."""
    few = {f"rate_{name}": Rate(0.5, burst) for name, burst in
           {"account": 4, "source": 3, "sign_in": 2, "token": 2, "track": 2, "filing": 2}.items()}  # fmt: skip
    door = Door(gateway, clock, **few)
    monkeypatch.setattr(gateway.app.extensions["zongzhi"], "_limits", door.limits)
    return door


class TestGateway:
    def test_an_account_that_calls_too_often_hears_429_and_when_to_come_again(self, door: Door) -> None:
        assert door.statuses(5, lambda: door.gateway.call("GET", "/v1/petitions")) == [200] * 4 + [429]
        answer = door.gateway.call("GET", "/v1/petitions")
        assert (answer.content_type, answer.headers["Retry-After"]) == ("application/problem+json", "2")
        assert answer.json["reason"] == "RATE_LIMITED"
        assert answer.json["detail"] == "请求过于频繁,请在 2 秒后再试。 Too many requests; try again in 2 s."
        assert answer.json["details"] == {"limit": "account", "retry_after_s": "2"}
        assert len(door.gateway.services.calls) == 4
        door.clock.now += 2
        assert door.gateway.call("GET", "/v1/petitions").status_code == 200

    def test_the_others_of_the_office_do_not_notice(self, door: Door) -> None:
        door.statuses(9, lambda: door.gateway.call("GET", "/v1/petitions"))
        other = {"Authorization": f"Bearer {door.gateway.token(replace(CLERK, account='other'))}"}
        assert door.gateway.client.get("/v1/petitions", headers=other).status_code == 200

    def test_all_sessions_of_an_account_are_counted_together_whatever_address_they_come_from(self, door: Door) -> None:
        def call() -> Any:
            bearer = {"Authorization": f"Bearer {door.gateway.token()}"}
            seat = f"192.0.2.{len(door.gateway.services.calls)}"
            return door.gateway.client.get("/v1/petitions", headers=bearer, environ_base={"REMOTE_ADDR": seat})

        assert door.statuses(5, call) == [200] * 4 + [429]

    def test_tokens_that_are_not_accepted_are_counted_by_address(self, door: Door) -> None:
        def call(address: str = "192.0.2.1") -> Any:
            bad = {"Authorization": "Bearer made-up"}
            return door.gateway.client.get("/v1/petitions", headers=bad, environ_base={"REMOTE_ADDR": address})

        assert door.statuses(4, call) == [401] * 3 + [429]
        assert call("192.0.2.2").status_code == 401
        assert door.gateway.call("GET", "/v1/petitions").status_code == 200

    def test_paths_that_do_not_exist_are_counted_too(self, door: Door) -> None:
        assert door.statuses(4, lambda: door.gateway.client.get("/wp-admin")) == [404] * 3 + [429]

    def test_signing_in_has_a_bucket_of_its_own(self, door: Door) -> None:
        assert door.statuses(3, lambda: door.gateway.client.post("/v1/session", json={})) == [400, 400, 429]
        assert door.gateway.client.get("/docs").status_code == 200

    def test_probes_are_never_refused(self, door: Door) -> None:
        assert set(door.statuses(50, lambda: door.gateway.client.get("/healthz"))) == {200}
        assert set(door.statuses(5, lambda: door.gateway.client.get("/readyz"))) == {200}

    def test_a_caller_cannot_choose_an_address_for_oneself(self, door: Door) -> None:
        def call() -> Any:
            return door.gateway.client.get("/docs", headers={"X-Forwarded-For": f"192.0.2.{time.monotonic_ns() % 250}"})

        assert door.statuses(4, call) == [200] * 3 + [429]


def test_behind_a_trusted_proxy_each_caller_is_counted_alone(gateway: Running, clock: Clock) -> None:
    trusting = Settings.from_env(
        {"ZONGZHI_TIER": "341702000000", "TRUSTED_PROXIES": "127.0.0.1", "RATE_SOURCE": "0.1/1"}
    )
    limits = Limits(trusting, clock)

    def come_from(address: str) -> None:
        limits.admit_source(SOURCE, {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": address})

    come_from("192.0.2.1")
    come_from("192.0.2.2")
    with pytest.raises(Exhausted) as refused:
        come_from("192.0.2.1")
    assert refused.value.details["retry_after_s"] == "10"
