"""The worst bus there could be: at every hand-over all mail since the beginning comes again, twice and backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from e2e.conftest import LOCAL_SQLITE, on
from e2e.people import Typed
from e2e.post import NEIGHBOUR, announced, build
from e2e.story import DIVISION, HALL, MEDIATION
from e2e.system import SERVICES, TIER, System, new_request_id
from protos.mediation.v1 import mediation_pb2, mediation_pb2_grpc
from protos.petition.v1 import petition_pb2, petition_pb2_grpc
from services.chassis import access, inbox, migrations, tokens
from services.chassis.applier import Applier
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.rpc import GrpcServer
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.tokens import Verifier

pytestmark = pytest.mark.e2e

Order = Callable[[Sequence[bytes]], Sequence[bytes]]


def in_order(bodies: Sequence[bytes]) -> Sequence[bytes]:
    """As a good bus brings it."""
    return bodies


def twice_and_backwards(bodies: Sequence[bytes]) -> Sequence[bytes]:
    """As the worst one does."""
    return [*reversed(bodies), *reversed(bodies)]


class ByHand:
    """Two services on fresh databases without relay and applier: mail moves when and as the test says."""

    def __init__(self, settings: Settings, urls: dict[str, str], order: Order, stack: ExitStack) -> None:
        self.order = order
        self.services = {name: self._service(name, settings, url) for name, url in urls.items()}
        token = tokens.sign(tokens.load_private(settings.token_private_key_file), everybody(), list(SERVICES))
        self.metadata = (("authorization", f"Bearer {token}"),)
        verifier = Verifier(settings.token_keys_file, settings.tier)
        channels = {name: self._serve(service, verifier, stack) for name, service in self.services.items()}
        self.hall = petition_pb2_grpc.PetitionServiceStub(channels["petition"])
        self.centre = mediation_pb2_grpc.MediationServiceStub(channels["mediation"])

    @staticmethod
    def _service(name: str, settings: Settings, url: str) -> Service:
        migrations.migrate(name, url)
        service = build(name, settings, Database(url))
        service.seed(service.db)
        return service

    @staticmethod
    def _serve(service: Service, verifier: Verifier, stack: ExitStack) -> grpc.Channel:
        server = GrpcServer(service, verifier)
        stack.callback(service.db.close)
        stack.callback(server.stop, 0)
        return stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{server.start()}"))

    def call(self, method: Any, request: Any) -> Any:
        """One RPC, and then all the mail there ever was."""
        reply = method(request, metadata=self.metadata, timeout=30)
        for _ in range(2):
            for sender, receiver in NEIGHBOUR.items():
                inbox.receive(self.services[receiver], self.order(announced(self.services[sender].db)))
                applier = Applier(self.services[receiver])
                while applier.apply_waiting():
                    pass
        return reply


def everybody() -> Identity:
    """Somebody who may do everything in the district."""
    permissions = {rule.permission for rule in map(access.rule_of, all_methods()) if rule}
    units = frozenset({HALL, MEDIATION})
    return Identity("demo", TIER, scope="341702", units=units, permissions=frozenset(permissions), unit=HALL)


def all_methods() -> list[str]:
    """Every RPC, as gRPC writes it."""
    return [f"/{method.containing_service.full_name}/{method.name}" for method in access.methods()]


def told(town: ByHand) -> dict[str, Any]:
    """The whole story of test_petition_to_settlement; returns how it ended, without ids and times."""
    typed, pb = Typed(), petition_pb2
    form = pb.RegisterPetitionRequest(
        request_id=new_request_id(), channel=pb.CHANNEL_VISIT, division_code=DIVISION, subject="楼上漏水",
        content="三个月未修", representatives=[pb.Person(**typed.person())],
    )  # fmt: skip
    petition_id = town.call(town.hall.RegisterPetition, form).petition.id
    town.call(town.hall.AcceptPetition, pb.AcceptPetitionRequest(id=petition_id))
    for answer in (mediation_pb2.CONSENT_REFUSED, mediation_pb2.CONSENT_GIVEN):
        respondent = pb.Person(**typed.person())
        asked: dict[str, Any] = {"reason": "邻里纠纷", "respondents": [respondent], "dispute_type": "邻里"}
        refer = pb.ReferPetitionRequest(id=petition_id, request_id=new_request_id(), **asked)
        town.call(town.hall.ReferPetition, refer)
        mediation = mediations(town, petition_id)[-1]
        for party in mediation.parties[-1:] if answer == mediation_pb2.CONSENT_REFUSED else mediation.parties:
            consent = mediation_pb2.RecordConsentRequest(
                id=mediation.id, party_id=party.id, consent=answer, reason="不愿意"
            )
            town.call(town.centre.RecordConsent, consent)
    settle = mediation_pb2.SettleMediationRequest(
        id=mediation.id, form=mediation_pb2.AGREEMENT_FORM_ORAL, terms="十日内修好"
    )
    town.call(town.centre.SettleMediation, settle)
    evaluate = pb.EvaluatePetitionRequest(id=petition_id, satisfaction=pb.SATISFACTION_SATISFIED)
    town.call(town.hall.EvaluatePetition, evaluate)
    return ending(town, petition_id)


def mediations(town: ByHand, petition_id: str) -> list[mediation_pb2.Mediation]:
    """All mediations of the case, oldest first."""
    found = town.call(town.centre.ListMediations, mediation_pb2.ListMediationsRequest(petition_id=petition_id))
    return list(reversed(found.mediations))


def ending(town: ByHand, petition_id: str) -> dict[str, Any]:
    """Where everything stands."""
    petition = town.call(town.hall.GetPetition, petition_pb2.GetPetitionRequest(id=petition_id))
    line = town.call(town.hall.ListTimeline, petition_pb2.ListTimelineRequest(id=petition_id))
    return {
        "state": petition.state, "outcome": petition.outcome,
        "epoch": petition.owner_epoch, "owner": petition.owner_service,
        "referrals": [(r.state, r.answer == "不愿意") for r in petition.referrals],
        "clocks": [(c.kind, c.colour) for c in petition.clocks],
        "timeline": [(e.seq, e.kind) for e in line.entries],
        "mediations": [
            (m.state, m.owner_epoch, [p.consent for p in m.parties], [(c.kind, c.colour) for c in m.clocks])
            for m in mediations(town, petition_id)
        ],
        "mail": [len(announced(town.services[name].db)) for name in SERVICES],
    }  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], dict[str, str]]]:
    """Makes a pair of new databases."""
    made: list[str] = []
    postgres: Any = request.getfixturevalue("postgres") if request.param == "postgresql" else None

    def make(label: str) -> dict[str, str]:
        made.extend(f"e2e_{label}_{name}" for name in SERVICES)
        if postgres is None:
            return {name: f"sqlite:///{tmp_path}/{label}-{name}.db" for name in SERVICES}
        return {name: postgres.create_database(f"e2e_{label}_{name}") for name in SERVICES}

    yield make
    for name in made if postgres is not None else ():
        postgres.drop_database(name)


@on(LOCAL_SQLITE)
def test_the_story_ends_as_it_does_on_a_good_bus(district: System, fresh_urls: Callable[[str], dict[str, str]]) -> None:
    endings = []
    for order in (in_order, twice_and_backwards):
        with ExitStack() as stack:
            endings.append(told(ByHand(district.settings, fresh_urls(order.__name__), order, stack)))
    good, worst = endings
    assert worst == good
    assert (good["epoch"], good["outcome"], good["mail"]) == (3, petition_pb2.OUTCOME_SETTLED, [2, 3, 0])
