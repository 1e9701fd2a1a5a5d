"""What a tag must agree with before anything is published: ``python tests/support/release.py v1.2.3``."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def find_faults(tag: str, root: Path) -> list[str]:
    """Why this tag may not be published; empty when it may."""
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    faults = []
    if tag != f"v{version}":
        faults.append(f"The tag is {tag}, the version in pyproject.toml is {version}.")
    if not any(line.startswith(f"## {version} (") and "unreleased" not in line for line in changes):
        faults.append(f"CHANGELOG.md has no section of {version} with a date.")
    faults += [f"{path.name} is not yet in CHANGELOG.md." for path in sorted(root.glob("changelog.d/+*"))]
    return faults


if __name__ == "__main__":
    found = find_faults(sys.argv[1], ROOT)
    print("\n".join(found))
    sys.exit(bool(found))
