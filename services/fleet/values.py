"""What each release is told: a small generated file of its own, and what people decide in overrides/.

From weak to strong: the chart's defaults, overrides/all.yaml, overrides/<tier>.yaml, values/<code>.yaml (generated),
overrides/<code>.yaml. A file that does not exist says nothing.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from services.fleet.tiers import Tier

HEAD = """# {name}
# 由 zongzhi fleet generate 生成,请勿手改;改动写在 overrides/{code}.yaml。 Generated; decide in overrides/.
"""


def text(tier: Tier) -> str:
    """The generated file of one release."""
    lines = ["tier:", f'  code: "{tier.code}"', "ingress:", "  hosts:", f"    - {_host(tier.gateway)}"]
    if tier.link:
        lines += ["broker:", "  uplink:", "    hosts:", f"      - {_host(tier.link)}"]
    return HEAD.format(code=tier.code, name=tier.name) + "\n".join(lines) + "\n"


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def files(folder: Path, tier: Tier) -> list[Path]:
    """The values files of one release that exist, the strongest last."""
    overrides = folder / "overrides"
    candidates = [
        overrides / "all.yaml",
        overrides / f"{tier.tier}.yaml",
        folder / "values" / f"{tier.code}.yaml",
        overrides / f"{tier.code}.yaml",
    ]
    return [path for path in candidates if path.exists()]
