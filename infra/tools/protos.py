"""Generates Python code beside each .proto, and one descriptor set with comments for buf and the API document.

Usage: python -m infra.tools.protos protos/descriptors.binpb
"""

from __future__ import annotations

import sys
from pathlib import Path

import google.api
from grpc_tools import protoc


def generate(descriptor_set: str) -> int:
    """Runs protoc from the repository root, so that the import path is the folder. Returns protoc's exit code."""
    include = Path(next(iter(google.api.__path__))).parent.parent
    sources = sorted(str(p) for p in Path("protos").rglob("*.proto"))
    well_known = Path(protoc.__file__).parent / "_proto"
    return int(
        protoc.main(
            [
                "protoc",
                "-I.",
                f"-I{include}",
                f"-I{well_known}",
                "--python_out=.",
                "--pyi_out=.",
                "--grpc_python_out=.",
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={descriptor_set}",
                *sources,
            ]
        )
    )


if __name__ == "__main__":
    sys.exit(generate(sys.argv[1]))
