"""What each release is told: a small generated file of its own, and what people decide in overrides/.

From weak to strong: the chart's defaults, overrides/all.yaml, overrides/<tier>.yaml, values/<code>.yaml (generated),
overrides/<code>.yaml. A file that does not exist says nothing.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from services.fleet.tiers import Tier

HEAD = "# 由 zongzhi fleet generate 生成,请勿手改;改动写在 overrides/{code}.yaml。 Generated; decide in overrides/.\n"


def text(tier: Tier) -> str:
    """The generated file of one release."""
    host = urlsplit(tier.gateway).hostname or ""
    lines = ["tier:", f'  code: "{tier.code}"', f'  name: "{tier.name}"']
    if tier.parent:
        lines.append(f'  parent: "{tier.parent}"')
    lines += ["gateway:", f'  host: "{host}"']
    return HEAD.format(code=tier.code) + "\n".join(lines) + "\n"


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
