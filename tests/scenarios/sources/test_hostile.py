"""Servers that mean harm, each a process: the command ends by itself, in little memory, with status 3 and a reason."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.support.site import ROOT, Result, Site
from tests.support.sources.hostile import ANYTHING, EXPORTS, LATE, PAGES, Hostile
from tests.support.sources.sites import assert_refused

TIMEOUT_S = 0.5
LIMIT_S = 240.0
"""What never ends would still be running. Alone on a machine each kind takes 2 to 17 s."""
MOST_MIB = 450
"""A plain run takes some 100; the largest answer and what is made of it come on top."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, with how much memory at most."""

    result: Result
    peak_mib: float


# Whoever forks hands its own peak down to the child, so a small process stands between the tests and the command.
MEASURE = """
import os, sys
pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-m", "flask", *sys.argv[2:]])
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(site: Site, *arguments: str, **environ: str) -> Ended:
    """Run ``flask ...`` as a process whose memory is measured."""
    peak = site.directory / "peak"
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(peak), *arguments],
        cwd=ROOT,
        env=site.env(**{"FLASK_FERRY_SOURCE_UID": "u", "FLASK_FERRY_SOURCE_PASSWORD": "p", **environ}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return Ended(Result(done.returncode, done.stdout, done.stderr), int(peak.read_text()) / 1024)


# What the message names, for each kind.
SAID = {
    "gzip_bomb": "more than 1 MiB",
    # Not expanded at all: no such compression was asked for.
    "deflate_bomb": "without a token",
    "brotli": "without a token",
    "gzip_of_gzip": "without a token",
    LATE + "deflate_bomb": "not UTF-8",
    LATE + "gzip_of_gzip": "not UTF-8",
    "endless_body": "more than 1 MiB",
    "dripped_headers": "timed out",
    "endless_continue": "timed out",
    "endless_headers": "headers",
    "long_header": "header",
    "dripped_body": "not complete after 0.5 s",
    "endless_trailers": "not complete after 0.5 s",
    "silence": "timed out",
    "nested": "without a token",
    "many_values": "more than 1 MiB",
    "exponent": "without a token",
    LATE + "gzip_bomb": "more than 64 MiB",
    LATE + "many_values": "more than 2,000,000 values",
    LATE + "nested": "nested too deeply",
    LATE + "exponent": "not a count",
    "zstd_bomb": "stand for more than",
    "endless_line": "longer than",
    "zstd_bomb_of_lines": "stand for more than",
    "zstd_window": "memory",
    "endless_rows": "were announced",
    "dripped_export": "too slow",
    "silent_export": "too slow",
}


def test_every_kind_has_its_words() -> None:
    assert {kind.removeprefix(LATE) for kind in SAID} == ANYTHING.keys() | EXPORTS.keys()


@pytest.mark.parametrize("kind", SAID)
def test_a_hostile_server(site: Site, kind: str) -> None:
    with Hostile(kind) as server:
        ended = run(site, "db-migrate-data", "--yes", server.url, FLASK_FERRY_TIMEOUT=str(TIMEOUT_S))
    print(f"{kind}: {ended.peak_mib:.0f} MiB: {ended.result.stderr}")
    assert_refused(ended.result, 3, server.url, SAID[kind])
    assert ended.peak_mib < MOST_MIB


def test_pages_without_an_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of 100,000 pages is a lower one here: so many of them take the same memory as a few."""
    program = "from app.transfer.sources import rest_api; rest_api.MOST_PAGES = 100; from flask.cli import main; main()"
    monkeypatch.setattr(
        "tests.scenarios.sources.test_hostile.MEASURE", MEASURE.replace('"-m", "flask"', f'"-c", """{program}"""')
    )
    with Hostile(PAGES) as server:
        ended = run(site, "db-migrate-data", "--yes", server.url)
    assert_refused(ended.result, 3, server.url, "the pages do not end")
    assert ended.peak_mib < MOST_MIB
