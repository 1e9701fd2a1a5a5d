"""One target in a process of its own, for so many seconds: led by coverage where atheris is installed, else blindly.

``python -m tests.fuzz.child TARGET SECONDS WORKDIR {guided|blind}``. The last line of its output is a JSON object.
An input that breaks a promise is written to ``WORKDIR``, and ends the process with status 77, as libFuzzer does it.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import sys
import time
import traceback
from pathlib import Path

BROKEN = 77


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def blind(name: str, seconds: float, workdir: Path) -> int:
    """Change inputs at random."""
    from .mutate import mutate
    from .target import bounded, run
    from .targets import BY_NAME

    target, dice = BY_NAME[name], random.Random(time.time_ns())
    corpus = [path.read_bytes() for path in sorted(target.corpus.iterdir())]
    before, until, executions, accepted = peak_mib(), time.monotonic() + seconds, 0, 0
    status = 0
    with bounded(target.most_mib):
        while time.monotonic() < until:
            data = mutate(dice, corpus)
            executions += 1
            try:
                is_new = run(target, data)
            except Exception:  # noqa: BLE001 # whatever it is: it is kept and shown
                _keep(workdir, data)
                traceback.print_exc()
                status = BROKEN
                break
            accepted += is_new
            # What is accepted leads further than what is not.
            if is_new and len(corpus) < 2000 and dice.random() < 0.05:
                corpus.append(data)
    _tell(executions, len(corpus), peak_mib(), peak_mib() - before)
    return status


def _keep(workdir: Path, data: bytes) -> None:
    (workdir / f"crash-{hashlib.sha1(data).hexdigest()}").write_bytes(data)


def _tell(executions: int, corpus: int, peak: float, more: float) -> None:
    print(json.dumps({"executions": executions, "corpus": corpus, "peak_mib": round(peak), "more_mib": round(more)}))


def guided(name: str, seconds: float, workdir: Path) -> int:
    """Let libFuzzer change inputs, and keep those that reach further."""
    import atheris

    with atheris.instrument_imports(include=["app.transfer", "app.dialects"], enable_loader_override=False):
        from .target import bounded, run
        from .targets import BY_NAME
    target = BY_NAME[name]
    found = workdir / "corpus"
    found.mkdir(parents=True, exist_ok=True)
    arguments = [sys.argv[0], f"-max_total_time={seconds:.0f}", f"-artifact_prefix={workdir}/", "-max_len=4096"]
    arguments += [
        f"-timeout={target.most_s * 3:.0f}",
        "-rss_limit_mb=0",
        "-print_final_stats=1",
        str(found),
        str(target.corpus),
    ]
    atheris.Setup(arguments, lambda data: run(target, data) and None)
    with bounded(target.most_mib):
        atheris.Fuzz()
    return 0


def main() -> int:
    name, seconds, workdir, way = sys.argv[1:5]
    return (guided if way == "guided" else blind)(name, float(seconds), Path(workdir))


if __name__ == "__main__":
    sys.exit(main())
