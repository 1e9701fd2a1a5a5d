"""Try each target for so many seconds, and print what came of it: ``python -m tests.fuzz [SECONDS [TARGET ...]]``.

``--seeds`` writes the corpora of our own writers anew. ``JOBS`` in the environment: how many targets at once.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.support.site import ROOT

from .target import Target
from .targets import BY_NAME, TARGETS

WORK = ROOT / "build" / "fuzz"
MOST_FAILURES = 5
"""After so many a target is not begun again: they are likely the same one."""
GRACE_S = 600.0
"""For the start, in which coverage is put into the product: a loaded machine takes minutes."""
_UNITS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_PEAK = re.compile(r"stat::peak_rss_mb:\s*(\d+)")


@dataclass
class Outcome:
    """What came of one target; ``corpus``: inputs that each reach something which no other does."""

    executions: int = 0
    corpus: int = 0
    peak_mib: int = 0
    failures: int = 0


def campaign(target: Target, seconds: float, way: str) -> Outcome:
    """Try a target until its time has passed, again after each failure."""
    outcome, until = Outcome(), time.monotonic() + seconds
    workdir = WORK / target.name
    workdir.mkdir(parents=True, exist_ok=True)
    while (left_s := until - time.monotonic()) > 1 and outcome.failures < MOST_FAILURES:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.child", target.name, f"{left_s:.0f}", str(workdir), way],
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + GRACE_S,
            check=False,
        )
        _add(outcome, done.stdout, done.stderr)
        if done.returncode:
            outcome.failures += 1
            (workdir / f"failure-{outcome.failures}.txt").write_text(done.stdout + done.stderr)
            print(f"{target.name}: BROKEN, see {workdir}\n{_traceback(done.stdout + done.stderr)}", file=sys.stderr)
    outcome.corpus = max(outcome.corpus, sum(1 for _ in target.corpus.iterdir()) + _count(workdir / "corpus"))
    print(f"{target.name} is done: {outcome}", file=sys.stderr)
    return outcome


def _count(directory: Path) -> int:
    return sum(1 for _ in directory.iterdir()) if directory.is_dir() else 0


def _add(outcome: Outcome, out: str, err: str) -> None:
    if match := _UNITS.search(err):
        outcome.executions += int(match[1])
    if match := _PEAK.search(err):
        outcome.peak_mib = max(outcome.peak_mib, int(match[1]))
    with contextlib.suppress(ValueError, IndexError):
        told = json.loads(out.splitlines()[-1])
        outcome.executions += told["executions"]
        outcome.corpus = max(outcome.corpus, told["corpus"])
        outcome.peak_mib = max(outcome.peak_mib, told["peak_mib"])


def _traceback(text: str) -> str:
    lines = text.splitlines()
    begins = [number for number, line in enumerate(lines) if "Traceback" in line or "Uncaught" in line]
    return "\n".join(lines[begins[0] if begins else -20 :][:60])


def find_way() -> str:
    """``guided`` where atheris is installed; without it that is said, as the search then is a worse one."""
    if importlib.util.find_spec("atheris"):
        return "guided"
    print(
        "atheris IS NOT INSTALLED (it has no wheel for this Python or machine, or the index is out of reach): "
        "inputs are changed BLINDLY, no coverage leads the search.",
        file=sys.stderr,
    )
    return "blind"


def main(arguments: list[str]) -> int:
    """Run the campaign; the status is 1 where a target broke a promise."""
    if arguments == ["--seeds"]:
        from .seeds import write_seeds

        write_seeds()
        return 0
    seconds = float(arguments[0]) if arguments else 600.0
    targets = [BY_NAME[name] for name in arguments[1:]] or [*TARGETS]
    way = find_way()
    with ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        outcomes = list(pool.map(partial(campaign, seconds=seconds, way=way), targets))
    print(f"{way}, {seconds:g} s a target\n")
    print("| target | executions | corpus | peak MiB | failures |\n|---|---|---|---|---|")
    for target, one in zip(targets, outcomes, strict=True):
        print(f"| {target.name} | {one.executions:,} | {one.corpus} | {one.peak_mib} | {one.failures} |")
    return int(any(one.failures for one in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
