"""An integrator's program: takes a token from the gateway, then registers and lists petitions on gRPC directly.

    ZONGZHI_GATEWAY=http://127.0.0.1:8080 ZONGZHI_PETITION=127.0.0.1:50051 \\
    ZONGZHI_CLIENT_ID=my-app ZONGZHI_CLIENT_SECRET=… python -m infra.examples.client

The secret is shown once by `zongzhi account service-create my-app --title 区级平台 --role hall --unit 341702-XFJ`.
A token works for one service and five minutes; `Tokens` takes the next one before that. Needs grpcio and requests.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import requests
from google.protobuf.message import Message

from protos.petition.v1 import petition_pb2 as pb
from protos.petition.v1.petition_pb2_grpc import PetitionServiceStub

# A new token is taken this long before the old one ends, so that none ends on its way.
EARLY_S = 30.0


class Tokens:
    """The token of one service, taken anew before it ends. Safe to share between threads."""

    def __init__(self, gateway: str, client_id: str, client_secret: str, audience: str) -> None:
        self._url = f"{gateway}/v1/token"
        self._who = (client_id, client_secret)
        self._audience = audience
        self._lock = threading.Lock()
        self._token = ""
        self._fresh_until = 0.0

    def get(self) -> str:
        """A token that still lives when the call arrives. Raises requests.HTTPError with the gateway's sentence."""
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                self._take()
            return self._token

    def forget(self) -> None:
        """The service refused it; the next one is taken anew."""
        with self._lock:
            self._fresh_until = 0.0

    def _take(self) -> None:
        asked = time.monotonic()
        answer = requests.post(self._url, auth=self._who, json={"audience": self._audience}, timeout=10)
        if not answer.ok:
            raise requests.HTTPError(answer.json().get("detail", answer.text), response=answer)
        given = answer.json()
        lives = float(given["expires_in"])
        self._token, self._fresh_until = given["access_token"], asked + max(lives - EARLY_S, lives / 2)


class Petitions:
    """The petition service, called with a fresh token each time."""

    def __init__(self, address: str, tokens: Tokens) -> None:
        self._channel = grpc.insecure_channel(address)
        self._stub = PetitionServiceStub(self._channel)  # type: ignore[no-untyped-call]  # generated code
        self._tokens = tokens

    def register(self, subject: str, content: str, division_code: str) -> pb.RegisterPetitionResponse:
        """Registers an anonymous letter. The request_id makes it safe to send the same call again."""
        request = pb.RegisterPetitionRequest(
            request_id=str(uuid.uuid4()),
            channel=pb.CHANNEL_LETTER,
            division_code=division_code,
            subject=subject,
            content=content,
        )
        answer: pb.RegisterPetitionResponse = self._call(self._stub.RegisterPetition, request)
        return answer

    def all(self) -> Iterator[pb.Petition]:
        """Every petition that the program's units may see, newest first, page by page."""
        token = ""
        while True:
            page = self._call(self._stub.ListPetitions, pb.ListPetitionsRequest(page_size=200, page_token=token))
            yield from page.petitions
            token = page.next_page_token
            if not token:
                return

    def close(self) -> None:
        """Lets the connection go."""
        self._channel.close()

    def _call(self, method: Callable[..., Any], request: Message) -> Any:
        for last in (False, True):
            metadata = (("authorization", f"Bearer {self._tokens.get()}"),)
            try:
                return method(request, metadata=metadata, timeout=10)
            except grpc.RpcError as error:
                # Ended on its way, or the key was changed: once more with a new one.
                if last or error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                    raise
                self._tokens.forget()
        raise AssertionError("unreachable")


def main() -> int:
    """Registers one petition, then counts all that are seen."""
    env = os.environ
    tokens = Tokens(
        env["ZONGZHI_GATEWAY"], env["ZONGZHI_CLIENT_ID"], env["ZONGZHI_CLIENT_SECRET"], audience="petition"
    )  # fmt: skip
    petitions = Petitions(env["ZONGZHI_PETITION"], tokens)
    try:
        made = petitions.register("路灯不亮", "小区东门两盏路灯已一个月不亮,请求修复。", "341702001008")
        print(f"已登记 registered {made.petition.case_number}")
        print(f"共 {sum(1 for _ in petitions.all())} 件 petitions seen")
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    except requests.HTTPError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        petitions.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
