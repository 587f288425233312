"""Namespaces and secrets before the first installation."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from services.fleet import tiers
from services.fleet.ground import Ground
from services.fleet.helm import HelmFailed
from services.fleet.mistakes import FleetMistake
from services.fleet.tests.conftest import DISTRICT, EARLY, divisions

KUBECTL = """
import json, pathlib, sys
folder, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
if "get" in words:
    name = words[words.index("secret") + 1]
    print(f"secret/{name}" if (folder / f"Secret-{name}").exists() else "")
else:
    for one in json.load(sys.stdin)["items"]:
        path = folder / f"{one['kind']}-{one['metadata']['name']}"
        if path.exists():
            print(f'Error from server (AlreadyExists): "{path.name}" already exists', file=sys.stderr)
        elif (folder / "refuse").exists():
            print("Error from server (Forbidden): no", file=sys.stderr)
        else:
            path.write_text(json.dumps(one))
            continue
        sys.exitcode = 1
    sys.exit(getattr(sys, "exitcode", 0))
"""
TIERS = {tier.code: tier for tier in tiers.of_divisions(divisions())}


class Cluster:
    """What the stand-in kubectl has made."""

    def __init__(self, folder: Path) -> None:
        self.made = folder / "made"
        self.made.mkdir()
        (folder / "kubectl.py").write_text(KUBECTL)
        program = folder / "kubectl"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {folder}/kubectl.py {self.made} "$@"\n')
        program.chmod(0o755)
        self.ground = Ground.found(str(program))

    def read(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.made / name).read_text()))

    def names(self) -> set[str]:
        return {path.name for path in self.made.iterdir()}


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_a_village_gets_a_guarded_namespace_keys_and_a_login_and_no_database_password(cluster: Cluster) -> None:
    cluster.ground.prepare(TIERS[EARLY[0]])
    release, namespace = f"zz-{EARLY[0]}", f"zongzhi-{EARLY[0]}"
    assert cluster.names() == {f"Namespace-{namespace}", f"Secret-{release}-keys", f"Secret-{release}-login"}
    labels = cluster.read(f"Namespace-{namespace}")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert cluster.read(f"Secret-{release}-keys")["metadata"]["namespace"] == namespace


def test_a_district_gets_passwords_of_databases_and_broker_as_well(cluster: Cluster) -> None:
    cluster.ground.prepare(TIERS[DISTRICT])
    release = f"zz-{DISTRICT}"
    assert {
        f"Secret-{release}-broker",
        f"Secret-{release}-db-petition",
        f"Secret-{release}-db-gateway",
    } <= cluster.names()


def test_what_is_there_is_never_made_again(cluster: Cluster) -> None:
    cluster.ground.prepare(TIERS[EARLY[0]])
    before = {name: cluster.read(name) for name in cluster.names()}
    cluster.ground.prepare(TIERS[EARLY[0]])
    assert {name: cluster.read(name) for name in cluster.names()} == before


def test_two_tiers_share_no_key(cluster: Cluster) -> None:
    for code in EARLY[:2]:
        cluster.ground.prepare(TIERS[code])
    first, second = (cluster.read(f"Secret-zz-{code}-keys")["stringData"] for code in EARLY[:2])
    assert first.keys() == second.keys()
    assert not set(first.values()) & set(second.values())


def test_a_cluster_that_refuses_is_told_in_its_own_words(cluster: Cluster) -> None:
    (cluster.made / "refuse").touch()
    with pytest.raises(HelmFailed, match="Forbidden"):
        cluster.ground.prepare(TIERS[EARLY[0]])


def test_without_kubectl_it_says_what_to_do() -> None:
    with pytest.raises(FleetMistake, match="KUBECTL="):
        Ground.found("/nowhere/kubectl")
