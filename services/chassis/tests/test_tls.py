"""Calls between services over TLS: both sides prove themselves, and renewed files are taken up without a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from protos.petition.v1 import petition_pb2 as pb
from protos.petition.v1 import petition_pb2_grpc
from services.certificates import Authority
from services.chassis import clients, rpc, tls
from services.chassis.settings import Settings
from services.chassis.tests.calling import OFFICER, TIER, Desk, FakeDatabase, a_service, make_keys
from services.chassis.tokens import sign


def issue(authority: Authority, folder: Path) -> Path:
    """tls.crt, tls.key and ca.crt of somebody at this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in authority.issue(["localhost"], "spiffe://zongzhi/test").items():
        (folder / name).write_bytes(content)
    return folder


class Served:
    """A petition service over TLS."""

    def __init__(self, folder: Path, files: Path) -> None:
        self.key, verifier = make_keys(folder / "keys")
        self.desk = Desk()
        service = a_service(self.desk, FakeDatabase(), Settings(tier=TIER, grpc_tls_dir=files))
        self.server = rpc.GrpcServer(service, verifier)

    def __enter__(self) -> Served:
        self.address = f"localhost:{self.server.start()}"
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop(0.2)

    def get(self, channel: Any) -> str:
        stub = petition_pb2_grpc.PetitionServiceStub(channel)  # type: ignore[no-untyped-call]
        token = sign(self.key, OFFICER, ["petition"], 60)
        return str(clients.call(stub.GetPetition, pb.GetPetitionRequest(id="x"), token=token, timeout=5).id)


def test_both_sides_of_one_authority_understand_each_other(tmp_path: Path) -> None:
    ours = Authority.create("ours")
    client = issue(ours, tmp_path / "client")
    with (
        Served(tmp_path, issue(ours, tmp_path / "server")) as served,
        clients.channel(served.address, tls_dir=client) as channel,
    ):
        assert served.get(channel) == "x"


def test_a_client_of_another_authority_and_one_without_any_are_turned_away(tmp_path: Path) -> None:
    ours, theirs = Authority.create("ours"), Authority.create("theirs")
    with Served(tmp_path, issue(ours, tmp_path / "server")) as served:
        stranger = issue(theirs, tmp_path / "stranger")
        # It believes our server and shows a certificate of its own.
        (stranger / tls.AUTHORITY).write_bytes(ours.files()[tls.AUTHORITY])
        for channel in (
            clients.channel(served.address, tls_dir=stranger),
            clients.channel(served.address),
            grpc.secure_channel(served.address, grpc.ssl_channel_credentials(ours.files()[tls.AUTHORITY])),
        ):
            with channel, pytest.raises(grpc.RpcError) as refused:
                served.get(channel)
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
        assert served.desk.seen == []


def test_a_client_does_not_believe_a_server_of_another_authority(tmp_path: Path) -> None:
    with Served(tmp_path, issue(Authority.create("theirs"), tmp_path / "server")) as served:
        files = issue(Authority.create("ours"), tmp_path / "client")
        with clients.channel(served.address, tls_dir=files) as channel, pytest.raises(grpc.RpcError):
            served.get(channel)


def test_a_renewed_authority_is_taken_up_by_both_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "LOOK_AT_FILES_S", 0.0)
    before, after = Authority.create("before"), Authority.create("after")
    server, client = issue(before, tmp_path / "server"), issue(before, tmp_path / "client")
    with Served(tmp_path, server) as served, clients.channel(served.address, tls_dir=client) as channel:
        assert served.get(channel) == "x"
        issue(after, server)
        issue(after, client)
        assert served.get(channel) == "x"
        late = clients.channel(served.address, tls_dir=issue(before, tmp_path / "late"))
        with late, pytest.raises(grpc.RpcError):
            served.get(late)


def test_a_missing_file_is_said_in_one_sentence(tmp_path: Path) -> None:
    files = issue(Authority.create("ours"), tmp_path / "server")
    (files / tls.KEY).unlink()
    with pytest.raises(tls.FilesMissing, match=r"tls.key.*GRPC_TLS_DIR"):
        tls.read(files)
