"""An authority of one's own: made once, issuing what is asked, renewing what grows old, leaving alone what is good."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509

from services import certificates
from services.certificates import LIFE, Files, Wanted, renew
from services.chassis import clock

TIER = "341702000000"
PETITION = Wanted("petition", "qu-tls-petition", ["qu-petition", "qu-petition.zz.svc"])


class Kept(dict[str, Files]):
    """Secrets in memory; how often each was written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def read(self, name: str) -> Files | None:
        return self.get(name)

    def write(self, name: str, files: Files) -> None:
        self.writes.append(name)
        self[name] = files


def certificate(kept: Kept, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(kept[name]["tls.crt"])


def test_the_first_time_makes_the_authority_and_what_it_vouches_for() -> None:
    kept = Kept()
    renew(kept, "qu-tls-ca", TIER, [PETITION])
    assert kept.writes == ["qu-tls-ca", "qu-tls-petition"]
    made = certificate(kept, "qu-tls-petition")
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == PETITION.hosts
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"spiffe://zongzhi/tier/{TIER}/svc/petition"]
    made.verify_directly_issued_by(certificate(kept, "qu-tls-ca"))
    assert kept["qu-tls-petition"]["ca.crt"] == kept["qu-tls-ca"]["tls.crt"]


def test_a_second_time_changes_nothing() -> None:
    kept = Kept()
    for _ in range(2):
        renew(kept, "ca", TIER, [PETITION])
    assert kept.writes == ["ca", "qu-tls-petition"]


def test_what_has_a_third_of_its_life_left_is_renewed_by_the_same_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    renew(kept, "ca", TIER, [PETITION])
    now = clock.now()
    monkeypatch.setattr("services.certificates.clock.now", lambda: now + LIFE * 2 / 3 + timedelta(minutes=1))
    renew(kept, "ca", TIER, [PETITION])
    assert kept.writes == ["ca", "qu-tls-petition", "qu-tls-petition"]
    certificate(kept, "qu-tls-petition").verify_directly_issued_by(certificate(kept, "ca"))


def test_another_host_name_is_another_certificate() -> None:
    kept = Kept()
    renew(kept, "ca", TIER, [PETITION])
    renew(kept, "ca", TIER, [Wanted("petition", PETITION.secret, [*PETITION.hosts, "petition.example"])])
    assert kept.writes.count(PETITION.secret) == 2


def test_what_another_authority_vouched_for_is_made_anew() -> None:
    kept = Kept()
    renew(kept, "ca", TIER, [PETITION])
    del kept["ca"]
    renew(kept, "ca", TIER, [PETITION])
    certificate(kept, PETITION.secret).verify_directly_issued_by(certificate(kept, "ca"))


def test_whom_to_vouch_for_is_said_in_one_word() -> None:
    assert Wanted.parse("petition=qu-tls-petition:a,b") == Wanted("petition", "qu-tls-petition", ["a", "b"])
    for wrong in ("petition", "petition=x", "=x:a", "petition=:a"):
        with pytest.raises(ValueError, match="SERVICE=SECRET"):
            Wanted.parse(wrong)
