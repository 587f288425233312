"""Real Collectors of village, town and district, each handing on to the next, as plain processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import requests

from infra.otel.collector import path_of
from infra.processes import free_port, wait_until

READY_WITHIN = 30.0


class Collector:
    """One Collector with the configuration of its tier and a queue of its own on disk."""

    def __init__(self, program: Path, tier: str, next_hop: str, folder: Path) -> None:
        self.tier = tier
        self.log = folder / f"collector-{tier}.log"
        self.ports = {name: free_port() for name in ("OTLP_PORT", "CHILDREN_PORT", "HEALTH_PORT", "METRICS_PORT")}
        self._words = [str(program), "--config", str(path_of(tier))]
        self._env = os.environ | {name: str(port) for name, port in self.ports.items()}
        self._env |= {"HOST": "127.0.0.1", "NEXT_HOP": next_hop, "QUEUE_DIR": str(folder / f"queue-{tier}")}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the tier's own processes send to."""
        return f"http://127.0.0.1:{self.ports['OTLP_PORT']}"

    @property
    def children_url(self) -> str:
        """Where Collectors of the tiers below hand up to."""
        return f"http://127.0.0.1:{self.ports['CHILDREN_PORT']}"

    def start(self) -> None:
        """Starts it and waits until it says that it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._words, env=self._env, stdout=log, stderr=log)
        if not wait_until(self.ready, READY_WITHIN):
            raise AssertionError(f"the collector of {self.tier} is not ready:\n{self.log.read_text()[-3000:]}")

    def ready(self) -> bool:
        """Whether its health answers."""
        try:
            return requests.get(f"http://127.0.0.1:{self.ports['HEALTH_PORT']}/", timeout=2).ok
        except requests.RequestException:
            return False

    def metrics(self) -> dict[str, float]:
        """Its own metrics, summed over their labels."""
        text = requests.get(f"http://127.0.0.1:{self.ports['METRICS_PORT']}/metrics", timeout=5).text
        found: dict[str, float] = {}
        for name, value in re.findall(r"^([a-z_]+)(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE):
            found[name] = found.get(name, 0) + float(value)
        return found

    def queued(self) -> int:
        """How many batches wait for the next hop."""
        return int(self.metrics().get("otelcol_exporter_queue_size", 0))

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Sends a signal and waits for the end."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(timeout=30)
