"""Stands in for helm: keeps releases as files in a folder and writes down when each call began and ended.

FAKE_HELM       the folder
FAKE_HELM_FAIL  codes whose upgrade fails
FAKE_HELM_S     seconds that an upgrade takes
FAKE_HELM_VERSION
"""

# ruff: noqa: T201  # it prints as helm does
from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["FAKE_HELM"])
FAILING = os.environ.get("FAKE_HELM_FAIL", "").split()


def note(**line: object) -> None:
    body = json.dumps({"pid": os.getpid(), "at": time.monotonic(), **line}) + "\n"
    with (FOLDER / "calls.jsonl").open("a") as calls:
        calls.write(body)


def state(name: str) -> Path:
    return FOLDER / f"{name}.json"


def keep(name: str, /, **more: object) -> None:
    known = json.loads(state(name).read_text()) if state(name).exists() else {"revision": "0", "history": []}
    whole = FOLDER / f"{name}.{os.getpid()}"
    whole.write_text(json.dumps(known | more))
    whole.replace(state(name))


def upgrade(words: list[str]) -> int:
    name, namespace = words[2], words[words.index("--namespace") + 1]
    files = [words[at + 1] for at, word in enumerate(words) if word == "--values"]
    known = json.loads(state(name).read_text()) if state(name).exists() else {"revision": "0", "status": ""}
    if known["status"].startswith("pending"):
        print("Error: UPGRADE FAILED: another operation is in progress", file=sys.stderr)
        return 1
    revision = str(int(known["revision"]) + 1)
    pending = "pending-upgrade" if known["revision"] != "0" else "pending-install"
    keep(name, name=name, namespace=namespace, revision=revision, status=pending, chart=Path(words[3]).name + "-0.1.0")
    time.sleep(float(os.environ.get("FAKE_HELM_S", "0")))
    if name.removeprefix("zz-") in FAILING:
        keep(name, status="failed")
        print("some line\nError: UPGRADE FAILED: timed out waiting for the condition", file=sys.stderr)
        return 1
    keep(name, status="deployed", manifest=manifest(name, namespace, files))
    return 0


def manifest(name: str, namespace: str, files: list[str]) -> str:
    told = json.dumps("".join(Path(file).read_text() for file in files))
    meta = f"  name: {name}\n  namespace: {namespace}\n"
    return f"---\n# Source: x\napiVersion: v1\nkind: ConfigMap\nmetadata:\n{meta}data:\n  values: {told}\n"


def rollback(words: list[str]) -> int:
    keep(words[1], status="deployed", back_to=words[2])
    return 0


def listing(_: list[str]) -> int:
    every = [json.loads(path.read_text()) for path in FOLDER.glob("zz-*.json")]
    print(
        json.dumps([{key: row[key] for key in ("name", "namespace", "revision", "status", "chart")} for row in every])
    )
    return 0


def get(words: list[str]) -> int:
    path = state(words[2])
    if not path.exists():
        print("Error: release: not found", file=sys.stderr)
        return 1
    print(json.loads(path.read_text()).get("manifest", ""))
    return 0


def template(words: list[str]) -> int:
    files = [words[at + 1] for at, word in enumerate(words) if word == "--values"]
    print(manifest(words[1], words[words.index("--namespace") + 1], files))
    return 0


def version(_: list[str]) -> int:
    print(os.environ.get("FAKE_HELM_VERSION", "v4.1.4+g0"))
    return 0


DEEDS = {
    "upgrade": upgrade,
    "rollback": rollback,
    "list": listing,
    "get": get,
    "template": template,
    "version": version,
}


def main() -> int:
    words = sys.argv[1:]
    note(event="begin", words=words)
    code = DEEDS[words[0]](words)
    note(event="end", words=words[:3], code=code)
    return code


if __name__ == "__main__":
    sys.exit(main())
