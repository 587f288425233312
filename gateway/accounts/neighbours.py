"""What the gateway asks services in its own name, for an administrator who sees no case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.sessions import Signer, own_identity
from services.chassis import clients, statuses
from services.chassis.refusal import NotFound, Refusal, Unavailable

# Services that keep cases of officers.
WITH_CASES = ("petition", "mediation")
NAME_ZH = {"petition": "信访", "mediation": "调解", "grid": "网格"}
DEADLINE_S = 5.0
TOKEN_S = 60
BATCH = 100


class Neighbours:
    """The services around, asked with a token that allows one deed."""

    def __init__(self, channels: Mapping[str, grpc.Channel], signer: Signer, tier: str) -> None:
        self._channels = channels
        self._signer = signer
        self._tier = tier

    def knows(self, service: str, method: str) -> bool:
        """Whether this release has such a service and it has an address."""
        return service in self._channels and _method(method) is not None

    def ask(self, service: str, method: str, permissions: frozenset[str], on_behalf_of: str, **fields: Any) -> Any:
        """One call. Raises the service's own refusal, or Unavailable naming the service that does not answer."""
        described = _method(method)
        if service not in self._channels or described is None:
            raise _away(service)
        request, reply = GetMessageClass(described.input_type), GetMessageClass(described.output_type)
        call = self._channels[service].unary_unary(
            f"/{described.containing_service.full_name}/{described.name}",
            request_serializer=request.SerializeToString, response_deserializer=reply.FromString,
        )  # fmt: skip
        token = self._signer.sign(own_identity(self._tier, permissions, on_behalf_of), service, TOKEN_S)
        try:
            return clients.call(call, request(**fields), token=token, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            refusal = statuses.from_rpc_error(error)
            raise (_away(service) if isinstance(refusal, Unavailable) else refusal) from None


class Cases:
    """The open cases of officers, in every service that keeps any."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    def page(self, service: str, officer: str, on_behalf_of: str, size: int, token: str = "") -> Any:
        """A page of what one service has. Raises Unavailable."""
        return self._ask(service, "ListOfficerItems", on_behalf_of, officer=officer, page_size=size, page_token=token)

    def all(self, officer: str, on_behalf_of: str) -> Iterator[tuple[str, Message]]:
        """Every open item with its service. Raises Unavailable."""
        for service in WITH_CASES:
            token = ""
            while True:
                found = self.page(service, officer, on_behalf_of, BATCH, token)
                yield from ((service, item) for item in found.items)
                token = found.next_page_token
                if not token:
                    break

    def count(self, officer: str, on_behalf_of: str) -> int:
        """How many items an officer has in hand. Raises Unavailable when a service cannot be asked."""
        return sum(1 for _ in self.all(officer, on_behalf_of))

    def hand_over(
        self, service: str, officer: str, to: str, reason: str, on_behalf_of: str
    ) -> Iterator[tuple[int, int]]:
        """Moves all of one service, a batch a call: (moved, left) after each."""
        while True:
            done = self._ask(
                service, "HandOverItems", on_behalf_of, from_officer=officer, to_officer=to, reason=reason
            )  # fmt: skip
            yield done.moved, done.left
            if not done.left or not done.moved:
                return

    def _ask(self, service: str, rpc: str, on_behalf_of: str, **fields: Any) -> Any:
        method = f"zongzhi.{service}.v1.{service.capitalize()}Service.{rpc}"
        permissions = frozenset({f"{service}.hand_over", f"{service}.read_all"})
        return self._neighbours.ask(service, method, permissions, on_behalf_of, **fields)


class Units:
    """Whether unit codes are in the directory, which the grid service keeps."""

    METHOD = "zongzhi.grid.v1.DirectoryService.GetUnit"

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    def unknown(self, codes: list[str], on_behalf_of: str) -> tuple[list[str], bool]:
        """The codes that the directory does not hold, and whether it could be asked for all of them."""
        if not self._neighbours.knows("grid", self.METHOD):
            return [], not codes
        missing: list[str] = []
        for code in codes:
            try:
                self._neighbours.ask("grid", self.METHOD, frozenset({"grid.read"}), on_behalf_of, code=code)
            except NotFound:
                missing.append(code)
            except Refusal:
                return missing, False
        return missing, True


def _method(full_name: str) -> Any:
    try:
        return descriptor_pool.Default().FindMethodByName(full_name)
    except KeyError:
        return None


def _away(service: str) -> Unavailable:
    zh = NAME_ZH.get(service, service)
    return Unavailable(
        "SERVICE_AWAY",
        f"{zh}服务暂时无法连接,请稍后重试。",
        f"The {service} service does not answer; try again later.",
        service=service,
    )
