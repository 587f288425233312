"""The fleet: its tiers, charts and Helm put together, and what can be done with them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from services.chassis import clock
from services.fleet import differences, journal, tiers, values
from services.fleet.ground import Ground
from services.fleet.helm import PENDING, Helm, HelmFailed, Release, is_helm
from services.fleet.journal import Journal, Run
from services.fleet.mistakes import FleetMistake
from services.fleet.progress import Progress
from services.fleet.rollout import Limits, Outcome, Rollout, waves
from services.fleet.tiers import Tier

# How long a helm of a killed rollout may still need to end in order.
LEFTOVER_S = 120.0
Installed = dict[tuple[str, str], Release]


@dataclass(frozen=True)
class Places:
    """Where things are."""

    fleet: Path
    charts: Path
    state: Path

    @property
    def journal(self) -> Path:
        """What was done so far."""
        return self.state / "journal.jsonl"


@dataclass(frozen=True)
class Choice:
    """Which releases are meant; nothing given means all."""

    tiers: tuple[str, ...] = ()
    rings: tuple[int, ...] = ()
    codes: tuple[str, ...] = ()
    below: str = ""

    def of(self, every: Sequence[Tier]) -> list[Tier]:
        """The chosen ones. Raises FleetMistake when a code is unknown or nothing is left."""
        known = {tier.code: tier for tier in every}
        unknown = [code for code in (*self.codes, *([self.below] if self.below else [])) if code not in known]
        if unknown:
            raise FleetMistake(
                f"tiers.csv 中没有 {'、'.join(unknown)}。", f"tiers.csv does not hold {', '.join(unknown)}."
            )
        found = [tier for tier in every if self._fits(tier, known)]
        if not found:
            raise FleetMistake("没有符合条件的发布。", "No release fits what was asked for.")
        return found

    def _fits(self, tier: Tier, known: dict[str, Tier]) -> bool:
        return (
            (not self.tiers or tier.tier in self.tiers)
            and (not self.rings or tier.ring in self.rings)
            and (not self.codes or tier.code in self.codes)
            and (not self.below or self.below in _ancestry(tier, known))
        )


def _ancestry(tier: Tier, known: dict[str, Tier]) -> Iterator[str]:
    """Its own code and those above it."""
    at: Tier | None = tier
    while at:
        yield at.code
        at = known.get(at.parent)


class Fleet:
    """All releases and the program that brings them about."""

    def __init__(self, places: Places, helm: Helm, ground: Ground | None = None) -> None:
        self.places = places
        self.helm = helm
        self.ground = ground
        self.every = tiers.load(places.fleet)
        self._charts: dict[str, str] = {}

    def chart(self, tier: Tier) -> Path:
        """The chart of a tier. Raises FleetMistake when it is not there."""
        path = self.places.charts / tier.tier
        if not (path / "Chart.yaml").exists():
            raise FleetMistake(
                f"找不到 chart {path},请用 --charts 指出所在文件夹。",
                f"There is no chart {path}; say where with --charts.",
            )
        return path

    def digest(self, tier: Tier) -> str:
        """Of everything that decides what a release becomes: its chart and its values."""
        if tier.tier not in self._charts:
            self._charts[tier.tier] = _digest_of(_files_below(self.chart(tier)))
        own = _digest_of(values.files(self.places.fleet, tier))
        return hashlib.sha256(f"{self._charts[tier.tier]}{own}".encode()).hexdigest()[:16]

    def upgrade_words(self, tier: Tier, *, exists: bool) -> list[str]:
        """The helm command that brings a release about."""
        files = values.files(self.places.fleet, tier)
        return self.helm.upgrade(
            tier.release, self.chart(tier), tier.namespace, files, exists=exists, cluster=tier.cluster
        )

    def render(self, chosen: Sequence[Tier], parallel: int, out: Path | None = None) -> dict[str, str]:
        """Every release as manifests, without a cluster. Raises HelmFailed naming the first that cannot be rendered."""
        with ThreadPoolExecutor(max(1, parallel)) as pool:
            rendered = dict(zip((t.code for t in chosen), pool.map(self._rendered, chosen), strict=True))
        if out:
            out.mkdir(parents=True, exist_ok=True)
            for code, manifest in rendered.items():
                (out / f"{code}.yaml").write_text(manifest, encoding="utf-8")
        return rendered

    def _rendered(self, tier: Tier) -> str:
        files = values.files(self.places.fleet, tier)
        words = self.helm.template(tier.release, self.chart(tier), tier.namespace, files)
        try:
            return self.helm.run(words).stdout
        except HelmFailed as failure:
            raise HelmFailed(f"{tier.code} {tier.name}: {failure}") from None

    def differences(self, tier: Tier) -> list[differences.Difference]:
        """What `apply` would change in a release."""
        installed = self.helm.manifest(tier.release, tier.namespace, tier.cluster) or ""
        return differences.between(installed, self._rendered(tier))

    def installed(self, chosen: Sequence[Tier]) -> Installed:
        """What the clusters know, by namespace and name."""
        found: Installed = {}
        for cluster in sorted({tier.cluster for tier in chosen}):
            found |= self.helm.releases(cluster)
        return found

    def apply(self, chosen: Sequence[Tier], limits: Limits, *, fresh: bool = False, changed: bool = False) -> Outcome:
        """Brings the chosen releases to what charts and values say; goes on with a run that did not end well."""
        digests = {tier.code: self.digest(tier) for tier in chosen}
        earlier = [run for run in journal.read(self.places.journal) if run.deed == "apply"]
        run = self._to_go_on_with(earlier, chosen, fresh)
        done = run.done if run else {}
        if changed and not run:
            done = {code: digest for one in earlier for code, digest in one.done.items()}
        left = [tier for tier in chosen if done.get(tier.code) != digests[tier.code]]
        with Journal(self.places.journal, run.id if run else _new_run()) as kept:
            installed = self.installed(chosen)
            if run:
                installed = self._settle(run, chosen, installed)
            kept.begun("apply", [tier.code for tier in chosen])
            progress = Progress(len(chosen), len(chosen) - len(left))

            def deed(tier: Tier) -> None:
                self._apply_one(tier, installed, kept)

            return Rollout(deed, kept, limits, progress).run(waves(left), digests)

    def _to_go_on_with(self, earlier: Sequence[Run], chosen: Sequence[Tier], fresh: bool) -> Run | None:
        last = earlier[-1] if earlier else None
        if fresh or last is None or not last.unfinished:
            return None
        return last if {tier.code for tier in chosen} == set(last.codes) else None

    def _apply_one(self, tier: Tier, installed: Installed, kept: Journal) -> None:
        there = installed.get((tier.namespace, tier.release))
        if self.ground:
            self.ground.prepare(tier)
        self._helm(tier, self.upgrade_words(tier, exists=there is not None), kept, there.revision if there else 0)

    def _helm(self, tier: Tier, words: list[str], kept: Journal, revision: int) -> None:
        helm = replace(self.helm, on_start=lambda pid: kept.started(tier.code, pid, revision))
        helm.run(words, self.places.state / "logs" / f"{tier.code}.log")

    def _settle(self, run: Run, chosen: Sequence[Tier], installed: Installed) -> Installed:
        """Frees releases that a killed helm left half way: Helm itself refuses to touch them."""
        begun = [t for t in chosen if t.code in run.started and t.code not in run.done]
        half = [t for t in begun if _state(installed, t) in PENDING]
        for tier in half:
            self._wait_for(run.started[tier.code][0])
        if half:
            installed = self.installed(chosen)
        for tier in half:
            there = installed.get((tier.namespace, tier.release))
            if there and there.status in PENDING:
                back = run.started[tier.code][1] or there.revision
                self.helm.run(self.helm.rollback(tier.release, back, tier.namespace, tier.cluster))
        return self.installed(chosen) if half else installed

    def _wait_for(self, pid: int) -> None:
        end = time.monotonic() + LEFTOVER_S
        while is_helm(pid, self.helm.program) and time.monotonic() < end:
            time.sleep(0.2)

    def roll_back(self, chosen: Sequence[Tier], limits: Limits) -> Outcome:
        """Takes back what the last `apply` did to the chosen releases, children before parents."""
        run = next((r for r in reversed(journal.read(self.places.journal)) if r.deed == "apply"), None)
        if run is None:
            raise FleetMistake(
                "还没有发布过,无可回退。", "Nothing has been rolled out yet, so nothing can be taken back."
            )
        touched = [tier for tier in chosen if run.started.get(tier.code, (0, 0))[1]]
        revisions = {tier.code: run.started[tier.code][1] for tier in touched}
        with Journal(self.places.journal, _new_run()) as kept:
            kept.begun("rollback", [tier.code for tier in touched])

            def deed(tier: Tier) -> None:
                words = self.helm.rollback(tier.release, revisions[tier.code], tier.namespace, tier.cluster)
                self._helm(tier, words, kept, revisions[tier.code])

            upwards = [[_without_parent(tier) for tier in wave] for wave in waves(touched, upwards=True)]
            return Rollout(deed, kept, limits, Progress(len(touched))).run(
                upwards, {tier.code: str(revisions[tier.code]) for tier in touched}
            )


def _without_parent(tier: Tier) -> Tier:
    """On the way up a child waits for nobody."""
    return replace(tier, parent="")


def _state(installed: Installed, tier: Tier) -> str:
    there = installed.get((tier.namespace, tier.release))
    return there.status if there else "missing"


def _files_below(folder: Path) -> list[Path]:
    """Also behind links: a chart finds its library that way."""
    found = os.walk(folder, followlinks=True)
    return sorted(Path(top, name) for top, _, names in found for name in names)


def _digest_of(paths: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        body = path.read_bytes()
        total.update(f"{path.name}:{len(body)}:".encode())
        total.update(body)
    return total.hexdigest()


def _new_run() -> str:
    return clock.now().strftime("%Y%m%dT%H%M%S%f")[:18]
