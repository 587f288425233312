"""Applies the same events in two ways by turns, in the environment of a district: python -m bench.applying SEED"""

from __future__ import annotations

import random
import sys
import time

from bench import cases
from bench.rounds import Round, alternate
from e2e.post import build, crafted
from protos.link.v1.envelope_pb2 import Envelope
from protos.petition.v1 import events_pb2 as events
from services.chassis import identity, telemetry
from services.chassis.applier import Applier
from services.chassis.inbox import receive
from services.chassis.listeners import Delivery
from services.chassis.service import Service
from services.chassis.settings import Settings

PER_ROUND, PAIRS = 600, 5


def requests(chance: random.Random, tier: str) -> list[bytes]:
    """Requests to mediate, each of another petition."""
    bodies = []
    for _ in range(PER_ROUND):
        key = cases.new_id(chance)
        sides = ("applicant", "respondent")
        parties = [events.Party(id=cases.new_id(chance), side=side, **cases.person(chance)) for side in sides]
        event = events.MediationRequested(
            referral_id=cases.new_id(chance), petition_id=key, case_number="341702001008-X-20261124-A0001",
            division_code=chance.choice(cases.villages()), owner_epoch=1, subject=cases.SUBJECT, content=cases.CONTENT,
            dispute_type="邻里", reason="双方愿意调解", parties=parties, origin_tier=tier, due_on="2027-01-23",
        )  # fmt: skip
        bodies.append(crafted(event, "petition", tier, key, 1))
    return bodies


def applied(service: Service, bodies: list[bytes]) -> Round:
    """The applier's way: from the inbox, where they lie already."""
    receive(service, bodies)
    applier = Applier(service)
    began, done = time.perf_counter(), 0
    while settled := applier.apply_waiting():
        done += settled
    if done != len(bodies):
        raise AssertionError(f"{done} of {len(bodies)} applied")
    return Round(done, time.perf_counter() - began, [])


def bare(service: Service, bodies: list[bytes]) -> Round:
    """The bare way: parse, call the listener, commit, and nothing else."""
    began = time.perf_counter()
    for body in bodies:
        envelope = Envelope.FromString(body)
        subscription = service.listeners.of(envelope.type)
        if subscription is None:
            raise AssertionError(f"nobody listens to {envelope.type}")
        who = identity.system(service.name, service.settings.tier, envelope.on_behalf_of)
        with service.db.transaction(who) as tx:
            at = envelope.time.ToDatetime(tx.now.tzinfo)
            delivery = Delivery(envelope.id, envelope.source, envelope.from_tier, at, envelope.on_behalf_of)
            subscription.act(tx, subscription.event.FromString(envelope.data), delivery)
    return Round(len(bodies), time.perf_counter() - began, [])


def main() -> None:
    """Prints the pairs, then: ratio, ours, raw, n."""
    settings, chance = Settings.from_env(), random.Random(int(sys.argv[1]))
    telemetry.configure("zongzhi-work", settings.tier, endpoint=None, version="")
    service = build("mediation", settings)
    applied(service, requests(chance, settings.tier))
    bare(service, requests(chance, settings.tier))
    compared = alternate(
        lambda: applied(service, requests(chance, settings.tier)),
        lambda: bare(service, requests(chance, settings.tier)),
        PAIRS,
    )
    print(compared.ratio, compared.ours, compared.raw, compared.n)


if __name__ == "__main__":
    main()
