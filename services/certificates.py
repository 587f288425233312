"""A certificate authority of one installation, for where there is no cert-manager: `zongzhi certificates`.

The authority and what it vouches for are Kubernetes secrets of type kubernetes.io/tls. Renewing is repeating: whatever
has less than a third of its life left is made anew, and what is good is left alone. Readers take files up as they come.
"""

from __future__ import annotations

import base64
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.chassis import clock
from services.chassis.tls import AUTHORITY, CERTIFICATE, KEY

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=90)
# Clocks of two nodes differ.
EARLIER = timedelta(minutes=5)

Files = dict[str, bytes]


class Secrets(Protocol):
    """Where certificates are kept."""

    def read(self, name: str) -> Files | None:
        """What is kept under a name."""

    def write(self, name: str, files: Files) -> None:
        """Keeps files under a name, whole."""


@dataclass(frozen=True)
class Authority:
    """Vouches for the services of one installation."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, name: str) -> Authority:
        """A new one."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        builder = _begin(subject, subject, key, AUTHORITY_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        return cls(builder.add_extension(usage, critical=True).sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, files: Files) -> Authority:
        """One that was made before."""
        key = serialization.load_pem_private_key(files[KEY], None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("an elliptic curve key is expected")
        return cls(x509.load_pem_x509_certificate(files[CERTIFICATE]), key)

    def files(self) -> Files:
        """As it is kept."""
        certificate = self.certificate.public_bytes(serialization.Encoding.PEM)
        return {CERTIFICATE: certificate, KEY: _pem(self.key), AUTHORITY: certificate}

    def issue(self, names: list[str], uri: str) -> Files:
        """A certificate for these host names and this SPIFFE name, for servers and clients alike."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives.append(x509.UniformResourceIdentifier(uri))
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            _begin(subject, self.certificate.subject, key, LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        own = self.certificate.public_bytes(serialization.Encoding.PEM)
        return {CERTIFICATE: certificate.public_bytes(serialization.Encoding.PEM), KEY: _pem(key), AUTHORITY: own}


@dataclass(frozen=True)
class Wanted:
    """Whom to vouch for: `SERVICE=SECRET:HOST,HOST`."""

    service: str
    secret: str
    hosts: list[str]

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """Raises ValueError."""
        service, _, rest = text.partition("=")
        secret, _, hosts = rest.partition(":")
        if not (service and secret and hosts):
            raise ValueError("SERVICE=SECRET:HOST,HOST")
        return cls(service, secret, hosts.split(","))


def renew(secrets: Secrets, authority: str, tier: str, wanted: list[Wanted]) -> None:
    """Makes or renews the authority in the secret of this name, and what it vouches for; says what it did."""
    ours = _authority(secrets, authority)
    for one in wanted:
        if _good(secrets.read(one.secret), ours, one.hosts, clock.now()):
            print(f"{one.service}: 有效 good", file=sys.stderr)
            continue
        secrets.write(one.secret, ours.issue(one.hosts, f"spiffe://zongzhi/tier/{tier}/svc/{one.service}"))
        print(f"{one.service}: 已签发 issued", file=sys.stderr)


def _authority(secrets: Secrets, name: str) -> Authority:
    kept = secrets.read(name)
    if kept:
        return Authority.load(kept)
    made = Authority.create(name)
    secrets.write(name, made.files())
    return made


def _good(files: Files | None, authority: Authority, names: list[str], now: datetime) -> bool:
    """Whether it is of this authority, for these names, and has more than a third of its life before it."""
    if not files:
        return False
    certificate = x509.load_pem_x509_certificate(files[CERTIFICATE])
    found: Any = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ours = files[AUTHORITY] == authority.files()[AUTHORITY]
    left = certificate.not_valid_after_utc - now
    return ours and set(names) <= set(found.get_values_for_type(x509.DNSName)) and left > LIFE / 3


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: timedelta
) -> x509.CertificateBuilder:
    now = clock.now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + life)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


class KubernetesSecrets:
    """Secrets of one namespace, by the pod's own service account."""

    def __init__(self, namespace: str, release: str) -> None:
        from kubernetes import client, config

        config.load_incluster_config()  # type: ignore[no-untyped-call]  # theirs
        self._api = client.CoreV1Api()
        self._client = client
        self._namespace = namespace
        self._labels = {"app.kubernetes.io/name": "zongzhi", "app.kubernetes.io/instance": release}

    def read(self, name: str) -> Files | None:
        """What is kept under a name; None when nothing is."""
        try:
            found = self._api.read_namespaced_secret(name, self._namespace)
        except self._client.ApiException as error:
            if error.status != 404:
                raise
            return None
        return {key: base64.b64decode(value) for key, value in (found.data or {}).items()} or None

    def write(self, name: str, files: Files) -> None:
        """Makes it or puts the new files in its place."""
        data: dict[str, bytes | str] = {key: base64.b64encode(content).decode() for key, content in files.items()}
        meta = self._client.V1ObjectMeta(name=name, namespace=self._namespace, labels=self._labels)
        body = self._client.V1Secret(metadata=meta, type="kubernetes.io/tls", data=data)
        try:
            self._api.create_namespaced_secret(self._namespace, body)
        except self._client.ApiException as error:
            if error.status != 409:
                raise
            self._api.replace_namespaced_secret(name, self._namespace, body)
