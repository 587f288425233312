"""Values of the three tiers for a cluster of two cores: everything there is, and small."""

from __future__ import annotations

import os
from typing import Any

TAG = os.environ.get("IMAGE_TAG", "0.1.0")
# The same program under another name: what ran before an upgrade.
TAG_BEFORE = f"{TAG}-before"
IMAGES = tuple(f"{name}:{TAG}" for name in ("zongzhi", "zongzhi-postgres", "zongzhi-rabbitmq")) + (
    f"zongzhi:{TAG_BEFORE}",
)

# Two cores cannot promise everybody a tenth of one.
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "768Mi"}}
OURS = {"repository": "zongzhi", "tag": TAG}
NODE_PORT = {"type": "NodePort"}


def of_image(tag: str) -> dict[str, Any]:
    """Values that choose another image."""
    return {"image": {"tag": tag}}


def _tier(replicas: int, code: str) -> dict[str, Any]:
    store = {"resources": SMALL}
    return {
        "tier": {"code": code, "division": "341702001008"},
        "demo": {"enabled": True},
        "image": OURS,
        "serve": {"replicas": replicas, "resources": SMALL},
        "work": {"replicas": 1, "resources": SMALL},
        "gateway": {"replicas": replicas, "service": NODE_PORT, "resources": SMALL},
        "migrations": {"resources": SMALL},
        "smoke": {"resources": SMALL},
        "database": {"mode": "statefulset", "statefulset": {"image": {"tag": TAG}, **store}},
        "broker": {"mode": "statefulset", "statefulset": {"image": {"tag": TAG}, **store}},
    }


DISTRICT = _tier(2, "341702000000")
TOWN = _tier(1, "341702001000")
VILLAGE: dict[str, Any] = {
    "tier": {"code": "341702001008"},
    "demo": {"enabled": True},
    "image": OURS,
    "service": NODE_PORT,
    "resources": SMALL,
    "smoke": {"resources": SMALL},
    "volume": {"size": "1Gi", "onUninstall": "delete"},
}
