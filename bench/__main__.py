"""python -m bench [--only part,part] [--seed N] [--out bench]"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Results
from bench.ground import Ground
from bench.parts import PARTS
from infra.servers import ServerMissing


def main(words: Sequence[str] | None = None) -> int:
    """Measures the parts, raw limits first, and keeps what was measured. Exit 2 when a server is not installed."""
    chosen = _arguments(words)
    results = Results(chosen.out, chosen.seed)
    with tempfile.TemporaryDirectory(prefix="zongzhi-bench-") as folder, Ground(Path(folder), chosen.seed) as ground:
        for name in chosen.only:
            began = time.monotonic()
            print(f"\n■ {name} — {PARTS[name].TITLE}", flush=True)
            try:
                results.keep(PARTS[name].measure(ground))
            except ServerMissing as missing:
                print(missing, file=sys.stderr)
                return 2
            print(f"  {time.monotonic() - began:.0f} s", flush=True)
    print(f"\n{results.markdown}")
    return 0


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", type=_parts, default=list(PARTS), help="、".join(PARTS), metavar="PART,PART")
    parser.add_argument("--seed", type=int, default=20261124, help="随机数种子 · seed of all invented cases")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="结果所在文件夹 · folder of the results")
    return parser.parse_args(words)


def _parts(text: str) -> list[str]:
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in PARTS]:
        names = ", ".join(PARTS)
        raise argparse.ArgumentTypeError(f"没有 {unknown[0]},可选:{names}。No part {unknown[0]}; choose among {names}.")
    return [name for name in PARTS if name in wanted]


if __name__ == "__main__":
    sys.exit(main())
