"""Each target, shortly: all that is kept in its corpus, and some hundred changes of it, the same ones each time."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dialects.mysql.test_restore import HOSTILE
from tests.dialects.postgresql.archives import STATEMENTS
from tests.support.site import ROOT

from .mutate import mutate
from .target import CORPUS, Broken, Target, bounded, run
from .targets import TARGETS

MORE = {
    "mysql_dump": [text.encode() for text in HOSTILE],
    "postgresql_script": [text.encode() for text in STATEMENTS],
}
"""Texts of other tests, which are near to what must not be let through."""


def corpus_of(target: Target) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(target.corpus.iterdir())}


def test_every_target_has_a_corpus_and_no_other_is_there() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {target.name for target in TARGETS}


def test_the_page_on_security_has_the_figures_of_every_target() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \| [0-9,]+ \| \d+ \| \d+ \| 0 \|$", page, re.MULTILINE)
    assert named == [target.name for target in TARGETS]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target(target: Target) -> None:
    corpus = corpus_of(target)
    with bounded(target.most_mib):
        accepted = [name for name, data in corpus.items() if run(target, data)]
        assert accepted, "a target that accepts nothing looks at nothing"
        inputs = [*corpus.values(), *MORE.get(target.name, [])]
        for number in range(target.examples):
            data = mutate(random.Random(f"{target.name} {number}"), inputs)
            try:
                run(target, data)
            except Exception as error:
                pytest.fail(f"{error!r} for {data!r}", pytrace=False) if len(data) < 2000 else None
                raise


# What the harness itself promises


def test_a_reader_that_fails_takes_too_long_or_too_much_is_seen() -> None:
    def swallow(data: bytes) -> None:
        bytearray(1 << 30)

    def loop(data: bytes) -> None:
        while True:
            pass

    with pytest.raises(Broken, match="did not end"):
        run(Target("loop", loop, most_s=0.05), b"")
    with pytest.raises(MemoryError), bounded(100):
        run(Target("memory", swallow), b"")
    with pytest.raises(ZeroDivisionError):
        run(Target("fails", lambda data: print(1 / len(data))), b"")


def test_the_blind_way_runs_and_keeps_what_breaks_a_promise(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.child", "normal_json", "0.5", str(tmp_path), "blind"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert '"executions": ' in done.stdout
    assert list(tmp_path.iterdir()) == []
