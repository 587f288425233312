"""Every chart rendered with every one of its `ci/` files, once a run; and how tests look at what came out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from charts.tests.helm import CHARTS, helm

RELEASE, NAMESPACE = "zongzhi", "zongzhi"
TIERS = ("district", "town", "village")
PODS = {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"}
Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A chart and one of its supported shapes."""

    chart: str
    shape: str

    def __str__(self) -> str:
        return f"{self.chart}-{self.shape}"

    @property
    def values(self) -> Path:
        """The values of the shape."""
        return CHARTS / self.chart / "ci" / f"{self.shape}-values.yaml"

    @property
    def golden(self) -> Path:
        """What it rendered when somebody last looked at it."""
        return CHARTS / self.chart / "golden" / f"{self.shape}.yaml"


CASES = [
    Case(tier, file.name.removesuffix("-values.yaml"))
    for tier in TIERS
    for file in sorted((CHARTS / tier / "ci").glob("*-values.yaml"))
]


@dataclass(frozen=True)
class Pod:
    """A pod template and whose it is."""

    owner: Json
    template: Json

    def __str__(self) -> str:
        return f"{self.owner['kind']}/{self.owner['metadata']['name']}"

    @property
    def spec(self) -> Json:
        """The pod's own part."""
        return dict(self.template["spec"])

    @property
    def labels(self) -> dict[str, str]:
        """What selectors look at."""
        return dict(self.template["metadata"]["labels"])

    @property
    def annotations(self) -> dict[str, str]:
        """Notes on the pod."""
        return dict(self.template["metadata"].get("annotations") or {})

    @property
    def is_for_long(self) -> bool:
        """Whether it runs until somebody stops it."""
        return self.owner["kind"] not in ("Job", "CronJob")

    @property
    def is_store(self) -> bool:
        """Whether it is a database, a broker or a collector's queue: one pod, one volume, nobody's to balance."""
        return self.owner["kind"] == "StatefulSet"

    @property
    def containers(self) -> list[Json]:
        """All of them."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def component(self) -> str:
        """Which part of the drawing it is."""
        return self.labels["app.kubernetes.io/component"]


class Render:
    """What one chart made out of some values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.objects: list[Json] = [one for one in yaml.safe_load_all(text) if one]

    def of(self, *kinds: str) -> list[Json]:
        """The objects of some kinds."""
        return [one for one in self.objects if one["kind"] in kinds]

    def named(self, kind: str, name: str) -> Json:
        """One object."""
        (found,) = [one for one in self.of(kind) if one["metadata"]["name"] == name]
        return found

    @property
    def pods(self) -> list[Pod]:
        """Every pod that the release makes itself."""
        return [Pod(one, _template(one)) for one in self.of(*PODS)]


def _template(owner: Json) -> Json:
    spec = owner["spec"]["jobTemplate"]["spec"] if owner["kind"] == "CronJob" else owner["spec"]
    return dict(spec["template"])


def name_of(one: Json) -> str:
    """How sentences call an object."""
    return f"{one['kind']}/{one['metadata']['name']}"


@cache
def rendered(case: Case, major: int = 4) -> Render:
    """A shape as Helm renders it."""
    return render(case.chart, "--values", str(case.values), major=major)


def render(chart: str, *words: str, major: int = 4, charts: Path = CHARTS, release: str = RELEASE) -> Render:
    """A chart with other values. Raises HelmFailed."""
    return Render(helm("template", release, str(charts / chart), "--namespace", NAMESPACE, *words, major=major))


def texts(found: Any) -> Iterator[str]:
    """Every string in a document."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield str(key)
            yield from texts(value)
    elif isinstance(found, list):
        for value in found:
            yield from texts(value)
    else:
        yield str(found)
