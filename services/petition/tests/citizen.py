"""A citizen with a slip, in few words: calls as the gateway would vouch for them, from an address of theirs."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from protos.petition.v1 import following_pb2 as pb
from protos.petition.v1 import petition_pb2 as petition_pb
from services.chassis import identity
from services.chassis.identity import Identity
from services.chassis.ids import uuid7
from services.petition import wiring
from services.petition.adapters.progress_watch import Watch
from services.petition.adapters.rpc_following import PUBLIC, SOURCE
from services.petition.tests.hall import PETITIONER, TIER, TOWN, Hall, a_registration

CITIZEN = Identity(PUBLIC, TIER, "341702", roles=frozenset({PUBLIC}))
DIGITS = PETITIONER["phone"][-4:]


class Call:
    """What gRPC tells a handler of a call."""

    def __init__(self, source: str) -> None:
        self.source = source

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """The gateway's word on where it comes from."""
        return ((SOURCE, self.source),)

    def is_active(self) -> bool:
        """The caller waits."""
        return True


class Door:
    """The open door of the hall."""

    def __init__(self, hall: Hall, **settings: Any) -> None:
        self.hall = hall
        self.watch = Watch(hall.db, 4)
        own = hall.settings if not settings else type(hall.settings)(**{**vars(hall.settings), **settings})
        self.rpc = wiring.following(own, hall.office, self.watch)

    def call(self, method: str, request: Message, source: str = "10.1.1.1") -> Any:
        """One open RPC, as a citizen."""
        before = identity.current()
        identity.set_current(CITIZEN)
        try:
            return getattr(self.rpc, method)(request, Call(source))
        finally:
            identity.set_current(before)

    def clerk(self, method: str, request: Message) -> Any:
        """One RPC of the window."""
        return getattr(self.rpc, method)(request, Call(""))

    def registered(self, **over: Any) -> tuple[petition_pb.Petition, str]:
        """A case and the code that its petitioner took home."""
        made = self.hall.call("RegisterPetition", a_registration(**over))
        return made.petition, made.public_code

    def track(self, code: str, source: str = "10.1.1.1") -> pb.TrackedCase:
        """The public page."""
        return self.call("TrackPetition", pb.TrackPetitionRequest(public_code=code), source)

    def documents(self, code: str, proof: str = DIGITS, source: str = "10.1.1.1") -> pb.TrackDocumentsResponse:
        """The written answers."""
        return self.call("TrackDocuments", pb.TrackDocumentsRequest(public_code=code, proof=proof), source)

    def file(self, source: str = "10.1.1.1", **over: Any) -> pb.FilePetitionOnlineResponse:
        """A citizen files online."""
        return self.call("FilePetitionOnline", a_filing(**over), source)

    def conclude(self, petition_id: str) -> None:
        """The office accepts and answers."""
        self.hall.accept(petition_id)
        self.hall.call(
            "ConcludePetition",
            petition_pb.ConcludePetitionRequest(
                id=petition_id, outcome=petition_pb.OUTCOME_SUPPORTED, opinion="已责令拆除,电话 13900005678", legal_basis="民法典"
            ),
        )


def a_filing(**over: Any) -> pb.FilePetitionOnlineRequest:
    """An online petition; what matters to a test is given over it."""
    values: dict[str, Any] = {
        "request_id": uuid7(), "division_code": TOWN, "representatives": [PETITIONER], "subject": "路灯不亮",
        "content": "村口路灯三个月不亮,请修理。", "notice_read": True,
    }  # fmt: skip
    return pb.FilePetitionOnlineRequest(**{**values, **over})
